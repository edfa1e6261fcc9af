"""What each column of a sample is: by the words of its header first, then by what stands in it; what stays open is asked."""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import combinations, permutations
from typing import Final, cast

import msgspec

from gateway.domain.mappings import Field
from gateway.domain.readings import EXACT
from gateway.mapping.cells import Cell, CellError, cell_code
from gateway.mapping.mapped.infer_columns import Column, Kind, never_falls
from gateway.mapping.mapped.infer_table import Sample
from gateway.mapping.mapped.infer_words import measured, words, zone_of

CODES: Final[tuple[Field, ...]] = ("meter", "agreement", "point", "location", "row_key")
_WORDY: Final[tuple[Field, ...]] = ("register", "quantity", "zone")
_KINDS: Final[dict[Field, frozenset[Kind]]] = {
    **dict.fromkeys(CODES, cast("frozenset[Kind]", frozenset({"code", "number", "mixed"}))),
    **dict.fromkeys(_WORDY, cast("frozenset[Kind]", frozenset({"word", "code", "mixed", "number"}))),
    "period": frozenset({"month", "day", "number", "code"}),
    "day": frozenset({"day", "month"}),
    "clock": frozenset({"clock", "number", "day"}),
}
_LEAST: Final = 0.45
_SEVERAL: Final = 3
_FEW: Final = 12
_A_DIAL: Final = 0.7


class Choice(msgspec.Struct, frozen=True):
    """One key of the proposal: how sure it is, 0 to 1, and why in a short sentence."""

    key: str
    sure: float
    why: str


class Question(msgspec.Struct, frozen=True):
    """What the sample does not decide: the key it is about, and the question."""

    key: str
    text: str


class Told:
    """The choices and questions of a proposal as they are found. `unread`: the columns that are not read, and what each looks like."""

    def __init__(self) -> None:
        """Nothing is chosen yet."""
        self.choices: dict[str, Choice] = {}
        self.questions: list[Question] = []
        self.unread: list[str] = []

    def say(self, key: str, sure: float, why: str) -> None:
        """Choose."""
        self.choices[key] = Choice(key, sure, why)

    def ask(self, key: str, text: str) -> None:
        """Leave open, or doubt what was chosen."""
        self.questions.append(Question(key, text))


