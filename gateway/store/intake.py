"""Writes what was received and translated: submissions, their meter readings, problems, registers and the deliveries they cause."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection
from uuid_utils.compat import uuid7

from gateway.domain.problems import Problem
from gateway.domain.readings import MeterReading
from gateway.domain.rules import Value
from gateway.domain.status import ReadingStatus, SubmissionStatus, sources, submission_status
from gateway.mapping import Envelope
from gateway.store import ledger
from gateway.store.people import Sender
from gateway.store.rows import array, put
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


CLAIM: Final = {"utility_id": "int", "sha256": "bytea", "body": "bytea"}
SUBMISSION: Final = {
    "id": "uuid",
    "utility_id": "int",
    "credential_id": "bigint",
    "sha256": "bytea",
    "fingerprint": "bytea",
    "channel": "text",
    "format": "text",
    "file_name": "text",
    "envelope": "jsonb",
    "status": "text",
    "total": "int",
    "accepted": "int",
    "in_review": "int",
    "rejected": "int",
    "received_at": "timestamptz",
}
METER_READING: Final = {
    "id": "uuid",
    "utility_id": "int",
    "submission_id": "uuid",
    "ordinal": "int",
    "meter_id": "bigint",
    "agreement": "text",
    "meter": "text",
    "period": "text",
    "at": "timestamptz",
    "revision": "smallint",
    "status": "text",
    "same_as": "uuid",
    "place": "text",
}
READING: Final = {
    "utility_id": "int",
    "meter_reading_id": "uuid",
    "ordinal": "smallint",
    "register": "text",
    "value": "numeric",
    "previous": "numeric",
    "consumption": "numeric",
    "quality": "text",
    "ratio_applied": "boolean",
    "losses_applied": "boolean",
    "place": "text",
}
PROBLEM: Final = {
    "utility_id": "int",
    "submission_id": "uuid",
    "meter_reading_id": "uuid",
    "code": "text",
    "severity": "text",
    "place": "text",
    "values": "jsonb",
}
EVENT: Final = {
    "utility_id": "int",
    "entity": "text",
    "entity_id": "uuid",
    "from_state": "text",
    "to_state": "text",
    "actor": "text",
    "reason": "text",
}


def receive(connection: Connection, entries: Sequence[Entry], *, translated: bool) -> set[UUID]:
    """Keep bytes and submissions; return the ids of those that are new. `translated` writes their verdict at once (design D4)."""
    claims = {(entry.sender.utility_id, entry.sha256): entry.body for entry in entries}
    connection.exec_driver_sql(
        "insert into claim (utility_id, sha256, body) select * from unnest(%(u)s::int[], %(s)s::bytea[], %(b)s::bytea[]) "
        "on conflict do nothing",
        {"u": [u for u, _ in claims], "s": [s for _, s in claims], "b": list(claims.values())},
    )
    rows = [_submission(entry, entry.status() if translated else SubmissionStatus.RECEIVED) for entry in entries]
    written = put(
        connection,
        "submission",
        SUBMISSION,
        rows,
        "on conflict (utility_id, fingerprint) where status <> 'rejected' do nothing returning id",
    )
    new = {row.id for row in written}
    if new and not translated:
        connection.exec_driver_sql("select pg_notify(%(c)s, '')", {"c": ledger.RECEIVED})
    _tell(connection, [(e.sender.utility_id, "submission", e.id, "", "received", e.sender.principal, "") for e in entries if e.id in new])
    return new


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


def finish(connection: Connection, entry: Entry) -> bool:
    """Write the verdict of a submission this worker holds; False when it no longer holds it (another took over after the lease)."""
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


def write_rows(connection: Connection, entries: Sequence[Entry]) -> None:
    """Write the meter readings of these submissions, all of one utility, with all that follows from them."""
    _supersede(connection, entries)
    readings: list[tuple[object, ...]] = []
    values: list[tuple[object, ...]] = []
    problems: list[tuple[object, ...]] = []
    events: list[tuple[object, ...]] = []
    for entry in entries:
        u = entry.sender.utility_id
        problems += [(u, entry.id, None, *_problem(p)) for p in entry.problems]
        for ordinal, row in enumerate(entry.rows):
            if row.status is ReadingStatus.ACCEPTED and row.same_as is None:
                row.status = ReadingStatus.QUEUED
            readings.append(_reading(u, entry.id, ordinal, row))
            values += [
                (
                    u,
                    row.id,
                    n,
                    v.register.code,
                    v.reading.value,
                    v.previous,
                    v.consumption,
                    v.reading.quality,
                    v.reading.ratio_applied,
                    v.reading.losses_applied,
                    v.reading.where,
                )
                for n, v in enumerate(row.values)
            ]
            problems += [(u, entry.id, row.id, *_problem(p)) for p in row.problems]
        if entry.status() is not SubmissionStatus.RECEIVED:
            events.append((u, "submission", entry.id, "received", str(entry.status()), "metergate", ""))
    for table, types, rows in (
        ("meter_reading", METER_READING, readings),
        ("reading", READING, values),
        ("problem", PROBLEM, problems),
    ):
        if rows:
            put(connection, table, types, rows)
    _tell(connection, events)
    _move_registers(connection, (row for entry in entries for row in entry.rows if row.status is ReadingStatus.QUEUED))
    _enqueue(connection, entries)


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
    )


def _supersede(connection: Connection, entries: Sequence[Entry]) -> None:
    """Retire what these rows correct: earlier readings of the same meter and period, in the store or earlier in this very transaction."""
    corrected = {(row.known.meter.id, row.period) for entry in entries for row in entry.rows if row.known is not None and row.corrects}
    if not corrected:
        return
    again: dict[tuple[int, str], list[Row]] = {}
    for entry in entries:
        for row in entry.rows:
            place = (row.known.meter.id, row.period) if row.known is not None else None
            if place in corrected and row.status is ReadingStatus.ACCEPTED and row.same_as is None:
                again.setdefault(place, []).append(row)
    olds = connection.exec_driver_sql(
        "with old as (select id, utility_id, status, revision, meter_id, period from meter_reading "
        "where (meter_id, period) in (select * from unnest(%(meters)s::bigint[], %(periods)s::text[])) "
        "and status = any(%(from)s) and same_as is null order by id for update), "
        "gone as (update meter_reading m set status = 'superseded' from old where m.id = old.id), "
        "told as (insert into event (utility_id, entity, entity_id, from_state, to_state, actor) "
        "select utility_id, 'meter_reading', id, status, 'superseded', 'metergate' from old) "
        "select meter_id, period, max(revision) as revision from old group by meter_id, period",
        {"meters": [m for m, _ in again], "periods": [p for _, p in again], "from": list(sources(ReadingStatus.SUPERSEDED))},
    )
    newest = {(old.meter_id, old.period): old.revision for old in olds}
    for place, rows in again.items():
        for step, row in enumerate(rows, start=1):
            row.revision = newest.get(place, -1) + step
        for row in rows[:-1]:
            row.status = ReadingStatus.SUPERSEDED


def _move_registers(connection: Connection, rows: Iterable[Row]) -> None:
    """Keep the last believed values beside each register, so that no history is read when the next reading comes."""
    moved = {
        register.id: (register.id, register.last, register.last_period, register.last_at, register.last_reading, register.before)
        for row in rows
        if row.known is not None
        for register in row.known.meter.registers
    }
    if moved:
        types = {"id": "bigint", "last": "numeric", "period": "text", "at": "timestamptz", "reading": "uuid", "before": "numeric"}
        columns = zip(*(moved[id_] for id_ in sorted(moved)), strict=True)
        connection.exec_driver_sql(
            "update register r set last = n.last, last_period = n.period, last_at = n.at, last_reading_id = n.reading, before = n.before "
            "from unnest(%(id)s::bigint[], %(last)s::numeric[], %(period)s::text[], %(at)s::timestamptz[], %(reading)s::uuid[], "
            "%(before)s::numeric[]) n(id, last, period, at, reading, before) where r.id = n.id",
            {name: array(column, kind) for (name, kind), column in zip(types.items(), columns, strict=True)},
        )


def _enqueue(connection: Connection, entries: Sequence[Entry]) -> None:
    """Give every queued reading its place in the ledger, sender by sender, target by target."""
    groups: dict[tuple[int, int, int], list[ledger.Due]] = {}
    utility = entries[0].sender.utility_id if entries else 0
    names = {row.target for entry in entries for row in entry.rows if row.status is ReadingStatus.QUEUED}
    targets = ledger.targets(connection, utility, names) if names else {}
    for entry in entries:
        priority = ledger.BULK if entry.waiting else ledger.INTERACTIVE
        for row in entry.rows:
            if row.status is ReadingStatus.QUEUED and row.known is not None and row.at is not None:
                place = (targets[row.target], entry.sender.credential_id, priority)
                groups.setdefault(place, []).append(ledger.Due(row.id, row.known.meter.id, row.at, row.revision))
    ledger.enqueue(connection, utility, groups)


def _tell(connection: Connection, events: Sequence[tuple[object, ...]]) -> None:
    if events:
        put(connection, "event", EVENT, events)
