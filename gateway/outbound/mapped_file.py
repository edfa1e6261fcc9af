"""The file of a billing that has a mapping of its own: the same document that would read such a file writes it."""

from collections.abc import Iterable

from gateway.domain.problems import Problem, Rejected
from gateway.mapping.mapped.backwards import Row, UnwritableError
from gateway.mapping.mapped.writer import Writer
from gateway.outbound import Item
from gateway.outbound.by_mapping import documents, reading_of


class MappedFile:
    """Writes items by a mapping, each row with the key of its item in the column `row_key`."""

    def __init__(self, mapping: str, crosswalk: str, zone: str) -> None:
        """Read both documents. Raises Misconfigured."""
        self.writer = Writer(*documents(mapping, crosswalk), zone)

    def row_count(self, item: Item) -> int:
        """How many rows an item has: one where each register has a column, else one for each value."""
        return 1 if self.writer.registers else len(item.values)

    def write(self, items: Iterable[Item]) -> tuple[bytes, dict[str, str]]:
        """The file that holds the items, and for each item that it cannot hold the reason. No bytes: no rows."""
        refused: dict[str, str] = {}
        rows: list[Row] = []
        for item in items:
            try:
                said = self.writer.rows(reading_of(item), item.key)
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


def _why(problem: Problem) -> str:
    """What a DBF could not hold, as the reason by which an item is refused."""
    return f"{problem.code}: {problem.where.partition(', ')[2]} {problem.values.get('value', '')}".strip()
