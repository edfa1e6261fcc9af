"""A value below the last one, or far above it, is put on trial: what may have happened, what each guess would mean, what speaks for it.

Nothing found here is ever applied: the sender or a person of the utility decides (GV-5, rules V-05, V-14, V-22).
"""

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from gateway.domain.cases import finer
from gateway.domain.readings import EXACT

_THOUSAND: Final = Decimal(1000)
_TENTH: Final = Decimal("0.1")
_TEN: Final = Decimal(10)
"""Where nothing is known of the usual consumption, an explanation moves the dial by no more than a tenth of what it shows."""
_WILD: Final = math.log(6)
"""A consumption six times the usual one, or a sixth of it, is no explanation."""
_MARGIN: Final = 0.45
"""So much better than the next guess the best one must be to be called likely."""
_LIKELY: Final = 1.0
_SHOWN: Final = 3
_RED: Final = 3
"""Red digits of a dial that is read without them."""
_COSTS: Final = {
    "maybe_zones_swapped": 0.05,
    "maybe_rollover": 0.1,
    "maybe_other_meter": 0.35,
    "maybe_thousandth": 0.3,
    "maybe_digits_swapped": 0.45,
    "maybe_digit_lost": 0.6,
    "maybe_exchanged": 0.75,
    "maybe_ratio_inside": 0.1,
    "maybe_comma_lost": 0.2,
    "maybe_digit_extra": 0.3,
}
"""How much each guess must be better than a plainer one to be believed: there are many digits to lose and few dials to roll over."""


class Neighbour(msgspec.Struct, frozen=True, gc=False):
    """Another register the value may belong to: of the same meter (`meter` empty) or of another one of the same agreement.

    `last`: its last value. `usual`: what it usually advances a period, None when that is not known. `typed`: what came for it, if anything.
    """

    meter: str
    register: str
    last: Decimal
    usual: Decimal | None
    typed: Decimal | None = None


class Suspect(msgspec.Struct, frozen=True, gc=False):
    """A value on trial. `span`: the first value its dial cannot show. `usual`: what the register usually advances in this time.

    `decimals`: places of the dial after the point. `ratios`: what its advance is multiplied by.
    """

    value: Decimal
    previous: Decimal
    span: Decimal
    usual: Decimal | None
    decimals: int = 0
    ratios: tuple[Decimal, ...] = ()


class Guess(msgspec.Struct, frozen=True, gc=False):
    """One thing that may have happened, by the code of its hint.

    `meant`: the value that would then have been meant. `advance`: what the register would have advanced, in its own units.
    `evidence`: facts for its text. `cost`: how little is to be said for it; the least is the best.
    """

    name: str
    meant: Decimal
    advance: Decimal
    cost: float
    evidence: dict[str, str]


class Verdict(msgspec.Struct, frozen=True):
    """The guesses, the best first. `likely`: whether the first stands out; otherwise it is only the first of several."""

    guesses: tuple[Guess, ...]
    likely: bool


def trial(suspect: Suspect, neighbours: Sequence[Neighbour] = ()) -> Verdict:
    """Weigh every explanation of a value that cannot follow the last one. A guess whose consumption is out of all proportion is none."""
    found: dict[str, Guess] = {}
    for guess in _guesses(suspect, neighbours):
        if guess.name not in found or guess.cost < found[guess.name].cost:
            found[guess.name] = guess
    ranked = sorted(found.values(), key=lambda guess: (guess.cost, guess.name))[:_SHOWN]
    rivals = [guess for guess in ranked[1:] if guess.advance != ranked[0].advance]
    likely = bool(ranked) and ranked[0].cost < _LIKELY and (not rivals or rivals[0].cost - ranked[0].cost > _MARGIN)
    return Verdict(tuple(ranked), likely)


