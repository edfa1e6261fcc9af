"""What a person decides about deliveries: those in doubt (sent, answer lost, billing cannot be asked) and the dead ones (retries spent)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from gateway.domain.problems import Misconfigured, Problem
from gateway.domain.status import ReadingStatus
from gateway.store import letters, readings
from gateway.store.ledger import BULK, CHANNEL, DEAD, LETTER, PARKED, READY, REFUSED, TAKEN

State = Literal["in_doubt", "dead"]


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that waits for a person. `status`: where its reading or letter stands now. `answer`: how the last raw answer begins.

    `batch`: the call that it went out with last; None for one that died unsent. Of a letter `kind` is LETTER, `reading` its id, `meter`
    its recipient and `period` what kind of letter it is.
    """

    state: State
    kind: str
    since: datetime
    utility: str
    target: str
    reading: UUID
    delivery: UUID
    meter: str
    period: str
    revision: int
    status: str
    tries: int
    batch: UUID | None
    answer: bytes

    @property
    def key(self) -> str:
        """The key by which billing knows it."""
        return f"{'let' if self.kind == LETTER else 'rdg'}_{self.reading.hex}"


_WAITING: Final = """
with w as (
  select 'in_doubt' as state, d.id, d.utility_id, d.target_id, d.kind, d.subject_id, d.tries, d.created_at as at, null::uuid as batch_id
  from delivery d where d.problem = 'in_doubt'
  union all
  select 'dead', c.id, c.utility_id, c.target_id, c.kind, c.subject_id, c.tries, c.closed_at, c.batch_id
  from delivery_closed c where c.state = 6
), m as (
  select id, meter, period, revision, status from meter_reading where id = any(array(select subject_id from w))
  union all
  select id, recipient, kind, 0, status from letter where id = any(array(select subject_id from w))
)
select w.state, w.kind, coalesce(e.at, w.at) as since, u.code as utility, t.name as target, m.id as reading, w.id as delivery, m.meter,
  m.period, m.revision, m.status, w.tries, b.id as batch, coalesce(substring(b.answer from 1 for 400), ''::bytea) as answer
from w join utility u on u.id = w.utility_id join target t on t.id = w.target_id join m on m.id = w.subject_id
left join lateral (select max(at) as at from event where entity_id = m.id and to_state = w.state) e on true
left join lateral (select batch_id from attempt where delivery_id = w.id order by batch_id desc limit 1) a on true
left join batch b on b.id = coalesce(a.batch_id, w.batch_id)
where (w.state = 'in_doubt' or m.status = 'dead') and (%(utility)s = '' or u.code = %(utility)s)
  and (%(reading)s::uuid is null or m.id = %(reading)s or w.id = %(reading)s)
order by since, w.id"""


def waiting(connection: Connection, utility: str = "") -> list[Doubt]:
    """Every delivery that waits for a person, of one utility or all, the oldest first."""
    return _found(connection, {"utility": utility, "reading": None})


def taken(connection: Connection, key: UUID, *, actor: str, reference: str = "") -> Doubt:
    """Billing has it: the reading is acknowledged and its lane goes on. Raises Misconfigured when nothing is in doubt under the key."""
    doubt, told = _held(connection, key, registers=False)
    _close(connection, doubt, TAKEN, reference=reference or None)
    _go_on(connection, told)
    _tell(connection, doubt, ReadingStatus.ACKNOWLEDGED, actor, reference)
    return doubt


def refused(connection: Connection, key: UUID, *, actor: str, reason: str) -> Doubt:
    """Billing does not want it: the reading is rejected with the reason, the register forgets its value, the lane goes on.

    Raises Misconfigured when nothing is in doubt under the key, or billing has said that it calculated or billed it.
    """
    doubt, told = _held(connection, key, registers=True)
    _check_unsettled(doubt)
    _close(connection, doubt, REFUSED, problem="refused_by_billing")
    _go_on(connection, told)
    _tell(connection, doubt, ReadingStatus.REJECTED, actor, reason)
    objections = {doubt.reading: Problem(code="refused_by_billing", values={"reason": reason})}
    if doubt.kind == LETTER:
        letters.object_to(connection, objections)
    else:
        readings.object_to(connection, told["u"], objections)
    return doubt


def again(connection: Connection, key: UUID, *, actor: str, reason: str = "") -> Doubt:
    """Billing does not have it: it goes out once more under the same key, at the place in its lane that it had.

    A dead one is queued again too, its schedule from the beginning. Raises Misconfigured when nothing waits under the key, when billing
    has said that it calculated or billed it, or when a dead one has been corrected meanwhile.
    """
    doubt = _one(connection, key)
    if doubt.state == "dead":
        return _revived(connection, doubt, actor, reason)
    doubt, told = _held(connection, key, registers=False)
    _check_unsettled(doubt)
    connection.exec_driver_sql(
        "update delivery set problem = null, tries = least(tries, 1), created_at = clock_timestamp() where id = %(d)s", told
    )
    connection.exec_driver_sql(_FREE, told)
    _wake(connection, told)
    _tell(connection, doubt, ReadingStatus.QUEUED, actor, reason)
    return doubt


def _found(connection: Connection, told: Mapping[str, Any]) -> list[Doubt]:
    names = Doubt.__struct_fields__
    rows = connection.exec_driver_sql(_WAITING, told)
    return [Doubt(**{name: getattr(row, name) for name in names} | {"answer": bytes(row.answer)}) for row in rows]


def _one(connection: Connection, key: UUID) -> Doubt:
    """The delivery of a reading's key or of its own id."""
    found = _found(connection, {"utility": "", "reading": key})
    if not found:
        raise Misconfigured(f"{key.hex}: no such delivery waits for a person; metergate doubt list shows those that do")
    return found[0]


