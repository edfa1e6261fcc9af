"""GET /v1/windows: what may be handed in on which day, for which period and until when."""

from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import pytest

from gateway import profiles
from gateway.domain.supply import Line
from gateway.store import feed, people, supply
from tests.peers import PLAIN
from tests.running import Gateway, Utility


def asked(gateway: Gateway, utility: Utility, status: int = 200, key: str = "", **query: str) -> Any:
    """The answer to a question about windows."""
    headers = {"Authorization": f"Bearer {key or utility.key}", "Accept-Language": "en"}
    answer = httpx.get(f"{gateway.url}/v1/windows", params=query, headers=headers, verify=PLAIN)
    assert answer.status_code == status, answer.text
    return answer.json()


def register(utility: Utility, *lines: Line) -> None:
    with utility.gateway.owner.transaction() as connection:
        feed.import_lines(connection, utility.id, utility.profile.name, lines)


def line(meter: str, **more: Any) -> Line:
    """A water meter of agreement 1803-В."""
    told: dict[str, Any] = {"agreement": "1803-В", "party": "АО «Вода»", "point": meter, "meter": meter, "register": "volume", "digits": 5}
    return Line(**(told | {"service": "cold_water"} | more))


@pytest.fixture
def water(gateway: Gateway) -> Utility:
    return Utility(gateway, "water")


def test_a_due_day_on_a_saturday_is_said_and_so_is_the_monday(gateway: Gateway, water: Utility) -> None:
    register(water, line("111", window_day=6))
    for day, is_open in (("2018-10-04", True), ("2018-10-08", True), ("2018-10-03", False)):
        told = asked(gateway, water, agreement="1803-в", on=day)
        assert (told["on"], told["zone"]) == (day, "Europe/Samara")
        [meter] = told["meters"]
        assert (meter["meter"], meter["agreement"], meter["service"], meter["problems"]) == ("111", "1803-В", "cold_water", [])
        assert meter["windows"] == [
            {"period": "2018-10", "opens": "2018-10-04", "closes": "2018-10-08", "due": "2018-10-06", "open": is_open}
        ]
    [later] = asked(gateway, water, agreement="1803-В", on="2018-10-09")["meters"][0]["windows"]
    assert (later["period"], later["opens"], later["open"]) == ("2018-11", "2018-11-04", False)


def test_two_periods_may_be_open_at_once(gateway: Gateway, company: Utility) -> None:
    company.meters("111", agreement="A-7")
    windows = asked(gateway, company, agreement="A-7", on="2022-11-10")["meters"][0]["windows"]
    assert [(one["period"], one["opens"], one["closes"], one["open"]) for one in windows] == [
        ("2022-10", "2022-10-01", "2022-11-21", True),
        ("2022-11", "2022-11-01", "2022-12-21", True),
    ]


def test_the_day_of_the_agreement_comes_before_that_of_its_party(gateway: Gateway, water: Utility) -> None:
    register(water, line("111", party_window_day=10), line("222", agreement="1804-В", window_day=20, party_window_day=10))
    for agreement, due in (("1803-В", "2024-07-10"), ("1804-В", "2024-07-22")):
        [window] = asked(gateway, water, agreement=agreement, on="2024-07-09")["meters"][0]["windows"]
        assert window["closes"] == due
    register(water, line("111"))
    [window] = asked(gateway, water, agreement="1803-В", on="2024-08-06")["meters"][0]["windows"]
    assert window["closes"] == "2024-08-06", "without a day of its own the profile's counts"


def test_a_meter_that_takes_nothing_says_why(gateway: Gateway, water: Utility) -> None:
    register(water, line("111", entry_open=False), line("222", removed_on=date(2024, 1, 31)))
    for day, codes in (("2024-01-31", [["entry_closed"], []]), ("2024-02-05", [["entry_closed"], ["meter_removed"]])):
        meters = asked(gateway, water, agreement="1803-В", on=day)["meters"]
        assert [[problem["code"] for problem in meter["problems"]] for meter in meters] == codes
        assert all(problem["text"] and problem["todo"] for meter in meters for problem in meter["problems"])


def test_a_period_that_billing_has_closed_is_not_offered(gateway: Gateway, company: Utility) -> None:
    """F-052: of two windows only the other one is open then; when both are over the next one is told, and why."""

    def told() -> tuple[list[tuple[str, bool]], list[str]]:
        [meter] = asked(gateway, company, agreement="A-7", on="2022-11-10")["meters"]
        return [(one["period"], one["open"]) for one in meter["windows"]], [problem["code"] for problem in meter["problems"]]

    company.meters("111", agreement="A-7")
    for closed, windows, problems in (
        ("2022-09", [("2022-10", True), ("2022-11", True)], []),
        ("2022-10", [("2022-11", True)], []),
        ("2022-11", [("2022-12", False)], ["period_closed"]),
        ("2022-12", [("2022-12", False)], ["period_closed"]),
    ):
        assert company.close(closed, agreement="A-7").json()["results"][0]["outcome"] == "applied"
        assert told() == (windows, problems)


