"""Agreements of a feed that are set aside: left as the registry knows them, with all their meters."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection

from gateway.domain.supply import key
from gateway.store.feed import GONE, contradicting

_LEFT_OUT: Final = "delete from line where agreement_key in (select agreement_key from aside)"


def set_aside(connection: Connection, numbers: Iterable[str]) -> int:
    """Leave out every staged row of these agreements; return how many rows."""
    connection.exec_driver_sql("insert into aside select unnest(%(keys)s::text[])", {"keys": [key(one) for one in numbers]})
    return connection.exec_driver_sql(_LEFT_OUT).rowcount


def set_clashes_aside(connection: Connection) -> int:
    """The same for agreements of which a row contradicts an earlier one. What stood first may be gone then: look again."""
    for found in contradicting(connection):
        connection.exec_driver_sql(f"insert into aside select l.agreement_key {found}")
    return connection.exec_driver_sql(_LEFT_OUT).rowcount


def count(connection: Connection) -> int:
    """How many agreements were set aside."""
    return int(connection.exec_driver_sql("select count(distinct agreement_key) from aside").scalar_one())


def missing(connection: Connection, utility_id: int, profile: str) -> int:
    """How many meters hang by the registry, of agreements that were not set aside, and are in no staged row."""
    return int(connection.exec_driver_sql(f"select count(*) {GONE}", {"u": utility_id, "profile": profile}).scalar_one())


def agreements_of(connection: Connection, rows: Iterable[int]) -> dict[int, str]:
    """The agreements of staged rows, by the number under which each came."""
    found = connection.exec_driver_sql("select n, agreement from line where n = any(%(rows)s)", {"rows": [*rows]})
    return {row.n: row.agreement for row in found}
