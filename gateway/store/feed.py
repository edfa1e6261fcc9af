"""Feeds the registry: rows staged by COPY, held beside what is known, then brought in all or not at all.

A row of any source (file, API, a billing's list) is a `Line`: one register with all that stands above it.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any, Final

import msgspec
from psycopg import sql
from sqlalchemy import Connection

from gateway.domain.supply import Line, key


class Change(msgspec.Struct, frozen=True):
    """What a feed would do to one thing. `key`: its folded keys from the agreement down. `was`: None for what is new."""

    kind: str
    key: tuple[str, ...]
    was: dict[str, Any] | None
    now: dict[str, Any]


class Clash(msgspec.Struct, frozen=True):
    """A row that says something else of a thing than an earlier row does, or names a register once more.

    `row`, `earlier`: counted from 0 in the order they came. `field`: what differs, of a register its code.
    """

    row: int
    earlier: int
    kind: str
    field: str


class _Part(msgspec.Struct, frozen=True):
    """One kind of thing in a row. `key`: columns that tell it apart, all of them filled; `told`: field -> the column it comes from."""

    kind: str
    key: tuple[str, ...]
    told: dict[str, str]
    there: str


FIELDS: Final = Line.__struct_fields__
_TYPES: Final = {
    **dict.fromkeys(FIELDS, "text"),
    **dict.fromkeys(("party_window_day", "window_day", "digits", "decimals"), "smallint"),
    **dict.fromkeys(("since", "installed_on", "removed_on", "verify_by"), "date"),
    **dict.fromkeys(("ratio", "ratio_voltage", "losses", "losses_constant", "last"), "numeric"),
    "entry_open": "boolean",
}
_KEYS: Final = {"agreement": "agreement", "party": "party_code", "location": "location", "point": "point", "meter": "meter"}
"""What is matched on a folded key, and the field it is made of."""
_CHUNK: Final = 2000
_BULK: Final = 2000
"""Above so many rows tables are joined as wholes. The planner knows nothing of rows that this transaction has brought, and would look each
one up: 100,000 meters took seven minutes instead of seconds."""
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})

_A: Final = "join agreement a on a.id = p.agreement_id and a.utility_id = %(u)s and a.key in (select agreement_key from line)"
_PARTS: Final = (
    _Part(
        "party",
        ("party_key",),
        {"code": "party_code", "name": "party", "window_day": "party_window_day"},
        "select key as party_key, code, name, window_day from party where utility_id = %(u)s and key in (select party_key from line)",
    ),
    _Part(
        "agreement",
        ("agreement_key",),
        {"number": "agreement", "profile": "%(profile)s::text", "party": "party_key", "window_day": "window_day"},
        "select a.key as agreement_key, a.number, a.profile, coalesce(c.key, '') as party, a.window_day from agreement a "
        "left join party c on c.id = a.party_id where a.utility_id = %(u)s and a.key in (select agreement_key from line)",
    ),
    _Part(
        "location",
        ("agreement_key", "location_key"),
        {"code": "location", "name": "location_name", "entry_open": "entry_open"},
        f"select a.key as agreement_key, p.key as location_key, p.code, p.name, p.entry_open from service_location p {_A}",
    ),
    _Part(
        "point",
        ("agreement_key", "point_key"),
        {"code": "point", "name": "point_name", "location": "location_key", "service": "service"},
        "select a.key as agreement_key, p.key as point_key, p.code, p.name, coalesce(l.key, '') as location, p.service "
        f"from usage_point p {_A} left join service_location l on l.id = p.service_location_id",
    ),
    _Part(
        "terms",
        ("agreement_key", "point_key", "since_day"),
        {"ratio": "ratio", "ratio_voltage": "ratio_voltage", "losses": "losses", "losses_constant": "losses_constant"},
        "select a.key as agreement_key, p.key as point_key, t.since as since_day, t.ratio_current as ratio, t.ratio_voltage, t.losses, "
        f"t.losses_constant from point_terms t join usage_point p on p.id = t.usage_point_id {_A}",
    ),
    _Part(
        "meter",
        ("agreement_key", "point_key", "meter_key"),
        {name: name for name in ("entry_open", "model", "installed_on", "removed_on", "verify_by")} | {"serial": "meter"},
        "select a.key as agreement_key, p.key as point_key, m.key as meter_key, m.serial, m.entry_open, m.model, m.installed_on, "
        f"m.removed_on, m.verify_by from meter m join usage_point p on p.id = m.usage_point_id {_A}",
    ),
    _Part(
        "register",
        ("agreement_key", "point_key", "meter_key", "register"),
        {"digits": "digits", "decimals": "decimals"},
        "select a.key as agreement_key, p.key as point_key, m.key as meter_key, r.code as register, r.digits, r.decimals "
        f"from register r join meter m on m.id = r.meter_id join usage_point p on p.id = m.usage_point_id {_A}",
    ),
)


def stage(connection: Connection, utility_id: int, lines: Iterable[Line]) -> int:
    """Put rows where the database can compare them, as they come; return how many. They are gone with the transaction."""
    columns = {"n": "int"} | {name: _TYPES[name] for name in FIELDS} | {f"{name}_key": "text" for name in _KEYS} | {"since_day": "date"}
    connection.exec_driver_sql("drop table if exists line")
    connection.exec_driver_sql(
        f"create temporary table line ({', '.join(f'{name} {kind}' for name, kind in columns.items())}) on commit drop"
    )
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - a connection that is open has one
    count = 0
    names = ", ".join([*columns][:-1])
    with driver.cursor() as cursor, cursor.copy(f"copy line ({names}) from stdin") as copy:
        texts: list[str] = []
        for line in lines:
            texts.append(_text(count, line))
            count += 1
            if len(texts) == _CHUNK:
                copy.write("".join(texts))
                texts.clear()
        copy.write("".join(texts))
    connection.exec_driver_sql("analyze line")
    connection.exec_driver_sql(f"set local enable_nestloop = {'off' if count > _BULK else 'on'}")
    connection.exec_driver_sql(_SINCE, {"u": utility_id})
    return count


_SINCE: Final = """
update line set since_day = coalesce(line.since, known.since, date '1900-01-01') from line l
left join (select a.key as agreement_key, p.key as point_key, max(t.since) as since from point_terms t
  join usage_point p on p.id = t.usage_point_id join agreement a on a.id = p.agreement_id
  where a.utility_id = %(u)s and a.key in (select agreement_key from line) group by 1, 2) known using (agreement_key, point_key)
