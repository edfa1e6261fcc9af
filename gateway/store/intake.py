"""Writes what was received and translated: submissions, their meter readings, problems, registers and the deliveries they cause."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from psycopg.errors import ForeignKeyViolation
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from uuid_utils.compat import uuid7

from gateway.domain.problems import Problem
from gateway.domain.readings import MeterReading
from gateway.domain.rules import Value
from gateway.domain.status import ReadingStatus, SubmissionStatus, sources, submission_status
from gateway.mapping import Envelope
from gateway.store import intervals, ledger
from gateway.store.columns import EVENT, METER_READING, PROBLEM, READING, SUBMISSION
from gateway.store.people import Sender
from gateway.store.rows import Together, array
from gateway.store.supply import Known


class Row(msgspec.Struct, kw_only=True, gc=False):
    """What became of one meter reading of a submission. `same_as`: the earlier reading that says the same, nothing is sent for this one.

    `corrects`: an earlier reading of this meter and period is believed already; `revision` counts them.
    """

    id: UUID
    new: MeterReading
    status: ReadingStatus
    known: Known | None = None
    target: str = ""
    period: str = ""
    at: datetime | None = None
    values: tuple[Value, ...] = ()
    problems: tuple[Problem, ...] = ()
    same_as: UUID | None = None
    corrects: bool = False
    revision: int = 0


class Entry(msgspec.Struct, kw_only=True):
    """One submission on its way into the store. `waiting` means that its row stands there already and this process holds it."""

    id: UUID
    sender: Sender
    sha256: bytes
    fingerprint: bytes
    channel: str
    format: str
    envelope: Envelope
    received_at: datetime
    body: bytes = b""
    key: str = ""
    waiting: str = ""
    problems: tuple[Problem, ...] = ()
    rows: list[Row] = []
    compared: intervals.Compared | None = None

    def counts(self) -> tuple[int, int, int]:
        """How many of the rows are accepted, wait for a person, are rejected."""
        rejected = sum(row.status is ReadingStatus.REJECTED for row in self.rows)
        review = sum(row.status is ReadingStatus.NEEDS_REVIEW for row in self.rows)
        return len(self.rows) - rejected - review, review, rejected

    def status(self) -> SubmissionStatus:
        """The sum of the rows; a problem of the whole thing with no row left refuses it."""
        return submission_status(*self.counts())


def new_id() -> UUID:
    """A time-ordered id (UUIDv7)."""
    return uuid7()


_OF_SUBMISSION: Final = frozenset({"meter_reading_submission_id_fkey", "problem_submission_id_fkey"})


def receive(connection: Connection, entries: Sequence[Entry]) -> set[UUID]:
    """Keep bytes and submissions that wait for a translator; return the ids of those that are new."""
    together = Together()
    _keep(together, entries, translated=False)
    return _written(connection, together, [ledger.RECEIVED])


def take(connection: Connection, entries: Sequence[Entry]) -> set[UUID]:
    """Keep bytes, submissions and their verdicts at once (design D4), all of one utility; return the ids of those that are new.

    When another process took one of them meanwhile, its id is missing and the transaction must be undone.
    """
    _supersede(connection, entries)
    together = Together()
    _queue(entries)
    _keep(together, entries, translated=True)
    _rows(together, entries)
    try:
        new = _written(connection, together, [])
    except IntegrityError as error:
        if isinstance(error.orig, ForeignKeyViolation) and error.orig.diag.constraint_name in _OF_SUBMISSION:
            return set()  # the same bytes were taken between our look and our write: there is no submission of ours for these rows
        raise
    _believe_blocks(connection, entries)
    _enqueue(connection, entries)
    return new


def finish(connection: Connection, entry: Entry) -> bool:
    """Write the verdict of a submission this worker holds; False when it no longer holds it (another took over after the lease)."""
    if not _close(connection, entry):
        return False
    _supersede(connection, [entry])
    together = Together()
    _queue([entry])
    _rows(together, [entry])
    together.put("event", EVENT, [_verdict(entry)])
    _written(connection, together, [])
    _believe_blocks(connection, [entry])
    _enqueue(connection, [entry])
    return True


def _keep(together: Together, entries: Sequence[Entry], *, translated: bool) -> None:
    claims = {(entry.sender.utility_id, entry.sha256): entry.body for entry in entries}
    together.add(
        "kept",
        "insert into claim (utility_id, sha256, body) select * from unnest(%(c_u)s::int[], %(c_s)s::bytea[], %(c_b)s::bytea[]) "
        "on conflict do nothing",
        {"c_u": [u for u, _ in claims], "c_s": [s for _, s in claims], "c_b": list(claims.values())},
    )
    in_order = sorted(entries, key=lambda entry: entry.fingerprint)  # or two transactions that take the same ones wait for each other
    rows = [_submission(entry, entry.status() if translated else SubmissionStatus.RECEIVED) for entry in in_order]
    together.put("submission", SUBMISSION, rows, "on conflict (utility_id, fingerprint) where status <> 'rejected' do nothing returning id")
    events = [(e.sender.utility_id, "submission", e.id, "", "received", e.sender.principal, "") for e in entries]
    together.put("event", EVENT, events + [_verdict(entry) for entry in entries if translated])


def _verdict(entry: Entry) -> tuple[object, ...]:
    return (entry.sender.utility_id, "submission", entry.id, "received", str(entry.status()), "metergate", "")


def _written(connection: Connection, together: Together, channels: Sequence[str]) -> set[UUID]:
    """Run what was gathered; return the ids of the submissions that are new."""
    ids = "(select array_agg(id) from submission_1)" if together.has("submission_1") else "null"
    rung = "(select count(pg_notify(c, '')) from unnest(%(channels)s::text[]) c)"
    row = together.run(connection, f"select {ids} as ids, {rung} as rung", {"channels": list(channels)}).one()
    return set(row.ids or ())


def _submission(entry: Entry, status: SubmissionStatus) -> tuple[object, ...]:
    accepted, review, rejected = entry.counts()
    return (
        entry.id,
        entry.sender.utility_id,
        entry.sender.credential_id,
        f"\\\\x{entry.sha256.hex()}",
        f"\\\\x{entry.fingerprint.hex()}",
        entry.channel,
        entry.format,
        entry.envelope.file_name,
        msgspec.json.encode(entry.envelope).decode(),
        str(status),
        len(entry.rows),
        accepted,
        review,
        rejected,
        entry.received_at,
    )


def _close(connection: Connection, entry: Entry) -> bool:
    accepted, review, rejected = entry.counts()
    updated = connection.exec_driver_sql(
        "update submission set status = %(status)s, total = %(total)s, accepted = %(accepted)s, in_review = %(review)s, "
        "rejected = %(rejected)s, format = %(format)s, taken_until = null, taken_by = null "
        "where id = %(id)s and status = 'received' and taken_by = %(by)s",
        {
            "status": str(entry.status()),
            "total": len(entry.rows),
            "accepted": accepted,
            "review": review,
            "rejected": rejected,
            "format": entry.format,
            "id": entry.id,
            "by": entry.waiting,
        },
    )
    return updated.rowcount == 1


def _queue(entries: Sequence[Entry]) -> None:
    """What is accepted is queued for billing in the same transaction, unless it says again what was said before."""
    for entry in entries:
        for row in entry.rows:
            if row.status is ReadingStatus.ACCEPTED and row.same_as is None:
                row.status = ReadingStatus.QUEUED


def _rows(together: Together, entries: Sequence[Entry]) -> None:
    """The meter readings of these submissions with their values and problems, and the registers that move with them."""
    readings: list[tuple[object, ...]] = []
    values: list[tuple[object, ...]] = []
    problems: list[tuple[object, ...]] = []
    for entry in entries:
        u = entry.sender.utility_id
        problems += [(u, entry.id, None, *_problem(p)) for p in entry.problems]
        for ordinal, row in enumerate(entry.rows):
            readings.append(_reading(u, entry.id, ordinal, row))
            values += [(u, row.id, n, *_value(value)) for n, value in enumerate(row.values)]
            problems += [(u, entry.id, row.id, *_problem(p)) for p in row.problems]
    together.put("meter_reading", METER_READING, readings)
    together.put("reading", READING, values)
    together.put("problem", PROBLEM, problems)
    _move_registers(together, (row for entry in entries for row in entry.rows if row.status is ReadingStatus.QUEUED))


def _believe_blocks(connection: Connection, entries: Iterable[Entry]) -> None:
    """Keep the interval values of the rows that are on their way to billing."""
    for entry in entries:
        if entry.compared is not None:
            believed = {row.id for row in entry.rows if row.status is ReadingStatus.QUEUED}
            intervals.merge(connection, entry.sender.utility_id, entry.compared, believed)


def _value(value: Value) -> tuple[object, ...]:
    told = value.reading
    flags = told.quality, told.ratio_applied, told.losses_applied
    return (value.register.code, told.value, value.previous, value.consumption, *flags, told.where, told.volume)


def _problem(problem: Problem) -> tuple[str, str, str, str]:
    return problem.code, problem.severity.value, problem.where, msgspec.json.encode(problem.values).decode()


def _reading(utility: int, submission: UUID, ordinal: int, row: Row) -> tuple[object, ...]:
    known, new = row.known, row.new
    meter = None if known is None else known.meter
    return (
        row.id,
        utility,
        submission,
        ordinal,
        None if meter is None else meter.id,
        new.agreement if meter is None else meter.agreement,
        new.meter if meter is None else meter.serial,
        row.period,
        row.at,
        row.revision,
        row.status.value,
        row.same_as,
        new.where,
        not _dials(row),
    )


_QUEUED_ONCE: Final = tuple(
    status for status in ReadingStatus if status not in (ReadingStatus.DRAFT, ReadingStatus.NEEDS_REVIEW, ReadingStatus.REJECTED)
)
"""States of readings whose revision may be known to billing; one that billing refused is known by its closed delivery."""


def _supersede(connection: Connection, entries: Sequence[Entry]) -> None:
    """Retire what these rows correct: earlier readings of the same meter and period, in the store or earlier in this very transaction.

    Interval values correct interval values, dial readings dial readings, and a reading of both corrects both.
    """
    corrected = {place for entry in entries for row in entry.rows if row.corrects for place in _places(row)}
    if not corrected:
        return
    again: dict[tuple[int, str, bool], list[Row]] = {}
    for entry in entries:
        for row in entry.rows:
            for place in _places(row) if row.status is ReadingStatus.ACCEPTED and row.same_as is None else ():
                if place in corrected:
                    again.setdefault(place, []).append(row)
    olds = connection.exec_driver_sql(
        "with old as (select id, utility_id, status, revision, meter_id, period from meter_reading "
        "where (meter_id, period, intervals) in (select * from unnest(%(meters)s::bigint[], %(periods)s::text[], %(natures)s::boolean[])) "
        "and status = any(%(from)s) and same_as is null order by id for update), "
        "gone as (update meter_reading m set status = 'superseded' from old where m.id = old.id), "
        "told as (insert into event (utility_id, entity, entity_id, from_state, to_state, actor) "
        "select utility_id, 'meter_reading', id, status, 'superseded', 'metergate' from old) "
        "select m.meter_id, m.period, m.intervals, max(m.revision) as revision from meter_reading m "
        "where (m.meter_id, m.period, m.intervals) in "
        "(select * from unnest(%(meters)s::bigint[], %(periods)s::text[], %(natures)s::boolean[])) "
        "and m.same_as is null and (m.status = any(%(sent)s) or exists (select from delivery_closed c where c.subject_id = m.id)) "
        "group by m.meter_id, m.period, m.intervals",
        {
            "meters": [m for m, _, _ in again],
            "periods": [p for _, p, _ in again],
            "natures": [i for _, _, i in again],
            "from": list(sources(ReadingStatus.SUPERSEDED)),
            "sent": [*_QUEUED_ONCE],
        },
    )
    newest = {(old.meter_id, old.period, old.intervals): old.revision for old in olds}
    for place, rows in again.items():
        for step, row in enumerate(rows, start=1):
            row.revision = max(row.revision, newest.get(place, -1) + step)
        for row in rows[:-1]:
            row.status = ReadingStatus.SUPERSEDED


def _places(row: Row) -> list[tuple[int, str, bool]]:
    """What a correction corrects: a period of a meter, what its dials showed apart from its interval values unless it says both."""
    if row.known is None:
        return []
    natures = {False} if _dials(row) else {True}
    return [(row.known.meter.id, row.period, nature) for nature in (natures | {True} if row.new.blocks else natures)]


def _dials(row: Row) -> bool:
    """Whether a dial is read in this row; without blocks it is about nothing else."""
    return not row.new.blocks or any(not value.reading.volume for value in row.values)


def _move_registers(together: Together, rows: Iterable[Row]) -> None:
    """Keep the last believed values beside each register, so that no history is read when the next reading comes."""
    moved = {
        register.id: tuple(getattr(register, name) for name in _REMEMBERED)
        for row in rows
        if row.known is not None
        for register in row.known.meter.registers
    }
    if moved:
        columns = zip(*(moved[id_] for id_ in sorted(moved)), strict=True)
        values = {f"r_{name}": array(column, kind) for (name, kind), column in zip(_REMEMBERED.items(), columns, strict=True)}
        together.add("moved", _MOVED, values)


_REMEMBERED: Final = {
    "id": "bigint",
    "last": "numeric",
    "last_period": "text",
    "last_at": "timestamptz",
    "last_reading": "uuid",
    "before": "numeric",
    "before_at": "timestamptz",
    "daily": "numeric",
}
"""What a register remembers of the values believed, as it is written beside it."""
_MOVED: Final = (
    "update register r set last = n.last, last_period = n.last_period, last_at = n.last_at, last_reading_id = n.last_reading, "
    "before = n.before, before_at = n.before_at, daily = n.daily "
    f"from unnest({', '.join(f'%(r_{name})s::{kind}[]' for name, kind in _REMEMBERED.items())}) n({', '.join(_REMEMBERED)}) "
    "where r.id = n.id"
)


def _enqueue(connection: Connection, entries: Sequence[Entry]) -> None:
    """Give every queued reading its place in the ledger."""
    dues = [
        ledger.Due(
            target=row.target,
            sender=entry.sender.credential_id,
            priority=ledger.BULK if entry.waiting else ledger.INTERACTIVE,
            subject=row.id,
            lane=row.known.meter.id,
            read_at=row.at,
            revision=row.revision,
        )
        for entry in entries
        for row in entry.rows
        if row.status is ReadingStatus.QUEUED and row.known is not None and row.at is not None
    ]
    if dues:
        ledger.enqueue(connection, entries[0].sender.utility_id, dues)
