"""Who wants to be reminded of what: links with a switch on, in pages."""

from collections.abc import Collection
from typing import Final

import msgspec
from sqlalchemy import Connection

from gateway.domain.reminders import Switches
from gateway.store.rows import array


class Reader(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A person to whom an agreement is linked, and what he wants to be reminded of.

    `services`: what the points of the agreement measure; `window_day`: the day that the agreement or its party has for itself.
    """

    link: int
    agreement_id: int
    agreement: str
    profile: str
    recipient: str
    switches: Switches
    window_day: int | None
    services: tuple[str, ...]


class Asked(msgspec.Struct, frozen=True):
    """A utility in which somebody wants to be reminded, with its name for people."""

    id: int
    code: str
    title: str


_WANTS: Final = "k.state = 'linked' and k.email <> '' and (k.remind_start is not null or k.remind_end is not null)"

_READERS: Final = f"""
select k.id, a.id, a.number, a.profile, k.email, k.remind_start, k.remind_end, coalesce(a.window_day, c.window_day),
  array(select distinct p.service from usage_point p where p.utility_id = a.utility_id and p.agreement_id = a.id order by 1)
from link k join agreement a on a.id = k.agreement_id left join party c on c.id = a.party_id
where k.utility_id = %(u)s and a.profile = %(profile)s and {_WANTS} and k.id > %(after)s order by k.id limit %(limit)s"""


def utilities(connection: Connection, code: str = "") -> list[Asked]:
    """The utilities in which somebody wants to be reminded, or that one alone."""
    rows = connection.exec_driver_sql(
        f"select u.id, u.code, coalesce(nullif(u.title, ''), u.code) from utility u where (%(code)s = '' or u.code = %(code)s) "
        f"and exists (select from link k where k.utility_id = u.id and {_WANTS}) order by u.id",
        {"code": code},
    )
    return [Asked(*row) for row in rows]


def readers(connection: Connection, utility_id: int, profile: str, *, after: int, limit: int) -> list[Reader]:
    """The next page of those who want to be reminded in agreements of a profile, after the link of that id."""
    told = {"u": utility_id, "profile": profile, "after": after, "limit": limit}
    return [
        Reader(
            link=row[0],
            agreement_id=row[1],
            agreement=row[2],
            profile=row[3],
            recipient=row[4],
            switches=Switches(row[5], row[6]),
            window_day=row[7],
            services=tuple(row[8]),
        )
        for row in connection.exec_driver_sql(_READERS, told)
    ]


def written(connection: Connection, utility_id: int, occasions: Collection[str]) -> set[tuple[str, str, str]]:
    """The reminders about these occasions that were written already: kind, recipient, occasion."""
    rows = connection.exec_driver_sql(
        "select kind, recipient, occasion from letter where utility_id = %(u)s and kind like 'remind%%' "
        "and occasion = any(%(occasions)s::text[])",
        {"u": utility_id, "occasions": array(occasions, "text")},
    )
    return {(row.kind, row.recipient, row.occasion) for row in rows}