class Roles:
    """The columns by what they are.

    `meters`: further columns of meters, where a row may hold several. `passed`: the places of those that no mapping reads, and what they
    look like.
    """

    def __init__(self, sample: Sample, told: Told) -> None:
        """Look at every column."""
        self.sample, self.told = sample, told
        self.fields: dict[Field, Column] = {}
        self.meters: list[Column] = []
        self.values: list[Column] = []
        self.previous: list[Column] = []
        self.amounts: list[Column] = []
        self.numbers: list[Column] = []
        self.passed: dict[int, str] = {}
        self.across = _across(sample)
        rest = list(self._numeric())
        rest = list(self._by_words(rest))
        self._by_content(rest)
        if self.across and ("day" not in self.fields or self.fields.keys() & {"meter", "point"}):
            self.numbers += self.across
            self.across = []
        self._pairs()

    def _numeric(self) -> Iterator[Column]:
        """Sort out the columns of values by what their headers say; the others are yielded."""
        for column in self.sample.columns:
            told, shape = column.said, column.shape
            if column in self.across:
                continue
            whose = max((told.fields.get(field, 0.0) for field in (*CODES, "period", "clock")), default=0.0)
            named = max(told.fields.get("value", 0.0), told.fields.get("previous", 0.0))
            if shape.kind == "empty" and not (named >= _LEAST or told.register):
                continue
            if told.other and not (told.reading and named > _LEAST):
                self.passed[column.place] = told.other
            elif _is_running(column):
                self.passed[column.place] = "a running number"
            elif not _is_numeric(column) or (whose >= _LEAST and whose > named and not told.unit and not told.reading):
                yield column
            elif told.before or told.fields.get("previous", 0.0) >= _A_DIAL:
                self.previous.append(column)
            elif told.amount and not (told.reading or told.now):
                self.amounts.append(column)
            elif named >= _LEAST or told.reading or told.now or told.unit or told.quantity or told.zone is not None:
                self.values.append(column)
            else:
                yield column

    def _by_words(self, columns: Sequence[Column]) -> Iterator[Column]:
        """Give fields to the columns whose headers say them best, when their cells can be that; the others are yielded."""
        wanted = [
            (score, -column.place, field, column)
            for column in columns
            for field, score in column.said.fields.items()
            if score >= _LEAST and column.shape.kind in _KINDS.get(field, frozenset()) and not (field == "zone" and not column.shape.whole)
        ]
        taken: set[int] = set()
        best: dict[Field, float] = {}
        for score, _, field, column in sorted(wanted, key=lambda one: one[:3], reverse=True):
            if column.place in taken:
                continue
            if field in self.fields:
                if field == "meter" and score == best["meter"]:
                    taken.add(column.place)
                    self.meters.append(column)
                elif score > _A_DIAL:
                    self.told.ask(f"columns.{field}", f"{column.title} may be it as well as {self.fields[field].title}: which one is it?")
                continue
            taken.add(column.place)
            self.fields[field], best[field] = column, score
            self.told.say(f"columns.{field}", min(0.98, 0.55 + 0.45 * score), f"its header {column.title} says so{_cells(column)}")
        yield from (column for column in columns if column.place not in taken)

    def _by_content(self, columns: Sequence[Column]) -> None:
        """Tell the remaining columns by what stands in them."""
        left = [column for column in columns if column.place not in self.passed]
        for field, kind in (("day", "day"), ("period", "month"), ("clock", "clock")):
            left = self._only(cast("Field", field), [column for column in left if column.shape.kind == kind], left)
        for field, means in (("quantity", _names_quantity), ("zone", lambda text: zone_of(words(text)) is not None)):
            fits = [column for column in left if _all_mean(column, means)]
            left = self._only(cast("Field", field), fits, left)
        left = self._whose(left)
        numbers = [column for column in left if column.shape.kind == "number"]
        self.numbers = [column for column in numbers if not _is_code(column)] or numbers
        self.passed |= {column.place: "" for column in left if column not in self.numbers}

    def _only(self, field: Field, fits: list[Column], left: list[Column]) -> list[Column]:
        if field in self.fields or not fits:
            return left
        if len(fits) > 1:
            names = ", ".join(column.title for column in fits)
            self.told.ask(f"columns.{field}", f"the columns {names} look alike: which of them is `{field}`?")
        self.fields[field] = fits[0]
        self.told.say(f"columns.{field}", 0.75 if len(fits) == 1 else 0.4, f"by its cells{_cells(fits[0])}")
        return [column for column in left if column is not fits[0]]

    def _whose(self, left: list[Column]) -> list[Column]:
        """The column of codes that nothing else claims: the meter, when no column is it yet."""
        if self.fields.keys() & {"meter", "point"}:
            return left
        several = [column for column in left if column.shape.kind == "code" or (column.shape.kind == "number" and _is_code(column))]
        if not several:
            return left
        best = max(several, key=lambda column: (column.shape.zeros or column.shape.kind == "code", column.shape.distinct, column.place))
        self.fields["meter"] = best
        sure = 0.6 if len(several) == 1 or self.sample.header >= 0 else 0.4
        self.told.say("columns.meter", sure, f"by its cells{_cells(best)}")
        others = [column for column in several if column is not best]
        if len(others) == 1 and "agreement" not in self.fields:
            self.fields["agreement"] = others[0]
            self.told.say("columns.agreement", 0.5, f"codes beside those of the meters{_cells(others[0])}")
        if others or sure < 0.5 or self.sample.header < 0:
            names = ", ".join(column.title for column in others)
            self.told.ask(
                "columns.meter", f"is {best.title} the meter's number?" + (f" {names} may be it, or the agreement." if names else "")
            )
        return [column for column in left if column not in self.fields.values()]

    def _pairs(self) -> None:
        """Tell a reading from the one before it by the numbers: a third column is their difference, or one is nowhere below the other."""
        if not self.values and len(self.numbers) > 1:
            several = self.numbers
        elif len(self.values) == 2 and not (self.previous or self.meters) and self.values[0].said.register == self.values[1].said.register:
            several = self.values
            if any(column.said.zone is not None for column in several):
                return
        else:
            return
        found = _with_difference(several, [*several, *self.amounts])
        if found is not None:
            before, now, amount = found
            self._as_pair(before, now, 0.9, f"{amount.title} is {now.title} less {before.title}")
            self.passed[amount.place] = "the difference of the readings"
            self.numbers = [column for column in self.numbers if column is not amount]
        elif (pair := _rising(several)) is not None:
            before, now = pair
            self._as_pair(before, now, 0.7, f"{now.title} is nowhere below {before.title}")
            if not (before.said.before or now.said.now):
                self.told.ask("columns.previous", f"is {before.title} the reading before and {now.title} the one now? It is never below.")
        self.numbers = [column for column in self.numbers if column not in (*self.values, *self.previous)]

    def _as_pair(self, before: Column, now: Column, sure: float, why: str) -> None:
        self.previous, self.values = [before], [now]
        self.told.say("columns.previous", sure, why)
        self.told.say("columns.value", sure, why)


