"""Sections 5 to 9 of the water utility's manual: linking, readings of cold water, drain volumes, the archive, one's own agreements."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from gateway.domain.supply import Line
from tests.journeys.ground import codes, enter, form, get, report, said, standing, taken
from tests.running import Gateway, Utility

METER, NUMBER, INN = "13 300963", "15303", "1831234560"


@pytest.fixture
def town(gateway: Gateway) -> Utility:
    """The agreement of the manual's figures: a meter of five black digits, and a point of the drain that has none."""
    made = gateway.utility("water")
    about: dict[str, Any] = {
        "agreement": NUMBER,
        "party": "ООО «Вода»",
        "party_tax_number": INN,
        "signed_on": date(2018, 10, 5),
        "window_day": made.due,
    }
    cold = Line(
        **about,
        point="1",
        location="1",
        location_address="г Ижевск, ул. Ленина, дом 114",
        service="cold_water",
        meter=METER,
        model="VLF-R-1.5",
        register="volume",
        digits=5,
        decimals=0,
        verify_by=date(2099, 7, 5),
        last=Decimal("231.000"),
        last_period=made.before,
    )
    enter(made, cold, Line(**about, point="2", service="drain", meter="", register="volume", digits=6))
    return made


def cold(town: Utility, value: str) -> bytes:
    """The value of the form «Передача показаний ХВС»."""
    return form(METER, town.period, {"volume": value})


def drained(town: Utility, value: str) -> bytes:
    """The amount of the form «Передача объемов по стокам ГВС»."""
    return report([{"point": "2", "agreement": NUMBER, "period": town.period, "registers": [{"register": "volume", "value": value}]}])


def test_5_an_agreement_is_linked_by_the_company_s_number_and_its_own(town: Utility) -> None:
    """F-024: «Заявка успешно отправлена» if there is such an agreement."""
    linked = said(town.call("POST", "/v1/links", json={"login": "voda", "agreement": NUMBER, "inn": INN}))
    assert (linked["state"], linked["method"]) == ("linked", "inn_number")
    wrong = {"login": "voda", "agreement": NUMBER, "inn": "7707083893"}
    assert town.call("POST", "/v1/links", json=wrong).status_code == 422


def test_6_values_are_saved_first_and_handed_in_afterwards(gateway: Gateway, town: Utility) -> None:
    """F-060, GV-8: «Сохранить показания», «Передать показания»; 231.000 -> 233 is 2 m3; the row turns green when it was taken."""
    saved = town.submit(cold(town, "233"), asked={"draft": "true"})
    assert standing(town, saved, "ru") == [("draft", "Сохранено")]
    assert gateway.rows("select from delivery where utility_id = %(u)s", u=town.id) == []
    handed = town.call("POST", f"/v1/submissions/{saved.json()['submission']}/submit")
    [row] = taken(handed)
    assert (row["values"][0]["previous"], row["values"][0]["consumption"]) == ("231.000", "2.000")
    assert standing(town, handed) == [("queued", "Передано")]
    gateway.work()
    assert standing(town, handed) == [("acknowledged", "Принято к учёту")]


def test_6_only_black_digits_are_handed_in(town: Utility) -> None:
    """F-062, GV-8: 233417 does not fit five digits and looks like litres; 233,417 shows the red ones."""
    with town.client(language="ru") as client:
        [litres] = taken(client.post("/v1/readings", content=cold(town, "233417")))
        [red] = taken(client.post("/v1/readings", content=cold(town, "233,417")))
    assert litres["status"] == red["status"] == "rejected"
    assert {"too_many_digits", "litres_suspected"} <= set(codes(litres))
    assert {"too_many_decimals", "red_digits_suspected"} <= set(codes(red))
    assert "233" in next(problem["text"] for problem in litres["problems"] if problem["code"] == "litres_suspected")


@pytest.mark.parametrize(
    ("day", "opens", "closes", "due"),
    [("2018-10-08", "2018-10-04", "2018-10-08", "2018-10-06"), ("2018-09-04", "2018-09-04", "2018-09-06", "2018-09-06")],
)
def test_6_readings_are_taken_within_three_days_and_past_a_day_off(town: Utility, day: str, opens: str, closes: str, due: str) -> None:
    """GV-9, GV-21, F-061: due on the 6th, which was a Saturday in October 2018."""
    town.gateway.rows("update agreement set window_day = 6 where utility_id = %(u)s", u=town.id)
    meter = next(one for one in get(town, "/v1/windows", agreement=NUMBER, on=day)["meters"] if one["meter"])
    assert [(w["open"], w["opens"], w["closes"], w["due"]) for w in meter["windows"]] == [(True, opens, closes, due)]


def test_7_the_drain_of_hot_water_is_told_as_a_volume_at_its_point(gateway: Gateway, town: Utility) -> None:
    """F-066: no dial, no previous value; the amount itself is billed."""
    told = town.submit(drained(town, "17"))
    [row] = taken(told)
    assert (row["meter"], row["values"][0]["volume"], row["values"][0]["consumption"]) == ("", True, "17")
    gateway.work()
    assert standing(town, told)[0][0] == "acknowledged"


def test_8_the_archive_is_found_by_address_and_days(gateway: Gateway, town: Utility) -> None:
    """F-064, F-065: address of the connection, from and to; when master data was fetched last stands beside coverage and windows."""
    assert town.submit(cold(town, "300")).status_code == 202
    gateway.work()
    asked = {"agreement": NUMBER, "address": "ленина, дом 114", "from": town.period, "to": town.period}
    [row] = get(town, "/v1/history", **asked)["readings"]
    assert (row["meter"], row["values"][0]["value"], row["text"]) == (METER, "300", "Принято к учёту")
    assert get(town, "/v1/history", **(asked | {"address": "Пушкинская"}))["readings"] == []


def test_9_the_own_agreements_are_listed_with_their_day_and_may_be_given_up(town: Utility) -> None:
    """F-025, section 0 (8): to delete an agreement is to unlink it from one's own account."""
    said(town.call("POST", "/v1/links", json={"login": "voda", "agreement": NUMBER, "inn": INN}))
    [link] = get(town, "/v1/links", login="voda")["links"]
    assert (link["agreement"], link["party"], link["signed_on"]) == (NUMBER, "ООО «Вода»", "2018-10-05")
    assert town.call("DELETE", f"/v1/links/{link['link']}?login=voda").status_code in (200, 204)
    assert get(town, "/v1/links", login="voda")["links"] == []
