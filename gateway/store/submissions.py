"""Submissions as they are found again: by fingerprint, by key, by id; with their rows, problems and timeline."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from gateway.store import deltas
from gateway.store.deltas import Delta
from gateway.store.rows import array


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """One thing received, with the counts of its rows."""

    id: UUID
    credential_id: int
    sha256: bytes
    channel: str
    format: str
    file_name: str
    envelope: dict[str, Any]
    status: str
    total: int
    accepted: int
    in_review: int
    rejected: int
    received_at: datetime


class FoundValue(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One register's value of a row."""

    register: str
    value: Decimal
    previous: Decimal | None
    consumption: Decimal | None
    where: str
    volume: bool = False


class FoundProblem(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One problem of a submission or of one of its rows."""

    code: str
    severity: str
    where: str
    values: dict[str, str]


class FoundRow(msgspec.Struct, kw_only=True, gc=False):
    """One meter reading of a submission as it stands now. `next_attempt_at` while it waits for billing."""

    id: UUID
    ordinal: int
    meter: str
    agreement: str
    profile: str
    period: str
    at: datetime | None
    revision: int
    status: str
    where: str
    source: str = ""
    hold_until: datetime | None = None
    same_as: UUID | None = None
    next_attempt_at: datetime | None = None
    tries: int = 0
    values: list[FoundValue] = []
    problems: list[FoundProblem] = []
    deltas: list[Delta] = []


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a timeline."""

    at: datetime
    entity: str
    entity_id: UUID
    from_state: str
    to_state: str
    actor: str
    reason: str


_FIELDS: Final = ", ".join(f"s.{name}" for name in Submission.__struct_fields__)


def one(connection: Connection, utility_id: int, id_: UUID, credential_id: int | None = None, login: str = "") -> Submission | None:
    """A submission of the utility by its id, None when it is absent or another's; with `credential_id` only that sender's.

    `login`: only one that came for that portal's user.
    """
    row = connection.exec_driver_sql(
        f"select {_FIELDS} from submission s where s.utility_id = %(u)s and s.id = %(id)s "
        "and (%(c)s::bigint is null or s.credential_id = %(c)s) and (%(login)s = '' or s.envelope->>'login' = %(login)s)",
        {"u": utility_id, "id": id_, "c": credential_id, "login": login},
    ).one_or_none()
    return None if row is None else _submission(row)


def body(connection: Connection, utility_id: int, id_: UUID) -> bytes | None:
    """The very bytes of a submission of the utility, None when it is absent or another's."""
    found = connection.exec_driver_sql(
        "select c.body from submission s join claim c on c.utility_id = s.utility_id and c.sha256 = s.sha256 "
        "where s.utility_id = %(u)s and s.id = %(id)s",
        {"u": utility_id, "id": id_},
    ).scalar_one_or_none()
    return None if found is None else bytes(found)


def newest(
    connection: Connection,
    utility_id: int,
    *,
    credential_id: int | None,
    login: str = "",
    status: str = "",
    before: UUID | None = None,
    limit: int = 50,
) -> list[Submission]:
    """Submissions, newest first: of one sender or all, for one login or all, of one status or all, older than the id `before`."""
    theirs = "and s.envelope->>'login' <> '' and s.envelope->>'login' = %(l)s" if login else ""  # the first is the index's condition
    rows = connection.exec_driver_sql(
        f"select {_FIELDS} from submission s where s.utility_id = %(u)s and (%(c)s::bigint is null or s.credential_id = %(c)s) "
        f"{theirs} and (%(s)s = '' or s.status = %(s)s) and (%(b)s::uuid is null or s.id < %(b)s) order by s.id desc limit %(n)s",
        {"u": utility_id, "c": credential_id, "l": login, "s": status, "b": before, "n": limit},
    )
    return [_submission(row) for row in rows]


def met(
    connection: Connection, utility_id: int, credentials: Iterable[int], fingerprints: Iterable[bytes]
) -> tuple[set[int], dict[bytes, UUID]]:
    """Which of these credentials may still be used, and which submissions have these fingerprints (same sender, bytes and envelope).

    A removed right takes effect at the next request; a submission rejected whole is not in the way of a new try.
    """
    row = connection.exec_driver_sql(
        "select (select array_agg(id) from credential where id = any(%(c)s) and revoked_at is null "
        "and (expires_at is null or expires_at > clock_timestamp())) as valid, "
        "(select json_object_agg(encode(fingerprint, 'hex'), id) from submission where utility_id = %(u)s and fingerprint = any(%(f)s) "
        "and status not in ('rejected', 'withdrawn', 'superseded')) as known",
        {"c": list(credentials), "u": utility_id, "f": list(fingerprints)},
    ).one()
    return set(row.valid or ()), {bytes.fromhex(fingerprint): UUID(id_) for fingerprint, id_ in (row.known or {}).items()}


def answers(connection: Connection, utility_id: int, keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], tuple[bytes, bytes]]:
    """What was answered under these (credential, idempotency key) pairs: fingerprint and the very bytes.

    The pairs are held until the transaction ends: a twin that comes at the same moment, to whichever process, waits and finds the answer.
    """
    pairs = list(keys)
    connection.exec_driver_sql(
        "select pg_advisory_xact_lock(h) from (select distinct hashtextextended(k, c) as h "
        "from unnest(%(c)s::bigint[], %(k)s::text[]) t(c, k) order by h) held",
        {"c": [c for c, _ in pairs], "k": [k for _, k in pairs]},
    )
    rows = connection.exec_driver_sql(
        "select credential_id, key, fingerprint, answer from idempotency where utility_id = %(u)s "
        "and (credential_id, key) in (select * from unnest(%(c)s::bigint[], %(k)s::text[]))",
        {"u": utility_id, "c": [c for c, _ in pairs], "k": [k for _, k in pairs]},
    )
    return {(row.credential_id, row.key): (bytes(row.fingerprint), bytes(row.answer)) for row in rows}