def _held(connection: Connection, key: UUID, *, registers: bool) -> tuple[Doubt, dict[str, Any]]:
    """The delivery in doubt, with its registers, its reading and its lane locked in this order, looked at again once they are."""
    doubt = _one(connection, key)
    if doubt.state != "in_doubt":
        raise Misconfigured(f"{doubt.key} is dead, not in doubt: it can only be queued again (metergate doubt again)")
    readings.hold(connection, [doubt.reading], registers=registers, kind=doubt.kind)
    lane = connection.exec_driver_sql(
        "select l.utility_id, l.target_id, l.lane_id from delivery d "
        "join lane l on l.target_id = d.target_id and l.lane_id = d.lane_id where d.id = %(d)s for update of l",
        {"d": doubt.delivery},
    ).one_or_none()
    still = [one for one in _found(connection, {"utility": "", "reading": doubt.reading}) if one.delivery == doubt.delivery]
    if lane is None or not still or still[0].state != "in_doubt":
        raise Misconfigured(f"{doubt.key}: somebody else has decided it just now")
    return still[0], {"u": lane.utility_id, "t": lane.target_id, "l": lane.lane_id, "d": doubt.delivery}


def _check_unsettled(doubt: Doubt) -> None:
    if doubt.status not in (ReadingStatus.IN_DOUBT, ReadingStatus.SUPERSEDED, ReadingStatus.WITHDRAWN):
        raise Misconfigured(f"{doubt.key}: billing has said meanwhile that it is {doubt.status}, so it was taken (metergate doubt taken)")


_CLOSE: Final = """
with g as (delete from delivery where id = %(d)s returning *)
insert into delivery_closed (id, utility_id, target_id, kind, subject_id, lane_id, read_at, revision, sender_id, rank, tries, problem,
  created_at, state, batch_id, reference, closed_at)
select id, utility_id, target_id, kind, subject_id, lane_id, read_at, revision, sender_id, rank, tries, %(problem)s, created_at,
  %(state)s, %(batch)s, %(reference)s, clock_timestamp() from g"""


def _close(connection: Connection, doubt: Doubt, state: int, *, problem: str | None = None, reference: str | None = None) -> None:
    told = {"d": doubt.delivery, "state": state, "batch": doubt.batch, "problem": problem, "reference": reference}
    connection.exec_driver_sql(_CLOSE, told)


_FREE: Final = f"""
update lane l set due = clock_timestamp(),
  state = case when l.state = {PARKED} and not exists (select from delivery d
    where d.target_id = l.target_id and d.lane_id = l.lane_id and d.problem = 'in_doubt') then {READY} else l.state end,
  rank = coalesce((select d.rank from delivery d where d.target_id = l.target_id and d.lane_id = l.lane_id
    order by read_at, revision, id limit 1), l.rank)
where l.target_id = %(t)s and l.lane_id = %(l)s"""


def _go_on(connection: Connection, told: Mapping[str, Any]) -> None:
    """One delivery of the lane is over: the lane goes with its last one, stays parked while another is in doubt, else is ready."""
    gone = connection.exec_driver_sql("delete from lane where target_id = %(t)s and lane_id = %(l)s and open = 1", told).rowcount
    if not gone:
        connection.exec_driver_sql("update lane set open = open - 1 where target_id = %(t)s and lane_id = %(l)s", told)
        connection.exec_driver_sql(_FREE, told)
        _wake(connection, told)


def _wake(connection: Connection, told: Mapping[str, Any]) -> None:
    connection.exec_driver_sql("select pg_notify(%(channel)s, %(t)s::text)", {"channel": CHANNEL, "t": told["t"]})


_REVIVE: Final = f"""
with g as (delete from delivery_closed where id = %(d)s and state = {DEAD} returning *),
d as (insert into delivery (id, utility_id, target_id, kind, subject_id, lane_id, read_at, revision, sender_id, rank, tries, created_at)
  select id, utility_id, target_id, kind, subject_id, lane_id, read_at, revision, sender_id, rank, least(tries, 1), clock_timestamp()
  from g)
insert into lane as l (utility_id, target_id, lane_id, state, priority, rank, open)
select utility_id, target_id, lane_id, {READY}, {BULK}, rank, 1 from g
on conflict (target_id, lane_id) do update set open = l.open + 1, state = case when l.state = 0 then {READY} else l.state end
returning l.target_id"""


def _revived(connection: Connection, doubt: Doubt, actor: str, reason: str) -> Doubt:
    readings.hold(connection, [doubt.reading], registers=False, kind=doubt.kind)
    moved = readings.move(connection, ReadingStatus.QUEUED, [(doubt.reading, reason)], actor=actor, kind=doubt.kind)
    row = connection.exec_driver_sql(_REVIVE, {"d": doubt.delivery}).one_or_none() if moved else None
    if row is None:
        raise Misconfigured(f"{doubt.key}: somebody else has decided it just now, or it was corrected meanwhile")
    _wake(connection, {"t": row.target_id})
    return doubt


def _tell(connection: Connection, doubt: Doubt, to: ReadingStatus, actor: str, reason: str) -> None:
    """Move the reading, or, where billing's word or a correction has moved it on already, write the decision beside its state."""
    if not readings.move(connection, to, [(doubt.reading, reason)], actor=actor, kind=doubt.kind):
        connection.exec_driver_sql(
            "insert into event (utility_id, entity, entity_id, from_state, to_state, actor, reason) "
            f"select utility_id, '{doubt.kind}', id, status, status, %(actor)s, %(reason)s from {doubt.kind} where id = %(m)s",
            {"m": doubt.reading, "actor": actor, "reason": reason},
        )
