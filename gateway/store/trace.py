"""What the status page asks, over all utilities: submissions to list, one reading with all that became of it, and why it still waits.

For a store of the worker role: the wall between utilities hides every row of this from the role of the doors.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from gateway.store.rows import array
from gateway.store.submissions import Submission

SEARCHED: Final = 20_000
"""How many submissions one page looks through for a text; the next page goes on from there."""
COUNTED: Final = 5_000
"""Submissions of more rows than this are not counted by state in a list."""
ANSWER_SHOWN: Final = 4_000
"""Bytes of billing's raw answer that are read."""


class Sought(msgspec.Struct, frozen=True, kw_only=True):
    """What a list is narrowed to; empty is everything. `text`: part of a file's name or of a meter's number."""

    utility: str = ""
    channel: str = ""
    status: str = ""
    text: str = ""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A submission with the utility it came for, by its code and title, and the principal it came from."""

    submission: Submission
    utility_id: int
    code: str
    utility: str
    sender: str


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One register's value with all that was written beside it. `code`: of the register. `place`: locator in what was received."""

    code: str
    value: Decimal
    previous: Decimal | None
    consumption: Decimal | None
    quality: str
    ratio_applied: bool
    losses_applied: bool
    place: str
    volume: bool


class Home(msgspec.Struct, frozen=True, kw_only=True):
    """Where a reading belongs. What hangs on the meter is None when the meter is not known."""

    id: UUID
    submission_id: UUID
    same_as: UUID | None
    created_at: datetime
    meter_id: int | None
    agreement_id: int | None
    point: str | None
    location: str | None
    ratio: Decimal | None
    losses: Decimal | None
    constant: Decimal | None
    service: str | None
    window_day: int | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One reading's way to one billing connection. `state`, `closed_at`: None while it is open."""

    id: UUID
    target: str
    lane: int
    tries: int
    problem: str | None
    state: int | None
    reference: str | None
    created_at: datetime
    closed_at: datetime | None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One call to billing that carried the reading. `answer`: the first bytes of billing's own, of `answered` in all."""

    batch: UUID
    phase: int
    items: int
    claimed_at: datetime
    sent_at: datetime | None
    finished_at: datetime | None
    outcome: str
    problem: str | None
    answer: bytes
    answered: int


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """One settlement of the reading's meter and period. `used`: it names this reading. `unread`: it names no reading at all."""

    quantity: str
    stage: str
    version: int
    volume: Decimal
    unit: str
    method: str
    amount: Decimal | None
    reference: str
    at: datetime | None
    received_at: datetime
    used: bool
    unread: bool


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """Another reading of the same meter and period."""

    id: UUID
    revision: int
    status: str
    created_at: datetime


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One move of a reading."""

    at: datetime
    from_state: str
    to_state: str
    actor: str
    reason: str


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """All that may hold back an open delivery (ledger.md, WHY), told at the instant `now` of the database."""

    now: datetime
    paused: str | None
    breaker_until: datetime | None
    next_call_at: datetime
    lane_state: int
    due: datetime
    phase: int | None
    is_head: bool
    tries: int
    problem: str | None
    head_problem: str | None
    ahead_in_lane: int
    ahead_about: int


_FIELDS: Final = ", ".join(f"s.{name}" for name in Submission.__struct_fields__)
_LISTED: Final = f"{_FIELDS}, s.utility_id, u.code, coalesce(nullif(u.title, ''), u.code) as utility, c.principal as sender"
_AROUND: Final = "join utility u on u.id = s.utility_id join credential c on c.id = s.credential_id"

_NARROWED: Final = """
select * from submission s where (%(utility)s = '' or s.utility_id = (select id from utility where code = %(utility)s))
  and (%(channel)s = '' or s.channel = %(channel)s) and (%(status)s = '' or s.status = %(status)s)
  and (%(before)s::uuid is null or s.id < %(before)s) order by s.id desc limit %(searched)s"""

_NEWEST: Final = f"""
with s as ({_NARROWED}) select {_LISTED} from s {_AROUND} where %(text)s = '' or s.file_name ilike %(like)s
  or exists (select from meter_reading m where m.submission_id = s.id and m.meter ilike %(like)s)
