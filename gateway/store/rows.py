"""Many rows in one statement: columns travel as array literals, which costs a third of a parameter per value."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, CursorResult

_CHUNK: Final = 2000
"""Rows written to a COPY at once."""
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


def copied(connection: Connection, table: str, texts: Iterable[str]) -> int:
    """Put rows into a table by COPY, each in its text form with its line feed, as they come; return how many."""
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - a connection that is open has one
    count = 0
    with driver.cursor() as cursor, cursor.copy(f"copy {table} from stdin") as copy:
        chunk: list[str] = []
        for text in texts:
            chunk.append(text)
            count += 1
            if len(chunk) == _CHUNK:
                copy.write("".join(chunk))
                chunk.clear()
        copy.write("".join(chunk))
    return count


class Together:
    """Several inserts that travel as one statement: one round trip to the server instead of one for each table."""

    def __init__(self) -> None:
        """Nothing is to be written yet."""
        self._parts: list[str] = []
        self._values: dict[str, Any] = {}

    def put(self, table: str, types: Mapping[str, str], rows: Sequence[Sequence[Any]], tail: str = "") -> None:
        """Add an insert of rows, if there are any; the last query reads what it returns under the table's name and the part's place."""
        if rows:
            columns = zip(*rows, strict=True)
            number = len(self._parts)
            for (name, kind), column in zip(types.items(), columns, strict=True):
                self._values[f"{name}_{number}"] = array(column, kind)
            self._parts.append(_part(table, tuple(types.items()), tail, number))

    def add(self, name: str, statement: str, values: Mapping[str, Any]) -> None:
        """Add a statement of its own; its parameters must have names that no other part uses."""
        self._parts.append(f"{name} as ({statement})")
        self._values |= values

    def has(self, name: str) -> bool:
        """Tell whether a part of that name was added; an insert is named after its table and its place."""
        return any(part.startswith(f"{name} as ") for part in self._parts)

    def run(self, connection: Connection, last: str, values: Mapping[str, Any]) -> CursorResult[Any]:
        """Run all of it, and the query `last` over what the parts return."""
        told = f"with {', '.join(self._parts)} {last}" if self._parts else last
        return connection.exec_driver_sql(told, self._values | dict(values))


@cache
def _part(table: str, types: tuple[tuple[str, str], ...], tail: str, number: int) -> str:
    names = ", ".join(f'"{name}"' for name, _ in types)
    arrays = ", ".join(f"%({name}_{number})s::{kind}[]" for name, kind in types)
    return f"{table}_{number} as (insert into {table} ({names}) select * from unnest({arrays}) {tail})"


@cache
def _insert(table: str, types: tuple[tuple[str, str], ...], tail: str) -> str:
    names = ", ".join(f'"{name}"' for name, _ in types)
    arrays = ", ".join(f"%({name})s::{kind}[]" for name, kind in types)
    return f"insert into {table} ({names}) select * from unnest({arrays}) {tail}"
