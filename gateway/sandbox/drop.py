"""The sandbox billing by files: takes what lies in an account's `in`, judges it row by row, and answers in `acks` (sftp_file.md)."""

import logging
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.sandbox import maket
from gateway.sandbox.books import Books
from gateway.sandbox.config import Account, SandboxFailed
from gateway.sandbox.steering import Do, Steering
from gateway.sandbox.wire import Batch, Item, Outcome, Result, Value

log = logging.getLogger("metergate.sandbox")

ENCODING: Final = "cp1251"
MAKET: Final = ".xml"
FILE_BYTES: Final = 32 * 1024 * 1024
HEADERS: Final = {
    "ключ": "key",
    "договор": "agreement",
    "точка": "point",
    "счетчик": "meter",
    "период": "period",
    "дата": "at",
    "исправление": "revision",
    "регистр": "register",
    "показание": "value",
    "единица": "unit",
    "предыдущее": "previous",
    "расход": "consumption",
    "качество": "quality",
    "объем": "volume",
}
"""The other names of the columns; their own are the fields'."""
WANTED: Final = frozenset({"key", "agreement", "period", "at", "register", "value"})
STATUS: Final = {Outcome.TAKEN: "OK", Outcome.REFUSED: "ERROR", Outcome.LATER: "LATER"}
_NUMBER: Final = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")

Row = dict[str, str]


class Turned(Exception):  # noqa: N818 - says what happened
    """A file is turned away whole, and the message says why."""


