"""The interval blocks behind readings on their way to a billing, as they stood when the reading came."""

from collections.abc import Collection
from datetime import date
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from gateway.domain.readings import IntervalBlock, Quality, Step
from gateway.store.ledger import TAKEN
from gateway.store.rows import array

_QUALITIES: Final = tuple(Quality)

_BLOCKS: Final = """
with m as (select m.id, m.meter_id, s.id as source, to_date(m.period, 'YYYY-MM') as first from meter_reading m
  join interval_source s on s.meter_reading_id = m.id where m.id = any(%(ids)s::uuid[]) and m.intervals)
select m.id, r.code, r.step, b.day, array_to_string(b.values, ',', '') as written, b.quality,
  o.id = m.id or not exists (select from delivery_closed d
    where d.subject_id = o.id and d.target_id = %(t)s and d.state = %(taken)s) as fresh
from m join interval_register r on r.meter_id = m.meter_id and r.step in ('PT30M', 'PT1H')
cross join lateral (select distinct on (a.day) a.* from (
  select day, source_id, values, quality from interval_block where register_id = r.id
    and day >= m.first and day < m.first + interval '1 month' union all
  select day, source_id, values, quality from interval_history where register_id = r.id
    and day >= m.first and day < m.first + interval '1 month') a
  where a.source_id <= m.source order by a.day, a.source_id desc) b
join interval_source s on s.id = b.source_id join meter_reading o on o.id = s.meter_reading_id
where o.id = m.id or o.status not in ('rejected', 'withdrawn') order by m.id, r.code, b.day, b.source_id"""


def blocks(connection: Connection, target: int, ids: Collection[UUID]) -> dict[UUID, tuple[IntervalBlock, ...]]:
    """The hours and half-hours of the period, by the id of the reading of intervals, of days that this target has not taken whole before.

    As of each reading: what came later belongs to a later one. Of hours and half-hours of one day those that came last.
    """
    found: dict[UUID, dict[tuple[str, date], IntervalBlock]] = {}
    fresh: set[tuple[UUID, date]] = set()
    told = {"ids": array(ids, "uuid"), "t": target, "taken": TAKEN}
    for row in connection.exec_driver_sql(_BLOCKS, told):
        block = IntervalBlock(
            register=row.code,
            step=Step(row.step),
            day=row.day,
            written=row.written,
            quality=tuple([_QUALITIES[number] for number in row.quality or ()]),
        )
        found.setdefault(row.id, {})[block.register, block.day] = block
        if row.fresh:
            fresh.add((row.id, block.day))
    return {id_: tuple([block for block in days.values() if (id_, block.day) in fresh]) for id_, days in found.items()}
