"""The delivery ledger, first half: what is due, in lanes that keep each meter's order and give each sender its share (docs/ledger.md)."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection
from uuid_utils.compat import uuid7

from gateway.domain.status import ReadingStatus
from gateway.store.rows import array, put

READING: Final = "meter_reading"
LETTER: Final = "letter"
"""What a delivery carries (`delivery.kind`): readings to billing, letters to people. A target carries one of them."""

INTERACTIVE: Final = 0
BULK: Final = 1
CHANNEL: Final = "metergate_due"
"""The NOTIFY channel that wakes senders; its payload is the target's id."""
RECEIVED: Final = "metergate_received"
"""The NOTIFY channel that wakes translators."""

READY, DELAYED, PARKED, EMPTY = 1, 2, 3, 0
"""States of a lane: may be claimed, waits for its time, holds until a person decides, has nothing open."""

TAKEN, DEAD, REFUSED, WITHDRAWN = 5, 6, 7, 8
"""States of a closed delivery."""

ASKED: Final = "asked"
"""The outcome of a question that was not answered for good."""


class Due(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One thing to deliver: to which target, for whom and how urgently, what, in which lane and at which place of it."""

    target: str
    sender: int
    priority: int
    subject: UUID
    lane: int
    read_at: datetime
    revision: int


_ENQUEUE: Final = """
with g as (select target, sender, priority, count(*) as n from unnest(%(targets)s::int[], %(senders)s::bigint[], %(priorities)s::smallint[])
    i(target, sender, priority) group by 1, 2, 3),
s as (insert into share as s (utility_id, target_id, sender_id, priority, last)
  select %(u)s, g.target, g.sender, g.priority, t.floor[g.priority + 1] + g.n from g join target t on t.id = g.target order by 2, 3, 4
  on conflict (target_id, sender_id, priority) do update set last = excluded.last
    + greatest(0, s.last - (select t.floor[excluded.priority + 1] from target t where t.id = excluded.target_id))
  returning target_id, sender_id, priority, last),
r as (select i.*, s.last - g.n + row_number() over (partition by i.target, i.sender, i.priority order by i.ordinal) as rank
  from unnest(%(ids)s::uuid[], %(targets)s::int[], %(senders)s::bigint[], %(priorities)s::smallint[], %(subjects)s::uuid[],
    %(lanes)s::bigint[], %(read_ats)s::timestamptz[], %(revisions)s::smallint[]) with ordinality
    i(id, target, sender, priority, subject, lane, read_at, revision, ordinal)
  join g using (target, sender, priority)
  join s on s.target_id = i.target and s.sender_id = i.sender and s.priority = i.priority),
d as (insert into delivery (id, utility_id, target_id, kind, subject_id, lane_id, read_at, revision, sender_id, rank)
  select id, %(u)s, target, %(kind)s, subject, lane, read_at, revision, sender, rank from r),
l as (insert into lane (utility_id, target_id, lane_id, state, priority, rank, open)
  select %(u)s, target, lane, 1, min(priority), min(rank), count(*) from r group by target, lane order by target, lane
  on conflict (target_id, lane_id) do update set
    open = lane.open + excluded.open, priority = least(lane.priority, excluded.priority),
    state = case when lane.state = 0 then 1 else lane.state end)
select count(pg_notify(%(channel)s, target::text)) from (select distinct target from g) woken"""


def targets(connection: Connection, utility: int, names: Iterable[str]) -> dict[str, int]:
    """The ids of a utility's billing connections by name; a name met for the first time gets its row here.

    An id never changes, so each connection of the pool remembers those it found; those made here may still be undone.
    """
    known: dict[tuple[int, str], int] = connection.info.setdefault("targets", {})
    wanted = set(names)
    if any((utility, name) not in known for name in wanted):
        rows = connection.exec_driver_sql("select id, name from target where utility_id = %(u)s", {"u": utility})
        known.update({(utility, row.name): row.id for row in rows})
    found = {name: known[utility, name] for name in wanted if (utility, name) in known}
    for name in sorted(wanted - found.keys()):
        made = connection.exec_driver_sql(
            "insert into target (utility_id, name) values (%(u)s, %(n)s) on conflict (utility_id, name) do update set name = excluded.name "
            "returning id",
            {"u": utility, "n": name},
        )
        found[name] = made.scalar_one()
    return found


class Connected(msgspec.Struct, frozen=True):
    """A billing connection as the worker finds it."""

    id: int
    utility: str
    name: str


_CONNECTED: Final = "select t.id, u.code, t.name from target t join utility u on u.id = t.utility_id"
_AWAITING: Final = """exists (select from lane where target_id = t.id)
  or exists (select from batch where target_id = t.id and finished_at is null)"""


def connected(connection: Connection) -> list[Connected]:
    """Every billing connection that has ever been delivered to, of every utility."""
    return [Connected(*row) for row in connection.exec_driver_sql(f"{_CONNECTED} order by t.id")]


def awaiting(connection: Connection) -> list[Connected]:
    """Those of them that something is on its way to: each has a lane, or a batch that nobody has finished."""
    return [Connected(*row) for row in connection.exec_driver_sql(f"{_CONNECTED} where {_AWAITING} order by t.id")]


def pace(connection: Connection, target: int, *, rate: float, concurrency: int) -> None:
    """Let all workers share a target's pace as its settings say."""
    connection.exec_driver_sql(
        "update target set rate = nullif(%(rate)s::float8, 0), max_batches = %(n)s where id = %(t)s",
        {"t": target, "rate": rate, "n": concurrency},
    )


def enqueue(connection: Connection, utility: int, dues: Sequence[Due], *, kind: str = READING) -> None:
    """Put deliveries into the ledger, of one kind: each sender's ranks first, then the items, then their lanes in the order of ids.

    A lane's row is locked from here to the commit, so this comes last in its transaction (ledger.md, traps 2 and 6).
    """
    known = targets(connection, utility, {due.target for due in dues})
    numbers = [known[due.target] for due in dues]
    connection.exec_driver_sql(
        _ENQUEUE,
        {
            "u": utility,
            "channel": CHANNEL,
            "kind": kind,
            "ids": array((uuid7() for _ in dues), "uuid"),
            "targets": array(numbers, "int"),
            "senders": array((due.sender for due in dues), "bigint"),
            "priorities": array((due.priority for due in dues), "smallint"),
            "subjects": array((due.subject for due in dues), "uuid"),
            "lanes": array((due.lane for due in dues), "bigint"),
            "read_ats": array((due.read_at for due in dues), "timestamptz"),
            "revisions": array((due.revision for due in dues), "smallint"),
        },
    )


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What one attempt means for one delivery: `closed` as that state, or kept in a lane that goes on, waits or parks.

    `becomes`: the state its meter reading moves to. `tried`: 0 when nothing left the house. `outcome`: a word for the record of the
    attempt; of what was only asked about and still waits (ASKED) there is none, or every question would leave a row.
    """

    delivery: UUID
    lane: int
    outcome: str
    closed: int = 0
    lane_state: int = READY
    wait: timedelta = timedelta()
    problem: str | None = None
    reference: str | None = None
    tried: int = 1
    becomes: ReadingStatus | None = None


_CLOSE: Final = """
with o as (select * from unnest(%(ids)s::uuid[], %(states)s::smallint[], %(problems)s::text[], %(references)s::text[],
    %(tries)s::smallint[])
  o(id, state, problem, reference, tried)),
g as (delete from delivery d using o where d.id = o.id returning d.*, o.state, o.problem as why, o.reference, o.tried)
insert into delivery_closed (id, utility_id, target_id, kind, subject_id, lane_id, read_at, revision, sender_id, rank, tries, problem,
  created_at,  state, batch_id, reference, closed_at)
select id, utility_id, target_id, kind, subject_id, lane_id, read_at, revision, sender_id, rank, tries + tried, why, created_at,
  state, %(b)s, reference, clock_timestamp() from g"""

_KEEP: Final = """
update delivery d set tries = tries + o.tried, problem = o.problem
from unnest(%(ids)s::uuid[], %(problems)s::text[], %(tries)s::smallint[]) o(id, problem, tried) where d.id = o.id"""

_EMPTY: Final = """
delete from lane l using unnest(%(lanes)s::bigint[], %(closed)s::int[]) o(lane_id, n)
where l.target_id = %(t)s and l.lane_id = o.lane_id and l.batch_id = %(b)s and l.open = o.n"""

_GOON: Final = """
update lane l set open = l.open - o.n, batch_id = null, due = clock_timestamp() + %(skew)s + o.wait,
  state = case when l.open > o.n then o.state else 0 end,
  rank = coalesce((select d.rank from delivery d where d.target_id = l.target_id and d.lane_id = l.lane_id
    order by read_at, revision, id limit 1), l.rank)
from unnest(%(lanes)s::bigint[], %(closed)s::int[], %(states)s::smallint[], %(waits)s::interval[]) o(lane_id, n, state, wait)
where l.target_id = %(t)s and l.lane_id = o.lane_id and l.batch_id = %(b)s"""


def fence(connection: Connection, batch: UUID, *, answer: bytes, phase: int = 2) -> bool:
    """Close a batch, which only one may. False when it was reaped meanwhile: then nothing else of it may be written."""
    row = connection.exec_driver_sql(
        "update batch set phase = %(phase)s, finished_at = clock_timestamp(), "
        "answer = coalesce(answer || '\\x0a'::bytea || %(answer)s::bytea, %(answer)s::bytea, answer) "
        "where id = %(b)s and finished_at is null returning id",
        {"b": batch, "phase": phase, "answer": answer or None},
    )
    return row.one_or_none() is not None


def finish(connection: Connection, *, target: int, batch: UUID, utility: int, verdicts: Sequence[Verdict], skew: timedelta) -> None:
    """Write what an attempt came to, behind the fence and in its transaction.

    Every writer takes its locks in one order, batch, registers, readings, lanes, and within each in the order of their ids.
    """
    lanes = _by_lane(verdicts)
    base: dict[str, Any] = {"t": target, "b": batch, "lanes": array(lanes, "bigint"), "skew": skew}
    connection.exec_driver_sql(
        "select from lane where target_id = %(t)s and lane_id = any(%(lanes)s::bigint[]) order by lane_id for update", base
    )
    _close_and_keep(connection, batch, verdicts)
    failures = [(utility, v.delivery, batch, v.outcome, v.problem) for v in verdicts if v.closed != TAKEN and v.outcome != ASKED]
    if failures:
        types = {"utility_id": "int", "delivery_id": "uuid", "batch_id": "uuid", "outcome": "text", "problem": "text"}
        put(connection, "attempt", types, failures)
    base["closed"] = array((closed for closed, _ in lanes.values()), "int")
    emptied = connection.exec_driver_sql(_EMPTY, base).rowcount
    if emptied < len(lanes):
        base["states"] = array((verdict.lane_state for _, verdict in lanes.values()), "smallint")
        base["waits"] = array((f"{verdict.wait.total_seconds()} s" for _, verdict in lanes.values()), "text")
        connection.exec_driver_sql(_GOON, base)


def _by_lane(verdicts: Iterable[Verdict]) -> dict[int, tuple[int, Verdict]]:
    """Per lane, how many of its items are closed, and the verdict that decides how it goes on: one in doubt, else the first one kept."""
    lanes: dict[int, tuple[int, Verdict]] = {}
    for verdict in verdicts:
        closed, decides = lanes.get(verdict.lane, (0, verdict))
        doubtful = verdict.lane_state == PARKED and decides.lane_state != PARKED
        if not verdict.closed and (decides.closed or doubtful):
            decides = verdict
        lanes[verdict.lane] = closed + bool(verdict.closed), decides
    return dict(sorted(lanes.items()))


def _close_and_keep(connection: Connection, batch: UUID, verdicts: Sequence[Verdict]) -> None:
    closed = [v for v in verdicts if v.closed]
    kept = [v for v in verdicts if not v.closed]
    if closed:
        connection.exec_driver_sql(
            _CLOSE,
            {
                "b": batch,
                "ids": array((v.delivery for v in closed), "uuid"),
                "states": array((v.closed for v in closed), "smallint"),
                "problems": array((v.problem for v in closed), "text"),
                "references": array((v.reference for v in closed), "text"),
                "tries": array((v.tried for v in closed), "smallint"),
            },
        )
    if kept:
        connection.exec_driver_sql(
            _KEEP,
            {
                "ids": array((v.delivery for v in kept), "uuid"),
                "problems": array((v.problem for v in kept), "text"),
                "tries": array((v.tried for v in kept), "smallint"),
            },
        )
