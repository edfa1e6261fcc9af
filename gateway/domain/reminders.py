"""Which reminders are due on a day: so many days before a window opens or closes, while something is missing (F-119, F-120)."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Annotated, Final, Literal

import msgspec

from gateway.domain.windows import Opening, Timing, open_on

Kind = Literal["remind_start", "remind_end"]
Lead = Annotated[int, msgspec.Meta(ge=1, le=15)]
"""How many days before a window opens or closes somebody wants to be reminded."""
NAMED: Final = 20
"""So many meters are named in a letter."""


class Switches(msgspec.Struct, frozen=True):
    """What a reader has switched on: a reminder so many days before the window opens, and before it closes; None is off."""

    start: Lead | None = None
    end: Lead | None = None


class Missing(msgspec.Struct, frozen=True):
    """A meter of which a value is missing for a period, and when readings of it are taken."""

    meter: str
    period: str
    timing: Timing


class Reminder(msgspec.Struct, frozen=True, kw_only=True):
    """One reminder: of which window, how many days before it opens or closes, and the meters of which something is missing."""

    kind: Kind
    opening: Opening
    days: int
    meters: tuple[str, ...]

    def occasion(self, agreement_id: int) -> str:
        """What it is about: one agreement's period and the day that is coming. Another day of the same window is another occasion."""
        day = self.opening.first if self.kind == "remind_start" else self.opening.last
        return f"{agreement_id} {self.opening.period} {day}"


def coming(timing: Timing, switches: Switches, day: date) -> Iterator[tuple[Kind, int, Opening]]:
    """The windows that open or close as many days after `day` as was asked for, with which of both it is and how many days."""
    kinds: tuple[tuple[Kind, int | None], ...] = (("remind_start", switches.start), ("remind_end", switches.end))
    for kind, days in kinds:
        if days is not None:
            there = day + timedelta(days=days)
            for one in open_on(timing, there):
                if there == (one.first if kind == "remind_start" else one.last):
                    yield kind, days, one


def due(switches: Switches, missing: Iterable[Missing], day: date) -> list[Reminder]:
    """The reminders due on a day to one reader of an agreement; nothing missing, nothing due.

    Meters whose windows have the same days are told in one. A day that has gone by is not made up for.
    """
    found: dict[tuple[Kind, str, date, date], tuple[Opening, int, list[str]]] = {}
    for one in missing:
        for kind, days, opening in coming(one.timing, switches, day):
            if opening.period == one.period:
                about = (kind, opening.period, opening.first, opening.last)
                found.setdefault(about, (opening, days, []))[2].append(one.meter)
    return [
        Reminder(kind=kind, opening=opening, days=days, meters=tuple(dict.fromkeys(meters)))
        for (kind, *_), (opening, days, meters) in found.items()
    ]


def facts(reminder: Reminder, utility: str, agreement: str, day: date) -> dict[str, str]:
    """What the letter of a reminder says, as values of its text."""
    opening, more = reminder.opening, len(reminder.meters) - NAMED
    return {
        "utility": utility,
        "agreement": agreement,
        "period": opening.period,
        "first": opening.first.isoformat(),
        "last": opening.last.isoformat(),
        "day": day.isoformat(),
        "days": str(reminder.days),
        "meters": ", ".join(reminder.meters[:NAMED]),
        "more": str(max(more, 0)),
    }
