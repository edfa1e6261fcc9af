"""The delivery ledger, second half: workers claim batches of due items, mark them sending, keep their leases alive, reap what died."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection
from uuid_utils.compat import uuid7

from gateway.store.ledger import READING
from gateway.store.rows import array


class Claimed(msgspec.Struct, frozen=True, gc=False):
    """One delivery held by a batch. `age`: time since it was queued, by the worker's clock. `problem`: what its last attempt ended with.

    `kind`: what it carries, as the ledger names it.
    """

    id: UUID
    lane: int
    subject: UUID
    tries: int
    age: timedelta
    problem: str | None = None
    kind: str = READING


class Held(msgspec.Struct, frozen=True):
    """A batch that this worker holds, or found dead: its items in the order of their claim."""

    id: UUID
    utility_id: int
    target_id: int
    phase: int
    items: tuple[Claimed, ...]

    @property
    def kind(self) -> str:
        """What it carries: a target carries one kind."""
        return self.items[0].kind if self.items else READING


_GATE: Final = """
select utility_id, floor, max_batches, rate, breaker_until is not null as probing from target
where id = %(t)s and paused is null and next_call_at <= clock_timestamp() + %(skew)s
  and coalesce(breaker_until, '-infinity') <= clock_timestamp() + %(skew)s for no key update"""

_ROOM: Final = "select count(*) from batch where target_id = %(t)s and finished_at is null"

_WAKE: Final = """
update lane set state = 1, rank = greatest(rank, %(floor)s) where (target_id, lane_id) in
  (select target_id, lane_id from lane where target_id = %(t)s and state = 2 and due <= clock_timestamp() + %(skew)s
   order by due limit 1000 for update skip locked)"""

_PROBE: Final = """
update lane set state = 1, rank = greatest(rank, %(floor)s) where (target_id, lane_id) in
  (select target_id, lane_id from lane where target_id = %(t)s and state = 2 order by due limit 1 for update skip locked)"""

_CLAIM: Final = """
with l as (
  select lane_id, rank from lane
  where target_id = %(t)s and state = 1 and priority = %(p)s and rank >= %(floor)s and batch_id is null
  order by rank limit %(n)s for update skip locked
), d as (
  select d.* from (select * from l order by rank) l, lateral (
    select id, lane_id, subject_id, tries, created_at, problem, kind, l.rank from delivery d
    where d.target_id = %(t)s and d.lane_id = l.lane_id order by read_at, revision, id limit %(per_lane)s) d limit %(n)s
), u as (
  update lane set batch_id = %(b)s where target_id = %(t)s and lane_id = any(array(select lane_id from d))
) select id, lane_id, subject_id, tries, clock_timestamp() + %(skew)s - created_at as age, problem, kind, rank from d"""

_BATCH: Final = """
insert into batch (id, utility_id, target_id, worker, claimed_at, lease_until, items)
values (%(b)s, %(u)s, %(t)s, %(w)s, clock_timestamp() + %(skew)s, clock_timestamp() + %(skew)s + %(lease)s, %(items)s::uuid[])"""

_PACE: Final = """
update target set next_call_at = greatest(next_call_at, clock_timestamp() + %(skew)s - interval '100 ms')
  + make_interval(secs => coalesce(%(n)s / nullif(rate, 0), 0)), floor = %(floor)s where id = %(t)s"""


def claim(
    connection: Connection, target: int, *, worker: str, limit: int, per_lane: int, lease: timedelta, skew: timedelta, drop_floor: bool
) -> Held | None:
    """Take a batch of due items, interactive ones first, or None when there is nothing to do or the target may not be called now.

    `skew`: the worker's clock against the database's. `drop_floor`: look below the rank hint too, as every few seconds someone must
    (ledger.md, trap 7).
    """
    now: dict[str, Any] = {"t": target, "skew": skew}
    gate = connection.exec_driver_sql(_GATE, now).one_or_none()
    if gate is None:
        return None
    room = 1 if gate.probing else gate.max_batches
    if connection.exec_driver_sql(_ROOM, now).scalar_one() >= room:
        return None
    floors = [0, 0] if drop_floor else list(gate.floor)
    connection.exec_driver_sql(_WAKE, now | {"floor": min(gate.floor)})
    batch, floor = uuid7(), list(gate.floor)
    wanted = now | {"per_lane": per_lane, "b": batch}
    items = _take(connection, wanted, limit, floors, floor)
    if not items and gate.probing:  # nothing is due, but billing may be back and somebody has to ask
        connection.exec_driver_sql(_PROBE, now | {"floor": min(gate.floor)})
        items = _take(connection, wanted, 1, floors, floor)
    if not items:
        return None
    ids = array((item.id for item in items), "uuid")
    connection.exec_driver_sql(_BATCH, now | {"b": batch, "u": gate.utility_id, "w": worker, "lease": lease, "items": ids})
    connection.exec_driver_sql(_PACE, now | {"n": float(len(items)), "floor": floor})
    return Held(batch, gate.utility_id, target, 0, tuple(items))


def _take(connection: Connection, wanted: Mapping[str, Any], limit: int, floors: Sequence[int], floor: list[int]) -> list[Claimed]:
    """Take what is ready, by priority; `floor` is moved to the lowest rank taken."""
    items: list[Claimed] = []
    for priority in (0, 1):
        for lowest in dict.fromkeys((floors[priority], 0)):
            left = limit - len(items)
            found = connection.exec_driver_sql(_CLAIM, {**wanted, "p": priority, "floor": lowest, "n": left}).all()
            if found:
                floor[priority] = min(row.rank for row in found)
                items += [Claimed(row.id, row.lane_id, row.subject_id, row.tries, row.age, row.problem, row.kind) for row in found]
                break
        if len(items) >= limit:
            break
    return items


class Tried(msgspec.Struct, frozen=True, gc=False):
    """The batch in which a delivery was last sent, and how long ago that was, by the worker's clock."""

    batch: UUID
    age: timedelta


