"""The text file of a legacy billing: rows in an old code page above a control row, and its acknowledgement read back row by row."""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from gateway.domain.readings import EXACT
from gateway.outbound import Answer, Item, Outcome, Value

FIELDS: Final = (
    *("key", "agreement", "point", "meter", "period", "at", "revision"),
    *("register", "value", "unit", "previous", "consumption", "quality", "volume"),
)
"""What a column may hold."""
ENCODINGS: Final = ("cp1251", "cp866", "koi8-r", "utf-8")
FORMULA: Final = tuple("=+-@＝＋－＠'")
"""A text that begins so gets an apostrophe before it: no spreadsheet takes it for a formula, no reader for a control row."""
WORDS: Final = {"OK": "taken", "ERROR": "refused", "LATER": "later"}
_BREAKS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST: Final = 1000


class Unwritable(Exception):  # noqa: N818 - says what is wrong with an item
    """A code of an item cannot be written as it is, and another one would be another meter's."""


class Unbelievable(Exception):  # noqa: N818 - says what is wrong with a file
    """An acknowledgement that is half written, lies in its control row, or is no acknowledgement at all."""


class Word(msgspec.Struct, frozen=True):
    """Billing's word on one row, with the line it stands in."""

    key: str
    outcome: Outcome
    number: str
    reason: str
    line: str


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is written and its acknowledgement read; the fields are the target's settings of the same names."""

    encoding: str
    delimiter: str
    decimal: str
    columns: Mapping[str, str]
    header: bool
    control: bool
    codes: Mapping[str, str]
    words: Mapping[str, str]
    zone: str

    def __post_init__(self) -> None:
        """Raises ValueError naming the setting that cannot be."""
        if self.encoding not in ENCODINGS:
            raise ValueError(f"encoding: one of {', '.join(ENCODINGS)} is wanted")
        if self.delimiter not in (";", "|", "\t", ","):
            raise ValueError("delimiter: one of ; | , or a tab is wanted")
        if self.decimal not in (",", ".") or self.decimal == self.delimiter:
            raise ValueError("decimal: a comma or a point is wanted, and not the delimiter")
        try:
            ZoneInfo(self.zone)
        except (ValueError, OSError, ZoneInfoNotFoundError) as error:
            raise ValueError(f"zone: {self.zone!r} is not an IANA time zone") from error
        self._check_columns()
        if strange := [word for word in self.words.values() if word not in {"taken", "refused", "later", "pending"}]:
            raise ValueError(f"words: {strange[0]!r} is none of taken, refused, later, pending")
        if not {"taken", "refused"} <= set(self.words.values()) or "" in self.words:
            raise ValueError("words: at least one for taken and one for refused is wanted")

    def write(self, items: Iterable[Item]) -> tuple[bytes, dict[str, str]]:
        """The file that holds the items, one row a register value, and for each item that it cannot hold the reason. No bytes: no rows."""
        refused: dict[str, str] = {}
        rows: list[str] = []
        total = Decimal(0)
        for item in items:
            try:
                rows += [self._row(item, value) for value in item.values]
            except Unwritable as reason:
                refused[item.key] = str(reason)
                continue
            if not item.values:
                refused[item.key] = "no_values"
            for value in item.values:
                total = EXACT.add(total, value.value)
        if not rows:
            return b"", refused
        lines = [self.delimiter.join(self.columns)] if self.header else []
        lines += rows
        if self.control:
            lines.append(f"={len(rows)}{self.delimiter}{self._number(total)}")
        return "".join(f"{line}\r\n" for line in lines).encode(self.encoding), refused

    def read(self, raw: bytes) -> tuple[Word, ...]:
        """Every row of an acknowledgement. Raises Unbelievable, saying why none of it counts."""
        try:
            text = raw.decode("utf-8-sig" if self.encoding == "utf-8" else self.encoding)
        except UnicodeDecodeError as error:
            raise Unbelievable(f"not {self.encoding}") from error
        # Programs of the DOS age end a text with Ctrl-Z, others with an empty line.
        *lines, last = [line.removesuffix("\r") for line in text.rstrip("\r\n\x1a").split("\n")]
        control = re.fullmatch(rf"=([0-9]{{1,9}}){re.escape(self.delimiter)}([0-9]{{1,9}})", last)
        if control is None:
            raise Unbelievable("no control row at its end")
        names = {"key", *(header.lower() for header, field in self.columns.items() if field == "key")}
        if lines and lines[0].split(self.delimiter)[0].strip().lower() in names:
            del lines[0]
        outcomes = {word.upper(): Outcome(outcome) for word, outcome in self.words.items()}
        words = tuple(self._word(line, outcomes) for line in lines)
        taken = sum(word.outcome is Outcome.TAKEN for word in words)
        if (len(words), taken) != (int(control[1]), int(control[2])):
            raise Unbelievable(f"its control row says {control[1]} rows and {control[2]} taken, it has {len(words)} and {taken}")
        return words

    def _check_columns(self) -> None:
        fields = list(self.columns.values())
        if strange := [field for field in fields if field not in FIELDS]:
            raise ValueError(f"columns: no field {strange[0]!r}, there are {', '.join(FIELDS)}")
        if len(set(fields)) < len(fields) or not {"key", "register", "value"} <= set(fields):
            raise ValueError("columns: key, register and value are wanted, and no field twice")
        for setting, texts in (("columns", self.columns), ("codes", self.codes.values())):
            for text in texts:
                if not text or text.startswith(FORMULA) or not self._holds(text):
                    raise ValueError(f"{setting}: {text!r} cannot be written")
        if len(set(self.codes.values())) < len(self.codes):
            raise ValueError("codes: two registers share a code")

    def _row(self, item: Item, value: Value) -> str:
        cells: dict[str, str | Decimal | None] = {
            "key": item.key,
            "agreement": item.agreement,
            "point": item.point,
            "meter": item.meter,
            "period": item.period,
            "at": item.at.astimezone(ZoneInfo(self.zone)).isoformat(),
            "revision": Decimal(item.revision),
            "register": self.codes.get(value.register, value.register),
            "value": value.value,
            "unit": value.unit,
            "previous": value.previous,
            "consumption": value.consumption,
            "quality": value.quality.value,
            "volume": Decimal(value.volume),
        }
        return self.delimiter.join(self._cell(field, cells[field]) for field in self.columns.values())

    def _cell(self, field: str, cell: str | Decimal | None) -> str:
        if not isinstance(cell, str):
            return "" if cell is None else self._number(cell)
        marked = cell.startswith(FORMULA)
        if not self._holds(cell) or (field == "key" and (marked or not cell)):
            raise Unwritable(f"{field}_unwritable: {_plain(cell)}")
        return f"'{cell}" if marked else cell

    def _holds(self, text: str) -> bool:
        try:
            text.encode(self.encoding)
        except UnicodeEncodeError:
            return False
        return self.delimiter not in text and not _BREAKS.search(text)

    def _number(self, value: Decimal) -> str:
        return format(value, "f").replace(".", self.decimal)

    def _word(self, line: str, outcomes: Mapping[str, Outcome]) -> Word:
        key, status, number, reason = (*(cell.strip() for cell in line.split(self.delimiter, 3)), "", "", "")[:4]
        outcome = outcomes.get(status.upper())
        if not key or outcome is None:
            raise Unbelievable(f"a row that is none: {_plain(line)[:80]!r}")
        return Word(key, outcome, _plain(number)[:200], _plain(reason), _plain(line))


