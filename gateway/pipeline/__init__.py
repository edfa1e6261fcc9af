"""The line: receive, translate, deliver, settle. Read from top to bottom, it is what happens to a reading."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec

from gateway.domain.problems import Misconfigured, Problem, Rejected, Unavailable
from gateway.domain.settlement import Settlement
from gateway.domain.status import ReadingStatus
from gateway.mapping import Envelope, Format
from gateway.outbound import Batch, Item, Letter, Receipt, Target
from gateway.pipeline.arrivals import Outcome, Post, Raced, Repeated, Replayed, Taken, answer, meet, new_entry
from gateway.pipeline.life import decide, hand_in, release, withdraw
from gateway.pipeline.loads import Load, loads
from gateway.pipeline.translators import translators
from gateway.pipeline.verdicts import (
    Going,
    Objections,
    Patience,
    answered,
    failed,
    items,
    judged,
    must_be_asked,
    reaped,
    unanswered,
    withdrawn,
)
from gateway.pipeline.weighing import decode, weigh
from gateway.settings import Limits
from gateway.steps import step
from gateway.store import Connection, Store, claims, intake, ledger, letters, links, people, readings, settlements, submissions
from gateway.store.intake import Entry
from gateway.store.ledger import LETTER
from gateway.store.people import Sender

log = logging.getLogger("metergate")

TAKES: Final = 10
"""A file that was held so often and never finished is set aside: one that kills its workers does not stop the others for ever.

