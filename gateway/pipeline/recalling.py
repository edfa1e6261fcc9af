"""A history on its way into the registers: every row is good, or nothing is brought in."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from gateway.domain.calendars import Calendar
from gateway.domain.problems import Problem, Severity
from gateway.domain.profile import Profile
from gateway.domain.recall import Dated, OldValue, recall
from gateway.domain.supply import Register
from gateway.domain.windows import Timing, local_day, open_on
from gateway.mapping.history_rows import HistoryRow
from gateway.store import Connection, past, people
from gateway.store.past import Fault, Remembered

LIMIT: Final = 1000
"""So many problems of a history are told, and so many warnings."""
_BATCH: Final = 2000
_NOON: Final = time(12)


class Recalled(msgspec.Struct, kw_only=True):
    """What came of a history: its rows, of how many registers, and how many of these remember something else now.

    `problems`: why nothing was brought in. `warnings`: values below the one before them.
    """

    rows: int = 0
    registers: int = 0
    changed: int = 0
    problems: list[Problem] = []
    warnings: list[Problem] = []


def bring(connection: Connection, utility: int, rows: Iterable[HistoryRow], now: datetime) -> Recalled:
    """Let registers learn from old values. Nothing is written when any row is wrong."""
    books, calendars = people.profiles(connection, utility), people.calendars(connection, utility)
    recalled = Recalled(problems=[])
    past.stage(connection, utility, _good(rows, recalled))
    today = min(local_day(now, book.zone) for book in books.values())
    told = [*recalled.problems, *(_said(fault, today) for fault in past.faults(connection, today, LIMIT))]
    recalled.problems = sorted(told, key=_line)[:LIMIT]
    if recalled.problems:
        return recalled
    recalled.warnings = [
        Problem(
            code="reading_decreased",
            where=f"line {one.line}, value",
            severity=Severity.WARNING,
            values={"value": f"{one.value:f}", "previous": f"{one.previous:f}"},
        )
        for one in past.fallen(connection, LIMIT)
    ]
    past.hold(connection)
    for batch in past.remembered(connection, _BATCH):
        changed = [new for one in batch if (new := _taught(one, books, calendars)) != one.register]
        past.write(connection, changed)
        recalled.registers, recalled.changed = recalled.registers + len(batch), recalled.changed + len(changed)
    return recalled


def _good(rows: Iterable[HistoryRow], recalled: Recalled) -> Iterator[tuple[int, OldValue]]:
    for row in rows:
        recalled.rows += 1
        if row.told is not None:
            yield row.number, row.told
        elif len(recalled.problems) < LIMIT:
            recalled.problems += row.problems


def _taught(one: Remembered, books: Mapping[str, Profile], calendars: Mapping[str, Calendar]) -> Register:
    """A register that knows its old values too."""
    book = books[one.profile]
    timing = book.timing(one.service, one.window_day, people.calendar_of(calendars, book))
    return recall(one.register, [Dated(*_moment(timing, day), value) for day, value in zip(one.days, one.values, strict=True)])


@lru_cache(maxsize=8192)
def _moment(timing: Timing, day: date) -> tuple[str, datetime]:
    """The period and the moment of what was read on a day: the earliest period whose window was open, else the month; noon."""
    period = next((one.period for one in open_on(timing, day)), f"{day:%Y-%m}")
    return period, datetime.combine(day, _NOON, ZoneInfo(timing.zone)).astimezone(UTC)


def _said(fault: Fault, today: date) -> Problem:
    """The problem of a row that the registry does not let in."""
    old, day = fault.old, fault.old.date.isoformat()
    meter, line = old.meter or old.point, f"line {fault.line}"
    if fault.kind == "meter":
        return Problem(code="meter_unknown", where=f"{line}, meter", values={"meter": meter})
    if fault.kind == "meters":
        return Problem(code="meter_ambiguous", where=f"{line}, meter", values={"meter": meter})
    if fault.kind == "register":
        return Problem(code="register_unknown", where=f"{line}, register", values={"meter": meter, "register": old.register})
    if fault.kind == "digits":
        return Problem(code="too_many_digits", where=f"{line}, value", values={"value": f"{old.value:f}", "digits": str(fault.digits)})
    if fault.kind == "day":
        return Problem(code="registry_cell", where=f"{line}, date", values={"column": "date", "value": day, "wanted": f"< {today}"})
    told = {"register": old.register, "date": day, "earlier": str(fault.earlier)}
    return Problem(code="history_twice", where=f"{line}, date", values=told)


def _line(problem: Problem) -> int:
    """The line of a problem, to sort by."""
    return int(problem.where.removeprefix("line ").partition(",")[0])
