"""What may be handed in on a day, for which period and until when: one answer for portals, pages and reminders."""

from collections.abc import Iterable, Sequence
from datetime import date

import msgspec

from gateway.domain.problems import Problem
from gateway.domain.supply import Meter
from gateway.domain.windows import Opening, Timing, next_after, open_on


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What is taken of one meter on a day.

    `openings`: the windows that are open then, those of earlier periods first, without periods that billing has closed; the next one when
    none is, and `open` says which.
    `problems`: why nothing is taken although a window may be open.
    """

    meter: Meter
    timing: Timing
    openings: tuple[Opening, ...]
    open: bool
    problems: tuple[Problem, ...] = ()


def offer(meter: Meter, timing: Timing, day: date) -> Offer:
    """What is taken of a meter on a day of its utility's zone; `timing`: as its profile, service and agreement have it."""
    there = open_on(timing, day)
    now = tuple(one for one in there if one.period > meter.closed)
    openings = now or (next_after(timing, day),)
    shut = () if now else tuple(one for one in (*there, *openings) if one.period <= meter.closed)
    return Offer(
        meter=meter,
        timing=timing,
        openings=openings,
        open=bool(now),
        problems=tuple(_closed(meter, day, openings, shut)),
    )


def _closed(meter: Meter, day: date, openings: Iterable[Opening], shut: Sequence[Opening]) -> Iterable[Problem]:
    if shut:
        yield Problem(code="period_closed", values={"period": shut[-1].period, "meter": meter.serial})
    if not any(meter.entry_in(one.period) for one in openings):
        yield Problem(code="entry_closed", values={"meter": meter.serial})
    if meter.removed_on is not None and meter.removed_on < day:
        yield Problem(code="meter_removed", values={"meter": meter.serial, "day": meter.removed_on.isoformat()})