order by s.id desc limit %(limit)s"""

_BOUND: Final = f"with s as ({_NARROWED}) select count(*) as looked, (array_agg(id order by id))[1] as last from s"


def utilities(connection: Connection) -> list[tuple[str, str]]:
    """Code and title of every utility of this installation, by title."""
    rows = connection.exec_driver_sql("select code, coalesce(nullif(title, ''), code) as title from utility order by title, code")
    return [(row.code, row.title) for row in rows]


def newest(
    connection: Connection, sought: Sought, *, before: UUID | None = None, limit: int = 50, searched: int = SEARCHED
) -> tuple[list[Listed], UUID | None]:
    """A page of submissions, newest first, and the id before which the next page begins, None at the end.

    A text is sought among the newest `searched` only, so a page may be short and yet have a next one.
    """
    told: dict[str, Any] = {
        **msgspec.structs.asdict(sought),
        "like": f"%{_literal(sought.text)}%",
        "before": before,
        "searched": searched if sought.text else limit + 1,
        "limit": limit + 1,
    }
    rows = connection.exec_driver_sql(_NEWEST, told).all()
    found = [_listed(row) for row in rows[:limit]]
    if len(rows) > limit:
        return found, found[-1].submission.id
    if sought.text:
        bound = connection.exec_driver_sql(_BOUND, told).one()
        return found, bound.last if bound.looked == searched else None
    return found, None


def found(connection: Connection, id_: UUID) -> Listed | None:
    """One submission, whosever it is."""
    row = connection.exec_driver_sql(f"select {_LISTED} from submission s {_AROUND} where s.id = %(id)s", {"id": id_}).one_or_none()
    return None if row is None else _listed(row)


def progress(connection: Connection, submissions: Iterable[Submission]) -> dict[UUID, dict[str, int]]:
    """How many rows of each of these submissions stand in each state; those of more than COUNTED rows are left out."""
    rows = connection.exec_driver_sql(
        "select m.submission_id, s.status, count(*) as n from meter_reading m join meter_reading s on s.id = coalesce(m.same_as, m.id) "
        "where m.submission_id = any(%(ids)s::uuid[]) group by m.submission_id, s.status",
        {"ids": array((one.id for one in submissions if 0 < one.total <= COUNTED), "uuid")},
    )
    counted: dict[UUID, dict[str, int]] = {}
    for row in rows:
        counted.setdefault(row.submission_id, {})[row.status] = row.n
    return counted


def home(connection: Connection, reading: UUID) -> Home | None:
    """Where a reading belongs, None when there is none of that id."""
    rows = connection.exec_driver_sql(
        "select m.id, m.submission_id, m.same_as, m.created_at, m.meter_id, p.agreement_id, p.code as point, l.name as location, "
        "t.ratio_current * t.ratio_voltage as ratio, t.losses, t.losses_constant as constant, p.service, "
        "coalesce(a.window_day, c.window_day) as window_day from meter_reading m "
        "left join meter e on e.id = m.meter_id left join usage_point p on p.id = e.usage_point_id "
        "left join agreement a on a.id = p.agreement_id left join party c on c.id = a.party_id "
        "left join service_location l on l.id = p.service_location_id "
        "left join lateral (select * from point_terms t where t.usage_point_id = p.id and t.since < m.at order by t.since desc limit 1) t "
        "on true where m.id = %(id)s",
        {"id": reading},
    ).mappings()
    return next((Home(**row) for row in rows), None)


def measured(connection: Connection, reading: UUID) -> list[Measured]:
    """Every value of a reading as it stands in the store."""
    rows = connection.exec_driver_sql(
        "select register as code, value, previous, consumption, quality, ratio_applied, losses_applied, place, volume "
        "from reading where meter_reading_id = %(id)s order by ordinal",
        {"id": reading},
    )
    return [Measured(**row) for row in rows.mappings()]


def deliveries(connection: Connection, reading: UUID) -> list[Delivery]:
    """Every way of a reading to billing, open or closed, oldest first."""
    rows = connection.exec_driver_sql(
        "select d.id, t.name as target, d.lane_id as lane, d.tries, d.problem, d.state, d.reference, d.created_at, d.closed_at "
        "from (select id, target_id, lane_id, tries, problem, null::smallint as state, null as reference, created_at, "
        "null::timestamptz as closed_at from delivery where subject_id = %(id)s union all "
        "select id, target_id, lane_id, tries, problem, state, reference, created_at, closed_at from delivery_closed "
        "where subject_id = %(id)s) d join target t on t.id = d.target_id order by d.created_at, d.id",
        {"id": reading},
    )
    return [Delivery(**row) for row in rows.mappings()]


_ATTEMPTS: Final = f"""
with open as (select id, target_id, lane_id from delivery where subject_id = %(id)s),
closed as (select id, state, batch_id from delivery_closed where subject_id = %(id)s),
carried as (
  select batch_id, outcome, problem from attempt where delivery_id in (select id from open union all select id from closed)
  union all select c.batch_id, 'taken', null from closed c where c.batch_id is not null
    and not exists (select from attempt a where a.delivery_id = c.id and a.batch_id = c.batch_id)
  union all select l.batch_id, '', null from open o join lane l on l.target_id = o.target_id and l.lane_id = o.lane_id
    join batch b on b.id = l.batch_id and o.id = any(b.items))
