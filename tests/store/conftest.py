"""A ground on the newest server, and one on every supported server."""

from collections.abc import Iterator

import pytest

from tests.conftest import Database
from tests.store.ground import Ground


@pytest.fixture
def ground(any_database: Database) -> Iterator[Ground]:
    """A utility in a fresh database on the newest and the oldest supported server; the audit must find nothing at the end."""
    made = Ground(any_database)
    yield made
    made.clean()
    made.close()
