"""A reading that was judged, judged once more by another rulebook: what a changed profile would mean for what has come already."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from gateway.domain.calendars import WEEKDAYS, Calendar
from gateway.domain.judging import judge
from gateway.domain.mappings import version_of
from gateway.domain.profile import Profile
from gateway.domain.readings import MeterReading, Reading
from gateway.domain.sources import Source, Told
from gateway.domain.status import ReadingStatus
from gateway.domain.supply import Meter, Register
from gateway.domain.windows import period_end


class Rulebook(msgspec.Struct, frozen=True):
    """A profile with the calendar that it names."""

    profile: Profile
    calendar: Calendar = WEEKDAYS


class Past(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A reading as it was judged: its values, when it came, in which format, who read it and for which period it was counted.

    `previous`: by register, the value that it was compared with, None where there was none.
    """

    id: UUID
    period: str
    at: datetime
    arrival: datetime
    format: str
    source: Source
    readings: tuple[Reading, ...]
    previous: Mapping[str, Decimal | None]


class Verdict(msgspec.Struct, frozen=True):
    """How a rulebook judges a reading, and which period it counts for."""

    status: ReadingStatus
    period: str


def verdict(past: Past, meter: Meter, book: Rulebook) -> Verdict:
    """Judge a reading as if it came now as it came then, on registers that stand as they stood before it.

    An instant that only follows from its arrival or its period follows from it anew, as the rulebook says.
    """
    given = past.at not in (past.arrival, period_end(past.period, book.profile.zone))
    new = MeterReading(meter=meter.serial, readings=past.readings, period=past.period, at=past.at if given else None)
    judged = judge(new, _before(meter, past), book.profile, past.arrival, calendar=book.calendar, told=Told(source=past.source))
    accepted = version_of(past.format)[0] in book.profile.formats
    return Verdict(judged.status if accepted else ReadingStatus.REJECTED, judged.period)


def _before(meter: Meter, past: Past) -> Meter:
    return msgspec.structs.replace(meter, registers=tuple(_stood(register, past) for register in meter.registers))


def _stood(register: Register, past: Past) -> Register:
    """A register as it stood before the reading; the day of its last value is known only where the reading is its newest one."""
    last = past.previous.get(register.code)
    at = register.before_at if register.last_reading == past.id else None
    return msgspec.structs.replace(register, last=last, last_at=at, last_period="", last_reading=None, before=None, before_at=None)


def told_otherwise(pasts: Sequence[tuple[Past, Meter, ReadingStatus]], was: Rulebook, now: Rulebook) -> "Retrial":
    """Judge readings by the old rulebook and by the new one and count those that would fare otherwise.

    A reading that even the old rulebook does not judge as it was judged then had other reasons, and nothing is said of it.
    """
    other: dict[tuple[str, str], int] = {}
    untold = same = 0
    for past, meter, status in pasts:
        before = verdict(past, meter, was)
        if before.status is not status:
            untold += 1
            continue
        after = verdict(past, meter, now)
        if after == before:
            same += 1
        else:
            told = (str(before.status), str(after.status)) if after.status is not before.status else (before.period, after.period)
            other[told] = other.get(told, 0) + 1
    return Retrial(same=same, other=other, untold=untold)


class Retrial(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `other`: how many would go from one verdict or period to another; `untold`: of how many nothing can be said."""

    same: int
    other: Mapping[tuple[str, str], int]
    untold: int
