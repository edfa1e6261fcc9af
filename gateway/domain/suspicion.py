"""Hints beside a value that went backwards: what may have happened, told to whoever has to decide."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Final

from gateway.domain import belief
from gateway.domain.judging import Judged
from gateway.domain.problems import Problem, Severity
from gateway.domain.readings import EXACT, REGISTERS
from gateway.domain.rules import Value, reading_decreased, rollover_suspected, text, used
from gateway.domain.supply import Meter, Register
from gateway.domain.trial import Guess, Neighbour, Suspect, trial

BACKWARDS: Final = frozenset({reading_decreased.__name__, rollover_suspected.__name__})
_MONTH: Final = Decimal(30)
_AROUND: Final = 1000
"""So many meters of the same agreement are asked whether the value might be theirs."""


def hints(judged: Judged, around: Sequence[Meter]) -> tuple[Problem, ...]:
    """What may explain the values of a reading that stand below the last ones; `around`: other meters of what the sender sent.

    The likeliest explanation where one stands out, else the best few, each as a hint `maybe_...` at the place of its value.
    """
    if not any(problem.code in BACKWARDS for problem in judged.problems):
        return ()
    return tuple(hint for value in judged.values for hint in _explained(value, judged, around))


def usual(register: Register) -> Decimal | None:
    """What a register usually advances a month of 30 days, else what its last two values tell; None when nothing does."""
    daily = belief.usual(register)
    if daily is not None and daily > 0:
        return EXACT.multiply(daily, _MONTH)
    if register.last is None or register.before is None or register.last <= register.before:
        return None
    return EXACT.subtract(register.last, register.before)


def _explained(value: Value, judged: Judged, around: Sequence[Meter]) -> Iterator[Problem]:
    typed = value.reading
    if value.previous is None or not 0 <= typed.value < value.previous or typed.ratio_applied or typed.losses_applied:
        return
    span = Decimal(10) ** value.register.digits
    suspect = Suspect(value.reading.value, value.previous, span, usual(value.register))
    verdict = trial(suspect, [*_zones(value, judged), *_meters(value, judged.meter, around)])
    for guess in verdict.guesses[: 1 if verdict.likely else None]:
        yield Problem(code=guess.name, where=value.reading.where, severity=Severity.HINT, values=_facts(guess, value, judged.meter))


def _facts(guess: Guess, value: Value, meter: Meter) -> dict[str, str]:
    """What a hint tells: the value meant and the consumption it would mean, with the meter's ratio and losses."""
    consumption = used(meter, value.reading, guess.advance, Decimal(0))
    return {"value": text(value.reading.value), "meant": text(guess.meant), "consumption": text(consumption)} | guess.evidence


def _zones(value: Value, judged: Judged) -> Iterator[Neighbour]:
    """The other zones of the same quantity of the same meter, with what came for them."""
    kind = REGISTERS.get(value.register.code)
    for other in judged.values:
        its = REGISTERS.get(other.register.code)
        if other is not value and kind is not None and its is not None and its.quantity is kind.quantity and other.previous is not None:
            yield Neighbour("", other.register.code, other.previous, usual(other.register), other.reading.value)


def _meters(value: Value, meter: Meter, around: Sequence[Meter]) -> Iterator[Neighbour]:
    """The same register of other meters of the agreement."""
    others = (other for other in around if other.id != meter.id and other.agreement_id == meter.agreement_id)
    for other in islice(others, _AROUND):
        register = other.register(value.register.code)
        if register is not None and register.last is not None:
            yield Neighbour(other.serial, register.code, register.last, usual(register))
