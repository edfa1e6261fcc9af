"""The traps of the ledger, one by one: what one session does while another holds its locks, and what a late one may still write."""

from datetime import timedelta
from time import monotonic
from typing import Any

from gateway.store.claims import _CLAIM, Claimed, dead, heartbeat, sending
from gateway.store.ledger import CHANNEL, DEAD, DELAYED, PARKED, READY, REFUSED
from tests.conftest import case
from tests.store.ground import LEASE, NOW, Ground, blocked

AFTER_LEASE = LEASE + timedelta(seconds=1)


def test_a_lane_counts_what_an_enqueue_added_while_its_finish_waited(ground: Ground) -> None:
    ground.enqueue([1])
    held = ground.held()
    with ground.store.transaction() as enqueueing:
        ground.enqueue([1], minutes=1, connection=enqueueing)
        finishing = blocked(ground, lambda: ground.finish(held))
    assert finishing.end() is True
    lane = ground.lane(1)
    assert lane is not None
    assert (lane.open, lane.state, lane.batch_id) == (1, READY, None)
    ground.finish(ground.held())
    assert ground.lane(1) is None


def test_a_lane_emptied_while_an_enqueue_waited_is_made_anew(ground: Ground) -> None:
    ground.enqueue([1])
    held = ground.held()
    with ground.store.transaction() as finishing:
        ground.finish(held, connection=finishing)
        enqueueing = blocked(ground, lambda: ground.enqueue([1], minutes=1))
    enqueueing.end()
    lane = ground.lane(1)
    assert lane is not None
    assert (lane.open, lane.state, lane.batch_id) == (1, READY, None)


def test_two_claimers_meet_at_the_gate_and_the_cap_holds(ground: Ground) -> None:
    ground.enqueue(range(10))
    ground.rows("update target set max_batches = 1")
    with ground.store.transaction() as first:
        held = ground.claim(3, connection=first)
        second = blocked(ground, lambda: ground.claim(3))
    assert held is not None
    assert second.end() is None
    assert ground.finish(held)
    assert ground.claim(3) is not None


def test_a_lane_is_held_by_one_batch_and_only_its_head_is_sent(ground: Ground) -> None:
    ground.enqueue([1, 2])
    ground.enqueue([1, 2], minutes=1)
    first = ground.held()
    assert sorted(item.lane for item in first.items) == [1, 2]
    assert ground.claim() is None
    ground.finish(first)
    second = ground.held()
    assert sorted(item.lane for item in second.items) == [1, 2]
    assert {item.id for item in first.items}.isdisjoint(item.id for item in second.items)


def test_claims_step_around_what_a_bulk_enqueue_holds(ground: Ground) -> None:
    ground.enqueue(range(20))
    with ground.store.transaction() as importing:
        ground.enqueue(range(10), sender=2, minutes=1, connection=importing)
        with ground.store.transaction() as claiming:
            claiming.exec_driver_sql("set local lock_timeout = '1s'")
            held = ground.claim(connection=claiming)
        assert held is not None
        assert sorted(item.lane for item in held.items) == list(range(10, 20))
    assert sorted(item.lane for item in ground.held().items) == list(range(10))


def test_a_claim_behind_an_enqueue_of_a_target_just_made_waits_for_nobody(ground: Ground) -> None:
    ground.enqueue([1])
    with ground.store.transaction() as importing:
        ground.enqueue([2], sender=77, connection=importing)  # the first share of a sender refers to the target's row
        with ground.store.transaction() as claiming:
            claiming.exec_driver_sql("set local lock_timeout = '1s'")
            assert ground.claim(connection=claiming) is not None


def test_what_is_enqueued_below_the_floor_is_found_once_the_floor_is_dropped(ground: Ground) -> None:
    ground.enqueue(range(100))
    with ground.store.transaction() as late:
        ground.enqueue([500], sender=2, connection=late)  # its rank was given out while the floor was still low
        for _ in range(4):
            ground.finish(ground.held(20))
    assert [lane for lane in (500,) if lane in {item.lane for item in ground.held(5).items}] == []
    assert 500 in {item.lane for item in ground.held(5, drop_floor=True).items}


def test_what_is_below_the_floor_is_found_when_nothing_else_is_left(ground: Ground) -> None:
    ground.enqueue(range(20))
    with ground.store.transaction() as late:
        ground.enqueue([500], sender=2, connection=late)
        ground.finish(ground.held(10))
        ground.finish(ground.held(10))
    assert [item.lane for item in ground.held().items] == [500]


