"""The registry of meters: looked up by the keys a sender wrote; `feed.py` feeds it."""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import groupby
from operator import attrgetter
from typing import Any

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
  r.id as register_id, r.code, r.digits, r.decimals, r.last, r.last_period, r.last_at, r.last_reading_id, r.before,
  r.before_at, r.daily
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
            before_at=row.before_at,
            daily=row.daily,
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
