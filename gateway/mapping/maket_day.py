"""The periods of one local day as the makets of the ATS label them: which there are, which come twice, which the clock leaves out."""

import re
from datetime import date, datetime, time
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from gateway.domain.intervals import MINUTES, expected
from gateway.domain.readings import Step

STEPS: Final = (Step.HALF_HOUR, Step.HOUR)
"""Lengths that a period of a maket has."""
DAY: Final = 1440
"""Minutes on the face of a clock."""

_label: Final = re.compile(r"\s*([01][0-9]|2[0-3])([0-5][0-9])\s*|\s*(2400)\s*").fullmatch
_BLANKS: Final = r"\s*+"
_NUMBER: Final = r"(?!0[.,]0++<)(?:0|[1-9][0-9]{0,14}+)(?:[.,][0-9]{1,6}+)?+"
"""A value as a block carries it, but for its comma."""
_VALUE: Final = f'<value(?: status="0")?+>({_NUMBER})</value>'


class Slot(msgspec.Struct, frozen=True, gc=False):
    """One period of a day: minutes at which it begins and ends by the wall clock, and whether summer time is in force."""

    start: int
    end: int
    summer: bool


class Day(msgspec.Struct, frozen=True):
    """The periods of a local day, in the order of time.

    `places`: minute at which a period begins -> its place, or both where autumn repeats the hour. `absent`: minutes at which a period
    would begin that spring leaves out. `twice`: whether any minute comes twice.
    """

    step: Step
    slots: tuple[Slot, ...]
    places: dict[int, tuple[int, ...]]
    absent: frozenset[int]

    @property
    def regular(self) -> bool:
        """Whether the clock is left alone on this day."""
        return not self.absent and len(self.places) == len(self.slots)


@lru_cache(maxsize=1024)
def day_of(zone: str, day: date, step: Step) -> Day:
    """The periods of a day in a zone."""
    here, minutes = ZoneInfo(zone), MINUTES[step]
    began = datetime.combine(day, time(), here).timestamp()
    walls = [datetime.fromtimestamp(began + 60 * minutes * n, here) for n in range(expected(step, day, zone))]
    starts = [60 * wall.hour + wall.minute for wall in walls]
    places: dict[int, tuple[int, ...]] = {}
    for place, start in enumerate(starts):
        places[start] = (*places.get(start, ()), place)
    slots = tuple(Slot(start, start + minutes, bool(wall.dst())) for start, wall in zip(starts, walls, strict=True))
    return Day(step, slots, places, frozenset(range(0, DAY, minutes)) - places.keys())


def minute(label: str | None) -> int | None:
    """Read `HHMM` with blanks around it, 0000 to 2400. None when it is no such label."""
    found = _label(label) if label is not None and len(label) <= 20 else None
    if found is None:
        return None
    return DAY if found[3] else 60 * int(found[1]) + int(found[2])


def label(minutes: int) -> str:
    """`HHMM`; midnight is 0000."""
    return f"{minutes // 60 % 24:02}{minutes % 60:02}"


@lru_cache(maxsize=8)
def whole_day(step: Step) -> re.Pattern[bytes]:
    """What a channel of a day of 24 hours looks like that says nothing but good values, each a group; every tag and label of it counts.

    libxml2 writes what it has read in one form: attributes in their order, in double quotes, `<` and `>` escaped.
    """
    minutes = MINUTES[step]
    periods = (
        rf'<period start=" *+{label(start)} *+" end=" *+{_end(start + minutes)} *+">{_BLANKS}{_VALUE}{_BLANKS}</period>{_BLANKS}'
        for start in range(0, DAY, minutes)
    )
    pattern = rf"<(?:measuringchannel|deliverygroup|peretok)[^<>]*+>{_BLANKS}{''.join(periods)}</[a-z]++>"
    return re.compile(pattern.encode("ascii"))


def _end(minutes: int) -> str:
    return label(minutes) if minutes < DAY else "(?:0000|2400)"
