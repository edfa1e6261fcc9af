"""`registry sync`, `registry syncs` and `doctor`: master data from a billing's own database, as an operator sees it."""

import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest

from gateway.store import Store, people
from tests.cli.conftest import Command, at, runner
from tests.conftest import Database

SETTINGS = """
[targets.city.registry]
kind = "sql_staging"
url = "{url}"
view = "registry"
master_every = 7200
master_profile = "legal_entity"
"""
VIEW = """
create table registry (agreement text, point text, meter text, register text, digits int, model text);
insert into registry select 'A-' || n / 4, n, n, 'A+', 6, '' from generate_series(0, 39) n;
"""


@pytest.fixture
def billing(database: Database) -> Iterator[str]:
    """The URL of the billing's own database; ours has its utility."""
    name = f"billing_{uuid.uuid4().hex[:12]}"
    database.server.create_database(name)
    url = database.server.url("owner", name)
    with psycopg.connect(url) as connection:
        connection.execute(VIEW)
    store = Store(database.url(), role="owner", pool=1)
    with store.transaction() as connection:
        people.ship(connection, people.ensure_utility(connection, "city"), "legal_entity", "test")
    store.close()
    yield url
    database.server.drop_database(name)


@pytest.fixture
def metergate(database: Database, billing: str, tmp_path: Path) -> Command:
    """Commands with a target for that database in their settings."""
    (tmp_path / "metergate.toml").write_text(SETTINGS.format(url=billing), "utf-8")
    return partial(runner(tmp_path), **at(database))


def change(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement)


def test_an_operator_sees_what_would_be_done_does_it_and_reads_how_it_ended(metergate: Command, billing: str) -> None:
    assert metergate("registry", "syncs").stderr == "nothing was fetched yet\n"
    looked = metergate("registry", "sync", "--dry-run")
    assert (looked.returncode, "new meter A-0 / 0 / 0: " in looked.stdout) == (0, True), looked.stderr
    assert "10 new agreement; 40 new point" in looked.stderr

    done = metergate("registry", "sync", "--utility", "city")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("city.registry: applied: 40 meters of 10 agreements; 10 new agreement; 40 new point")
    assert "city.registry: unchanged: 40 meters of 10 agreements; nothing changed" in metergate("registry", "sync").stdout

    change(billing, "update registry set model = 'X' where agreement <> 'A-3'; update registry set digits = 99 where meter = '12'")
    partly = metergate("registry", "sync", "--target", "registry")
    assert (partly.returncode, "36 changed meter; 1 agreements left as they were" in partly.stdout) == (1, True), partly.stdout
    assert "city.registry: agreement A-3 left as it was" in partly.stderr
    assert "“99” does not fit the column digits" in partly.stderr

    listed = metergate("registry", "syncs", "--limit", "2")
    assert [row.split()[4] for row in listed.stdout.splitlines()[1:]] == ["partly", "unchanged"]
    assert "agreement A-3 left as it was" in listed.stderr


def test_too_many_missing_meters_stop_it_until_an_operator_allows_them(metergate: Command, billing: str) -> None:
    assert metergate("registry", "sync").returncode == 0
    change(billing, "delete from registry where agreement = 'A-7'")
    looked = metergate("registry", "sync", "--dry-run")
    assert (looked.returncode, "gone meter A-7 / 28 / 28" in looked.stdout) == (1, True)
    assert "It would be stopped: 4 of 40 meters are not in its 36 rows." in looked.stderr
    stopped = metergate("registry", "sync")
    assert (stopped.returncode, stopped.stdout) == (1, "city.registry: stopped: 4 of 40 meters are not in it, more than 5 %\n")
    assert "stopped: 4 of 40 meters" in metergate("doctor").stdout
    allowed = metergate("registry", "sync", "--max-retired", "10")
    assert (allowed.returncode, "4 retired meter" in allowed.stdout) == (0, True)


def test_doctor_says_when_it_was_last_synced_and_how_the_last_fetch_ended(metergate: Command, billing: str) -> None:
    def said() -> str:
        [line] = [line for line in metergate("doctor").stdout.splitlines() if "master city.registry" in line]
        return line

    assert "never synced; a worker fetches it" in said()
    assert metergate("registry", "sync").returncode == 0
    assert said().startswith("ok")
    assert "Z, applied" in said()
    change(billing, "alter table registry rename to gone")
    away = metergate("registry", "sync")
    assert (away.returncode, away.stdout) == (2, "")
    assert "misconfigured: SqlStaging(" in away.stderr
    assert said().startswith("wrong")
    assert "Z; misconfigured: " in said()


def test_there_must_be_something_to_fetch_from(metergate: Command) -> None:
    for wrong in (("--utility", "other"), ("--target", "billing")):
        refused = metergate("registry", "sync", *wrong)
        assert (refused.returncode, "no such target that offers master data" in refused.stderr) == (2, True)
