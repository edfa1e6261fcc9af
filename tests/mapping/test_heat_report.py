"""The heat report in XML: what is told where belongs to the right meter, and the same days give the same blocks as the archive's table."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.problems import Rejected
from gateway.domain.readings import MeterReading
from gateway.mapping import Envelope, formats
from gateway.mapping.heat_report import HeatReport
from gateway.mapping.mapped.shipped import shipped
from gateway.mapping.mapped.table import Mapped
from gateway.mapping.recognising import recognise
from gateway.settings import Limits
from tests.formats.make_report import SAMPLES, day, head, meter, nested, report, row, rows, states

MOSCOW = Envelope(zone="Europe/Moscow")


def decoded(body: bytes, envelope: Envelope = MOSCOW) -> list[MeterReading]:
    return [thing for thing in HeatReport().decode(body, envelope) if isinstance(thing, MeterReading)]


def told(body: bytes) -> list[tuple[str, str, str]]:
    return [(one.meter, problem.code, problem.where) for one in decoded(body) for problem in one.problems]


def refusal(body: bytes, **limits: int) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as refused:
        list(HeatReport(limits=Limits(**limits)).decode(body, MOSCOW))
    return [(problem.code, problem.where) for problem in refused.value.problems]


def heats(body: bytes) -> dict[str, dict[str, list[str]]]:
    """Of each meter, by register of heat: the values that are there."""
    return {
        one.meter: {block.register: [f"{v:f}" for v in block.values if v is not None] for block in one.blocks if "heat" in block.register}
        for one in decoded(body)
    }


@pytest.mark.parametrize("name", [name for name in SAMPLES if not name.startswith("refused_charset")])
def test_a_report_is_known_by_its_bytes(name: str) -> None:
    assert recognise(formats(Limits()), SAMPLES[name](), "x") == "heat_report"


@pytest.mark.parametrize("body", [b"", b"<report/>", b"daily_data", b'{"daily_data": 1}', b"PK\x03\x04<daily_data>"])
def test_other_files_are_not_taken_for_one(body: bytes) -> None:
    assert not HeatReport().sniff(body, "report.xml")


@given(st.lists(st.decimals(0, 10**6, places=3, allow_nan=False, allow_infinity=False), min_size=2, max_size=31))
def test_days_are_those_of_the_archive(values: list[Decimal]) -> None:
    pairs = [{"Q": value, "t1": -value, "date": f"2026-10-{n:02}"} for n, value in enumerate(values, 1)]
    table = "\n".join(["Прибор;Дата;Q;t1", *(f"7;{one['date']};{one['Q']};{one['t1']}" for one in pairs)]).encode()
    [there] = [thing for thing in Mapped(mapping=shipped("heat_archive")).decode(table, MOSCOW) if isinstance(thing, MeterReading)]
    [here] = decoded(report(head("7"), rows(*pairs)))
    assert [(block.register, block.day, block.written) for block in here.blocks] == [
        (block.register, block.day, block.written) for block in there.blocks
    ]
    assert (here.period, here.problems) == (there.period, ())


def test_a_number_above_heat_inputs_is_of_all_of_them_and_of_no_other_meter() -> None:
    body = report(
        nested("1", _1=rows(day(1)), _2=rows(day(2))),
        f"<meter><circuit><circuit_code>1</circuit_code>{rows(day(3))}</circuit></meter>",
        nested("2", _3=rows(day(4))),
    )
    assert heats(body) == {"1": {"heat": ["1.25"], "heat@2": ["2.25"]}, "": {}, "2": {"heat@3": ["4.25"]}}
    assert [code for number, code, _ in told(body) if not number] == ["meter_missing"]


def test_a_number_may_stand_in_an_element_of_its_own() -> None:
    body = report(*(f"<passport>{head(serial)}</passport>{rows(day(n))}" for n, serial in enumerate("AB", 1)))
    assert heats(body) == {"A": {"heat": ["1.25"]}, "B": {"heat": ["2.25"]}}


def test_a_second_list_below_one_number_is_not_believed() -> None:
    """Whose it is nobody says."""
    assert heats(report(f"<a>{head('7')}</a>", f"<b>{rows(day(1))}</b>", f"<c>{rows(day(2))}</c>")) == {"7": {"heat": ["1.25"]}, "": {}}


def test_meters_one_below_another_without_elements_around_them() -> None:
    body = report(*(head(serial) + rows(day(n)) + states(f"QAgg={n}", f"QAgg={n}5") for n, serial in enumerate("AB", 1)))
    found = {one.meter: f"{one.readings[0].value} {one.readings[0].previous}" for one in decoded(body)}
    assert found == {"A": "15 1", "B": "25 2"}


def test_a_place_counts_what_has_been_taken_away_already() -> None:
    body = report("<note/>" * 3, meter("1", day(1)), "<meter/>", meter("2", day(1), day(2, Q="x")), "<DTend/>", meter("3", day(1, Q="y")))
    assert told(body) == [
        ("2", "not_a_number", "/report/meter[3]/daily_data_list[1]/daily_data[2]/Q"),
        ("3", "not_a_number", "/report/meter[4]/daily_data_list[1]/daily_data[1]/Q"),
    ]


def test_integrators_of_the_end_are_the_reading() -> None:
    [one] = decoded(report(head("1"), rows(day(1)), states("QAgg=10|M1Agg=7", "M1Agg=8|QAgg=12.500", last="2026-10-31")))
    assert [f"{reading.register} {reading.value} {reading.previous}" for reading in one.readings] == ["heat 12.500 10"]
    assert one.at is None, "without an hour the period's end counts"


def test_integrators_of_the_start_alone_are_no_reading() -> None:
    [one] = decoded(report(head("1"), rows(day(1)), row("QAgg=10", "period_start_meter_data")))
    assert one.readings == ()


def test_the_channel_tells_the_meter_where_the_file_does_not() -> None:
    [one] = decoded(report(rows(day(1))), Envelope(zone="Europe/Moscow", meter="77", period="2026-10"))
    assert (one.meter, one.problems, one.blocks[0].day) == ("77", (), date(2026, 10, 1))


@pytest.mark.parametrize(
    ("pairs", "problems"),
    [
        ("Q=1|date=2026-10-01|", []),
        ("|Q=1| |date=2026-10-01", []),
        ("Q = 1 | date = 2026-10-01", []),
        ("Q=|date=2026-10-01", []),
        ("Q=1=2|date=2026-10-01", ["not_a_number"]),
        ("Q|date=2026-10-01", ["report_pair_invalid"]),
        ("Q=1|Q=1|date=2026-10-01", ["column_repeated"]),
        ("Q=1|date=2026-10-01|Date=2026-10-03", ["column_repeated"]),
        ("Q=1", ["moment_invalid"]),
        ("Q=NaN|date=2026-10-01", ["number_not_finite"]),
        ("Q=1|Error=UED|date=2026-10-01", []),
    ],
)
def test_a_row_says_what_is_wrong_with_it(pairs: str, problems: list[str]) -> None:
    body = report(meter("1", "Q=1|date=2026-10-02"), meter("2", "Q=1|date=2026-10-02", pairs))
    assert [code for number, code, _ in told(body) if number == "2"] == problems
    assert not [code for number, code, _ in told(body) if number == "1"]


def test_more_mistakes_than_are_told_refuse_the_file() -> None:
    body = report(meter("1", *(["x"] * 40)))
    assert refusal(body, file_problems=10)[-1] == ("too_many_problems", "")


def test_more_values_than_may_be_are_refused() -> None:
    assert refusal(report(meter("1", *(f"a{n}=1|date=2026-10-01" for n in range(201))))) == [("xml_too_large", "")]
    assert refusal(report(meter("1", *[day(1)] * 40)), sheet_cells=200) == [("xml_too_large", "")]
