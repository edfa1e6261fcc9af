"""Where a meter's dials and its interval values do not agree, and what is known that may explain it (legal-entity manual, figure 14)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from gateway.domain.coach import Cause, Gap, explain
from gateway.domain.readings import EXACT, Step
from gateway.domain.windows import days_in
from gateway.store.readings import BELIEVED
from gateway.store.rows import array

EXPLAINED: Final = 50
"""So many differences of one submission are looked into; who has more has one cause for all of them."""


class Delta(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the dials of a meter say of a period and what its interval values say, of one quantity; `causes`: what closes the gap."""

    quantity: str
    integral: Decimal
    interval: Decimal
    causes: tuple[Cause, ...] = ()


_DELTAS: Final = """
with mine as (select id, meter_id, period from meter_reading where submission_id = %(id)s and meter_id is not null and period <> ''
  and status = any(%(live)s::text[])),
live as (select mine.id, mine.meter_id, mine.period, o.id as other from mine
  join meter_reading o on o.meter_id = mine.meter_id and o.period = mine.period
  where o.status = any(%(live)s::text[]) and o.same_as is null)
select live.id, live.meter_id, live.period, regexp_replace(r.register, ':[a-z_]+', '') as quantity,
  coalesce(sum(r.consumption) filter (where not r.volume and r.register like '%%:%%'), sum(r.consumption) filter (where not r.volume))
    as integral,
  sum(r.consumption) filter (where r.volume) as interval
from live join reading r on r.meter_reading_id = live.other group by 1, 2, 3, 4
having bool_or(r.volume) and bool_or(not r.volume and r.consumption is not null) order by 1, 4"""

_FACTS: Final = """
select t.n, x.ratio_current, x.ratio_voltage, x.losses, (select max(g.decimals) from register g where g.meter_id = t.meter_id) as decimals,
  (select sum(r.consumption) from meter_reading m join reading r on r.meter_reading_id = m.id
   where m.meter_id = t.meter_id and m.period = t.period and m.status = any(%(live)s::text[]) and m.same_as is null
   and not r.volume and r.register like 'A-%%') as export
from unnest(%(ns)s::int[], %(meters)s::bigint[], %(periods)s::text[], %(lasts)s::date[]) t(n, meter_id, period, last)
join meter e on e.id = t.meter_id
join lateral (select * from point_terms p where p.usage_point_id = e.usage_point_id and p.since <= t.last order by p.since desc limit 1) x
  on true"""

_BLOCKS: Final = """
select t.n, i.step, b.day, b.values
from unnest(%(ns)s::int[], %(meters)s::bigint[], %(codes)s::text[], %(firsts)s::date[], %(lasts)s::date[]) t(n, meter_id, code, first, last)
join interval_register i on i.meter_id = t.meter_id and i.code = t.code and i.step <> 'P1M'
join interval_block b on b.register_id = i.id and b.day between t.first - 31 and t.last + 1"""


def of_submission(connection: Connection, submission: UUID) -> list[tuple[UUID, Delta]]:
    """Every difference between dials and interval values of the meters of a submission, by its reading, the first ones explained."""
    live = array(BELIEVED, "text")
    rows = connection.exec_driver_sql(_DELTAS, {"id": submission, "live": live}).all()
    apart = [row for row in rows if row.integral != row.interval][:EXPLAINED]
    causes = {(row.id, row.quantity): explain(gap) for row, gap in zip(apart, _gaps(connection, apart, live), strict=True)}
    return [
        (row.id, Delta(quantity=row.quantity, integral=row.integral, interval=row.interval, causes=causes.get((row.id, row.quantity), ())))
        for row in rows
    ]


def _gaps(connection: Connection, rows: Sequence[Any], live: str) -> list[Gap]:
    """What is known about each of these differences."""
    if not rows:
        return []
    firsts, lasts = zip(*(days_in(row.period) for row in rows), strict=True)
    told = {
        "ns": array(range(len(rows)), "int"),
        "meters": array((row.meter_id for row in rows), "bigint"),
        "periods": array((row.period for row in rows), "text"),
        "codes": array((row.quantity for row in rows), "text"),
        "firsts": array(firsts, "date"),
        "lasts": array(lasts, "date"),
        "live": live,
    }
    facts = {row.n: row for row in connection.exec_driver_sql(_FACTS, told)}
    blocks: dict[int, list[Any]] = {}
    for block in connection.exec_driver_sql(_BLOCKS, told):
        blocks.setdefault(block.n, []).append(block)
    return [_gap(row, facts.get(n), blocks.get(n, []), (firsts[n], lasts[n])) for n, row in enumerate(rows)]


def _gap(row: Any, facts: Any, blocks: Iterable[Any], period: tuple[date, date]) -> Gap:
    """One difference with its terms, the days about the edges of its period, and the hours about a change of the clock."""
    if facts is None:
        return Gap(integral=row.integral, interval=row.interval, unit=Decimal(1))
    first, last = period
    days, there, missing, changes = _days(blocks, first, last)
    raw = sum((amount for day, amount in days.items() if first <= day <= last), Decimal(0))
    counted = row.interval / raw if raw else Decimal(1)
    ratio = EXACT.multiply(facts.ratio_current, facts.ratio_voltage)
    amounts = {day: (amount * counted).normalize() for day, amount in days.items()}
    one = timedelta(days=1)
    return Gap(
        integral=row.integral,
        interval=row.interval,
        unit=EXACT.multiply(EXACT.multiply(ratio, 1 + facts.losses), Decimal(1).scaleb(-facts.decimals)),
        ratios=(facts.ratio_current, facts.ratio_voltage),
        losses=facts.losses,
        first=amounts.get(first),
        last=amounts.get(last),
        before=amounts.get(first - one),
        after=amounts.get(last + one),
        there=there,
        missing=missing,
        changes=tuple(change * counted for change in changes),
        export=facts.export,
    )


def _days(blocks: Iterable[Any], first: date, last: date) -> tuple[Mapping[date, Decimal], int, int, list[Decimal]]:
    """Amounts by day, how many values are there and how many are missing within the period, and the hours about a change of the clock."""
    days: dict[date, Decimal] = {}
    there = missing = 0
    changes: list[Decimal] = []
    for block in blocks:
        values = [value for value in block.values if value is not None]
        if block.step == Step.DAY:
            days |= {block.day + timedelta(days=n): value for n, value in enumerate(block.values) if value is not None}
            continue
        days[block.day] = sum(values, Decimal(0))
        if first <= block.day <= last:
            there, missing = there + len(values), missing + len(block.values) - len(values)
            changes += values[1:5] if block.step == Step.HOUR and len(block.values) != 24 else []
    return days, there, missing, changes
