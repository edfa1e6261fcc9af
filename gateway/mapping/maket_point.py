"""One point of a maket: its channels read into blocks of a local day, with everything that is wrong by its period."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

import msgspec
from lxml import etree

from gateway.domain.intervals import MINUTES
from gateway.domain.problems import Problem, Severity
from gateway.domain.readings import IntervalBlock, Quality, Step, written
from gateway.mapping import Envelope
from gateway.mapping.cells import CellError, number, text_code
from gateway.mapping.maket_day import DAY, STEPS, Day, day_of, minute, whole_day

CHANNELS: Final = {"01": "A+", "02": "A-", "03": "R+", "04": "R-"}
"""Codes of channels; what is written in `desc` beside them differs from maker to maker and is not looked at."""
REGISTER: Final = "A+"
"""What a group of deliveries and a flow are counted in: they have no channels."""
CHANNELLED: Final = ("measuringpoint", "accountpoint", "deliverypoint")
BARE: Final = ("deliverygroup", "peretok")
GROUP: Final = "1114"
"""extendedstatus: the value of the point is replaced by that of a group (bypass breaker)."""
_EXTENDED: Final = ("extendedstatus", "exstendedstatus")
"""Some makers spell it so."""

_POINTS: Final = bytes.maketrans(b",;", b".,")
_SHOWN: Final = 40


class Part(msgspec.Struct, frozen=True, gc=False):
    """What one document says of a point: its code as written, its place, and, of each channel without a mistake, a block.

    `uncertain`: how many of its values must not be used for settlement.
    """

    code: str
    where: str
    blocks: tuple[IntervalBlock, ...]
    problems: tuple[Problem, ...]
    uncertain: int = 0


class Points:
    """Reads the points of one message, all of one day."""

    def __init__(self, day: date, envelope: Envelope) -> None:
        """`envelope`: its zone says which periods the day has."""
        self.day, self.envelope = day, envelope
        self.days = {step: day_of(envelope.zone, day, step) for step in STEPS}
        self.regular = [(step, whole_day(step).fullmatch) for step, known in self.days.items() if known.regular]

    def read(self, element: "etree._Element", where: str) -> Part:
        """Everything that a point says."""
        problems: list[Problem] = []
        code = _code(element, where, problems)
        blocks: list[IntervalBlock] = []
        uncertain = 0
        for holder, register, place in self._holders(element, where, problems):
            channel = Channel(self, holder, register, place)
            problems += channel.problems
            blocks += [channel.block] if channel.block is not None else []
            uncertain += channel.uncertain
        if not blocks and not any(problem.severity is Severity.ERROR for problem in problems):
            problems.append(Problem(code="value_missing", where=where))
        return Part(code, where, tuple(blocks), tuple(problems), uncertain)

    def _holders(self, element: "etree._Element", where: str, problems: list[Problem]) -> Iterator[tuple["etree._Element", str, str]]:
        """What holds periods in a point, with its register and its place; what else stands there is told."""
        bare = element.tag in BARE
        if bare and element.find("period") is not None:
            yield element, REGISTER, where
        told: set[str] = set()
        for index, channel in enumerate(element.iterchildren("measuringchannel"), 1):
            code = (channel.get("code") or "").strip()
            named = f"@code='{code}'" if code.isalnum() and len(code) < _SHOWN and code not in told else str(index)
            place = f"{where}/measuringchannel[{named}]"
            told.add(code)
            register = CHANNELS.get(code.zfill(2))
            if register is not None:
                yield channel, register, place
            else:
                values = {"channel": code[:_SHOWN]}
                problems.append(Problem(code="maket_channel_unknown", where=place, severity=Severity.WARNING, values=values))
        problems += _others(element, {"measuringchannel", *(("period",) if bare else ())}, where)


class Channel:
    """The periods of one channel: `block` when nothing is wrong with them, `uncertain` values in it."""

    def __init__(self, points: Points, holder: "etree._Element", register: str, where: str) -> None:
        """Read it: at one look where it is a regular day of plain values, period by period where it is anything else."""
        self.points, self.register, self.where = points, register, where
        self.problems: list[Problem] = []
        self.uncertain = 0
        self.block = self._at_once(holder) or self._slowly(holder)

    def _at_once(self, holder: "etree._Element") -> IntervalBlock | None:
        if not self.points.regular:
            return None
        text = etree.tostring(holder, with_tail=False)
        for step, regular in self.points.regular:
            found = regular(text)
            if found is not None:
                return self._block(step, b";".join(found.groups()).translate(_POINTS).decode("ascii"))
        return None

    def _slowly(self, holder: "etree._Element") -> IntervalBlock | None:
        periods = [child for child in holder if child.tag == "period"]
        if not periods:
            self._object("value_missing", self.where, Severity.WARNING)
            return None
        if holder.tag not in BARE:
            self.problems += _others(holder, {"period"}, self.where)
        labels = [(minute(period.get("start")), minute(period.get("end"))) for period in periods]
        day = self.points.days[_step_of(labels)]
        values: list[Decimal | None] = [None] * len(day.slots)
        qualities = [Quality.MISSING] * len(day.slots)
        last = -1
        for index, (period, (start, _), place) in enumerate(zip(periods, labels, _places(periods, labels, day), strict=True), 1):
            where = f"{self.where}/period[{index}]"
            if place < 0 and start in day.absent:
                self._absent(period, where)
            elif place <= last:
                self._period("maket_period_invalid" if place < 0 else "maket_period_unordered", period, where)
            else:
                last = place
                values[place], qualities[place] = self._value(period, where)
        if any(problem.severity is Severity.ERROR for problem in self.problems):
            return None
        self.uncertain = qualities.count(Quality.NONCOMMERCIAL)
        valid = all(quality in (Quality.VALID, Quality.MISSING) for quality in qualities)
        return self._block(day.step, written(values), () if valid else tuple(qualities))

    def _value(self, period: "etree._Element", where: str) -> tuple[Decimal | None, Quality]:
        """A value and how it came to be; none where nothing is to be had, and what is wrong is told."""
        found = [child for child in period if child.tag == "value"]
        if len(found) > 1 or (found and len(found[0])):
            self.problems.append(_misplaced(found[-1], f"{where}/value[{len(found)}]", Severity.ERROR))
            return None, Quality.MISSING
        text, status = "", ""
        if found:
            text, status = (found[0].text or "").strip(), (found[0].get("status") or "0").strip()
        if not text:
            if status != "1":
                self._object("maket_value_missing", where)
            return None, Quality.MISSING
        try:
            value = number(text)
        except CellError as error:
            self.problems.append(error.at(where))
            return None, Quality.MISSING
        if value < 0:
            told = f"{self.points.day:%d.%m.%Y}"
            self._object("interval_negative", where, value=f"{value:f}", day=told, register=self.register)
        return value, self._quality(found[0], status, where)

    def _quality(self, value: "etree._Element", status: str, where: str) -> Quality:
        """Status 1 outweighs a replacement: such a value settles nothing, whoever's it is."""
        if status == "1":
            return Quality.NONCOMMERCIAL
        if status != "0":
            self._object("maket_status_unknown", where, Severity.WARNING, value=status[:_SHOWN])
            return Quality.UNKNOWN
        replaced = any((value.get(name) or "").strip() == GROUP for name in _EXTENDED)
        return Quality.SUBSTITUTED if replaced else Quality.VALID

    def _absent(self, period: "etree._Element", where: str) -> None:
        """A period that spring leaves out: makers write 0 there, which is nothing; any other value is one too many."""
        if "".join(map(str, period.itertext())).strip() and self._value(period, where)[0]:
            self._object("hour_nonexistent", where, moment=f"{self.points.day:%d.%m.%Y} {(period.get('start') or '').strip()}")

    def _block(self, step: Step, values: str, quality: tuple[Quality, ...] = ()) -> IntervalBlock:
        return IntervalBlock(
            register=self.register,
            step=step,
            day=self.points.day,
            written=values,
            quality=quality,
            ratio_applied=True,
            losses_applied=self.points.envelope.losses_applied,
            where=self.where,
        )

    def _period(self, code: str, period: "etree._Element", where: str) -> None:
        start, end = ((period.get(name) or "")[:_SHOWN] for name in ("start", "end"))
        self._object(code, where, start=start, end=end)

    def _object(self, code: str, where: str, severity: Severity = Severity.ERROR, **values: str) -> None:
        self.problems.append(Problem(code=code, where=where, severity=severity, values=values))


