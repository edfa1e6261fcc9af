"""Hints beside a value that went backwards or far too high: what may have happened, told to whoever has to decide."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from typing import Final

from gateway.domain import belief
from gateway.domain.cases import Value, text, used
from gateway.domain.coach import Gap, explain
from gateway.domain.interval_rules import intervals_differ
from gateway.domain.judging import Judged
from gateway.domain.limits import flow_exceeded, power_exceeded
from gateway.domain.problems import Problem, Severity
from gateway.domain.readings import EXACT, REGISTERS
from gateway.domain.rules import consumption_high, litres_suspected, reading_decreased, rollover_suspected, too_many_digits
from gateway.domain.supply import Meter, Register
from gateway.domain.trial import Guess, Neighbour, Suspect, trial

BACKWARDS: Final = frozenset({reading_decreased.__name__, rollover_suspected.__name__})
TOO_HIGH: Final = frozenset({consumption_high.__name__, too_many_digits.__name__, power_exceeded.__name__, flow_exceeded.__name__})
_PUT_ON_TRIAL: Final = BACKWARDS | TOO_HIGH | {intervals_differ.__name__}
_MONTH: Final = Decimal(30)
_AROUND: Final = 1000
"""So many meters of the same agreement are asked whether the value might be theirs."""


class Around:
    """The meters of what a sender sent, as they stood before, by agreement and register; put into words when the first suspect shows."""

    def __init__(self, meters: Sequence[Meter]) -> None:
        """Nothing is looked at yet."""
        self._meters = meters
        self._found: dict[tuple[int, str], list[tuple[int, Neighbour]]] = {}

    def beside(self, meter: Meter, code: str) -> Iterator[Neighbour]:
        """The same register of other meters of its agreement."""
        place = meter.agreement_id, code
        if place not in self._found:
            theirs = (other for other in self._meters if other.agreement_id == meter.agreement_id)
            self._found[place] = [
                (other.id, Neighbour(other.serial, register.code, register.last, usual(register)))
                for other in islice(theirs, _AROUND)
                if (register := other.register(code)) is not None and register.last is not None
            ]
        return (neighbour for id_, neighbour in self._found[place] if id_ != meter.id)


def hints(judged: Judged, around: Around) -> tuple[Problem, ...]:
    """What may explain the values of a reading that cannot follow the last ones; `around`: other meters of what the sender sent.

    The likeliest explanation where one stands out, else the best few, each as a hint `maybe_...` at the place of its value.
    """
    codes = {problem.code for problem in judged.problems}
    if not codes & _PUT_ON_TRIAL:
        return ()
    causes = (cause for problem in judged.problems if problem.code == intervals_differ.__name__ for cause in _causes(problem, judged.meter))
    litres = {problem.where for problem in judged.problems if problem.code == litres_suspected.__name__}
    too_high = {problem.where for problem in judged.problems if problem.code in TOO_HIGH} - litres
    suspects = (value for value in judged.values if value.reading.where in too_high or _fell(value))
    return (*(hint for value in suspects for hint in _explained(value, judged, around)), *causes)


def _causes(problem: Problem, meter: Meter) -> Iterator[Problem]:
    """What closes a gap between a dial and interval values, as far as ratio, losses and units can (V-13)."""
    told = problem.values
    day = meter.terms[-1] if len(meter.terms) == 1 else None
    ratios = (day.ratio_current, day.ratio_voltage) if day else (meter.ratio, Decimal(1))
    integral, interval, unit = (Decimal(told[name]) for name in ("integral", "interval", "unit"))
    for cause in explain(Gap(integral=integral, interval=interval, unit=unit, ratios=ratios, losses=meter.losses)):
        yield Problem(code=cause.code, where=problem.where, severity=Severity.HINT, values=cause.facts)


def _fell(value: Value) -> bool:
    return value.previous is not None and value.reading.value < value.previous


def usual(register: Register) -> Decimal | None:
    """What a register usually advances a month of 30 days, else what its last two values tell; None when nothing does."""
    daily = belief.usual(register)
    if daily is not None and daily > 0:
        return EXACT.multiply(daily, _MONTH)
    if register.last is None or register.before is None or register.last <= register.before:
        return None
    return EXACT.subtract(register.last, register.before)


def _explained(value: Value, judged: Judged, around: Around) -> Iterator[Problem]:
    typed = value.reading
    if value.previous is None or typed.value < 0 or typed.ratio_applied or typed.losses_applied:
        return
    known = value.register
    suspect = Suspect(
        typed.value, value.previous, Decimal(10) ** known.digits, usual(known), decimals=known.decimals, ratios=_ratios(judged.meter)
    )
    verdict = trial(suspect, [*_zones(value, judged), *around.beside(judged.meter, known.code)])
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


def _ratios(meter: Meter) -> tuple[Decimal, ...]:
    """What may stand in a value of this meter's dial: Kтт, Kтн and their product."""
    found = {meter.ratio, *(ratio for terms in meter.terms for ratio in (terms.ratio_current, terms.ratio_voltage))}
    return tuple(sorted(ratio for ratio in found if ratio > 1))
