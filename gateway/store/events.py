"""What has changed since a moment, for whoever shows it live: the pages, and the drop that writes statuses back."""

from typing import Final
from uuid import UUID

from sqlalchemy import Connection

_CHANGED: Final = """
select (select coalesce(max(id) filter (where at < clock_timestamp() - interval '5 seconds'), %(after)s) from event where id > %(after)s)
  as cursor, array(select distinct coalesce(m.submission_id, e.entity_id) from event e
  left join meter_reading m on e.entity = 'meter_reading' and m.id = e.entity_id where e.id > %(after)s) as submissions"""


def newest(connection: Connection) -> int:
    """The cursor of now, 0 when nothing has ever happened."""
    return int(connection.exec_driver_sql("select coalesce(max(id), 0) from event").scalar_one())


def changed(connection: Connection, after: int) -> tuple[int, set[UUID]]:
    """The submissions in which something happened after the cursor, theirs or their readings', and the next cursor.

    Events commit out of the order of their ids, so the cursor stays five seconds behind and the last ones are told again.
    """
    row = connection.exec_driver_sql(_CHANGED, {"after": after}).one()
    return int(row.cursor), set(row.submissions)
