"""Writes a maket 80020 or 80040: the values of many points for one day, whole kWh with what rounding leaves over carried on."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_FLOOR, Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

import msgspec

from gateway.domain.readings import EXACT, IntervalBlock, MeterReading, Quality, Step
from gateway.mapping.maket_day import DAY, STEPS, Day, day_of, label
from gateway.mapping.maket_point import BARE, CHANNELS, GROUP, REGISTER

Encoding = Literal["windows-1251", "utf-8"]
Tag = Literal["measuringpoint", "accountpoint", "deliverypoint", "deliverygroup", "peretok"]
Carry = Mapping[tuple[str, str], Decimal]
"""What rounding has left over, by point and register: from -1/2 to less than 1/2."""

_CODES: Final = {register: code for code, register in CHANNELS.items()}
_WORDS: Final = {"01": "акт. прием", "02": "акт. отдача", "03": "реакт. прием", "04": "реакт. отдача"}
_MARKS: Final = {Quality.VALID: "", Quality.SUBSTITUTED: f' extendedstatus="{GROUP}"'}
_NOT_COUNTED: Final = ' status="1"'
"""Of any quality that does not count for settlement."""
_EMPTY: Final = '<value status="1"></value>'
_LEFT_OUT: Final = "<value>0</value>"
_NONE: Final[Carry] = MappingProxyType({})
_ZERO: Final = Decimal(0)
_HALF: Final = Decimal("0.5")
_QUOTED: Final = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
_UNSEEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML cannot hold."""


class Party(msgspec.Struct, frozen=True):
    """A sender or an area: its name and the number it goes by (`inn`)."""

    name: str
    inn: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a message says of itself. `number`: the sender's running number. `day`: of the data, in `zone`. `timestamp`: aware.

    `comment`: what nobody reads, empty for none.
    """

    number: str
    day: date
    zone: str
    sender: Party
    area: Party
    timestamp: datetime
    class_: Literal["80020", "80040"] = "80020"
    comment: str = ""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A point with its blocks of the day; a group or a flow has one, of A+. The code of a flow is `from>to`."""

    code: str
    blocks: tuple[IntervalBlock, ...]
    name: str = ""
    serial: str = ""
    tag: Tag = "measuringpoint"


class Written(msgspec.Struct, frozen=True):
    """A message and what is left over for the next day's."""

    body: bytes
    carry: dict[tuple[str, str], Decimal]


def file_name(facts: Facts) -> str:
    """`80020_INN_YYYYMMDD_NUMBER.xml`."""
    inn, number = (re.sub(r"[^0-9A-Za-z-]", "-", part) for part in (facts.sender.inn, facts.number))
    return f"{facts.class_}_{inn}_{facts.day:%Y%m%d}_{number}.xml"


def point_of(reading: MeterReading, day: date) -> Point:
    """The blocks of one day of a meter reading, as a flow where its code is `from>to`, else as a measuring point."""
    blocks = tuple(block for block in reading.blocks if block.day == day)
    return Point(code=reading.meter, blocks=blocks, tag="peretok" if ">" in reading.meter else "measuringpoint")


def write(
    facts: Facts, points: Iterable[Point], *, encoding: Encoding = "windows-1251", carry: Carry = _NONE, exact: bool = False
) -> Written:
    """The message, with CRLF. `carry`: what the message of the day before has left over. `exact`: do not round, for who takes decimals.

    On the day on which clocks are put back every period in summer time is marked `summer="1"`; the hour that spring leaves out is
    there with 0. Raises ValueError for a block that is of another day or length, of a register without a channel, or below zero.
    """
    left = dict(carry)
    zone = ZoneInfo(facts.zone)
    whole_day = day_of(facts.zone, facts.day, Step.HOUR)
    flag = 2 if not whole_day.regular else int(whole_day.slots[0].summer)
    lines = [
        f'<?xml version="1.0" encoding="{encoding}"?>',
        f'<message class="{facts.class_}" version="2" number={_quoted(facts.number)}>',
        *([f"<comment>{_text(facts.comment)}</comment>"] if facts.comment else []),
        "<datetime>",
        f"<timestamp>{facts.timestamp.astimezone(zone):%Y%m%d%H%M%S}</timestamp>",
        f"<daylightsavingtime>{flag}</daylightsavingtime>",
        f"<day>{facts.day:%Y%m%d}</day>",
        "</datetime>",
        f"<sender><name>{_text(facts.sender.name)}</name><inn>{_text(facts.sender.inn)}</inn></sender>",
        f"<area><name>{_text(facts.area.name)}</name><inn>{_text(facts.area.inn)}</inn>",
        *(line for point in points for line in _point(facts, point, left, exact=exact)),
        "</area>",
        "</message>",
        "",
    ]
    codec = "cp1251" if encoding == "windows-1251" else encoding
    return Written("\r\n".join(lines).encode(codec, "xmlcharrefreplace"), left)