where l.n = line.n"""


def _text(number: int, line: Line) -> str:
    """A row in PostgreSQL's own words."""
    told = [getattr(line, name) for name in FIELDS]
    code = line.party_code or line.party
    told[_PARTY] = code
    keys = [key(value) if value else "" for value in (line.agreement, code, line.location, line.point, line.meter)]
    cells = ["\\N" if cell is None else cell.translate(_ESCAPES) if isinstance(cell, str) else str(cell) for cell in (*told, *keys)]
    return f"{number}\t" + "\t".join(cells) + "\n"


_PARTY: Final = FIELDS.index("party_code")


def clashes(connection: Connection, limit: int) -> list[Clash]:
    """Rows that contradict an earlier row about the same party, agreement, point or meter, or name a register twice; at most `limit`.

    Codes that fold to one key are one code, however each row writes it.
    """
    found: list[Clash] = []
    for part in _PARTS:
        fields, told = _clashing(part)
        rows = connection.exec_driver_sql(
            f"select l.n, f.n as earlier, {fields} as fields {told} order by l.n limit %(limit)s", {"limit": limit}
        )
        found += [Clash(row.n, row.earlier, part.kind, field) for row in rows for field in row.fields]
    return sorted(found, key=lambda clash: (clash.row, clash.kind, clash.field))[:limit]


