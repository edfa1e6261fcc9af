"""The time of a heat archive: however hours, days and months are written, they come to the same places in blocks."""

import random
from collections.abc import Iterable, Sequence
from datetime import date

import pytest

from gateway.domain.problems import Severity
from gateway.mapping import Envelope
from tests.formats.make_heat import days, ends, hours, starts, text
from tests.formats.read_heat import KYIV, blocks, decoded, problems


def hourly(labels: Iterable[str], day: int = 1) -> str:
    return text(*hours("1", day, labels))


@pytest.mark.parametrize(
    "labels",
    [
        starts(),
        ends(),
        [f"{n}-{n + 1}" for n in range(24)],
        [f"{n:02}:00 – {n + 1:02}:00" for n in range(24)],
        [str(n) for n in range(1, 25)],
    ],
    ids=["beginnings", "ends", "ranges", "clock ranges", "numbers to 24"],
)
def test_every_way_to_write_the_hours_gives_the_same_day(labels: list[str]) -> None:
    assert blocks(hourly(labels)) == {date(2026, 10, 1): [f"0.01{n:02}" for n in range(24)]}
    shuffled = hours("1", 1, labels)
    random.Random(3).shuffle(shuffled)  # noqa: S311 - an order, no secret
    assert blocks(text(*shuffled)) == blocks(hourly(labels))


def test_ends_that_roll_into_the_next_day_are_ends() -> None:
    rows = [f"1;{(n + 1) // 24 + 1:02}.10.2026 {(n + 1) % 24}:00;{n},5" for n in range(48)]
    found = blocks(text(*rows, head="Прибор;Дата, время;Q, Гкал"))
    assert found == {date(2026, 10, day): [f"{24 * (day - 1) + n}.5" for n in range(24)] for day in (1, 2)}


def test_hours_whose_end_cannot_be_told_are_no_guess() -> None:
    assert problems(hourly(starts()[8:12])) == [("1", "hour_labels_unclear", "line 2, column 4")]
    assert problems(hourly([*starts(), "24:00"])) == [("1", "hour_labels_unclear", "line 2, column 4")]
    other = text(*hours("2", 1, starts()), *hours("1", 1, starts()[8:12]))
    assert problems(other) == [], "another meter of the same table shows it"


def test_a_missing_hour_is_missing_and_told() -> None:
    body = text(*hours("1", 1, starts()[:20]), *hours("1", 3, starts()[2:]))
    assert blocks(body)[date(2026, 10, 1)][20:] == ["-"] * 4
    [gap] = decoded(body)[0].problems
    assert (gap.code, gap.severity) == ("archive_gap", Severity.HINT)
    assert gap.values == {"start": "2026-10-01 20:00", "end": "2026-10-03 01:00", "count": "30"}
    many = text(*days("1", range(1, 32, 2)))
    gaps = [problem.values for problem in decoded(many)[0].problems]
    assert len(gaps) == 10
    assert gaps[0] == {"start": "2026-10-02", "end": "2026-10-02", "count": "1"}
    assert gaps[-1] == {"start": "2026-10-20", "end": "2026-10-30", "count": "6"}


@pytest.mark.parametrize("zone", ["Asia/Irkutsk", "Asia/Kolkata", "Europe/Kyiv"])
def test_gaps_are_told_by_the_clock_of_the_zone(zone: str) -> None:
    [problem] = decoded(hourly([*starts()[:5], *starts()[6:]]), Envelope(zone=zone))[0].problems
    assert problem.values == {"start": "2026-10-01 05:00", "end": "2026-10-01 05:00", "count": "1"}


def test_days_on_which_clocks_are_changed() -> None:
    def body(day: str, labels: Sequence[str]) -> str:
        return text(*(f"1;{day};{label};{n};70" for n, label in enumerate(labels)), head="Прибор;Дата;Время;Q, Гкал;t1")

    autumn = body("25.10.2026", [*starts()[:4], *starts()[3:]])
    assert blocks(autumn, envelope=KYIV) == {date(2026, 10, 25): [str(n) for n in range(25)]}
    assert problems(autumn) == [("1", "moment_repeated", "line 6, column 3")]
    short = blocks(body("25.10.2026", starts()), envelope=KYIV)[date(2026, 10, 25)]
    assert len(short) == 25
    assert short.count("-") == 1
    spring = [label for label in starts() if label != "03:00"]
    assert blocks(body("29.03.2026", spring), envelope=KYIV) == {date(2026, 3, 29): [str(n) for n in range(23)]}
    assert problems(body("29.03.2026", starts()), KYIV) == [("1", "hour_nonexistent", "line 5, column 3")]


def test_the_step_is_told_by_the_distance_of_moments() -> None:
    def steps(*moments: str) -> set[str]:
        found = decoded(text(*(f"1;{moment};1" for moment in moments), head="Прибор;Дата;Q, Гкал"))
        return {block.step for block in found[0].blocks} or {found[0].problems[0].code}

    assert steps("01.10.2026", "02.10.2026") == {"P1D"}
    assert steps("01.10.2026", "31.10.2026") == {"P1D"}
    assert steps("01.09.2026", "01.10.2026", "01.11.2026") == {"P1M"}
    assert steps("сентябрь 2026", "Жовтень 2026") == {"P1M"}
    assert steps("10.2026") == {"P1M"}
    assert steps("2026-10") == {"P1M"}
    assert steps("01.10.2026 00:00", "01.10.2026 01:00") == {"PT1H"}
    assert steps("01.10.26 05:00", "01.10.26 24:00") == {"PT1H"}
    assert steps("01.10.2026") == {"archive_step_unknown"}


def test_a_month_of_days_and_a_year_of_months() -> None:
    assert [len(values) for values in blocks(text(*days("1", (1, 30)))).values()] == [31]
    monthly = text("1;02.2026;2", "1;01.2026;1", "1;12.2025;12", head="Прибор;Дата;Q, Гкал")
    assert blocks(monthly) == {date(2025, 1, 1): ["-"] * 11 + ["12"], date(2026, 1, 1): ["1", "2"] + ["-"] * 10}


def test_the_period_is_the_envelopes_or_that_of_most_days() -> None:
    rows = [f"1;{day:02}.{month:02}.2026;1" for month, last in ((9, 3), (10, 6)) for day in range(1, last)]
    body = text(*rows, head="Прибор;Дата;Q, Гкал")
    assert decoded(body)[0].period == "2026-10"
    told = decoded(body, Envelope(zone="Asia/Irkutsk", period="2026-09"))[0]
    assert told.period == "2026-09"
    assert {block.day for block in told.blocks} == {date(2026, 9, 1), date(2026, 10, 1)}, "rows of another month are kept"
