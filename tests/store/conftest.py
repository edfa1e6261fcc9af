"""A ground on every supported server: a database a file of tests, emptied before each test."""

from collections.abc import Iterator

import pytest

from tests.conftest import SERVERS, Database, fresh_database, shared_server
from tests.store.ground import Ground

EMPTY = """
do $$
declare tables text;
begin
  select string_agg(quote_ident(tablename), ', ') into tables from pg_tables where schemaname = 'public' and tablename <> 'alembic_version';
  execute 'truncate ' || tables || ' restart identity';
end $$
"""


@pytest.fixture(scope="module", params=sorted(SERVERS))
def ledger_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A migrated database on the newest and on the oldest supported server."""
    yield from fresh_database(shared_server(request.param))


@pytest.fixture
def ground(ledger_database: Database) -> Iterator[Ground]:
    """A utility in an empty database; the audit must find nothing at the end."""
    made = Ground(ledger_database, EMPTY)
    yield made
    made.clean()
    made.close()