def whole(values: Iterable[Decimal | None], carry: Decimal = _ZERO) -> tuple[list[Decimal | None], Decimal]:
    """Round to whole numbers and carry what is left over from one value to the next; the values, and what is left at the end.

    Of values that are not negative none becomes negative. With a carry from -1/2 to less than 1/2 the sum of any first values, the
    carry with them, differs from the sum of the rounded ones by -1/2 to less than 1/2. What is missing stays missing.
    """
    rounded: list[Decimal | None] = []
    for value in values:
        if value is None:
            rounded.append(None)
            continue
        there = EXACT.add(value, carry)
        number = EXACT.add(there, _HALF).to_integral_value(ROUND_FLOOR)
        carry = EXACT.subtract(there, number)
        rounded.append(number or _ZERO)
    return rounded, carry


def _point(facts: Facts, point: Point, left: dict[tuple[str, str], Decimal], *, exact: bool) -> Iterator[str]:
    bare = point.tag in BARE
    if point.tag == "peretok":
        start, _, end = point.code.partition(">")
        yield f"<peretok codefrom={_quoted(start)} codeto={_quoted(end)} name={_quoted(point.name)}>"
    else:
        serial = f" serial={_quoted(point.serial)}" if point.serial else ""
        yield f"<{point.tag} code={_quoted(point.code)} name={_quoted(point.name)}{serial}>"
    if len({block.register for block in point.blocks}) < len(point.blocks):
        raise ValueError(f"{point.code}: a register comes twice")
    for block in sorted(point.blocks, key=_channel):
        code = _channel(block)
        if bare and block.register != REGISTER:
            raise ValueError(f"{point.code}: {point.tag} has {REGISTER} only")
        if not bare:
            yield f'<measuringchannel code="{code}" desc="счетчик, {_WORDS[code]}">'
        place = (point.code, block.register)
        values: Sequence[Decimal | None] = block.values
        if any(value is not None and value < 0 for value in values):
            raise ValueError(f"{point.code}: a value below zero")
        if not exact:
            values, left[place] = whole(values, left.get(place, _ZERO))
        yield from _periods(facts, block, values)
        if not bare:
            yield "</measuringchannel>"
    yield f"</{point.tag}>"


def _channel(block: IntervalBlock) -> str:
    try:
        return _CODES[block.register]
    except KeyError:
        raise ValueError(f"{block.register}: no channel") from None


def _periods(facts: Facts, block: IntervalBlock, values: Sequence[Decimal | None]) -> Iterator[str]:
    if block.step not in STEPS or block.day != facts.day:
        raise ValueError(f"{block.day} {block.step}: another day or step")
    day = day_of(facts.zone, facts.day, block.step)
    if len(values) != len(day.slots):
        raise ValueError(f"{block.day}: {len(values)} values, {len(day.slots)} are wanted")
    frame = _frame(facts.zone, facts.day, block.step)
    if block.quality:
        told = [_value(value, quality) for value, quality in zip(values, block.quality, strict=True)]
    else:
        told = [f"<value>{value:f}</value>" if value is not None else _EMPTY for value in values]
    for period, place in frame:
        yield f"{period}{told[place] if place >= 0 else _LEFT_OUT}</period>"


@lru_cache(maxsize=64)
def _frame(zone: str, date_: date, step: Step) -> tuple[tuple[str, int], ...]:
    """The periods of a day as they are told, opened, each with the place of its value; -1 for one that spring leaves out."""
    day = day_of(zone, date_, step)
    minutes = day.slots[0].end - day.slots[0].start
    told = [(slot.start, _period(slot.start, slot.end, summer=_is_summer(day, place)), place) for place, slot in enumerate(day.slots)]
    if day.absent:
        told = sorted(told + [(start, _period(start, start + minutes), -1) for start in day.absent])
    return tuple((period, place) for _, period, place in told)


def _is_summer(day: Day, place: int) -> bool:
    """Whether a period is marked: on days on which an hour comes twice, all in summer time; always the first of two."""
    slot = day.slots[place]
    both = day.places[slot.start]
    return len(day.places) < len(day.slots) and (slot.summer or (len(both) > 1 and both[0] == place))


def _period(start: int, end: int, *, summer: bool = False) -> str:
    mark = ' summer="1"' if summer else ""
    return f'<period start="{label(start)}" end="{label(end % DAY)}"{mark}>'


def _value(value: Decimal | None, quality: Quality) -> str:
    if value is None:
        return _EMPTY
    return f"<value{_MARKS.get(quality, _NOT_COUNTED)}>{value:f}</value>"


def _text(text: str) -> str:
    return escape(_UNSEEN.sub("\ufffd", text))


def _quoted(text: str) -> str:
    inner = escape(_UNSEEN.sub("\ufffd", text), _QUOTED)
    return f'"{inner}"'
