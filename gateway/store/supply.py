"""The registry of meters: looked up by the keys a sender wrote; `feed.py` feeds it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Row

from gateway.domain.supply import SYSTEMS, Failure, Meter, Register, Terms, entry_by_period, key
from gateway.store.rows import array


class Known(msgspec.Struct, gc=False):
    """A meter of the registry with the keys it is found under and the name of its agreement's profile."""

    meter: Meter
    key: str
    agreement_key: str
    point_key: str
    location_key: str
    profile: str
    point_id: int = 0


REGISTER: Final = (
    "r.id as register_id, r.code, r.digits, r.decimals, coalesce(r.last, r.initial) as last, r.last_period, r.last_at, "
    "r.last_reading_id, r.before, r.before_at, r.daily, array_to_string(r.season, ',', '') as season, r.estimated"
)
"""What is read of a register r."""
_METERS: Final = f"""
select m.id, m.serial, m.key, m.entry_open, coalesce(l.entry_open, true) as location_open,
  (select array_agg(e.kind || ' ' || e.period || ' ' || e.status) from entry_status e where (e.kind = 'meter' and e.entity_id = m.id)
    or (e.kind = 'location' and e.entity_id = l.id)) as statuses,
  p.code as point, p.key as point_key, p.name as point_name, coalesce(l.code, '') as location, coalesce(l.key, '') as location_key,
  coalesce(l.name, '') as location_name, a.id as agreement_id, a.number as agreement, a.key as agreement_key, a.profile,
  p.id as point_id, p.service, coalesce(a.window_day, c.window_day) as window_day, m.installed_on, m.removed_on, m.verify_by,
  (select max(b.code) from billing_period b where b.agreement_id = a.id and b.closed_at <= now()) as closed,
  l.max_power, p.closed_on as point_closed_on, a.closed_on as agreement_closed_on, a.price_category, m.max_flow,
  (select jsonb_agg(jsonb_build_array(f.kind, f.number, f.first_day, f.last_day) order by f.first_day, f.id) from meter_act f
    where f.meter_id = m.id and f.kind <> 'exchange') as acts,
  t.since, t.ratio_current, t.ratio_voltage, t.losses, t.losses_constant,
  {REGISTER}
from meter m join usage_point p on p.id = m.usage_point_id join agreement a on a.id = p.agreement_id
left join party c on c.id = a.party_id left join service_location l on l.id = p.service_location_id
join point_terms t on t.usage_point_id = p.id join register r on r.meter_id = m.id
"""


def lock_meters(connection: Connection, utility_id: int, serials: Iterable[str]) -> dict[str, list[Known]]:
    """Find the meters of these numbers, by key, and hold their registers until the transaction ends, in the order of their ids."""
    keys = sorted({code for code in map(key, serials) if code})
    found: dict[str, list[Known]] = {}
    if keys:
        rows = connection.exec_driver_sql(
            _METERS + "where m.utility_id = %(u)s and m.key = any(%(keys)s::text[]) order by m.id, t.since, r.id for no key update of r",
            {"u": utility_id, "keys": array(keys, "text")},
        )
        for known in _gather(rows.all()):
            found.setdefault(known.key, []).append(known)
    if len(found) < len(keys):
        _lock_named(connection, utility_id, [code for code in keys if code not in found], found)
    return found


def by_id(connection: Connection, ids: Iterable[int]) -> dict[int, Known]:
    """The meters of these ids as they stand, held by nobody."""
    rows = connection.exec_driver_sql(
        _METERS + "where m.id = any(%(ids)s::bigint[]) order by m.id, t.since, r.id", {"ids": array(ids, "bigint")}
    )
    return {known.meter.id: known for known in _gather(rows.all())}


