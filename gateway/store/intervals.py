"""Interval values: a row a block, compared with what is known before it is believed; a changed block moves to its history (design D3)."""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from gateway.domain.intervals import MINUTES, exact_sum
from gateway.domain.readings import IntervalBlock, Quality, Step
from gateway.store.readings import BELIEVED
from gateway.store.rows import array

_QUALITY: Final = {quality: number for number, quality in enumerate(Quality)}
"""Qualities as the blocks keep them: their place in the published list, which only ever grows at its end."""
NULL: Final = "\\N"
CHUNK: Final = 2000
"""Blocks in one message of a COPY."""


class Brought(msgspec.Struct, frozen=True, gc=False):
    """The blocks of one meter reading. `keep`: what is known already is not replaced. `period`: first and last local day of it.

    `counted`: codes of those that make up an amount of the period.
    """

    reading: UUID
    meter: int
    blocks: tuple[IntervalBlock, ...]
    keep: bool
    period: tuple[date, date]
    counted: frozenset[str]


class Beside(msgspec.Struct, kw_only=True):
    """What is known already beside one meter reading's blocks.

    `changed`: (code, first day) of blocks that say something else than what is kept and must not be replaced. `same`: the reading that
    stands for this meter and period, when every block is known as it is. `totals`: by code, the period's amount with what earlier files
    brought. `again`: a reading of intervals stands for this meter and period already.
    """

    changed: list[tuple[str, date]] = []
    same: UUID | None = None
    totals: dict[str, Decimal] = {}
    again: bool = False


class Compared(msgspec.Struct, frozen=True):
    """The blocks of one submission beside what is known, in one order; `ids`: of their interval registers.

    `staged`: something is known of these days, so that blocks may change; without it all of them are new. `dead`: sources of blocks whose
    readings came to nothing, so that anybody may say something else.
    """

    brought: tuple[Brought, ...]
    beside: tuple[Beside, ...]
    ids: Mapping[tuple[int, str, Step], int]
    staged: bool
    dead: tuple[int, ...] = ()


_REGISTERS: Final = """
with told as (select * from unnest(%(meters)s::bigint[], %(codes)s::text[], %(steps)s::text[]) t(meter_id, code, step)),
made as (insert into interval_register (utility_id, meter_id, code, step)
  select %(u)s, meter_id, code, step from told order by meter_id, code, step on conflict (meter_id, code, step) do nothing
  returning id, meter_id, code, step)
select id, meter_id, code, step, true as made from made union all
select r.id, r.meter_id, r.code, r.step, false from interval_register r join told using (meter_id, code, step)"""

_RELATED: Final = """
select id, meter_id, code, step from interval_register
where (meter_id, code) in (select * from unnest(%(meters)s::bigint[], %(codes)s::text[]))"""

_LIVE: Final = """
select distinct on (m.meter_id, m.period) m.meter_id, m.period, m.id from meter_reading m
join unnest(%(meters)s::bigint[], %(periods)s::text[]) t(meter_id, period) on t.meter_id = m.meter_id and t.period = m.period
where m.intervals and m.same_as is null and m.status = any(%(live)s::text[]) order by m.meter_id, m.period, m.revision desc"""

_SOURCES: Final = """
select distinct b.source_id, coalesce(m.status in ('rejected', 'withdrawn'), false) as dead
from unnest(%(ids)s::int[], %(firsts)s::date[]) t(register_id, first)
join interval_block b on b.register_id = t.register_id and b.day between t.first and %(last)s
left join interval_source s on s.id = b.source_id left join meter_reading m on m.id = s.meter_reading_id"""

_STAGE: Final = """
create temporary table if not exists staged
  (n int, register_id int, day date, values numeric[], quality smallint[], keep boolean, fill boolean)
on commit delete rows"""

_CHANGED: Final = """
select s.n, s.register_id, s.day from staged s join interval_block b using (register_id, day)
where s.keep and s.values <> b.values and b.source_id <> all(%(dead)s::int[])
and exists (select from unnest(s.values, b.values) u(new, old) where new <> old) order by s.n, s.register_id, s.day"""

_FILL: Final = """
update staged s set values = (select array_agg(coalesce(new, old) order by place) from unnest(s.values, b.values) with ordinality
  u(new, old, place)) from interval_block b where s.fill and b.register_id = s.register_id and b.day = s.day and s.values <> b.values
  and b.source_id <> all(%(dead)s::int[])"""

_SAME: Final = """
select s.n, count(*) as blocks from staged s join interval_block b using (register_id, day)
where (s.values, s.quality) is not distinct from (b.values, b.quality) and b.source_id <> all(%(dead)s::int[]) group by s.n"""

