"""What tests of mapped tables share: a document with its keys, a text or a workbook read by it, what was read as short tuples."""

import io
from collections.abc import Iterable, Sequence
from typing import Any

import openpyxl

from gateway.domain.crosswalks import read_crosswalk
from gateway.domain.mappings import read_mapping
from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import MeterReading
from gateway.mapping import Envelope, Format
from gateway.mapping.mapped.partner import Codes, codes_of
from gateway.mapping.mapped.table import Mapped

KYIV = Envelope(zone="Europe/Kyiv")
PLAIN = """
register = "A+"
[columns]
meter = ["Счетчик"]
value = ["Показание"]
"""
WORDY = """
[columns]
meter = ["Счетчик"]
quantity = ["Вид"]
zone = ["Зона"]
value = ["Показание"]
[quantities]
"A+" = ["Активная", "ЭЭ"]
volume = ["ХВС"]
[zones]
"" = ["сутки"]
day = ["День", "Т1"]
night = ["Ночь"]
"""
HOURS = """
layout = "series"
register = "A+"
[columns]
meter = ["Счетчик"]
day = ["Дата"]
clock = ["Время"]
value = ["Расход"]
"""
ACROSS = """
layout = "series"
register = "A+"
across = true
[columns]
day = ["Дата"]
clock = ["Время"]
"""

ODD_WORDS = [
    "Счетчик",
    "Дата",
    "Время",
    "Расход",
    "Показание",
    "Вид",
    "Зона",
    "",
    "=2",
    "итого",
    "ЭЭ",
    "День",
    "0071",
    "31.10.2026",
    "25:00",
    "24:00",
    "0-1",
]
"""Cells that mean something somewhere, for tables that are put together by chance."""


def mapped(document: str, crosswalk: str = "", *, only: bool = False) -> Mapped:
    """The format of a document without its name and title."""
    codes = codes_of(read_crosswalk(crosswalk.encode()), only=only) if crosswalk else Codes()
    return Mapped(mapping=read_mapping(f'name = "sample"\ntitle = "A sample"\n{document}'.encode()), codes=codes)


def rows(*lines: str, encoding: str = "utf-8") -> bytes:
    """A delimited text."""
    return "\r\n".join([*lines, ""]).encode(encoding)


def book(*sheets: tuple[str, Any], hidden: Iterable[str] = (), merged: Sequence[str] = ()) -> bytes:
    """A workbook; `merged`: spans of the first sheet."""
    made = openpyxl.Workbook()
    made.remove(made.worksheets[0])
    for name, lines in sheets:
        page = made.create_sheet(name)
        for line in lines:
            page.append(list(line))
        page.sheet_state = "hidden" if name in hidden else "visible"
    for span in merged:
        made.worksheets[0].merge_cells(span)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def decoded(format_: Format, body: bytes, envelope: Envelope = KYIV) -> list[MeterReading]:
    """Every meter reading of a file without problems of its own."""
    return [one for one in format_.decode(body, envelope) if isinstance(one, MeterReading)]


def told(format_: Mapped, body: bytes, envelope: Envelope = KYIV) -> list[tuple[str, str, str]]:
    """Meter, register and value of every reading of a file that has no problems."""
    found = decoded(format_, body, envelope)
    assert [problem for one in found for problem in one.problems] == []
    return [(one.meter or one.point, reading.register, f"{reading.value:f}") for one in found for reading in one.readings]


def blocks(format_: Mapped, body: bytes, envelope: Envelope = KYIV) -> dict[tuple[str, str, str], str]:
    """The values of every block by meter, register and day, as they are written."""
    found = decoded(format_, body, envelope)
    assert [problem for one in found for problem in one.problems] == []
    return {(one.meter, block.register, block.day.isoformat()): block.written for one in found for block in one.blocks}


def wrong(format_: Format, body: bytes, envelope: Envelope = KYIV) -> list[tuple[str, str]]:
    """The code and the place of everything that is wrong, in order."""
    try:
        things = list(format_.decode(body, envelope))
    except Rejected as refused:
        return [(problem.code, problem.where) for problem in refused.problems]
    problems = [problem for thing in things for problem in ([thing] if isinstance(thing, Problem) else thing.problems)]
    return [(problem.code, problem.where) for problem in problems]
