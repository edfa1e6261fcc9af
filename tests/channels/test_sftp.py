"""The SFTP drop with the stock OpenSSH client: what is put into `in` is taken whole or not at all, and `out` tells what became of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.postgres import Server as Postgres
from tests.channels.sftp import Partner, Server, running_drop, wait
from tests.conftest import fresh_database
from tests.running import Utility


@pytest.fixture(scope="module")
def server(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One gateway with a drop for all the tests of this file."""
    for database in fresh_database(server):
        with running_drop(database, tmp_path_factory.mktemp("drop")) as running:
            yield running


@pytest.fixture
def company(server: Server) -> Utility:
    """A utility of one test."""
    made = server.utility("legal_entity")
    made.meters("1", "2", "3")
    return made


@pytest.fixture
def partner(server: Server, company: Utility, tmp_path: Path) -> Partner:
    """A contractor of that utility with a key."""
    return Partner(server, company, tmp_path)


def test_a_file_is_taken_and_told(partner: Partner) -> None:
    partner.put("january.json", partner.readings())
    told = partner.status("january.json")
    assert (told["channel"], told["file_name"], told["status"]) == ("sftp", "january.json", "received")
    wait(lambda: not partner.left(), "removed")
    partner.server.work()
    told = partner.status("january.json", lambda told: told["status"] == "accepted")
    assert [row["meter"] for row in told["readings"]] == ["1"]
    assert partner.submissions() == 1
