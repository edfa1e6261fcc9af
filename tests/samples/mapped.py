"""What makes a table that a mapping reads say each of its codes."""

from collections.abc import Callable

from gateway.domain.crosswalks import read_crosswalk
from gateway.domain.mappings import read_mapping
from gateway.mapping.mapped.partner import codes_of
from gateway.mapping.mapped.table import Mapped
from tests.samples.mapping import Codes, found

DOCUMENT = """
name = "sample"
title = "A register of readings"
register = "A+"
[columns]
meter = ["Номер ПУ"]
value = ["Показание"]
row_key = ["Ключ"]
[control]
"""


def table(rows: str, *, only: bool = False) -> Codes:
    """The codes of a text of these rows."""
    format_ = Mapped(mapping=read_mapping(DOCUMENT.encode()), codes=codes_of(read_crosswalk(b"code;meter\nx1;1"), only=only))
    return found(format_, f"Номер ПУ;Показание;Ключ\n{rows}\n".encode)


SAMPLES: dict[str, Callable[[], object]] = {
    "control_row_missing": table("1;5;a"),
    "control_row_differs": table("1;5;a\n=2"),
    "crosswalk_unknown": table("7;5;a\n=1", only=True),
    "row_repeated": table("1;5;a\n2;6;a\n=2"),
    "unit_differs": found(Mapped(mapping=read_mapping(DOCUMENT.encode())), "Номер ПУ;Показание, МВт·ч\n1;5\n=1\n".encode),
}
