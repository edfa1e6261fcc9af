"""Feeds the registry: rows staged by COPY, held beside what is known, then brought in all or not at all.

A row of any source (file, API, a billing's list) is a `Line`: one register with all that stands above it.
"""

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any, Final, get_args

import msgspec
from sqlalchemy import Connection

from gateway.domain.supply import Line, key
from gateway.store.feed_parts import CIRCUITS, KEYS, NAMED, PARTS, Named, Part
from gateway.store.rows import copied


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


FIELDS: Final = Line.__struct_fields__
_SQL: Final = {str: "text", int: "smallint", bool: "boolean", date: "date", Decimal: "numeric"}
_TYPES: Final = {field.name: _SQL[(get_args(field.type) or (field.type,))[0]] for field in msgspec.structs.fields(Line)}
_BULK: Final = 2000
"""Above so many rows tables are joined as wholes. The planner knows nothing of rows that this transaction has brought, and would look each
one up: 100,000 meters took seven minutes instead of seconds."""
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_FIRST_DAY: Final = date(1900, 1, 1)
"""Since when the terms of a point count that nobody gave a day."""


def stage(connection: Connection, utility_id: int, lines: Iterable[Line]) -> int:
    """Put rows where the database can compare them, as they come; return how many. They are gone with the transaction."""
    columns = {"n": "int"} | _TYPES | {f"{name}_key": "text" for name in KEYS}
    columns |= {f"{named.kind}_ids_key": "text" for named in NAMED} | {"since_day": "date"}
    connection.exec_driver_sql("drop table if exists line")
    connection.exec_driver_sql(
        f"create temporary table line ({', '.join(f'{name} {kind}' for name, kind in columns.items())}) on commit drop"
    )
    connection.exec_driver_sql("drop table if exists aside")
    connection.exec_driver_sql("create temporary table aside (agreement_key text) on commit drop")
    count = copied(connection, "line", (_text(place, line) for place, line in enumerate(lines)))
    connection.exec_driver_sql("analyze line")
    connection.exec_driver_sql(f"set local enable_nestloop = {'off' if count > _BULK else 'on'}")
    connection.exec_driver_sql(_SINCE, {"u": utility_id})
    return count


_SINCE: Final = """
update line l set since_day = known.since from (
  select a.key as agreement_key, p.key as point_key, max(t.since) as since from point_terms t
  join usage_point p on p.id = t.usage_point_id join agreement a on a.id = p.agreement_id
  where a.utility_id = %(u)s and a.key in (select agreement_key from line) group by 1, 2) known
where l.since is null and l.agreement_key = known.agreement_key and l.point_key = known.point_key and l.since_day <> known.since"""
"""Terms without a day correct the ones told last."""


def _text(number: int, line: Line) -> str:
    """A row in PostgreSQL's own words."""
    told = list(msgspec.structs.astuple(line))
    code = told[_PARTY] = line.party_code or line.party
    keyed = (line.agreement, line.branch, code, line.location, line.point, line.meter)
    told += [key(value) if value else "" for value in keyed]
    told += [_folded(codes) if codes else "" for codes in (line.agreement_ids, line.point_ids, line.meter_ids)]
    told.append(line.since or _FIRST_DAY)
    cells = [
        cell and cell.translate(_ESCAPES) if isinstance(cell, str) else "\\N" if cell is None else str(cell)  # a text is the common case
        for cell in told
    ]
    return f"{number}\t" + "\t".join(cells) + "\n"


def _folded(codes: str) -> str:
    """Codes of other systems as they are matched: `1c=2001;eic=62Z...` with each code folded."""
    told = (one.partition("=") for one in codes.split(";"))
    return ";".join(f"{system}={key(code)}" for system, _, code in told)


_PARTY: Final = FIELDS.index("party_code")


def _present(connection: Connection) -> list[Part]:
    """The parts that any staged row tells of."""
    told = ", ".join(f"coalesce(bool_or({part.filled}), false)" for part in PARTS)
    found = connection.exec_driver_sql(f"select {told} from line l").one()
    return [part for part, there in zip(PARTS, found, strict=True) if there]