def answer(item: Item, words: Sequence[Word], rows: int) -> Answer | None:
    """The word on an item from the words on its rows, which stand in the order of its values; None while that is no final word.

    `rows`: how many rows the item had in the file.

    One refused row refuses the item, and the reason says which register; taken or put off it is only when every row is. What billing
    puts off it does not hold: it is unknown there and may be sent again.
    """
    outcomes = {word.outcome for word in words}
    if not words or len(words) > rows:
        return None
    if Outcome.REFUSED in outcomes:
        told = len(words) == len(item.values) == rows > 1
        reasons = [
            f"{value.register}: {word.reason or 'refused'}" if told else word.reason
            for value, word in zip(item.values, words, strict=False)
            if word.outcome is Outcome.REFUSED
        ]
        return Answer(key=item.key, outcome=Outcome.REFUSED, reason="; ".join(reasons)[:_LONGEST])
    if len(words) < rows or len(outcomes) > 1 or Outcome.PENDING in outcomes:
        return None
    numbers = dict.fromkeys(word.number for word in words if word.number)
    if Outcome.LATER in outcomes:
        return Answer(key=item.key, outcome=Outcome.UNKNOWN, reason=words[0].reason)
    return Answer(key=item.key, outcome=Outcome.TAKEN, reference=", ".join(numbers)[:200])


def _plain(text: str) -> str:
    """Foreign text that a database and a page can hold."""
    return _BREAKS.sub(" ", text)[:_LONGEST]