def test_today_is_the_day_when_none_is_named(gateway: Gateway, water: Utility) -> None:
    water.meters("111", agreement="A-1", registers=("volume",))
    [window] = asked(gateway, water, agreement="A-1")["meters"][0]["windows"]
    assert (window["open"], window["period"]) == (True, water.period)


def test_what_is_not_within_a_key_is_not_there(gateway: Gateway, water: Utility) -> None:
    register(water, line("111"), line("222", agreement="1804-В"))
    [one] = gateway.rows("select id from agreement where utility_id = %(u)s and number = '1804-В'", u=water.id)
    narrow = water.partner("read", name="narrow", agreements=[one.id])
    foreign, absent = (asked(gateway, water, 404, narrow, agreement=number) for number in ("1803-В", "nothing"))
    assert (foreign["code"], foreign.keys()) == ("agreement_unknown", absent.keys())
    assert asked(gateway, water, key=narrow, agreement="1804-В")["meters"][0]["meter"] == "222"
    assert asked(gateway, water, 403, water.partner("submit", name="blind"), agreement="1804-В")
    assert asked(gateway, water, 400, agreement="1803-В", on="2024-02-30")
    assert asked(gateway, water, 400)


@pytest.mark.parametrize("months", [-12, 12])
def test_a_day_without_periods_around_it_is_refused(gateway: Gateway, water: Utility, months: int) -> None:
    document = profiles.shipped()["water"].decode().replace("lead_days = 3", f"lead_days = 31\nmonth = {months}")
    with gateway.owner.transaction() as connection:
        people.save_document(connection, water.id, "profile", "water", document.encode(), "test")
    register(water, line("111"))
    for day in ("0001-01-01", "1900-01-01", "2199-12-31", "9999-12-31"):
        assert asked(gateway, water, 400, agreement="1803-В", on=day)["code"] == "request_invalid"
    for day in ("1902-01-01", "2197-12-31"):
        assert asked(gateway, water, agreement="1803-В", on=day)["meters"][0]["windows"]


def test_terms_count_from_their_day_on(company: Utility) -> None:
    """GV-18: losses change to 5 %; what was read before stays as it was, and a late reading of the old time is reckoned with the old."""
    told: dict[str, Any] = {"agreement": "A-8", "point": "1", "meter": "20300109", "register": "A+", "digits": 6, "decimals": 3}
    first = Line(
        **told, ratio=Decimal(120), ratio_voltage=Decimal(100), losses=Decimal("0.003742"), last=Decimal(435), last_period="2022-11"
    )
    register(company, first)
    register(company, Line(**told, ratio=Decimal(120), ratio_voltage=Decimal(100), losses=Decimal("0.05"), since=date(2023, 1, 1)))
    with company.gateway.owner.transaction() as connection:
        [known] = supply.meters_of(connection, company.id, "A-8")
    december, january = known.meter.on(date(2022, 12, 31)), known.meter.on(date(2023, 1, 1))
    assert (december.ratio, december.losses) == (Decimal(12000), Decimal("0.003742"))
    assert (january.ratio, january.losses) == (Decimal(12000), Decimal("0.05"))
    assert (known.meter.losses, len(known.meter.terms)) == (Decimal("0.05"), 2)


def test_the_answer_says_when_the_meters_were_last_as_billing_has_them(gateway: Gateway, water: Utility) -> None:
    register(water, line("111", window_day=6))
    [period] = asked(gateway, water, agreement="1803-В", on="2018-10-04")["meters"][0]["windows"]

    def told() -> list[str | None]:
        covered = water.call("GET", "/v1/coverage", params={"period": period["period"]})
        assert covered.status_code == 200, covered.text
        return [asked(gateway, water, agreement="1803-В")["synced_at"], covered.json()["synced_at"]]

    assert told() == [None, None]
    for profile, outcome, day in (("water", "unchanged", 1), ("water", "unavailable", 2), ("household", "applied", 3)):
        statement = (
            "insert into sync (utility_id, name, profile, started_at, finished_at, outcome) "
            f"values (%(u)s, 'billing', %(profile)s, '2026-01-0{day}', '2026-01-0{day} 12:00Z', %(outcome)s)"
        )
        gateway.rows(statement, u=water.id, profile=profile, outcome=outcome)
    assert told() == ["2026-01-01T12:00:00Z", "2026-01-01T12:00:00Z"]
