"""One reading between its verdict and billing: found for whoever decides about it, taken back, let pass, refused, queued after its hold."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from gateway.domain.problems import Problem, Severity
from gateway.domain.status import ReadingStatus, SubmissionStatus
from gateway.store import readings
from gateway.store.corrections import Row, restate
from gateway.store.rows import array


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One reading where it stands: its submission and place in it, its agreement, and whether it brought interval values."""

    id: UUID
    submission: UUID
    ordinal: int
    status: ReadingStatus
    meter_id: int | None
    agreement_id: int | None
    period: str
    nature: bool
    blocks: bool


_STANDING: Final = """
select m.id, m.submission_id, m.ordinal, m.status, m.meter_id, p.agreement_id, m.period, m.intervals,
  exists (select from interval_source i where i.meter_reading_id = m.id) as blocks
from meter_reading m join submission s on s.id = m.submission_id
left join meter e on e.id = m.meter_id left join usage_point p on p.id = e.usage_point_id
where m.utility_id = %(u)s and m.id = any(%(ids)s::uuid[]) and m.same_as is null and (%(c)s::bigint is null or s.credential_id = %(c)s)
order by m.submission_id, m.ordinal"""


def standing(connection: Connection, utility_id: int, ids: Sequence[UUID], credential_id: int | None = None) -> list[Standing]:
    """These readings of the utility; with `credential_id` only those of that sender. Absent ones and others' are left out."""
    rows = connection.exec_driver_sql(_STANDING, {"u": utility_id, "ids": array(ids, "uuid"), "c": credential_id})
    return [_standing(row) for row in rows]


def _standing(row: Any) -> Standing:
    return Standing(
        id=row[0],
        submission=row[1],
        ordinal=row[2],
        status=ReadingStatus(row[3]),
        meter_id=row[4],
        agreement_id=row[5],
        period=row[6],
        nature=row[7],
        blocks=row[8],
    )


def of_submission(connection: Connection, submission: UUID, status: ReadingStatus) -> list[UUID]:
    """The readings of a submission in a state."""
    rows = connection.exec_driver_sql(
        "select id from meter_reading where submission_id = %(s)s and status = %(status)s order by id",
        {"s": submission, "status": str(status)},
    )
    return [row.id for row in rows]


def under_way(connection: Connection, reading: UUID) -> bool:
    """Whether billing may have it: it is being sent, or was tried. Its lane is held until the transaction ends: none begins to send it."""
    named = {"m": reading}
    connection.exec_driver_sql(
        "select from lane l join delivery d on d.target_id = l.target_id and d.lane_id = l.lane_id where d.subject_id = %(m)s "
        "for update of l",
        named,
    )
    # Asked apart: a statement that has waited for a lane does not see the batch that was made meanwhile.
    row = connection.exec_driver_sql(
        "select d.tries > 0 or exists (select from batch b where b.id = l.batch_id and d.id = any(b.items)) as going "
        "from delivery d join lane l on l.target_id = d.target_id and l.lane_id = d.lane_id where d.subject_id = %(m)s",
        named,
    ).one_or_none()
    return row is not None and bool(row.going)


def corrects(connection: Connection, one: Standing) -> bool:
    """Whether an earlier reading of this meter and period gave way to it, or may have: without it none would stand."""
    return bool(
        connection.exec_driver_sql(
            "select exists (select from meter_reading m where m.meter_id = %(m)s and m.period = %(p)s and m.intervals = %(n)s "
            "and m.id < %(id)s and m.status = 'superseded' and m.same_as is null "
            "and not exists (select from submission s where s.id = m.submission_id and (s.envelope->>'draft')::boolean))",
            {"m": one.meter_id, "p": one.period, "n": one.nature, "id": one.id},
        ).scalar_one()
    )


def period_closed(connection: Connection, one: Standing) -> bool:
    """Whether billing has closed its period, or a later one."""
    return bool(
        connection.exec_driver_sql(
            "select exists (select from billing_period where agreement_id = %(a)s and code >= %(p)s and closed_at <= clock_timestamp())",
            {"a": one.agreement_id, "p": one.period},
        ).scalar_one()
    )


_HAND_ON: Final = """
with heir as (select id from meter_reading where same_as = %(id)s and status = 'accepted' order by id limit 1 for no key update),
others as (update meter_reading m set same_as = heir.id from heir where m.same_as = %(id)s and m.id <> heir.id),
risen as (update meter_reading m set same_as = null, status = o.status, hold_until = o.hold_until, revision = o.revision
  from heir, meter_reading o where m.id = heir.id and o.id = %(id)s returning m.id, m.utility_id, m.status),
told as (insert into event (utility_id, entity, entity_id, from_state, to_state, actor, reason)
  select utility_id, 'meter_reading', id, 'accepted', status, 'metergate', %(name)s from risen where status <> 'accepted'),
carried as (update delivery d set subject_id = heir.id from heir where d.subject_id = %(id)s),
kept as (update register g set last_reading_id = heir.id from heir where g.last_reading_id = %(id)s)
select id from heir"""


