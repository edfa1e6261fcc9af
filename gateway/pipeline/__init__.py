"""The line: receive, translate, deliver, settle. Read from top to bottom, it is what happens to a reading."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from gateway.domain.problems import Misconfigured, Problem, Rejected, Unavailable
from gateway.domain.settlement import Settlement
from gateway.domain.status import ReadingStatus
from gateway.mapping import Envelope, Format
from gateway.outbound import Batch, Receipt, Target
from gateway.pipeline.verdicts import Patience, failed, items, judged, reaped, withdrawn
from gateway.pipeline.weighing import decode, weigh
from gateway.steps import step
from gateway.store import Connection, Store, claims, intake, ledger, people, readings, settlements, submissions
from gateway.store.intake import Entry
from gateway.store.people import Sender

log = logging.getLogger("metergate")

Say = Callable[[Entry], bytes]


class Post(msgspec.Struct, kw_only=True):
    """One thing at the door. `key` is the sender's Idempotency-Key, `found` what a small JSON post says, already decoded."""

    sender: Sender
    entry: Entry
    found: list[Any]
    say: Say


class Taken(msgspec.Struct, frozen=True):
    """A new submission and the answer its sender gets."""

    submission: UUID
    answer: bytes


class Replayed(msgspec.Struct, frozen=True):
    """The answer given before under the same idempotency key, byte for byte."""

    answer: bytes


class Repeated(msgspec.Struct, frozen=True):
    """The same sender, bytes and envelope as an earlier submission: its receipt is the answer."""

    submission: UUID


Outcome = Taken | Replayed | Repeated | Rejected


def receive(store: Store, posts: Sequence[Post], *, translated: bool) -> list[Outcome]:
    """Keep what came, of one utility, in one transaction shared by all who wait at the door; with `translated` judge it at once (D4).

    The same key gets the same answer, the same bytes in the same envelope the first receipt; a key used again for other bytes,
    or a key of a sender whose right was removed, is Rejected. Whoever is answered is answered after the COMMIT.
    """
    step("receive.decoded", posts=len(posts))
    utility = posts[0].sender.utility_id
    outcomes: dict[int, Outcome] = {}
    with store.transaction(utility) as connection:
        valid = people.still_valid(connection, [post.sender.credential_id for post in posts])
        keys = [(post.sender.credential_id, post.entry.key) for post in posts if post.entry.key]
        answered = submissions.answers(connection, utility, keys) if keys else {}
        known = submissions.by_fingerprint(connection, utility, [post.entry.fingerprint for post in posts])
        fresh: dict[bytes, int] = {}
        for number, post in enumerate(posts):
            outcomes[number] = outcome = _met_before(post, valid, answered, known)
            if isinstance(outcome, Taken) and fresh.setdefault(post.entry.fingerprint, number) != number:
                outcomes[number] = Repeated(posts[fresh[post.entry.fingerprint]].entry.id)
        new = [posts[number] for number in fresh.values()]
        if new:
            if translated:
                weigh(connection, utility, [(post.entry, post.found) for post in new])
            written = intake.receive(connection, [post.entry for post in new], translated=translated)
            if translated:
                intake.write_rows(connection, [post.entry for post in new if post.entry.id in written])
            for number in fresh.values():
                outcomes[number] = _answer(connection, posts[number], written)
        step("receive.written", posts=len(new))
    step("receive.committed", posts=len(new))
    return [outcomes[number] for number in range(len(posts))]


def translate(
    store: Store,
    formats: Mapping[str, Format],
    *,
    worker: str,
    lease: timedelta,
    skew: timedelta,
) -> bool:
    """Read the oldest file that waits and weigh its rows: good ones are queued for billing, problems go back. False: none waits."""
    with store.transaction() as connection:
        held = submissions.take_received(connection, worker=worker, lease=lease, skew=skew)
    if held is None:
        return False
    submission, body, utility = held
    step("translate.claimed", submission=submission.id)
    envelope = msgspec.convert(submission.envelope, Envelope)
    kind, found, problems = decode(formats, body, envelope)
    step("translate.decoded", submission=submission.id, rows=len(found))
    with store.transaction(utility) as connection:
        sender = people.sender_by_id(connection, submission.credential_id)
        entry = Entry(
            id=submission.id,
            sender=sender,
            sha256=submission.sha256,
            fingerprint=b"",
            channel=submission.channel,
            format=kind,
            envelope=envelope,
            received_at=submission.received_at,
            waiting=worker,
            problems=tuple(problems),
            rows=[],
        )
        weigh(connection, utility, [(entry, found)])
        if not intake.finish(connection, entry):
            return True
        intake.write_rows(connection, [entry])
        step("translate.written", submission=submission.id)
    step("translate.committed", submission=submission.id)
    return True


def deliver(
    store: Store,
    target_id: int,
    target: Target,
    patience: Patience,
    *,
    worker: str,
    lease: timedelta,
    skew: timedelta,
    drop_floor: bool,
    flying: set[UUID],
) -> bool:
    """Claim a batch of due readings and push it into billing; write what came of every one. False: nothing is due.

    The attempt stands in the database before the first byte goes out, and billing's answer is written to the same batch until that
    succeeds or another worker has reaped it: what happened is never sent again because our own database hiccuped.
    """
    with store.transaction() as connection:
        held = claims.claim(
            connection,
            target_id,
            worker=worker,
            limit=target.batch,
            per_lane=target.per_lane,
            lease=lease,
            skew=skew,
            drop_floor=drop_floor,
        )
        if held is None:
            return False
        going = readings.outgoing(connection, [item.subject for item in held.items])
    flying.add(held.id)
    try:
        _carry(store, held, going, target, patience, lease=lease, skew=skew)
    finally:
        flying.discard(held.id)
    return True


