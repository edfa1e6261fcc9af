"""Items as rows of text for a SOAP request: each cell written as the WSDL wants it, or the reason why it cannot be."""

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from gateway.outbound import Item, Value, calls
from gateway.outbound.soap_contract import OF_VALUE, SPECIAL, Slot, text

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
        """Read, write, and put between tags what may be missing. Raises ValueError, when called, for what cannot be written."""
        write, tags, name, codes = slot.write, slot.tags, slot.field, self._codes
        read: Callable[[Any], Any] = attrgetter(name)

        def put(one: Any) -> str:
            value = None if one is None else read(one)
            if value is None:
                if tags is None:
                    raise ValueError(f"{name}: there is none, and billing wants one")
                return ""
            if name == "register":
                value = codes.get(value, value)
            try:
                return write(value) if tags is None else f"{tags[0]}{write(value)}{tags[1]}"
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error

        return put


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
