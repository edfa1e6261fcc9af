"""Master data fetched from a billing: when, what of it is applied, what is left as it was, and what stops all of it."""

import logging
import os
import resource
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import psycopg
import pytest

from gateway.mapping import formats
from gateway.outbound import Target
from gateway.pipeline import mastering
from gateway.pipeline.mastering import Source
from gateway.registry import build
from gateway.settings import Settings
from gateway.settings import Worker as WorkerSettings
from gateway.store import Store, people, syncs
from gateway.store.syncs import Sync
from gateway.worker import Worker
from tests.conftest import Database, case
from tests.peers import until
from tests.sshd import Sshd, running_sshd

HEAD = "agreement;point;meter;register;digits;party;model"
HOURS = 7200.0
Record = Callable[[str, int, str], None]


@pytest.fixture(scope="module")
def sshd() -> Iterator[Sshd]:
    with running_sshd(jailed=False) as running:
        running.make("out")
        yield running


class Billing:
    """A utility whose billing offers its master file on a real SFTP server, and the registry that is fed from it."""

    def __init__(self, database: Database, sshd: Sshd) -> None:
        self.owner = Store(database.url("owner"), role="owner", pool=2)
        self.store = Store(database.url("worker"), role="worker", pool=4)
        self.sshd = sshd
        self.file = sshd.folder / "out" / f"{database.name}.csv"
        with self.owner.transaction() as connection:
            self.id = people.ensure_utility(connection, "city")
            people.ship(connection, self.id, "legal_entity", "test")

    def close(self) -> None:
        self.owner.close()
        self.store.close()

    def section(self, **more: Any) -> dict[str, Any]:
        sshd = self.sshd
        return {
            "kind": "sftp_file",
            "host": sshd.host,
            "port": sshd.port,
            "user": sshd.user,
            "key_file": sshd.key_file,
            "host_key": sshd.host_key,
            "folder": sshd.path("out"),
            "acks": sshd.path("out"),
            "master_path": str(self.file),
            "master_stable": 0.0,
            "master_every": HOURS,
            "master_timeout": 30.0,
        } | more

    def offers(self, *rows: str, head: str = HEAD) -> None:
        """What the master file says from now on."""
        self.file.write_text("".join(f"{row}\n" for row in (head, *rows)), "utf-8")

    def worker(self, hours: float = 0.0, **more: Any) -> Worker:
        settings = Settings(targets={"city": {"billing": self.section(**more)}}, worker=WorkerSettings(reap=0.05, poll=0.05))
        return Worker(self.store, settings, formats(settings.limits), name="test", skew=timedelta(hours=hours))

    def fetch(self, hours: float = 0.0, **more: Any) -> Sync:
        """Fetch, the clock moved on by so much; how it ended."""
        assert self.worker(hours, **more).fetch_one(), "it is not due"
        return self.last()

    def last(self) -> Sync:
        with self.owner.transaction() as connection:
            return syncs.latest(connection, "city", 1)[0]

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.owner.transaction() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]

    def meters(self) -> list[str]:
        """The meters that hang."""
        return [serial for (serial,) in self.rows("select serial from meter where removed_on is null order by 1")]


@pytest.fixture
def billing(database: Database, sshd: Sshd) -> Iterator[Billing]:
    made = Billing(database, sshd)
    yield made
    made.close()


def four(agreement: str = "A-1") -> list[str]:
    """Four meters of one agreement."""
    return [f"{agreement};P-{number};{agreement}-{number};A+;6;ООО «{agreement}»;" for number in range(4)]


def forty() -> list[str]:
    """Forty meters of ten agreements."""
    return [row for number in range(10) for row in four(f"A-{number}")]


def test_it_is_fetched_when_it_is_due_and_not_before(billing: Billing) -> None:
    billing.offers(*four())
    first = billing.fetch()
    assert (first.outcome, first.profile, first.told["changes"]["new meter"], first.told["agreements"]) == ("applied", "legal_entity", 4, 1)
    assert billing.meters() == ["A-1-0", "A-1-1", "A-1-2", "A-1-3"]
    assert not billing.worker(hours=1.9).fetch_one()
    assert billing.fetch(hours=2.1).outcome == "unchanged"
    assert not billing.worker(hours=2.2).fetch_one()
    assert not billing.worker(hours=100, master_every=0).fetch_one()


def test_an_unchanged_fetch_changes_nothing_and_says_so(billing: Billing) -> None:
    where = "select id, xmin::text, ctid::text from meter union all select id, xmin::text, ctid::text from agreement order by 1"
    billing.offers(*four())
    billing.fetch()
    before = billing.rows(where)
    again = billing.fetch(hours=3)
    assert billing.rows(where) == before
    assert (again.outcome, again.told.get("changes"), again.told["rows"]) == ("unchanged", None, 4)


