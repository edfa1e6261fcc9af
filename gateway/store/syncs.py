"""Fetches of master data: who may fetch now, what is due, how each ended, and how fresh the registry is."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

RETRY: Final = timedelta(minutes=5)
"""After so long a fetch that came to nothing is tried again, if it is not due sooner."""
GOOD: Final = ("applied", "partly", "unchanged")
"""Outcomes after which the registry is as billing has it, but for agreements that were left."""
_FINAL: Final = (*GOOD, "stopped", "refused")
"""Outcomes after which another try would see the same."""


class Sync(msgspec.Struct, frozen=True, kw_only=True):
    """One fetch. `outcome`: empty while it runs; `told`: its counts and problems as JSON has them."""

    utility: str
    name: str
    profile: str
    started_at: datetime
    finished_at: datetime | None
    outcome: str
    told: dict[str, Any]


def lock(connection: Connection, utility: str, name: str) -> int | None:
    """Make sure that nobody else asks this target until the transaction ends; the utility's id.

    None when somebody does, or no utility has this code. The transaction waits for the other end, however long.
    """
    connection.exec_driver_sql("set local idle_in_transaction_session_timeout = 0")
    found = connection.exec_driver_sql(
        "select id from utility where code = %(code)s "
        "and pg_try_advisory_xact_lock(hashtextextended('sync ' || code || ' ' || %(name)s, 0))",
        {"code": utility, "name": name},
    ).scalar_one_or_none()
    return None if found is None else int(found)


def begin(connection: Connection, utility_id: int, name: str, every: timedelta | None, *, skew: timedelta) -> int | None:
    """Write down that a fetch begins and return its id, under its `lock`; None when the next one is not due. Without `every` it is due now.

    A fetch that was begun and never ended has died.
    """
    told = {"u": utility_id, "name": name, "skew": skew, "every": every, "retry": None if every is None else min(every, RETRY)}
    due = connection.exec_driver_sql(
        "select coalesce((select started_at + case when outcome = any(%(final)s) then %(every)s::interval else %(retry)s::interval end "
        "<= clock_timestamp() + %(skew)s from sync where utility_id = %(u)s and name = %(name)s order by id desc limit 1), true)",
        told | {"final": list(_FINAL)},
    ).scalar_one()
    if not due:
        return None
    connection.exec_driver_sql(
        "update sync set outcome = 'died', finished_at = clock_timestamp() + %(skew)s "
        "where utility_id = %(u)s and name = %(name)s and finished_at is null",
        told,
    )
    begun = connection.exec_driver_sql(
        "insert into sync (utility_id, name, started_at) values (%(u)s, %(name)s, clock_timestamp() + %(skew)s) returning id", told
    )
    return int(begun.scalar_one())


def finish(connection: Connection, id_: int, profile: str, outcome: str, told: bytes, *, skew: timedelta) -> None:
    """Write down how a fetch ended; what was written first stays."""
    connection.exec_driver_sql(
        "update sync set finished_at = clock_timestamp() + %(skew)s, profile = %(profile)s, outcome = %(outcome)s, told = %(told)s::jsonb "
        "where id = %(id)s and finished_at is null",
        {"id": id_, "profile": profile, "outcome": outcome, "told": told.decode(), "skew": skew},
    )


_SYNC: Final = """
select u.code as utility, s.name, s.profile, s.started_at, s.finished_at, coalesce(s.outcome, '') as outcome, s.told
from sync s join utility u on u.id = s.utility_id where %(code)s in ('', u.code)"""


def latest(connection: Connection, utility: str, limit: int) -> list[Sync]:
    """The last fetches, the newest first, of one utility or of all."""
    rows = connection.exec_driver_sql(f"{_SYNC} order by s.id desc limit %(limit)s", {"code": utility, "limit": limit})
    return [Sync(**row) for row in rows.mappings()]


def last_of(connection: Connection, utility: str, name: str) -> tuple[Sync | None, datetime | None]:
    """A target's last fetch, and when its last good one was done."""
    told = {"code": utility, "name": name, "good": list(GOOD)}
    row = connection.exec_driver_sql(f"{_SYNC} and s.name = %(name)s order by s.id desc limit 1", told).mappings().one_or_none()
    good = connection.exec_driver_sql(
        "select max(s.finished_at) as at from sync s join utility u on u.id = s.utility_id "
        "where u.code = %(code)s and s.name = %(name)s and s.outcome = any(%(good)s)",
        told,
    ).one()
    return None if row is None else Sync(**row), good.at


def synced_at(connection: Connection, utility_id: int, profiles: Iterable[str]) -> datetime | None:
    """When the registry of these profiles was last as billing has it, of the profile for which that is longest ago; None when never."""
    found = connection.exec_driver_sql(
        "select min(s.finished_at) from unnest(%(profiles)s::text[]) p cross join lateral (select finished_at from sync "
        "where utility_id = %(u)s and profile = p and outcome in ('applied', 'partly', 'unchanged') order by id desc limit 1) s",
        {"u": utility_id, "profiles": list(profiles)},
    ).scalar_one()
    return found if isinstance(found, datetime) else None