select b.id as batch, b.phase, cardinality(b.items) as items, b.claimed_at, b.sent_at, b.finished_at, c.outcome, c.problem,
  substring(coalesce(b.answer, ''::bytea) for {ANSWER_SHOWN}) as answer, octet_length(coalesce(b.answer, ''::bytea)) as answered
from carried c join batch b on b.id = c.batch_id order by b.claimed_at, b.id"""


def attempts(connection: Connection, reading: UUID) -> list[Attempt]:
    """Every call to billing that carried a reading or is carrying it now, oldest first."""
    rows = connection.exec_driver_sql(_ATTEMPTS, {"id": reading})
    return [Attempt(**{**row, "answer": bytes(row["answer"])}) for row in rows.mappings()]


def words(connection: Connection, home: Home, period: str) -> list[Word]:
    """Billing's words on the meter and period of a reading, by quantity, version and stage."""
    if home.agreement_id is None:
        return []
    rows = connection.exec_driver_sql(
        "select quantity, stage, version, volume, unit, method, amount, reference, at, received_at, "
        "readings @> array[%(id)s::uuid] as used, cardinality(readings) = 0 as unread from settlement where agreement_id = %(a)s "
        "and (meter_id = %(m)s or meter_id is null and point in ('', %(p)s)) "
        "and (period = %(period)s or readings @> array[%(id)s::uuid]) order by quantity, version, received_at, id",
        {"id": home.same_as or home.id, "a": home.agreement_id, "m": home.meter_id, "p": home.point, "period": period},
    )
    return [Word(**row) for row in rows.mappings()]


def versions(connection: Connection, home: Home, period: str) -> list[Version]:
    """The last fifty readings of the meter for the period, this one among them, first told first."""
    if home.meter_id is None or not period:
        return []
    rows = connection.exec_driver_sql(
        "select id, revision, status, created_at from meter_reading where meter_id = %(m)s and period = %(p)s and same_as is null "
        "order by created_at desc, id desc limit 50",
        {"m": home.meter_id, "p": period},
    )
    return [Version(**row) for row in rows.mappings()][::-1]


def moments(connection: Connection, reading: UUID) -> list[Moment]:
    """The moves of a reading in order."""
    rows = connection.exec_driver_sql(
        "select at, from_state, to_state, actor, reason from event where entity_id = %(id)s order by at, id", {"id": reading}
    )
    return [Moment(**row) for row in rows.mappings()]


_WHY: Final = """
select clock_timestamp() as now, t.paused, t.breaker_until, t.next_call_at, coalesce(l.state, 1) as lane_state,
  coalesce(l.due, clock_timestamp()) as due, b.phase, h.id = d.id as is_head, d.tries, d.problem, h.problem as head_problem,
  (select count(*) from delivery e where e.target_id = d.target_id and e.lane_id = d.lane_id
    and (e.read_at, e.revision, e.id) < (d.read_at, d.revision, d.id)) as ahead_in_lane,
  greatest(0, coalesce(l.rank - t.floor[l.priority + 1], 0)) as ahead_about
from delivery d join target t on t.id = d.target_id left join lane l on l.target_id = d.target_id and l.lane_id = d.lane_id
left join batch b on b.id = l.batch_id and d.id = any(b.items)
left join lateral (select id, problem from delivery h where h.target_id = d.target_id and h.lane_id = d.lane_id
  order by read_at, revision, id limit 1) h on true
where d.subject_id = %(id)s order by d.created_at limit 1"""


def waiting(connection: Connection, reading: UUID) -> Waiting | None:
    """What holds a reading back, None when none of its deliveries is open."""
    rows = connection.exec_driver_sql(_WHY, {"id": reading}).mappings()
    return next((Waiting(**row) for row in rows), None)


def _listed(row: Any) -> Listed:
    fields = {name: getattr(row, name) for name in Submission.__struct_fields__}
    submission = Submission(**(fields | {"sha256": bytes(fields["sha256"])}))
    return Listed(submission=submission, utility_id=row.utility_id, code=row.code, utility=row.utility, sender=row.sender)


def _literal(text: str) -> str:
    """A text in which the signs of LIKE stand for themselves."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
