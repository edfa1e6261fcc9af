"""What lies in one drop and since when it has not changed: cheap for many files, because only what is new or due is looked at."""

import heapq
import os
import time
from typing import Final

import msgspec

from gateway.inbound.drop import folders
from gateway.inbound.drop.folders import State, Strange
from gateway.inbound.drop.names import in_the_making

TICK: Final = 50_000_000
"""Nanoseconds within which a folder may change again without another time of change."""
PAUSE: Final = 10
"""Scans until what could not be taken is looked at again."""
SHARE: Final = 10
"""A listing that took long is repeated only after that many times as long."""


class Waiting(msgspec.Struct, gc=False):
    """A file that is waited for: its last state (None: it is no plain file).

    `held`: until when it need not be read as long as it does not change; `told`: whether it was said to be incomplete.
    """

    state: State | None
    held: float = 0.0
    told: bool = False


class Watch:
    """One drop's `in`. Times are of any clock that never goes back."""

    def __init__(self, stable: float, scan: float) -> None:
        """`stable`: seconds for which a file must not change; `scan`: about how often the folder is listed."""
        self.stable, self.scan = stable, scan
        self.files: dict[bytes, Waiting] = {}
        self._due: list[tuple[float, bytes]] = []
        self._listed = -1
        self._next = 0.0

    def ready(self, inbox: int, now: float, limit: int) -> list[tuple[bytes, State]]:
        """At most `limit` files that have not changed for long enough; each must then be `gone`, or be waited for `again`."""
        if now >= self._next:
            self._list(inbox, now)
        found: dict[bytes, State] = {}
        while self._due and self._due[0][0] <= now and len(found) < limit:
            _, name = heapq.heappop(self._due)
            state = self._look(inbox, name, now)
            if state is not None:
                found[name] = state
        return list(found.items())

    def due(self) -> float | None:
        """When the next file is to be looked at, None for never."""
        return self._due[0][0] if self._due else None

    def gone(self, name: bytes) -> None:
        """Forget a file that was taken or removed."""
        self.files.pop(name, None)

    def again(self, name: bytes, now: float, pause: float | None = None) -> None:
        """Look at a file again after `pause` seconds, ten scans if not given."""
        heapq.heappush(self._due, (now + (PAUSE * self.scan if pause is None else pause), name))

    def _list(self, inbox: int, now: float) -> None:
        """Find new names and forget those that are gone; a folder that has not changed since it was listed is left alone."""
        modified, began = os.fstat(inbox).st_mtime_ns, time.time_ns()
        if modified == self._listed:
            return
        old = set(self.files)
        with os.scandir(inbox) as listing:
            for entry in listing:
                name = os.fsencode(entry.name)
                old.discard(name)
                if name not in self.files and not in_the_making(name):
                    self._meet(inbox, name, now)
        for name in old:
            del self.files[name]
        self._listed = modified if modified + TICK < began else -1
        self._next = now + max(self.scan / 2, SHARE * (time.time_ns() - began) / 1e9)

    def _meet(self, inbox: int, name: bytes, now: float) -> None:
        """A new file, which has lain there for up to a scan already, as its own time of change tells."""
        try:
            state = folders.look(inbox, name)
        except Strange:
            self.files[name] = Waiting(None)
            self.again(name, now)
        except FileNotFoundError:
            return
        else:
            age = max(0.0, (time.time_ns() - state.changed) / 1e9)
            self.files[name] = Waiting(state)
            self.again(name, now, max(0.0, self.stable - min(age, self.scan)))

    def _look(self, inbox: int, name: bytes, now: float) -> State | None:
        waiting = self.files.get(name)
        if waiting is None:
            return None
        try:
            state = folders.look(inbox, name)
        except Strange:
            self.again(name, now)
            return None
        except FileNotFoundError:
            self.gone(name)
            return None
        if state != waiting.state:
            self.files[name] = Waiting(state)
            if self.stable:
                self.again(name, now, self.stable)
                return None
        elif now < waiting.held:
            self.again(name, now)
            return None
        return state
