"""The registry of meters: looked up by the keys a sender wrote, fed by imports."""

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from gateway.domain.supply import Meter, Register, Terms, key
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
select m.id, m.serial, m.key, m.entry_open and coalesce(l.entry_open, true) as entry_open,
  p.code as point, p.key as point_key, p.name as point_name, coalesce(l.code, '') as location, coalesce(l.key, '') as location_key,
  coalesce(l.name, '') as location_name, a.id as agreement_id, a.number as agreement, a.key as agreement_key, a.profile,
  p.service, coalesce(a.window_day, c.window_day) as window_day, m.installed_on, m.removed_on, m.verify_by,
  t.since, t.ratio_current, t.ratio_voltage, t.losses, t.losses_constant,
  r.id as register_id, r.code, r.digits, r.decimals, r.last, r.last_period, r.last_at, r.last_reading_id, r.before
from meter m join usage_point p on p.id = m.usage_point_id join agreement a on a.id = p.agreement_id
left join party c on c.id = a.party_id left join service_location l on l.id = p.service_location_id
join point_terms t on t.usage_point_id = p.id join register r on r.meter_id = m.id
"""


def lock_meters(connection: Connection, utility_id: int, serials: Iterable[str]) -> dict[str, list[Known]]:
    """Find the meters of these numbers, by key, and hold their registers until the transaction ends, in the order of their ids."""
    keys = sorted({key(serial) for serial in serials if serial})
    found: dict[str, list[Known]] = {}
    if keys:
        rows = connection.exec_driver_sql(
            _METERS + "where m.utility_id = %(u)s and m.key = any(%(keys)s::text[]) order by m.id, t.since, r.id for no key update of r",
            {"u": utility_id, "keys": array(keys, "text")},
        )
        for known in _gather(rows.all()):
            found.setdefault(known.key, []).append(known)
    return found


def meters_of(connection: Connection, utility_id: int, agreement: str) -> list[Known]:
    """Every meter of an agreement in the order of objects and points: what a template lists."""
    rows = connection.exec_driver_sql(
        _METERS + "where a.utility_id = %(u)s and a.key = %(key)s order by l.code, p.code, m.id, t.since, r.id",
        {"u": utility_id, "key": key(agreement)},
    )
    return _gather(rows.all())


def _gather(rows: Sequence[Any]) -> list[Known]:
    """Meters out of rows that are ordered by meter, then by terms of its point, then by register."""
    return [_known(list(own)) for _, own in groupby(rows, attrgetter("id"))]


def _known(rows: Sequence[Any]) -> Known:
    first = rows[0]
    terms = {row.since: Terms(row.since, row.ratio_current, row.ratio_voltage, row.losses, row.losses_constant) for row in rows}
    registers = tuple(
        Register(
            id=row.register_id,
            code=row.code,
            digits=row.digits,
            decimals=row.decimals,
            last=row.last,
            last_period=row.last_period,
            last_at=row.last_at,
            before=row.before,
            last_reading=row.last_reading_id,
        )
        for row in rows[: len(rows) // len(terms)]
    )
    meter = Meter(
        id=first.id,
        serial=first.serial,
        agreement=first.agreement,
        agreement_id=first.agreement_id,
        point=first.point,
        point_name=first.point_name,
        location=first.location,
        location_name=first.location_name,
        entry_open=first.entry_open,
        service=first.service,
        window_day=first.window_day,
        installed_on=first.installed_on,
        removed_on=first.removed_on,
        verify_by=first.verify_by,
        terms=tuple(terms.values()),
        registers=registers,
    ).on(date.max)
    return Known(meter, first.key, first.agreement_key, first.point_key, first.location_key, first.profile)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a registry file: one register with all that stands above it.

    `party_code`: what tells parties apart, their name when it is empty. `window_day`, `party_window_day`: the day that the agreement or
    its party has for itself in the window of the profile. `service`: as profiles name it. `ratio`: Kтт, `ratio_voltage`: Kтн, `losses`: a
    signed fraction, `losses_constant`: a signed amount a period; they count from `since` on, or, without it, as long as the last ones told.
    `removed_on`: the day a meter was exchanged; it takes no later reading.
    """

    agreement: str
    party: str = ""
    party_code: str = ""
    party_window_day: int | None = None
    window_day: int | None = None
    location: str = ""
    location_name: str = ""
    point: str
    point_name: str = ""
    service: str = ""
    since: date | None = None
    ratio: Decimal = Decimal(1)
    ratio_voltage: Decimal = Decimal(1)
    losses: Decimal = Decimal(0)
    losses_constant: Decimal = Decimal(0)
    meter: str
    model: str = ""
    installed_on: date | None = None
    removed_on: date | None = None
    verify_by: date | None = None
    register: str
    digits: int
    decimals: int = 0
    entry_open: bool = True
    last: Decimal | None = None
    last_period: str = ""


_TYPES: Final = {
    **dict.fromkeys(("party_window_day", "window_day", "digits", "decimals"), "smallint"),
    **dict.fromkeys(("since", "installed_on", "removed_on", "verify_by"), "date"),
    **dict.fromkeys(("ratio", "ratio_voltage", "losses", "losses_constant", "last"), "numeric"),
    "entry_open": "boolean",
}
_KEYS: Final = ("agreement", "party", "location", "point", "meter")
"""What is matched on a folded key."""