def _told(connection: Connection) -> list[Named]:
    """The kinds of things of which a staged row tells codes of other systems."""
    told = ", ".join(f"exists(select from line where {one.kind}_ids <> '')" for one in NAMED)
    found = connection.exec_driver_sql(f"select {told}").one()
    return [one for one, there in zip(NAMED, found, strict=True) if there]


def _named(connection: Connection, utility_id: int) -> list[Named]:
    """The same, with those of which the registry knows codes already."""
    known = connection.exec_driver_sql("select distinct kind from external_id where utility_id = %(u)s", {"u": utility_id}).scalars().all()
    told = _told(connection)
    return [one for one in NAMED if one in told or one.kind in known]


def clashes(connection: Connection, limit: int) -> list[Clash]:
    """Rows that contradict an earlier row about the same party, agreement, point or meter, or name a register twice; at most `limit`.

    Codes that fold to one key are one code, however each row writes it.
    """
    found: list[Clash] = []
    for kind, fields, rows in _clashing(connection):
        told = connection.exec_driver_sql(
            f"select l.n, f.n as earlier, {fields} as fields {rows} order by l.n limit %(limit)s", {"limit": limit}
        )
        found += [Clash(row.n, row.earlier, kind, field) for row in told for field in row.fields]
    return sorted(found, key=lambda clash: (clash.row, clash.kind, clash.field))[:limit]


def drop_clashes(connection: Connection) -> int:
    """Leave every row out that contradicts an earlier one; return how many. What stood first may be gone then: look again."""
    return sum(
        connection.exec_driver_sql(f"delete from line where n in (select l.n {rows})").rowcount for rows in contradicting(connection)
    )


def contradicting(connection: Connection) -> Iterator[str]:
    """Where the rows l are that contradict an earlier one, a question for each kind of thing."""
    return (rows for *_, rows in _clashing(connection))


_ROW: Final = "agreement_key, point_key, meter_key, register, since_day, entry_period"


def _clashing(connection: Connection) -> Iterator[tuple[str, str, str]]:
    """By kind of thing, the columns in which a row l differs from the first row f about the same one, and where such rows are found."""
    for part in _present(connection):
        keys = ", ".join(part.key)
        differ = [f"case when l.{one} is distinct from f.{one} then '{one.removesuffix('_key')}' end" for one in part.sources]
        met = " or ".join(f"l.{one} is distinct from f.{one}" for one in part.sources)
        first = f"select distinct on ({keys}) {', '.join(dict.fromkeys(('n', *part.key, *part.sources)))} from line l where {part.filled}"
        rows = f"from line l join ({first} order by {keys}, n) f using ({keys}) where l.n > f.n and ({met})"
        yield part.kind, f"array_remove(array[{', '.join(differ)}], null)", rows
    for named in _told(connection):
        first = f"select distinct on (i.folded) i.folded, l.n, row({named.key}) as thing from {named.codes} order by i.folded, l.n"
        other = f"f.thing <> row({named.key}) and l.n > f.n"
        yield "id", f"array['{named.kind}_ids']", f"from {named.codes} join ({first}) f using (folded) where {other}"
    first = f"select {_ROW}, min(n) as n from line group by {_ROW} having count(*) > 1"
    yield "row", "array[register]", f"from line l join ({first}) f using ({_ROW}) where l.n > f.n"


def changes(connection: Connection, utility_id: int, profile: str) -> Iterator[Change]:
    """What the staged rows would change, from branches and parties down to registers."""
    for part in _present(connection):
        keys, fields = ", ".join(part.key), [*part.told]
        told = ", ".join(f"c.{name}::text" for name in part.key)
        was = f"case when t.{part.key[0]} is not null then to_jsonb(t) end as was"
        rows = connection.exec_driver_sql(
            _differing(part, f"{told}, {was}, to_jsonb(c) as now") + f" order by {keys}", {"u": utility_id, "profile": profile}
        )
        for row in rows:
            yield Change(part.kind, tuple(row[: len(part.key)]), _only(row.was, fields), _only(row.now, fields) or {})


