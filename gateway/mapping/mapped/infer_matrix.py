"""A table of hours by days in a sample: what it measures, by what is written about it."""

from collections.abc import Iterator, Sequence

import msgspec

from gateway.domain.mappings import File, Mapping
from gateway.domain.readings import INTERVALS
from gateway.mapping.cells import Cell
from gateway.mapping.hour_grid import Grid, find
from gateway.mapping.mapped.infer_roles import Told
from gateway.mapping.mapped.infer_words import said
from gateway.mapping.sheet_owner import named, owner
from gateway.mapping.tables import Table


class Measured(msgspec.Struct, frozen=True):
    """The register and unit of a table of hours and days, and where that is said; empty when it is not."""

    register: str = ""
    unit: str = ""
    where: str = ""


def grid_of(tables: Sequence[Table]) -> Grid | None:
    """The first table of hours and days."""
    return next((grid for table in tables if (grid := find(table)) is not None), None)


def measured(grid: Grid, file_name: str) -> Measured:
    """What the cells above it say, else the sheet's name, else the file's."""
    for where, cell in _texts(grid, file_name):
        told = said(cell) if isinstance(cell, str) and 0 < len(cell) <= 200 else None
        if told is not None and told.register in INTERVALS:
            return Measured(told.register, told.unit, f"{where} says it: «{cell}»")
    return Measured()


def as_matrix(grid: Grid, name: str, title: str, file: File, file_name: str, told: Told) -> Mapping:
    """The mapping of a table of hours and days, with what is not decided."""
    found = measured(grid, file_name)
    told.say("layout", 0.95, "hours stand along one edge and days of a month along the other")
    if found.register:
        told.say("register", 0.8, found.where)
    else:
        told.say("register", 0.3, "nothing in the file says what is measured; this stands here until somebody does")
        told.ask("register", "what is measured: A+ (electricity) or volume (water)? Nothing in the file says it.")
    if not (named(grid.table) or owner(grid.table, grid.above()).meter):
        told.ask("layout", "no title or sheet's name says whose the values are: the meter must be told beside the file")
    register = found.register or "A+"
    unit = found.unit if found.unit != INTERVALS[register].unit else ""
    return Mapping(name=name, title=title, layout="matrix", register=register, unit=unit, file=file)


def _texts(grid: Grid, file_name: str) -> Iterator[tuple[str, Cell]]:
    yield from (("a cell above the hours", grid.table.rows[row][column]) for row, column in grid.above())
    yield "the sheet's name", grid.table.name.replace("_", " ")
    yield "the file's name", file_name.rpartition(".")[0].replace("_", " ")