def remember(
    connection: Connection, utility_id: int, credential_id: int, key: str, fingerprint: bytes, submission: UUID, answer: bytes
) -> bool:
    """Keep an answer under its idempotency key: the same key gets the same bytes. False: another process used the key just now."""
    kept = connection.exec_driver_sql(
        "insert into idempotency (utility_id, credential_id, key, fingerprint, submission_id, answer) "
        "values (%(u)s, %(c)s, %(k)s, %(f)s, %(s)s, %(a)s) on conflict do nothing",
        {"u": utility_id, "c": credential_id, "k": key, "f": fingerprint, "s": submission, "a": answer},
    )
    return kept.rowcount == 1


_ROWS: Final = """
select m.id, m.ordinal, m.meter, m.agreement, m.period, m.at, m.revision, m.place, m.same_as, m.source, m.hold_until,
  l.due, coalesce(d.tries, 0) as tries,
  case when s.status = 'queued' and (d.tries > 0 or b.phase = 1) then 'sent' else s.status end as status,
  coalesce(a.profile, '') as profile
from meter_reading m join meter_reading s on s.id = coalesce(m.same_as, m.id)
left join delivery d on d.subject_id = s.id
left join lane l on l.target_id = d.target_id and l.lane_id = d.lane_id
left join batch b on b.id = l.batch_id and d.id = any(b.items)
left join meter e on e.id = m.meter_id left join usage_point p on p.id = e.usage_point_id left join agreement a on a.id = p.agreement_id
where m.submission_id = %(id)s order by m.ordinal"""