def test_an_agreement_with_a_wrong_row_is_left_as_it_was_and_named_the_others_are_applied(billing: Billing) -> None:
    billing.offers(*four("A-1"), *four("A-2"))
    billing.fetch()
    one, two = four("A-1"), four("A-2")
    billing.offers(*one[:2], one[2].replace(";6;", ";66;"), *(row + "СЭТ" for row in two))
    told = billing.fetch(hours=3)
    assert told.outcome == "partly"
    assert (told.told["left"], told.told["changes"]) == (1, {"changed meter": 4})
    [problem] = told.told["problems"]["A-1"]
    assert (problem["code"], problem["where"]) == ("registry_cell", "line 4, digits")
    assert len(billing.meters()) == 8, "the meter that A-1 does not name is not retired"
    assert billing.rows("select distinct model from meter where serial like 'A-1%%'") == [("",)]


def test_an_agreement_whose_rows_contradict_each_other_is_left_whole(billing: Billing) -> None:
    odd = "A-3;P-9;A-3-9;A+;6;ООО «Другое»;"
    billing.offers(*four("A-1"), *four("A-3"), odd)
    told = billing.fetch()
    assert (told.outcome, told.told["left"], told.told["meters"]) == ("partly", 1, 4)
    assert [one["code"] for one in told.told["problems"]["A-3"]] == ["registry_contradicts"]
    assert billing.rows("select number from agreement") == [("A-1",)]


def test_meters_that_are_missing_are_retired_today(billing: Billing) -> None:
    billing.offers(*forty())
    billing.fetch()
    billing.offers(*forty()[:-2])
    told = billing.fetch(hours=3)
    assert (told.outcome, told.told["retired"], told.told["hanging"]) == ("applied", 2, 40)
    assert len(billing.meters()) == 38
    assert billing.rows(
        "select distinct (removed_on - (now() at time zone 'Europe/Moscow' + interval '3 hours')::date) from meter "
        "where removed_on is not null"
    ) == [(0,)]
    billing.offers(*forty())
    billing.fetch(hours=6)
    assert len(billing.meters()) == 40, "what billing names again hangs again"


def test_nothing_at_all_is_applied_when_too_many_would_be_retired(billing: Billing, caplog: pytest.LogCaptureFixture) -> None:
    billing.offers(*forty())
    billing.fetch()
    billing.offers(*(row + "СЭТ" for row in forty()[:36]), *four("B-1"))
    with caplog.at_level(logging.WARNING, "metergate"):
        told = billing.fetch(hours=3)
    assert (told.outcome, told.told["gone"], told.told["hanging"]) == ("stopped", 4, 40)
    assert told.told["why"] == "4 of 40 meters are not in it, more than 5 %"
    assert billing.rows("select count(*) from meter where model <> '' or removed_on is not null or serial like 'B%%'") == [(0,)]
    [facts] = [record.__dict__["facts"] for record in caplog.records if record.message == "master.synced"]
    assert "registry sync --utility city --target billing --dry-run" in facts["todo"]
    assert not billing.worker(hours=4).fetch_one(), "what was seen is not tried again before its time"
    assert billing.fetch(hours=6, master_max_retired=10).outcome == "applied"
    assert len(billing.meters()) == 40


def test_a_file_without_rows_retires_nobody_whatever_is_allowed(billing: Billing) -> None:
    billing.offers(*four())
    billing.fetch()
    billing.offers()
    told = billing.fetch(hours=3, master_max_retired=100)
    assert (told.outcome, told.told["why"]) == ("stopped", "there is no row below the header")
    assert len(billing.meters()) == 4


def test_a_row_that_names_no_agreement_lets_nobody_be_retired(billing: Billing) -> None:
    billing.offers(*four("A-1"), *four("A-2"))
    billing.fetch()
    billing.offers(*four("A-1"), *four("A-2")[:3], "A-2;P-3;A-2")
    told = billing.fetch(hours=3, master_max_retired=50)
    assert (told.outcome, told.told["unplaced"], told.told["gone"]) == ("partly", 1, 1)
    assert len(billing.meters()) == 8


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # paramiko's own thread says that the session is cut
def test_a_fetch_that_is_cut_short_changes_nothing_and_is_soon_tried_again(billing: Billing) -> None:
    billing.offers(*(row for number in range(500) for row in four(f"A-{number}")))
    billing.sshd.cut("read", "before")
    told = billing.fetch()
    assert told.outcome == "unavailable"
    assert billing.rows("select count(*) from agreement") == [(0,)]
    assert not billing.worker(hours=0.05).fetch_one()
    assert billing.fetch(hours=0.1).outcome == "applied"


def test_a_file_in_the_making_is_left_alone(billing: Billing) -> None:
    billing.offers(*four())
    marker = billing.file.with_suffix(".ok")
    assert billing.fetch(master_marker=str(marker)).outcome == "misconfigured", "there never was one"
    marker.touch()
    older = billing.file.stat().st_mtime - 60
    os.utime(marker, (older, older))
    told = billing.fetch(hours=1, master_marker=str(marker))
    assert (told.outcome, "is newer than" in told.told["why"]) == ("unavailable", True)
    marker.touch()
    assert billing.fetch(hours=2, master_marker=str(marker)).outcome == "applied"


