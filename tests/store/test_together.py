"""Everybody at once on the same lanes: nothing is lost or held twice, and nobody waits in a circle."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Event, Lock
from uuid import UUID

from gateway.domain.problems import Problem
from gateway.mapping import formats
from gateway.outbound import Answer, Batch, Outcome, Receipt
from gateway.pipeline.verdicts import reaped
from gateway.settings import Settings
from gateway.settings import Worker as WorkerSettings
from gateway.store import corrections, ledger, readings
from gateway.store.claims import dead
from gateway.store.ledger import DEAD, DELAYED, TAKEN, Verdict
from gateway.worker import Worker
from tests.conftest import case
from tests.peers import until
from tests.store.ground import LIMITS, Aside, Ground, patience
from tests.store.paper import Honest

LEASE = timedelta(milliseconds=200)
Record = Callable[[str, int, str], None]


class Crowd:
    """Workers on bare deliveries; whoever is unlucky sleeps past its lease with its batch in hand and then tries to finish it."""

    def __init__(self, ground: Ground, wanted: int) -> None:
        self.ground = ground
        self.wanted = wanted
        self.held: dict[int, UUID] = {}
        self.lock = Lock()
        self.over = Event()
        self.late = self.reaped = 0

    def enqueue(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - no secret is made of it
        for minutes in range(self.wanted // 2 // 20):
            self.ground.enqueue([chance.randrange(60) for _ in range(20)], sender=seed, bulk=chance.random() < 0.8, minutes=minutes)

    def work(self, seed: int) -> None:
        chance = random.Random(seed)  # noqa: S311 - the same
        drop = 0
        while not self.over.is_set():
            drop += 1
            held = self.ground.claim(15, lease=LEASE, per_lane=1 + seed % 2, drop_floor=drop % 10 == 0)
            if held is None:
                continue
            with self.lock:
                for lane in {item.lane for item in held.items}:
                    assert self.held.setdefault(lane, held.id) == held.id, "a lane held twice"
            if zombie := chance.random() < 0.05:
                until(lambda: self._gone(held.id), "reaped")  # noqa: B023 - it ends within this turn
            verdicts = [_verdict(chance, item.id, item.lane) for item in held.items]
            with self.ground.store.transaction() as connection:
                written = ledger.fence(connection, held.id, answer=b"")
                if written:
                    ledger.finish(
                        connection, target=held.target_id, batch=held.id, utility=held.utility_id, verdicts=verdicts, skew=timedelta()
                    )
                    self._let_go(held.id)
            assert written is not zombie
            self.late += zombie

    def _gone(self, batch: UUID) -> bool:
        return bool(self.ground.one("select finished_at is not null from batch where id = %(b)s", b=batch))

    def _let_go(self, batch: UUID) -> None:
        """Before the commit: the next claim can only follow it."""
        with self.lock:
            self.held = {lane: holder for lane, holder in self.held.items() if holder != batch}

    def reap(self) -> None:
        while not self.over.is_set():
            with self.ground.store.transaction() as connection:
                held = dead(connection, [self.ground.target], skew=timedelta())
                if held is None or not ledger.fence(connection, held.id, answer=b"", phase=3):
                    continue
                verdicts = reaped(held, "A", patience())
                ledger.finish(
                    connection, target=held.target_id, batch=held.id, utility=held.utility_id, verdicts=verdicts, skew=timedelta()
                )
                self._let_go(held.id)
                self.reaped += 1


def _verdict(chance: random.Random, delivery: UUID, lane: int) -> Verdict:
    dice = chance.random()
    if dice < 0.8:
        return Verdict(delivery, lane, "taken", closed=TAKEN)
    if dice < 0.85:
        return Verdict(delivery, lane, "dead", closed=DEAD, problem="retries_spent")
    if dice < 0.95:
        return Verdict(delivery, lane, "unsent", tried=0)
    return Verdict(delivery, lane, "later", lane_state=DELAYED, wait=timedelta(milliseconds=20), problem="billing_unavailable")


def test_a_crowd_on_the_same_lanes(ground: Ground, proof: Record) -> None:
    wanted = case(2000, 60_000)
    before = ground.deadlocks()
    crowd = Crowd(ground, wanted)
    enqueuers = [Aside(lambda seed=seed: crowd.enqueue(seed)) for seed in (1, 2)]  # type: ignore[misc]
    others = [Aside(lambda seed=seed: crowd.work(seed)) for seed in (3, 4, 5)] + [Aside(crowd.reap)]  # type: ignore[misc]
    for thread in enqueuers:
        thread.end(600)
    until(lambda: _done(ground, wanted) or not all(thread.is_alive() for thread in others), "everything is closed", 300)
    crowd.over.set()
    for thread in others:
        thread.end()
    ground.store.close()  # a session counts its deadlocks at its end
    assert ground.deadlocks() == before
    states = Counter(row.state for row in ground.rows("select state from delivery_closed"))
    assert sum(states.values()) == wanted
    assert set(states) == {TAKEN, DEAD}
    assert ground.one("select count(*) from lane") == 0
    assert crowd.late > 0
    server = ground.one("show server_version").split()[0]
    figure = f"lost 0, twice 0, deadlocks 0; {crowd.reaped} batches reaped, {crowd.late} late finishes refused"
    proof(f"enqueuers, workers, zombies and a reaper on 60 lanes, PostgreSQL {server}", wanted, figure)


def _done(ground: Ground, wanted: int) -> bool:
    return bool(ground.one("select count(*) = %(n)s from delivery_closed", n=wanted))


class Moody(Honest, frozen=True, kw_only=True):
    """Takes most of what comes, refuses some, puts some off."""

    def deliver(self, batch: Batch) -> Receipt:
        moods = (Outcome.TAKEN, Outcome.REFUSED, Outcome.LATER)
        words = random.choices(moods, weights=(6, 3, 1), k=len(batch.items))  # noqa: S311 - the same
        answers = tuple(Answer(key=item.key, outcome=word, reason="mood") for item, word in zip(batch.items, words, strict=True))
        return Receipt(answers=answers, raw=b"-")


def test_corrections_meet_refusals_of_the_same_meters(ground: Ground, tmp_path: Path) -> None:
    """Whoever receives takes registers, readings, lanes; whoever finishes must take them in the same order."""
    meters, rounds = ground.meters(8), case(60, 1000)
    before = ground.deadlocks()
    settings = WorkerSettings(schedule=(0.0, 0.01), lease=30.0)
    over = Event()

    def portal(seed: int) -> None:
        chance, sender = random.Random(seed), ground.partner(f"portal{seed}")  # noqa: S311 - the same
        for _ in range(rounds):
            some = chance.sample(meters, 4)
            ground.receive({meter: chance.randrange(101, 9000) for meter in some}, sender=sender, strict=False)

    def worker(name: str) -> None:
        mine = Worker(ground.store, Settings(worker=settings), formats(LIMITS), name=name)
        mine.targets[ground.target] = Moody(folder=str(tmp_path), batch=3)
        while not over.is_set():
            mine.run_until_idle()

    portals = [Aside(lambda seed=seed: portal(seed)) for seed in (1, 2)]  # type: ignore[misc]
    workers = [Aside(lambda name=name: worker(name)) for name in ("one", "two")]  # type: ignore[misc]
    for thread in portals:
        thread.end(300)
    until(lambda: ground.one("select count(*) from delivery") == 0 or not all(thread.is_alive() for thread in workers), "all is out", 60)
    over.set()
    for thread in workers:
        thread.end()
    ground.store.close()
    assert ground.deadlocks() == before
    left = {row.status for row in ground.rows("select distinct status from meter_reading where same_as is null")}
    assert left <= {"acknowledged", "rejected", "superseded", "needs_review"}
    last = ground.rows(
        "select g.last, (select r.value from reading r where r.meter_reading_id = g.last_reading_id) as told from register g "
        "where last_reading_id is not null"
    )
    assert all(row.last == row.told for row in last)


def test_who_restates_a_submission_does_not_hold_up_who_tells_of_its_problems(ground: Ground) -> None:
    """Billing's refusal names the submission while whoever corrects it waits for the refused reading's lane: neither may wait for both."""
    [reading] = ground.receive({ground.meters(1)[0]: 150}).values()
    submission = ground.one("select submission_id from meter_reading")
    with ground.owner.transaction() as one, ground.store.transaction() as other:
        corrections.restate(one, [submission])
        other.exec_driver_sql("set local lock_timeout = '5s'")
        readings.object_to(other, ground.utility, {reading: Problem(code="refused_by_billing", values={"reason": "no"})})
    assert ground.one("select count(*) from problem") == 1
