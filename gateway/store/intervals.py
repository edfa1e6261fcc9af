"""Interval values: a row a block, compared with what is known before it is believed; a changed block moves to its history (design D3)."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from gateway.domain.intervals import MINUTES
from gateway.domain.readings import IntervalBlock, Quality, Step
from gateway.store.rows import array

_QUALITY: Final = {quality: number for number, quality in enumerate(Quality)}
"""Qualities as the blocks keep them: their place in the published list, which only ever grows at its end."""
NULL: Final = "\\N"
CHUNK: Final = 4000
"""Blocks in one COPY message or insert."""


class Brought(msgspec.Struct, frozen=True, gc=False):
    """The blocks of one meter reading. `keep`: what is known already is not replaced. `period`: first and last local day of it.

    `counted`: (code, step) of those that make up an amount of the period.
    """

    reading: UUID
    meter: int
    blocks: tuple[IntervalBlock, ...]
    keep: bool
    period: tuple[date, date]
    counted: frozenset[tuple[str, Step]]


class Beside(msgspec.Struct, kw_only=True):
    """What is known already beside one meter reading's blocks.

    `changed`: (code, first day) of blocks that say something else than what is kept and must not be replaced. `same`: the reading that
    brought all of this before. `totals`: by code, the period's amount with what earlier files brought. `again`: there was something.
    """

    changed: list[tuple[str, date]] = []
    same: UUID | None = None
    totals: dict[str, Decimal] = {}
    again: bool = False


class Compared(msgspec.Struct, frozen=True):
    """The blocks of one submission beside what is known, in one order; `ids`: of their interval registers.

    `staged`: something is known of these days, so that blocks may change; without it all of them are new.
    """

    brought: tuple[Brought, ...]
    beside: tuple[Beside, ...]
    ids: Mapping[tuple[int, str, Step], int]
    staged: bool


_REGISTERS: Final = """
with told as (select * from unnest(%(meters)s::bigint[], %(codes)s::text[], %(steps)s::text[]) t(meter_id, code, step)),
made as (insert into interval_register (utility_id, meter_id, code, step)
  select %(u)s, meter_id, code, step from told order by meter_id, code, step on conflict (meter_id, code, step) do nothing
  returning id, meter_id, code, step)
select id, meter_id, code, step, true as made from made union all
select r.id, r.meter_id, r.code, r.step, false from interval_register r join told using (meter_id, code, step)"""

_ANY: Final = """
select exists (select from interval_block where register_id = any(%(ids)s::int[]) and day between %(first)s and %(last)s)"""

_STAGE: Final = """
create temporary table if not exists staged
  (n int, register_id int, day date, values numeric[], quality smallint[], keep boolean, fill boolean)
on commit delete rows"""

_CHANGED: Final = """
select s.n, s.register_id, s.day from staged s join interval_block b using (register_id, day) where s.keep and s.values <> b.values
and exists (select from unnest(s.values, b.values) u(new, old) where new <> old) order by s.n, s.register_id, s.day"""

_FILL: Final = """
update staged s set values = (select array_agg(coalesce(new, old) order by place) from unnest(s.values, b.values) with ordinality
  u(new, old, place)) from interval_block b where s.fill and b.register_id = s.register_id and b.day = s.day and s.values <> b.values"""

_SAME: Final = """
select s.n, count(*) as blocks, max(b.source_id) as source from staged s join interval_block b using (register_id, day)
where (s.values, s.quality) is not distinct from (b.values, b.quality) group by s.n"""

_TOTALS: Final = """
with c as (select * from unnest(%(n)s::int[], %(ids)s::int[], %(firsts)s::date[], %(lasts)s::date[], %(months)s::int[])
  c(n, register_id, first, last, month)),
known as (select c.n, c.register_id, c.month, s.values from c join staged s on s.n = c.n and s.register_id = c.register_id
    where s.day between c.first and c.last
  union all select c.n, c.register_id, c.month, b.values from c join interval_block b
    on b.register_id = c.register_id and b.day between c.first and c.last
    where not exists (select from staged s where s.register_id = b.register_id and s.day = b.day))
