"""Section 5 of the legal entities' manual: readings on the form, the integral workbook, the interval workbook, and the period's end."""

import hashlib
import io
from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import openpyxl
import pytest

from gateway.domain.supply import Line
from tests.journeys.ground import codes, enter, form, get, report, said, standing, taken
from tests.running import Gateway, Utility

NUMBER, EMAIL = "78010000002778", "energo@example.org"
OBJECTS = tuple(f"{NUMBER}000{number}" for number in (1, 2))
WHOLE, ZONED = "01284918", "20300109"


def line(meter: str, register: str, location: str, last: str, before: str, **more: Any) -> Line:
    """A register of the agreement of the manual's figures."""
    told: dict[str, Any] = {
        "digits": 6,
        "decimals": 2,
        "price_category": 3,
        "agreement_emails": EMAIL,
        "signed_on": date(2020, 1, 1),
    } | more
    return Line(
        agreement=NUMBER,
        party="ООО «Завод»",
        location=location,
        location_name="Котельная",
        point=f"{location}-{meter}",
        point_name="ВЛ-10 ПС-1",
        meter=meter,
        register=register,
        last=Decimal(last),
        last_period=before,
        **told,
    )


@pytest.fixture
def firm(gateway: Gateway) -> Utility:
    """Two objects: a meter that runs round the clock with Кр 12000 and 5 % of losses, and one with two zones."""
    made = gateway.utility("legal_entity")
    factor = {"ratio": Decimal(12000), "losses": Decimal("0.05")}
    enter(
        made,
        line(WHOLE, "A+", OBJECTS[0], "12441", made.before, **factor),
        line(ZONED, "A+:day", OBJECTS[1], "450", made.before),
        line(ZONED, "A+:night", OBJECTS[1], "200", made.before),
    )
    return made


def filled(firm: Utility, values: dict[tuple[str, str], Any]) -> bytes:
    """The integral workbook as it is downloaded, with present values by number of the meter and zone."""
    with firm.client(language="ru") as client:
        answer = client.get("/v1/templates/integral_workbook", params={"agreement": NUMBER, "period": firm.period})
    assert answer.status_code == 200
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    sheet = book.worksheets[0]
    for row in sheet.iter_rows(min_row=2):
        for (meter, zone), value in values.items():
            if row[3].value == meter and zone in str(row[6].value).lower():
                row[8].value = value
    return packed(book)


