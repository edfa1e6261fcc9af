"""Why is it not sent yet? The first true reason as one sentence."""

from collections.abc import Iterator
from typing import Final

from gateway.inbound.web.speech import Speech
from gateway.store.ledger import DELAYED, PARKED
from gateway.store.trace import Waiting

SENDING: Final = 1
"""Phase of a batch whose first byte may be out."""


def sentence(waiting: Waiting, speech: Speech) -> str:
    """What holds a delivery back: the first of the reasons that is true, in the order in which they bar the way (ledger.md, WHY)."""
    return next(_reasons(waiting, speech))


def _reasons(waiting: Waiting, speech: Speech) -> Iterator[str]:
    if waiting.phase is not None:
        yield speech.say("why_sending" if waiting.phase == SENDING else "why_claimed")
    if waiting.paused:
        yield speech.say("why_paused", reason=waiting.paused)
    if waiting.breaker_until and waiting.breaker_until > waiting.now:
        yield speech.say("why_breaker", time=speech.when(waiting.breaker_until))
    if waiting.lane_state == PARKED:
        yield speech.say("why_parked" if waiting.is_head else "why_parked_before")
    if not waiting.is_head:
        yield speech.say("why_behind", number=speech.number(waiting.ahead_in_lane))
    if waiting.lane_state == DELAYED and waiting.due > waiting.now:
        reason = speech.problem(waiting.problem or "later").rstrip(".")
        yield speech.say("why_later", reason=reason, time=speech.when(waiting.due))
    if waiting.next_call_at > waiting.now:
        yield speech.say("why_pace", time=speech.when(waiting.next_call_at))
    if waiting.ahead_about > 1:
        yield speech.say("why_queue", number=speech.number(waiting.ahead_about - 1))
    yield speech.say("why_soon")
