"""What every channel tells of a submission: one picture, in the sender's language and the utility's words."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from gateway import texts
from gateway.domain.problems import Problem, Severity
from gateway.domain.profile import Profile
from gateway.domain.readings import EXACT
from gateway.domain.status import ReadingStatus, SubmissionStatus
from gateway.store.corrections import Row
from gateway.store.intake import Entry
from gateway.store.submissions import FoundProblem, FoundRow, FoundValue, Happening, Submission
from gateway.texts import Language


class ProblemView(msgspec.Struct, frozen=True, kw_only=True):
    """A problem in words: what is wrong, where, and what to do."""

    code: str
    severity: str
    where: str
    text: str
    todo: str
    values: dict[str, str]


class ValueView(msgspec.Struct, frozen=True, kw_only=True):
    """One register's value with what it was compared with; numbers travel as text, exactly.

    `volume`: the value is the amount of the period that interval values add up to.
    """

    register: str
    value: Decimal
    previous: Decimal | None
    consumption: Decimal | None
    volume: bool = False


class DeltaView(msgspec.Struct, frozen=True, kw_only=True):
    """What a meter's dials and its interval values say of the period, and the difference («Дельта»), of which 0 is best.

    `causes`: what would close it, the closest first; one alone is the cause.
    """

    quantity: str
    integral: Decimal
    interval: Decimal
    delta: Decimal
    causes: list[ProblemView] = []


class ReadingView(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a submission as it stands. `status` is ours, `text` the utility's word for it.

    `source`: who read the meter, empty for the sender itself. `hold_until`: until then it waits and is not sent, so that it may be taken
    back.
    """

    reading: str
    index: int
    meter: str
    agreement: str
    period: str
    at: datetime | None
    status: str
    text: str
    where: str
    revision: int
    same_as: str | None
    source: str
    hold_until: datetime | None
    next_attempt_at: datetime | None
    values: list[ValueView]
    problems: list[ProblemView]
    deltas: list[DeltaView] = []


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows there are and what became of them."""

    total: int
    accepted: int
    in_review: int
    rejected: int


class HappeningView(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """One line of a timeline."""

    at: datetime
    entity: str
    id: str
    from_: str
    to: str
    actor: str
    reason: str


class SubmissionView(msgspec.Struct, frozen=True, kw_only=True):
    """A submission in short: the receipt. `sha256` is that of the bytes received."""

    submission: str
    status: str
    text: str
    counters: Counters
    received_at: datetime
    sha256: str
    channel: str
    format: str
    file_name: str


class SubmissionDetail(SubmissionView, frozen=True, kw_only=True):
    """A submission with its rows, its problems and, where asked for, its timeline."""

    envelope: dict[str, str]
    problems: list[ProblemView]
    readings: list[ReadingView]
    timeline: list[HappeningView] = []


class SubmissionList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of submissions, newest first; `next` is the `before` of the next page."""

    submissions: list[SubmissionView]
    next: str | None


def problem_view(problem: Problem | FoundProblem, language: Language) -> ProblemView:
    """A problem in words of one language."""
    text, todo = texts.problem(problem.code, language, problem.values)
    return ProblemView(
        code=problem.code, severity=str(problem.severity), where=problem.where, text=text, todo=todo, values=dict(problem.values)
    )


def brief(submission: Submission, language: Language, profiles: Mapping[str, Profile]) -> SubmissionView:
    """A submission in one line of a list."""
    return SubmissionView(**_head(submission, language, profiles))


def detail(
    submission: Submission,
    rows: Iterable[FoundRow],
    problems: Iterable[FoundProblem],
    language: Language,
    profiles: Mapping[str, Profile],
    timeline: Sequence[Happening] = (),
) -> SubmissionDetail:
    """A submission with everything in it."""
    return SubmissionDetail(
        **_head(submission, language, profiles),
        envelope={name: "true" if value is True else value for name, value in submission.envelope.items() if value},
        problems=[problem_view(problem, language) for problem in problems],
        readings=[_reading(row, language, profiles) for row in rows],
        timeline=[_happening(line) for line in timeline],
    )