def test_the_claim_walks_the_index_of_ready_lanes_however_many_there_are(ground: Ground) -> None:
    count = case(20_000, 1_000_000)
    ground.rows(
        "insert into lane (utility_id, target_id, lane_id, state, priority, rank, open) "
        "select %(u)s, %(t)s, n, case when n %% 3 = 0 then 3 else 1 end, n %% 2, n, 1 from generate_series(1, %(n)s) n",
        u=ground.utility,
        t=ground.target,
        n=count,
    )
    ground.rows(
        "insert into delivery (id, utility_id, target_id, kind, subject_id, lane_id, read_at, revision, sender_id, rank) "
        "select gen_random_uuid(), %(u)s, %(t)s, 'test', gen_random_uuid(), n, now(), 0, 1, n from generate_series(1, %(n)s) n",
        u=ground.utility,
        t=ground.target,
        n=count,
    )
    ground.rows("analyze lane")
    ground.rows("analyze delivery")
    names = {"t": "int", "p": "int", "floor": "bigint", "n": "int", "per_lane": "int", "b": "uuid", "skew": "interval"}
    numbered = _CLAIM % {name: f"${place}" for place, name in enumerate(names, 1)}
    for mode in ("force_generic_plan", "force_custom_plan"):
        with ground.owner.transaction() as connection:
            connection.exec_driver_sql(f"set local plan_cache_mode = {mode}")
            connection.exec_driver_sql(f"prepare claim_{mode} ({', '.join(names.values())}) as {numbered}")
            told = f"({ground.target}, 1, 0, 100, 1, '{new_uuid()}', '0')"
            rows = connection.exec_driver_sql(f"explain execute claim_{mode} {told}").all()
            connection.exec_driver_sql(f"deallocate claim_{mode}")
        plan = "\n".join(line for (line,) in rows)
        assert "Index Scan using lane_ready on lane" in plan, plan
        assert "Index Scan using delivery_lane on delivery" in plan, plan
        assert "Seq Scan" not in plan, plan
    ground.rows("truncate lane")
    ground.rows("truncate delivery")


def new_uuid() -> str:
    return "00000000-0000-7000-8000-000000000000"


def test_claimed_but_not_sending_is_not_in_doubt_and_no_try(ground: Ground) -> None:
    ground.enqueue([1])
    held = ground.held()
    with ground.store.transaction() as connection:
        assert dead(connection, [ground.target], skew=NOW) is None
        found = dead(connection, [ground.target], skew=AFTER_LEASE)
        assert found is not None
        assert (found.id, found.phase, found.items[0].tries) == (held.id, 0, 0)
    with ground.store.transaction() as connection:
        assert sending(connection, held.id, lease=LEASE, skew=NOW)
    with ground.store.transaction() as connection:
        found = dead(connection, [ground.target], skew=AFTER_LEASE)
        assert found is not None
        assert found.phase == 1


def test_a_batch_of_a_target_not_known_here_is_left_to_others(ground: Ground) -> None:
    ground.enqueue([1])
    ground.held()
    with ground.store.transaction() as connection:
        assert dead(connection, [], skew=AFTER_LEASE) is None
        assert dead(connection, [ground.target + 1], skew=AFTER_LEASE) is None


def test_the_late_finish_of_a_zombie_writes_nothing(ground: Ground) -> None:
    ground.enqueue([1])
    zombie = ground.held()
    assert ground.finish(zombie, outcome="unsent", closed=0, lane_state=READY, tried=0)  # as the reaper does
    again = ground.held()
    before = [
        ground.rows(f"select * from {table} order by 1, 2, 3") for table in ("lane", "delivery", "delivery_closed", "attempt", "batch")
    ]
    assert not ground.finish(zombie)
    with ground.store.transaction() as connection:
        assert not sending(connection, zombie.id, lease=LEASE, skew=NOW)
        assert heartbeat(connection, [zombie.id, again.id], lease=LEASE, skew=NOW) == {again.id}
    after = [ground.rows(f"select * from {table} order by 1, 2, 3") for table in ("lane", "delivery", "delivery_closed", "attempt")]
    assert after == before[:4]
    assert ground.finish(again)
    assert ground.one("select count(*) from delivery_closed") == 1


def test_a_heartbeat_keeps_a_batch_from_the_reaper(ground: Ground) -> None:
    ground.enqueue([1])
    held = ground.held()
    with ground.store.transaction() as connection:
        assert heartbeat(connection, [held.id], lease=LEASE, skew=LEASE) == {held.id}
    with ground.store.transaction() as connection:
        assert dead(connection, [ground.target], skew=AFTER_LEASE) is None
        assert dead(connection, [ground.target], skew=LEASE + AFTER_LEASE) is not None


def test_two_reapers_do_not_take_the_same_batch(ground: Ground) -> None:
    ground.enqueue([1])
    ground.held()
    with ground.store.transaction() as one, ground.store.transaction() as other:
        assert dead(one, [ground.target], skew=AFTER_LEASE) is not None
        assert dead(other, [ground.target], skew=AFTER_LEASE) is None


def test_a_paused_target_is_not_called(ground: Ground) -> None:
    ground.enqueue([1])
    ground.rows("update target set paused = 'month close'")
    assert ground.claim() is None
    ground.rows("update target set paused = null")
    assert ground.claim() is not None


