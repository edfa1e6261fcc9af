"""`doubt list | taken | again | refused` on a real database with deliveries that a real target left in doubt."""

import getpass
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.conftest import Database
from tests.store.ground import Ground, billing, journal
from tests.store.paper import Paper


@pytest.fixture
def ground(database: Database) -> Iterator[Ground]:
    """A utility; the audit must find nothing at the end."""
    made = Ground(database)
    yield made
    made.clean()
    made.close()


@pytest.fixture
def keys(ground: Ground, tmp_path: Path) -> list[str]:
    """The keys of three readings that were sent and never answered."""
    ids = [ground.receive({meter: 150})[meter] for meter in ground.meters(3)]
    billing(tmp_path, "lost")
    ground.worker(Paper(folder=str(tmp_path))).run_until_idle()
    billing(tmp_path, "take")
    return [f"rdg_{id_.hex}" for id_ in ids]


def test_a_person_looks_and_decides(on_database: Command, ground: Ground, keys: list[str], tmp_path: Path) -> None:
    told = on_database("doubt", "list", "--lang", "en")
    assert (told.returncode, told.stderr) == (0, "")
    head, *rows = told.stdout.splitlines()
    assert head.split()[:5] == ["state", "since", "utility", "target", "meter"]
    for row, key, meter in zip(rows, keys, ("M000001", "M000002", "M000003"), strict=True):
        assert row.startswith("Being clarified")
        assert all(word in row for word in (key, meter, "city", "billing", ground.period, "the answer is lost"))
    yes, no, once_more = keys
    done = on_database("doubt", "taken", yes, "--reference", "ACT-7", "--by", "Ольга")
    assert (done.returncode, done.stdout) == (0, f"{yes}: taken by billing; meter M000001, {ground.period}, city.billing\n")
    assert on_database("doubt", "refused", no, "--reason", "no such account").returncode == 0
    assert on_database("doubt", "again", once_more.removeprefix("rdg_")).returncode == 0
    events = ground.plain("select to_state, actor, reason from event where actor like 'operator:%%' order by id")
    login = f"operator:{getpass.getuser()}"
    assert events == [("acknowledged", "operator:Ольга", "ACT-7"), ("rejected", login, "no such account"), ("queued", login, "")]
    ground.worker(Paper(folder=str(tmp_path))).run_until_idle()
    assert [row[0] for row in journal(tmp_path)] == [*keys, once_more]
    empty = on_database("doubt", "list")
    assert (empty.returncode, empty.stdout, empty.stderr) == (0, "", "nothing waits for a person\n")


def test_a_decision_that_cannot_be_made_changes_nothing(on_database: Command, ground: Ground, keys: list[str]) -> None:
    assert on_database("doubt", "taken", keys[0]).returncode == 0
    for args, said in (
        (("taken", keys[0]), "no such delivery waits for a person"),
        (("again", "rdg_1"), "is no key"),
        (("refused", keys[1], "--reason", " "), "cannot be empty"),
        (("refused", keys[1]), "--reason"),
        (("taken", keys[1], "--reference", "a\nb"), "one line"),
        (("taken", keys[1], "--by", "x" * 501), "one line"),
    ):
        done = on_database("doubt", *args)
        assert (done.returncode, done.stdout) == (2, ""), args
        assert said in done.stderr
    assert ground.plain("select state, open from lane") == [(3, 1)] * 2
    narrowed = on_database("doubt", "list", "--utility", "elsewhere")
    assert (narrowed.returncode, narrowed.stdout) == (0, "")


def test_the_doctor_audits_the_ledger_and_says_how_much_waits(on_database: Command, ground: Ground, keys: list[str]) -> None:
    lines = [line.split(maxsplit=2) for line in on_database("doctor").stdout.splitlines()]
    assert [line for line in lines if line[1] == "ledger"] == [
        ["ok", "ledger", "the audit finds nothing"],
        ["note", "ledger", f"{len(keys)} deliveries wait for a person: metergate doubt list"],
    ]
    ground.rows("update lane set open = open + 1 where lane_id = (select min(lane_id) from lane)")
    done = on_database("doctor")
    assert done.returncode == 1
    lane = ground.one("select target_id || '/' || min(lane_id) from lane group by target_id")
    assert f"lane_count: 1 rows, such as {lane} has 1 open, counts 2" in done.stdout
    ground.rows("update lane set open = 1")