def receipt(entry: Entry, language: Language, profiles: Mapping[str, Profile]) -> SubmissionDetail:
    """The same picture of a submission that is just being written."""
    accepted, review, rejected = entry.counts()
    submission = Submission(
        id=entry.id,
        credential_id=entry.sender.credential_id,
        sha256=entry.sha256,
        channel=entry.channel,
        format=entry.format,
        file_name=entry.envelope.file_name,
        envelope=msgspec.structs.asdict(entry.envelope),
        status=str(entry.status() if entry.rows or entry.problems else SubmissionStatus.RECEIVED),
        total=len(entry.rows),
        accepted=accepted,
        in_review=review,
        rejected=rejected,
        received_at=entry.received_at,
    )
    rows = [_found(entry, number, row) for number, row in enumerate(entry.rows)]
    return detail(submission, rows, [_plain(problem) for problem in entry.problems], language, profiles)


def _head(submission: Submission, language: Language, profiles: Mapping[str, Profile]) -> dict[str, Any]:
    counters = Counters(total=submission.total, accepted=submission.accepted, in_review=submission.in_review, rejected=submission.rejected)
    return {
        "submission": f"sub_{submission.id.hex}",
        "status": submission.status,
        "text": _summary(submission.status, counters, language, profiles),
        "counters": counters,
        "received_at": submission.received_at,
        "sha256": submission.sha256.hex(),
        "channel": submission.channel,
        "format": submission.format,
        "file_name": submission.file_name,
    }


def _summary(status: str, counters: Counters, language: Language, profiles: Mapping[str, Profile]) -> str:
    """The line for the whole of it: «Обработано частично, 39 из 40»."""
    if status == SubmissionStatus.PARTLY_ACCEPTED:
        return texts.word("count.partly", language, accepted=counters.accepted, total=counters.total)
    profile = next(iter(profiles.values())) if len(profiles) == 1 else None
    name = f"submission.{status}"
    return texts.word(name, language) if profile is None else profile.word(name, language)


def _reading(row: FoundRow, language: Language, profiles: Mapping[str, Profile]) -> ReadingView:
    profile, name = profiles.get(row.profile), f"status.{row.status}"
    return ReadingView(
        reading=f"rdg_{row.id.hex}",
        index=row.ordinal,
        meter=row.meter,
        agreement=row.agreement,
        period=row.period,
        at=row.at,
        status=row.status,
        text=texts.word(name, language) if profile is None else profile.word(name, language),
        where=row.where,
        revision=row.revision,
        same_as=None if row.same_as is None else f"rdg_{row.same_as.hex}",
        source=row.source,
        hold_until=row.hold_until,
        next_attempt_at=row.next_attempt_at,
        values=[
            ValueView(register=v.register, value=v.value, previous=v.previous, consumption=v.consumption, volume=v.volume)
            for v in row.values
        ],
        problems=[problem_view(problem, language) for problem in row.problems],
        deltas=[
            DeltaView(
                quantity=d.quantity,
                integral=d.integral,
                interval=d.interval,
                delta=EXACT.subtract(d.integral, d.interval) or Decimal(0),
                causes=[
                    problem_view(Problem(code=cause.code, severity=Severity.HINT, where=row.where, values=cause.facts), language)
                    for cause in d.causes
                ],
            )
            for d in row.deltas
        ],
    )


def _happening(line: Happening) -> HappeningView:
    prefix = {"submission": "sub_", "meter_reading": "rdg_"}.get(line.entity, "")
    id_ = f"{prefix}{line.entity_id.hex}"
    return HappeningView(
        at=line.at, entity=line.entity, id=id_, from_=line.from_state, to=line.to_state, actor=line.actor, reason=line.reason
    )


def _plain(problem: Problem) -> FoundProblem:
    return FoundProblem(code=problem.code, severity=str(problem.severity), where=problem.where, values=dict(problem.values))


def _found(entry: Entry, ordinal: int, row: Row) -> FoundRow:
    known, new = row.known, row.new
    return FoundRow(
        id=row.id,
        ordinal=ordinal,
        meter=new.meter if known is None else known.meter.serial,
        agreement=new.agreement if known is None else known.meter.agreement,
        profile="" if known is None else known.profile,
        period=row.period,
        at=row.at,
        revision=row.revision,
        status=str(row.status),
        where=new.where,
        same_as=row.same_as,
        source=entry.envelope.source,
        hold_until=entry.received_at + row.hold if row.hold and row.status is ReadingStatus.ACCEPTED else None,
        values=[
            FoundValue(
                register=v.register.code,
                value=v.reading.value,
                previous=v.previous,
                consumption=v.consumption,
                where=v.reading.where,
                volume=v.reading.volume,
            )
            for v in row.values
        ],
        problems=[_plain(problem) for problem in row.problems],
    )