def rows(connection: Connection, submission: UUID) -> list[FoundRow]:
    """Every row of a submission as it stands now, with its values and problems. `sent` is told from the ledger, not kept twice."""
    found = {
        row.id: FoundRow(
            id=row.id,
            ordinal=row.ordinal,
            meter=row.meter,
            agreement=row.agreement,
            profile=row.profile,
            period=row.period,
            at=row.at,
            revision=row.revision,
            status=row.status,
            where=row.place,
            source=row.source,
            hold_until=row.hold_until if row.status == "accepted" else None,
            same_as=row.same_as,
            next_attempt_at=row.due if row.status in ("queued", "sent") else None,
            tries=row.tries,
            values=[],
            problems=[],
            deltas=[],
        )
        for row in connection.exec_driver_sql(_ROWS, {"id": submission})
    }
    values = connection.exec_driver_sql(
        "select meter_reading_id, register, value, previous, consumption, place, volume from reading "
        "where meter_reading_id = any(%(ids)s::uuid[]) order by meter_reading_id, ordinal",
        {"ids": array(found, "uuid")},
    )
    for id_, register, value, previous, consumption, place, volume in values:
        known = FoundValue(register=register, value=value, previous=previous, consumption=consumption, where=place, volume=volume)
        found[id_].values.append(known)
    for id_, problem in problems(connection, submission):
        if id_ is not None:
            found[id_].problems.append(problem)
    for id_, delta in deltas.of_submission(connection, submission):
        found[id_].deltas.append(delta)
    return list(found.values())


def problems(connection: Connection, submission: UUID) -> list[tuple[UUID | None, FoundProblem]]:
    """Every problem of a submission, in the order found, with the reading it belongs to (None: the whole thing)."""
    found = connection.exec_driver_sql(
        'select meter_reading_id, code, severity, place, "values" from problem where submission_id = %(id)s order by id', {"id": submission}
    )
    return [(row[0], FoundProblem(code=row[1], severity=row[2], where=row[3], values=row[4])) for row in found]


def timeline(connection: Connection, submission: UUID) -> list[Happening]:
    """What happened to a submission and its readings, in order: the events, and each call to billing that carried one of its readings."""
    found = connection.exec_driver_sql(
        "with mine as (select id from meter_reading where submission_id = %(id)s), "
        "carried as (select d.id, d.subject_id, a.batch_id from attempt a join (select id, subject_id from delivery union all "
        "select id, subject_id from delivery_closed) d on d.id = a.delivery_id where d.subject_id in (select id from mine) "
        "union select id, subject_id, batch_id from delivery_closed where subject_id in (select id from mine) and batch_id is not null) "
        "select at, entity, entity_id, case when from_state = 'queued' and to_state = any(%(answers)s) then 'sent' else from_state end "
        "as from_state, to_state, actor, reason from event "
        "where entity_id = %(id)s or entity_id in (select id from mine) "
        "union all select b.sent_at, 'meter_reading', c.subject_id, 'queued', 'sent', 'metergate', '' from carried c "
        "join batch b on b.id = c.batch_id where b.sent_at is not null and c.id = any(b.items) order by at, entity desc, entity_id",
        {"id": submission, "answers": [*ANSWERED]},
    )
    names = Happening.__struct_fields__
    return [Happening(**dict(zip(names, row, strict=True))) for row in found]


ANSWERED: Final = ("acknowledged", "rejected", "in_doubt")
"""States that only something sent comes to from `queued`: `sent` itself is told by the ledger and not written beside the reading."""


class Held(msgspec.Struct, frozen=True):
    """A submission that a worker holds to translate it. `takes`: how often it was held, this time included."""

    submission: Submission
    utility_id: int
    body: bytes
    takes: int


def take_received(connection: Connection, *, worker: str, lease: timedelta, skew: timedelta) -> Held | None:
    """Hold the oldest submission that waits to be translated."""
    row = connection.exec_driver_sql(
        "update submission s set taken_by = %(w)s, taken_until = clock_timestamp() + %(skew)s + %(lease)s, takes = takes + 1 "
        "where id = (select id from submission where status = 'received' "
        "and coalesce(taken_until, '-infinity') < clock_timestamp() + %(skew)s "
        f"order by received_at limit 1 for no key update skip locked) returning {_FIELDS}, s.utility_id, s.takes, "
        "(select body from claim c where c.utility_id = s.utility_id and c.sha256 = s.sha256) as body",
        {"w": worker, "lease": lease, "skew": skew},
    ).one_or_none()
    return None if row is None else Held(_submission(row), row.utility_id, bytes(row.body), row.takes)


def _submission(row: Any) -> Submission:
    fields = {name: getattr(row, name) for name in Submission.__struct_fields__}
    return Submission(**(fields | {"sha256": bytes(fields["sha256"])}))
