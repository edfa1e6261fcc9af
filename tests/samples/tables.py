"""What makes tables say each of their codes."""

from collections.abc import Callable, Iterable

from gateway.domain.problems import Rejected
from gateway.mapping.any_table import read_any
from gateway.mapping.dbf import Field, read_dbf
from gateway.mapping.dbf_writer import Value, write_dbf
from gateway.settings import Limits
from tests.hostile.files import archive

Codes = Callable[[], Iterable[str]]

SUM = Field("SUMMA", "N", 5, 2)
NAME = Field("FIO", "C", 8)
GOOD = write_dbf([SUM, NAME], [["1.50", "Дроздова"], ["2.00", "Пащенко"]])
START = 32 + 2 * 32 + 1


def read(body: bytes) -> Codes:
    """The codes of reading a DBF file."""

    def codes() -> list[str]:
        try:
            return [problem.code for problem in read_dbf(body, Limits()).problems]
        except Rejected as refused:
            return [problem.code for problem in refused.problems]

    return codes


def any_of(make: Callable[[], bytes]) -> Codes:
    """The codes of reading whatever file."""

    def codes() -> list[str]:
        try:
            return [problem.code for table in read_any(make(), Limits()) for problem in table.problems]
        except Rejected as refused:
            return [problem.code for problem in refused.problems]

    return codes


def written(field: Field, value: Value) -> Codes:
    """The codes of writing a value."""

    def codes() -> list[str]:
        try:
            write_dbf([field], [[value]])
        except Rejected as refused:
            return [problem.code for problem in refused.problems]
        return []

    return codes


def patched(at: int, new: bytes) -> bytes:
    """The good file with other bytes at a place."""
    return GOOD[:at] + new + GOOD[at + len(new) :]


SAMPLES: dict[str, Codes] = {
    "archive_files": any_of(lambda: archive({"a.csv": b"1;2\n", "b.csv": b"3;4\n"})),
    "dbf_field_unreadable": read(patched(32 + 32 + 11, b"M")),
    "dbf_header_differs": read(patched(8, b"\x70\x00")),
    "dbf_overflow": read(patched(START + 1, b"*****")),
    "dbf_record_cut": read(GOOD[:-5]),
    "dbf_records_differ": read(patched(4, b"\x07")),
    "dbf_structure": read(patched(START, b"#")),
    "dbf_value_foreign": written(NAME, "Ґ"),
    "dbf_value_kind": written(SUM, True),
    "dbf_value_too_long": written(NAME, "Дроздовская"),
}
