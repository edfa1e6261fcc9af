"""A table read by a mapping document, as a format of its own: one for every mapping that is shipped or that a utility has."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Final

import msgspec

from gateway.domain.mappings import Field, version_of
from gateway.domain.mappings import Mapping as Document
from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import MeterReading
from gateway.mapping import Envelope, Format, within_limit
from gateway.mapping.any_table import Options, is_by_words, is_page, look_any, only_file, read_any
from gateway.mapping.cells import Cell
from gateway.mapping.crosswalk import told
from gateway.mapping.dbf import apart
from gateway.mapping.delimited import read_delimited
from gateway.mapping.heat_columns import Words
from gateway.mapping.mapped.archive import read_archive
from gateway.mapping.mapped.control import verify
from gateway.mapping.mapped.elements import is_tree, read_elements
from gateway.mapping.mapped.header import Header, header_of, known, missing, repeated
from gateway.mapping.mapped.matrix import is_matrix, read_matrix
from gateway.mapping.mapped.partner import Codes
from gateway.mapping.mapped.reader import Rows
from gateway.mapping.mapped.register import Register
from gateway.mapping.mapped.series import Series
from gateway.mapping.mapped.units import differing
from gateway.mapping.sheet_owner import named, owner
from gateway.mapping.tables import Table
from gateway.mapping.zip_gate import kind_of
from gateway.settings import Limits

_HEAD: Final = 65_536
"""So many bytes of a text are looked at to tell whether it is ours."""


class Mapped(Format, frozen=True, kw_only=True, dict=True):
    """Reads whatever `read_any` reads by a mapping; a wrong row refuses its meter and no other, a lying control row the file."""

    mapping: Document
    version: int = 0
    codes: Codes = Codes()
    limits: Limits = Limits()

    def sniff(self, body: bytes, file_name: str) -> bool:  # noqa: ARG002 - names are not trusted
        """Tell by its header; a table without one is never guessed at and must be named."""
        if self.mapping.layout == "matrix":
            return bool(body) and is_matrix(self._chosen(self._looked(body)), self.mapping)
        if not body or not self.mapping.file.header:
            return False
        if self.mapping.file.rows and not is_tree(body, self.mapping.file.rows):
            return False
        if is_by_words(body, lambda rows: self._known(rows, *self.mapping.known_by)):
            return True
        return any(self._known(table.rows, *self.mapping.known_by) for table in self._chosen(self._looked(body)))

    def decode(self, body: bytes, envelope: Envelope) -> Iterator[MeterReading | Problem]:
        """One MeterReading per meter, period and instant.

        Raises Rejected when there is no header, another unit in it, no value, or the control row lies.
        """
        everything = self._tables(body)
        envelope, tables = self._templated(everything, envelope), self._chosen(everything)
        return chain(apart(tables), self._read(tables, self._with_ours(envelope)))

    def _read(self, tables: list[Table], envelope: Envelope) -> Iterator[MeterReading | Problem]:
        if self.mapping.layout == "matrix":
            return read_matrix(tables, self.mapping, self.codes, envelope, self.limits)
        if self.mapping.layout == "archive":
            return read_archive(tables, self._words, self.codes, envelope, self.limits)
        found = self._headed(tables)
        if differs := [problem for table, header in found for problem in differing(table, header, self.mapping)]:
            raise Rejected(*differs)
        reader = (Series if self.mapping.layout == "series" else Register)(self.mapping, self.codes, envelope)
        for table, header in found:
            rows = Rows(table, header, self.mapping, envelope.zone)
            if twice := [*repeated(table, header, self.mapping, rows.numbers)]:
                raise Rejected(*twice)
            if self.mapping.control is not None:
                verify(rows, self.mapping.control)
            reader.read(rows, envelope.meter or _whose(table, header))
        if not (readings := reader.readings()):
            raise Rejected(Problem(code="nothing_to_take", where=found[0][0].name))
        return within_limit(readings, self.limits)

    @cached_property
    def _words(self) -> Words:
        return Words(self.mapping)

    def _known(self, rows: Sequence[Sequence[Cell]], *told: Field) -> int:
        """How many of the document's words the best row names; 0 when none can be the header, or it lacks one of the fields `told`."""
        return self._words.known(rows) if self.mapping.layout == "archive" else known(rows, self.mapping, *told)

    def _tables(self, body: bytes) -> tuple[Table, ...]:
        """Every table of a file; the words of the header tell how a text is written when the document does not."""
        told = self.mapping.file
        if told.rows:
            return (read_elements(only_file(body, self.limits) if kind_of(body) == "zip" else body, self.limits, told.rows),)
        if self.mapping.layout != "matrix" and told.header and not (told.encoding or told.delimiter):
            inner = only_file(body, self.limits) if kind_of(body) == "zip" else body
            if is_by_words(inner, self._known):
                return (read_delimited(inner, self.limits, self._known),)
        return read_any(body, self.limits, Options(encoding=told.encoding, delimiter=told.delimiter))

    def _with_ours(self, envelope: Envelope) -> Envelope:
        """What is told beside the file, as far as the document does not outrank it."""
        applied = self.mapping.applied
        return msgspec.structs.replace(
            envelope,
            zone=self.mapping.zone_name or envelope.zone,
            ratio_applied=applied.ratio or envelope.ratio_applied,
            losses_applied=applied.losses or envelope.losses_applied,
        )

    def _templated(self, tables: tuple[Table, ...], envelope: Envelope) -> Envelope:
        """What is told beside a file, with what the hidden sheet of our template says. Raises Rejected when the two differ."""
        if not self.mapping.template:
            return envelope
        name, version = version_of(self.mapping.template)
        written = told(tables, template=name, version=str(version), agreement=envelope.agreement, period=envelope.period)
        agreement, period = (getattr(envelope, name) or written.get(name, ("", ""))[0] for name in ("agreement", "period"))
        return msgspec.structs.replace(envelope, agreement=agreement, period=period)

    def _looked(self, body: bytes) -> tuple[Table, ...]:
        """The tables of a file of which it is not known whether it is ours; of a text its beginning, where only the document knows how."""
        told = self.mapping.file
        if told.rows:
            try:
                return (read_elements(body, self.limits, told.rows),)
            except Rejected:
                return ()
        plain = kind_of(body) == "text" and not is_page(body)
        if not (told.encoding or told.delimiter):
            return () if plain else look_any(body, self.limits)
        try:
            head = body[:_HEAD].rpartition(b"\n")[0] if plain and len(body) > _HEAD else body
            return read_any(head, self.limits, Options(encoding=told.encoding, delimiter=told.delimiter))
        except Rejected:
            return ()

    def _chosen(self, tables: Iterable[Table]) -> list[Table]:
        names = self.mapping.file.sheets
        return [table for table in tables if table.rows and (table.name in names if names else not table.hidden)]

    def _headed(self, tables: list[Table]) -> list[tuple[Table, Header]]:
        found = [(table, header) for table in tables if (header := header_of(table, self.mapping)) is not None]
        read = {table.name for table, _ in found}
        if lacking := [
            problem for table in tables if self.mapping.file.sheets and table.name not in read for problem in missing(table, self.mapping)
        ]:
            raise Rejected(*lacking)
        if not found:
            raise Rejected(*(missing(tables[0], self.mapping) if tables else [Problem(code="header_not_found")]))
        return found


def _whose(table: Table, header: Header) -> str:
    """The meter that a cell above the header names, else the sheet's name."""
    cells = ((row, column) for row in range(header.row) for column in range(len(table.rows[row])))
    return owner(table, cells).meter or named(table)