def _code(element: "etree._Element", where: str, problems: list[Problem]) -> str:
    """The code of a point; a flow goes from one code to another."""
    names = ("codefrom", "codeto") if element.tag == "peretok" else ("code",)
    codes = [(element.get(name) or "").strip() for name in names]
    code = ">".join(codes)
    if not all(codes):
        problems.append(Problem(code="meter_missing", where=where))
        return ""
    try:
        return text_code(code)
    except CellError as error:
        problems.append(error.at(where))
        return code[:_SHOWN]


def _others(element: "etree._Element", known: Container[str], where: str) -> Iterable[Problem]:
    """The first child that is none of the known ones is told, so that nobody thinks that it was read."""
    other = next((child for child in element if child.tag not in known), None)
    return [] if other is None else [_misplaced(other, f"{where}/{str(other.tag)[:_SHOWN]}[1]")]


def _misplaced(element: "etree._Element", where: str, severity: Severity = Severity.WARNING) -> Problem:
    return Problem(code="maket_misplaced", where=where, severity=severity, values={"element": str(element.tag)[:_SHOWN]})


def _step_of(labels: Sequence[tuple[int | None, int | None]]) -> Step:
    """The length that most periods have; the longer one where that is no answer."""
    lengths = Counter((end - start) % DAY for start, end in labels if start is not None and end is not None)
    return max(STEPS, key=lambda step: (lengths[MINUTES[step]], MINUTES[step]))


def _places(periods: Sequence["etree._Element"], labels: Sequence[tuple[int | None, int | None]], day: Day) -> Iterator[int]:
    """The place of each period in the day, -1 where it has none.

    Of two periods that begin at the same minute in autumn `summer` says which is the first, else their order; one alone without it is
    the second.
    """
    times = Counter(start for start, _ in labels)
    marked = {start for period, (start, _) in zip(periods, labels, strict=True) if _is_summer(period)}
    met: set[int] = set()
    for period, (start, end) in zip(periods, labels, strict=True):
        places = day.places.get(start, ()) if start is not None else ()
        if start is None or end is None or not places or (end - start) % DAY != MINUTES[day.step]:
            yield -1
        elif _is_summer(period) or (start not in marked and start not in met and times[start] > 1):
            met.add(start)
            yield places[0]
        else:
            yield places[-1]


def _is_summer(period: "etree._Element") -> bool:
    return (period.get("summer") or "").strip() == "1"
