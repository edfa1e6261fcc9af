"""Which registers a value is expected of for a period, and the newest that came for each."""

from typing import Any, Final

from sqlalchemy import Connection

from gateway.domain.coverage import Expected
from gateway.domain.status import ReadingStatus
from gateway.domain.supply import entry_by_period, key
from gateway.domain.windows import days_in
from gateway.store.people import Sender
from gateway.store.readings import BELIEVED
from gateway.store.reported import EVER, HIDDEN, viewer
from gateway.store.rows import array

_EXPECTED: Final = f"""
with expected as (
  select a.key as agreement_key, p.key as point_key, r.id as register_id, a.number as agreement, coalesce(c.name, '') as party,
    coalesce(l.code, '') as location, p.code as point, p.name as point_name, m.id as meter_id, m.serial as meter, r.code as register,
    p.service, m.entry_open as meter_open, coalesce(l.entry_open, true) as location_open,
    (select s.status from entry_status s where s.kind = 'meter' and s.entity_id = m.id and s.period = %(period)s) as meter_status,
    (select s.status from entry_status s where s.kind = 'location' and s.entity_id = l.id and s.period = %(period)s) as location_status,
    exists (select from billing_period b where b.agreement_id = a.id and b.code >= %(period)s and b.closed_at <= now()) as closed,
    exists (select from meter_act f where f.meter_id = m.id and f.kind = 'failure' and f.first_day <= %(last)s
      and coalesce(f.last_day, 'infinity') >= %(last)s) as failed
  from agreement a join usage_point p on p.agreement_id = a.id join meter m on m.usage_point_id = p.id join register r on r.meter_id = m.id
  left join party c on c.id = a.party_id left join branch b on b.id = a.branch_id
  left join service_location l on l.id = p.service_location_id
  where a.utility_id = %(u)s and (%(agreement)s = '' or a.key = %(agreement)s) and (%(party)s = '' or c.key = %(party)s)
    and (%(branch)s = '' or b.key = %(branch)s) and (%(ids)s::bigint[] is null or a.id = any(%(ids)s::bigint[]))
    and (a.closed_on is null or a.closed_on >= %(first)s) and (p.closed_on is null or p.closed_on >= %(first)s)
    and (m.installed_on is null or m.installed_on <= %(last)s) and (m.removed_on is null or m.removed_on >= %(first)s)
    and (not %(mine)s or ({EVER} and not {HIDDEN}))),
came as (
  select distinct on (m.meter_id, r.register) m.meter_id, r.register, m.status, m.id
  from meter_reading m left join reading r on r.meter_reading_id = m.id
  where m.period = %(period)s and m.meter_id in (select meter_id from expected) and m.same_as is null
    and m.status <> all('{{superseded,withdrawn}}') and (not m.intervals or case when r.register is null
      then exists (select from register h where h.meter_id = m.meter_id and h.code like 'heat%%') else r.register like 'heat%%' end)
  order by m.meter_id, r.register, m.status = any(%(live)s::text[]) desc, m.revision desc, m.id desc)
select e.agreement, e.party, e.location, e.point, e.point_name, e.meter, e.register, coalesce(v.status, w.status) as status,
  coalesce(v.id, w.id) as reading, e.service, e.meter_open, e.location_open, e.meter_status, e.location_status, e.closed, e.failed
from expected e left join came v on v.meter_id = e.meter_id and v.register = e.register
left join came w on w.meter_id = e.meter_id and w.register is null
order by e.agreement_key, e.point_key, e.meter_id, e.register_id limit %(limit)s"""


def expected(
    connection: Connection,
    sender: Sender,
    period: str,
    *,
    agreement: str = "",
    party: str = "",
    branch: str = "",
    mine: bool = False,
    limit: int | None,
) -> list[Expected]:
    """Every register within what a sender may see of which a value is expected for a period.

    The archive of a heat meter is its reading; of all else a dial is wanted, also beside interval values (F-083).
    `agreement`, `party`, `branch`: only theirs. `mine`: only of meters that the sender's principal ever reported and does not hide.
    """
    first, last = days_in(period)
    rows = connection.exec_driver_sql(
        _EXPECTED,
        {
            "u": sender.utility_id,
            "agreement": key(agreement) if agreement else "",
            "party": key(party) if party else "",
            "branch": key(branch) if branch else "",
            "ids": None if sender.agreement_ids is None else array(sender.agreement_ids, "bigint"),
            "mine": mine,
            "principal": sender.principal,
            "viewer": viewer(sender),
            "period": period,
            "first": first,
            "last": last,
            "live": array(BELIEVED, "text"),
            "limit": limit,
        },
    )
    return [_expected(dict(row), period) for row in rows.mappings()]


def _expected(row: dict[str, Any], period: str) -> Expected:
    flags = [(row.pop(f"{thing}_open"), row.pop(f"{thing}_status")) for thing in ("meter", "location")]
    entry = entry_by_period(*((flag, {} if status is None else {period: status}) for flag, status in flags))
    closed, is_open = row.pop("closed"), entry.get(period, all(flag for flag, _ in flags))
    status = None if row["status"] is None else ReadingStatus(row["status"])
    return Expected(**(row | {"status": status, "entry_open": is_open and not closed}))
