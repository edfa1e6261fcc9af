"""What people do with a reading before billing has it: take it back, hand in what was saved, let it pass or refuse it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec

from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import MeterReading
from gateway.domain.status import ReadingStatus, SubmissionStatus
from gateway.mapping import Envelope, Format
from gateway.pipeline.arrivals import new_entry
from gateway.pipeline.translators import translators
from gateway.pipeline.weighing import decode, weigh
from gateway.settings import Limits
from gateway.store import Connection, Store, corrections, intake, ledger, life, links, people, readings, submissions
from gateway.store.intake import Entry
from gateway.store.life import Standing
from gateway.store.people import Sender

_UNBELIEVED: Final = (ReadingStatus.DRAFT, ReadingStatus.NEEDS_REVIEW)
_OPEN: Final = (*_UNBELIEVED, ReadingStatus.ACCEPTED, ReadingStatus.QUEUED)


def withdraw(store: Store, sender: Sender, reading: UUID, *, reason: str = "") -> UUID:
    """Take a reading back before billing has it (F-041); return its submission. A draft is taken back whole, as it is handed in whole.

    Raises Rejected: `not_found` alike for an absent and a foreign one, else why it can no longer be stopped.
    """
    with store.transaction(sender.utility_id) as connection:
        found = life.standing(connection, sender.utility_id, [reading], sender.credential_id)
        mine = found and submissions.one(connection, sender.utility_id, found[0].submission, sender.credential_id, sender.login)
        if not mine:
            raise Rejected(Problem(code="not_found"))
        if sender.agreement_ids is not None and found[0].agreement_id not in sender.agreement_ids:
            raise Rejected(Problem(code="not_found"))
        draft = found[0].status is ReadingStatus.DRAFT
        ids = life.of_submission(connection, found[0].submission, ReadingStatus.DRAFT) if draft else [reading]
        readings.hold(connection, ids, registers=True)
        if not ids:
            raise Rejected(Problem(code="sent_already", values={"period": found[0].period}))
        for one in life.standing(connection, sender.utility_id, ids):
            if problem := _irrevocable(connection, one):
                raise Rejected(problem)
            if not life.take_back(connection, one, actor=sender.principal, reason=reason):
                raise Rejected(Problem(code="decided_meanwhile"))
        corrections.restate(connection, [found[0].submission])
    return found[0].submission


def _irrevocable(connection: Connection, one: Standing) -> Problem | None:
    """Why a reading cannot be taken back: billing may have it, or something rests on it."""
    code = ""
    if one.status not in _OPEN or life.under_way(connection, one.id):
        code = "sent_already"
    elif one.status in _UNBELIEVED:
        return None
    elif life.period_closed(connection, one):
        return Problem(code="period_closed", values={"period": one.period, "meter": ""})
    elif one.blocks:
        code = "intervals_not_withdrawn"
    elif life.corrects(connection, one):
        code = "correction_not_withdrawn"
    elif life.followed(connection, one):
        code = "later_reading_follows"
    return Problem(code=code, values={"period": one.period}) if code else None


def hand_in(store: Store, sender: Sender, submission: UUID) -> Entry:
    """The entry that hands a saved submission in: its very bytes, judged by the moment of handing in (water manual, section 6).

    The draft gives way to it first, in a transaction of its own, so that none is handed in that was taken back; whoever gets no answer asks
    again and finds the first receipt. Raises Rejected: `not_found`, `forbidden`, or `not_a_draft` when it was taken back already.
    """
    with store.transaction(sender.utility_id) as connection:
        draft = submissions.one(connection, sender.utility_id, submission, sender.credential_id, sender.login)
        if draft is None:
            raise Rejected(Problem(code="not_found"))
        readings.hold(connection, life.of_submission(connection, submission, ReadingStatus.DRAFT), registers=False)
        rows = life.of_submission(connection, submission, ReadingStatus.DRAFT)
        # Asked again: it may have been taken back before its rows were held.
        now = submissions.one(connection, sender.utility_id, submission)
        envelope = msgspec.convert(draft.envelope, Envelope)
        if not envelope.draft or now is None or now.status == SubmissionStatus.WITHDRAWN:
            raise Rejected(Problem(code="not_a_draft"))
        if envelope.source and envelope.source not in sender.scopes:
            raise Rejected(Problem(code="forbidden", values={"scope": envelope.source}))
        body = submissions.body(connection, sender.utility_id, submission)
        entry = new_entry(
            links.narrowed(connection, sender, envelope.login),
            msgspec.structs.replace(envelope, draft=False),
            body or b"",
            channel=draft.channel,
        )
        told = f"sub_{entry.id.hex}"
        readings.move(connection, ReadingStatus.SUPERSEDED, [(id_, told) for id_ in rows], actor=sender.principal)
        life.become(connection, submission, SubmissionStatus.SUPERSEDED, actor=sender.principal, reason=told)
    return entry


def decide(
    store: Store, formats: Mapping[str, Format], limits: Limits, sender: Sender, reading: UUID, *, accept: bool, reason: str
) -> UUID:
    """Let a reading pass that needed review, or refuse it, with a reason that its sender is told; return its submission.

    What passes is judged once more, as the registers stand now: an error found then still refuses it. Raises Rejected.
    """
    with store.transaction(sender.utility_id) as connection:
        one = _reviewed(connection, sender, reading)
        entry = _entry(connection, sender.utility_id, one.submission, reading)
        known = translators(connection, sender.utility_id, formats, limits, entry.format)
    if not accept:
        return _refuse(store, sender, reading, reason)
    _, found = decode(known, entry.body, entry.envelope)
    news = [thing for thing in found if isinstance(thing, MeterReading)]
    if one.ordinal >= len(news):
        raise Rejected(Problem(code="translation_failed"))
    with store.transaction(sender.utility_id) as connection:
        readings.hold(connection, [reading], registers=True)
        one = _reviewed(connection, sender, reading)
        weigh(connection, sender.utility_id, [(entry, [news[one.ordinal]])])
        [row] = entry.rows
        if row.same_as is None and life.newer_stands(connection, one):
            raise Rejected(Problem(code="newer_reading_stands", values={"period": one.period}))
        if row.status is not ReadingStatus.ACCEPTED:
            raise Rejected(*(row.problems or [Problem(code="decided_meanwhile")]))
        if not intake.let_pass(connection, entry, actor=sender.principal, reason=reason):
            raise Rejected(Problem(code="decided_meanwhile"))
        life.recount(connection, one.submission, accepted=1)
    return one.submission


def _refuse(store: Store, sender: Sender, reading: UUID, reason: str) -> UUID:
    with store.transaction(sender.utility_id) as connection:
        readings.hold(connection, [reading], registers=False)
        one = _reviewed(connection, sender, reading)
        life.refuse(connection, sender.utility_id, one, reason, actor=sender.principal)
        life.recount(connection, one.submission, rejected=1)
    return one.submission


def _reviewed(connection: Connection, sender: Sender, reading: UUID) -> Standing:
    """A reading that this person may decide about. Raises Rejected."""
    found = life.standing(connection, sender.utility_id, [reading])
    within = [one for one in found if sender.agreement_ids is None or one.agreement_id in sender.agreement_ids]
    if not within:
        raise Rejected(Problem(code="not_found"))
    if within[0].status is not ReadingStatus.NEEDS_REVIEW:
        raise Rejected(Problem(code="decided_meanwhile"))
    return within[0]


def _entry(connection: Connection, utility: int, submission: UUID, decided: UUID) -> Entry:
    """The submission of a reading as its sender's, with its bytes."""
    known = submissions.one(connection, utility, submission)
    body = submissions.body(connection, utility, submission)
    if known is None or body is None:
        raise Rejected(Problem(code="not_found"))
    return Entry(
        id=submission,
        sender=people.sender_by_id(connection, known.credential_id),
        sha256=known.sha256,
        fingerprint=b"",
        channel=known.channel,
        format=known.format,
        envelope=msgspec.convert(known.envelope | {"kind": known.format}, Envelope),
        received_at=known.received_at,
        body=body,
        decided=decided,
    )


def release(store: Store, *, skew: timedelta) -> bool:
    """Queue accepted readings whose senders can no longer take them back. False: there are none."""
    with store.transaction() as connection:
        held = life.over(connection, skew=skew)
        if not held:
            return False
        readings.move(connection, ReadingStatus.QUEUED, [(one.id, "") for one in held], actor="metergate")
        for utility in sorted({one.utility_id for one in held}):
            profiles = people.profiles(connection, utility)
            dues = [
                ledger.Due(
                    target=profiles[one.profile].target,
                    sender=one.sender,
                    priority=ledger.INTERACTIVE,
                    subject=one.id,
                    lane=one.meter_id,
                    read_at=one.at,
                    revision=one.revision,
                )
                for one in held
                if one.utility_id == utility
            ]
            ledger.enqueue(connection, utility, dues)
    return True