def drop_clashes(connection: Connection) -> int:
    """Leave every row out that contradicts an earlier one; return how many. What stood first may be gone then: look again."""
    return sum(connection.exec_driver_sql(f"delete from line where n in (select l.n {_clashing(part)[1]})").rowcount for part in _PARTS)


def _clashing(part: _Part) -> tuple[str, str]:
    """The columns in which a row of `line` l differs from the first row f about the same thing, and where such rows are found."""
    keys, filled = ", ".join(part.key), _filled(part)
    sources = [source for source in part.told.values() if not source.startswith("%") and source not in _KEYS.values()]
    differ = [f"case when l.{one} is distinct from f.{one} then '{one.removesuffix('_key')}' end" for one in sources]
    twice = part.kind == "register"
    fields = "array[l.register]" if twice else f"array_remove(array[{', '.join(differ)}], null)"
    met = "true" if twice else " or ".join(f"({one}) is not null" for one in differ)
    first = f"(select distinct on ({keys}) * from line where {filled} order by {keys}, n) f"
    return fields, f"from line l join {first} using ({keys}) where l.n > f.n and ({met})"


def changes(connection: Connection, utility_id: int, profile: str) -> Iterator[Change]:
    """What the staged rows would change, from parties down to registers."""
    for part in _PARTS:
        keys, fields = ", ".join(part.key), [*part.told]
        came = ", ".join([*part.key, *(f"{source} as {name}" for name, source in part.told.items() if name not in part.key)])
        differs = f"({', '.join(f'c.{name}' for name in fields)}) is distinct from ({', '.join(f't.{name}' for name in fields)})"
        told = ", ".join(f"c.{name}::text" for name in part.key)
        rows = connection.exec_driver_sql(
            f"with c as (select distinct on ({keys}) {came} from line where {_filled(part)} order by {keys}, n), t as ({part.there}) "
            f"select {told}, case when t.{part.key[0]} is not null then to_jsonb(t) end as was, to_jsonb(c) as now "
            f"from c left join t using ({keys}) where {differs} order by {keys}",
            {"u": utility_id, "profile": profile},
        )
        for row in rows:
            yield Change(part.kind, tuple(row[: len(part.key)]), _only(row.was, fields), _only(row.now, fields) or {})


def _only(row: dict[str, Any] | None, fields: Iterable[str]) -> dict[str, Any] | None:
    return None if row is None else {name: row[name] for name in fields}


def _filled(part: _Part) -> str:
    return " and ".join(f"{name} <> ''" for name in part.key if name != "since_day")


class Gone(msgspec.Struct, frozen=True):
    """A meter that hangs by the registry and is in no row."""

    agreement: str
    point: str
    meter: str


_GONE: Final = """
from meter m join usage_point p on p.id = m.usage_point_id join agreement a on a.id = p.agreement_id
where m.utility_id = %(u)s and a.profile = %(profile)s and m.removed_on is null
  and not exists (select from line l where l.agreement_key = a.key and l.point_key = p.key and l.meter_key = m.key)"""


def gone(connection: Connection, utility_id: int, profile: str) -> list[Gone]:
    """The meters of a profile's agreements that hang by the registry and are in no staged row."""
    rows = connection.exec_driver_sql(f"select a.number, p.code, m.serial {_GONE} order by 1, 2, 3", {"u": utility_id, "profile": profile})
    return [Gone(*row) for row in rows]


def hanging(connection: Connection, utility_id: int, profile: str) -> int:
    """How many meters hang by the registry."""
    found = connection.exec_driver_sql(
        "select count(*) from meter m join usage_point p on p.id = m.usage_point_id join agreement a on a.id = p.agreement_id "
        "where m.utility_id = %(u)s and a.profile = %(profile)s and m.removed_on is null",
        {"u": utility_id, "profile": profile},
    )
    return int(found.scalar_one())


