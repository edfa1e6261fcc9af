"""Meter readings after they were accepted: what is sent of them, and how their states move; those of letters move alike."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from gateway.domain.problems import Problem
from gateway.domain.status import ReadingStatus, sources
from gateway.store.ledger import LETTER, READING
from gateway.store.rows import array


class Sent(msgspec.Struct, frozen=True, gc=False):
    """One register's value as it goes to billing."""

    register: str
    value: Decimal
    previous: Decimal | None
    consumption: Decimal | None
    quality: str
    ratio_applied: bool
    losses_applied: bool
    volume: bool


class Outgoing(msgspec.Struct, gc=False):
    """One meter reading as it goes to billing."""

    id: UUID
    status: ReadingStatus
    agreement: str
    point: str
    meter: str
    period: str
    at: datetime
    revision: int
    values: list[Sent]


_OUTGOING: Final = """
select m.id, m.status, m.agreement, p.code, m.meter, m.period, m.at, m.revision,
  r.register, r.value, r.previous, r.consumption, r.quality, r.ratio_applied, r.losses_applied, r.volume
from meter_reading m join reading r on r.meter_reading_id = m.id join meter on meter.id = m.meter_id
join usage_point p on p.id = meter.usage_point_id
where m.id = any(%(ids)s::uuid[]) order by m.id, r.ordinal"""


def outgoing(connection: Connection, ids: Sequence[UUID]) -> dict[UUID, Outgoing]:
    """What goes to billing of these readings, by id."""
    found: dict[UUID, Outgoing] = {}
    for row in connection.exec_driver_sql(_OUTGOING, {"ids": array(ids, "uuid")}):
        known = found.get(row[0])
        if known is None:
            known = found[row[0]] = Outgoing(row[0], ReadingStatus(row[1]), row[2], row[3], row[4], row[5], row[6], row[7], [])
        known.values.append(Sent(*row[8:]))
    return found


_FORGET: Final = """, "values" = case when %(to)s in ('acknowledged', 'rejected', 'withdrawn')
  then "values" - '{secret,url}'::text[] else "values" end"""
"""A letter that is over keeps no secret: the link it speaks of knows its hash."""

_MOVE: Final = {
    kind: f"""
with o as (select m.id, m.utility_id, m.status, n.reason from {kind} m
  join unnest(%(ids)s::uuid[], %(reasons)s::text[]) n(id, reason) on n.id = m.id
  where m.status = any(%(from)s::text[]) order by m.id for no key update of m),
moved as (update {kind} m set status = %(to)s{more} from o where m.id = o.id)
insert into event (utility_id, entity, entity_id, from_state, to_state, actor, reason)
select utility_id, '{kind}', id, status, %(to)s, %(actor)s, reason from o returning entity_id"""
    for kind, more in ((READING, ""), (LETTER, _FORGET))
}
"""What a delivery carries is kept in the table of that name, and its events name it so."""


def move(connection: Connection, to: ReadingStatus, readings: Sequence[tuple[UUID, str]], *, actor: str, kind: str = READING) -> set[UUID]:
    """Move readings, or letters, each with its reason, to a state along the arrows allowed; one that may not go there stays.

    Returns the moved ones.
    """
    if not readings:
        return set()
    rows = connection.exec_driver_sql(
        _MOVE[kind],
        {
            "ids": array((id_ for id_, _ in readings), "uuid"),
            "reasons": array((reason for _, reason in readings), "text"),
            "from": array(sources(to), "text"),
            "to": str(to),
            "actor": actor,
        },
    )
    return {row.entity_id for row in rows}


def hold(connection: Connection, ids: Iterable[UUID], *, registers: bool, kind: str = READING) -> None:
    """Lock readings or letters, before them the registers of their meters if those are to change: the order of whoever receives them."""
    told = {"ids": array(ids, "uuid")}
    if registers and kind == READING:
        connection.exec_driver_sql(
            "select from register where meter_id in (select meter_id from meter_reading where id = any(%(ids)s::uuid[])) "
            "order by meter_id, id for no key update",
            told,
        )
    connection.exec_driver_sql(f"select from {kind} where id = any(%(ids)s::uuid[]) order by id for no key update", told)


