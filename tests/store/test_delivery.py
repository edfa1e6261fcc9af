"""From a queued reading to billing's word: retries, breaker, doubt, refusals, order, by workers whose clock is moved and nobody sleeps."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway import pipeline
from gateway.domain.status import ReadingStatus
from gateway.mapping import formats
from gateway.outbound import Target
from gateway.registry import build
from gateway.settings import Settings
from gateway.store import readings
from gateway.store.claims import sending
from gateway.store.ledger import DELAYED, PARKED
from gateway.worker import Worker
from tests.store.ground import LEASE, LIMITS, NOW, Ground, billing, calls, journal
from tests.store.paper import Honest, Paper

HOUR = timedelta(hours=1)


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    """A folder of the paper billing, in a good mood."""
    billing(tmp_path, "take")
    return tmp_path


def work(ground: Ground, paper: Path, *, skew: timedelta = NOW, **settings: Any) -> Worker:
    """Let a worker of the honest paper do all that is due."""
    worker = ground.worker(Honest(folder=str(paper)), skew=skew, **{"jitter": 0.0, **settings})
    worker.run_until_idle()
    return worker


def test_a_taken_reading_is_acknowledged_and_leaves_the_ledger(ground: Ground, paper: Path) -> None:
    [reading] = ground.receive({ground.meters(1)[0]: 150}).values()
    work(ground, paper)
    assert ground.statuses([reading]) == ["acknowledged"]
    assert journal(paper) == [[f"rdg_{reading.hex}", "M000001", ground.period, "0"]]
    assert ground.rows("select * from lane") == ground.rows("select * from delivery") == []


def test_retries_follow_the_published_schedule(ground: Ground, paper: Path) -> None:
    ground.receive({ground.meters(1)[0]: 150})
    billing(paper, "away")
    at, schedule = 0.0, (0.0, 5.0, 60.0, 300.0, 1800.0, 7200.0, 14400.0, 14400.0)
    work(ground, paper, breaker=100)
    for tried, wait in enumerate(schedule[1:], 1):
        assert calls(paper) == tried
        work(ground, paper, skew=timedelta(seconds=at + wait - 2), breaker=100)
        assert calls(paper) == tried, f"too early, {wait} s after try {tried}"
        at += wait + 60
        work(ground, paper, skew=timedelta(seconds=at), breaker=100)
    assert calls(paper) == len(schedule)
    assert ground.one("select tries from delivery") == len(schedule)


def test_waits_are_spread_but_not_shortened_below_what_billing_asks(ground: Ground, paper: Path) -> None:
    ground.receive(dict.fromkeys(ground.meters(40), 150))
    billing(paper, "later")
    work(ground, paper, schedule=(0.0, 1000.0), jitter=0.2)
    dues = [row.s for row in ground.rows("select extract(epoch from due - clock_timestamp())::float8 as s from lane")]
    assert all(790 < due <= 1200 for due in dues)
    assert max(dues) - min(dues) > 100
    billing(paper, "wait")
    work(ground, paper, schedule=(0.0, 1.0), skew=HOUR)
    dues = [row.s for row in ground.rows("select extract(epoch from due - clock_timestamp())::float8 as s from lane")]
    assert all(due > 3600 + 890 for due in dues)


def test_a_billing_that_asks_to_be_left_alone_is(ground: Ground, paper: Path) -> None:
    first, second = ground.meters(2)
    ground.receive({first: 150})
    billing(paper, "wait")
    work(ground, paper)
    ground.receive({second: 150})
    billing(paper, "take")
    work(ground, paper, skew=timedelta(seconds=890))
    assert calls(paper) == 1
    work(ground, paper, skew=timedelta(seconds=910))
    assert len(journal(paper)) == 2


def test_patience_ends_in_a_dead_letter_and_the_lane_goes_on(ground: Ground, paper: Path) -> None:
    [meter] = ground.meters(1)
    [reading] = ground.receive({meter: 150}, period=_earlier(ground), arrival=_in(_earlier(ground))).values()
    billing(paper, "away")
    work(ground, paper, patience=7 * 86400.0)
    [later] = ground.receive({meter: 160}).values()
    ground.rows("update delivery set created_at = now() - interval '8 days' where subject_id = %(r)s", r=reading)
    work(ground, paper, skew=HOUR)
    assert ground.statuses([reading, later]) == ["dead", "queued"]
    assert ground.one("select problem from delivery_closed") == "retries_spent"
    billing(paper, "take")
    work(ground, paper, skew=2 * HOUR)
    assert ground.statuses([reading, later]) == ["dead", "acknowledged"]


def _earlier(ground: Ground) -> str:
    year, month = map(int, ground.period.split("-"))
    return f"{year - (month == 1)}-{12 if month == 1 else month - 1:02}"


def _in(period: str) -> datetime:
    return datetime.fromisoformat(f"{period}-15T12:00:00").replace(tzinfo=UTC)


def test_the_breaker_opens_lets_one_probe_pass_and_wakes_everyone(ground: Ground, paper: Path) -> None:
    ground.receive(dict.fromkeys(ground.meters(30), 150))
    billing(paper, "away")
    target = Honest(folder=str(paper), batch=3)
    worker = ground.worker(target, jitter=0.0, breaker=5, breaker_pause=30.0)
    worker.run_until_idle()
    assert calls(paper) == 5
    ground.worker(target, skew=timedelta(seconds=25), jitter=0.0).run_until_idle()
    assert calls(paper) == 5
    probing = ground.worker(target, skew=timedelta(seconds=35), jitter=0.0)
    assert probing.deliver_one(ground.target)
    assert not probing.deliver_one(ground.target)
    assert calls(paper) == 6
    billing(paper, "take")
    ground.worker(target, skew=timedelta(seconds=70), jitter=0.0).run_until_idle()
    assert len(journal(paper)) == 30
    assert ground.plain("select failures, breaker_until from target") == [(0, None)]


def test_while_a_probe_is_out_no_second_batch_goes(ground: Ground) -> None:
    ground.enqueue(range(10))
    ground.rows("update target set breaker_until = now() - interval '1 s', failures = 5")
    assert ground.claim(3) is not None
    assert ground.claim(3) is None


def test_a_billing_that_is_back_is_noticed_though_nothing_is_due_for_hours(ground: Ground, paper: Path) -> None:
    ground.receive(dict.fromkeys(ground.meters(20), 150))
    billing(paper, "away")
    target = Honest(folder=str(paper), batch=2)
    long: dict[str, Any] = {"jitter": 0.0, "schedule": (0.0, 7200.0), "breaker": 5}
    ground.worker(target, **long).run_until_idle()
    ground.worker(target, skew=timedelta(seconds=40), **long).run_until_idle()
    assert calls(paper) == 6
    ground.rows("update lane set state = 2, due = now() + interval '2 hours' where state = 1")
    billing(paper, "take")
    ground.worker(target, skew=timedelta(seconds=80), **long).run_until_idle()
    assert len(journal(paper)) == 20


def test_one_failed_call_among_good_ones_wakes_nobody(ground: Ground, paper: Path) -> None:
    first, second = ground.meters(2)
    ground.receive({first: 150})
    billing(paper, "away")
    work(ground, paper, schedule=(0.0, 1000.0))
    billing(paper, "take")
    ground.receive({second: 150})
    work(ground, paper)
    assert [row[1] for row in journal(paper)] == [second]
    assert ground.one("select state from lane") == DELAYED
    assert ground.one("select failures from target") == 0


@pytest.mark.parametrize("mood", ["lost", "broken", "silent"])
def test_a_lost_answer_of_class_c_is_in_doubt_and_parks_its_lane(ground: Ground, paper: Path, mood: str) -> None:
    first, second = ground.meters(2)
    [doubted] = ground.receive({first: 150}).values()
    billing(paper, mood)
    _by_settings(ground, paper)
    [behind] = ground.receive({first: 170}, period=ground.period).values()
    [other] = ground.receive({second: 150}).values()
    billing(paper, "take")
    for hours in (0, 1, 1000):
        _by_settings(ground, paper, skew=hours * HOUR)
    assert ground.statuses([other]) == ["acknowledged"]
    assert ground.statuses([behind]) == ["queued"]
    assert sorted(row[0] for row in journal(paper)) == sorted([f"rdg_{doubted.hex}", f"rdg_{other.hex}"])
    assert [(row.state, row.open) for row in ground.rows("select * from lane")] == [(PARKED, 2)]
    assert ground.one("select problem from delivery where subject_id = %(r)s", r=doubted) == "in_doubt"


def _by_settings(ground: Ground, paper: Path, skew: timedelta = NOW) -> None:
    """As an installation would: a target of a kind from outside the tree, named in the settings."""
    section = {"kind": "tests.store.paper", "folder": str(paper)}
    settings = Settings(targets={"city": {"billing": section}})
    worker = Worker(ground.store, settings, formats(LIMITS), name="test", skew=skew)
    assert type(build(Target, section)) is Paper
    worker.run_until_idle()


@pytest.mark.parametrize(
    ("target", "phase", "becomes", "problem"), [(Paper, 1, "in_doubt", "in_doubt"), (Honest, 1, "queued", "answer_lost")]
)
def test_what_a_dead_worker_was_sending_goes_by_class(
    ground: Ground, paper: Path, target: type[Paper], phase: int, becomes: str, problem: str
) -> None:
    [reading] = ground.receive({ground.meters(1)[0]: 150}).values()
    held = ground.held()
    with ground.store.transaction() as connection:
        assert sending(connection, held.id, lease=LEASE, skew=NOW)
    assert not ground.worker(target(folder=str(paper))).reap_one()
    worker = ground.worker(target(folder=str(paper)), skew=timedelta(seconds=40))
    assert worker.reap_one()
    assert ground.statuses([reading]) == [becomes]
    assert ground.one("select phase from batch") == phase + 2
    assert ground.plain("select problem, tries from delivery") == [(problem, 1)]
    ground.clean()


@pytest.mark.parametrize("target", [Paper, Honest])
def test_what_a_dead_worker_had_only_claimed_goes_again_in_every_class(ground: Ground, paper: Path, target: type[Paper]) -> None:
    [reading] = ground.receive({ground.meters(1)[0]: 150}).values()
    ground.held()
    worker = ground.worker(target(folder=str(paper)), skew=timedelta(seconds=40))
    worker.run_until_idle()
    assert ground.statuses([reading]) == ["acknowledged"]
    assert len(journal(paper)) == 1


def test_a_worker_reaps_nothing_of_a_target_it_cannot_build(ground: Ground) -> None:
    [reading] = ground.receive({ground.meters(1)[0]: 150}).values()
    held = ground.held()
    with ground.store.transaction() as connection:
        assert sending(connection, held.id, lease=LEASE, skew=NOW)
    settings = Settings(targets={"city": {"billing": {"kind": "http_json", "url": "no address", "token": "t"}}})
    worker = Worker(ground.store, settings, formats(LIMITS), skew=HOUR)
    assert not worker.reap_one()
    assert ground.statuses([reading]) == ["queued"]


def test_a_target_set_wrong_is_in_nobody_elses_way(ground: Ground, paper: Path) -> None:
    ground.rows("update target set name = 'legacy'")  # an older row than the one that works
    [reading] = ground.receive({ground.meters(1)[0]: 150}).values()
    wrong = {"kind": "http_json", "url": "no address", "token": "t"}
    right = {"kind": "tests.store.paper", "folder": str(paper)}
    Worker(ground.store, Settings(targets={"city": {"legacy": wrong, "billing": right}}), formats(LIMITS)).run_until_idle()
    assert ground.statuses([reading]) == ["acknowledged"]


def test_a_target_that_the_settings_lack_waits_and_is_said_once(
    ground: Ground, paper: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    [reading] = ground.receive({ground.meters(1)[0]: 150}).values()
    right = {"kind": "tests.store.paper", "folder": str(paper)}
    settings = Settings(data=tmp_path / "data", targets={"city": {"biling": right}})
    worker = Worker(ground.store, settings, formats(LIMITS))
    for _ in range(3):
        worker.run_until_idle()
    said = [record.__dict__["facts"]["why"] for record in caplog.records if record.message == "worker.waits"]
    assert (ground.statuses([reading]), len(said), (tmp_path / "data").exists()) == (["queued"], 1, False)
    assert "[targets.city.billing]" in said[0]


@pytest.mark.parametrize("mood", ["refuse", "bad"])
def test_a_refused_reading_is_rejected_with_its_reason_and_the_register_forgets(ground: Ground, paper: Path, mood: str) -> None:
    [meter] = ground.meters(1)
    [reading] = ground.receive({meter: 150}).values()
    assert ground.one("select last from register") == 150
    billing(paper, mood)
    work(ground, paper)
    assert ground.statuses([reading]) == ["rejected"]
    [problem] = ground.rows('select code, severity, "values" from problem where meter_reading_id = %(r)s', r=reading)
    assert (problem.code, problem.severity, set(problem.values)) == ("refused_by_billing", "error", {"reason"})
    assert ground.plain("select last, last_reading_id from register") == [(100, None)]
    billing(paper, "take")
    [again] = ground.receive({meter: 150}).values()
    work(ground, paper)
    assert ground.statuses([reading, again]) == ["rejected", "acknowledged"]


def test_a_later_value_is_not_forgotten_when_an_earlier_one_is_refused(ground: Ground, paper: Path) -> None:
    [meter] = ground.meters(1)
    [first] = ground.receive({meter: 150}, period=_earlier(ground), arrival=_in(_earlier(ground))).values()
    [second] = ground.receive({meter: 170}).values()
    billing(paper, "refuse")
    assert ground.worker(Honest(folder=str(paper))).deliver_one(ground.target)
    assert ground.statuses([first, second]) == ["rejected", "queued"]
    assert ground.plain("select last, last_reading_id from register") == [(170, second)]


def test_what_was_withdrawn_or_superseded_before_its_first_try_is_never_sent(ground: Ground, paper: Path) -> None:
    first, second = ground.meters(2)
    superseded = ground.receive({first: 150})[first]
    corrected = ground.receive({first: 155})[first]
    withdrawn = ground.receive({second: 150})[second]
    with ground.store.transaction() as connection:
        assert readings.move(connection, ReadingStatus.WITHDRAWN, [(withdrawn, "a mistake")], actor="test") == {withdrawn}
    work(ground, paper)
    assert ground.statuses([superseded, corrected, withdrawn]) == ["superseded", "acknowledged", "withdrawn"]
    assert [row[0] for row in journal(paper)] == [f"rdg_{corrected.hex}"]
    assert ground.rows("select * from lane") == []


def test_what_may_have_arrived_goes_again_before_its_correction(ground: Ground, paper: Path) -> None:
    [meter] = ground.meters(1)
    first = ground.receive({meter: 150})[meter]
    billing(paper, "lost")
    work(ground, paper)
    second = ground.receive({meter: 155})[meter]
    billing(paper, "take")
    work(ground, paper, skew=HOUR)
    assert [(row[0], row[3]) for row in journal(paper)][1:] == [(f"rdg_{first.hex}", "0"), (f"rdg_{second.hex}", "1")]
    assert ground.statuses([first, second]) == ["superseded", "acknowledged"]


def test_two_values_of_a_period_in_one_post_are_an_original_and_its_correction(ground: Ground, paper: Path) -> None:
    [meter] = ground.meters(1)
    ids = _post_twice(ground, meter)
    work(ground, paper)
    assert [row[3] for row in journal(paper)] == ["1"]
    assert ground.statuses(ids) == ["superseded", "acknowledged"]


def _post_twice(ground: Ground, meter: str) -> list[UUID]:
    posts = [ground.post({meter: value}) for value in (150, 155)]
    pipeline.receive(ground.store, posts, translated=True)
    return [row.id for row in ground.rows("select m.id from meter_reading m join submission s on s.id = m.submission_id order by s.id")]


def test_readings_of_a_meter_arrive_in_the_order_of_their_periods_and_revisions(ground: Ground, paper: Path) -> None:
    meters = ground.meters(5)
    periods = [f"{int(ground.period[:4]) - 1}-{month:02}" for month in (3, 1, 4, 2)]
    value = {period: 100 + 10 * int(period[-2:]) for period in periods}
    billing(paper, "away")
    for period in periods:
        ground.receive(dict.fromkeys(meters, value[period]), period=period, arrival=_in(period))
    billing(paper, "take")
    work(ground, paper, skew=HOUR)
    for meter in meters:
        assert [row[2] for row in journal(paper) if row[1] == meter] == sorted(periods)


def test_a_correction_after_a_refused_one_is_a_revision_of_its_own(ground: Ground, paper: Path) -> None:
    [meter] = ground.meters(1)
    ground.receive({meter: 150})
    work(ground, paper)
    billing(paper, "refuse")
    ground.receive({meter: 155})
    work(ground, paper)
    billing(paper, "take")
    ground.receive({meter: 156})
    work(ground, paper)
    assert [row[3] for row in journal(paper)] == ["0", "2"]
    assert ground.plain("select value, previous from reading order by meter_reading_id") == [(150, 100), (155, 100), (156, 100)]
