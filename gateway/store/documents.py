"""Documents of a utility with their versions, and whom a profile judges: agreements, their own days, readings of open periods."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from gateway.domain.problems import Misconfigured
from gateway.domain.sources import Source
from gateway.domain.status import ReadingStatus
from gateway.store.readings import BELIEVED
from gateway.store.rows import array


class Version(msgspec.Struct, frozen=True):
    """One version of a document as it was written, byte for byte."""

    kind: str
    name: str
    version: int
    body: bytes
    author: str
    created_at: datetime


class Reach(msgspec.Struct, frozen=True):
    """How many agreements a profile judges, and how many meters hang at their points."""

    agreements: int = 0
    meters: int = 0


class Group(msgspec.Struct, frozen=True):
    """Agreements whose window is the same one. `service`: empty for all that have no window of their own; `day`: the agreements' own."""

    service: str
    day: int | None
    agreements: int


class Weighed(msgspec.Struct, frozen=True, gc=False):
    """One value of a reading that was judged, with what it was compared with."""

    register: str
    value: Decimal
    previous: Decimal | None
    ratio_applied: bool
    losses_applied: bool


class Stood(msgspec.Struct, gc=False):
    """A reading that was judged and stands: what it said, when it came and how it was judged."""

    id: UUID
    meter_id: int
    period: str
    at: datetime
    status: ReadingStatus
    received_at: datetime
    format: str
    source: Source
    values: list[Weighed]


_ROWS: Final = "select kind, name, version, body, author, created_at from document where utility_id = %(u)s "


def hold(connection: Connection, utility_id: int) -> None:
    """Let nobody else write documents of this utility until the transaction ends."""
    connection.exec_driver_sql("select from utility where id = %(u)s for no key update", {"u": utility_id})


def newest(connection: Connection, utility_id: int) -> dict[tuple[str, str], Version]:
    """Every document of a utility in its newest version, by kind and name."""
    rows = connection.exec_driver_sql(
        _ROWS.replace("select", "select distinct on (kind, name)", 1) + "order by kind, name, version desc", {"u": utility_id}
    )
    return {(one.kind, one.name): one for one in _versions(rows)}


def of_kind(connection: Connection, utility_id: int, kind: str) -> list[Version]:
    """The documents of a kind in their newest version, in the order of their names."""
    rows = connection.exec_driver_sql(
        _ROWS.replace("select", "select distinct on (name)", 1) + "and kind = %(k)s order by name, version desc",
        {"u": utility_id, "k": kind},
    )
    return list(_versions(rows))


def versions(connection: Connection, utility_id: int, kind: str, name: str) -> list[Version]:
    """Every version of a document, newest first. Raises Misconfigured when there is none."""
    rows = connection.exec_driver_sql(
        _ROWS + "and kind = %(k)s and name = %(n)s order by version desc", {"u": utility_id, "k": kind, "n": name}
    )
    if not (found := list(_versions(rows))):
        raise Misconfigured(f"the utility has no {kind} {name!r}")
    return found


def _versions(rows: Iterable[Any]) -> Iterator[Version]:
    return (Version(row.kind, row.name, row.version, bytes(row.body), row.author, row.created_at) for row in rows)


def known(connection: Connection, code: str) -> int | None:
    """The id of the utility of that code, None when there is none."""
    found = connection.exec_driver_sql("select id from utility where code = %(c)s", {"c": code}).scalar_one_or_none()
    return None if found is None else int(found)


def utility(connection: Connection, code: str) -> int:
    """The id of the utility of that code. Raises Misconfigured when there is none."""
    if (found := known(connection, code)) is None:
        raise Misconfigured(f"there is no utility {code!r}")
    return found


def reach(connection: Connection, utility_id: int) -> dict[str, Reach]:
    """Whom each profile judges, by its name: agreements that are not closed, and the meters that hang at their points."""
    rows = connection.exec_driver_sql(
        "select a.profile, count(distinct a.id) as agreements, count(m.id) as meters from agreement a "
        "left join usage_point p on p.agreement_id = a.id left join meter m on m.usage_point_id = p.id and m.removed_on is null "
        "where a.utility_id = %(u)s and a.closed_on is null group by a.profile",
        {"u": utility_id},
    )
    return {row.profile: Reach(row.agreements, row.meters) for row in rows}


def groups(connection: Connection, utility_id: int, profile: str, services: Collection[str]) -> list[Group]:
    """The agreements of a profile by the window that is theirs. `services`: those that have a window of their own."""
    rows = connection.exec_driver_sql(
        "select case when p.service = any(%(s)s::text[]) then p.service else '' end, coalesce(a.window_day, c.window_day), "
        "count(distinct a.id) from agreement a join usage_point p on p.agreement_id = a.id left join party c on c.id = a.party_id "
        "where a.utility_id = %(u)s and a.profile = %(p)s and a.closed_on is null group by 1, 2 order by 1, 2",
        {"u": utility_id, "p": profile, "s": array(services, "text")},
    )
    return [Group(*row) for row in rows]


_JUDGED: Final = """
with o as (select m.id, m.meter_id, m.period, m.at, m.status, s.received_at, s.format, m.source
  from agreement a join usage_point p on p.agreement_id = a.id join meter e on e.usage_point_id = p.id
  join meter_reading m on m.meter_id = e.id and m.period = any(%(periods)s::text[]) join submission s on s.id = m.submission_id
  where a.utility_id = %(u)s and a.profile = %(p)s and m.same_as is null and not m.intervals and m.at is not null
    and m.status = any(%(states)s::text[]) limit %(limit)s)
select o.id, o.meter_id, o.period, o.at, o.status, o.received_at, o.format, o.source,
  r.register, r.value, r.previous, r.ratio_applied, r.losses_applied
from o join reading r on r.meter_reading_id = o.id where not r.volume order by o.id, r.ordinal"""


def judged(connection: Connection, utility_id: int, profile: str, periods: Collection[str], limit: int) -> list[Stood]:
    """Readings of dials of these periods that a profile let pass or held back, at most `limit`, whichever come first."""
    rows = connection.exec_driver_sql(
        _JUDGED,
        {
            "u": utility_id,
            "p": profile,
            "periods": array(periods, "text"),
            "states": array((*BELIEVED, ReadingStatus.NEEDS_REVIEW), "text"),
            "limit": limit,
        },
    )
    found: dict[UUID, Stood] = {}
    for id_, meter, period, at, status, received_at, format_, source, *value in rows:
        stood = found.get(id_)
        if stood is None:
            stood = found[id_] = Stood(id_, meter, period, at, ReadingStatus(status), received_at, format_, source, [])
        stood.values.append(Weighed(*value))
    return list(found.values())
