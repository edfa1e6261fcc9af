"""Array literals bring every value over as it was: nothing in a text can end its literal."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.postgres import Server
from gateway.store import Store
from gateway.store.rows import array, put
from tests.conftest import case, fresh_database

TEXTS = [
    "",
    "null",
    "NULL",
    '"',
    "\\",
    '\\"',
    "{}",
    "{,}",
    ",",
    "'",
    "''); drop table meter; --",
    "%s",
    "%(x)s",
    "a\nb\tc",
    "ё 漢 \U0001f600",
    " ",
]


@pytest.fixture(scope="module")
def store(server: Server) -> Iterator[Store]:
    for database in fresh_database(server):
        opened = Store(database.url("owner"), role="owner", pool=1)
        yield opened
        opened.close()


def back(store: Store, values: list[object], kind: str) -> list[object]:
    """What the server read."""
    with store.transaction() as connection:
        rows = connection.exec_driver_sql(f"select v from unnest(%(v)s::{kind}[]) v", {"v": array(values, kind)})
        return [row[0] for row in rows]


def test_texts_come_back_as_they_were(store: Store) -> None:
    assert back(store, [*TEXTS, None], "text") == [*TEXTS, None]


@settings(max_examples=case(100, 5000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.none(), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))), max_size=20))
def test_any_texts_come_back_as_they_were(store: Store, texts: list[str | None]) -> None:
    assert back(store, list(texts), "text") == texts


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("numeric", [Decimal("1234567890123456789.123456789012"), Decimal("-0.10"), Decimal(0), None]),
        ("bigint", [2**62, -1, 0, None]),
        ("boolean", [True, False, None]),
        ("uuid", [UUID(int=2**127), None]),
        ("timestamptz", [datetime(2022, 10, 30, 0, 59, 59, 999999, tzinfo=UTC), None]),
        ("text", []),
    ],
)
def test_values_of_each_kind_come_back_as_they_were(store: Store, kind: str, values: list[object]) -> None:
    assert back(store, values, kind) == values
    assert [str(value) for value in back(store, values, kind)] == [str(value) for value in values]


def test_json_comes_back_as_it_was(store: Store) -> None:
    told = ['{"a": "\\"}{\\\\"}', '{"ключ": [1, null]}']
    with store.transaction() as connection:
        rows = connection.exec_driver_sql("select v::text from unnest(%(v)s::jsonb[]) v", {"v": array(told, "jsonb")})
        assert [row[0] for row in rows] == told


def test_rows_are_put_whole(store: Store) -> None:
    with store.transaction() as connection:
        connection.exec_driver_sql("create temporary table scrap (name text, n int) on commit drop")
        done = put(connection, "scrap", {"name": "text", "n": "int"}, [(text, n) for n, text in enumerate(TEXTS)], "returning n")
        assert [row[0] for row in done] == list(range(len(TEXTS)))
        assert [row[0] for row in connection.exec_driver_sql("select name from scrap order by n")] == TEXTS
