"""A billing of class B: what it may hold is asked about before it is sent again, and one that never gives its word becomes doubtful."""

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.domain.status import ReadingStatus
from gateway.outbound import Target
from gateway.store import readings, submissions
from gateway.store.claims import sending
from gateway.store.ledger import DELAYED, PARKED
from gateway.worker import Worker
from tests.store.ground import LEASE, NOW, Ground, billing, calls, journal
from tests.store.paper import Clerk, Honest, Paper

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    """A folder of the paper billing, in a good mood."""
    billing(tmp_path, "take")
    return tmp_path


def clerk(paper: Path, **settings: Any) -> Clerk:
    return Clerk(folder=str(paper), **settings)


def work(ground: Ground, target: Target, *, skew: timedelta = NOW, **settings: Any) -> Worker:
    """Let a worker of this target do all that is due."""
    worker = ground.worker(target, skew=skew, **{"jitter": 0.0, **settings})
    worker.run_until_idle()
    return worker


def questions(paper: Path) -> list[list[str]]:
    """What the clerk was asked, in order: key, batch."""
    path = paper / "questions"
    return [line.split() for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def open_as(ground: Ground) -> list[tuple[str | None, int]]:
    """Problem and tries of every open delivery."""
    return [(row[0], row[1]) for row in ground.plain("select problem, tries from delivery order by rank")]


def test_nothing_is_asked_while_every_call_is_answered(ground: Ground, paper: Path) -> None:
    reading = list(ground.receive(dict.fromkeys(ground.meters(5), 150)).values())
    work(ground, clerk(paper))
    assert set(ground.statuses(reading)) == {"acknowledged"}
    assert questions(paper) == []


@pytest.mark.parametrize("mood", ["lost", "broken", "silent"])
def test_a_lost_answer_is_asked_about_and_has_one_effect(ground: Ground, paper: Path, mood: str) -> None:
    [reading] = ground.receive({ground.meters(1)[0]: 150}).values()
    billing(paper, mood)
    work(ground, clerk(paper))
    assert ground.statuses([reading]) == ["queued"]
    [batch] = ground.plain("select id from batch")
    billing(paper, "take")
    work(ground, clerk(paper), skew=MINUTE)
    assert ground.statuses([reading]) == ["acknowledged"]
    assert questions(paper) == [[f"rdg_{reading.hex}", str(batch[0])]]
    assert len(journal(paper)) == calls(paper) == 1
    assert ground.plain("select reference, tries from delivery_closed") == [("as asked", 1)]
    assert ground.plain("select phase, sent_at is null, answer from batch where id <> %(b)s", b=batch[0]) == [(2, True, b"as asked")]


def test_what_billing_does_not_hold_goes_out_with_the_fresh_ones_of_the_same_call(ground: Ground, paper: Path) -> None:
    first, second, third = ground.meters(3)
    [lost] = ground.receive({first: 150}).values()
    billing(paper, "lost")
    work(ground, clerk(paper))
    [vanished] = ground.receive({second: 150}).values()
    billing(paper, "vanish")
    work(ground, clerk(paper))
    [fresh] = ground.receive({third: 150}).values()
    billing(paper, "take")
    before = calls(paper)
    work(ground, clerk(paper), skew=MINUTE)
    assert set(ground.statuses([lost, vanished, fresh])) == {"acknowledged"}
    assert sorted(row[0] for row in journal(paper)) == sorted(f"rdg_{id_.hex}" for id_ in (lost, vanished, fresh))
    assert calls(paper) == before + 1
    assert ground.plain("select count(*), max(cardinality(items)) from batch") == [(3, 2)]
    raw = ground.one("select answer from batch order by id desc limit 1")
    assert bytes(raw) == b"as asked\nas told"


def test_a_timeline_shows_a_sending_and_no_question(ground: Ground, paper: Path) -> None:
    first, second = ground.meters(2)
    [reading] = ground.receive({first: 150}).values()
    billing(paper, "lost")
    work(ground, clerk(paper))
    ground.receive({second: 150})
    billing(paper, "take")
    work(ground, clerk(paper), skew=MINUTE)
    with ground.owner.transaction() as connection:
        id_ = ground.one("select submission_id from meter_reading where id = %(r)s", r=reading)
        told = [(line.from_state, line.to_state) for line in submissions.timeline(connection, id_) if line.entity_id == reading]
        assert told.count(("queued", "sent")) == 1
        assert submissions.rows(connection, id_)[0].status == "acknowledged"


@pytest.mark.parametrize("mood", ["away", "closed", "broken"])
def test_when_asking_fails_nothing_is_sent_and_the_question_stays(ground: Ground, paper: Path, mood: str) -> None:
    first, second = ground.meters(2)
    [lost] = ground.receive({first: 150}).values()
    billing(paper, "lost")
    work(ground, clerk(paper))
    [fresh] = ground.receive({second: 150}).values()
    billing(paper, mood)
    asking = ground.worker(clerk(paper), skew=MINUTE, jitter=0.0)
    assert asking.deliver_one(ground.target)
    assert calls(paper) == 1
    assert ground.statuses([lost, fresh]) == ["queued", "queued"]
    code = "billing_unavailable" if mood == "away" else "target_misconfigured"
    assert sorted(map(str, open_as(ground))) == sorted(map(str, [("answer_lost", 2), (code, 0)]))
    assert {row[0] for row in ground.plain("select state from lane")} == {DELAYED}
    billing(paper, "take")
    work(ground, clerk(paper), skew=HOUR)
    assert len(journal(paper)) == 2
    assert len({row[1] for row in questions(paper)}) == 1, "the batch it was sent in, not one that asked"


@pytest.mark.parametrize("mood", ["later", "silent"])
def test_a_question_put_off_waits_by_the_schedule(ground: Ground, paper: Path, mood: str) -> None:
    [reading] = ground.receive({ground.meters(1)[0]: 150}).values()
    billing(paper, "lost")
    work(ground, clerk(paper))
    billing(paper, mood)
    for hours, asked in ((1, 1), (2, 2), (3, 3)):
        work(ground, clerk(paper), skew=hours * HOUR)
        assert (len(questions(paper)), open_as(ground)) == (asked, [("answer_lost", 1 + asked)])
    assert calls(paper) == 1
    billing(paper, "take")
    work(ground, clerk(paper), skew=100 * HOUR)
    assert ground.statuses([reading]) == ["acknowledged"]
    assert len(journal(paper)) == 1


def test_billing_may_refuse_when_it_is_asked(ground: Ground, paper: Path) -> None:
    [reading] = ground.receive({ground.meters(1)[0]: 150}).values()
    billing(paper, "vanish")
    work(ground, clerk(paper))
    billing(paper, "refuse")
    work(ground, clerk(paper), skew=MINUTE)
    assert ground.statuses([reading]) == ["rejected"]
    assert ground.plain("select last, last_reading_id from register") == [(100, None)]
    assert ground.plain('select code, "values" from problem') == [("refused_by_billing", {"reason": "as told"})]


def test_a_pending_one_is_asked_about_until_billing_gives_its_word(ground: Ground, paper: Path) -> None:
    [meter] = ground.meters(1)
    [reading] = ground.receive({meter: 150}).values()
    billing(paper, "tray")
    target = clerk(paper, poll=60.0)
    work(ground, target)
    assert open_as(ground) == [("awaiting", 1)]
    [batch] = ground.plain("select id from batch")
    for seconds, asked in ((50, 0), (65, 1), (120, 1), (130, 2)):
        work(ground, target, skew=timedelta(seconds=seconds))
        assert (len(questions(paper)), open_as(ground)) == (asked, [("awaiting", 1)])
    assert ground.one("select count(*) from attempt") == 1, "a question leaves no row"
    assert {row[1] for row in questions(paper)} == {str(batch[0])}
    with ground.owner.transaction() as connection:
        submission = ground.one("select submission_id from meter_reading where id = %(r)s", r=reading)
        assert submissions.rows(connection, submission)[0].status == "sent"
    (paper / "journal").write_text(f"rdg_{reading.hex} {meter} {ground.period} 0\n", "utf-8")
    work(ground, target, skew=HOUR)
    assert ground.statuses([reading]) == ["acknowledged"]


def test_a_word_that_is_overdue_becomes_a_doubt_and_the_others_go_on(ground: Ground, paper: Path) -> None:
    first, second = ground.meters(2)
    [reading] = ground.receive({first: 150}).values()
    billing(paper, "tray")
    target = clerk(paper, poll=60.0, overdue=7200.0)
    work(ground, target)
    work(ground, target, skew=HOUR)
    assert open_as(ground) == [("awaiting", 1)]
    work(ground, target, skew=2 * HOUR + MINUTE)
    [behind] = ground.receive({first: 170}).values()
    [other] = ground.receive({second: 150}).values()
    billing(paper, "take")
    work(ground, target, skew=1000 * HOUR)
    assert ground.statuses([behind, other]) == ["queued", "acknowledged"]
    assert [(row.state, row.open) for row in ground.rows("select * from lane")] == [(PARKED, 2)]
    assert ground.one("select problem from delivery where subject_id = %(r)s", r=reading) == "in_doubt"
    assert ground.plain("select outcome from attempt order by batch_id") == [("pending",), ("in_doubt",)]


def test_a_question_that_nobody_answers_for_as_long_as_patience_lasts_becomes_a_doubt(ground: Ground, paper: Path) -> None:
    [reading] = ground.receive({ground.meters(1)[0]: 150}).values()
    billing(paper, "lost")
    work(ground, clerk(paper))
    billing(paper, "away")
    work(ground, clerk(paper), skew=timedelta(days=8))
    assert ground.statuses([reading]) == ["in_doubt"]
    assert ground.one("select state from lane") == PARKED


def test_what_is_not_wanted_any_more_and_not_held_is_not_sent_again(ground: Ground, paper: Path) -> None:
    [meter] = ground.meters(1)
    first = ground.receive({meter: 150})[meter]
    billing(paper, "vanish")
    work(ground, clerk(paper))
    second = ground.receive({meter: 155})[meter]
    billing(paper, "take")
    work(ground, clerk(paper), skew=HOUR)
    assert [row[0] for row in journal(paper)] == [f"rdg_{second.hex}"]
    assert ground.statuses([first, second]) == ["superseded", "acknowledged"]


@pytest.mark.parametrize("mood", ["lost", "vanish"])
def test_a_whole_lane_may_travel_in_one_call_and_keeps_its_order(ground: Ground, paper: Path, mood: str) -> None:
    [meter] = ground.meters(1)
    target = clerk(paper, per_lane=10)
    first = ground.receive({meter: 150})[meter]
    billing(paper, mood)
    work(ground, target)
    second = ground.receive({meter: 155})[meter]
    billing(paper, "later")
    work(ground, target, skew=MINUTE)
    assert calls(paper) == (mood == "lost"), "what stands behind an open question waits"
    billing(paper, "take")
    work(ground, target, skew=HOUR)
    keys = [f"rdg_{first.hex}", f"rdg_{second.hex}"]
    assert [row[0] for row in journal(paper)] == (keys if mood == "lost" else keys[1:])
    assert ground.statuses([first, second]) == ["superseded", "acknowledged"]
    assert ground.rows("select * from lane") == []


@pytest.mark.parametrize(("target", "status"), [(Paper, "in_doubt"), (Honest, "queued"), (Clerk, "queued")])
def test_what_a_dead_worker_was_sending_goes_by_class(ground: Ground, paper: Path, target: type[Paper], status: str) -> None:
    [reading] = ground.receive({ground.meters(1)[0]: 150}).values()
    _die(ground, sent=True)
    worker = ground.worker(target(folder=str(paper)), skew=timedelta(seconds=40))
    assert worker.reap_one()
    assert ground.statuses([reading]) == [status]
    worker.run_until_idle()
    asked = [row[0] for row in questions(paper)]
    assert asked == ([f"rdg_{reading.hex}"] if target is Clerk else [])
    assert len(journal(paper)) == (0 if target is Paper else 1)


def test_a_worker_that_died_while_it_asked_leaves_the_question_open(ground: Ground, paper: Path) -> None:
    [reading] = ground.receive({ground.meters(1)[0]: 150}).values()
    billing(paper, "lost")
    work(ground, clerk(paper))
    billing(paper, "take")
    _die(ground, sent=False, skew=MINUTE)
    work(ground, clerk(paper), skew=2 * MINUTE)
    assert ground.statuses([reading]) == ["acknowledged"]
    assert len(journal(paper)) == len(questions(paper)) == 1


def test_of_what_a_dead_worker_asked_and_sent_only_what_it_sent_is_open(ground: Ground, paper: Path) -> None:
    first, second = ground.meters(2)
    [taken] = ground.receive({first: 150}).values()
    billing(paper, "lost")
    work(ground, clerk(paper))
    [fresh] = ground.receive({second: 150}).values()
    billing(paper, "take")

    with pytest.raises(KeyboardInterrupt):
        ground.worker(Dying(folder=str(paper)), skew=MINUTE).deliver_one(ground.target)
    assert ground.statuses([taken, fresh]) == ["acknowledged", "queued"]
    work(ground, clerk(paper), skew=3 * MINUTE)
    assert ground.statuses([taken, fresh]) == ["acknowledged", "acknowledged"]
    assert sorted(row[0] for row in journal(paper)) == sorted(f"rdg_{id_.hex}" for id_ in (taken, fresh))


class Dying(Clerk, frozen=True, kw_only=True):
    """A clerk whose caller is interrupted once he has written everything down."""

    def deliver(self, batch: Any) -> Any:
        super().deliver(batch)
        raise KeyboardInterrupt


def _die(ground: Ground, *, sent: bool, skew: timedelta = NOW) -> UUID:
    """Claim a batch, perhaps begin to send it, and say no more."""
    held = ground.held(skew=skew)
    if sent:
        with ground.store.transaction() as connection:
            assert sending(connection, held.id, lease=LEASE, skew=skew)
    return held.id


def test_withdrawn_readings_beside_a_question_leave_the_ledger(ground: Ground, paper: Path) -> None:
    first, second = ground.meters(2)
    [lost] = ground.receive({first: 150}).values()
    billing(paper, "lost")
    work(ground, clerk(paper))
    [withdrawn] = ground.receive({second: 150}).values()
    with ground.store.transaction() as connection:
        assert readings.move(connection, ReadingStatus.WITHDRAWN, [(withdrawn, "a mistake")], actor="test") == {withdrawn}
    billing(paper, "take")
    work(ground, clerk(paper), skew=MINUTE)
    assert ground.statuses([lost, withdrawn]) == ["acknowledged", "withdrawn"]
    assert ground.rows("select * from lane") == []
