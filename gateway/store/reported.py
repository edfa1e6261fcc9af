"""The meters that a principal ever reported, by whichever of its keys and logins, and those of them that it hides (F-074)."""

from typing import Final

import msgspec
from sqlalchemy import Connection

from gateway.domain.supply import key
from gateway.store.links import within
from gateway.store.people import Sender


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """A meter where it stands. `model`: its type as the registry names it."""

    id: int
    meter: str
    model: str
    agreement: str
    party: str
    location: str
    point: str
    point_name: str
    hidden: bool


EVER: Final = """exists (select from meter_reading o join submission s on s.id = o.submission_id
  where o.meter_id = m.id and s.utility_id = %(u)s
  and s.credential_id = any(array(select id from credential where utility_id = %(u)s and principal = %(principal)s)))"""
"""That a principal ever reported the meter `m`."""
_ALL: Final = """m.id = any(array(select distinct o.meter_id from submission s
  cross join lateral (select meter_id from meter_reading where submission_id = s.id offset 0) o
  where s.utility_id = %(u)s
  and s.credential_id = any(array(select id from credential where utility_id = %(u)s and principal = %(principal)s))))"""
"""The same, for a whole list: by the principal's submissions, each of which finds its rows by an index (`offset 0` keeps it that way),
whatever share of all readings they are."""
HIDDEN: Final = """exists (select from hidden_meter h
  where h.utility_id = %(u)s and h.principal = %(viewer)s and h.meter_id = m.id and h.hidden)"""
"""That a viewer hides the meter `m`."""


def _meters(ever: str) -> str:
    return f"""
select * from (
  select m.id, m.serial as meter, m.model, a.number as agreement, coalesce(c.name, '') as party, coalesce(l.code, '') as location,
    p.code as point, p.name as point_name, {HIDDEN} as hidden, a.key as agreement_key, p.key as point_key
  from meter m join usage_point p on p.id = m.usage_point_id join agreement a on a.id = p.agreement_id
  left join party c on c.id = a.party_id left join service_location l on l.id = p.service_location_id
  where m.utility_id = %(u)s and {ever} and (%(ids)s::bigint[] is null or a.id = any(%(ids)s::bigint[]))
    and (%(meter)s = '' or m.key = %(meter)s) and (%(agreement)s = '' or a.key = %(agreement)s)) found
where %(hidden)s::boolean is null or hidden = %(hidden)s
order by agreement_key, point_key, id"""


def viewer(sender: Sender) -> str:
    """Whose list it is: the principal's, or that of the portal's user for whom it acts; no name has a line break in it."""
    return f"{sender.principal}\n{sender.login}" if sender.login else sender.principal


def meters(connection: Connection, sender: Sender, *, hidden: bool | None = None, meter: str = "", agreement: str = "") -> list[Reported]:
    """The meters that a sender's principal ever reported, within what it may see, by agreement and point.

    `hidden`: only those that are hidden, or are not; `meter`, `agreement`: only of that number.
    """
    rows = connection.exec_driver_sql(
        _meters(EVER if meter else _ALL),
        within(sender)
        | {
            "principal": sender.principal,
            "viewer": viewer(sender),
            "meter": key(meter) if meter else "",
            "agreement": key(agreement) if agreement else "",
            "hidden": hidden,
        },
    )
    names = Reported.__struct_fields__
    return [Reported(**{name: row[name] for name in names}) for row in rows.mappings()]


def hide(connection: Connection, sender: Sender, meter_id: int, *, hidden: bool) -> None:
    """Take a meter off a sender's list, or put it back; either may be done again."""
    connection.exec_driver_sql(
        "insert into hidden_meter (utility_id, principal, meter_id, hidden) values (%(u)s, %(viewer)s, %(meter)s, %(hidden)s) "
        "on conflict (utility_id, principal, meter_id) do update set hidden = excluded.hidden, at = now() "
        "where hidden_meter.hidden <> excluded.hidden",
        {"u": sender.utility_id, "viewer": viewer(sender), "meter": meter_id, "hidden": hidden},
    )
