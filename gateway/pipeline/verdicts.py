"""What an attempt means for each delivery: taken, refused, tried again later, in doubt or dead. Pure, but for the dice of the waits."""

import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import msgspec

from gateway.domain.problems import Misconfigured, Problem, Rejected, Unavailable
from gateway.domain.readings import REGISTERS, Quality
from gateway.domain.status import ReadingStatus
from gateway.outbound import Item, Outcome, Receipt, Value
from gateway.settings import Worker
from gateway.store.claims import Claimed, Held
from gateway.store.ledger import DEAD, DELAYED, PARKED, READY, REFUSED, TAKEN, WITHDRAWN, Verdict
from gateway.store.readings import Outgoing

_dice: Final = random.SystemRandom()


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


Going = list[tuple[Claimed, Item]]
Objections = dict[UUID, Problem]


def items(held: Held, outgoing: Mapping[UUID, Outgoing]) -> tuple[Going, list[Claimed]]:
    """Split a batch into what is sent and what must not be any more: withdrawn or superseded before its first attempt."""
    going, gone = [], []
    for claimed in held.items:
        reading = outgoing.get(claimed.subject)
        live = reading is not None and (reading.status not in (ReadingStatus.SUPERSEDED, ReadingStatus.WITHDRAWN) or claimed.tries > 0)
        if reading is not None and live:
            going.append((claimed, _item(reading)))
        else:
            gone.append(claimed)
    return going, gone


def _item(reading: Outgoing) -> Item:
    values = tuple(
        Value(
            register=value.register,
            value=value.value,
            unit=REGISTERS[value.register].unit,
            previous=value.previous,
            consumption=value.consumption,
            quality=Quality(value.quality),
            ratio_applied=value.ratio_applied,
            losses_applied=value.losses_applied,
        )
        for value in reading.values
    )
    return Item(
        key=f"rdg_{reading.id.hex}",
        agreement=reading.agreement,
        point=reading.point,
        meter=reading.meter,
        period=reading.period,
        at=reading.at,
        revision=reading.revision,
        values=values,
    )


def judged(sent: Going, receipt: Receipt, guarantee: str, patience: Patience) -> tuple[list[Verdict], Objections]:
    """Billing answered: every item by its own word; of one it did not speak of nobody knows, as if its answer were lost."""
    answers = {answer.key: answer for answer in receipt.answers}
    verdicts: list[Verdict] = []
    objections: Objections = {}
    for claimed, item in sent:
        answer = answers.get(item.key)
        if answer is None:
            verdicts.append(_doubt(claimed) if guarantee == "C" else _again(claimed, "answer_lost", patience))
        elif answer.outcome is Outcome.LATER:
            verdicts.append(_again(claimed, "billing_unavailable", patience))
        elif answer.outcome is Outcome.TAKEN:
            verdict = Verdict(
                claimed.id, claimed.lane, "taken", closed=TAKEN, reference=answer.reference, becomes=ReadingStatus.ACKNOWLEDGED
            )
            verdicts.append(verdict)
        else:
            verdicts.append(_refused(claimed, objections, answer.reason))
    return verdicts, objections


def failed(sent: Going, error: Exception, guarantee: str, patience: Patience) -> tuple[list[Verdict], Objections]:
    """Billing did not answer, or refused the call: what that means depends on who must act, and on the target's class."""
    objections: Objections = {}
    match error:
        case Rejected(problems=problems):
            reason = problems[0].values.get("reason", "") if problems else ""
            return [_refused(claimed, objections, reason) for claimed, _ in sent], objections
        case Unavailable(sent=True) if guarantee == "C":
            return [_doubt(claimed) for claimed, _ in sent], objections
        case Unavailable(sent=was_sent, retry_after=asked):
            code = "answer_lost" if was_sent else "billing_unavailable"
            return [_again(claimed, code, patience, asked) for claimed, _ in sent], objections
        case Misconfigured():
            return [_again(claimed, "target_misconfigured", patience, tried=0) for claimed, _ in sent], objections
        case _ if guarantee == "C":  # whatever broke in the adapter, the first byte may have been out
            return [_doubt(claimed) for claimed, _ in sent], objections
        case _:
            return [_again(claimed, "target_failed", patience) for claimed, _ in sent], objections


def withdrawn(gone: Sequence[Claimed]) -> list[Verdict]:
    """What is no longer to be sent leaves the ledger."""
    return [Verdict(claimed.id, claimed.lane, "withdrawn", closed=WITHDRAWN, tried=0) for claimed in gone]


def reaped(held: Held, guarantee: str, patience: Patience) -> list[Verdict]:
    """The worker died. Before the first byte could be out nothing happened; after it, the target's class decides."""
    if held.phase == 0:
        return [Verdict(claimed.id, claimed.lane, "unsent", lane_state=READY, tried=0) for claimed in held.items]
    if guarantee == "C":
        return [_doubt(claimed) for claimed in held.items]
    return [_again(claimed, "answer_lost", patience, at_once=True) for claimed in held.items]


def _refused(claimed: Claimed, objections: Objections, reason: str) -> Verdict:
    objections[claimed.id] = Problem(code="refused_by_billing", values={"reason": reason})
    return Verdict(claimed.id, claimed.lane, "refused", closed=REFUSED, problem="refused_by_billing", becomes=ReadingStatus.REJECTED)


def _doubt(claimed: Claimed) -> Verdict:
    return Verdict(claimed.id, claimed.lane, "in_doubt", lane_state=PARKED, problem="in_doubt", becomes=ReadingStatus.IN_DOUBT)


def _again(
    claimed: Claimed, code: str, patience: Patience, asked: float | None = None, *, tried: int = 1, at_once: bool = False
) -> Verdict:
    if claimed.age.total_seconds() > patience.total:
        return Verdict(claimed.id, claimed.lane, "dead", closed=DEAD, problem="retries_spent", tried=tried, becomes=ReadingStatus.DEAD)
    wait = timedelta() if at_once else patience.wait(claimed.tries + 1, asked)
    return Verdict(claimed.id, claimed.lane, "later", lane_state=READY if at_once else DELAYED, wait=wait, problem=code, tried=tried)
