"""The middle of the line for interval values: they are new, the same again, a change, or a change that must not be."""

from collections.abc import Sequence
from datetime import date

import msgspec

from gateway.domain.intervals import amounts
from gateway.domain.judging import amount
from gateway.domain.problems import Problem, Severity
from gateway.domain.readings import Step
from gateway.domain.rules import duplicate_reading
from gateway.domain.status import ReadingStatus
from gateway.domain.windows import days_in
from gateway.store import Connection, intervals
from gateway.store.corrections import Row
from gateway.store.intake import Entry
from gateway.store.intervals import Beside, Brought


def compare(connection: Connection, utility: int, entry: Entry, keep: Sequence[bool]) -> None:
    """Hold the accepted rows' blocks against what is known, and let each row say what follows; `keep`: by row, its profile's policy."""
    rows, brought = gather(entry.rows, keep)
    if rows:
        entry.compared = intervals.compare(connection, utility, brought)
        for row, beside in zip(rows, entry.compared.beside, strict=True):
            settle(row, beside)


def gather(found: Sequence[Row], keep: Sequence[bool]) -> tuple[list[Row], list[Brought]]:
    """The accepted rows that bring blocks, and what they bring; one that says a meter's days a second time is refused."""
    seen: set[tuple[int, str, Step, date]] = set()
    rows: list[Row] = []
    brought: list[Brought] = []
    for row, kept in zip(found, keep, strict=True):
        if not row.new.blocks or row.status is not ReadingStatus.ACCEPTED or row.known is None:
            continue
        meter = row.known.meter.id
        places = {(meter, block.register, block.step, block.day) for block in row.new.blocks}
        if len(places) < len(row.new.blocks) or places & seen:
            _refuse(row, Problem(code="interval_repeated", where=row.new.where, values={"meter": row.known.meter.serial}))
            continue
        seen |= places
        rows.append(row)
        brought.append(Brought(row.id, meter, row.new.blocks, kept, days_in(row.period), frozenset(amounts(row.new.blocks))))
    return rows, brought


def settle(row: Row, beside: Beside) -> None:
    """Say of a row what stands beside it: refused, the same again, or more and other values whose amount is that of the whole period."""
    if beside.changed:
        code, day = beside.changed[0]
        told = {"register": code, "day": day.isoformat(), "count": str(len(beside.changed))}
        where = next(block.where for block in row.new.blocks if (block.register, block.day) == (code, day))
        _refuse(row, Problem(code="archive_changed", where=where, values=told))
    elif beside.same is not None and row.known is not None and (row.same_as is not None or not row.new.readings):
        row.same_as = beside.same
        told = {"period": row.period, "meter": row.known.meter.serial}
        row.problems += (Problem(code=duplicate_reading.__name__, where=row.new.where, severity=Severity.HINT, values=told),)
    elif row.known is not None:
        meter, totals = row.known.meter, beside.totals
        row.corrects = row.corrects or beside.again or row.same_as is not None
        row.same_as = None
        row.values = tuple(
            amount(msgspec.structs.replace(value.reading, value=totals[value.register.code]), meter, row.period)
            if value.reading.volume and value.register.code in totals
            else value
            for value in row.values
        )


def _refuse(row: Row, problem: Problem) -> None:
    row.problems += (problem,)
    row.status = ReadingStatus.REJECTED
