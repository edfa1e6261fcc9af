"""The readings of an agreement or meter, newest first, page by page, with billing's words on them; and their sums by month or year."""

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection

from gateway.domain.history import Past, Place, Reach, Settled, Shown, Step, Sum, settled
from gateway.domain.status import ReadingStatus
from gateway.domain.supply import key
from gateway.store.people import Sender
from gateway.store.readings import BELIEVED
from gateway.store.rows import array

_PLACE: Final = """
with place as materialized (
  select e.id as meter_id, e.serial, a.id as agreement_id, a.number, a.profile, coalesce(l.code, '') as location,
    coalesce(l.address, '') as address, p.code as point, p.name as point_name
  from agreement a join usage_point p on p.agreement_id = a.id join meter e on e.usage_point_id = p.id
  left join service_location l on l.id = p.service_location_id
  where a.utility_id = %(u)s and (%(ids)s::bigint[] is null or a.id = any(%(ids)s::bigint[])) {where})"""
_WHERE: Final = {
    "agreement": "and a.key = %(agreement)s",
    "meter": "and e.utility_id = %(u)s and e.key = %(meter)s",
    "location": "and l.key = %(location)s",
    "address": "and position(%(address)s in lower(l.address)) > 0",
}
_STANDS: Final = """m.meter_id = place.meter_id and m.period between %(first)s and %(last)s and m.status = any(%(states)s::text[])
  and (%(since)s::timestamptz is null or m.at >= %(since)s) and (%(until)s::timestamptz is null or m.at < %(until)s)"""
_PAGE: Final = f""",
page as (select n.id, place.meter_id, n.period from place cross join lateral (
    select m.id, m.period from meter_reading m where {_STANDS}
      and (%(before)s::uuid is null or (m.period, m.id) < (%(before_period)s, %(before)s::uuid))
    order by m.period desc, m.id desc limit %(limit)s) n
  order by n.period desc, n.id desc limit %(limit)s)
select m.id, m.period, m.at, m.status, m.revision, coalesce(nullif(m.source, ''), s.channel) as source, s.received_at, m.same_as,
  place.meter_id, place.serial, place.agreement_id, place.number, place.profile, place.location, place.address, place.point,
  place.point_name, r.register, r.value, r.previous, r.consumption, r.volume
from page join meter_reading m on m.id = page.id join place on place.meter_id = page.meter_id join submission s on s.id = m.submission_id
left join reading r on r.meter_reading_id = m.id
order by page.period desc, page.id desc, r.ordinal"""
_SUMS: Final = f""",
page as (select distinct substr(m.period, 1, %(length)s) as span, m.meter_id
  from place join meter_reading m on {_STANDS} and m.same_as is null and m.period <> ''
  and (%(before)s::bigint is null or (substr(m.period, 1, %(length)s), m.meter_id) < (%(before_period)s, %(before)s::bigint))
  order by span desc, m.meter_id desc limit %(limit)s),
used as (select page.span, page.meter_id, r.register, m.period, count(distinct m.id) as readings,
    coalesce(sum(r.consumption) filter (where not r.volume), sum(r.consumption) filter (where r.volume)) as consumption,
    (array_agg(r.value order by m.at desc) filter (where not r.volume))[1] as last
  from page join meter_reading m on m.meter_id = page.meter_id and m.period like page.span || '%%'
  join reading r on r.meter_reading_id = m.id
  join place on {_STANDS} and m.same_as is null
  group by 1, 2, 3, 4)
select span, place.meter_id, register, sum(readings)::int as readings, sum(consumption) as consumption,
  (array_agg(last order by period desc) filter (where last is not null))[1] as last,
  place.serial, place.number, place.profile, place.location, place.address, place.point, place.point_name
from used join place on place.meter_id = used.meter_id
group by span, place.meter_id, register, place.serial, place.number, place.profile, place.location, place.address, place.point,
  place.point_name order by span desc, place.meter_id desc, register"""
_WORDS: Final = """
select distinct on (agreement_id, meter_id, point, quantity, period) agreement_id, meter_id, point, quantity, period, volume, unit, method,
  readings from settlement where utility_id = %(u)s and agreement_id = any(%(agreements)s::bigint[]) and period = any(%(periods)s::text[])
order by agreement_id, meter_id, point, quantity, period, version desc, stage = 'billed' desc"""
_SHOWN: Final = tuple(status for status in ReadingStatus if status is not ReadingStatus.DRAFT)


