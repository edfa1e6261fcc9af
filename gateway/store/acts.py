"""Acts about meters: written once under their kind and number; the end of a failure is the only thing that is added to one."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from gateway.domain.acts import Act
from gateway.domain.problems import Problem, Rejected
from gateway.domain.supply import SYSTEMS, key, unsigned
from gateway.store.links import within
from gateway.store.people import Sender
from gateway.store.rows import array


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """An act where it stands: the meter with its agreement and point, who wrote it and when, and who ended the failure."""

    meter: str
    agreement: str
    point: str
    act: Act
    by: str
    at: datetime
    ended_by: str
    ended_at: datetime | None


_FIELDS: Final = "c.kind, c.number, c.first_day, c.last_day, c.told, c.note, c.actor, c.at, c.ended_by, c.ended_at"
_PLACE: Final = "m.serial as meter, a.number as agreement, p.code as point"
_AROUND: Final = "join usage_point p on p.id = m.usage_point_id join agreement a on a.id = p.agreement_id"
_NAMED: Final = """select id from meter where utility_id = %(u)s and key = %(meter)s
  union select entity_id from external_id
    where utility_id = %(u)s and system = any(%(systems)s::text[]) and kind = 'meter' and key = %(meter)s
  union select h.id from external_id e join meter h on h.usage_point_id = e.entity_id and h.removed_on is null
    where e.utility_id = %(u)s and e.system = any(%(systems)s::text[]) and e.kind = 'point' and e.key = %(meter)s"""
"""The meters of a number, or of a code that another system has for them or their point."""
_INSERT: Final = """
insert into meter_act (utility_id, meter_id, kind, number, key, first_day, last_day, told, note, actor)
values (%(u)s, %(m)s, %(kind)s, %(number)s, %(key)s, %(first)s, %(last)s, %(told)s::jsonb, %(note)s, %(actor)s)
on conflict (meter_id, kind, key) do nothing"""
_END: Final = """
update meter_act set last_day = %(last)s, ended_by = %(actor)s, ended_at = clock_timestamp(),
  note = concat_ws(E'\n', nullif(note, ''), nullif(%(note)s, ''))
where meter_id = %(m)s and kind = %(kind)s and key = %(key)s and kind = 'failure' and last_day is null and first_day = %(first)s"""


def write(connection: Connection, sender: Sender, meter_id: int, act: Act) -> Written:
    """Write an act about a meter whose registers are held, and return it as it stands; the same act again changes nothing.

    A failure that lasts is ended by an act of the same number and first day that says its last one. Raises Rejected(act_differs) for an
    act that is known otherwise.
    """
    named = {
        "u": sender.utility_id,
        "m": meter_id,
        "kind": act.kind,
        "number": act.number,
        "key": key(act.number),
        "first": act.first,
        "last": act.last,
        "told": msgspec.json.encode(act.told()).decode(),
        "note": act.note,
        "actor": sender.principal,
    }
    new = connection.exec_driver_sql(_INSERT, named).rowcount
    if not new and act.last is not None:
        connection.exec_driver_sql(_END, named)
    row = connection.exec_driver_sql(
        f"select {_PLACE}, {_FIELDS} from meter_act c join meter m on m.id = c.meter_id {_AROUND} "
        "where c.meter_id = %(m)s and c.kind = %(kind)s and c.key = %(key)s",
        named,
    ).one()
    if (row.first_day, row.told) != (act.first, act.told()) or act.last not in (None, row.last_day):
        known = f"{row.first_day}" if act.kind != "failure" else f"{row.first_day} – {row.last_day or '…'}"
        told = {"number": unsigned(row.number), "meter": row.meter, "known": known}
        raise Rejected(Problem(code="act_differs", where="number", values=told))
    return _written(row)


def of_meter(connection: Connection, sender: Sender, meter: str, agreement: str) -> list[Written]:
    """The acts about the meters of a number or code that a sender may see, by days. Raises Rejected(meter_unknown)."""
    rows = connection.exec_driver_sql(
        f"select {_PLACE}, {_FIELDS} from meter m {_AROUND} left join meter_act c on c.meter_id = m.id "
        f"where m.id = any(array({_NAMED})) and (%(agreement)s = '' or a.key = %(agreement)s) "
        "and (%(ids)s::bigint[] is null or a.id = any(%(ids)s::bigint[])) order by a.key, p.key, m.id, c.first_day, c.id",
        within(sender) | {"meter": key(meter), "systems": array(SYSTEMS, "text"), "agreement": key(agreement) if agreement else ""},
    ).all()
    if not rows or not key(meter):
        raise Rejected(Problem(code="meter_unknown", where="meter", values={"meter": meter[:40]}))
    return [_written(row) for row in rows if row.kind is not None]


def _written(row: Any) -> Written:
    values = {name: {code: Decimal(value) for code, value in row.told.get(name, {}).items()} for name in ("final", "initial")}
    act = Act(
        kind=row.kind,
        number=row.number,
        first=row.first_day,
        last=row.last_day,
        successor=row.told.get("successor", ""),
        note=row.note,
        **values,
    )
    return Written(
        meter=row.meter,
        agreement=row.agreement,
        point=row.point,
        act=act,
        by=row.actor,
        at=row.at,
        ended_by=row.ended_by,
        ended_at=row.ended_at,
    )