select n, register_id, sum(v) as total
from known, unnest(case when month > 0 then values[month:month] else values end) v group by n, register_id"""

_AGAIN: Final = """
select distinct c.n from unnest(%(n)s::int[], %(ids)s::int[], %(firsts)s::date[], %(lasts)s::date[], %(months)s::int[])
  c(n, register_id, first, last, month) join interval_block b on b.register_id = c.register_id and b.day between c.first and c.last"""


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

    Where nothing at all is known, as with most files, one look at an index says so.
    """
    ids = _registers(connection, utility, brought)
    days = [block.day for one in brought for block in one.blocks] + [day for one in brought for day in one.period]
    told = {"ids": array(ids.values(), "int"), "first": min(days), "last": max(days)}
    found = tuple(Beside(changed=[], totals={}) for _ in brought)
    if not connection.exec_driver_sql(_ANY, told).scalar_one():
        return Compared(tuple(brought), found, ids, staged=False)
    _stage(connection, brought, ids)
    codes = {id_: code for (_, code, _), id_ in ids.items()}
    if any(one.keep for one in brought):
        for row in connection.exec_driver_sql(_CHANGED):
            found[row.n].changed.append((codes[row.register_id], row.day))
    connection.exec_driver_sql(_FILL)
    same = [row for row in connection.exec_driver_sql(_SAME) if row.blocks == len(brought[row.n].blocks)]
    readings = _readings(connection, (row.source for row in same))
    for row in same:
        found[row.n].same = readings[row.source]
    counted = _counted(brought, ids)
    for row in connection.exec_driver_sql(_AGAIN, counted):
        found[row.n].again = True
    for row in connection.exec_driver_sql(_TOTALS, counted):
        if row.total is not None:
            found[row.n].totals[codes[row.register_id]] = row.total
    return Compared(tuple(brought), found, ids, staged=True)


def _readings(connection: Connection, sources: Iterable[int]) -> dict[int, UUID]:
    """The meter readings behind these sources."""
    told = {"ids": array(sources, "int")}
    rows = connection.exec_driver_sql("select id, meter_reading_id from interval_source where id = any(%(ids)s::int[])", told)
    return {row.id: row.meter_reading_id for row in rows}


def _counted(brought: Sequence[Brought], ids: Mapping[tuple[int, str, Step], int]) -> dict[str, str]:
    """What makes up each amount as columns: register, first and last day of its blocks, and the month's place in a block of months."""
    rows = []
    for n, one in enumerate(brought):
        first, last = one.period
        for code, step in sorted(one.counted):
            yearly = step is Step.MONTH
            rows.append((n, ids[one.meter, code, step], first.replace(month=1) if yearly else first, last, first.month if yearly else 0))
    names = {"n": "int", "ids": "int", "firsts": "date", "lasts": "date", "months": "int"}
    columns = zip(*rows, strict=True) if rows else ((),) * len(names)
    return {name: array(column, kind) for (name, kind), column in zip(names.items(), columns, strict=True)}


def _stage(connection: Connection, brought: Sequence[Brought], ids: Mapping[tuple[int, str, Step], int]) -> None:
    """Put the blocks where the database can compare them. A day without a value in a block of days was not told of: it may be filled."""
    connection.exec_driver_sql(_STAGE)
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - a connection that is open has one
    with driver.cursor() as cursor, cursor.copy("copy staged (n, register_id, day, values, quality, keep, fill) from stdin") as copy:
        lines: list[str] = []
        for n, one in enumerate(brought):
            for block in one.blocks:
                register = ids[one.meter, block.register, block.step]
                fill = one.keep or block.step not in MINUTES
                lines.append(f"{n}\t{register}\t{block.day}\t{literal(block)}\t{_quality(block) or NULL}\t{one.keep}\t{fill}\n")
            if len(lines) > CHUNK:
                copy.write("".join(lines))
                lines.clear()
        copy.write("".join(lines))
    connection.exec_driver_sql("analyze staged")