def readings(connection: Connection, sender: Sender, reach: Reach, *, before: tuple[str, UUID] | None = None, limit: int) -> list[Past]:
    """Readings that were handed in, within what a sender may see, newest period first; `before`: only what comes after this one."""
    told = _told(sender, reach, (reach.status,) if reach.status else _SHOWN, limit)
    period, id_ = before or (None, None)
    told["last"] = min(told["last"], "9999" if period is None else period)
    rows = connection.exec_driver_sql(_place(reach) + _PAGE, told | {"before": id_, "before_period": period}).mappings().all()
    words = _words(connection, sender.utility_id, rows)
    return [_past(list(own), words) for _, own in groupby(rows, itemgetter("id"))]


def sums(
    connection: Connection, sender: Sender, reach: Reach, step: Step, *, before: tuple[str, int] | None = None, limit: int
) -> list[Sum]:
    """What each register used in each month or year by the readings that stand, newest first, of at most `limit` meters and spans."""
    told = _told(sender, reach, BELIEVED, limit) | {"length": 7 if step == "month" else 4}
    span, meter = before or (None, None)
    rows = connection.exec_driver_sql(_place(reach) + _SUMS, told | {"before": meter, "before_period": span})
    return [
        Sum(
            span=row["span"],
            meter_id=row["meter_id"],
            place=_where(row),
            register=row["register"],
            readings=row["readings"],
            consumption=row["consumption"],
            last=row["last"],
        )
        for row in rows.mappings()
    ]


def _place(reach: Reach) -> str:
    return _PLACE.format(where=" ".join(text for name, text in _WHERE.items() if getattr(reach, name)))


def _told(sender: Sender, reach: Reach, states: Iterable[ReadingStatus], limit: int) -> dict[str, Any]:
    return {
        "u": sender.utility_id,
        "ids": None if sender.agreement_ids is None else array(sender.agreement_ids, "bigint"),
        **{name: key(code) if (code := getattr(reach, name)) else "" for name in ("agreement", "meter", "location")},
        "address": reach.address.strip().lower(),
        "first": reach.first,
        "last": reach.last or "9999",
        "since": reach.since,
        "until": reach.until,
        "states": array(states, "text"),
        "limit": limit,
    }


def _words(connection: Connection, utility: int, rows: Iterable[Any]) -> dict[tuple[int, str], list[Settled]]:
    """Billing's newest words on the agreements and periods of these rows."""
    places = {(row["agreement_id"], row["period"]) for row in rows}
    found: dict[tuple[int, str], list[Settled]] = {}
    if places:
        told = {
            "u": utility,
            "agreements": array({agreement for agreement, _ in places}, "bigint"),
            "periods": array({period for _, period in places}, "text"),
        }
        for row in connection.exec_driver_sql(_WORDS, told).mappings():
            one = Settled(**(dict(row) | {"readings": tuple(row["readings"])}))
            found.setdefault((one.agreement_id, one.period), []).append(one)
    return found


def _past(own: list[Any], words: dict[tuple[int, str], list[Settled]]) -> Past:
    row = own[0]
    status, said = ReadingStatus(row["status"]), words.get((row["agreement_id"], row["period"]), [])
    reading = row["same_as"] or row["id"]
    return Past(
        id=row["id"],
        place=_where(row),
        period=row["period"],
        at=row["at"],
        status=status,
        revision=row["revision"],
        source=row["source"],
        received_at=row["received_at"],
        same_as=row["same_as"],
        values=tuple(
            Shown(
                register=value["register"],
                value=value["value"],
                previous=value["previous"],
                consumption=value["consumption"],
                volume=value["volume"],
                settled=settled(said, reading, status, row["meter_id"], row["point"], value["register"]),
            )
            for value in own
            if value["register"] is not None
        ),
    )


def _where(row: Any) -> Place:
    return Place(
        agreement=row["number"],
        profile=row["profile"],
        location=row["location"],
        address=row["address"],
        point=row["point"],
        point_name=row["point_name"],
        meter=row["serial"],
    )
