"""Tables of hours and days by a mapping: of whatever register, in the document's unit and zone, with a partner's codes."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from gateway.domain.mappings import Mapping as Document
from gateway.domain.readings import INTERVALS, IntervalBlock, MeterReading, written
from gateway.domain.units import convert
from gateway.mapping import Envelope
from gateway.mapping.hour_grid import find, quantity
from gateway.mapping.hour_sheets import hour_sheets
from gateway.mapping.mapped.partner import Codes
from gateway.mapping.tables import Table
from gateway.settings import Limits

_SNIFFED: Final = 5
"""So many sheets are looked at to tell what a file is."""


def is_matrix(tables: Sequence[Table], document: Document) -> bool:
    """Tell whether one of the first sheets is a table of hours and days that is not marked as another register's."""
    mine = (table for table in tables[:_SNIFFED] if quantity(table.name) in ("", document.register))
    return any(find(table, register=document.register) is not None for table in mine)


def read_matrix(tables: Sequence[Table], document: Document, codes: Codes, envelope: Envelope, limits: Limits) -> Iterator[MeterReading]:
    """One MeterReading a meter and month. Raises Rejected as `hour_sheets` does."""
    for reading in hour_sheets(tables, envelope, {}, limits, document.register, document.unit):
        blocks = tuple(_in_unit(block, document.unit) for block in reading.blocks)
        yield msgspec.structs.replace(codes.ours(reading), blocks=blocks)


def _in_unit(block: IntervalBlock, unit: str) -> IntervalBlock:
    """The same block in the register's own unit."""
    if not unit:
        return block
    own = INTERVALS[block.register].unit
    values = written(None if value is None else convert(value, unit, own) for value in block.values)
    return msgspec.structs.replace(block, written=values)
