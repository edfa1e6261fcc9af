"""The edges of a proposal: by which words a column is named, and what the control row vouches for."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from gateway.domain.intervals import exact_sum
from gateway.domain.mappings import Control, Field, Place, Words
from gateway.mapping.cells import Cell, CellError, cell_number
from gateway.mapping.crosswalk import fold
from gateway.mapping.mapped.header import readings
from gateway.mapping.mapped.infer_columns import Column
from gateway.mapping.mapped.infer_roles import Told
from gateway.mapping.mapped.infer_table import Sample
from gateway.mapping.mapped.infer_words import said


def place_of(sample: Sample, column: Column) -> Place | Words:
    """A column by the shortest words of its header that no other column may be read as, else by its number."""
    if sample.header < 0 or not (column.own or column.above):
        return column.place + 1
    both = f"{column.above} {column.own}".strip()
    taken = {word for other in sample.columns if other.place != column.place for word in readings(other.own, other.above)}
    bare = [text for text in _bare(column.own) if text and (said(text).fields or column.said == said(column.own))]
    for text in (*bare, both):
        if text and fold(text) and fold(text) not in taken:
            return (text,)
    return column.place + 1


def control_of(sample: Sample, number: int, fields: Mapping[Field, Column], told: Told) -> Control:
    """What the cells of a control row say: how many rows there are, and what readings add up to; what is neither is asked."""
    row = list(sample.table.rows[number])
    row[0] = str(row[0]).removeprefix("=").strip()
    numbers = {place: one for place, cell in enumerate(row, 1) if (one := _amount(cell)) is not None}
    rows = Decimal(len(sample.data))
    count = next((place for place, one in numbers.items() if one == rows), 0)
    sums: dict[Field, Place] = {}
    wanted: tuple[Field, ...] = ("value", "previous")
    for field in wanted:
        if (column := fields.get(field)) is not None:
            total = exact_sum([one for one in column.shape.numbers if one is not None])
            place = next((place for place, one in numbers.items() if one == total and place != count), 0)
            sums |= {field: place} if place else {}
    told.say("control", 0.95 if count else 0.5, "the last row begins with `=` and vouches for the rows above it")
    left = [str(place) for place in numbers if place != count and place not in sums.values()]
    if not count or left:
        told.ask("control", f"what do the cells {listed(left)} of the control row say?")
    return Control(count=count, sums=sums)


def listed(several: Sequence[str]) -> str:
    """The first of them, in quotes."""
    return ", ".join(f"«{one}»" for one in several[:6]) + (" and more" if len(several) > 6 else "")


def _bare(text: str) -> list[str]:
    """A header without its unit, and with it."""
    for sign in (",", "(", "["):
        head, found, rest = text.partition(sign)
        if found and said(text).unit and head.strip() and "," not in rest:
            return [head.strip(), text]
    return [text]


def _amount(cell: Cell) -> Decimal | None:
    try:
        return cell_number(cell)
    except CellError:
        return None
