"""The rows of an archive of heat meters, given to their meters one heat input and kind of row after another."""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import CIRCUITS, MeterReading
from gateway.domain.supply import key
from gateway.mapping import Envelope
from gateway.mapping.cells import CellError, Written, cell_code
from gateway.mapping.crosswalk import fold
from gateway.mapping.heat_columns import Words
from gateway.mapping.heat_meter import HeatMeter, Sheet
from gateway.settings import Limits

Meters = dict[str, HeatMeter]
"""Meters by their number as it is compared; those without one by its place."""

_circuit: Final = re.compile(r"[^0-9]{0,20}([0-9])(?:[.,]0)?[^0-9]{0,20}").fullmatch


def read_rows(sheet: Sheet, meters: Meters, words: Words) -> None:
    """Give every row of a sheet to its meter."""
    groups: dict[tuple[Written, Written, Written], list[int]] = {}
    for row, cells in enumerate(zip(sheet.column("meter"), sheet.column("circuit"), sheet.column("kind"), strict=True)):
        if cells in groups:
            groups[cells].append(row)
        else:
            groups[cells] = [row]
    days = sheet.column("day")
    passed = {cell for cell in set(days) if (word := _first_word(cell)) in words.passed or word in words.days}
    for (number, circuit, kind), rows in groups.items():
        told = [row for row in rows if days[row] not in passed and (days[row] != "" or sheet.filled(row))]
        if told and _first_word(kind) not in words.passed and _first_word(number) not in words.passed:
            _group(sheet, meter_of(sheet, number, told[0], meters), circuit, kind, told, words)


def meter_of(sheet: Sheet, number: Written, row: int, meters: Meters) -> HeatMeter:
    """The meter of a row by what stands there for its number; of rows without one, one that is refused."""
    where = sheet.place(row, "meter")
    try:
        if isinstance(number, CellError):
            raise number
        code = cell_code(number)
    except CellError as error:
        return meters.setdefault(where, HeatMeter("", where, error.at(where)))
    if not code:
        return meters.setdefault("", HeatMeter("", where, Problem(code="meter_missing", where=where)))
    known = meters.get(f"#{key(code)}")
    return known or meters.setdefault(f"#{key(code)}", HeatMeter(code, where))


def _group(sheet: Sheet, meter: HeatMeter, circuit: Written, kind: Written, rows: list[int], words: Words) -> None:
    """Give the rows of one meter, heat input and kind to the meter, each with its moment."""
    for row in rows if sheet.wrong else ():
        meter.problems += sheet.wrong.get(row, ())
    number, word, days = _circuit_of(circuit), _first_word(kind), sheet.column("day")
    step = words.steps.get(word)
    if isinstance(number, CellError):
        meter.problems.append(number.at(sheet.place(rows[0], "circuit")))
        return
    if step is None and kind != "" and word not in words.dials:
        meter.problems.append(CellError("archive_kind_unknown", kind).at(sheet.place(rows[0], "kind")))
        return
    states = {cell for cell in {days[row] for row in rows} if word in words.dials or _first_word(cell) in words.dials}
    if states:
        shown = [row for row in rows if days[row] in states]
        meter.states += [(sheet, number, row, None if row in sheet.unread else sheet.moments[row]) for row in shown]
        rows = [row for row in rows if days[row] not in states]
    if sheet.unread:
        meter.problems += [sheet.unread[row].at(sheet.place(row, "day")) for row in rows if row in sheet.unread]
        rows = [row for row in rows if row not in sheet.unread]
    meter.rows(sheet, number, step).extend(rows)


def _circuit_of(cell: Written) -> int | CellError:
    """The number of a heat input: an empty cell is the first, words about the number are passed over."""
    if isinstance(cell, CellError):
        return cell
    text = str(cell).strip()
    found = _circuit(text)
    number = int(found[1]) if found else 0 if text else 1
    return number if number in CIRCUITS else CellError("circuit_unknown", cell)


def _first_word(cell: Written) -> str:
    return fold(cell.split()[0]) if isinstance(cell, str) and cell.strip() else ""


def told(problems: list[Problem], meters: Iterable[HeatMeter], envelope: Envelope, limits: Limits) -> Iterator[MeterReading | Problem]:
    """Problems of the whole file, then one MeterReading per meter. Raises Rejected for more problems than a file may have."""
    yield from problems
    count = len(problems)
    for meter in meters:
        reading = meter.reading(envelope)
        count += len(reading.problems)
        if count > limits.file_problems:
            limit = str(limits.file_problems)
            raise Rejected(*reading.problems[: limits.file_problems], Problem(code="too_many_problems", values={"limit": limit}))
        yield reading