def test_a_file_that_grows_while_it_is_read_is_not_the_file(billing: Billing) -> None:
    billing.offers(*(row for number in range(20_000) for row in four(f"A-{number}")))
    pieces = build(Target, billing.section()).master()
    next(pieces)
    with billing.file.open("a", encoding="utf-8") as file:
        file.write("A-X;1;1;A+;6;;\n")
    with pytest.raises(Exception, match="it changed while it was read"):
        list(pieces)


@pytest.mark.parametrize(
    ("content", "why"),
    [("name;value\n", "registry_column"), ("agreement;point\n", "column_missing"), ("", "column_missing")],
)
def test_a_file_of_another_kind_is_refused_whole(billing: Billing, content: str, why: str) -> None:
    billing.file.write_text(content, "utf-8")
    told = billing.fetch()
    assert (told.outcome, why in told.told["why"]) == ("refused", True)


def test_an_encoding_is_said_or_refused(billing: Billing) -> None:
    billing.file.write_bytes("\n".join([HEAD, *four()]).encode("cp1251"))
    assert billing.fetch().told["why"] == "registry_encoding"
    assert billing.fetch(hours=3, master_encoding="cp1251").outcome == "applied"
    assert billing.rows("select name from party") == [("ООО «A-1»",)]


def test_a_profile_must_be_known_and_a_target_must_offer_something(billing: Billing) -> None:
    billing.offers(*four())
    assert "master_profile: one of legal_entity is wanted" in billing.fetch(master_profile="water").told["why"]
    told = billing.fetch(hours=1, master_path="")
    assert (told.outcome, "names no file" in told.told["why"]) == ("misconfigured", True)


def test_one_process_at_a_time_asks_a_target_and_a_dead_one_is_told(billing: Billing) -> None:
    billing.offers(*four())
    with billing.owner.transaction() as connection:
        assert syncs.lock(connection, "city", "billing") == billing.id
        assert not billing.worker().fetch_one()
        run = syncs.begin(connection, billing.id, "billing", None, skew=timedelta())
        assert run is not None
    assert not billing.worker(hours=0.05).fetch_one(), "what died is not tried again at once"
    assert billing.fetch(hours=0.1).outcome == "applied"
    assert [outcome for (outcome,) in billing.rows("select outcome from sync order by id")] == ["died", "applied"]


def test_a_running_worker_fetches_of_itself_and_stops_when_told(billing: Billing) -> None:
    billing.offers(*four())
    stop = Event()
    thread = Thread(target=billing.worker().run, args=(stop,))
    thread.start()
    try:
        until(lambda: billing.rows("select count(*) from sync where outcome = 'applied'") == [(1,)], "it was fetched")
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    assert len(billing.meters()) == 4


def test_how_fresh_the_registry_is(billing: Billing) -> None:
    def fresh(*profiles: str) -> Any:
        with billing.owner.transaction() as connection:
            return syncs.synced_at(connection, billing.id, profiles)

    assert fresh("legal_entity") is None
    billing.offers(*four())
    done = billing.fetch().finished_at
    assert fresh("legal_entity") == fresh("legal_entity", "water") == done
    billing.file.unlink()
    assert billing.fetch(hours=3).outcome == "misconfigured"
    assert fresh("legal_entity") == done, "a fetch that failed makes nothing fresher"
    assert fresh("water") is None


def source(section: dict[str, Any]) -> Source:
    return Source(utility="city", name="billing", target=build(Target, section), limit=2**30)


@pytest.mark.parametrize("way", ["SFTP", "SQL"])
def test_many_meters_are_fetched_in_flat_memory(billing: Billing, database: Database, proof: Record, way: str) -> None:
    count = case(4_000, 100_000)
    section = billing.section(master_timeout=600.0)
    name = f"{database.name}_billing"
    if way == "SFTP":
        with billing.file.open("w", encoding="utf-8") as file:
            file.write(f"{HEAD}\n")
            file.writelines(f"A-{n // 4};P-{n % 4};{n:08};A+;6;ООО «{n // 4}»;СЭТ\n" for n in range(count))
    else:
        database.server.create_database(name)
        url = database.server.url("owner", name)
        with psycopg.connect(url) as connection:
            connection.execute(
                "create view registry as select 'A-' || n / 4 as agreement, 'P-' || mod(n, 4) as point, lpad(n::text, 8, '0') as meter, "
                "'A+' as register, 6 as digits, 'ООО «' || n / 4 || '»' as party, 'СЭТ' as model "
                f"from generate_series(0, {count - 1}) n"
            )
        section = {"kind": "sql_staging", "url": url, "view": "registry", "master_profile": "legal_entity", "master_timeout": 600.0}
    try:
        said = []
        for _ in range(2):
            began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            done = mastering.sync(billing.store, source(section))
            memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            assert done is not None
            said.append(f"{done.outcome} in {time.perf_counter() - began:.1f} s, {memory:.0f} MiB more")
            assert memory < 60
        assert [one.split()[0] for one in said] == ["applied", "unchanged"]
        assert billing.rows("select count(*) from register") == [(count,)]
        proof(f"meters of a master data fetch by {way}, then again unchanged", count, "; ".join(said))
    finally:
        if way == "SQL":
            database.server.drop_database(name)