def tried(connection: Connection, deliveries: Sequence[UUID], *, skew: timedelta) -> dict[UUID, Tried]:
    """When and in which batch each of these deliveries was last sent; a batch that only asked about one did not send it."""
    if not deliveries:
        return {}
    rows = connection.exec_driver_sql(
        "select distinct on (a.delivery_id) a.delivery_id, b.id, clock_timestamp() + %(skew)s - b.sent_at as age "
        "from attempt a join batch b on b.id = a.batch_id where a.delivery_id = any(%(ids)s::uuid[]) and b.sent_at is not null "
        "and a.delivery_id = any(b.items) order by a.delivery_id, b.id desc",
        {"ids": array(deliveries, "uuid"), "skew": skew},
    )
    return {row.delivery_id: Tried(row.id, row.age) for row in rows}


def sending(
    connection: Connection, batch: UUID, *, lease: timedelta, skew: timedelta, items: Sequence[UUID] | None = None, answer: bytes = b""
) -> bool:
    """Say that the first byte may go out. False: the batch was reaped, do not send.

    `items`: all that is sent, when asking has taken others out of the batch; `answer`: what billing said when it was asked.
    """
    row = connection.exec_driver_sql(
        "update batch set phase = 1, sent_at = clock_timestamp() + %(skew)s, lease_until = clock_timestamp() + %(skew)s + %(lease)s, "
        "items = coalesce(%(items)s::uuid[], items), answer = %(answer)s where id = %(b)s and finished_at is null returning id",
        {"b": batch, "lease": lease, "skew": skew, "items": None if items is None else array(items, "uuid"), "answer": answer or None},
    )
    return row.one_or_none() is not None


def heartbeat(connection: Connection, batches: Sequence[UUID], *, lease: timedelta, skew: timedelta) -> set[UUID]:
    """Keep leases alive; a batch that does not come back is lost to its worker."""
    rows = connection.exec_driver_sql(
        "update batch set lease_until = clock_timestamp() + %(skew)s + %(lease)s "
        "where id = any(%(ids)s) and finished_at is null returning id",
        {"ids": list(batches), "lease": lease, "skew": skew},
    )
    return {row.id for row in rows}


def dead(connection: Connection, targets: Iterable[int], *, skew: timedelta) -> Held | None:
    """One batch of these targets whose lease ran out, locked: one a transaction, or finishers and reapers deadlock (trap 2)."""
    row = connection.exec_driver_sql(
        "select id, utility_id, target_id, phase, items from batch "
        "where finished_at is null and target_id = any(%(targets)s) and lease_until < clock_timestamp() + %(skew)s "
        "order by id limit 1 for update skip locked",
        {"targets": list(targets), "skew": skew},
    ).one_or_none()
    if row is None:
        return None
    items = connection.exec_driver_sql(
        "select id, lane_id, subject_id, tries, clock_timestamp() + %(skew)s - created_at as age, problem, kind from delivery "
        "where id = any(%(ids)s) order by lane_id",
        {"ids": list(row.items), "skew": skew},
    )
    found = tuple(Claimed(item.id, item.lane_id, item.subject_id, item.tries, item.age, item.problem, item.kind) for item in items)
    return Held(row.id, row.utility_id, row.target_id, row.phase, found)


def breaker(connection: Connection, target: int, *, failed: bool, limit: int, pause: timedelta, asked: timedelta, skew: timedelta) -> None:
    """Count a failure of the target, opening its breaker at `limit` in a row, or close the breaker after a success.

    `asked`: billing wants no call at all for so long. A target that is back after its breaker was open is back for everyone: lanes that
    were put off are due at once. One failed call among good ones wakes nobody, or a batch that always fails would go without a pause.
    """
    if failed:
        connection.exec_driver_sql(
            "update target set failures = failures + 1, breaker_until = case when failures + 1 >= %(limit)s "
            "then clock_timestamp() + %(skew)s + %(pause)s else breaker_until end, "
            "next_call_at = greatest(next_call_at, clock_timestamp() + %(skew)s + %(asked)s) where id = %(t)s",
            {"t": target, "limit": limit, "pause": pause, "asked": asked, "skew": skew},
        )
        return
    told = {"t": target, "skew": skew}
    opened = connection.exec_driver_sql("select breaker_until is not null from target where id = %(t)s", told).scalar_one()
    connection.exec_driver_sql(
        "update target set failures = 0, breaker_until = null where id = %(t)s and (failures > 0 or breaker_until is not null)", told
    )
    if opened:
        connection.exec_driver_sql(
            "update lane set due = clock_timestamp() + %(skew)s where (target_id, lane_id) in (select target_id, lane_id from lane "
            "where target_id = %(t)s and state = 2 order by lane_id for update skip locked)",
            told,
        )