def packed(book: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def look(firm: Utility, answer: httpx.Response) -> dict[str, Any]:
    """A submission once its file was read."""
    firm.gateway.work()
    return dict(get(firm, f"/v1/submissions/{answer.json()['submission']}"))


def test_3_an_agreement_is_linked_by_its_number_and_an_e_mail_that_stands_in_it(gateway: Gateway, firm: Utility) -> None:
    """F-020, F-119: a letter with a secret; what is confirmed may set its reminders 4 and 2 days before."""
    waiting = said(firm.call("POST", "/v1/links", json={"login": "energetik", "agreement": NUMBER, "email": EMAIL}))
    assert waiting["state"] == "waiting"
    [row] = gateway.rows("select \"values\"->>'secret' as secret from letter where utility_id = %(u)s", u=firm.id)
    assert said(firm.call("POST", "/v1/links/confirm", json={"secret": row.secret}))["state"] == "linked"
    days = {"start_days": 4, "end_days": 2}
    told = said(firm.call("PUT", f"/v1/links/{waiting['link']}/reminders?login=energetik", json=days))
    assert (told["start_days"], told["end_days"]) == (4, 2)


def test_5_1_the_page_says_for_which_period_readings_are_taken_and_until_when(firm: Utility) -> None:
    """F-053, GV-10: October is taken to 21 November, while November is open already."""
    meters = get(firm, "/v1/windows", agreement=NUMBER, on="2022-11-10")["meters"]
    assert [(w["period"], w["opens"], w["closes"]) for w in meters[0]["windows"]] == [
        ("2022-10", "2022-10-01", "2022-11-21"),
        ("2022-11", "2022-11-01", "2022-12-21"),
    ]
    assert [w["period"] for w in get(firm, "/v1/windows", agreement=NUMBER, on="2022-11-22")["meters"][0]["windows"]] == ["2022-11"]


def test_5_2_the_form_takes_a_comma_and_multiplies_by_ratio_and_losses(firm: Utility) -> None:
    """GV-3, GV-24, F-047, F-048: (012442 - 012441) x 12000 x 1.05 = 12600."""
    told = firm.submit(form(WHOLE, firm.period, {"A+": "012442,00"}))
    [row] = taken(told)
    assert Decimal(row["values"][0]["consumption"]) == 12600
    assert standing(firm, told) == [("queued", "Показания сохранены")]


def test_5_2_all_zones_come_together_and_only_that_meter_is_held_back(firm: Utility) -> None:
    """GV-12, F-050, F-051: day without night is not passed; the other meter of the same form is."""
    both = report(
        [
            {"meter": ZONED, "period": firm.period, "registers": [{"register": "A+:day", "value": "460"}]},
            {"meter": WHOLE, "period": firm.period, "registers": [{"register": "A+", "value": "12442"}]},
        ]
    )
    zoned, whole = taken(firm.submit(both))
    assert (zoned["status"], "zone_missing" in codes(zoned), whole["status"]) == ("rejected", True, "queued")


def test_5_2_nothing_is_typed_where_the_object_s_state_is_not_waiting(gateway: Gateway, firm: Utility) -> None:
    """F-046: any state but «Ожидание» locks the field."""
    gateway.rows("update service_location set entry_open = false where utility_id = %(u)s and code = %(c)s", u=firm.id, c=OBJECTS[0])
    [row] = taken(firm.submit(form(WHOLE, firm.period, {"A+": "12442"})))
    assert (row["status"], codes(row)) == ("rejected", ["entry_closed", "intervals_missing_for_category"])
    meters = get(firm, "/v1/windows", agreement=NUMBER)["meters"]
    assert [[problem["code"] for problem in meter["problems"]] for meter in meters if meter["meter"] == WHOLE] == [["entry_closed"]]


def test_5_2_an_object_of_another_agreement_is_refused(firm: Utility) -> None:
    """GV-25: an object's number begins with its agreement's."""
    [row] = taken(firm.submit(form(WHOLE, firm.period, {"A+": "12442"}, location="780100000099990001")))
    assert (row["status"], codes(row)[0]) == ("rejected", "location_differs")


def test_5_2_the_integral_workbook_is_downloaded_filled_in_and_passed(firm: Utility) -> None:
    """F-080..F-082: what is passed is said row by row; a lower value waits for a person, who lets it pass or not (GV-5, GV-17)."""
    body = filled(firm, {(WHOLE, ""): "012442,00", (ZONED, "день"): 460, (ZONED, "ночь"): 205})
    seen = look(firm, firm.upload(body, "Показания.xlsx", agreement=NUMBER, period=firm.period))
    assert [(row["meter"], row["status"]) for row in seen["readings"]] == [(WHOLE, "acknowledged"), (ZONED, "acknowledged")]
    assert seen["counters"] == {"total": 2, "accepted": 2, "in_review": 0, "rejected": 0}
    lower = look(firm, firm.upload(filled(firm, {(WHOLE, ""): "012435"}), "Ещё.xlsx", agreement=NUMBER, period=firm.period))
    [row] = [row for row in lower["readings"] if row["meter"] == WHOLE]
    assert (row["status"], codes(row)[0]) == ("needs_review", "reading_decreased")
    assert firm.decide(row["reading"], accept=False, reason="опечатка").status_code == 200


def test_5_2_values_stay_open_until_the_period_is_closed(gateway: Gateway, firm: Utility) -> None:
    """F-052: they are replaced by handing them in again, and no longer once billing has closed the period."""
    first = firm.submit(form(WHOLE, firm.period, {"A+": "12442"}))
    second = firm.submit(form(WHOLE, firm.period, {"A+": "12443"}))
    assert (standing(firm, first)[0][0], taken(second)[0]["revision"]) == ("superseded", 1)
    gateway.work()
    assert firm.close(firm.period, agreement=NUMBER).json()["results"][0]["outcome"] == "applied"
    [late] = taken(firm.submit(form(WHOLE, firm.period, {"A+": "12444"})))
    assert (late["status"], codes(late)[0]) == ("rejected", "period_closed")


def test_5_3_hours_are_passed_beside_the_reading_and_the_difference_is_shown(firm: Utility) -> None:
    """F-049, F-083..F-085: the act is kept as it came, «Расход интерв.» and «Дельта» stand beside the integral consumption."""
    firm.submit(form(WHOLE, firm.period, {"A+": "12442"}))
    asked = {"agreement": NUMBER, "meter": WHOLE, "period": firm.period}
    book = openpyxl.load_workbook(io.BytesIO(firm.call("GET", "/v1/templates/interval_workbook", params=asked).content))
    sheet = book.worksheets[0]
    for row in sheet.iter_rows(min_row=2, min_col=2):
        for cell in row:
            cell.value = 0
    sheet["B2"] = 2
    body = packed(book)
    told = firm.upload(body, "Первичный акт.xlsx", **asked, ratio_applied="false", losses_applied="false")
    seen = look(firm, told)
    [row] = seen["readings"]
    assert row["status"] == "acknowledged", row["problems"]
    [delta] = row["deltas"]
    assert [Decimal(delta[name]) for name in ("integral", "interval", "delta")] == [12600, 25200, -12600]
    kept = firm.call("GET", f"/v1/submissions/{seen['submission']}/file")
    assert (kept.content, hashlib.sha256(kept.content).hexdigest()) == (body, seen["sha256"])
    assert firm.call("GET", f"/v1/submissions/{seen['submission']}/file", key=firm.partner(name="other")).status_code == 404


def test_5_3_the_third_category_wants_hours_until_they_have_come(firm: Utility) -> None:
    """F-083: obligatory in addition, and they may come later; once they are there they must agree with the dial."""
    [row] = taken(firm.submit(form(WHOLE, firm.period, {"A+": "12442"})))
    assert (row["status"], codes(row)) == ("queued", ["intervals_missing_for_category"])
    asked = {"agreement": NUMBER, "meter": WHOLE, "period": firm.period}
    book = openpyxl.load_workbook(io.BytesIO(firm.call("GET", "/v1/templates/interval_workbook", params=asked).content))
    for line in book.worksheets[0].iter_rows(min_row=2, min_col=2):
        for cell in line:
            cell.value = 0
    book.worksheets[0]["B2"] = 1
    look(firm, firm.upload(packed(book), "hours.xlsx", **asked, ratio_applied="false", losses_applied="false"))
    [row] = taken(firm.submit(form(WHOLE, firm.period, {"A+": "12442.0"})))
    assert "intervals_missing_for_category" not in codes(row)
    [row] = taken(firm.submit(form(WHOLE, firm.period, {"A+": "12446"})))
    assert codes(row) == ["intervals_differ"]


def test_7_3_the_history_shows_period_value_zone_consumption_and_source(firm: Utility) -> None:
    """F-097: by agreement or meter, months from and to, as a page and as a workbook."""
    firm.submit(form(WHOLE, firm.period, {"A+": "12442"}))
    [row] = get(firm, "/v1/history", meter=WHOLE, **{"from": firm.period, "to": firm.period})["readings"]
    [value] = row["values"]
    assert (row["period"], value["value"], value["consumption"][:5]) == (firm.period, "12442", "12600")
    assert row["source_text"] == "передано через ЛКК"
    answer = firm.call("GET", "/v1/history/workbook", params={"agreement": NUMBER})
    assert answer.status_code == 200
    sheet = openpyxl.load_workbook(io.BytesIO(answer.content)).worksheets[0]
    assert any(cell.value == WHOLE for row in sheet.iter_rows() for cell in row)
