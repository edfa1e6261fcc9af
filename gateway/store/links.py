"""Links of a portal's users to agreements: asked for, waiting for confirmation, linked, ended or refused. A row is one asking."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import Connection

from gateway.domain.linking import WANTED, Holder
from gateway.domain.supply import key
from gateway.store.people import Sender
from gateway.store.rows import array

HOUR: Final = timedelta(hours=1)
"""The time in which askings are counted."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A live link, or what has just become of one. `party`, `signed_on`: of linked agreements alone. `actor`: who took the last step."""

    id: int
    login: str
    email: str
    agreement_id: int
    agreement: str
    profile: str
    party: str
    signed_on: date | None
    state: str
    method: str
    asked_at: datetime
    expires_at: datetime | None
    linked_at: datetime | None
    ended_at: datetime | None
    remind_start: int | None
    remind_end: int | None
    actor: str


_FIELDS: Final = """l.id, l.login, l.email, l.agreement_id, a.number as agreement, a.profile, l.state, l.method, l.asked_at, l.expires_at,
l.linked_at, l.ended_at, l.remind_start, l.remind_end, l.actor,
case when l.state = 'linked' then coalesce(c.name, '') else '' end as party,
case when l.state = 'linked' then a.signed_on end as signed_on"""
_WHOSE: Final = "join agreement a on a.id = l.agreement_id left join party c on c.id = a.party_id"
_SEEN: Final = "l.utility_id = %(u)s and (%(ids)s::bigint[] is null or l.agreement_id = any(%(ids)s::bigint[]))"
LIVE: Final = "(l.state = 'linked' or (l.state = 'waiting' and l.expires_at > %(now)s))"
"""A link whose time of waiting is over has ended, whether or not somebody has come by to write so."""


def within(sender: Sender) -> dict[str, object]:
    """What a sender may see, as parameters."""
    return {"u": sender.utility_id, "ids": None if sender.agreement_ids is None else array(sender.agreement_ids, "bigint")}


def alone(connection: Connection, utility_id: int, names: Iterable[str]) -> None:
    """Wait until no other transaction that named one of these is under way: what is counted next stays true until the commit."""
    connection.exec_driver_sql(
        "select pg_advisory_xact_lock(h) from (select distinct hashtextextended(name, %(u)s) as h "
        "from unnest(%(names)s::text[]) name order by h) held",
        {"u": utility_id, "names": array((f"link {name}" for name in names), "text")},
    )


def spent(connection: Connection, utility_id: int, column: str, value: str, most: int, since: datetime) -> datetime | None:
    """When the oldest of the `most` newest askings since then was, None when there were fewer. `column`: `login` or `asked`."""
    found: datetime | None = connection.exec_driver_sql(
        f"select asked_at from link where utility_id = %(u)s and {column} = %(v)s and asked_at > %(since)s and method = any(%(ways)s) "
        "order by asked_at desc offset %(skip)s limit 1",
        {"u": utility_id, "v": value, "since": since, "ways": [*WANTED], "skip": most - 1},
    ).scalar_one_or_none()
    return found


def holder(connection: Connection, sender: Sender, number: str, profiles: Sequence[str], today: date) -> Holder | None:
    """What is known of an agreement that is open today, within what the sender may see and by one of these profiles."""
    row = connection.exec_driver_sql(
        "select a.id, a.number, a.profile, coalesce(c.name, '') as name, coalesce(c.tax_number, '') as tax_number, "
        "a.emails || coalesce(c.emails, '{}') as emails from agreement a left join party c on c.id = a.party_id "
        "where a.utility_id = %(u)s and a.key = %(key)s and a.profile = any(%(profiles)s) "
        "and (a.closed_on is null or a.closed_on >= %(today)s) and (%(ids)s::bigint[] is null or a.id = any(%(ids)s::bigint[]))",
        within(sender) | {"key": key(number), "profiles": list(profiles), "today": today},
    ).one_or_none()
    if row is None:
        return None
    return Holder(
        agreement_id=row.id, number=row.number, profile=row.profile, name=row.name, tax_number=row.tax_number, emails=tuple(row.emails)
    )