def _carry(
    store: Store,
    held: claims.Held,
    going: Mapping[UUID, readings.Outgoing],
    target: Target,
    patience: Patience,
    *,
    lease: timedelta,
    skew: timedelta,
) -> None:
    step("deliver.claimed", batch=held.id, items=len(held.items))
    sent, gone = items(held, going)
    answer: Receipt | Exception = Receipt(answers=())
    if sent:
        with store.transaction() as connection:
            if not claims.sending(connection, held.id, lease=lease, skew=skew):
                return
        step("deliver.sending", batch=held.id)
        try:
            answer = target.deliver(Batch(id=str(held.id), items=tuple(item for _, item in sent)))
        except (Rejected, Unavailable, Misconfigured) as error:
            answer = error
        except Exception as error:
            log.exception("deliver.failed", extra={"facts": {"batch": held.id}})
            answer = error
        step("deliver.sent", batch=held.id)
    verdicts, objections = (
        judged(sent, answer, patience) if isinstance(answer, Receipt) else failed(sent, answer, target.guarantee, patience)
    )
    record(store, held, verdicts + withdrawn(gone), objections, answer, patience, skew=skew)


def reap(store: Store, guarantees: Mapping[int, str], patience: Patience, *, skew: timedelta) -> bool:
    """Take one batch whose worker died and finish it by the target's class: A goes again, C is in doubt. False: there is none."""
    with store.transaction() as connection:
        held = claims.dead(connection, skew=skew)
        if held is None:
            return False
        verdicts = reaped(held, guarantees.get(held.target_id, "C"), patience)
        _write(connection, held, verdicts, {}, b"", skew, phase=3)
    step("deliver.reaped", batch=held.id)
    return True


def record(
    store: Store,
    held: claims.Held,
    verdicts: Sequence[ledger.Verdict],
    objections: Mapping[UUID, Problem],
    answer: Receipt | Exception,
    patience: Patience,
    *,
    skew: timedelta,
) -> bool:
    """Write what an attempt came to, in one transaction, trying for as long as it takes. False: the batch was reaped meanwhile."""
    raw = answer.raw if isinstance(answer, Receipt) else str(answer).encode()
    spoke = not isinstance(answer, Receipt) or bool(answer.answers)

    def write(connection: Connection) -> bool:
        written = _write(connection, held, verdicts, objections, raw, skew)
        if spoke:
            held_back = isinstance(answer, (Unavailable, Misconfigured))
            pause = patience.hold(answer)
            claims.breaker(connection, held.target_id, failed=held_back, limit=patience.breaker, pause=pause, skew=skew)
        step("deliver.recorded", batch=held.id)
        return written

    written = store.insist(write)
    step("deliver.committed", batch=held.id, written=written)
    return written


def _write(
    connection: Connection,
    held: claims.Held,
    verdicts: Sequence[ledger.Verdict],
    objections: Mapping[UUID, Problem],
    raw: bytes,
    skew: timedelta,
    phase: int = 2,
) -> bool:
    subjects = {item.id: item.subject for item in held.items}
    written = ledger.finish(
        connection,
        target=held.target_id,
        batch=held.id,
        utility=held.utility_id,
        verdicts=verdicts,
        answer=raw,
        skew=skew,
        phase=phase,
    )
    if written:
        moves: dict[ReadingStatus, list[tuple[UUID, str]]] = {}
        for verdict in verdicts:
            if verdict.becomes is not None:
                reason = verdict.reference or verdict.problem or ""
                moves.setdefault(verdict.becomes, []).append((subjects[verdict.delivery], reason))
        for status, rows in moves.items():
            readings.move(connection, status, rows, actor=f"target:{held.target_id}")
        readings.object_to(connection, held.utility_id, {subjects[id_]: problem for id_, problem in objections.items()})
    return written


def settle(store: Store, sender: Sender, words: Sequence[Settlement]) -> list[tuple[str, Problem | None]]:
    """Take billing's later word: what was calculated, what was billed. Repeated, late and out-of-order words change nothing backwards."""
    step("settle.decoded", words=len(words))
    with store.transaction(sender.utility_id) as connection:
        outcomes = settlements.apply(connection, sender.utility_id, words, actor=sender.principal)
        step("settle.written", words=len(words))
    step("settle.committed", words=len(words))
    return outcomes


def _met_before(
    post: Post,
    valid: set[int],
    answered: Mapping[tuple[int, str], tuple[bytes, bytes]],
    known: Mapping[bytes, submissions.Submission],
) -> Outcome:
    if post.sender.credential_id not in valid:
        return Rejected(Problem(code="unauthorized"))
    before = answered.get((post.sender.credential_id, post.entry.key))
    if before is not None:
        return Replayed(before[1]) if before[0] == post.entry.fingerprint else Rejected(Problem(code="idempotency_key_reused"))
    first = known.get(post.entry.fingerprint)
    return Taken(post.entry.id, b"") if first is None else Repeated(first.id)


def _answer(connection: Connection, post: Post, written: set[UUID]) -> Outcome:
    entry = post.entry
    if entry.id not in written:  # another process took the same bytes between our look and our write
        first = submissions.by_fingerprint(connection, post.sender.utility_id, [entry.fingerprint])
        return Repeated(first[entry.fingerprint].id)
    answer = post.say(entry)
    if entry.key:
        sender = post.sender
        submissions.remember(connection, sender.utility_id, sender.credential_id, entry.key, entry.fingerprint, entry.id, answer)
    return Taken(entry.id, answer)