def hand_on(connection: Connection, one: Standing) -> bool:
    """Let another submission that said the same stand in its place: its reading goes to billing instead. False: there is none."""
    told = {"id": one.id, "name": f"rdg_{one.id.hex}"}
    return connection.exec_driver_sql(_HAND_ON, told).one_or_none() is not None


def followed(connection: Connection, one: Standing) -> bool:
    """Whether a later reading of one of its registers is believed, which was compared with this one."""
    return bool(
        connection.exec_driver_sql(
            "select exists (select from reading r join register g on g.meter_id = %(m)s and g.code = r.register "
            "where r.meter_reading_id = %(id)s and not r.volume and g.last_reading_id is distinct from r.meter_reading_id "
            "and g.last_reading_id is not null)",
            {"m": one.meter_id, "id": one.id},
        ).scalar_one()
    )


_RESTORE: Final = """
update register g set last = coalesce(h.value, g.before), last_at = coalesce(h.at, g.before_at), last_reading_id = h.id,
  last_period = coalesce(h.period, to_char(to_date(g.last_period, 'YYYY-MM') - interval '1 month', 'YYYY-MM')),
  before = h.previous, before_at = null
from register mine left join lateral (
  select r.value, r.previous, m.at, m.id, m.period from meter_reading m
  join reading r on r.meter_reading_id = m.id and r.register = mine.code
  where m.meter_id = mine.meter_id and m.same_as is null and m.id <> %(id)s and m.status = any(%(live)s::text[]) and not r.volume
  order by m.period desc, m.at desc, m.revision desc limit 1) h on true
where g.id = mine.id and mine.meter_id = %(m)s and mine.last_reading_id = %(id)s"""


def take_back(connection: Connection, one: Standing, *, actor: str, reason: str = "") -> bool:
    """Withdraw a reading whose rows are held; its registers stand where they stood before it. False: it may not be withdrawn any more."""
    heir = hand_on(connection, one)
    moved = readings.move(connection, ReadingStatus.WITHDRAWN, [(one.id, reason)], actor=actor)
    if moved and not heir and one.meter_id is not None:
        connection.exec_driver_sql(_RESTORE, {"id": one.id, "m": one.meter_id, "live": array(readings.BELIEVED, "text")})
    return bool(moved)


def judged_again(connection: Connection, row: Row, *, actor: str, reason: str) -> bool:
    """Write what a person let pass: its values as they compare now, its revision and its state. False: somebody else has decided."""
    moved = readings.move(connection, ReadingStatus.ACCEPTED, [(row.id, reason)], actor=actor)
    if not moved:
        return False
    if row.same_as is not None:
        connection.exec_driver_sql("update meter_reading set same_as = %(s)s where id = %(id)s", {"s": row.same_as, "id": row.id})
        return True
    connection.exec_driver_sql(
        "update reading r set value = n.value, previous = n.previous, consumption = n.consumption "
        "from unnest(%(registers)s::text[], %(values)s::numeric[], %(previous)s::numeric[], %(consumption)s::numeric[]) "
        "n(register, value, previous, consumption) where r.meter_reading_id = %(id)s and r.register = n.register",
        {
            "id": row.id,
            "registers": array((value.register.code for value in row.values), "text"),
            "values": array((value.reading.value for value in row.values), "numeric"),
            "previous": array((value.previous for value in row.values), "numeric"),
            "consumption": array((value.consumption for value in row.values), "numeric"),
        },
    )
    if row.status is not ReadingStatus.ACCEPTED:
        readings.move(connection, row.status, [(row.id, "")], actor="metergate")
    connection.exec_driver_sql("update meter_reading set revision = %(r)s where id = %(id)s", {"r": row.revision, "id": row.id})
    return True


def recount(connection: Connection, submission: UUID, *, accepted: int = 0, rejected: int = 0) -> None:
    """Add to a submission's counters what a person has decided, and let its state follow."""
    connection.exec_driver_sql(
        "update submission set accepted = accepted + %(a)s, rejected = rejected + %(r)s where id = %(id)s",
        {"a": accepted, "r": rejected, "id": submission},
    )
    restate(connection, [submission])


def become(connection: Connection, submission: UUID, status: SubmissionStatus, *, actor: str = "metergate", reason: str = "") -> None:
    """Move a submission to a state, and tell it as an event, unless it is there already."""
    connection.exec_driver_sql(
        "with old as (select id, utility_id, status from submission where id = %(id)s and status <> %(to)s for no key update), "
        "moved as (update submission s set status = %(to)s from old where s.id = old.id) "
        "insert into event (utility_id, entity, entity_id, from_state, to_state, actor, reason) "
        "select utility_id, 'submission', id, status, %(to)s, %(actor)s, %(reason)s from old",
        {"id": submission, "to": str(status), "actor": actor, "reason": reason},
    )


