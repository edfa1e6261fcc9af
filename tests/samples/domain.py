"""What makes the domain say each of its codes."""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial

from gateway.domain.coach import Gap, explain
from gateway.domain.readings import Quality, Reading
from gateway.domain.supply import Failure, Meter
from gateway.domain.suspicion import Around, hints
from gateway.domain.windows import CutOff
from tests.domain.build import OCTOBER, meter, profile, register, strict, verdict
from tests.domain.gaps import CAUSES as GAPS
from tests.domain.gaps import generated

FULL = meter(register(last="1430"))
WATER = meter(register("volume", "231"))
USUAL = meter(register(last="1000", before=Decimal(900), before_at=datetime(2022, 8, 31, tzinfo=UTC)))


def said(values: dict[str, str], of: Meter = FULL, arrival: datetime = OCTOBER, period: str = "2022-10") -> Callable[[], Iterable[str]]:
    """The codes that judging these values yields."""
    return lambda: [problem.code for problem in verdict(values, of, strict(), arrival, period=period).problems]


def declared() -> Iterable[str]:
    """A declared previous value that is not ours."""
    reading = verdict({"A+": "1500"}, FULL).new.readings[0]
    other = type(reading)(register="A+", value=reading.value, previous=reading.value)
    return [problem.code for problem in verdict({}, FULL, readings=(other,)).problems]


def guessed() -> Iterable[str]:
    """A fourth period in which nobody read the dial."""
    reading = Reading(register="A+", value=Decimal(1500), quality=Quality.ESTIMATED)
    return [problem.code for problem in verdict({}, meter(register(last="1430", estimated=3)), readings=(reading,)).problems]


def repeated() -> Iterable[str]:
    """One register twice."""
    reading = verdict({"A+": "1500"}, FULL).new.readings[0]
    return [problem.code for problem in verdict({}, FULL, readings=(reading, reading)).problems]


ZONES = meter(register("A+:day", "9000", before=Decimal(8950)), register("A+:night", "4950", before=Decimal(4900)))
OTHER = meter(register(last="4950", before=Decimal(4890)), id=2, serial="777")


def tried(value: str, last: str, before: str, decimals: int = 3) -> Callable[[], Iterable[str]]:
    """The hints beside a value that cannot follow the last one."""
    known = register(last=last, before=Decimal(before), before_at=datetime(2022, 8, 31, tzinfo=UTC), decimals=decimals)
    one = meter(known, ratio="40")
    return lambda: [hint.code for hint in hints(verdict({"A+": value}, one), Around([OTHER]))]


def closing(gap: Gap) -> Iterable[str]:
    """What closes a gap between dials and interval values."""
    return [cause.code for cause in explain(gap)]


SAMPLES: dict[str, Callable[[], Iterable[str]]] = {
    "entry_closed": said({"A+": "1500"}, meter(register(), entry_open=False)),
    "meter_removed": said({"A+": "1500"}, meter(register(), removed_on=date(2022, 10, 24))),
    "meter_not_installed": said({"A+": "1500"}, meter(register(), installed_on=date(2022, 11, 1))),
    "verification_expired": said({"A+": "1500"}, meter(register(), verify_by=date(2022, 10, 24))),
    "not_admitted": said({"A+": "1500"}, meter(register(), admitted_on=date(2022, 10, 26))),
    "meter_failed": said({"A+": "1500"}, meter(register(), failures=(Failure("7", date(2022, 10, 1)),))),
    "point_closed": said({"A+": "1500"}, meter(register(last="1430"), point_closed_on=date(2022, 10, 24))),
    "agreement_closed": said({"A+": "1500"}, meter(register(last="1430"), agreement_closed_on=date(2022, 10, 24))),
    "power_exceeded": said({"A+": "2430"}, meter(register(last="1430"), max_power=Decimal(1))),
    "flow_exceeded": said({"volume": "2430"}, meter(register("volume", "1430"), max_flow=Decimal(1))),
    "intervals_missing_for_category": lambda: [
        problem.code for problem in verdict({"A+": "1500"}, meter(register(last="1430"), price_category=3), profile()).problems
    ],
    "estimated_too_long": guessed,
    "zones_differ": said(
        {"A+": "1100", "A+:day": "60", "A+:night": "70"}, meter(register(last="1000"), register("A+:day", "0"), register("A+:night", "0"))
    ),
    "window_not_open": said({"A+": "1500"}, arrival=datetime(2022, 9, 1, tzinfo=UTC)),
    "window_closed": said({"A+": "1500"}, arrival=datetime(2022, 12, 1, tzinfo=UTC)),
    "counted_later": lambda: [
        problem.code for problem in verdict({"A+": "1500"}, FULL, strict(window=CutOff()), OCTOBER + timedelta(days=3)).problems
    ],
    "too_many_digits": said({"A+": "100000"}),
    "too_many_decimals": said({"A+": "1500.5"}),
    "value_negative": said({"A+": "-1"}),
    "reading_decreased": said({"A+": "1429"}),
    "rollover_suspected": said({"A+": "12"}, meter(register(last="99990"))),
    "consumption_high": said({"A+": "5000"}, USUAL),
    "consumption_low": said({"A+": "1003"}, USUAL),
    "zero_consumption": said({"A+": "1430"}),
    "zone_missing": said({"A+:day": "5"}, meter(register("A+:day"), register("A+:night"))),
    "previous_differs": declared,
    "litres_suspected": said({"volume": "233417"}, WATER),
    "red_digits_suspected": said({"volume": "233.417"}, WATER),
    "duplicate_reading": said({"A+": "15"}, meter(register(last="15", last_period="2022-10"))),
    "value_missing": lambda: [problem.code for problem in verdict({}, meter()).problems],
    "register_unknown": said({"heat": "1500"}),
    "register_repeated": repeated,
    "period_invalid": said({"A+": "1500"}, period="October"),
    "period_ambiguous": said({"A+": "1500"}, period="", arrival=datetime(2022, 11, 10, tzinfo=UTC)),
    "maybe_rollover": tried("5", "99990", "99960"),
    "maybe_digits_swapped": tried("435", "444", "432"),
    "maybe_digit_lost": tried("3289", "32871", "32771"),
    "maybe_thousandth": tried("12.512", "12400", "12300"),
    "maybe_exchanged": tried("12", "90000", "89950"),
    "maybe_other_meter": tried("5010", "9000", "8950"),
    "maybe_digit_extra": tried("128710", "12800", "12740", 0),
    "maybe_comma_lost": tried("12861417", "12800", "12740", 0),
    "maybe_ratio_inside": tried("34440", "800", "740", 0),
    "maybe_zones_swapped": lambda: [hint.code for hint in hints(verdict({"A+:day": "5001", "A+:night": "9048"}, ZONES), Around([]))],
    **{code: partial(closing, gap) for code, gap in dict(generated(len(GAPS), 1)).items()},
}