def _with_difference(several: Sequence[Column], amounts: Sequence[Column]) -> tuple[Column, Column, Column] | None:
    """Two columns and a third that is the second less the first in every row, and not always nothing."""
    for before, now in permutations(several, 2):
        for amount in amounts:
            rows = [one for one in zip(before.shape.numbers, now.shape.numbers, amount.shape.numbers, strict=True) if None not in one]
            if amount not in (before, now) and len(rows) >= _SEVERAL and _adds_up(rows):
                return before, now, amount
    return None


def _adds_up(rows: Sequence[tuple[Decimal | None, ...]]) -> bool:
    told = [(before or Decimal(0), now or Decimal(0), amount or Decimal(0)) for before, now, amount in rows]
    exact = all(EXACT.add(before, amount) == now for before, now, amount in told)
    return exact and any(amount for *_, amount in told) and any(before for before, *_ in told)


def _rising(several: Sequence[Column]) -> tuple[Column, Column] | None:
    """The first two columns of which one is nowhere below the other, and somewhere above it."""
    for one, two in combinations(several, 2):
        for before, now in ((one, two), (two, one)):
            rows, above, grows = never_falls(before.shape.numbers, now.shape.numbers)
            if rows >= _SEVERAL and grows and above and now.said.now >= before.said.now and _near(before, now):
                return before, now
    return None


def _near(before: Column, now: Column) -> bool:
    """Whether most of the numbers have not doubled: a dial moves little in a month."""
    both = [(one, two) for one, two in zip(before.shape.numbers, now.shape.numbers, strict=True) if one is not None and two is not None]
    return 2 * sum(2 * one >= two for one, two in both) > len(both)


def _is_numeric(column: Column) -> bool:
    shape = column.shape
    filled = sum(one is not None for one in shape.numbers)
    return shape.kind in ("number", "empty") or (shape.kind in ("mixed", "code") and filled * 3 >= shape.filled * 2 and _says_value(column))


def _says_value(column: Column) -> bool:
    told = column.said
    return told.reading or told.before or told.now or told.amount or bool(told.unit) or bool(told.register)


def _across(sample: Sample) -> list[Column]:
    """The columns whose headers are numbers of meters: the same words or none about several digits, and numbers below."""
    if sample.header < 0:
        return []
    head = sample.table.rows[sample.header]
    told = {column.place: meter_code(head[column.place]) for column in sample.columns if column.place < len(head)}
    found = [column for column in sample.columns if told.get(column.place) and column.shape.kind in ("number", "mixed")]
    alike = {re.sub(r"[0-9]", "", column.own) for column in found}
    return found if len(alike) == 1 or all(len(one) < _SEVERAL for one in alike) else []


def meter_code(cell: Cell) -> str:
    """The number of a meter that a header's cell is, as it is written: hardly anything but digits, or digits behind «ПУ»."""
    try:
        code = cell_code(cell)
    except CellError:
        return ""
    digits = sum(map(str.isdigit, code))
    return code if digits >= _SEVERAL and digits * 2 >= len(code.replace(" ", "")) else ""


def _is_running(column: Column) -> bool:
    """1, 2, 3 down the rows."""
    numbers = [one for one in column.shape.numbers if one is not None]
    return len(numbers) >= _SEVERAL and not column.shape.zeros and all(one == place for place, one in enumerate(numbers, 1))


def _is_code(column: Column) -> bool:
    """Whole numbers of one or two lengths, of four digits or more."""
    if not column.shape.whole or _says_value(column):
        return False
    try:
        sizes = {len(cell_code(cell)) for cell in column.cells if cell != ""}
    except CellError:
        return False
    return bool(sizes) and min(sizes) >= 4 and len(sizes) <= 3


def _names_quantity(text: str) -> bool:
    """Whether a text says what is measured and bears no number of its own."""
    return bool(measured(text)) and not any(map(str.isdigit, text))


def _all_mean(column: Column, means: object) -> bool:
    """Whether every cell says a register, or a zone, and there are few different ones."""
    told = {str(cell).strip() for cell in column.cells if cell != ""}
    return 0 < len(told) <= _FEW and column.shape.kind in ("word", "code", "mixed") and callable(means) and all(means(one) for one in told)


def _cells(column: Column) -> str:
    """What stands in a column, for the sentence about it."""
    shape = column.shape
    what = {"code": "codes", "number": "numbers", "day": "days", "month": "months", "clock": "hours", "word": "words"}.get(shape.kind, "")
    if not what:
        return ""
    told = [what]
    told += ["with leading zeros"] if shape.zeros else []
    if shape.filled > _SEVERAL and shape.kind in ("code", "number", "word"):
        told += ["every one different"] if shape.distinct == shape.filled else [f"{shape.distinct} different ones in {shape.filled} rows"]
    return f"; it holds {', '.join(told)}"
