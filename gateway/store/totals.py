"""What the live readings of a period used, register by register."""

from typing import Final

from sqlalchemy import Connection

from gateway.domain.supply import key
from gateway.domain.totals import Used
from gateway.store.people import Sender
from gateway.store.readings import BELIEVED
from gateway.store.rows import array

_USED: Final = """
select a.id as agreement_id, a.number as agreement, c.id as party_id, coalesce(c.code, '') as party_code, coalesce(c.name, '') as party,
  p.service, e.id as meter_id, r.register, r.consumption, r.volume, s.received_at as came
from agreement a join usage_point p on p.agreement_id = a.id join meter e on e.usage_point_id = p.id
join meter_reading m on m.meter_id = e.id and m.period = %(period)s join submission s on s.id = m.submission_id
join reading r on r.meter_reading_id = m.id left join party c on c.id = a.party_id
where a.utility_id = %(u)s and (%(agreement)s = '' or a.key = %(agreement)s) and (%(party)s = '' or c.key = %(party)s)
  and (%(ids)s::bigint[] is null or a.id = any(%(ids)s::bigint[])) and m.same_as is null and m.status = any(%(live)s::text[])
order by a.key, a.id, e.id limit %(limit)s"""


def used(connection: Connection, sender: Sender, period: str, *, agreement: str = "", party: str = "", limit: int) -> list[Used]:
    """What each register within what a sender may see used in a period by the readings that stand, in the order of agreements, meters."""
    rows = connection.exec_driver_sql(
        _USED,
        {
            "u": sender.utility_id,
            "agreement": key(agreement) if agreement else "",
            "party": key(party) if party else "",
            "ids": None if sender.agreement_ids is None else array(sender.agreement_ids, "bigint"),
            "period": period,
            "live": array(BELIEVED, "text"),
            "limit": limit,
        },
    )
    return [Used(**row) for row in rows.mappings()]
