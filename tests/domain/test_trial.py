"""A value below the last one, or far too high, on trial: generated cases of known cause, and the words it leads to."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from gateway import texts
from gateway.domain.judging import judge
from gateway.domain.status import ReadingStatus
from gateway.domain.suspicion import Around, hints, usual
from gateway.domain.trial import Neighbour, Suspect, trial
from tests.conftest import case
from tests.domain import upwards
from tests.domain.backwards import generated
from tests.domain.build import OCTOBER, meter, register, sent, strict, verdict

Record = Callable[[str, int, str], None]


def test_causes_are_named_and_nothing_is_applied(proof: Record) -> None:
    count, right, among, likely, wrongly = case(210, 21_000), 0, 0, 0, 0
    for one in generated(count, seed=7):
        found = trial(one.suspect, one.neighbours)
        names = [guess.name for guess in found.guesses]
        right += names[:1] == [one.cause]
        among += one.cause in names
        likely += found.likely
        wrongly += found.likely and names[:1] != [one.cause]
        assert all(guess.advance >= 0 and guess.meant < one.suspect.span for guess in found.guesses)
    assert right >= 0.95 * count
    assert wrongly <= 0.015 * count
    assert likely >= 0.8 * count
    proof(
        "values that went backwards, on trial",
        count,
        f"{right} named first, {among} in three, {likely} called likely, {wrongly} of these wrongly, 0 applied",
    )


def test_causes_of_a_value_too_high_are_named_and_nothing_is_applied(proof: Record) -> None:
    count, right, among, likely, wrongly = case(240, 24_000), 0, 0, 0, 0
    for one in upwards.generated(count, seed=7):
        found = trial(one.suspect, one.neighbours)
        names = [guess.name for guess in found.guesses]
        right += names[:1] == [one.cause]
        among += one.cause in names
        likely += found.likely
        wrongly += found.likely and names[:1] != [one.cause]
        assert all(guess.advance >= 0 and guess.meant < one.suspect.span for guess in found.guesses if guess.name != "maybe_other_meter")
    assert right >= 0.95 * count
    assert wrongly <= 0.015 * count
    assert likely >= 0.9 * count
    proof(
        "values far too high, on trial",
        count,
        f"{right} named first, {among} in three, {likely} called likely, {wrongly} of these wrongly, 0 applied",
    )


def test_a_high_value_that_is_true_is_seldom_called_a_mistake(proof: Record) -> None:
    """Five to nine times the usual consumption, and really used: digits may look exchanged by chance, but a hint is all that follows."""
    count = case(200, 20_000)
    found = [trial(one.suspect, one.neighbours) for one in upwards.generated(count, seed=9, causes=(upwards.TRUE,))]
    likely, silent = sum(one.likely for one in found), sum(not one.guesses for one in found)
    assert likely <= 0.08 * count
    proof("high values that are true, on trial", count, f"{silent} without a guess, {likely} called likely, 0 applied")


@pytest.mark.parametrize(
    ("suspect", "name", "meant"),
    [
        (("128610", "12800", "100000", "60"), "maybe_digit_extra", "12860"),
        (("21860", "12800", "100000", "60"), "maybe_digits_swapped", "12860"),
        (("12861417", "12800", "100000", "60"), "maybe_comma_lost", "12861.417"),
        (("514440", "12800", "100000", "60"), "maybe_ratio_inside", "12861"),
    ],
)
def test_each_cause_of_a_value_too_high_by_hand(suspect: tuple[str, str, str, str], name: str, meant: str) -> None:
    value, previous, span, often = map(Decimal, suspect)
    found = trial(Suspect(value, previous, span, often, ratios=(Decimal(40),)))
    assert (found.guesses[0].name, str(found.guesses[0].meant)) == (name, meant)


def test_a_value_too_high_has_its_hint_beside_it() -> None:
    known = register(last="12800", before=Decimal(12740), before_at=datetime(2022, 8, 31, tzinfo=UTC))
    judged = verdict({"A+": "128610"}, meter(known, ratio="40"))
    [hint] = hints(judged, Around([]))
    assert (hint.code, hint.where, hint.values["meant"], hint.values["consumption"]) == ("maybe_digit_extra", "at A+", "12860", "2400")
    inside = verdict(
        {"A+": "34440"}, meter(register(last="800", before=Decimal(740), before_at=datetime(2022, 8, 31, tzinfo=UTC)), ratio="40")
    )
    assert [(hint.code, hint.values["factor"]) for hint in hints(inside, Around([]))] == [("maybe_ratio_inside", "40")]


@pytest.mark.parametrize(
    ("suspect", "neighbours", "name", "meant", "advance"),
    [
        (("17", "99990", "100000", "25"), [], "maybe_rollover", "17", "27"),
        (("23289", "32199", "100000", "80"), [], "maybe_digits_swapped", "32289", "90"),
        (("3289", "32871", "100000", "100"), [], "maybe_digit_lost", "32989", "118"),
        (("12.512", "12400", "1000000", "100"), [], "maybe_thousandth", "12512.000", "112.000"),
        (("5010", "9000", "100000", "50"), [("7", "A+", "4950", "60", None)], "maybe_other_meter", "5010", "60"),
        (("5010", "9000", "100000", "50"), [("", "A+:night", "4950", "60", "9055")], "maybe_zones_swapped", "9055", "55"),
        (("12", "90000", "100000", "50"), [], "maybe_exchanged", "12", "12"),
    ],
)
def test_each_cause_by_hand(
    suspect: tuple[str, str, str, str], neighbours: list[tuple[str, str, str, str, str | None]], name: str, meant: str, advance: str
) -> None:
    around = [Neighbour(m, r, Decimal(last), Decimal(often), Decimal(typed) if typed else None) for m, r, last, often, typed in neighbours]
    value, previous, span, often = map(Decimal, suspect)
    guesses = {guess.name: guess for guess in trial(Suspect(value, previous, span, often), around).guesses}
    assert (str(guesses[name].meant), str(guesses[name].advance)) == (meant, advance)


def test_twelve_billion_is_no_explanation() -> None:
    """GV-5: 444 -> 435 of six digits; a roll-over would be 999 991 x 12044.904."""
    found = trial(Suspect(Decimal(435), Decimal(444), Decimal(10**6), Decimal(12)))
    assert "maybe_rollover" not in {guess.name for guess in found.guesses}
    assert found.guesses[0].name == "maybe_digits_swapped"
    assert [found.guesses[0].meant, found.guesses[0].advance] == [Decimal(453), Decimal(9)]


def test_without_a_usual_consumption_nothing_is_called_likely() -> None:
    assert not trial(Suspect(Decimal(435), Decimal(444), Decimal(10**6), None)).likely


def test_a_hint_tells_the_consumption_with_ratio_and_losses() -> None:
    known = register(last="444", digits=6, before=Decimal(432))
    judged = verdict({"A+": "435"}, meter(known, ratio="12000", losses="0.05"))
    [hint] = hints(judged, Around([]))
    assert (hint.code, hint.where, hint.severity) == ("maybe_digits_swapped", "at A+", "hint")
    assert hint.values == {"value": "435", "meant": "453", "consumption": "113400"}
    assert judged.status is ReadingStatus.REJECTED
    assert judged.values[0].reading.value == 435
    assert texts.problem(hint.code, "ru", hint.values)[0] == "Возможно, переставлены цифры: 453 вместо 435. Тогда расход 113400."


def test_the_other_zone_and_the_other_meter_are_asked() -> None:
    day, night = register("A+:day", "9000", before=Decimal(8950)), register("A+:night", "4950", before=Decimal(4900))
    judged = verdict({"A+:day": "5001", "A+:night": "9048"}, meter(day, night))
    assert [hint.code for hint in hints(judged, Around([]))] == ["maybe_zones_swapped"]
    own = meter(register(last="9000", before=Decimal(8950)))
    other = meter(register(last="4950", before=Decimal(4890)), id=2, serial="777")
    stranger = meter(register(last="4950", before=Decimal(4890)), id=3, serial="888", agreement_id=9)
    [hint] = hints(verdict({"A+": "5010"}, own), Around([own, other, stranger]))
    assert (hint.code, hint.values["other"], hint.values["last"], hint.values["consumption"]) == ("maybe_other_meter", "777", "4950", "60")


def test_a_value_that_went_forward_is_not_on_trial() -> None:
    assert hints(verdict({"A+": "500"}, meter(register(last="444", before=Decimal(400)))), Around([])) == ()
    assert usual(register(last="444")) is None
    assert usual(register(last="444", before=Decimal(444))) is None
    assert usual(register(last="444", before=Decimal(400))) == 44


def test_a_declared_product_is_not_on_trial() -> None:
    """A value that contains the ratio has no digits of the dial."""
    reading = sent({"A+": "435"}).readings[0]
    product = type(reading)(register="A+", value=reading.value, ratio_applied=True, where="at A+")
    one = meter(register(last="444", before=Decimal(400)), ratio="40")
    assert hints(judge(sent({}, readings=(product,)), one, strict(), OCTOBER), Around([])) == ()
