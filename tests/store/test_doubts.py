"""A person decides about what nobody knows the end of: one transaction, the lane goes on, nothing else moves, the audit finds nothing."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection

from gateway.domain.problems import Misconfigured
from gateway.store import doubts
from gateway.store.doubts import Doubt
from gateway.store.ledger import DEAD, DELAYED, PARKED, READY, REFUSED, TAKEN, Verdict, fence, finish
from tests.store.ground import NOW, Ground, billing, blocked, journal
from tests.store.paper import Honest, Paper

Decide = Callable[..., Doubt]


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    """A folder of the paper billing, in a good mood."""
    billing(tmp_path, "take")
    return tmp_path


def work(ground: Ground, paper: Path, *, skew: timedelta = NOW, target: type[Paper] = Paper, **settings: Any) -> None:
    ground.worker(target(folder=str(paper)), skew=skew, **settings).run_until_idle()


def in_doubt(ground: Ground, paper: Path, *meters: str, value: int = 150) -> list[UUID]:
    """Readings that were sent and not answered."""
    ids = [ground.receive({meter: value})[meter] for meter in meters]
    billing(paper, "lost")
    work(ground, paper)
    billing(paper, "take")
    assert ground.statuses(ids) == ["in_doubt"] * len(ids)
    return ids


def dead(ground: Ground, paper: Path, meter: str) -> UUID:
    """A reading whose retries are spent."""
    reading = ground.receive({meter: 150})[meter]
    ground.rows("update delivery set created_at = now() - interval '8 days' where subject_id = %(r)s", r=reading)
    billing(paper, "away")
    work(ground, paper, target=Honest)
    billing(paper, "take")
    assert ground.statuses([reading]) == ["dead"]
    return reading


def decide(ground: Ground, how: Decide, key: UUID, **told: str) -> Doubt:
    with ground.owner.transaction() as connection:
        return how(connection, key, actor="operator:Ольга", **told)


def waiting(ground: Ground, utility: str = "") -> list[Doubt]:
    with ground.owner.transaction() as connection:
        return doubts.waiting(connection, utility)


def events(ground: Ground, reading: UUID) -> list[tuple[str, str, str, str]]:
    return ground.plain("select from_state, to_state, actor, reason from event where entity_id = %(r)s order by id desc limit 1", r=reading)


def test_what_waits_is_listed_with_what_a_person_needs(ground: Ground, paper: Path) -> None:
    first, second, third = ground.meters(3)
    ended = dead(ground, paper, third)
    [doubted] = in_doubt(ground, paper, first)
    ground.receive({second: 150})
    found = waiting(ground)
    assert [(one.state, one.reading, one.meter, one.status) for one in found] == [
        ("dead", ended, third, "dead"),
        ("in_doubt", doubted, first, "in_doubt"),
    ]
    one = found[1]
    assert (one.utility, one.target, one.period, one.revision, one.tries) == ("city", "billing", ground.period, 0, 1)
    assert (one.key, one.answer) == (f"rdg_{doubted.hex}", b"the answer is lost")
    assert one.batch == ground.one("select id from batch where %(d)s = any(items)", d=one.delivery)
    assert one.since == ground.one("select at from event where entity_id = %(r)s and to_state = 'in_doubt'", r=doubted)
    assert (waiting(ground, "city"), waiting(ground, "elsewhere")) == (found, [])


def test_taken_acknowledges_and_the_lane_goes_on(ground: Ground, paper: Path) -> None:
    [meter] = ground.meters(1)
    [doubted] = in_doubt(ground, paper, meter)
    [later] = ground.receive({meter: 170}, period=ground.period).values()
    assert ground.plain("select state, open from lane") == [(PARKED, 2)]
    decide(ground, doubts.taken, doubted, reference="ACT-7")
    assert ground.plain("select state, open from lane") == [(READY, 1)]
    ground.clean()
    work(ground, paper)
    assert ground.statuses([doubted, later]) == ["superseded", "acknowledged"]
    assert ground.plain("select state, reference from delivery_closed where subject_id = %(r)s", r=doubted) == [(TAKEN, "ACT-7")]
    assert waiting(ground) == []


def test_each_decision_moves_the_reading_with_an_event_and_the_last_one_takes_the_lane_away(ground: Ground, paper: Path) -> None:
    first, second, third = ground.meters(3)
    yes, no, once_more = in_doubt(ground, paper, first, second, third)
    assert decide(ground, doubts.taken, yes, reference="R-1").reading == yes
    decide(ground, doubts.refused, no, reason="закрыт период")
    decide(ground, doubts.again, once_more, reason="в журнале её нет")
    assert ground.statuses([yes, no, once_more]) == ["acknowledged", "rejected", "queued"]
    assert events(ground, yes) == [("in_doubt", "acknowledged", "operator:Ольга", "R-1")]
    assert events(ground, no) == [("in_doubt", "rejected", "operator:Ольга", "закрыт период")]
    assert events(ground, once_more) == [("in_doubt", "queued", "operator:Ольга", "в журнале её нет")]
    [problem] = ground.rows('select code, "values" from problem where meter_reading_id = %(r)s', r=no)
    assert (problem.code, problem.values) == ("refused_by_billing", {"reason": "закрыт период"})
    assert ground.plain("select state, problem from delivery_closed where subject_id = %(r)s", r=no) == [(REFUSED, "refused_by_billing")]
    told = "select g.last from register g join meter m on m.id = g.meter_id where m.serial = %(m)s"
    assert (ground.one(told, m=first), ground.one(told, m=second)) == (150, 100)
    assert len(ground.rows("select * from lane")) == 1
    ground.clean()


def test_again_goes_out_under_the_same_key_before_what_waits_behind_it(ground: Ground, paper: Path) -> None:
    [meter] = ground.meters(1)
    [doubted] = in_doubt(ground, paper, meter)
    delivery = ground.one("select id from delivery where subject_id = %(r)s", r=doubted)
    decide(ground, doubts.again, doubted)
    assert ground.one("select id from delivery where subject_id = %(r)s", r=doubted) == delivery
    later = ground.receive({meter: 170})[meter]
    work(ground, paper)
    assert [row[0] for row in journal(paper)] == [f"rdg_{doubted.hex}", f"rdg_{doubted.hex}", f"rdg_{later.hex}"]
    assert ground.statuses([later]) == ["acknowledged"]


def test_a_lane_stays_parked_while_another_of_it_is_in_doubt(ground: Ground, paper: Path) -> None:
    [meter] = ground.meters(1)
    first = ground.receive({meter: 150})[meter]
    second = ground.receive({meter: 160}, strict=False)[meter]
    ground.rows("update meter_reading set status = 'queued' where id = %(r)s", r=first)
    billing(paper, "lost")
    work(ground, paper, target=PairsOfPaper)
    billing(paper, "take")
    assert ground.statuses([first, second]) == ["in_doubt", "in_doubt"]
    third = ground.receive({meter: 170}, strict=False)[meter]
    decide(ground, doubts.taken, first)
    assert ground.plain("select state, open from lane") == [(PARKED, 2)]
    work(ground, paper)
    assert ground.statuses([third]) == ["queued"]
    decide(ground, doubts.taken, second)
    assert ground.plain("select state, open from lane") == [(READY, 1)]
    work(ground, paper)
    assert ground.statuses([third]) == ["acknowledged"]


def test_one_in_doubt_parks_its_lane_whatever_the_call_meant_for_the_others(ground: Ground) -> None:
    ground.enqueue([7, 7, 7])
    held = ground.held(per_lane=3)
    later, doubted, taken = (item.id for item in held.items)
    verdicts = [
        Verdict(later, 7, "later", lane_state=DELAYED, wait=timedelta(seconds=5), problem="billing_unavailable"),
        Verdict(doubted, 7, "in_doubt", lane_state=PARKED, problem="in_doubt"),
        Verdict(taken, 7, "taken", closed=TAKEN),
    ]
    with ground.store.transaction() as connection:
        assert fence(connection, held.id, answer=b"")
        finish(connection, target=ground.target, batch=held.id, utility=ground.utility, verdicts=verdicts, skew=NOW)
    assert ground.plain("select state, open from lane") == [(PARKED, 2)]


class PairsOfPaper(Paper, frozen=True, kw_only=True):
    """The same paper that takes two readings of a meter in one call."""

    per_lane: int = 2


@pytest.mark.parametrize("how", [doubts.taken, doubts.again, doubts.refused])
def test_a_corrected_one_keeps_its_state_and_its_lane_goes_on(ground: Ground, paper: Path, how: Decide) -> None:
    [meter] = ground.meters(1)
    [doubted] = in_doubt(ground, paper, meter)
    later = ground.receive({meter: 155})[meter]
    assert ground.statuses([doubted]) == ["superseded"]
    decide(ground, how, doubted, **({"reason": "нет"} if how is doubts.refused else {}))
    assert events(ground, doubted) == [("superseded", "superseded", "operator:Ольга", "нет" if how is doubts.refused else "")]
    work(ground, paper)
    assert ground.statuses([doubted, later]) == ["superseded", "acknowledged"]
    assert len(journal(paper)) == (3 if how is doubts.again else 2)


def test_what_billing_has_billed_meanwhile_can_only_be_taken(ground: Ground, paper: Path) -> None:
    [doubted] = in_doubt(ground, paper, *ground.meters(1))
    ground.rows("update meter_reading set status = 'billed' where id = %(r)s", r=doubted)
    for how, told in ((doubts.again, {}), (doubts.refused, {"reason": "нет"})):
        with pytest.raises(Misconfigured, match="is billed, so it was taken"):
            decide(ground, how, doubted, **told)
    assert ground.plain("select state, open from lane") == [(PARKED, 1)]
    decide(ground, doubts.taken, doubted)
    assert ground.statuses([doubted]) == ["billed"]
    assert ground.rows("select * from lane") == []


def test_a_dead_one_is_queued_again_with_the_same_id_and_a_new_schedule(ground: Ground, paper: Path) -> None:
    [meter] = ground.meters(1)
    reading = dead(ground, paper, meter)
    closed = ground.one("select id from delivery_closed where state = %(s)s", s=DEAD)
    for how, told in ((doubts.taken, {}), (doubts.refused, {"reason": "нет"})):
        with pytest.raises(Misconfigured, match="is dead, not in doubt"):
            decide(ground, how, reading, **told)
    decide(ground, doubts.again, reading, reason="биллинг вернулся")
    assert events(ground, reading) == [("dead", "queued", "operator:Ольга", "биллинг вернулся")]
    assert ground.plain("select id, problem, now() - created_at < interval '1 hour' from delivery") == [(closed, None, True)]
    assert ground.rows("select * from delivery_closed") == []
    ground.clean()
    work(ground, paper, target=Honest)
    assert ground.statuses([reading]) == ["acknowledged"]
    assert [row[0] for row in journal(paper)] == [f"rdg_{reading.hex}"]


def test_a_dead_one_comes_back_into_a_lane_that_is_busy(ground: Ground, paper: Path) -> None:
    [meter] = ground.meters(1)
    reading = dead(ground, paper, meter)
    period = f"{int(ground.period[:4]) - 1}{ground.period[4:]}"
    ground.rows("update meter_reading set period = %(p)s where id = %(r)s", p=period, r=reading)
    later = ground.receive({meter: 170})[meter]
    held = ground.held()
    decide(ground, doubts.again, reading)
    assert ground.plain("select open, batch_id from lane") == [(2, held.id)]
    ground.clean()
    assert ground.finish(held)
    work(ground, paper, target=Honest)
    assert [row[0] for row in journal(paper)] == [f"rdg_{reading.hex}"]
    assert ground.statuses([reading]) == ["acknowledged"]
    assert ground.statuses([later]) == ["queued"]
    ground.rows("update meter_reading set status = 'acknowledged' where id = %(r)s", r=later)


def test_a_dead_one_that_was_corrected_stays_dead(ground: Ground, paper: Path) -> None:
    [meter] = ground.meters(1)
    reading = dead(ground, paper, meter)
    ground.receive({meter: 155})
    assert (ground.statuses([reading]), waiting(ground)) == (["superseded"], [])
    with pytest.raises(Misconfigured, match="no such delivery waits for a person"):
        decide(ground, doubts.again, reading)


@pytest.mark.parametrize("status", ["queued", "acknowledged"])
def test_nothing_else_may_be_moved(ground: Ground, paper: Path, status: str) -> None:
    reading = ground.receive(dict.fromkeys(ground.meters(1), 150))["M000001"]
    if status == "acknowledged":
        work(ground, paper)
    for how, told in ((doubts.again, {}), (doubts.taken, {}), (doubts.refused, {"reason": "нет"})):
        for key in (reading, uuid4()):
            with pytest.raises(Misconfigured, match="no such delivery waits for a person"):
                decide(ground, how, key, **told)
    assert ground.statuses([reading]) == [status]


@pytest.mark.parametrize("second", [doubts.taken, doubts.again, doubts.refused])
@pytest.mark.parametrize("lanes", [1, 2])
def test_of_two_who_decide_at_once_one_is_told_so(ground: Ground, paper: Path, second: Decide, lanes: int) -> None:
    [meter] = ground.meters(1)
    [doubted] = in_doubt(ground, paper, meter)
    if lanes == 2:
        ground.receive({meter: 170}, strict=False)
        ground.rows("update meter_reading set status = 'in_doubt' where id = %(r)s", r=doubted)
    told = {"reason": "нет"} if second is doubts.refused else {}

    def late() -> None:
        with pytest.raises(Misconfigured, match="somebody else has decided it just now"):
            decide(ground, second, doubted, **told)

    with ground.owner.transaction() as connection:
        doubts.taken(connection, doubted, actor="operator:Иван")
        other = blocked(ground, late)
    other.end()
    assert events(ground, doubted) == [("in_doubt", "acknowledged", "operator:Иван", "")]
    assert ground.deadlocks() == 0


def test_of_two_who_raise_the_dead_at_once_one_is_told_so(ground: Ground, paper: Path) -> None:
    reading = dead(ground, paper, *ground.meters(1))

    def late() -> None:
        with pytest.raises(Misconfigured, match="somebody else has decided it just now"):
            decide(ground, doubts.again, reading)

    with ground.owner.transaction() as connection:
        doubts.again(connection, reading, actor="operator:Иван")
        other = blocked(ground, late)
    other.end()
    assert ground.plain("select open from lane") == [(1,)]


def test_a_decision_and_a_correction_at_once_wait_for_each_other(ground: Ground, paper: Path) -> None:
    [meter] = ground.meters(1)
    [doubted] = in_doubt(ground, paper, meter)

    def corrected(connection: Connection) -> None:
        doubts.again(connection, doubted, actor="operator:Иван")

    with ground.owner.transaction() as connection:
        corrected(connection)
        other = blocked(ground, lambda: ground.receive({meter: 155}))
    later = other.end()[meter]
    assert ground.deadlocks() == 0
    work(ground, paper)
    assert ground.statuses([doubted, later]) == ["superseded", "acknowledged"]
