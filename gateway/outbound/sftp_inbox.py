"""The inbox of a billing on its SFTP server: a file is there when it has its name, and what never got one was never handed over."""

import threading
from collections.abc import Mapping
from contextlib import suppress

import paramiko

from gateway.outbound import Answer, Batch, Outcome, Receipt
from gateway.outbound.sftp_wire import BROKEN, Step


def handed(batch: Batch, refused: Mapping[str, str]) -> Receipt:
    """What is known of a batch once its files lie there: what they could not hold is refused with its reason, the rest is pending."""
    return Receipt(
        answers=tuple(
            Answer(key=item.key, outcome=Outcome.REFUSED, reason=refused[item.key])
            if item.key in refused
            else Answer(key=item.key, outcome=Outcome.PENDING)
            for item in batch.items
        )
    )


class Litter:
    """Parts of its own that a process could not take away; the next attempt does."""

    def __init__(self) -> None:
        """There is none."""
        self.lock = threading.Lock()
        self.parts: set[str] = set()


class Inbox(Step):
    """One attempt at an inbox: files are written beside their names and then get them, because before that nothing can be taken."""

    def __init__(self, folder: str, litter: Litter) -> None:
        """Nothing was done yet."""
        super().__init__()
        self._folder = folder.rstrip("/")
        self._litter = litter
        self.files: paramiko.SFTPClient

    def begin(self, files: paramiko.SFTPClient, *others: str) -> None:
        """See that the folder is there, and the others that are needed, and take away what earlier attempts left."""
        self.files = files
        for folder in (self._folder or "/", *others):
            self.doing = folder
            files.stat(folder)
        with self._litter.lock:
            litter, self._litter.parts = self._litter.parts, set()
        for part in litter:
            with suppress(OSError):  # it may be gone, and a connection that is gone shows at the next step
                files.remove(part)

    def hand_over(self, file: str, content: bytes) -> None:
        """Write a whole file beside its name, then give it the name."""
        final = self._place(file)
        part = f"{final}.part"
        self.doing = final
        if self.stat(final) is not None:
            return
        try:
            self._write(part, content)
            self._rename(part, final)
        except BROKEN:
            self._leave(part)
            raise

    def hand_over_all(self, name: str, contents: Mapping[str, bytes]) -> None:
        """Hand over files that belong together. While `NAME.part` lies there not all of them are whole, and none has its name."""
        sign = self._place(f"{name}.part")
        parts = {self._place(file): content for file, content in contents.items()}
        self.doing = sign
        try:
            self.files.open(sign, "wb").close()
            for final, content in parts.items():
                self.doing = final
                self._write(f"{final}.part", content)
            self.doing = sign
            self.files.remove(sign)
            for final in parts:
                self.doing = final
                self._rename(f"{final}.part", final)
        except BROKEN:
            self._leave(*(f"{final}.part" for final in parts), sign)
            raise

    def complete(self, name: str, files: list[str]) -> bool:
        """Give those of the files their names that a cut left without, since all of them are whole. False: they were not, and are gone.

        What was taken back stays so: its sign is left, for who asks about another of these files.
        """
        self.doing = sign = self._place(f"{name}.part")
        if self.stat(sign) is not None:
            for file in files:
                with suppress(FileNotFoundError):
                    self.files.remove(f"{self._place(file)}.part")
            return False
        for file in files:
            self.doing = final = self._place(file)
            if self.stat(f"{final}.part") is not None and self.stat(final) is None:
                self._rename(f"{final}.part", final)
        return True

    def take_back(self, file: str) -> bool:
        """Take away the part of a file that never got its name. True: it was there, so billing was never handed the file."""
        self.doing = final = self._place(file)
        if self.stat(final) is not None:
            return False
        try:
            self.files.remove(f"{final}.part")
        except FileNotFoundError:
            return False
        return True

    def stat(self, path: str) -> paramiko.SFTPAttributes | None:
        """Size and time of what lies there, None when nothing does."""
        try:
            return self.files.stat(path)
        except FileNotFoundError:
            return None

    def read(self, path: str, size: int) -> bytes:
        """So many bytes of a file."""
        with self.files.open(path, "rb") as file:
            file.prefetch(size)
            return file.read(size)

    def _place(self, file: str) -> str:
        return f"{self._folder}/{file}"

    def _leave(self, *parts: str) -> None:
        """What failed before anything was handed over is taken away by the next attempt."""
        if not self.sent:
            with self._litter.lock:
                self._litter.parts.update(parts)

    def _write(self, part: str, content: bytes) -> None:
        with self.files.open(part, "wb") as writing:
            writing.write(content)
        size = self.files.stat(part).st_size
        if size != len(content):
            raise paramiko.SFTPError(f"{size} of {len(content)} bytes were kept")

    def _rename(self, part: str, final: str) -> None:
        """Give the file its name, by the plain rename where the server has no other. What the server still holds tells whether it did."""
        refusal, sent = OSError("not renamed"), self.sent
        for rename in (self.files.posix_rename, self.files.rename):
            self.sent = True
            try:
                rename(part, final)
            except OSError as error:
                self.files.stat(part)  # neither an answer nor a part: nobody knows
                self.sent = sent
                refusal = error
            else:
                return
        raise refusal
