"""The registry of meters: looked up by the keys a sender wrote, fed by imports."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection

from gateway.domain.supply import Meter, Register, key
from gateway.store.rows import array


class Known(msgspec.Struct, gc=False):
    """A meter of the registry with the keys it is found under and the name of its agreement's profile."""

    meter: Meter
    key: str
    agreement_key: str
    point_key: str
    location_key: str
    profile: str


_METERS = """
select m.id, m.serial, m.key, m.ratio, m.losses, m.entry_open and coalesce(l.entry_open, true) as entry_open,
  p.code as point, p.key as point_key, p.name as point_name, coalesce(l.code, '') as location, coalesce(l.key, '') as location_key,
  coalesce(l.name, '') as location_name, a.id as agreement_id, a.number as agreement, a.key as agreement_key, a.profile,
  r.id as register_id, r.code, r.digits, r.decimals, r.last, r.last_period, r.last_at, r.last_reading_id, r.before
from meter m join usage_point p on p.id = m.usage_point_id join agreement a on a.id = p.agreement_id
left join service_location l on l.id = p.service_location_id join register r on r.meter_id = m.id
"""


def lock_meters(connection: Connection, utility_id: int, serials: Iterable[str]) -> dict[str, list[Known]]:
    """Find the meters of these numbers, by key, and hold their registers until the transaction ends, in the order of their ids."""
    keys = sorted({key(serial) for serial in serials if serial})
    found: dict[str, list[Known]] = {}
    if keys:
        rows = connection.exec_driver_sql(
            _METERS + "where m.utility_id = %(u)s and m.key = any(%(keys)s::text[]) order by m.id, r.id for no key update of r",
            {"u": utility_id, "keys": array(keys, "text")},
        )
        for known in _gather(rows.all()):
            found.setdefault(known.key, []).append(known)
    return found


def meters_of(connection: Connection, utility_id: int, agreement: str) -> list[Known]:
    """Every meter of an agreement in the order of objects and points: what a template lists."""
    rows = connection.exec_driver_sql(
        _METERS + "where a.utility_id = %(u)s and a.key = %(key)s order by l.code, p.code, m.id, r.id",
        {"u": utility_id, "key": key(agreement)},
    )
    return _gather(rows.all())


def _gather(rows: Sequence[Any]) -> list[Known]:
    meters: list[Known] = []
    registers: list[Register] = []
    last = None
    for row in rows:
        (m, serial, k, ratio, losses, entry_open, point, pk, pn, loc, lk, ln, aid, agreement, ak, profile, *register) = row
        rid, code, digits, decimals, value, period, at, reading, before = register
        if m != last:
            registers = []
            meter = Meter(
                id=m,
                serial=serial,
                agreement=agreement,
                agreement_id=aid,
                point=point,
                point_name=pn,
                location=loc,
                location_name=ln,
                entry_open=entry_open,
                ratio=ratio,
                losses=losses,
            )
            meters.append(Known(meter, k, ak, pk, lk, profile))
            last = m
        registers.append(
            Register(
                id=rid,
                code=code,
                digits=digits,
                decimals=decimals,
                last=value,
                last_period=period,
                last_at=at,
                before=before,
                last_reading=reading,
            )
        )
        meters[-1].meter = msgspec.structs.replace(meters[-1].meter, registers=tuple(registers))
    return meters


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a registry file: one register with all that stands above it."""

    agreement: str
    party: str = ""
    location: str = ""
    location_name: str = ""
    point: str
    point_name: str = ""
    meter: str
    register: str
    digits: int
    decimals: int = 0
    ratio: Decimal = Decimal(1)
    losses: Decimal = Decimal(0)
    entry_open: bool = True
    last: Decimal | None = None
    last_period: str = ""


_IMPORT = (
    """insert into agreement (utility_id, number, key, party, profile)