def accounts(connection: Connection, utility_id: int, email: str, besides: int, now: datetime) -> int:
    """How many agreements besides one are linked or waiting under an e-mail."""
    return int(
        connection.exec_driver_sql(
            "select count(distinct l.agreement_id) from link l where l.utility_id = %(u)s and l.email = %(email)s "
            f"and l.agreement_id <> %(besides)s and l.state in ('waiting', 'linked') and {LIVE}",
            {"u": utility_id, "email": email, "besides": besides, "now": now},
        ).scalar_one()
    )


def live(
    connection: Connection, sender: Sender, login: str, now: datetime, agreement_id: int | None = None, *, hold: bool = False
) -> list[Link]:
    """The live links of a login, of one agreement or all, by the number of their agreement; `hold` keeps others from changing them."""
    rows = connection.exec_driver_sql(
        f"select {_FIELDS} from link l {_WHOSE} where {_SEEN} and l.login = %(login)s and l.state in ('waiting', 'linked') and {LIVE} "
        "and (%(agreement)s::bigint is null or l.agreement_id = %(agreement)s) order by a.number, l.id" + " for update of l" * hold,
        within(sender) | {"login": login, "now": now, "agreement": agreement_id},
    )
    return [Link(**row) for row in rows.mappings()]


def add(
    connection: Connection,
    utility_id: int,
    *,
    login: str,
    email: str,
    asked: str,
    method: str,
    state: str,
    actor: str,
    now: datetime,
    agreement_id: int | None = None,
    secret_hash: bytes | None = None,
    expires_at: datetime | None = None,
) -> int:
    """Write an asking down, `asked` being the folded number; a waiting link of the same login and agreement ends. The new row's id."""
    connection.exec_driver_sql(
        "update link set state = 'ended', ended_at = least(expires_at, %(now)s) where utility_id = %(u)s and login = %(login)s "
        "and agreement_id = %(agreement)s and state = 'waiting'",
        {"u": utility_id, "login": login, "agreement": agreement_id, "now": now},
    )
    return int(
        connection.exec_driver_sql(
            "insert into link (utility_id, login, email, agreement_id, state, method, secret_hash, asked_at, expires_at, linked_at, actor, "
            "asked) values (%(u)s, %(login)s, %(email)s, %(agreement)s, %(state)s, %(method)s, %(hash)s, %(now)s, %(expires)s, "
            "case when %(state)s = 'linked' then %(now)s::timestamptz end, %(actor)s, %(asked)s) returning id",
            {
                "u": utility_id,
                "login": login,
                "email": email,
                "agreement": agreement_id,
                "state": state,
                "method": method,
                "hash": secret_hash,
                "now": now,
                "expires": expires_at,
                "actor": actor,
                "asked": asked,
            },
        ).scalar_one()
    )


def confirm(connection: Connection, sender: Sender, secret_hash: bytes, now: datetime) -> Link | None:
    """Link what waits under a secret; told once more it is the link as it stands. None: no such secret, or its time is over."""
    told = within(sender) | {"hash": secret_hash, "now": now, "actor": sender.principal}
    connection.exec_driver_sql(
        "update link l set state = 'linked', linked_at = %(now)s, actor = %(actor)s "
        f"where {_SEEN} and l.secret_hash = %(hash)s and l.state = 'waiting' and l.expires_at > %(now)s",
        told,
    )
    return _one(connection, "l.secret_hash = %(hash)s and l.state = 'linked'", told)


def end(connection: Connection, sender: Sender, id_: int, now: datetime, login: str | None = None) -> Link | None:
    """End a live link, of this login where one is named. None when there is none of that id."""
    told = within(sender) | {"id": id_, "login": login, "now": now, "actor": sender.principal}
    ended = connection.exec_driver_sql(
        "update link l set state = 'ended', ended_at = %(now)s, actor = %(actor)s "
        f"where {_SEEN} and l.id = %(id)s and {LIVE} and (%(login)s::text is null or l.login = %(login)s)",
        told,
    )
    return _one(connection, "l.id = %(id)s", told) if ended.rowcount else None


