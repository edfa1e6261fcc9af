"""Old values on their way into what registers remember: staged by COPY, held beside the registry, read register by register."""

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Final

import msgspec
from sqlalchemy import Connection

from gateway.domain.recall import OldValue
from gateway.domain.supply import Register, key
from gateway.store.intake import remember
from gateway.store.rows import Together, copied
from gateway.store.supply import REGISTER, register_of


class Fault(msgspec.Struct, frozen=True):
    """What is wrong with the row of a line once the registry is asked.

    `kind`: `meter`, `meters` (several), `register`, `digits`, `day` (not over yet) or `twice`, then `earlier` is the line of the first.
    """

    line: int
    kind: str
    old: OldValue
    digits: int = 0
    earlier: int = 0


class Fallen(msgspec.Struct, frozen=True):
    """A value below the one before it, with its line."""

    line: int
    value: Decimal
    previous: Decimal


class Remembered(msgspec.Struct, frozen=True):
    """A register with its old values in the order of their days. `profile`, `service`, `window_day`: when readings of it are taken."""

    register: Register
    profile: str
    service: str
    window_day: int | None
    days: list[date]
    values: list[Decimal]


_BULK: Final = 2000
"""Above so many rows tables are joined as wholes, as `feed` does."""
_PLACE: Final = "agreement_key, point_key, meter_key, register"
_STAGE: Final = (
    "drop table if exists old",
    "drop table if exists place",
    "create temporary table old (n int, agreement text, meter text, point text, register text, day date, value numeric) on commit drop",
    "alter table old add agreement_key text, add meter_key text, add point_key text",
)
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_FOUND: Final = f"""
create temporary table place on commit drop as
with wanted as (select distinct {_PLACE} from old), there as (
  select w.*, m.id as meter_id from wanted w join meter m on m.utility_id = %(u)s and m.key = w.meter_key
  join usage_point p on p.id = m.usage_point_id and (w.point_key = '' or p.key = w.point_key)
  join agreement a on a.id = p.agreement_id and a.key = w.agreement_key where w.meter_key <> ''
  union all
  select w.*, m.id from wanted w join agreement a on a.utility_id = %(u)s and a.key = w.agreement_key
  join usage_point p on p.agreement_id = a.id and p.key = w.point_key
  join meter m on m.usage_point_id = p.id and m.key = '' where w.meter_key = '')
select w.agreement_key, w.point_key, w.meter_key, w.register, count(distinct t.meter_id) as meters,
  max(r.id) as register_id, max(r.digits) as digits
from wanted w left join there t using ({_PLACE}) left join register r on r.meter_id = t.meter_id and r.code = w.register
group by 1, 2, 3, 4"""


def stage(connection: Connection, utility_id: int, rows: Iterable[tuple[int, OldValue]]) -> int:
    """Put old values with their lines beside the registry, as they come; return how many. They are gone with the transaction."""
    for statement in _STAGE:
        connection.exec_driver_sql(statement)
    count = copied(connection, "old", (_text(line, old) for line, old in rows))
    connection.exec_driver_sql("analyze old")
    connection.exec_driver_sql(f"set local enable_nestloop = {'off' if count > _BULK else 'on'}")
    connection.exec_driver_sql(_FOUND, {"u": utility_id})
    connection.exec_driver_sql("analyze place")
    return count


def _text(line: int, old: OldValue) -> str:
    """A row in PostgreSQL's own words."""
    codes = [code.translate(_ESCAPES) for code in (old.agreement, old.meter, old.point, old.register)]
    keys = [key(code) if code else "" for code in (old.agreement, old.meter, old.point)]
    return "\t".join([str(line), *codes, str(old.date), str(old.value), *keys]) + "\n"


def faults(connection: Connection, today: date, limit: int) -> list[Fault]:
    """What is wrong with the staged rows, at most `limit` in the order of their lines; `today` and what comes after it is no history."""
    rows = connection.exec_driver_sql(
        f"""
with told as (select o.*, p.meters, p.register_id, p.digits,
  first_value(o.n) over (partition by p.register_id, o.day order by o.n) as earlier
  from old o join place p using ({_PLACE})),
wrong as (select *, case when meters = 0 then 'meter' when meters > 1 then 'meters' when register_id is null then 'register'
  when value < 0 or value >= 10::numeric ^ digits then 'digits' when day >= %(today)s then 'day' when earlier < n then 'twice' end as kind
  from told)
select n, kind, agreement, meter, point, register, day, value, coalesce(digits, 0) as digits, earlier from wrong
where kind is not null order by n limit %(limit)s""",
        {"today": today, "limit": limit},
    )
    return [
        Fault(
            row.n,
            row.kind,
            OldValue(agreement=row.agreement, meter=row.meter, point=row.point, register=row.register, date=row.day, value=row.value),
            row.digits,
            row.earlier,
        )
        for row in rows
    ]


def fallen(connection: Connection, limit: int) -> list[Fallen]:
    """The values that are lower than the one before them, at most `limit` in the order of their lines."""
    rows = connection.exec_driver_sql(
        f"select n, value, previous from (select o.n, o.value, lag(o.value) over (partition by p.register_id order by o.day) as previous "
        f"from old o join place p using ({_PLACE})) w where value < previous order by n limit %(limit)s",
        {"limit": limit},
    )
    return [Fallen(*row) for row in rows]


def hold(connection: Connection) -> None:
    """Hold the registers of the staged rows until the transaction ends, in the order in which readings hold them."""
    connection.exec_driver_sql(
        "select count(*) from (select from register where id in (select register_id from place) order by meter_id, id "
        "for no key update) held"
    )


def remembered(connection: Connection, size: int) -> Iterator[list[Remembered]]:
    """The registers of the staged rows with what they remember, so many at a time, out of a cursor of the server."""
    found = connection.exec_driver_sql(
        f"""
select {REGISTER}, a.profile, p.service, coalesce(a.window_day, c.window_day) as window_day, o.days, o.values
from (select p.register_id, array_agg(o.day order by o.day) as days, array_agg(o.value order by o.day) as values
  from old o join place p using ({_PLACE}) group by p.register_id) o
join register r on r.id = o.register_id join meter m on m.id = r.meter_id join usage_point p on p.id = m.usage_point_id
join agreement a on a.id = p.agreement_id left join party c on c.id = a.party_id""",
        execution_options={"stream_results": True, "max_row_buffer": size},
    )
    for rows in found.partitions(size):
        yield [Remembered(register_of(*row[:-5]), *row[-5:]) for row in rows]


def write(connection: Connection, registers: Iterable[Register]) -> None:
    """Write what these registers remember."""
    together = Together()
    remember(together, registers)
    together.run(connection, "select 1", {})