def newer_stands(connection: Connection, one: Standing) -> bool:
    """Whether its sender, or another, has handed in the same meter and period anew meanwhile, and that is believed."""
    return bool(
        connection.exec_driver_sql(
            "select exists (select from meter_reading where meter_id = %(m)s and period = %(p)s and intervals = %(n)s and id > %(id)s "
            "and same_as is null and status = any(%(live)s::text[]))",
            {"m": one.meter_id, "p": one.period, "n": one.nature, "id": one.id, "live": array(readings.BELIEVED, "text")},
        ).scalar_one()
    )


def refuse(connection: Connection, utility_id: int, one: Standing, reason: str, *, actor: str) -> None:
    """Write that a person refused a reading, whose row is held, with the reason that its sender is told."""
    readings.move(connection, ReadingStatus.REJECTED, [(one.id, reason)], actor=actor)
    readings.object_to(connection, utility_id, {one.id: Problem(code="refused_by_person", values={"reason": reason})})


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """One reading that waits for a person. `utility`: its code."""

    id: UUID
    submission: UUID
    utility: str
    agreement: str
    meter: str
    period: str
    received_at: datetime


def in_review(
    connection: Connection, utility_id: int | None, agreement_ids: Sequence[int] | None, *, after: UUID | None, limit: int
) -> list[Waiting]:
    """Readings that wait for a person, the oldest first, of these agreements or all; later than the reading `after`. None: everywhere."""
    rows = connection.exec_driver_sql(
        "select m.id, m.submission_id as submission, u.code as utility, m.agreement, m.meter, m.period, s.received_at "
        "from meter_reading m join submission s on s.id = m.submission_id join utility u on u.id = m.utility_id "
        "join meter e on e.id = m.meter_id join usage_point p on p.id = e.usage_point_id "
        "where m.utility_id = coalesce(%(u)s, m.utility_id) and m.status = 'needs_review' "
        "and (%(after)s::uuid is null or m.id > %(after)s) "
        "and (%(ids)s::bigint[] is null or p.agreement_id = any(%(ids)s::bigint[])) order by m.id limit %(n)s",
        {"u": utility_id, "ids": None if agreement_ids is None else list(agreement_ids), "after": after, "n": limit},
    )
    return [Waiting(**dict(row)) for row in rows.mappings()]


def doubts(connection: Connection, waiting: Sequence[Waiting]) -> dict[UUID, list[Problem]]:
    """Why each of these readings waits for a person."""
    found: dict[UUID, list[Problem]] = {one.id: [] for one in waiting}
    rows = connection.exec_driver_sql(
        'select meter_reading_id, code, place, severity, "values" from problem where submission_id = any(%(s)s::uuid[]) '
        "and meter_reading_id = any(%(ids)s::uuid[]) and severity = 'needs_review' order by id",
        {"s": array({one.submission for one in waiting}, "uuid"), "ids": array(found, "uuid")},
    )
    for id_, code, place, severity, values in rows:
        found[id_].append(Problem(code=code, where=place, severity=Severity(severity), values=values))
    return found


def utility_of(connection: Connection, reading: UUID) -> int | None:
    """The utility to which a reading belongs, None when there is no such reading."""
    found = connection.exec_driver_sql("select utility_id from meter_reading where id = %(id)s", {"id": reading}).scalar_one_or_none()
    return None if found is None else int(found)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted reading whose hold is over."""

    id: UUID
    utility_id: int
    meter_id: int
    profile: str
    sender: int
    at: datetime
    revision: int


def over(connection: Connection, *, skew: timedelta, limit: int = 500) -> list[Held]:
    """Accepted readings that their senders can no longer take back, held until the transaction ends."""
    rows = connection.exec_driver_sql(
        "select m.id, m.utility_id, m.meter_id, a.profile, s.credential_id, m.at, m.revision from meter_reading m "
        "join submission s on s.id = m.submission_id join meter e on e.id = m.meter_id join usage_point p on p.id = e.usage_point_id "
        "join agreement a on a.id = p.agreement_id where m.status = 'accepted' and m.same_as is null "
        "and m.hold_until <= clock_timestamp() + %(skew)s order by m.hold_until, m.id limit %(n)s for no key update of m skip locked",
        {"skew": skew, "n": limit},
    )
    return [Held(id=row[0], utility_id=row[1], meter_id=row[2], profile=row[3], sender=row[4], at=row[5], revision=row[6]) for row in rows]
