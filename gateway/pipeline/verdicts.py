"""What an attempt means for each delivery: taken, refused, tried again later, in doubt or dead. Pure, but for the dice of the waits."""

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec

from gateway.domain.problems import Misconfigured, Problem, Rejected, Unavailable
from gateway.domain.status import ReadingStatus
from gateway.outbound import Item, Letter, Outcome, Receipt, Target
from gateway.pipeline.loads import Load
from gateway.settings import Worker
from gateway.store.claims import Claimed, Held, Tried
from gateway.store.ledger import ASKED, DEAD, DELAYED, LETTER, PARKED, READY, REFUSED, TAKEN, WITHDRAWN, Verdict

_dice: Final = random.SystemRandom()

OPEN: Final = frozenset({"answer_lost", "awaiting", "target_failed"})
"""Problems of a delivery that billing may hold."""
GONE: Final = frozenset({ReadingStatus.SUPERSEDED, ReadingStatus.WITHDRAWN})
"""States of a reading that is not to be sent any more."""


class Patience(msgspec.Struct, frozen=True):
    """How long a delivery is tried again: the published schedule, its jitter, the end of it, and the breaker (settings `[worker]`)."""

    schedule: tuple[float, ...]
    total: float
    jitter: float
    breaker: int
    pause: float

    @classmethod
    def of(cls, worker: Worker) -> "Patience":
        """Read from the settings."""
        return cls(worker.schedule, worker.patience, worker.jitter, worker.breaker, worker.breaker_pause)

    def wait(self, tries: int, asked: float | None = None) -> timedelta:
        """The wait before the next attempt after `tries` have been made; longer when billing asked for it."""
        base = self.schedule[min(tries, len(self.schedule) - 1)]
        spread = 1 + self.jitter * (2 * _dice.random() - 1)
        return timedelta(seconds=max(base * spread, asked or 0.0))

    def hold(self, answer: object) -> tuple[timedelta, timedelta]:
        """How long an open breaker keeps a target from being called, and how long billing itself asked us to stay away."""
        asked = (answer.retry_after if isinstance(answer, Unavailable) else None) or 0.0
        return timedelta(seconds=max(self.pause, asked)), timedelta(seconds=asked)


Going = list[tuple[Claimed, Item | Letter]]
Objections = dict[UUID, Problem]


def items(held: Held, loads: Mapping[UUID, Load]) -> tuple[Going, list[Claimed]]:
    """Split a batch into what is sent and what must not be any more: withdrawn or superseded before its first attempt."""
    going: Going = []
    gone: list[Claimed] = []
    for claimed in held.items:
        load = loads.get(claimed.subject)
        live = load is not None and (load.status not in GONE or claimed.tries > 0)
        if load is not None and live:
            going.append((claimed, load.item))
        else:
            gone.append(claimed)
    return going, gone


def must_be_asked(claimed: Claimed, guarantee: str) -> bool:
    """Tell whether billing may hold this delivery and can be asked whether it does."""
    return guarantee == "B" and claimed.problem in OPEN


def judged(sent: Going, receipt: Receipt, guarantee: str, patience: Patience, poll: float = 60.0) -> tuple[list[Verdict], Objections]:
    """Billing answered: every item by its own word; of one it did not speak of nobody knows, as if its answer were lost.

    `poll`: seconds until it is asked about one that it has pending.
    """
    answers = {answer.key: answer for answer in receipt.answers}
    verdicts: list[Verdict] = []
    objections: Objections = {}
    for claimed, item in sent:
        answer = answers.get(item.key)
        match answer.outcome if answer else Outcome.UNKNOWN:
            case Outcome.TAKEN if answer:
                verdicts.append(_taken(claimed, answer.reference))
            case Outcome.REFUSED if answer:
                verdicts.append(_refused(claimed, objections, answer.reason))
            case Outcome.LATER:
                verdicts.append(_again(claimed, "billing_unavailable", patience))
            case Outcome.PENDING if guarantee != "C":
                verdicts.append(_awaiting(claimed, "pending", poll))
            case _:
                verdicts.append(_lost(claimed, guarantee, patience))
    return verdicts, objections


def answered(
    going: Going,
    loads: Mapping[UUID, Load],
    tried: Mapping[UUID, Tried],
    receipt: Receipt,
    target: Target,
    patience: Patience,
) -> tuple[Going, list[Verdict], Objections]:
    """Billing was asked about those of a batch that it may hold: what goes out now, and the verdicts on what does not.

    What it does not hold goes out, unless it is not wanted any more. What stands in its lane behind one that still waits stays there.
    """
    answers = {answer.key: answer for answer in receipt.answers}
    out: Going = []
    verdicts: list[Verdict] = []
    objections: Objections = {}
    waiting: set[int] = set()
    for claimed, item in going:
        asked = must_be_asked(claimed, target.guarantee)
        answer = answers.get(item.key) if asked else None
        if claimed.lane in waiting:
            continue
        if answer and answer.outcome is Outcome.TAKEN:
            verdicts.append(_taken(claimed, answer.reference, tried=0))
        elif answer and answer.outcome is Outcome.REFUSED:
            verdicts.append(_refused(claimed, objections, answer.reason, tried=0))
        elif not asked or (answer and answer.outcome is Outcome.UNKNOWN and loads[claimed.subject].status not in GONE):
            out.append((claimed, item))
        elif answer and answer.outcome is Outcome.UNKNOWN:
            verdicts += withdrawn([claimed])
        else:
            waiting.add(claimed.lane)
            pending = answer is not None and answer.outcome is Outcome.PENDING
            verdicts.append(_pending(claimed, tried.get(claimed.id), target) if pending else _unanswered(claimed, patience))
    return out, verdicts, objections