_KNOWN: Final = """
select register_id, day, values, (select sum(v) from unnest(values) v) as total from (
  select register_id, day, values from staged where register_id = any(%(ids)s::int[]) union all
  select b.register_id, b.day, b.values from unnest(%(ids)s::int[], %(firsts)s::date[]) t(register_id, first)
  join interval_block b on b.register_id = t.register_id and b.day between t.first and %(last)s
  where b.source_id <> all(%(dead)s::int[])
  and not exists (select from staged s where s.register_id = b.register_id and s.day = b.day)) k"""


def _registers(connection: Connection, utility: int, brought: Iterable[Brought]) -> dict[tuple[int, str, Step], int]:
    """The ids of the interval registers of these blocks, made where they are new, by meter, code and step."""
    wanted = sorted({(one.meter, block.register, block.step) for one in brought for block in one.blocks})
    meters, codes, steps = zip(*wanted, strict=True)
    rows = connection.exec_driver_sql(
        _REGISTERS,
        {"u": utility, "meters": array(meters, "bigint"), "codes": array(codes, "text"), "steps": array(steps, "text")},
    )
    return {(row.meter_id, row.code, Step(row.step)): row.id for row in rows}


def compare(connection: Connection, utility: int, brought: Sequence[Brought]) -> Compared:
    """What is known beside each of these. The registers of their meters are held, so it stays so until the commit.

    Where nothing at all is known, as with most files, two looks at indexes say so.
    """
    ids = _registers(connection, utility, brought)
    related = _related(connection, brought)
    live = _live(connection, brought)
    found = tuple(Beside(changed=[], totals={}, again=_place(one) in live) for one in brought)
    counted = {id_: step for id_, (_, _, step) in related.items()}
    reach = _reach(brought, counted | {id_: step for (_, _, step), id_ in ids.items()})
    sources = {row.source_id: row.dead for row in connection.exec_driver_sql(_SOURCES, reach)}
    if not sources and not live:
        return Compared(tuple(brought), found, ids, staged=False)
    dead = tuple(sorted(source for source, is_dead in sources.items() if is_dead))
    told = {"dead": array(dead, "int")}
    _stage(connection, brought, ids)
    connection.exec_driver_sql("analyze staged")
    codes = {id_: code for (_, code, _), id_ in ids.items()}
    if any(one.keep for one in brought):
        for row in connection.exec_driver_sql(_CHANGED, told):
            found[row.n].changed.append((codes[row.register_id], row.day))
    connection.exec_driver_sql(_FILL, told)
    for row in connection.exec_driver_sql(_SAME, told):
        if row.blocks == len(brought[row.n].blocks):
            found[row.n].same = live.get(_place(brought[row.n]))
    known = connection.exec_driver_sql(_KNOWN, _reach(brought, counted) | told)
    _add_up(brought, found, known.all(), related)
    return Compared(tuple(brought), found, ids, staged=True, dead=dead)


def _place(one: Brought) -> tuple[int, str]:
    return one.meter, one.period[0].isoformat()[:7]


def _live(connection: Connection, brought: Iterable[Brought]) -> dict[tuple[int, str], UUID]:
    """The readings of intervals that stand for these meters and periods."""
    meters, periods = zip(*{_place(one) for one in brought}, strict=True)
    told = {"meters": array(meters, "bigint"), "periods": array(periods, "text"), "live": array(BELIEVED, "text")}
    return {(row.meter_id, row.period): row.id for row in connection.exec_driver_sql(_LIVE, told)}


def _related(connection: Connection, brought: Iterable[Brought]) -> dict[int, tuple[int, str, Step]]:
    """Every interval register of the codes that are counted, in whichever step: hours and days of one month are one amount."""
    wanted = {(one.meter, code) for one in brought for code in one.counted}
    if not wanted:
        return {}
    meters, codes = zip(*wanted, strict=True)
    rows = connection.exec_driver_sql(_RELATED, {"meters": array(meters, "bigint"), "codes": array(codes, "text")})
    return {row.id: (row.meter_id, row.code, Step(row.step)) for row in rows}


def _reach(brought: Sequence[Brought], steps: Mapping[int, Step]) -> dict[str, Any]:
    """These registers on all days that the blocks or their periods touch; a block of months begins with its year."""
    days = [block.day for one in brought for block in one.blocks] + [day for one in brought for day in one.period]
    first = min(days)
    firsts = (first.replace(month=1, day=1) if step is Step.MONTH else first for step in steps.values())
    return {"ids": array(steps, "int"), "firsts": array(firsts, "date"), "last": max(days)}


