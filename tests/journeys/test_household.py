"""Section 4.2 of the households' manual: a meter's page, a value that is refused beside the button, deleting, «Рассчитано», the history."""

from datetime import date
from decimal import Decimal

import httpx
import pytest

from gateway.domain.supply import Line
from gateway.domain.windows import month, shift
from tests.journeys.ground import codes, enter, form, get, said, standing, taken
from tests.running import Gateway, Utility

METER, ACCOUNT = "007128-286", "ИКТО-010857"


@pytest.fixture
def home(gateway: Gateway) -> Utility:
    """The account of the manual's figure: a meter of five digits, verified until 2025 in the figure and until later here."""
    made = gateway.utility("household")
    passport = Line(
        agreement=ACCOUNT,
        party="Иванова Мария Петровна",
        point="1",
        service="electricity",
        meter=METER,
        model="ЦЭ 6807П",
        register="A+",
        digits=5,
        decimals=0,
        installed_on=date(2012, 3, 27),
        verify_by=date(2099, 1, 1),
        last=Decimal(32891),
        last_period=made.before,
    )
    enter(made, passport)
    return made


def hand_in(home: Utility, value: str, **more: object) -> bytes:
    """The value typed on the form, which knows no period."""
    return form(METER, home.period, {"A+": value}, **more)


def test_2_the_account_is_found_by_its_number_and_the_holder_s_surname(home: Utility) -> None:
    """F-002, F-026: the letters of an account may be typed in either alphabet; a wrong surname and a wrong number look the same."""

    def ask(agreement: str, surname: str) -> httpx.Response:
        told = {"login": "maria", "agreement": agreement, "surname": surname, "email": "maria@example.org"}
        return home.call("POST", "/v1/links", json=told)

    wrong, absent = said(ask(ACCOUNT, "Петрова"), 422), said(ask("ИКТО-999999", "Иванова"), 422)
    assert wrong == absent
    linked = said(ask("икto-010857", "ИВАНОВА"))
    assert (linked["state"], linked["agreement"]) == ("linked", ACCOUNT)
    assert wrong["code"] != "link_proof_wanted"


def test_4_2_readings_are_wanted_until_the_25th_and_count_for_the_next_month_afterwards(home: Utility) -> None:
    """«Рекомендуем передавать показания приборов учета до 25 числа» (F-042)."""
    for day, period in (("25", home.period), ("26", f"{shift(month(home.period), 1):%Y-%m}")):
        [meter] = get(home, "/v1/windows", agreement=ACCOUNT, on=f"{home.period}-{day}")["meters"]
        assert [window["period"] for window in meter["windows"]] == [period]
        assert meter["windows"][0]["closes"] == f"{period}-25"


def test_4_2_a_wrong_value_is_refused_beside_the_button_with_its_reason(home: Utility) -> None:
    """F-040: the value is checked by the places of the dial and by consumption; the reason stands in red."""
    with home.client(language="ru") as client:
        [long] = taken(client.post("/v1/readings", content=hand_in(home, "100000")))
        [lower] = taken(client.post("/v1/readings", content=hand_in(home, "32819")))
    assert (long["status"], codes(long)[0]) == ("rejected", "too_many_digits")
    assert "на нём 5" in long["problems"][0]["text"]
    assert lower["status"] == "rejected"
    assert "меньше предыдущего 32891" in lower["problems"][0]["text"]
    assert {"maybe_digits_swapped"} <= set(codes(lower)), "32819 is 32891 with two digits exchanged"


def test_4_2_a_reading_is_deleted_until_leaving_the_cabinet(home: Utility) -> None:
    """F-041: a profile that gives its people ten minutes; what was deleted is forgotten, and the next value stands as if it never came."""
    home.rulebook(hold=600)
    [row] = taken(home.submit(hand_in(home, "33999")))
    assert (row["status"], row["hold_until"] is not None) == ("accepted", True)
    assert said(home.withdraw(row["reading"]))["readings"][0]["status"] == "withdrawn"
    [again] = taken(home.submit(hand_in(home, "33055")))
    assert (again["values"][0]["previous"], again["values"][0]["consumption"]) == ("32891", "164")


def test_4_2_the_history_shows_each_reading_with_its_channel_and_its_state(gateway: Gateway, home: Utility) -> None:
    """GV-7, GV-23, F-043: three readings in one month, of a visitor, a controller and the visitor again; then one told by phone."""
    own = home.submit(hand_in(home, "33055"))
    assert standing(home, own)[0][0] == "queued"
    gateway.work()
    controlled = home.submit(hand_in(home, "33055"), asked={"source": "control"})
    assert [v["consumption"] for v in taken(controlled)[0]["values"]] == ["0"]
    assert home.settle(_word(home, own.json()["readings"][0]["reading"])).status_code == 200
    assert standing(home, own) == [("calculated", "Рассчитано")]
    clerk = home.partner("submit", "read", "phone", name="clerk")
    phoned = home.submit(hand_in(home, "33248"), key=clerk, asked={"source": "phone"})
    [row] = taken(phoned)
    assert (row["source"], row["values"][0]["consumption"]) == ("phone", "193")
    shown = get(home, "/v1/history", agreement=ACCOUNT)["readings"]
    told = {(one["source_text"], one["values"][0]["value"], one["values"][0]["consumption"]) for one in shown}
    assert told == {
        ("Через Личный кабинет", "33055", "164"),
        ("Контрольное", "33055", "0"),
        ("От абонента (по телефону)", "33248", "193"),
    }
    assert [one["text"] for one in shown if one["source_text"] == "Через Личный кабинет"] == ["Рассчитано"]
    [year] = get(home, "/v1/history", agreement=ACCOUNT, step="year")["sums"]
    assert (year["span"], year["last"]) == (home.period[:4], "33248")


def _word(home: Utility, reading: str) -> dict[str, object]:
    return {
        "agreement": ACCOUNT,
        "meter": METER,
        "period": home.period,
        "quantity": "A+",
        "volume": "164",
        "stage": "calculated",
        "readings": [reading],
    }
