"""Items as rows of text for a SOAP request: each cell written as the WSDL wants it, or the reason why it cannot be."""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from gateway.domain.problems import Misconfigured
from gateway.mapping.mapped.backwards import Backwards, UnwritableError
from gateway.mapping.mapped.header import Slot as Place
from gateway.mapping.mapped.header import places
from gateway.outbound import Item, Value, calls
from gateway.outbound.by_mapping import documents, reading_of
from gateway.outbound.soap_cells import OF_VALUE, SPECIAL, text
from gateway.outbound.soap_contract import Slot

Row = tuple[str, ...]
Put = Callable[[Any], str]
"""Reads a cell's field of an item or a value and writes it."""


class Rows:
    """Writes the rows of an item; `codes`: register -> billing's code; `by_value`: a row is one value, or else the whole reading."""

    def __init__(self, slots: Sequence[Slot], codes: Mapping[str, str], *, by_value: bool) -> None:
        """Find once how each cell is read and written: texts all at once, which is what most cells are, the others one by one."""
        self._codes = codes
        self._by_value = by_value
        groups: tuple[list[int], ...] = ([], [], [], [])
        for place, slot in enumerate(slots):
            plain = slot.write is text and not slot.register and not (codes and slot.field == "register")
            groups[2 * (slot.field in OF_VALUE) + (not plain)].append(place)
        self._own = Texts([slots[place].field for place in groups[0]])
        self._own_rest = [self._put(slots[place]) for place in groups[1]]
        self._texts = Texts([slots[place].field for place in groups[2]])
        self._rest = [(slots[place].register, self._put(slots[place])) for place in groups[3]]
        found = [place for group in groups for place in group]
        self._order = [found.index(place) for place in range(len(slots))]

    def of(self, item: Item) -> list[Row] | str:
        """The rows of an item, or why it cannot be written."""
        try:
            return self._written(item) or "values: there are none"
        except ValueError as error:
            return calls.plain(str(error), 1000)

    def _written(self, item: Item) -> list[Row]:
        own = [*self._own.of(item), *[put(item) for put in self._own_rest]]
        order = self._order
        if self._by_value:
            found = [[*own, *self._texts.of(value), *[put(value) for _, put in self._rest]] for value in item.values]
            return [tuple([cells[place] for place in order]) for cells in found]
        by: dict[str, Value | None] = {value.register: value for value in item.values}
        if left := by.keys() - {register for register, _ in self._rest}:
            raise ValueError(f"register: the mapping has no place for {', '.join(sorted(left))}")
        own += [put(by.get(register)) for register, put in self._rest]
        return [tuple([own[place] for place in order])] if by else []

    def _put(self, slot: Slot) -> Put:
        """Read and write. Raises ValueError, when called, for what cannot be written."""
        write, codes = _cell(slot), self._codes
        read: Callable[[Any], Any] = attrgetter(slot.field)
        if slot.field == "register" and codes:
            return lambda one: write(codes.get(one.register, one.register))
        return lambda one: write(None if one is None else read(one))


def _cell(slot: Slot) -> Put:
    """Write a value, between tags what may be missing. Raises ValueError, when called, for one that cannot be written."""
    write, tags, name = slot.write, slot.tags, slot.field

    def put(value: Any) -> str:
        if value is None:
            if tags is None:
                raise ValueError(f"{name}: there is none, and billing wants one")
            return ""
        try:
            return write(value) if tags is None else f"{tags[0]}{write(value)}{tags[1]}"
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error

    return put


class Columns:
    """A mapping as the columns of a row: the first word of each is the element, or the path to it, that carries its field."""

    def __init__(self, mapping: str, crosswalk: str, zone: str) -> None:
        """Read both documents. Raises Misconfigured for one that cannot be read or that the rows of a call cannot follow."""
        document, codes = documents(mapping, crosswalk)
        self.say = Backwards(document, codes, zone)
        self.row: dict[str, str] = {}
        self.places: dict[str, Place] = {}
        if document.control is not None:
            raise Misconfigured(f"mapping: {mapping}: control: a call has no control row")
        if "location" in document.columns:
            raise Misconfigured(f"mapping: {mapping}: location: no reading on its way to billing carries one")
        for place, column in places(document):
            field = "key" if place[0] == "row_key" else place[0] or f"value.{document.values[place[1] - 1].register}"
            if isinstance(column, int):
                raise Misconfigured(f"mapping: {mapping}: {field}: the path of an element is wanted, not the number {column}")
            if column[0] in self.row or field in self.places:
                raise Misconfigured(f"mapping: {mapping}: {field}: {column[0]!r} is said twice")
            self.row[column[0]], self.places[field] = field, place


class MappedRows:
    """Writes the rows of an item by a mapping."""

    def __init__(self, columns: Columns, slots: Sequence[Slot]) -> None:
        """Find once where each cell comes from and how it is written."""
        self._say = columns.say
        names = (f"{slot.field}.{slot.register}" if slot.register else slot.field for slot in slots)
        self._cells = [(columns.places[name], _cell(slot)) for name, slot in zip(names, slots, strict=True)]

    def of(self, item: Item) -> list[Row] | str:
        """The rows of an item, or why it cannot be written."""
        try:
            rows = self._say.rows(reading_of(item), item.key)
            return [tuple([put(row.get(place)) for place, put in self._cells]) for row in rows] or "values: there are none"
        except (UnwritableError, ValueError) as error:
            return calls.plain(str(error), 1000)


class Texts:
    """Texts of an item or a value, read together and looked at together: hardly one of them wants escaping."""

    def __init__(self, fields: Sequence[str]) -> None:
        """Which they are; there may be none."""
        self._fields = fields
        self._read: Callable[[Any], Any] = attrgetter(*fields, *fields[:1]) if fields else tuple

    def of(self, one: Any) -> Sequence[str]:
        """The texts, written. Raises ValueError naming the field."""
        if not self._fields:
            return ()
        found: Sequence[str] = self._read(one)[: len(self._fields)]
        if not SPECIAL.search("".join(found)):
            return found
        return [self._escaped(field, value) for field, value in zip(self._fields, found, strict=True)]

    def _escaped(self, field: str, value: str) -> str:
        try:
            return text(value)
        except ValueError as error:
            raise ValueError(f"{field}: {error}") from error