def _guesses(suspect: Suspect, neighbours: Sequence[Neighbour]) -> Iterator[Guess]:
    backwards = suspect.value < suspect.previous
    for name, meant, evidence in _lower_meant(suspect) if backwards else _higher_meant(suspect):
        advance = EXACT.subtract(meant, suspect.previous)
        yield from _weighed(name, meant, advance, suspect, evidence)
    if backwards and suspect.previous >= EXACT.multiply(suspect.span, Decimal("0.9")):
        advance = EXACT.add(EXACT.subtract(suspect.value, suspect.previous), suspect.span)
        share = EXACT.divide(suspect.previous, suspect.span)
        yield from _weighed("maybe_rollover", suspect.value, advance, suspect, {"share": f"{share * 100:.0f}"})
    if backwards and suspect.value < EXACT.multiply(suspect.previous, _TENTH):
        yield from _weighed("maybe_exchanged", suspect.value, suspect.value, suspect, {})
    for other in neighbours:
        if other.last > suspect.value:
            continue
        advance = EXACT.subtract(suspect.value, other.last)
        told = {"last": f"{other.last:f}", "register": other.register}
        if other.meter:
            its = Suspect(suspect.value, other.last, suspect.span, other.usual)
            yield from _weighed("maybe_other_meter", suspect.value, advance, its, told | {"other": other.meter})
        elif other.typed is not None and other.typed >= suspect.previous:
            back = EXACT.subtract(other.typed, suspect.previous)
            fits = max(_distance(advance, other.usual), _distance(back, suspect.usual))
            if advance >= 0 and fits < _WILD:
                yield Guess("maybe_zones_swapped", other.typed, back, _COSTS["maybe_zones_swapped"] + fits, told)


def _weighed(name: str, meant: Decimal, advance: Decimal, of: Suspect, evidence: dict[str, str]) -> Iterator[Guess]:
    distance = _distance(advance, of.usual)
    small = of.usual is not None or EXACT.multiply(advance, _TEN) <= of.previous
    if advance >= 0 and distance < _WILD and small:
        yield Guess(name, meant, advance, _COSTS[name] + distance, evidence)


def _distance(advance: Decimal, usual: Decimal | None) -> float:
    """How far an advance is from the usual one, as a logarithm of their ratio; without a usual one everything is a little far."""
    if usual is None or usual <= 0:
        return _LIKELY
    if advance <= 0:
        return _WILD
    return abs(math.log(float(advance) / float(usual)))


def _lower_meant(suspect: Suspect) -> Iterator[tuple[str, Decimal, dict[str, str]]]:
    """What may have been meant by digits that make a value too low; only what would follow the last value."""
    whole, point, places = f"{suspect.value:f}".partition(".")
    yield from _exchanged(suspect)
    for meant in _insertions(whole):
        yield from _if_follows("maybe_digit_lost", meant + point + places, suspect)
    thousand = EXACT.multiply(suspect.value, _THOUSAND)
    if suspect.previous <= thousand < suspect.span:
        yield "maybe_thousandth", thousand, {}


def _higher_meant(suspect: Suspect) -> Iterator[tuple[str, Decimal, dict[str, str]]]:
    """What may have been meant by digits that make a value too high; only what would follow the last value."""
    whole, point, places = f"{suspect.value:f}".partition(".")
    yield from _exchanged(suspect)
    for meant in _removals(whole):
        yield from _if_follows("maybe_digit_extra", meant + point + places, suspect)
    if not places.strip("0"):
        yield from _if_follows("maybe_comma_lost", f"{EXACT.scaleb(Decimal(whole), -(suspect.decimals or _RED)):f}", suspect)
    for ratio in suspect.ratios:
        dial = (suspect.value / ratio).normalize()
        if not finer(dial, suspect.decimals):
            for name, value, _ in _if_follows("maybe_ratio_inside", f"{dial:f}", suspect):
                yield name, value, {"factor": f"{ratio.normalize():f}"}


def _exchanged(suspect: Suspect) -> Iterator[tuple[str, Decimal, dict[str, str]]]:
    whole, point, places = f"{suspect.value:f}".partition(".")
    for meant in _swaps(whole.zfill(len(f"{suspect.previous:f}".partition(".")[0]))):
        yield from _if_follows("maybe_digits_swapped", meant + point + places, suspect)


def _if_follows(name: str, text: str, suspect: Suspect) -> Iterator[tuple[str, Decimal, dict[str, str]]]:
    meant = Decimal(text)
    if suspect.previous <= meant < suspect.span:
        yield name, meant, {}


def _swaps(digits: str) -> Iterator[str]:
    """Two neighbouring digits exchanged."""
    for place in range(len(digits) - 1):
        if digits[place] != digits[place + 1]:
            yield digits[:place] + digits[place + 1] + digits[place] + digits[place + 2 :]


def _insertions(digits: str) -> Iterator[str]:
    """One digit put back anywhere."""
    for place in range(len(digits) + 1):
        for digit in "0123456789":
            yield digits[:place] + digit + digits[place:]


def _removals(digits: str) -> Iterator[str]:
    """One digit taken out."""
    for place in range(len(digits) if len(digits) > 1 else 0):
        yield digits[:place] + digits[place + 1 :]