_IMPORT = (
    """insert into party (utility_id, code, key, name, window_day)
select distinct on (party_key) %(u)s, party_code, party_key, party, party_window_day from line where party_key <> '' order by party_key
on conflict (utility_id, key) do update set code = excluded.code, name = excluded.name, window_day = excluded.window_day""",
    """insert into agreement (utility_id, number, key, profile, party_id, window_day)
select distinct on (agreement_key) %(u)s, agreement, agreement_key, %(profile)s, c.id, l.window_day from line l
left join party c on c.utility_id = %(u)s and c.key = party_key and party_key <> '' order by agreement_key
on conflict (utility_id, key) do update set
  number = excluded.number, profile = excluded.profile, party_id = excluded.party_id, window_day = excluded.window_day""",
    """insert into service_location (utility_id, agreement_id, code, key, name, entry_open)
select distinct on (a.id, location_key) %(u)s, a.id, location, location_key, location_name, entry_open
from line join agreement a on a.utility_id = %(u)s and a.key = agreement_key where location <> '' order by a.id, location_key
on conflict (utility_id, agreement_id, key) do update set code = excluded.code, name = excluded.name, entry_open = excluded.entry_open""",
    """insert into usage_point (utility_id, agreement_id, service_location_id, code, key, name, service)
select distinct on (a.id, point_key) %(u)s, a.id, l.id, point, point_key, point_name, service
from line join agreement a on a.utility_id = %(u)s and a.key = agreement_key
left join service_location l on l.utility_id = %(u)s and l.agreement_id = a.id and l.key = location_key order by a.id, point_key
on conflict (utility_id, agreement_id, key) do update set
  code = excluded.code, name = excluded.name, service_location_id = excluded.service_location_id, service = excluded.service""",
    """insert into point_terms (utility_id, usage_point_id, since, ratio_current, ratio_voltage, losses, losses_constant)
select distinct on (p.id) %(u)s, p.id, coalesce(line.since, known.since, date '1900-01-01'), ratio, ratio_voltage, losses, losses_constant
from line join agreement a on a.utility_id = %(u)s and a.key = agreement_key
join usage_point p on p.utility_id = %(u)s and p.agreement_id = a.id and p.key = point_key
left join lateral (select max(t.since) as since from point_terms t where t.usage_point_id = p.id) known on true order by p.id
on conflict (usage_point_id, since) do update set ratio_current = excluded.ratio_current, ratio_voltage = excluded.ratio_voltage,
  losses = excluded.losses, losses_constant = excluded.losses_constant""",
    """insert into meter (utility_id, usage_point_id, serial, key, entry_open, model, installed_on, removed_on, verify_by)
select distinct on (p.id, meter_key) %(u)s, p.id, meter, meter_key, entry_open, model, installed_on, removed_on, verify_by
from line join agreement a on a.utility_id = %(u)s and a.key = agreement_key
join usage_point p on p.utility_id = %(u)s and p.agreement_id = a.id and p.key = point_key order by p.id, meter_key
on conflict (utility_id, usage_point_id, key) do update set serial = excluded.serial, entry_open = excluded.entry_open,
  model = excluded.model, installed_on = excluded.installed_on, removed_on = excluded.removed_on, verify_by = excluded.verify_by""",
    """insert into register (utility_id, meter_id, code, digits, decimals, last, last_period)
select distinct on (m.id, register) %(u)s, m.id, register, digits, decimals, last, last_period
from line join agreement a on a.utility_id = %(u)s and a.key = agreement_key
join usage_point p on p.utility_id = %(u)s and p.agreement_id = a.id and p.key = point_key
join meter m on m.utility_id = %(u)s and m.usage_point_id = p.id and m.key = meter_key order by m.id, register
on conflict (meter_id, code) do update set digits = excluded.digits, decimals = excluded.decimals""",
)


def import_lines(connection: Connection, utility_id: int, profile: str, lines: Sequence[Line]) -> int:
    """Bring registry rows in, new or changed; values already believed are never overwritten by an import. Return the count of registers."""
    if not lines:
        return 0
    types = {field: _TYPES.get(field, "text") for field in Line.__struct_fields__} | {f"{field}_key": "text" for field in _KEYS}
    told = [msgspec.structs.replace(line, party_code=line.party_code or line.party) for line in lines]
    columns = {field: array((getattr(line, field) for line in told), types[field]) for field in Line.__struct_fields__}
    for field in _KEYS:
        source = "party_code" if field == "party" else field
        columns[f"{field}_key"] = array((key(getattr(line, source)) if getattr(line, source) else "" for line in told), "text")
    arrays = ", ".join(f"%({field})s::{kind}[]" for field, kind in types.items())
    connection.exec_driver_sql(
        f"create temporary table line on commit drop as select * from unnest({arrays}) as t({', '.join(types)})", columns
    )
    for statement in _IMPORT:
        connection.exec_driver_sql(statement, {"u": utility_id, "profile": profile})
    connection.exec_driver_sql("drop table line")
    return len(lines)