def retire(connection: Connection, utility_id: int, profile: str, day: date) -> int:
    """Take the meters that are `gone` off their points on a day; return how many."""
    done = connection.exec_driver_sql(
        f"update meter set removed_on = %(day)s where id in (select m.id {_GONE})", {"u": utility_id, "profile": profile, "day": day}
    )
    return done.rowcount


_APPLY: Final = (
    """insert into party as t (utility_id, code, key, name, window_day)
select distinct on (party_key) %(u)s, party_code, party_key, party, party_window_day from line where party_key <> '' order by party_key, n
on conflict (utility_id, key) do update set code = excluded.code, name = excluded.name, window_day = excluded.window_day
where (t.code, t.name, t.window_day) is distinct from (excluded.code, excluded.name, excluded.window_day)""",
    """insert into agreement as t (utility_id, number, key, profile, party_id, window_day)
select distinct on (agreement_key) %(u)s, agreement, agreement_key, %(profile)s, c.id, l.window_day from line l
left join party c on c.utility_id = %(u)s and c.key = party_key and party_key <> '' order by agreement_key, n
on conflict (utility_id, key) do update set
  number = excluded.number, profile = excluded.profile, party_id = excluded.party_id, window_day = excluded.window_day
where (t.number, t.profile, t.party_id, t.window_day) is distinct from
  (excluded.number, excluded.profile, excluded.party_id, excluded.window_day)""",
    """insert into service_location as t (utility_id, agreement_id, code, key, name, entry_open)
select distinct on (a.id, location_key) %(u)s, a.id, location, location_key, location_name, entry_open
from line join agreement a on a.utility_id = %(u)s and a.key = agreement_key where location <> '' order by a.id, location_key, n
on conflict (utility_id, agreement_id, key) do update set code = excluded.code, name = excluded.name, entry_open = excluded.entry_open
where (t.code, t.name, t.entry_open) is distinct from (excluded.code, excluded.name, excluded.entry_open)""",
    """insert into usage_point as t (utility_id, agreement_id, service_location_id, code, key, name, service)
select distinct on (a.id, point_key) %(u)s, a.id, l.id, point, point_key, point_name, service
from line join agreement a on a.utility_id = %(u)s and a.key = agreement_key
left join service_location l on l.utility_id = %(u)s and l.agreement_id = a.id and l.key = location_key order by a.id, point_key, n
on conflict (utility_id, agreement_id, key) do update set
  code = excluded.code, name = excluded.name, service_location_id = excluded.service_location_id, service = excluded.service
where (t.code, t.name, t.service_location_id, t.service) is distinct from
  (excluded.code, excluded.name, excluded.service_location_id, excluded.service)""",
    """insert into point_terms as t (utility_id, usage_point_id, since, ratio_current, ratio_voltage, losses, losses_constant)
select distinct on (p.id, since_day) %(u)s, p.id, since_day, ratio, ratio_voltage, losses, losses_constant
from line join agreement a on a.utility_id = %(u)s and a.key = agreement_key
join usage_point p on p.utility_id = %(u)s and p.agreement_id = a.id and p.key = point_key order by p.id, since_day, n
on conflict (usage_point_id, since) do update set ratio_current = excluded.ratio_current, ratio_voltage = excluded.ratio_voltage,
  losses = excluded.losses, losses_constant = excluded.losses_constant
where (t.ratio_current, t.ratio_voltage, t.losses, t.losses_constant) is distinct from
  (excluded.ratio_current, excluded.ratio_voltage, excluded.losses, excluded.losses_constant)""",
    """insert into meter as t (utility_id, usage_point_id, serial, key, entry_open, model, installed_on, removed_on, verify_by)
select distinct on (p.id, meter_key) %(u)s, p.id, meter, meter_key, entry_open, model, installed_on, removed_on, verify_by
from line join agreement a on a.utility_id = %(u)s and a.key = agreement_key
join usage_point p on p.utility_id = %(u)s and p.agreement_id = a.id and p.key = point_key order by p.id, meter_key, n
on conflict (utility_id, usage_point_id, key) do update set serial = excluded.serial, entry_open = excluded.entry_open,
  model = excluded.model, installed_on = excluded.installed_on, removed_on = excluded.removed_on, verify_by = excluded.verify_by
where (t.serial, t.entry_open, t.model, t.installed_on, t.removed_on, t.verify_by) is distinct from
  (excluded.serial, excluded.entry_open, excluded.model, excluded.installed_on, excluded.removed_on, excluded.verify_by)""",
    """insert into register as t (utility_id, meter_id, code, digits, decimals, last, last_period)
select distinct on (m.id, register) %(u)s, m.id, register, digits, decimals, last, last_period
from line join agreement a on a.utility_id = %(u)s and a.key = agreement_key
join usage_point p on p.utility_id = %(u)s and p.agreement_id = a.id and p.key = point_key
join meter m on m.utility_id = %(u)s and m.usage_point_id = p.id and m.key = meter_key order by m.id, register, n
on conflict (meter_id, code) do update set digits = excluded.digits, decimals = excluded.decimals
where (t.digits, t.decimals) is distinct from (excluded.digits, excluded.decimals)""",
)