def changed(connection: Connection, utility_id: int, profile: str) -> dict[str, int]:
    """How many changes there are of each kind, `new meter` or `changed terms`; a kind without any is left out."""
    found: dict[str, int] = {}
    for part in _present(connection):
        there = f"t.{part.key[0]} is not null"
        row = connection.exec_driver_sql(
            _differing(part, f"count(*) filter (where not ({there})) as new, count(*) filter (where {there}) as changed"),
            {"u": utility_id, "profile": profile},
        ).one()
        found |= {f"{how} {part.kind}": count for how, count in (("new", row.new), ("changed", row.changed)) if count}
    return found


def _differing(part: Part, wanted: str) -> str:
    """The question for things c of `line` that are not as t, what is known of them."""
    keys = ", ".join(part.key)
    came = ", ".join([*part.key, *(f"{source} as {name}" for name, source in part.told.items() if name not in part.key)])
    differs = f"({', '.join(f'c.{name}' for name in part.told)}) is distinct from ({', '.join(f't.{name}' for name in part.told)})"
    return (
        f"with c as (select distinct on ({keys}) {came} from line l where {part.filled} order by {keys}, n), t as ({part.there}) "
        f"select {wanted} from c left join t using ({keys}) where {differs}"
    )


def _only(row: dict[str, Any] | None, fields: Iterable[str]) -> dict[str, Any] | None:
    return None if row is None else {name: row[name] for name in fields}


class Gone(msgspec.Struct, frozen=True):
    """A meter that hangs by the registry and is in no row, though its agreement was not set aside."""

    agreement: str
    point: str
    meter: str


GONE: Final = """
from meter m join usage_point p on p.id = m.usage_point_id join agreement a on a.id = p.agreement_id
where m.utility_id = %(u)s and a.profile = %(profile)s and m.removed_on is null
  and not exists (select from line l where l.agreement_key = a.key and l.point_key = p.key and l.meter_key = m.key)
  and not exists (select from aside where agreement_key = a.key)"""


def gone(connection: Connection, utility_id: int, profile: str) -> list[Gone]:
    """The meters of a profile's agreements that hang by the registry and are in no staged row."""
    rows = connection.exec_driver_sql(f"select a.number, p.code, m.serial {GONE} order by 1, 2, 3", {"u": utility_id, "profile": profile})
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
        f"update meter set removed_on = %(day)s where id in (select m.id {GONE})", {"u": utility_id, "profile": profile, "day": day}
    )
    return done.rowcount


def apply(connection: Connection, utility_id: int, profile: str) -> None:
    """Bring the staged rows in, new or changed. What stays as it was is not written again; a value believed is never overwritten."""
    statements = [part.upsert() for part in _present(connection)]
    names = [named.upserts() for named in _named(connection, utility_id)]
    for statement in (*statements, *CIRCUITS, *(gone for gone, _ in names), *(new for _, new in names)):
        connection.exec_driver_sql(statement, {"u": utility_id, "profile": profile})


def counts(connection: Connection) -> tuple[int, int, int, int]:
    """How many registers, meters, points and agreements the staged rows speak of."""
    found = connection.exec_driver_sql(
        "select count(*), count(distinct (agreement_key, point_key, meter_key)), count(distinct (agreement_key, point_key)), "
        "count(distinct agreement_key) from (select distinct agreement_key, point_key, meter_key, register from line) l"
    ).one()
    return tuple(found)


def import_lines(connection: Connection, utility_id: int, profile: str, lines: Iterable[Line]) -> int:
    """Stage rows and bring them in; return how many."""
    count = stage(connection, utility_id, lines)
    if count:
        apply(connection, utility_id, profile)
    return count