select distinct on (agreement_key) %(u)s, agreement, agreement_key, party, %(profile)s from line order by agreement_key
on conflict (utility_id, key) do update set number = excluded.number, party = excluded.party, profile = excluded.profile""",
    """insert into service_location (utility_id, agreement_id, code, key, name, entry_open)
select distinct on (a.id, location_key) %(u)s, a.id, location, location_key, location_name, entry_open
from line join agreement a on a.utility_id = %(u)s and a.key = agreement_key where location <> '' order by a.id, location_key
on conflict (utility_id, agreement_id, key) do update set code = excluded.code, name = excluded.name, entry_open = excluded.entry_open""",
    """insert into usage_point (utility_id, agreement_id, service_location_id, code, key, name)
select distinct on (a.id, point_key) %(u)s, a.id, l.id, point, point_key, point_name
from line join agreement a on a.utility_id = %(u)s and a.key = agreement_key
left join service_location l on l.utility_id = %(u)s and l.agreement_id = a.id and l.key = location_key order by a.id, point_key
on conflict (utility_id, agreement_id, key) do update set
  code = excluded.code, name = excluded.name, service_location_id = excluded.service_location_id""",
    """insert into meter (utility_id, usage_point_id, serial, key, ratio, losses, entry_open)
select distinct on (p.id, meter_key) %(u)s, p.id, meter, meter_key, ratio, losses, entry_open
from line join agreement a on a.utility_id = %(u)s and a.key = agreement_key
join usage_point p on p.utility_id = %(u)s and p.agreement_id = a.id and p.key = point_key order by p.id, meter_key
on conflict (utility_id, usage_point_id, key) do update set
  serial = excluded.serial, ratio = excluded.ratio, losses = excluded.losses, entry_open = excluded.entry_open""",
    """insert into register (utility_id, meter_id, code, digits, decimals, last, last_period)
select distinct on (m.id, register) %(u)s, m.id, register, digits, decimals, last, last_period
from line join agreement a on a.utility_id = %(u)s and a.key = agreement_key
join usage_point p on p.utility_id = %(u)s and p.agreement_id = a.id and p.key = point_key
join meter m on m.utility_id = %(u)s and m.usage_point_id = p.id and m.key = meter_key order by m.id, register
on conflict (meter_id, code) do update set digits = excluded.digits, decimals = excluded.decimals""",
)

_LINE = """create temporary table line on commit drop as
select * from unnest(%(agreement)s::text[], %(agreement_key)s::text[], %(party)s::text[], %(location)s::text[], %(location_key)s::text[],
  %(location_name)s::text[], %(point)s::text[], %(point_key)s::text[], %(point_name)s::text[], %(meter)s::text[], %(meter_key)s::text[],
  %(register)s::text[], %(digits)s::smallint[], %(decimals)s::smallint[], %(ratio)s::numeric[], %(losses)s::numeric[],
  %(entry_open)s::boolean[], %(last)s::numeric[], %(last_period)s::text[])
  as t(agreement, agreement_key, party, location, location_key, location_name, point, point_key, point_name, meter, meter_key, register,
    digits, decimals, ratio, losses, entry_open, last, last_period)"""


def import_lines(connection: Connection, utility_id: int, profile: str, lines: Sequence[Line]) -> int:
    """Bring registry rows in, new or changed; values already believed are never overwritten by an import. Return the count of registers."""
    if not lines:
        return 0
    columns: dict[str, str] = {}
    for field in Line.__struct_fields__:
        kind = "numeric" if field in ("ratio", "losses", "last", "digits", "decimals", "entry_open") else "text"
        columns[field] = array((getattr(line, field) for line in lines), kind)
    for field in ("agreement", "location", "point", "meter"):
        columns[f"{field}_key"] = array((key(getattr(line, field)) if getattr(line, field) else "" for line in lines), "text")
    connection.exec_driver_sql(_LINE, columns)
    for statement in _IMPORT:
        connection.exec_driver_sql(statement, {"u": utility_id, "profile": profile})
    connection.exec_driver_sql("drop table line")
    return len(lines)
