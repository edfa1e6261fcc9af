"""`review list | accept | refuse` on a real database with readings that need a person."""

import getpass
import json
from collections.abc import Iterator

import pytest

from tests.cli.conftest import Command
from tests.conftest import Database
from tests.store.ground import Ground


@pytest.fixture
def ground(database: Database) -> Iterator[Ground]:
    """A utility; the audit must find nothing at the end."""
    made = Ground(database)
    yield made
    made.clean()
    made.close()


@pytest.fixture
def keys(ground: Ground) -> list[str]:
    """Three readings below the last ones, each in a submission of its own."""
    ids = [ground.receive({meter: 90}, strict=False)[meter] for meter in ground.meters(3)]
    assert ground.statuses(ids) == ["needs_review"] * 3
    return [f"rdg_{id_.hex}" for id_ in ids]


def test_a_person_looks_and_decides(on_database: Command, ground: Ground, keys: list[str]) -> None:
    told = on_database("review", "list", "--lang", "en")
    assert (told.returncode, told.stderr) == (0, "")
    head, *rows = told.stdout.splitlines()
    assert head.split() == ["reading", "received", "utility", "agreement", "meter", "period", "why"]
    for row, key, meter in zip(rows, keys, ("M000001", "M000002", "M000003"), strict=True):
        assert all(word in row for word in (key, "city", meter, ground.period, "The reading 90 is lower than the previous one, 100."))
    assert len(on_database("review", "list", "--limit", "2", "--utility", "city").stdout.splitlines()) == 3
    yes, no, _ = keys
    done = on_database("review", "accept", yes, "--reason", "the dial was exchanged", "--by", "Ольга")
    submission = ground.one("select 'sub_' || replace(submission_id::text, '-', '') from meter_reading where id = %(id)s", id=yes[4:])
    assert (done.returncode, done.stdout) == (0, f"{yes}: accepted; of {submission}\n")
    assert on_database("review", "refuse", no.removeprefix("rdg_"), "--reason", "no such dial").returncode == 0
    login = f"operator:{getpass.getuser()}"
    assert ground.plain("select to_state, actor, reason from event where actor like 'operator:%%' order by id") == [
        ("accepted", "operator:Ольга", "the dial was exchanged"),
        ("rejected", login, "no such dial"),
    ]
    assert ground.plain("select \"values\"->>'reason' from problem where code = 'refused_by_person'") == [("no such dial",)]
    assert ground.plain("select status from submission order by id") == [("accepted",), ("rejected",), ("in_review",)]


def test_a_program_reads_the_list_as_json(on_database: Command, ground: Ground, keys: list[str]) -> None:
    [first, *_] = json.loads(on_database("review", "list", "--json", "--limit", "1", "--lang", "uk").stdout)["readings"]
    names = ("reading", "utility", "agreement", "meter", "period")
    assert [first[name] for name in names] == [keys[0], "city", "A-1", "M000001", ground.period]
    [problem] = first["problems"]
    assert (problem["code"], problem["where"]) == ("reading_decreased", "readings[0].registers[0].value")
    assert "Показ 90" in problem["text"]


def test_a_decision_that_cannot_be_made_changes_nothing(on_database: Command, ground: Ground, keys: list[str]) -> None:
    assert on_database("review", "refuse", keys[0], "--reason", "no").returncode == 0
    for args, said in (
        (("accept", keys[0], "--reason", "yes"), "decided"),
        (("accept", "rdg_1", "--reason", "yes"), "is no reading"),
        (("accept", "rdg_" + "0" * 32, "--reason", "yes"), "there is no such reading"),
        (("refuse", keys[1], "--reason", " "), "cannot be empty"),
        (("refuse", keys[1]), "--reason"),
        (("refuse", keys[1], "--reason", "a\nb"), "one line"),
    ):
        done = on_database("review", *args, "--lang", "en")
        assert (done.returncode, done.stdout) == (2, ""), args
        assert said in done.stderr, (args, done.stderr)
    assert on_database("review", "list", "--utility", "village").returncode == 2
    assert ground.statuses([ground.one("select %(id)s::uuid", id=keys[1][4:])]) == ["needs_review"]


@pytest.mark.usefixtures("ground")
def test_nothing_waits(on_database: Command) -> None:
    told = on_database("review", "list")
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "nothing waits for a person\n")