def unanswered(going: Going, error: Exception, target: Target, patience: Patience) -> list[Verdict]:
    """Asking failed, and nothing was sent: what was asked about stays open, what is fresh waits unsent."""
    wanted = error.retry_after if isinstance(error, Unavailable) else None
    code = "billing_unavailable" if isinstance(error, Unavailable) else "target_misconfigured"
    return [
        _unanswered(claimed, patience, wanted)
        if must_be_asked(claimed, target.guarantee)
        else Verdict(claimed.id, claimed.lane, "unsent", lane_state=DELAYED, wait=patience.wait(1, wanted), problem=code, tried=0)
        for claimed, _ in going
    ]


def failed(sent: Going, error: Exception, guarantee: str, patience: Patience) -> tuple[list[Verdict], Objections]:
    """Billing did not answer, or refused the call: what that means depends on who must act, and on the target's class."""
    objections: Objections = {}
    match error:
        case Rejected(problems=problems):
            reason = problems[0].values.get("reason", "") if problems else ""
            return [_refused(claimed, objections, reason) for claimed, _ in sent], objections
        case Unavailable(sent=True, retry_after=asked):
            return [_lost(claimed, guarantee, patience, asked) for claimed, _ in sent], objections
        case Unavailable(retry_after=asked):
            return [_again(claimed, "billing_unavailable", patience, asked) for claimed, _ in sent], objections
        case Misconfigured():
            return [_again(claimed, "target_misconfigured", patience, tried=0) for claimed, _ in sent], objections
        case _:  # whatever broke in the adapter, the first byte may have been out
            return [_lost(claimed, guarantee, patience, why="target_failed") for claimed, _ in sent], objections


def withdrawn(gone: Sequence[Claimed]) -> list[Verdict]:
    """What is no longer to be sent leaves the ledger. A reading says so itself already, a letter is told now."""
    letter = ReadingStatus.WITHDRAWN
    return [
        Verdict(one.id, one.lane, "withdrawn", closed=WITHDRAWN, tried=0, becomes=letter if one.kind == LETTER else None) for one in gone
    ]


def reaped(held: Held, guarantee: str, patience: Patience) -> list[Verdict]:
    """The worker died. Before the first byte could be out nothing happened; after it, the target's class decides."""
    if held.phase == 0:
        return [Verdict(claimed.id, claimed.lane, "unsent", problem=claimed.problem, tried=0) for claimed in held.items]
    return [_lost(claimed, guarantee, patience, at_once=True) for claimed in held.items]


def _taken(claimed: Claimed, reference: str, tried: int = 1) -> Verdict:
    becomes = ReadingStatus.ACKNOWLEDGED
    return Verdict(claimed.id, claimed.lane, "taken", closed=TAKEN, reference=reference, tried=tried, becomes=becomes)


def _refused(claimed: Claimed, objections: Objections, reason: str, tried: int = 1) -> Verdict:
    objections[claimed.id] = Problem(code="refused_by_billing", values={"reason": reason})
    code, becomes = "refused_by_billing", ReadingStatus.REJECTED
    return Verdict(claimed.id, claimed.lane, "refused", closed=REFUSED, problem=code, tried=tried, becomes=becomes)


def _doubt(claimed: Claimed, tried: int = 1) -> Verdict:
    becomes = ReadingStatus.IN_DOUBT
    return Verdict(claimed.id, claimed.lane, "in_doubt", lane_state=PARKED, problem="in_doubt", tried=tried, becomes=becomes)


def _lost(
    claimed: Claimed, guarantee: str, patience: Patience, asked: float | None = None, *, why: str = "answer_lost", at_once: bool = False
) -> Verdict:
    """Billing may have it, or not: a question for later at A and B, for a person at C, and at B too once patience is spent."""
    if guarantee == "C" or (guarantee == "B" and _spent(claimed, patience)):
        return _doubt(claimed)
    return _again(claimed, why, patience, asked, at_once=at_once)


def _awaiting(claimed: Claimed, outcome: str, poll: float, tried: int = 1) -> Verdict:
    wait = timedelta(seconds=poll)
    return Verdict(claimed.id, claimed.lane, outcome, lane_state=DELAYED, wait=wait, problem="awaiting", tried=tried)


def _pending(claimed: Claimed, tried: Tried | None, target: Target) -> Verdict:
    """Billing has it and has not said its word: asked about again, until that takes longer than it ever may."""
    age = tried.age if tried else claimed.age
    return _doubt(claimed, tried=0) if age.total_seconds() > target.overdue else _awaiting(claimed, ASKED, target.poll, tried=0)


def _unanswered(claimed: Claimed, patience: Patience, wanted: float | None = None) -> Verdict:
    """A question without an answer stays open and is asked again by the schedule; once patience is spent, a person is asked."""
    if _spent(claimed, patience):
        return _doubt(claimed)
    wait = patience.wait(claimed.tries + 1, wanted)
    return Verdict(claimed.id, claimed.lane, ASKED, lane_state=DELAYED, wait=wait, problem=claimed.problem)


def _spent(claimed: Claimed, patience: Patience) -> bool:
    return claimed.age.total_seconds() > patience.total


def _again(
    claimed: Claimed, code: str, patience: Patience, asked: float | None = None, *, tried: int = 1, at_once: bool = False
) -> Verdict:
    if _spent(claimed, patience):
        return Verdict(claimed.id, claimed.lane, "dead", closed=DEAD, problem="retries_spent", tried=tried, becomes=ReadingStatus.DEAD)
    wait = timedelta() if at_once else patience.wait(claimed.tries + 1, asked)
    return Verdict(claimed.id, claimed.lane, "later", lane_state=READY if at_once else DELAYED, wait=wait, problem=code, tried=tried)