More than a flapping database costs a good file, and at a lease of 30 s still only minutes."""

__all__ = [
    "Outcome",
    "Post",
    "Repeated",
    "Replayed",
    "Taken",
    "decide",
    "deliver",
    "hand_in",
    "new_entry",
    "reap",
    "receive",
    "record",
    "release",
    "settle",
    "translate",
    "withdraw",
]


def receive(store: Store, posts: Sequence[Post], *, translated: bool) -> list[Outcome]:
    """Keep what came, of one utility, in one transaction shared by all who wait at the door; with `translated` judge it at once (D4).

    The same key gets the same answer, the same bytes in the same envelope the first receipt. Whoever is answered is answered after
    the COMMIT. Raises Unavailable.
    """
    step("receive.decoded", posts=len(posts))
    utility = posts[0].entry.sender.utility_id
    while True:
        try:
            with store.transaction(utility) as connection:
                outcomes = meet(connection, utility, posts)
                new = {place: posts[place] for place, outcome in outcomes.items() if outcome is None}
                if new:
                    outcomes |= _take(connection, utility, new, translated=translated)
                step("receive.written", posts=len(new))
            step("receive.committed", posts=len(new))
            return [outcome for _, outcome in sorted(outcomes.items()) if outcome is not None]
        except Raced:
            step("receive.decoded", posts=len(posts))


def _take(connection: Connection, utility: int, new: Mapping[int, Post], *, translated: bool) -> dict[int, Outcome]:
    entries = [post.entry for post in new.values()]
    if translated:
        weigh(connection, utility, [(post.entry, post.found) for post in new.values()])
    write = intake.take if translated else intake.receive
    if len(write(connection, entries)) < len(entries):
        raise Raced
    return {place: answer(connection, post) for place, post in sorted(new.items(), key=_by_key)}


def _by_key(one: tuple[int, Post]) -> str:
    """Two transactions that take the same keys take them in the same order, or each would wait for the other."""
    return one[1].entry.key


def translate(
    store: Store,
    formats: Mapping[str, Format],
    limits: Limits,
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
    submission, utility = held.submission, held.utility_id
    step("translate.claimed", submission=submission.id)
    envelope = msgspec.convert(submission.envelope, Envelope)
    with store.transaction(utility) as connection:
        known = translators(connection, utility, formats, limits)
    kind, found = decode(known, held.body, envelope) if held.takes <= TAKES else ("", [Problem(code="translation_failed")])
    step("translate.decoded", submission=submission.id, rows=len(found))
    with store.transaction(utility) as connection:
        sender = links.narrowed(connection, people.sender_by_id(connection, submission.credential_id), envelope.login)
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
        )
        weigh(connection, utility, [(entry, found)])
        if not intake.finish(connection, entry):
            return True
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
    succeeds or another worker has reaped it: what happened is never sent again because our own database hiccuped. What a billing of
    class B may hold is asked about first.
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
        going = loads(connection, held, skew=skew, intervals=target.intervals)
        tried = claims.tried(connection, [item.id for item in held.items if must_be_asked(item, target.guarantee)], skew=skew)
    flying.add(held.id)
    try:
        _carry(store, held, going, tried, target, patience, lease=lease, skew=skew)
    finally:
        flying.discard(held.id)
    return True


def _carry(
    store: Store,
    held: claims.Held,
    loaded: Mapping[UUID, Load],
    tried: Mapping[UUID, claims.Tried],
    target: Target,
    patience: Patience,
    *,
    lease: timedelta,
    skew: timedelta,
) -> None:
    step("deliver.claimed", batch=held.id, items=len(held.items))
    going, gone = items(held, loaded)
    verdicts, objections = withdrawn(gone), Objections()
    said: Receipt | Exception = Receipt(answers=())
    asked = [(claimed, item) for claimed, item in going if must_be_asked(claimed, target.guarantee)]
    if asked:
        keys = {item.key: str(tried[claimed.id].batch) for claimed, item in asked if claimed.id in tried}
        said = _call(held, lambda: target.ask(_batch(held, asked), keys))
        if isinstance(said, Receipt):
            going, known, objections = answered(going, loaded, tried, said, target, patience)
        else:
            going, known = [], unanswered(going, said, target, patience)
        verdicts += known
    if going:
        left = _begin(store, held, going, verdicts, objections, said, lease=lease, skew=skew)
        if left is None:
            return
        step("deliver.sending", batch=held.id)
        said = _call(held, lambda: target.deliver(_batch(held, going)))
        step("deliver.sent", batch=held.id)
        if isinstance(said, Receipt):
            known, more = judged(going, said, target.guarantee, patience, target.poll)
        else:
            known, more = failed(going, said, target.guarantee, patience)
        verdicts, objections = known + left, objections | more
    record(store, held, verdicts, objections, said, patience, skew=skew)


def _batch(held: claims.Held, going: Going) -> Batch:
    found = tuple(item for _, item in going if isinstance(item, Item))
    return Batch(id=str(held.id), items=found, letters=tuple(letter for _, letter in going if isinstance(letter, Letter)))


def _call(held: claims.Held, call: Callable[[], Receipt]) -> Receipt | Exception:
    """What billing said, or what went wrong."""
    try:
        return call()
    except (Rejected, Unavailable, Misconfigured) as error:
        return error
    except Exception as error:
        log.exception("deliver.failed", extra={"facts": {"batch": held.id}})
        return error


def _begin(
    store: Store,
    held: claims.Held,
    going: Going,
    known: Sequence[ledger.Verdict],
    objections: Objections,
    asked: Receipt | Exception,
    *,
    lease: timedelta,
    skew: timedelta,
) -> list[ledger.Verdict] | None:
    """Begin to send, and write in the same transaction what is known of all that is not sent: a crash may put only in doubt what was sent.

    Returns the verdicts that must wait for the end, because their lanes are still held by what is sent. None: the batch was reaped.
    """
    lanes = {claimed.lane for claimed, _ in going}
    now, left = [v for v in known if v.lane not in lanes], [v for v in known if v.lane in lanes]
    sent = [claimed.id for claimed, _ in going] if len(going) < len(held.items) else None
    answer = asked.raw if isinstance(asked, Receipt) else b""
    with store.transaction() as connection:
        if not claims.sending(connection, held.id, lease=lease, skew=skew, items=sent, answer=answer):
            return None
        if now:
            _apply(connection, held, now, objections, skew)
    return left


def reap(store: Store, guarantees: Mapping[int, str], patience: Patience, *, skew: timedelta) -> bool:
    """Take one batch whose worker died and finish it by the target's class: A again, B asked first, C in doubt. False: there is none.

    `guarantees`: the classes of the targets known here; the batches of others wait for somebody who knows them.
    """
    with store.transaction() as connection:
        held = claims.dead(connection, guarantees, skew=skew)
        if held is None:
            return False
        verdicts = reaped(held, guarantees[held.target_id], patience)
        _write(connection, held, verdicts, {}, b"", skew, phase=3)
    step("deliver.reaped", batch=held.id)
    return True


def record(
    store: Store,
    held: claims.Held,
    verdicts: Sequence[ledger.Verdict],
    objections: Mapping[UUID, Problem],
    said: Receipt | Exception,
    patience: Patience,
    *,
    skew: timedelta,
) -> bool:
    """Write what an attempt came to, in one transaction, trying for as long as it takes. False: the batch was reaped meanwhile."""
    raw = said.raw if isinstance(said, Receipt) else str(said).encode()
    called = not isinstance(said, Receipt) or bool(said.answers)

    def write(connection: Connection) -> bool:
        written = _write(connection, held, verdicts, objections, raw, skew)
        if written and called:
            pause, asked = patience.hold(said)
            failed, limit = not isinstance(said, (Receipt, Rejected)), patience.breaker
            claims.breaker(connection, held.target_id, failed=failed, limit=limit, pause=pause, asked=asked, skew=skew)
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
    if not ledger.fence(connection, held.id, answer=raw, phase=phase):
        return False
    _apply(connection, held, verdicts, objections, skew)
    return True


def _apply(
    connection: Connection, held: claims.Held, verdicts: Sequence[ledger.Verdict], objections: Mapping[UUID, Problem], skew: timedelta
) -> None:
    """Write verdicts and what they mean for their readings or letters, behind the fence."""
    subjects = {item.id: item.subject for item in held.items}
    moves: dict[ReadingStatus, list[tuple[UUID, str]]] = {}
    for verdict in verdicts:
        if verdict.becomes is not None:
            reason = verdict.reference or verdict.problem or ""
            moves.setdefault(verdict.becomes, []).append((subjects[verdict.delivery], reason))
    objected = {v.delivery: objections[v.delivery] for v in verdicts if v.delivery in objections}
    if moves:
        readings.hold(connection, (id_ for rows in moves.values() for id_, _ in rows), registers=bool(objected), kind=held.kind)
    ledger.finish(connection, target=held.target_id, batch=held.id, utility=held.utility_id, verdicts=verdicts, skew=skew)
    for status, rows in moves.items():
        readings.move(connection, status, rows, actor=f"target:{held.target_id}", kind=held.kind)
    problems = {subjects[id_]: problem for id_, problem in objected.items()}
    if held.kind == LETTER:
        letters.object_to(connection, problems)
    else:
        readings.object_to(connection, held.utility_id, problems)


def settle(store: Store, sender: Sender, words: Sequence[Settlement]) -> list[tuple[str, Problem | None]]:
    """Take billing's later word: what was calculated, what was billed. Repeated, late and out-of-order words change nothing backwards."""
    step("settle.decoded", words=len(words))
    with store.transaction(sender.utility_id) as connection:
        outcomes = settlements.apply(connection, sender.utility_id, words, actor=sender.principal)
        step("settle.written", words=len(words))
    step("settle.committed", words=len(words))
    return outcomes