def lock_points(connection: Connection, utility_id: int, points: Iterable[str], held: Mapping[str, list[Known]]) -> dict[str, list[Known]]:
    """The same for points without a meter, by the key of the point or of a code that another system has for it.

    Meters are held before them, so nobody waits in a ring; a meter that is among those `held` is the same object here.
    """
    keys = sorted({key(point) for point in points})
    same = {one.meter.id: one for others in held.values() for one in others}
    found: dict[str, list[Known]] = {}
    for one in _lock_bare(connection, utility_id, "p.key = any(%(keys)s::text[])", array(keys, "text")):
        found.setdefault(one.point_key, []).append(same.setdefault(one.meter.id, one))
    named = points_named(connection, utility_id, [code for code in keys if code not in found])
    if named:
        ids = array(sorted({id_ for of_code in named.values() for id_ in of_code}), "bigint")
        bare = [same.setdefault(one.meter.id, one) for one in _lock_bare(connection, utility_id, "p.id = any(%(keys)s::bigint[])", ids)]
        found |= {code: [one for one in bare if one.point_id in of_code] for code, of_code in named.items()}
    return found


def _lock_bare(connection: Connection, utility_id: int, which: str, keys: str) -> list[Known]:
    rows = connection.exec_driver_sql(
        _METERS + f"where m.utility_id = %(u)s and m.key = '' and {which} order by m.id, t.since, r.id for no key update of r",
        {"u": utility_id, "keys": keys},
    )
    return _gather(rows.all())


def points_named(connection: Connection, utility_id: int, keys: Sequence[str]) -> dict[str, set[int]]:
    """The ids of the points that other systems know by these keys; a code may be one system's for one point and another's for another."""
    found: dict[str, set[int]] = {}
    if keys:
        for code in _codes(connection, utility_id, keys, "point"):
            found.setdefault(code.key, set()).add(code.entity_id)
    return found


def _codes(connection: Connection, utility_id: int, keys: Iterable[str], *kinds: str) -> Sequence[Row[Any]]:
    """What other systems call by these keys: `key`, `kind` and `entity_id`."""
    return connection.exec_driver_sql(
        "select key, kind, entity_id from external_id where utility_id = %(u)s and system = any(%(systems)s::text[]) "
        "and kind = any(%(kinds)s::text[]) and key = any(%(keys)s::text[])",
        {"u": utility_id, "systems": array(SYSTEMS, "text"), "kinds": array(kinds, "text"), "keys": array(keys, "text")},
    ).all()


def _lock_named(connection: Connection, utility_id: int, keys: Sequence[str], found: dict[str, list[Known]]) -> None:
    """Look for numbers that no meter has among the codes of other systems; one of a point means the meters that hang there."""
    codes = _codes(connection, utility_id, keys, "meter", "point")
    if not codes:
        return
    ids = {kind: array((code.entity_id for code in codes if code.kind == kind), "bigint") for kind in ("meter", "point")}
    rows = connection.exec_driver_sql(
        _METERS + "where m.utility_id = %(u)s and (m.id = any(%(meter)s::bigint[]) "
        "or (m.usage_point_id = any(%(point)s::bigint[]) and m.removed_on is null)) order by m.id, t.since, r.id for no key update of r",
        {"u": utility_id, **ids},
    )
    same = {one.meter.id: one for others in found.values() for one in others}
    named = [same.setdefault(one.meter.id, one) for one in _gather(rows.all())]
    for code in codes:
        for one in named:
            there = one.meter.id if code.kind == "meter" else one.point_id
            if there == code.entity_id and not any(one is other for other in found.setdefault(code.key, [])):
                found[code.key].append(one)


def meters_of(connection: Connection, utility_id: int, agreement: str) -> list[Known]:
    """Every meter of an agreement in the order of objects and points: what a template lists."""
    rows = connection.exec_driver_sql(
        _METERS + "where a.utility_id = %(u)s and a.key = %(key)s order by l.code, p.code, m.id, t.since, r.id",
        {"u": utility_id, "key": key(agreement)},
    )
    return _gather(rows.all())