def object_to(connection: Connection, utility_id: int, problems: Mapping[UUID, Problem]) -> None:
    """Write what billing objected to beside each reading, and let registers forget the values it refused, though not for which period."""
    if not problems:
        return
    connection.exec_driver_sql(
        'insert into problem (utility_id, submission_id, meter_reading_id, code, severity, place, "values") '
        "select %(u)s, m.submission_id, m.id, n.code, n.severity, m.place, n.facts from meter_reading m "
        "join unnest(%(ids)s::uuid[], %(codes)s::text[], %(severities)s::text[], %(facts)s::jsonb[]) n(id, code, severity, facts) "
        "on n.id = m.id",
        {
            "u": utility_id,
            "ids": array(problems, "uuid"),
            "codes": array((problem.code for problem in problems.values()), "text"),
            "severities": array((problem.severity for problem in problems.values()), "text"),
            "facts": array((msgspec.json.encode(problem.values).decode() for problem in problems.values()), "jsonb"),
        },
    )
    connection.exec_driver_sql(
        "update register set last = before, last_at = null, last_reading_id = null "
        "where last_reading_id = any(%(ids)s::uuid[]) "
        "and meter_id in (select meter_id from meter_reading where id = any(%(ids)s::uuid[]))",
        {"ids": array(problems, "uuid")},
    )


def before(connection: Connection, meter: int, registers: Iterable[int], period: str, at: datetime) -> dict[int, Decimal | None]:
    """By register id, the last value believed before this period and instant: the only look into history, for readings that come late."""
    rows = connection.exec_driver_sql(
        "select g.id, (select r.value from meter_reading m join reading r on r.meter_reading_id = m.id and r.register = g.code "
        "where m.meter_id = %(m)s and m.same_as is null and (m.period, m.at) < (%(p)s, %(at)s) and m.status = any(%(live)s::text[]) "
        "order by m.period desc, m.at desc, m.revision desc limit 1) as value from register g where g.id = any(%(g)s::bigint[])",
        {"m": meter, "p": period, "at": at, "live": array(BELIEVED, "text"), "g": array(registers, "bigint")},
    )
    return {row.id: row.value for row in rows}


def standing(connection: Connection, ids: Iterable[UUID]) -> dict[UUID, tuple[str, list[str]]]:
    """Those of these readings that are still believed: who read each, and the qualities of its values."""
    rows = connection.exec_driver_sql(
        "select m.id, m.source, array_agg(r.quality) as qualities from meter_reading m join reading r on r.meter_reading_id = m.id "
        "where m.id = any(%(ids)s::uuid[]) and m.status = any(%(live)s::text[]) group by m.id",
        {"ids": array(ids, "uuid"), "live": array(BELIEVED, "text")},
    )
    return {row.id: (row.source, row.qualities) for row in rows}


BELIEVED: Final = tuple(
    status
    for status in ReadingStatus
    if status
    not in (ReadingStatus.DRAFT, ReadingStatus.REJECTED, ReadingStatus.NEEDS_REVIEW, ReadingStatus.WITHDRAWN, ReadingStatus.SUPERSEDED)
)
"""States in which a reading's value stands beside its register."""


def interval_amounts(connection: Connection, meters: Iterable[int], since: str) -> dict[int, dict[tuple[str, str], Decimal]]:
    """What the believed interval values of these meters come to, as counted: by meter, then by period and code, from a period on."""
    rows = connection.exec_driver_sql(
        "select m.meter_id, m.period, r.register, r.consumption from meter_reading m join reading r on r.meter_reading_id = m.id "
        "where m.meter_id = any(%(meters)s::bigint[]) and m.period >= %(since)s and m.intervals and m.same_as is null "
        "and m.status = any(%(live)s::text[]) and r.volume and r.consumption is not null",
        {"meters": array(meters, "bigint"), "since": since, "live": array(BELIEVED, "text")},
    )
    found: dict[int, dict[tuple[str, str], Decimal]] = {}
    for row in rows:
        found.setdefault(row.meter_id, {})[row.period, row.register] = row.consumption
    return found
