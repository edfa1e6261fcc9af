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

from gateway.domain.cases import Value
from gateway.domain.problems import Problem
from gateway.domain.status import ReadingStatus, SubmissionStatus, submission_status
from gateway.domain.supply import Register
from gateway.mapping import Envelope
from gateway.store import intervals, ledger, life
from gateway.store.columns import EVENT, METER_READING, PROBLEM, READING, SUBMISSION
from gateway.store.corrections import Row, dials, supersede
from gateway.store.people import Sender
from gateway.store.rows import Together, array


class Entry(msgspec.Struct, kw_only=True):
    """One submission on its way into the store. `waiting` means that its row stands there already and this process holds it.

    `decided`: the one reading of it that a person lets pass although it needed review; only that one is judged once more.
    """

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
    decided: UUID | None = None

    def counts(self) -> tuple[int, int, int]:
        """How many of the rows are accepted, wait for a person, are rejected."""
        rejected = sum(row.status is ReadingStatus.REJECTED for row in self.rows)
        review = sum(row.status is ReadingStatus.NEEDS_REVIEW for row in self.rows)
        return len(self.rows) - rejected - review, review, rejected

    def status(self) -> SubmissionStatus:
        """The sum of the rows; a problem of the whole thing with no row left refuses it."""
        if any(row.status is ReadingStatus.DRAFT for row in self.rows):
            return SubmissionStatus.DRAFT
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
    supersede(connection, [entry.rows for entry in entries])
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
    supersede(connection, [entry.rows])
    together = Together()
    _queue([entry])
    _rows(together, [entry])
    together.put("event", EVENT, [_verdict(entry)])
    _written(connection, together, [])
    _believe_blocks(connection, [entry])
    _enqueue(connection, [entry])
    return True


def let_pass(connection: Connection, entry: Entry, *, actor: str, reason: str) -> bool:
    """Write the one reading of a submission that a person let pass, judged once more. False: somebody else has decided meanwhile."""
    [row] = entry.rows
    supersede(connection, [entry.rows])
    _queue([entry])
    if not life.judged_again(connection, row, actor=actor, reason=reason):
        return False
    together = Together()
    _move_registers(together, entry.rows)
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
    together.put(
        "submission",
        SUBMISSION,
        rows,
        "on conflict (utility_id, fingerprint) where status not in ('rejected', 'withdrawn', 'superseded') do nothing returning id",
    )
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
    """What is accepted is queued for billing in the same transaction, unless it says again what was said before or its sender may take
    it back for a while; what billing told us itself is acknowledged.
    """
    for entry in entries:
        for row in entry.rows:
            if row.status is not ReadingStatus.ACCEPTED or row.same_as is not None:
                continue
            if entry.envelope.known_to_billing:
                row.status = ReadingStatus.ACKNOWLEDGED
            elif not row.hold:
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
            readings.append(_reading(entry, ordinal, row))
            values += [(u, row.id, n, *_value(value)) for n, value in enumerate(row.values)]
            problems += [(u, entry.id, row.id, *_problem(p)) for p in row.problems]
    together.put("meter_reading", METER_READING, readings)
    together.put("reading", READING, values)
    together.put("problem", PROBLEM, problems)
    _move_registers(together, (row for entry in entries for row in entry.rows if row.believed))


def _believe_blocks(connection: Connection, entries: Iterable[Entry]) -> None:
    """Keep the interval values of the rows that are on their way to billing."""
    for entry in entries:
        if entry.compared is not None:
            believed = {row.id for row in entry.rows if row.believed}
            intervals.merge(connection, entry.sender.utility_id, entry.compared, believed)


def _value(value: Value) -> tuple[object, ...]:
    told = value.reading
    flags = told.quality, told.ratio_applied, told.losses_applied
    return (value.register.code, told.value, value.previous, value.consumption, *flags, told.where, told.volume)


def _problem(problem: Problem) -> tuple[str, str, str, str]:
    return problem.code, problem.severity.value, problem.where, msgspec.json.encode(problem.values).decode()


def _reading(entry: Entry, ordinal: int, row: Row) -> tuple[object, ...]:
    known, new = row.known, row.new
    meter = None if known is None else known.meter
    return (
        row.id,
        entry.sender.utility_id,
        entry.id,
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
        not dials(row),
        entry.envelope.source,
        entry.received_at + row.hold if row.hold and row.status is ReadingStatus.ACCEPTED else None,
    )


def _move_registers(together: Together, rows: Iterable[Row]) -> None:
    """Keep the last believed values beside each register, so that no history is read when the next reading comes."""
    remember(together, (register for row in rows if row.known is not None for register in row.known.meter.registers))


def remember(together: Together, registers: Iterable[Register]) -> None:
    """Write what these registers remember, of one that comes twice as it came last."""
    moved = {register.id: tuple(getattr(register, name) for name in _REMEMBERED) for register in registers}
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
    "season": "text",
    "estimated": "smallint",
}
"""What a register remembers of the values believed, as it is written beside it."""
_MOVED: Final = (
    "update register r set last = n.last, last_period = n.last_period, last_at = n.last_at, last_reading_id = n.last_reading, "
    "before = n.before, before_at = n.before_at, daily = n.daily, "
    "season = string_to_array(nullif(n.season, ''), ',', '')::numeric[], estimated = n.estimated "
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