class Drop(threading.Thread):
    """One account's drop. A file goes from `in` over `taken` to `done`; it dies with the process: folders and journal know the rest."""

    def __init__(self, account: Account, books: Books, steering: Steering) -> None:
        """Make the folders. Raises SandboxFailed when that cannot be done."""
        super().__init__(name=f"drop of {account.name}", daemon=True)
        self._account = account
        self._books = books
        self._steering = steering
        self._words: dict[str, bytes] = {}
        self._withheld: dict[str, int] = {}
        self._complaints: set[str] = set()
        self._in, self._taken, self._done, self._acks = (Path(account.drop) / name for name in ("in", "taken", "done", "acks"))
        try:
            for folder in (self._in, self._taken, self._done, self._acks):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SandboxFailed(f"account {account.name}: {error.filename}: {error.strerror}") from error

    def run(self) -> None:
        """Look for ever."""
        while True:
            with self._trying():
                self.look()
            threading.Event().wait(self._books.config.drop_scan)

    def look(self) -> None:
        """Answer what was taken before, then take what is new; orders may spoil either."""
        for file in _files(self._taken):
            if self._withheld.get(file.name) != self._steering.ended:
                with self._trying():
                    self._answer(file)
        waiting = _files(self._in)
        if waiting and self._steering.fires(self._account, Do.DOWN):
            return
        for file in waiting:
            with self._trying():
                self._take(file)

    @contextmanager
    def _trying(self) -> Iterator[None]:
        """What cannot be done now is tried again at the next look, and said once."""
        try:
            yield
        except OSError as error:
            if str(error) not in self._complaints:
                self._complaints.add(str(error))
                log.warning("drop of %s: %s", self._account.name, error)

    def _take(self, file: Path) -> None:
        """Judge a file, then move it out of the way and answer, unless an order says otherwise."""
        if order := self._steering.fires(self._account, Do.STALL):
            threading.Event().wait(order.seconds)
        words = self._judge(file)
        if words is None:
            return
        self._words[file.name] = words
        taken = file.replace(self._taken / file.name)
        if spoil := self._steering.fires(self._account, Do.LOSE, Do.GARBAGE):
            self._withheld[file.name] = self._steering.ended
            if spoil.do is Do.GARBAGE:
                self._acknowledgement(file).write_bytes(words[: len(words) // 2])
        else:
            self._answer(taken)

    def _answer(self, file: Path) -> None:
        """Write the acknowledgement, whole under its name at once, and put the file away."""
        words = self._words.pop(file.name, None) or self._judge(file)
        if words is None:
            return
        final = self._acknowledgement(file)
        part = final.with_name(f"{final.name}.part")
        with part.open("wb") as writing:
            writing.write(words)
            writing.flush()
            os.fsync(writing.fileno())
        part.replace(final)
        file.replace(self._done / file.name)
        self._withheld.pop(file.name, None)

    def _judge(self, file: Path) -> bytes | None:
        """The acknowledgement of a file. Whatever has an effect is in the journal; what was said before of its rows is said again.

        None: it is put off whole, which only happens to a maket.
        """
        if file.suffix == MAKET:
            return self._judge_maket(file)
        try:
            rows = _read(file)
        except Turned as reason:
            return _write([(file.name, Result(key=file.name, outcome=Outcome.REFUSED, reason=str(reason)))])
        items: dict[str, Item] = {}
        said: dict[str, Result] = {}
        for key, own in _by_key(rows).items():
            try:
                items[key] = _item(own)
            except ValueError as error:
                said[key] = Result(key=key, outcome=Outcome.REFUSED, reason=f"row_malformed: {error}")
        said |= self._books.said(self._account, file.name)
        if fresh := tuple(item for key, item in items.items() if key not in said):
            taken = self._books.take(self._account, Batch(batch=file.name, items=fresh), self._steering.judge(self._account))
            said |= {result.key: result for result in taken}
        return _write((row["key"], said[row["key"]]) for row in rows)

    def _judge_maket(self, file: Path) -> bytes | None:
        """The figure for a maket: all of its points are taken, or none is."""
        if file.stat().st_size > FILE_BYTES:
            return maket.reply(file.name, "", maket.Figure.FORMAT)
        try:
            found = maket.read(file.read_bytes(), file.name, self._account.points)
        except maket.Turned as turned:
            return maket.reply(file.name, "", turned.figure)
        said = self._books.said(self._account, file.name)
        if not said:
            against = maket.judged(found.items, self._steering.judge(self._account), self._account.refuse_meters)
            if against is Outcome.LATER:
                return None
            refusal = "maket_refused" if against else ""
            batch = Batch(batch=file.name, items=found.items)
            said = {one.key: one for one in self._books.take(self._account, batch, lambda item: _refused(item, refusal))}
        figure = maket.Figure.NONCOMMERCIAL if found.uncertain else maket.Figure.ACCEPTED
        if any(result.outcome is not Outcome.TAKEN for result in said.values()):
            figure = maket.Figure.UNKNOWN
        return maket.reply(file.name, found.day, figure)

    def _acknowledgement(self, file: Path) -> Path:
        if file.suffix == MAKET:
            return self._acks / f"80021_{file.name}"
        return self._acks / f"{file.stem}.ack.csv"


def _refused(item: Item, reason: str) -> Result | None:
    return Result(key=item.key, outcome=Outcome.REFUSED, reason=reason) if reason else None


def _files(folder: Path) -> list[Path]:
    """The files to take, the oldest first; parts, hidden files and links are none."""
    found = [
        (path.stat().st_mtime_ns, path)
        for path in folder.iterdir()
        if path.suffix in (".csv", MAKET) and not path.name.startswith(".") and path.is_file() and not path.is_symlink()
    ]
    return [path for _, path in sorted(found)]


def _read(file: Path) -> list[Row]:
    """The rows of a file whose control row is right, by the names of its columns. Raises Turned."""
    if file.stat().st_size > FILE_BYTES:
        raise Turned("file_too_large")
    try:
        text = file.read_bytes().decode(ENCODING)
    except UnicodeDecodeError as error:
        raise Turned(f"not_{ENCODING}") from error
    lines = text.removesuffix("\n").split("\n")
    header, *body, last = [line.removesuffix("\r").split(";") for line in lines] if len(lines) > 1 else [[], []]
    columns = [HEADERS.get(name.strip().lower(), name.strip().lower()) for name in header]
    if missing := sorted(WANTED - set(columns)):
        raise Turned(f"column_missing: {missing[0]}")
    if len(last) != 2 or not last[0].startswith("="):
        raise Turned("control_row_missing")
    if any(len(cells) != len(columns) for cells in body):
        raise Turned("row_of_another_length")
    rows = [{name: cell.removeprefix("'") for name, cell in zip(columns, cells, strict=True)} for cells in body]
    if [last[0], _number(last[1])] != [f"={len(rows)}", _total(row["value"] for row in rows)]:
        raise Turned("control_row_differs")
    if any(not row["key"] for row in rows):
        raise Turned("key_missing")
    return rows


def _total(cells: Iterable[str]) -> Decimal | None:
    """The exact sum of the values, None when one of them is no number."""
    total = Decimal(0)
    with localcontext() as exact:
        exact.prec = 200
        for cell in cells:
            number = _number(cell)
            if number is None:
                return None
            total += number
    return total


def _number(cell: str) -> Decimal | None:
    text = cell.replace(",", ".")
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def _by_key(rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["key"], []).append(row)
    return found


def _item(rows: Sequence[Row]) -> Item:
    """The meter reading that some rows of one key tell. Raises ValueError."""
    whole: list[dict[str, Any]] = [
        {name: row.get(name, "") for name in ("key", "agreement", "point", "meter", "period", "at")}
        | {"revision": row.get("revision") or "0"}
        for row in rows
    ]
    if any(one != whole[0] for one in whole):
        raise ValueError("rows of one key differ")
    values = [_value(row) for row in rows]
    return msgspec.convert(whole[0] | {"values": values}, Item, strict=False)


def _value(row: Mapping[str, str]) -> Value:
    told: dict[str, Any] = {"register": row["register"], "value": row["value"].replace(",", "."), "unit": row.get("unit", "")}
    told |= {name: cell.replace(",", ".") for name in ("previous", "consumption") if (cell := row.get(name))}
    if row.get("volume") == "1":
        told.setdefault("consumption", told["value"])
    return msgspec.convert(told | {"quality": row.get("quality") or "valid"}, Value)


def _write(words: Iterable[tuple[str, Result]]) -> bytes:
    """An acknowledgement: a row for each row, and a control row with how many there are and how many of them were taken."""
    lines = ["key;status;number;reason"]
    taken = 0
    for key, result in words:
        taken += result.outcome is Outcome.TAKEN
        reason = " ".join(result.reason.replace(";", ",").split())
        lines.append(f"{key};{STATUS[result.outcome]};{result.reference};{reason}")
    lines.append(f"={len(lines) - 1};{taken}")
    return "".join(f"{line}\r\n" for line in lines).encode(ENCODING, "replace")
