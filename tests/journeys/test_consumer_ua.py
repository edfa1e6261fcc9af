"""Sections I to III of the Ukrainian consumers' manual: the manager's login, the report of a month, its totals and its correction."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from gateway.domain.supply import Line
from gateway.domain.windows import days_in
from gateway.pipeline import reminding
from tests.journeys.ground import codes, enter, get, report, said, standing, taken
from tests.running import Gateway, Utility

GRID, EDRPOU = "90034", "12345678"
FIRST = {"A+": ("1843.7", "1430.5"), "R+": ("0.0", "0.0"), "R-": ("0.0", "0.0")}
SECOND = {"A+": ("25434.0", "21340.0"), "R+": ("524.0", "498.0"), "R-": ("159.0", "145.0")}
"""Present and previous values of both meters; the registry says that «Генерация» is reactive energy delivered."""


def rows(meter: str, ratio: int, account: str, day: int) -> list[Line]:
    """A meter with its three registers, never read yet."""
    return [
        Line(
            agreement=GRID,
            party="ООО «Луч Света»",
            party_code=EDRPOU,
            party_tax_number=EDRPOU,
            party_window_day=day,
            signed_on=date(2018, 6, 11),
            point=account,
            meter=meter,
            register=register,
            digits=6,
            decimals=1,
            ratio=Decimal(ratio),
        )
        for register in FIRST
    ]


@pytest.fixture
def firm(gateway: Gateway) -> Utility:
    """The consumer of the manual's figures with the two meters of its agreement; its manager lets it begin on the 1st."""
    made = gateway.utility("consumer_ua")
    enter(made, *rows("2173", 40, "51261", 1), *rows("100192201", 1, "12312", 1))
    return made


def page(firm: Utility, meter: str, values: dict[str, tuple[str, str]]) -> bytes:
    """One meter's block of the page: present and previous of each kind, the button «Передать показания»."""
    registers = [{"register": name, "value": present, "previous": previous} for name, (present, previous) in values.items()]
    return report([{"meter": meter, "period": firm.period, "registers": registers}])


def test_1_the_manager_registers_a_login_for_the_consumer_and_reminders_go_to_its_e_mail(gateway: Gateway, firm: Utility) -> None:
    """F-009, F-027, F-120: two days before the month's end a letter names the meters that are missing, and only those."""
    bound = {"login": "luch", "email": "energo@example.org", "party": EDRPOU}
    [link] = said(firm.call("POST", "/v1/links/bindings", json=bound))["links"]
    assert (link["agreement"], link["state"], link["method"]) == (GRID, "linked", "manager")
    told = said(firm.call("PUT", f"/v1/links/{link['link']}/reminders?login=luch", json={"start_days": 10, "end_days": 2}))
    assert (told["start_days"], told["end_days"], told["email"]) == (10, 2, "energo@example.org")
    assert [one["agreement"] for one in get(firm, "/v1/links", login="luch")["links"]] == [GRID]
    assert firm.submit(page(firm, "2173", FIRST)).status_code == 202
    end = datetime.combine(days_in(firm.period)[1], time(12), tzinfo=ZoneInfo(firm.profile.zone))
    for _ in range(2):
        reminding.remind(gateway.store, end - timedelta(days=2), hour=9, done={})
    [letter] = gateway.rows('select recipient, kind, "values" as told from letter where utility_id = %(u)s', u=firm.id)
    assert (letter.recipient, letter.kind) == ("energo@example.org", "remind_end")
    assert ("100192201" in str(letter.told), "2173" in str(letter.told)) == (True, False)


def test_3_the_first_report_declares_both_values_and_adds_up(gateway: Gateway, firm: Utility) -> None:
    """GV-1, GV-2, F-054, F-055, F-058, F-059: 413.2 x 40 is 16528; 20622, 26 and 14 in all; the list shows when."""
    one = firm.submit(page(firm, "2173", FIRST))
    [row] = taken(one)
    assert [(v["previous"], v["consumption"]) for v in row["values"]] == [("1430.5", "16528.0"), ("0.0", "0.0"), ("0.0", "0.0")]
    [row] = taken(firm.submit(page(firm, "100192201", SECOND)))
    assert [v["consumption"] for v in row["values"]] == ["4094.0", "26.0", "14.0"]
    assert standing(firm, one) == [("queued", "Споживання передано")]
    told = get(firm, "/v1/totals", agreement=GRID, period=firm.period)
    sums = {total["quantity"]: Decimal(total["consumption"]) for total in told["agreements"][0]["totals"]}
    assert sums == {"A+": Decimal(20622), "R+": Decimal(26), "R-": Decimal(14)}
    assert told["agreements"][0]["reported_at"]
    gateway.work()
    assert standing(firm, one)[0][0] == "acknowledged"


def test_3_an_error_in_a_report_is_corrected_at_any_time_and_nothing_is_counted_twice(gateway: Gateway, firm: Utility) -> None:
    """F-056: new values and the same button; the first report gives way, whether billing has it or not."""
    first = firm.submit(page(firm, "2173", FIRST))
    gateway.work()
    second = firm.submit(page(firm, "2173", FIRST | {"A+": ("1844.7", "1430.5")}))
    assert [status for status, _ in standing(firm, first)] == ["superseded"]
    assert taken(second)[0]["revision"] == 1
    told = get(firm, "/v1/totals", agreement=GRID, period=firm.period)
    assert {t["quantity"]: Decimal(t["consumption"]) for t in told["agreements"][0]["totals"]}["A+"] == Decimal(16568)


def test_3_the_next_report_begins_with_last_month_s_values_and_an_untouched_form_is_warned_about(gateway: Gateway, firm: Utility) -> None:
    """GV-26, F-055: present and previous are filled with the last report's present value; handing that in says so."""
    gateway.rows(
        "update register set last = 1843.7, last_period = %(p)s where code = 'A+' and meter_id = "
        "(select id from meter where utility_id = %(u)s and serial = '2173')",
        p=firm.before,
        u=firm.id,
    )
    untouched = FIRST | {"A+": ("1843.7", "1843.7")}
    [row] = taken(firm.submit(page(firm, "2173", untouched)))
    assert row["status"] == "queued"
    assert [(p["code"], p["severity"]) for p in row["problems"] if p["code"] == "zero_consumption"][:1] == [("zero_consumption", "warning")]
    [changed] = taken(firm.submit(page(firm, "2173", FIRST | {"A+": ("1900.0", "1800.0")})))
    assert (changed["status"], "previous_differs" in codes(changed)) == ("needs_review", True), "previous may be changed, but not unseen"


def test_3_the_present_value_is_not_lower_than_the_previous_one(firm: Utility) -> None:
    with firm.client(language="uk") as client:
        [row] = taken(client.post("/v1/readings", content=page(firm, "2173", FIRST | {"A+": ("1400.0", "1430.5")})))
    assert (row["status"], codes(row)[0]) == ("rejected", "reading_decreased")


def test_3_a_report_is_taken_from_the_manager_s_day_to_the_end_of_the_month(firm: Utility) -> None:
    """GV-11, F-057: the day is the consumer's own; a day before it the answer names it."""
    enter(firm, *rows("2173", 40, "51261", 20), *rows("100192201", 1, "12312", 20))
    last = days_in(firm.period)[1].isoformat()
    for day, open_ in (("19", False), ("20", True), (last[-2:], True)):
        asked = get(firm, "/v1/windows", agreement=GRID, on=f"{firm.period}-{day}")
        [window] = asked["meters"][0]["windows"]
        assert (window["open"], window["opens"], window["closes"]) == (open_, f"{firm.period}-20", last)
