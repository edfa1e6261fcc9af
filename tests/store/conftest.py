"""A ground on every supported server: a database a file of tests, emptied before each test."""

from collections.abc import Iterator

import pytest

from gateway.store import Store, interval_tables, ledger_tables, people_tables, supply_tables
from tests.conftest import PROOF, SERVERS, Database, fresh_database, shared_server
from tests.store.ground import Ground

KEPT = (interval_tables.interval_block, ledger_tables.delivery, people_tables.letter, supply_tables.meter)
"""Importing their modules makes all tables known."""
ROWS = 5000
"""A table of more rows is emptied as fast by TRUNCATE, which else costs a file for each of some hundred tables and indexes."""
_PARENTS_LAST = [table.name for table in reversed(KEPT[0].metadata.sorted_tables)]
EMPTY = f"""
do $$
declare
  name text;
  large boolean := false;
  full_of boolean;
begin
  foreach name in array array{_PARENTS_LAST} loop
    execute 'select exists (select from ' || quote_ident(name) || ' offset {ROWS})' into full_of;
    large := large or full_of;
  end loop;
  if large then
    execute 'truncate {", ".join(_PARENTS_LAST)} restart identity';
  else
    foreach name in array array{_PARENTS_LAST} loop
      execute 'delete from ' || quote_ident(name);
    end loop;
    perform setval((quote_ident(schemaname) || '.' || quote_ident(sequencename))::regclass, start_value, false)
      from pg_sequences where schemaname = 'public';
  end if;
end $$
"""


LOCKING = {"test_asking", "test_delivery", "test_lanes", "test_schema", "test_together", "test_wall"}
"""Files that stand on both servers in every run: what they hold to depends on how a server locks, plans and guards.

`make proof` runs all of them on both.
"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Say on which servers a file of tests stands."""
    if "ledger_database" in metafunc.fixturenames:
        both = PROOF or metafunc.module.__name__.rpartition(".")[2] in LOCKING
        metafunc.parametrize("ledger_database", sorted(SERVERS) if both else ["embedded"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def ledger_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A migrated database on the newest supported server, or on that and on the oldest."""
    yield from fresh_database(shared_server(request.param))


@pytest.fixture(scope="module")
def broom(ledger_database: Database) -> Iterator[Store]:
    """A connection that has met every table and index before; a new one needs longer for that than for emptying them."""
    store = Store(ledger_database.url("owner"), role="owner", pool=1)
    yield store
    store.close()


@pytest.fixture
def empty_database(ledger_database: Database, broom: Store) -> Database:
    """The database of this file of tests without any row."""
    with broom.transaction() as connection:
        connection.exec_driver_sql(EMPTY)
    return ledger_database


@pytest.fixture
def ground(empty_database: Database) -> Iterator[Ground]:
    """A utility in an empty database; the audit must find nothing at the end."""
    made = Ground(empty_database)
    yield made
    made.clean()
    made.close()