def apply(connection: Connection, utility_id: int, profile: str) -> None:
    """Bring the staged rows in, new or changed. What stays as it was is not written again; a value believed is never overwritten."""
    for statement in _APPLY:
        connection.exec_driver_sql(statement, {"u": utility_id, "profile": profile})


def counts(connection: Connection) -> tuple[int, int, int, int]:
    """How many registers, meters, points and agreements the staged rows speak of."""
    found = connection.exec_driver_sql(
        "select count(*), count(distinct (agreement_key, point_key, meter_key)), count(distinct (agreement_key, point_key)), "
        "count(distinct agreement_key) from (select distinct agreement_key, point_key, meter_key, register from line) l"
    ).one()
    return tuple(found)


EXPORT: Final = """copy (select a.number as agreement, coalesce(c.name, '') as party, coalesce(c.code, '') as party_code,
  c.window_day as party_window_day, a.window_day, coalesce(l.code, '') as location, coalesce(l.name, '') as location_name, p.code as point,
  p.name as point_name, p.service, t.since, t.ratio_current as ratio, t.ratio_voltage, t.losses, t.losses_constant, m.serial as meter,
  m.model, m.installed_on, m.removed_on, m.verify_by, r.code as register, r.digits, r.decimals,
  m.entry_open and coalesce(l.entry_open, true) as entry_open, r.last, r.last_period
from agreement a left join party c on c.id = a.party_id join usage_point p on p.agreement_id = a.id
left join service_location l on l.id = p.service_location_id join point_terms t on t.usage_point_id = p.id
join meter m on m.usage_point_id = p.id join register r on r.meter_id = m.id
where a.utility_id = {utility} and a.profile = {profile} order by a.key, p.key, m.id, r.id, t.since) to stdout with (format csv, header)"""
"""A registry as a file of `Line`s, one row a register and terms; brought in again it changes nothing."""


def export(connection: Connection, utility_id: int, profile: str) -> Iterator[bytes]:
    """The registry of a profile's agreements as CSV, piece by piece."""
    driver = connection.connection.driver_connection
    assert driver is not None  # noqa: S101 - a connection that is open has one
    statement = sql.SQL(EXPORT).format(utility=sql.Literal(utility_id), profile=sql.Literal(profile))
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for piece in copy:
            yield bytes(piece)


def import_lines(connection: Connection, utility_id: int, profile: str, lines: Iterable[Line]) -> int:
    """Stage rows and bring them in; return how many."""
    count = stage(connection, utility_id, lines)
    if count:
        apply(connection, utility_id, profile)
    return count
