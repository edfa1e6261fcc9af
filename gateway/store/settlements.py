"""Billing's later word, kept as it came and applied to the readings it used."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Connection

from gateway.domain.problems import Problem
from gateway.domain.settlement import Settlement, Stage
from gateway.domain.status import ReadingStatus
from gateway.domain.supply import key
from gateway.store.readings import move
from gateway.store.rows import array

_PLACES: Final = """
select n.i, a.id as agreement_id, (select m.id from meter m join usage_point p on p.id = m.usage_point_id
  where p.agreement_id = a.id and m.key = n.meter and n.meter <> '' order by m.id limit 1) as meter_id
from unnest(%(i)s::int[], %(agreements)s::text[], %(meters)s::text[]) n(i, agreement, meter)
join agreement a on a.utility_id = %(u)s and a.key = n.agreement"""

_KEEP: Final = """
insert into settlement (utility_id, agreement_id, meter_id, point, quantity, period, stage, version, volume, unit, method, amount,
  reference, at, readings)
values (%(u)s, %(agreement_id)s, %(meter_id)s, %(point)s, %(quantity)s, %(period)s, %(stage)s, %(version)s, %(volume)s, %(unit)s,
  %(method)s, %(amount)s, %(reference)s, %(at)s, %(readings)s::uuid[])
on conflict on constraint settlement_word do nothing returning id"""

_SAME: Final = """
select id from settlement where utility_id = %(u)s and agreement_id = %(agreement_id)s and meter_id is not distinct from %(meter_id)s
  and point = %(point)s and quantity = %(quantity)s and period = %(period)s and version = %(version)s and stage = %(stage)s
  and volume = %(volume)s and amount is not distinct from %(amount)s and method = %(method)s"""

_STALE: Final = """
select exists (select from settlement where utility_id = %(u)s and agreement_id = %(agreement_id)s
  and meter_id is not distinct from %(meter_id)s and point = %(point)s and quantity = %(quantity)s
  and period = %(period)s and version > %(version)s)"""


def reading_id(text: str) -> UUID | None:
    """The id of a reading from its public form, None when it is none of ours."""
    try:
        return UUID(text.removeprefix("rdg_"))
    except ValueError:
        return None


def apply(connection: Connection, utility_id: int, settlements: Sequence[Settlement], *, actor: str) -> list[tuple[str, Problem | None]]:
    """Keep each word once and move the readings it used forward. Return per settlement applied, repeated, stale or refused, with why.

    Late, repeated and out-of-order words never move a state backwards: the arrows of `domain/status.py` guard each move.
    """
    places = {
        row.i: row
        for row in connection.exec_driver_sql(
            _PLACES,
            {
                "u": utility_id,
                "i": array(range(len(settlements)), "int"),
                "agreements": array((key(s.agreement) if s.agreement else "" for s in settlements), "text"),
                "meters": array((key(s.meter) if s.meter else "" for s in settlements), "text"),
            },
        )
    }
    named = {id_ for s in settlements for text in s.readings if (id_ := reading_id(text))}
    known = _known(connection, utility_id, named)
    outcomes: list[tuple[str, Problem | None]] = []
    moves: dict[Stage, list[tuple[UUID, str]]] = {Stage.CALCULATED: [], Stage.BILLED: []}
    for index, settlement in enumerate(settlements):
        used = [reading_id(text) for text in settlement.readings]
        place, where = places.get(index), f"settlements[{index}]"
        if place is None:
            outcomes.append(("refused", Problem(code="agreement_unknown", where=where, values={"agreement": settlement.agreement})))
        elif settlement.meter and place.meter_id is None:
            outcomes.append(("refused", Problem(code="meter_unknown", where=where, values={"meter": settlement.meter})))
        elif any(id_ is None or known.get(id_) != place.agreement_id for id_ in used):
            outcomes.append(("refused", Problem(code="settlement_unknown", where=where)))
        else:
            ids = [id_ for id_ in used if id_ is not None]
            outcomes.append(_keep(connection, utility_id, settlement, place.agreement_id, place.meter_id, ids, where))
            if outcomes[-1][0] == "applied":
                moves[settlement.stage] += [(id_, settlement.reference) for id_ in ids]
    for stage, rows in moves.items():
        move(connection, ReadingStatus(stage.value), list(dict(rows).items()), actor=actor)
    return outcomes


def _known(connection: Connection, utility_id: int, ids: set[UUID]) -> dict[UUID, int]:
    """The agreement of each of these readings, by the reading's id; those of another utility are absent."""
    rows = connection.exec_driver_sql(
        "select r.id, p.agreement_id from meter_reading r join meter m on m.id = r.meter_id join usage_point p on p.id = m.usage_point_id "
        "where r.utility_id = %(u)s and r.id = any(%(ids)s::uuid[])",
        {"u": utility_id, "ids": array(ids, "uuid")},
    )
    return {row.id: row.agreement_id for row in rows}


def _keep(
    connection: Connection,
    utility_id: int,
    settlement: Settlement,
    agreement_id: int,
    meter_id: int | None,
    readings: list[UUID],
    where: str,
) -> tuple[str, Problem | None]:
    values = {
        "u": utility_id,
        "agreement_id": agreement_id,
        "meter_id": meter_id,
        "point": settlement.point,
        "quantity": settlement.quantity,
        "period": settlement.period,
        "stage": settlement.stage.value,
        "version": settlement.version,
        "volume": settlement.volume,
        "unit": settlement.unit,
        "method": settlement.method.value,
        "amount": settlement.amount,
        "reference": settlement.reference,
        "at": settlement.at,
        "readings": array(readings, "uuid"),
    }
    if connection.exec_driver_sql(_KEEP, values).one_or_none() is None:
        if connection.exec_driver_sql(_SAME, values).one_or_none() is None:
            return "refused", Problem(code="settlement_conflict", where=where, values={"version": str(settlement.version)})
        return "repeated", None
    if connection.exec_driver_sql(_STALE, values).scalar_one():
        return "stale", Problem(code="settlement_stale", where=where, values={"version": str(settlement.version)})
    return "applied", None