def _add_up(
    brought: Sequence[Brought], found: Sequence[Beside], known: Iterable[Any], related: Mapping[int, tuple[int, str, Step]]
) -> None:
    """Give each its amounts of the period, told once: by the month where it is known, else by days, else by their hours."""
    months: dict[tuple[int, str, date], Decimal] = {}
    days: dict[tuple[int, str, date], Decimal] = {}
    hours: dict[tuple[int, str, date], Decimal] = {}
    for row in known:
        meter, code, step = related[row.register_id]
        if step is Step.MONTH:
            months |= {(meter, code, row.day.replace(month=n)): value for n, value in enumerate(row.values, 1) if value is not None}
        elif step is Step.DAY:
            days |= {(meter, code, row.day + timedelta(days=n)): value for n, value in enumerate(row.values) if value is not None}
        elif row.total is not None:
            hours[meter, code, row.day] = row.total
    for one, beside in zip(brought, found, strict=True):
        first, last = one.period
        dates = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        for code in one.counted:
            parts = [days.get((one.meter, code, day), hours.get((one.meter, code, day))) for day in dates]
            told = [months.get((one.meter, code, first))] if (one.meter, code, first) in months else parts
            amounts = [part for part in told if part is not None]
            if amounts:
                beside.totals[code] = exact_sum(amounts)


def _stage(connection: Connection, brought: Sequence[Brought], ids: Mapping[tuple[int, str, Step], int]) -> None:
    """Put the blocks where the database can take them from, by COPY, which tables with walls refuse.

    A day without a value in a block of days was not told of: it may be filled.
    """
    connection.exec_driver_sql(_STAGE)
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - a connection that is open has one
    with driver.cursor() as cursor, cursor.copy("copy staged (n, register_id, day, values, quality, keep, fill) from stdin") as copy:
        lines: list[str] = []
        for n, one in enumerate(brought):
            for block in one.blocks:
                register = ids[one.meter, block.register, block.step]
                quality = _quality(block) if block.quality else NULL
                flags = "t\tt" if one.keep else "f\tf" if block.step in MINUTES else "f\tt"
                lines.append(f"{n}\t{register}\t{block.day!s}\t{literal(block)}\t{quality}\t{flags}\n")
            if len(lines) > CHUNK:
                copy.write("".join(lines))
                lines.clear()
        copy.write("".join(lines))


def literal(block: IntervalBlock) -> str:
    """The values of a block as PostgreSQL writes an array."""
    values = block.written
    if ",," in values or values[0] == "," or values[-1] == ",":
        values = ",".join([one or "null" for one in values.split(",")])
    return f"{{{values}}}"


def _quality(block: IntervalBlock) -> str:
    if all(quality is Quality.VALID for quality in block.quality):
        return NULL
    return "{" + ",".join(str(_QUALITY[quality]) for quality in block.quality) + "}"


_SOURCE: Final = """
insert into interval_source (utility_id, meter_reading_id) select %(u)s, id from unnest(%(ids)s::uuid[]) t(id)
returning id, meter_reading_id"""

_PUT: Final = """
insert into interval_block (utility_id, register_id, day, source_id, values, quality)
select %(u)s, register_id, day, (%(sources)s::int[])[n + 1], values, quality from staged where (%(sources)s::int[])[n + 1] > 0"""

_REPLACE: Final = """
with came as (select register_id, day, values, quality, (%(sources)s::int[])[n + 1] as source_id from staged
  where (%(sources)s::int[])[n + 1] > 0),
history as (insert into interval_history (utility_id, register_id, day, source_id, values, quality, replaced_by)
  select b.utility_id, b.register_id, b.day, b.source_id, b.values, b.quality, c.source_id from came c
  join interval_block b using (register_id, day) where (b.values, b.quality) is distinct from (c.values, c.quality))
insert into interval_block as b (utility_id, register_id, day, source_id, values, quality)
select %(u)s, register_id, day, source_id, values, quality from came order by register_id, day
on conflict (register_id, day) do update set source_id = excluded.source_id, values = excluded.values, quality = excluded.quality
where (b.values, b.quality) is distinct from (excluded.values, excluded.quality) or b.source_id = any(%(dead)s::int[])"""


def merge(connection: Connection, utility: int, compared: Compared, believed: Container[UUID]) -> None:
    """Keep the blocks of those meter readings that are believed."""
    readings = [one.reading for one in compared.brought if one.reading in believed]
    if not readings:
        return
    rows = connection.exec_driver_sql(_SOURCE, {"u": utility, "ids": array(readings, "uuid")})
    sources = {row.meter_reading_id: row.id for row in rows}
    told = {"u": utility, "sources": array((sources.get(one.reading, 0) for one in compared.brought), "int")}
    if compared.staged:
        connection.exec_driver_sql(_REPLACE, told | {"dead": array(compared.dead, "int")})
    else:
        _stage(connection, compared.brought, compared.ids)
        connection.exec_driver_sql(_PUT, told)