_TERMS: Final = 29
_REGISTER: Final = _TERMS + 5
"""Where the terms and the register begin in a row of _METERS."""


def _gather(rows: Iterable[Any]) -> list[Known]:
    """Meters out of rows that are ordered by meter, then by terms of its point, then by register."""
    found: list[Known] = []
    for _, own in groupby(rows, itemgetter(0)):
        first, *more = own
        terms = [Terms(*first[_TERMS:_REGISTER])]
        registers = [register_of(*first[_REGISTER:])]
        for row in more:
            if row[_TERMS] != terms[-1].since:
                terms.append(Terms(*row[_TERMS:_REGISTER]))
            if row[_TERMS] == terms[0].since:
                registers.append(register_of(*row[_REGISTER:]))
        found.append(_known(first, terms, tuple(registers)))
    return found


def _known(row: Any, terms: Sequence[Terms], registers: tuple[Register, ...]) -> Known:
    (id_, serial, own, entry_open, location_open, statuses, point, point_key, point_name, location, location_key, location_name, *more) = (
        row[:_TERMS]
    )
    agreement_id, agreement, agreement_key, profile, point_id, service, window_day, *days = more
    last = terms[-1]
    meter = Meter(
        id=id_,
        serial=serial,
        agreement=agreement,
        agreement_id=agreement_id,
        point=point,
        point_name=point_name,
        location=location,
        location_name=location_name,
        entry_open=entry_open and location_open,
        entry_periods=_entry(entry_open, location_open, statuses) if statuses else {},
        ratio=last.ratio_current * last.ratio_voltage,
        losses=last.losses,
        losses_constant=last.losses_constant,
        terms=tuple(terms),
        installed_on=days[0],
        removed_on=days[1],
        verify_by=days[2],
        closed=days[3] or "",
        max_power=days[4],
        point_closed_on=days[5],
        agreement_closed_on=days[6],
        price_category=days[7],
        max_flow=days[8],
        **(_acts(days[9]) if days[9] else {}),
        service=service,
        window_day=window_day,
        registers=registers,
    )
    return Known(meter, own, agreement_key, point_key, location_key, profile, point_id)


def _acts(rows: Iterable[tuple[str, str, str, str | None]]) -> dict[str, Any]:
    """What acts say of a meter, as fields of it, out of rows of kind, number, first and last day in the order of first days."""
    told = [(kind, number, date.fromisoformat(first), last and date.fromisoformat(last)) for kind, number, first, last in rows]
    failures = tuple(Failure(number, first, last or None) for kind, number, first, last in told if kind == "failure")
    return {"admitted_on": next((first for kind, _, first, _ in told if kind == "admission"), None), "failures": failures}


def _entry(meter: bool, location: bool, statuses: Iterable[str]) -> dict[str, bool]:  # noqa: FBT001 - two columns of a row
    """Whether entry is open, by period, by what billing said of the meter and its object (`meter 2024-01 Ожидание`)."""
    told: dict[str, dict[str, str]] = {"meter": {}, "location": {}}
    for one in statuses:
        kind, period, status = one.split(" ", 2)
        told[kind][period] = status
    return entry_by_period((meter, told["meter"]), (location, told["location"]))


def register_of(
    id_: int,
    code: str,
    digits: int,
    decimals: int,
    last: Decimal | None,
    last_period: str,
    last_at: datetime | None,
    last_reading: UUID | None,
    before: Decimal | None,
    before_at: datetime | None,
    daily: Decimal | None,
    season: str | None,
    estimated: int,
) -> Register:
    """A register out of the columns of REGISTER."""
    return Register(
        id=id_,
        code=code,
        digits=digits,
        decimals=decimals,
        last=last,
        last_period=last_period,
        last_at=last_at,
        last_reading=last_reading,
        before=before,
        before_at=before_at,
        daily=daily,
        season=season or "",
        estimated=estimated,
    )
