"""What the tests of channels share: one running gateway a worker of the run; each test has a utility of its own in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.postgres import Server
from tests.conftest import fresh_database
from tests.running import Gateway, Utility, running_gateway


@pytest.fixture(scope="session")
def gateway(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A web server over a fresh database."""
    folder: Path = tmp_path_factory.mktemp("gateway")
    for database in fresh_database(server):
        with running_gateway(database.url("owner"), database.url("app"), database.url("worker"), folder) as running:
            yield running


@pytest.fixture
def company(gateway: Gateway) -> Utility:
    """A utility by the legal entities' rulebook, whose readings may be corrected; meters 1, 2 and 3 of agreement A-1 stood at 100."""
    made = gateway.utility("legal_entity")
    made.meters("1", "2", "3")
    return made
