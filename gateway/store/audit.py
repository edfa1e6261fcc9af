"""The audit of the ledger: what holds between any two transactions of lanes, batches, deliveries, readings and submissions."""

from typing import Final

import msgspec
from sqlalchemy import Connection


class Finding(msgspec.Struct, frozen=True):
    """One broken rule: how many rows break it, and one of them."""

    rule: str
    count: int
    example: str


_EACH: Final = {
    "lane_count": """
select l.target_id || '/' || l.lane_id || ' has ' || d.n || ' open, counts ' || l.open
from lane l join (select target_id, lane_id, count(*) as n from delivery group by target_id, lane_id) d using (target_id, lane_id)
where l.open <> d.n""",
    "lane_without_delivery": """
select l.target_id || '/' || l.lane_id from lane l
where not exists (select from delivery d where d.target_id = l.target_id and d.lane_id = l.lane_id)""",
    "delivery_without_lane": """
select d.id::text from delivery d
where not exists (select from lane l where l.target_id = d.target_id and l.lane_id = d.lane_id)""",
    "lane_held_by_nobody": """
select l.target_id || '/' || l.lane_id from lane l left join batch b on b.id = l.batch_id and b.finished_at is null
where l.batch_id is not null and (b.id is null or l.state <> 1)""",
    "batch_holds_nothing": """
select b.id::text from batch b where b.finished_at is null and not exists (select from lane l where l.batch_id = b.id)""",
    "lane_parked_without_doubt": """
select l.target_id || '/' || l.lane_id from lane l where l.state = 3
and not exists (select from delivery d where d.target_id = l.target_id and d.lane_id = l.lane_id and d.problem = 'in_doubt')""",
    "reading_without_delivery": """
select m.id::text from meter_reading m where m.status in ('queued', 'in_doubt') and m.same_as is null
and not exists (select from delivery d where d.subject_id = m.id)""",
    "letter_without_delivery": """
select l.id::text from letter l where l.status in ('queued', 'in_doubt')
and not exists (select from delivery d where d.subject_id = l.id)""",
    "delivery_after_the_end": """
select d.id::text || ' of a reading ' || m.status from delivery d join meter_reading m on m.id = d.subject_id
where d.kind = 'meter_reading' and m.status in ('acknowledged', 'rejected', 'dead')
union all select d.id::text || ' of a letter ' || l.status from delivery d join letter l on l.id = d.subject_id
where d.kind = 'letter' and l.status in ('acknowledged', 'rejected', 'dead', 'withdrawn')""",
    "delivered_twice": """
select subject_id::text from (select subject_id, kind from delivery union all select subject_id, kind from delivery_closed) d
group by subject_id, kind having count(*) > 1""",
    "submission_rows": """
select s.id::text || ' counts ' || s.total from submission s left join lateral
(select count(*) as n from meter_reading m where m.submission_id = s.id) m on true
where m.n <> case when s.status = 'received' then 0 else s.total end""",
}
"""Each rule as a query for what breaks it, one statement and so one moment each: the audit may run beside a working gateway."""
RULES: Final = tuple(_EACH)


def audit(connection: Connection) -> list[Finding]:
    """Look for what cannot be; a worker's or the owner's connection sees every utility. It must find nothing."""
    findings = []
    for rule, query in _EACH.items():
        row = connection.exec_driver_sql(f"select count(*) as n, coalesce(min(broken), '') as example from ({query}) q(broken)").one()
        if row.n:
            findings.append(Finding(rule, row.n, row.example))
    return findings