def literal(block: IntervalBlock) -> str:
    """The values of a block as PostgreSQL writes an array; decimals never have an exponent here, the gates let none in."""
    values = block.values
    return "{" + ",".join(["null" if v is None else str(v) for v in values] if None in values else map(str, values)) + "}"


def _quality(block: IntervalBlock) -> str | None:
    if not block.quality or all(quality is Quality.VALID for quality in block.quality):
        return None
    return "{" + ",".join(str(_QUALITY[quality]) for quality in block.quality) + "}"


_SOURCE: Final = """
insert into interval_source (utility_id, meter_reading_id) select %(u)s, id from unnest(%(ids)s::uuid[]) t(id)
returning id, meter_reading_id"""

_PUT: Final = """
insert into interval_block as b (utility_id, register_id, day, source_id, values, quality)
select %(u)s, register_id, day, source_id, values::numeric[], quality::smallint[]
from unnest(%(ids)s::int[], %(days)s::date[], %(sources)s::int[], %(values)s::text[], %(qualities)s::text[])
  t(register_id, day, source_id, values, quality)"""

_REPLACE: Final = """
with came as (select register_id, day, values, quality, (%(sources)s::int[])[n + 1] as source_id from staged
  where (%(sources)s::int[])[n + 1] is not null),
history as (insert into interval_history (utility_id, register_id, day, source_id, values, quality, replaced_by)
  select b.utility_id, b.register_id, b.day, b.source_id, b.values, b.quality, c.source_id from came c
  join interval_block b using (register_id, day) where (b.values, b.quality) is distinct from (c.values, c.quality))
insert into interval_block as b (utility_id, register_id, day, source_id, values, quality)
select %(u)s, register_id, day, source_id, values, quality from came order by register_id, day
on conflict (register_id, day) do update set source_id = excluded.source_id, values = excluded.values, quality = excluded.quality
where (b.values, b.quality) is distinct from (excluded.values, excluded.quality)"""


def merge(connection: Connection, utility: int, compared: Compared, believed: Container[UUID]) -> None:
    """Keep the blocks of those meter readings that are believed."""
    places = [n for n, one in enumerate(compared.brought) if one.reading in believed]
    if not places:
        return
    readings = [compared.brought[n].reading for n in places]
    rows = connection.exec_driver_sql(_SOURCE, {"u": utility, "ids": array(readings, "uuid")})
    sources = {row.meter_reading_id: row.id for row in rows}
    if compared.staged:
        told = array((sources.get(one.reading) for one in compared.brought), "int")
        connection.exec_driver_sql(_REPLACE, {"u": utility, "sources": told})
        return
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - a connection that is open has one
    with driver.pipeline(), driver.cursor() as cursor:  # the server writes one part while the next one is put into words
        for part in _parts(compared, [(compared.brought[n], sources[compared.brought[n].reading]) for n in places]):
            cursor.execute(_PUT, {"u": utility, **part}, prepare=False)


def _parts(compared: Compared, believed: Iterable[tuple[Brought, int]]) -> Iterator[dict[str, Any]]:
    """The blocks as columns, some thousands at a time."""
    registers: list[int] = []
    days: list[date] = []
    sources: list[int] = []
    values: list[str] = []
    qualities: list[str | None] = []
    for one, source in believed:
        for block in one.blocks:
            registers.append(compared.ids[one.meter, block.register, block.step])
            days.append(block.day)
            values.append(literal(block))
            qualities.append(_quality(block))
        sources += [source] * len(one.blocks)
        if len(values) >= CHUNK:
            yield _columns(registers, days, sources, values, qualities)
            registers, days, sources, values, qualities = [], [], [], [], []
    if values:
        yield _columns(registers, days, sources, values, qualities)


def _columns(registers: list[int], days: list[date], sources: list[int], values: list[str], qualities: list[str | None]) -> dict[str, Any]:
    told = qualities if any(qualities) else [None] * len(values)
    return {"ids": registers, "days": days, "sources": sources, "values": values, "qualities": told}
