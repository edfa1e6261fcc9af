"""Writes each batch into a folder as a table that a spreadsheet opens (BATCH.csv) and exactly, for a program (BATCH.json)."""

import csv
import errno
import fcntl
import io
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Final

import msgspec

from gateway.domain.problems import Misconfigured, Unavailable
from gateway.outbound import Answer, Batch, Guarantee, Item, Outcome, Receipt, Target
from gateway.outbound.wire import body

COLUMNS: Final = (
    *("key", "agreement", "point", "meter", "period", "at", "revision"),
    *("register", "value", "unit", "previous", "consumption", "quality", "ratio_applied", "losses_applied"),
)
KEPT: Final = ".metergate"
"""The folder's own memory: which key went into which file. Readers of the folder leave it alone."""
OPERATOR: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})
"""Refusals of the system that time does not mend."""
FORMULA: Final = tuple("=+-@\t\r\n＝＋－＠")
"""What a spreadsheet may take for the beginning of a formula."""


class Files(Target, frozen=True, kw_only=True, dict=True):
    """A folder that a billing without an interface empties, or that a person opens.

    A key is only ever in one pair of files: a repeat of it, in whatever batch, is answered as taken and writes nothing new, also when
    the files were carried away meanwhile. `folder` must be there: nothing is written below a share that is not mounted.
    """

    folder: str

    @property
    def guarantee(self) -> Guarantee:
        """The folder remembers every key it was given."""
        return "A"

    def deliver(self, batch: Batch) -> Receipt:
        """Write the items not yet written: the files aside, then their keys (from here on they count as taken), then the files' names."""
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}", batch.id):
            raise Misconfigured(f"{batch.id!r} cannot be the name of a file")
        taken = False
        try:
            with self._memory.alone() as memory:
                fresh = tuple(item for item in batch.items if item.key not in memory.keys)
                if fresh and batch.id in memory.names:
                    raise Misconfigured(f"{batch.id}: the files of this name hold other items")
                if fresh:
                    memory.put_aside(f"{batch.id}.csv", _table(fresh))
                    memory.put_aside(f"{batch.id}.json", msgspec.json.format(body(batch.id, fresh), indent=1) + b"\n")
                    memory.promise(batch.id, fresh)
                    taken = True
                    memory.publish(batch.id)
                return Receipt(answers=tuple(memory.answer(item) for item in batch.items))
        except msgspec.MsgspecError as error:
            raise Misconfigured(f"{self.folder}: {KEPT} is damaged: {error}") from error
        except OSError as error:
            if error.errno in OPERATOR:
                raise Misconfigured(f"{self.folder}: {error.strerror}") from error
            raise Unavailable(f"{self.folder}: {error.strerror}", sent=taken) from error

    @cached_property
    def _memory(self) -> "_Memory":
        return _Memory(Path(self.folder))


class _Line(msgspec.Struct, frozen=True):
    """One line of the memory: the files' name and the keys in them with a digest of each item."""

    batch: str
    keys: dict[str, str]


_line: Final = msgspec.json.Decoder(_Line)


class _Memory:
    """What is in the folder, or was: `FOLDER/.metergate/keys.jsonl`, shared by all who write there, one at a time."""

    def __init__(self, folder: Path) -> None:
        self.keys: dict[str, tuple[str, str]] = {}
        self.names: set[str] = set()
        self._folder = folder
        self._aside = folder / KEPT
        self._file = -1
        self._end = 0
        self._thread = threading.Lock()

    @contextmanager
    def alone(self) -> "Iterator[_Memory]":
        """Keep everybody else out, learn what others wrote, and finish what a crash left half done."""
        with self._thread:
            if not self._aside.is_dir():
                self._aside.mkdir(mode=0o750)
                _sync(self._folder)
            self._file = os.open(self._aside / "keys.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX)
                self._learn()
                self._finish()
                yield self
            finally:
                os.close(self._file)

    def put_aside(self, name: str, content: bytes) -> None:
        """Have a file on the disk where no reader of the folder sees it."""
        part = self._aside / name
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            part.unlink(missing_ok=True)
            raise

    def promise(self, batch: str, items: tuple[Item, ...]) -> None:
        """Write down whose keys are in the files put aside. Raises OSError with nothing of it left."""
        _sync(self._aside)
        line = _Line(batch, {item.key: _digest(item) for item in items})
        rest = memoryview(msgspec.json.encode(line) + b"\n")
        size = len(rest)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
            os.fsync(self._file)
        except OSError:
            os.ftruncate(self._file, self._end)
            raise
        self._end += size
        self._know(line)

    def publish(self, batch: str) -> None:
        """Give the files their names, the table last. The move uses up the file put aside: what is still aside was never seen."""
        for name in (f"{batch}.json", f"{batch}.csv"):
            if (self._aside / name).exists():
                (self._aside / name).rename(self._folder / name)
        _sync(self._folder)

    def answer(self, item: Item) -> Answer:
        """The word on an item: taken, unless its key is in the files with another content."""
        digest, batch = self.keys[item.key]
        if digest != _digest(item):
            return Answer(key=item.key, outcome=Outcome.REFUSED, reason="key_reused")
        return Answer(key=item.key, outcome=Outcome.TAKEN, reference=batch)

    def _learn(self) -> None:
        """Read what was appended since; cut off half a last line, whose files were never published."""
        if os.fstat(self._file).st_size < self._end:
            self.keys, self.names, self._end = {}, set(), 0
        with os.fdopen(os.dup(self._file), "rb") as file:
            file.seek(self._end)
            for text in file:
                if not text.endswith(b"\n"):
                    break
                self._know(_line.decode(text))
                self._end += len(text)
        os.ftruncate(self._file, self._end)

    def _know(self, line: _Line) -> None:
        self.names.add(line.batch)
        for key, digest in line.keys.items():
            self.keys[key] = (digest, line.batch)

    def _finish(self) -> None:
        for part in self._aside.iterdir():
            if part.suffix in (".csv", ".json"):
                if part.stem in self.names:
                    self.publish(part.stem)
                else:
                    part.unlink()


def _table(items: tuple[Item, ...]) -> bytes:
    """One line a value, as spreadsheets of a Russian or Ukrainian office open it: UTF-8 with its mark, semicolons, decimal commas."""
    text = io.StringIO(newline="")
    table = csv.writer(text, delimiter=";", lineterminator="\r\n")
    table.writerow(COLUMNS)
    for item in items:
        whose = [_cell(cell) for cell in (item.key, item.agreement, item.point, item.meter, item.period, item.at.isoformat())]
        for value in item.values:
            numbers = [_number(value.value), _cell(value.unit), _number(value.previous), _number(value.consumption)]
            flags = [value.quality.value, int(value.ratio_applied), int(value.losses_applied)]
            table.writerow([*whose, item.revision, _cell(value.register), *numbers, *flags])
    return text.getvalue().encode("utf-8-sig")


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(FORMULA) else text


def _number(value: Decimal | None) -> str:
    return "" if value is None else format(value, "f").replace(".", ",")


def _digest(item: Item) -> str:
    return blake2b(msgspec.json.encode(item), digest_size=16).hexdigest()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
