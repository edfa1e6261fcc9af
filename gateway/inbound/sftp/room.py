"""How much of the disk one partner takes up: what lies in its `in` and what it is writing just now, in all its sessions together."""

import contextlib
import errno
import os
import time
from typing import Final

AGAIN: Final = 1.0
"""Seconds until `in` is counted again, from which the line takes files away."""
SHARE: Final = 20
"""A count that took long is repeated only after that many times as long."""


class Room:
    """The limits of one partner and what it holds. Between two counts the sum is never too small: only the line takes away unseen."""

    def __init__(self, most_bytes: int, most_files: int) -> None:
        """The most that may lie in `in` and be in the making."""
        self.most_bytes, self.most_files = most_bytes, most_files
        self.lying = self.files = 0
        self.making = self.writing = 0
        self._next = 0.0

    def begin(self, inbox: int, *, new: bool) -> None:
        """Let one more upload begin, of a `new` name or an old one. Raises OSError when there is no room for another."""
        self._count(inbox)
        if self.lying + self.making >= self.most_bytes or (new and self.files + self.writing >= self.most_files):
            raise self._full()
        self.writing += 1

    def take(self, inbox: int, more: int) -> None:
        """Let an upload grow by so many bytes. Raises OSError when there is no room for them."""
        if self.lying + self.making + more > self.most_bytes:
            self._count(inbox)
            if self.lying + self.making + more > self.most_bytes:
                raise self._full()
        self.making += more

    def give(self, less: int) -> None:
        """An upload has become so many bytes shorter."""
        self.making -= less

    def end(self, size: int, *, kept: bool) -> None:
        """An upload has ended and lies in `in` now, or is gone."""
        self.making -= size
        self.writing -= 1
        if kept:
            self.lying += size
            self.files += 1

    def removed(self, size: int) -> None:
        """The partner has removed a file."""
        self.lying -= size
        self.files -= 1

    def _count(self, inbox: int) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self.lying = self.files = 0
        with os.scandir(inbox) as listing:
            for entry in listing:
                with contextlib.suppress(FileNotFoundError):  # just taken
                    self.lying += entry.stat(follow_symlinks=False).st_size
                    self.files += 1
        done = time.monotonic()
        self._next = done + max(AGAIN, SHARE * (done - now))

    def _full(self) -> OSError:
        most = f"{self.most_bytes} bytes and {self.most_files} files"
        return OSError(errno.EDQUOT, f"Quota exceeded: at most {most} may lie in /in; wait until some are taken, or remove some")
