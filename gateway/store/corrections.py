"""What a row of a submission becomes, and what it corrects: the newest of a meter and period stands, the others are superseded."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection

from gateway.domain.cases import Value
from gateway.domain.problems import Problem
from gateway.domain.readings import MeterReading
from gateway.domain.status import ReadingStatus, sources
from gateway.store.rows import array
from gateway.store.supply import Known

_ON_ITS_WAY: Final = frozenset({ReadingStatus.ACCEPTED, ReadingStatus.QUEUED, ReadingStatus.ACKNOWLEDGED})


class Row(msgspec.Struct, kw_only=True, gc=False):
    """What became of one meter reading of a submission. `same_as`: the earlier reading that says the same, nothing is sent for this one.

    `corrects`: an earlier reading of this meter and period is believed already; `revision` counts them. `hold`: how long it waits before
    it is queued, so that its sender may take it back.
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
    hold: timedelta = timedelta()

    @property
    def believed(self) -> bool:
        """Whether its values stand beside their registers from now on."""
        return self.same_as is None and self.status in _ON_ITS_WAY


QUEUED_ONCE: Final = tuple(
    status for status in ReadingStatus if status not in (ReadingStatus.DRAFT, ReadingStatus.NEEDS_REVIEW, ReadingStatus.REJECTED)
)
"""States of readings whose revision may be known to billing; one that billing refused is known by its closed delivery."""


def supersede(connection: Connection, submissions: Sequence[Sequence[Row]]) -> None:
    """Retire what these rows correct: earlier readings of the same meter and period, in the store or earlier in this very transaction.

    Interval values correct interval values, dial readings dial readings, and a reading of both corrects both.
    """
    corrected = {place for rows in submissions for row in rows if row.corrects for place in _places(row)}
    if not corrected:
        return
    again: dict[tuple[int, str, bool], list[Row]] = {}
    for found in submissions:
        for row in found:
            for place in _places(row) if row.status is ReadingStatus.ACCEPTED and row.same_as is None else ():
                if place in corrected:
                    again.setdefault(place, []).append(row)
    olds = connection.exec_driver_sql(
        "with old as (select id, utility_id, status, revision, meter_id, period, submission_id from meter_reading "
        "where (meter_id, period, intervals) in (select * from unnest(%(meters)s::bigint[], %(periods)s::text[], %(natures)s::boolean[])) "
        "and status = any(%(from)s) and same_as is null and not id = any(%(mine)s::uuid[]) order by id for no key update), "
        "gone as (update meter_reading m set status = 'superseded' from old where m.id = old.id), "
        "told as (insert into event (utility_id, entity, entity_id, from_state, to_state, actor) "
        "select utility_id, 'meter_reading', id, status, 'superseded', 'metergate' from old) "
        "select m.meter_id, m.period, m.intervals, max(m.revision) as revision, "
        "(select array_agg(distinct submission_id) from old) as left from meter_reading m "
        "where (m.meter_id, m.period, m.intervals) in "
        "(select * from unnest(%(meters)s::bigint[], %(periods)s::text[], %(natures)s::boolean[])) "
        "and m.same_as is null and (m.status = any(%(sent)s) or exists (select from delivery_closed c where c.subject_id = m.id)) "
        "group by m.meter_id, m.period, m.intervals",
        {
            "meters": [m for m, _, _ in again],
            "periods": [p for _, p, _ in again],
            "natures": [i for _, _, i in again],
            "from": [state for state in sources(ReadingStatus.SUPERSEDED) if state is not ReadingStatus.DRAFT],
            "sent": [*QUEUED_ONCE],
            "mine": array((row.id for rows in submissions for row in rows), "uuid"),
        },
    ).all()
    if olds and olds[0].left:
        restate(connection, olds[0].left)
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
    natures = {False} if dials(row) else {True}
    return [(row.known.meter.id, row.period, nature) for nature in (natures | {True} if row.new.blocks else natures)]


def dials(row: Row) -> bool:
    """Whether a dial is read in this row; without blocks it is about nothing else."""
    return not row.new.blocks or any(not value.reading.volume for value in row.values)


_RESTATE: Final = """
with rows as (
  select m.submission_id as id, count(*) filter (where s.status = 'needs_review') as in_review,
    count(*) filter (where s.status not in ('superseded', 'withdrawn', 'rejected')) as alive,
    count(*) filter (where s.status = 'superseded') as superseded, count(*) filter (where s.status = 'withdrawn') as withdrawn
  from meter_reading m join meter_reading s on s.id = coalesce(m.same_as, m.id) where m.submission_id = any(%(ids)s::uuid[]) group by 1),
old as (select s.id, s.utility_id, s.status, s.accepted, s.rejected, r.in_review, case
    when r.alive = 0 and r.superseded > 0 then 'superseded' when r.alive = 0 and r.withdrawn > 0 then 'withdrawn'
    when s.status = 'draft' then 'draft'
    when s.accepted > 0 and s.rejected + r.in_review > 0 then 'partly_accepted' when s.accepted > 0 then 'accepted'
    when r.in_review > 0 then 'in_review' else 'rejected' end as now
  from submission s join rows r using (id) where s.status <> 'received' order by s.id for no key update of s),
told as (insert into event (utility_id, entity, entity_id, from_state, to_state, actor)
  select utility_id, 'submission', id, status, now, 'metergate' from old where status <> now)
update submission s set in_review = old.in_review, status = old.now from old where s.id = old.id"""


def restate(connection: Connection, submissions: Sequence[UUID]) -> None:
    """Let submissions say what has become of their rows: one of which nothing stands any more is not in the way of the same bytes.

    `accepted` and `rejected` go on counting the verdicts; their rows are locked before, so that two who restate one see each other's.
    """
    told = {"ids": array(sorted(submissions), "uuid")}
    connection.exec_driver_sql("select from submission where id = any(%(ids)s::uuid[]) order by id for no key update", told)
    connection.exec_driver_sql(_RESTATE, told)
