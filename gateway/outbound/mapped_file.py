"""The file of a billing that has a mapping of its own: the same document that would read such a file writes it."""

from collections.abc import Iterable
from pathlib import Path

from gateway.domain.crosswalks import read_crosswalk
from gateway.domain.mappings import read_mapping
from gateway.domain.problems import Misconfigured, Problem, Rejected
from gateway.domain.readings import MeterReading, Reading
from gateway.mapping.mapped.partner import Codes, codes_of
from gateway.mapping.mapped.writer import Row, UnwritableError, Writer
from gateway.outbound import Item


class MappedFile:
    """Writes items by a mapping, each row with the key of its item in the column `row_key`."""

    def __init__(self, mapping: str, crosswalk: str, zone: str) -> None:
        """Read both documents. Raises Misconfigured for one that cannot be read or that has no `row_key`."""
        try:
            document = read_mapping(Path(mapping).read_bytes())
            codes = codes_of(read_crosswalk(Path(crosswalk).read_bytes())) if crosswalk else Codes()
        except OSError as error:
            raise Misconfigured(f"mapping, crosswalk: {error}") from error
        if "row_key" not in document.columns:
            raise Misconfigured(f"mapping: {mapping} has no column `row_key`, by which the acknowledgement names a reading")
        self.writer = Writer(document, codes, zone)

    def row_count(self, item: Item) -> int:
        """How many rows an item has: one where each register has a column, else one for each value."""
        return 1 if self.writer.registers else len(item.values)

    def write(self, items: Iterable[Item]) -> tuple[bytes, dict[str, str]]:
        """The file that holds the items, and for each item that it cannot hold the reason. No bytes: no rows."""
        refused: dict[str, str] = {}
        rows: list[Row] = []
        for item in items:
            try:
                said = self.writer.rows(_reading(item), item.key)
                if self.writer.file.written == "dbf":
                    self.writer.write(said)  # a record that does not fit is told by the one who writes it
            except UnwritableError as reason:
                refused[item.key] = str(reason)
            except Rejected as reason:
                refused[item.key] = _why(reason.problems[0])
            else:
                rows += said
                if not said:
                    refused[item.key] = "no_values"
        return (self.writer.write(rows) if rows else b""), refused


def _reading(item: Item) -> MeterReading:
    readings = tuple(
        Reading(
            register=value.register,
            value=value.value,
            previous=value.previous,
            ratio_applied=value.ratio_applied,
            losses_applied=value.losses_applied,
            volume=value.volume,
        )
        for value in item.values
    )
    return MeterReading(meter=item.meter, point=item.point, agreement=item.agreement, period=item.period, at=item.at, readings=readings)


def _why(problem: Problem) -> str:
    """What a DBF could not hold, as the reason by which an item is refused."""
    return f"{problem.code}: {problem.where.partition(', ')[2]} {problem.values.get('value', '')}".strip()
