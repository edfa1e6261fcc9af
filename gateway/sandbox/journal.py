"""The sandbox's append-only journal: one JSON line per batch with an effect, on the disk before the answer leaves; and its readers."""

import fcntl
import os
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from gateway.sandbox.config import SandboxFailed
from gateway.sandbox.wire import Item, Outcome, Result, Stage


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row judged for good: what came, what was said of it, and which version of its meter's period it is (0 when refused)."""

    item: Item
    result: Result
    version: int = 0


class Received(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="received"):
    """The new rows of one call."""

    account: str
    batch: str
    at: datetime
    rows: tuple[Entry, ...]


class Posted(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="posted"):
    """So many of an account's taken rows, in their order, have been told back at this stage."""

    account: str
    stage: Stage
    count: int
    at: datetime


Record = Received | Posted
_record = msgspec.json.Decoder(Record)


class Journal:
    """The open journal of a running sandbox; a second sandbox on the same file is refused."""

    def __init__(self, path: Path) -> None:
        """Open and lock the file. Raises SandboxFailed when that cannot be done."""
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SandboxFailed(f"{path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise SandboxFailed(f"{path}: another sandbox keeps this journal") from error
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self._file)

    def replay(self) -> Iterator[Record]:
        """Yield every record; cut off half a last line, which nobody was told about. Raises SandboxFailed on any other damage."""
        for record, end in _records(self.path):
            yield record
            self._size = end
        with self.path.open("rb") as file:
            file.seek(self._size)
            if b"\n" in file.read()[:-1]:
                raise SandboxFailed(f"{self.path}: damaged after byte {self._size}")
        os.ftruncate(self._file, self._size)

    def write(self, record: Record) -> None:
        """Append a record and have it on the disk. Raises OSError with nothing of it left in the file."""
        line = msgspec.json.encode(record) + b"\n"
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fdatasync(self._file)
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)


def _records(path: Path) -> Iterator[tuple[Record, int]]:
    """Yield each whole record with the byte where it ends, up to the first that is not one."""
    end = 0
    with path.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                return
            end += len(line)
            try:
                yield _record.decode(line), end
            except (msgspec.MsgspecError, UnicodeDecodeError):
                return


def rows(journal: Path) -> Iterator[tuple[str, Entry]]:
    """Yield account and entry of every row ever judged; may be read while the sandbox writes."""
    for record, _ in _records(journal):
        if isinstance(record, Received):
            for entry in record.rows:
                yield record.account, entry


def effects(journal: Path) -> dict[str, int]:
    """Return the number of effects per key. The promise is: at most one."""
    return dict(Counter(entry.item.key for _, entry in rows(journal) if entry.result.outcome is Outcome.TAKEN))


def doubles(journal: Path) -> dict[tuple[str, ...], list[str]]:
    """Return every reading (account, agreement, point, meter, period, revision) taken under more than one key. The promise is: none."""
    keys: dict[tuple[str, ...], list[str]] = {}
    for account, entry in rows(journal):
        item = entry.item
        if entry.result.outcome is Outcome.TAKEN:
            keys.setdefault((account, item.agreement, item.point, item.meter, item.period, str(item.revision)), []).append(item.key)
    return {reading: found for reading, found in keys.items() if len(found) > 1}
