"""Which format a file has when nobody says it: the first that knows its bytes, or the best reason why none does."""

from collections.abc import Mapping
from typing import Final

from gateway.domain.problems import Problem, Rejected
from gateway.mapping import Format
from gateway.mapping.any_table import kept_any
from gateway.mapping.delimited import Lines
from gateway.mapping.tables import kept
from gateway.mapping.zip_gate import kind_of

_SHEETS: Final = (".xlsx", ".xls", ".xlsm", ".xlsb")


def recognise(known: Mapping[str, Format], body: bytes, file_name: str) -> str:
    """The kind of a file by its bytes.

    Raises Rejected: with what is wrong with a workbook, `header_not_found` for tables that nobody knows, `file_type_mismatch` for a
    name that lies, else `format_unknown`. A text may be anything, alone or in an archive, and is no table before somebody knows it.
    """
    for kind, format_ in known.items():
        if format_.sniff(body, file_name):
            return kind
    seen = kind_of(body)
    shown = [table for table in (*kept(body), *kept_any(body)) if not (table.hidden or isinstance(table, Lines)) and table.rows]
    if shown or seen in ("xlsx", "xls", "ods"):
        raise Rejected(Problem(code="header_not_found", where=shown[0].name if shown else ""))
    if file_name.lower().endswith(_SHEETS):
        raise Rejected(Problem(code="file_type_mismatch", values={"kind": seen}))
    raise Rejected(Problem(code="format_unknown", values={"kind": seen}))
