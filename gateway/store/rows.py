"""Many rows in one statement: columns travel as array literals, which costs a third of a parameter per value."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, CursorResult

_QUOTED: Final = ("text", "jsonb")


def array(values: Iterable[Any], kind: str) -> str:
    """Write a PostgreSQL array literal of values of one type; None is NULL, text is quoted and escaped."""
    if kind in _QUOTED:
        items = ["null" if v is None else '"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values]
    elif kind == "uuid":
        items = ["null" if v is None else v.hex for v in values]
    elif kind == "timestamptz":
        items = ["null" if v is None else f'"{v}"' for v in values]
    else:
        items = ["null" if v is None else str(v) for v in values]
    return "{" + ",".join(items) + "}"


def put(connection: Connection, table: str, types: Mapping[str, str], rows: Sequence[Sequence[Any]], tail: str = "") -> CursorResult[Any]:
    """Insert rows whose columns and types `types` names, in that order; `tail` may hold an `on conflict` or `returning` clause."""
    columns = zip(*rows, strict=True)
    values = {name: array(column, kind) for (name, kind), column in zip(types.items(), columns, strict=True)}
    return connection.exec_driver_sql(_insert(table, tuple(types.items()), tail), values)


@cache
def _insert(table: str, types: tuple[tuple[str, str], ...], tail: str) -> str:
    names = ", ".join(f'"{name}"' for name, _ in types)
    arrays = ", ".join(f"%({name})s::{kind}[]" for name, kind in types)
    return f"insert into {table} ({names}) select * from unnest({arrays}) {tail}"