def test_the_pace_holds_over_any_second_and_cannot_burst(ground: Ground) -> None:
    ground.enqueue(range(1000))
    ground.rows("update target set rate = 100, max_batches = 100")
    sent, start = 0, monotonic()
    for tenth in range(100):  # ten seconds by the worker's clock, and those that pass meanwhile
        skew = timedelta(seconds=tenth / 10)
        while (held := ground.claim(10, skew=skew)) is not None:
            sent += len(held.items)
            ground.finish(held, skew=skew)
        seconds = tenth / 10 + monotonic() - start
        assert sent <= 100 * seconds + 100 * 0.1 + 10, f"{sent} after {seconds} s"
    assert sent >= 900


def test_interactive_goes_before_bulk_and_lifts_its_lane(ground: Ground) -> None:
    ground.enqueue(range(100))
    ground.enqueue([200, 201], sender=2, bulk=False)
    ground.enqueue([50], sender=2, bulk=False, minutes=1)
    held = ground.held(5)
    assert {200, 201, 50} <= {item.lane for item in held.items}
    assert len(held.items) == 5


def test_two_senders_share_a_target(ground: Ground) -> None:
    ground.enqueue(range(1000), sender=1)
    for _ in range(20):
        ground.finish(ground.held(10))
    ground.enqueue(range(2000, 2100), sender=2)
    sent = [item.lane for _ in range(21) for item in _sent(ground)]
    assert sum(lane >= 2000 for lane in sent) in range(95, 101)


def _sent(ground: Ground) -> list[Claimed]:
    held = ground.held(10)
    ground.finish(held)
    return list(held.items)


def test_what_is_kept_waits_parks_or_goes_on_and_what_is_closed_leaves(ground: Ground) -> None:
    verdicts: list[dict[str, Any]] = [
        {"outcome": "later", "closed": 0, "lane_state": DELAYED, "wait": timedelta(minutes=5), "problem": "billing_unavailable"},
        {"outcome": "in_doubt", "closed": 0, "lane_state": PARKED, "problem": "in_doubt"},
        {"outcome": "unsent", "closed": 0, "lane_state": READY, "tried": 0},
        {"outcome": "refused", "closed": REFUSED, "problem": "refused_by_billing"},
        {"outcome": "dead", "closed": DEAD, "problem": "retries_spent"},
        {},
    ]
    for lane, verdict in enumerate(verdicts):
        ground.enqueue([lane])
        ground.enqueue([lane], minutes=1)
        held = next(held for held in iter(lambda: ground.held(1, drop_floor=True), None) if held.items[0].lane == lane)
        ground.finish(held, **verdict)
        ground.rows("update lane set priority = 9 where lane_id = %(l)s", l=lane)  # out of the next one's way
    found = {row.lane_id: (row.state, row.open) for row in ground.rows("select * from lane")}
    assert found == {0: (DELAYED, 2), 1: (PARKED, 2), 2: (READY, 2), 3: (READY, 1), 4: (READY, 1), 5: (READY, 1)}
    tries = {row.lane_id: row.tries for row in ground.rows("select distinct on (lane_id) * from delivery order by lane_id, read_at")}
    assert tries == {0: 1, 1: 1, 2: 0, 3: 0, 4: 0, 5: 0}
    outcomes = [row.outcome for row in ground.rows("select outcome from attempt order by outcome")]
    assert outcomes == ["dead", "in_doubt", "later", "refused", "unsent"]
    ground.rows("update lane set priority = 1")
    assert {item.lane for item in ground.held(skew=timedelta(minutes=4), drop_floor=True).items} == {2, 3, 4, 5}
    assert [item.lane for item in ground.held(skew=timedelta(minutes=6)).items] == [0]


def test_an_enqueue_leaves_a_lane_that_waits_or_is_parked_as_it_is(ground: Ground) -> None:
    ground.enqueue([1, 2])
    held = ground.held()
    ground.finish(held, outcome="later", closed=0, lane_state=DELAYED, wait=timedelta(minutes=5))
    ground.rows("update lane set state = 3 where lane_id = 2")
    ground.enqueue([1, 2], minutes=1)
    assert ground.claim() is None
    ground.rows("update delivery set problem = 'in_doubt' where lane_id = 2")


def test_several_readings_of_a_lane_travel_together_in_their_order(ground: Ground) -> None:
    for minutes in (3, 1, 2):
        ground.enqueue([1, 2], minutes=minutes)
    held = ground.held(5, per_lane=3)
    assert len(held.items) == 5
    order = {row.id: (row.lane_id, row.read_at) for row in ground.rows("select id, lane_id, read_at from delivery")}
    places = [order[item.id] for item in held.items]
    assert [place for place in places if place[0] == places[0][0]] == sorted(place for place in places if place[0] == places[0][0])
    ground.finish(held)
    rest = ground.held(5, per_lane=3)
    assert len(rest.items) == 1


def test_an_enqueue_rings(ground: Ground) -> None:
    with ground.owner.engine.connect() as connection:
        heard = connection.connection.driver_connection
        assert heard is not None
        connection.exec_driver_sql(f'listen "{CHANNEL}"')
        connection.commit()
        ground.enqueue([1, 2, 3])
        assert [note.payload for note in heard.notifies(timeout=5, stop_after=1)] == [str(ground.target)]
        connection.exec_driver_sql("unlisten *")