def remind(
    connection: Connection, sender: Sender, id_: int, login: str, now: datetime, *, start: int | None, before_end: int | None
) -> Link | None:
    """Set how many days before its window opens and closes a login is reminded, None for not at all. None when there is no such link."""
    told = within(sender) | {"id": id_, "login": login, "now": now, "start": start, "end": before_end}
    kept = connection.exec_driver_sql(
        "update link l set remind_start = %(start)s, remind_end = %(end)s "
        f"where {_SEEN} and l.id = %(id)s and {LIVE} and l.login = %(login)s",
        told,
    )
    return _one(connection, "l.id = %(id)s", told) if kept.rowcount else None


def agreements_of(connection: Connection, sender: Sender, *, agreement: str = "", party: str = "") -> dict[int, str]:
    """The profiles of agreements by id: of one number, or all open ones of a party told by its code, ЕДРПОУ or tax number (F-027)."""
    rows = connection.exec_driver_sql(
        "select a.id, a.profile from agreement a left join party c on c.id = a.party_id where a.utility_id = %(u)s "
        "and (%(ids)s::bigint[] is null or a.id = any(%(ids)s::bigint[])) and case when %(number)s <> '' then a.key = %(number)s "
        "else a.closed_on is null and (c.key = %(code)s or c.tax_number = %(party)s) end order by a.number, a.id",
        within(sender)
        | {"number": key(agreement) if agreement.strip() else "", "code": key(party) if party.strip() else "", "party": party.strip()},
    )
    return {row.id: row.profile for row in rows}


def bind(connection: Connection, sender: Sender, *, login: str, email: str, methods: dict[int, str], now: datetime) -> list[Link]:
    """Link agreements, each by its method, to a login at once; a live link keeps its row and takes the e-mail told."""
    connection.exec_driver_sql(
        "insert into link (utility_id, login, email, agreement_id, state, method, asked_at, linked_at, actor) "
        "select %(u)s, %(login)s, %(email)s, id, 'linked', way, %(now)s, %(now)s, %(actor)s "
        "from unnest(%(agreements)s::bigint[], %(ways)s::text[]) t(id, way) order by id "
        "on conflict (utility_id, login, agreement_id) where state in ('waiting', 'linked') do update set state = 'linked', "
        "method = case when link.state = 'linked' then link.method else excluded.method end, "
        "email = case when excluded.email = '' then link.email else excluded.email end, "
        "linked_at = coalesce(link.linked_at, excluded.linked_at), actor = excluded.actor, secret_hash = null, expires_at = null",
        {
            "u": sender.utility_id,
            "login": login,
            "email": email,
            "now": now,
            "actor": sender.principal,
            "agreements": array(methods, "bigint"),
            "ways": array(methods.values(), "text"),
        },
    )
    return [link for link in live(connection, sender, login, now) if link.agreement_id in methods]


def narrowed(connection: Connection, sender: Sender, login: str) -> Sender:
    """A sender who acts for a login: no more than the agreements linked to it; unchanged when `login` is empty."""
    if not login:
        return sender
    rows = connection.exec_driver_sql(
        f"select l.agreement_id from link l where {_SEEN} and l.login = %(login)s and l.state = 'linked' order by 1",
        within(sender) | {"login": login},
    )
    return msgspec.structs.replace(sender, agreement_ids=tuple(row.agreement_id for row in rows), login=login)


def found(connection: Connection, utility_id: int, now: datetime, *, login: str = "", agreement: str = "") -> list[Link]:
    """Live links of a utility, of one login or agreement or all, for an operator."""
    rows = connection.exec_driver_sql(
        f"select {_FIELDS} from link l {_WHOSE} where l.utility_id = %(u)s and {LIVE} and (%(login)s = '' or l.login = %(login)s) "
        "and (%(agreement)s = '' or a.key = %(agreement)s) order by l.login, a.number, l.id",
        {"u": utility_id, "now": now, "login": login, "agreement": key(agreement) if agreement else ""},
    )
    return [Link(**row) for row in rows.mappings()]


def _one(connection: Connection, which: str, told: dict[str, object]) -> Link | None:
    rows = connection.exec_driver_sql(f"select {_FIELDS} from link l {_WHOSE} where {_SEEN} and {which}", told)
    return next((Link(**row) for row in rows.mappings()), None)
