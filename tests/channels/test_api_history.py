"""GET /v1/history: every reading with its source, state and settled volume; sums by month and year; the workbook; who sees what."""

import io
from decimal import Decimal
from typing import Any

import msgspec
import openpyxl
import pytest

from gateway.domain.supply import Line
from gateway.domain.windows import month, shift
from gateway.store import feed
from tests.running import Gateway, Utility


def asked(utility: Utility, key: str = "", language: str = "en", **query: Any) -> Any:
    with utility.client(key, language) as client:
        answer = client.get("/v1/history", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def shown(told: Any) -> list[tuple[str, str, str]]:
    """Meter, value and status of each reading."""
    return [(one["meter"], one["values"][0]["value"], one["status"]) for one in told["readings"]]


def later(period: str, months: int) -> str:
    return f"{shift(month(period), months):%Y-%m}"


def age(utility: Utility, months: int) -> None:
    """Let what was handed in lie so many months back."""
    utility.gateway.rows(
        "update meter_reading set period = %(p)s where utility_id = %(u)s and period = %(n)s",
        p=later(utility.period, -months),
        u=utility.id,
        n=utility.period,
    )


@pytest.fixture
def home(gateway: Gateway) -> Utility:
    """A household's utility: meters 1 and 2 of agreement A-1, 3 of A-2, with addresses."""
    made = gateway.utility("household")
    made.meters("1", "2", agreement="A-1")
    made.meters("3", agreement="A-2")
    gateway.rows("update service_location set address = 'ул. Лермонтова, ' || code where utility_id = %(u)s", u=made.id)
    return made


def test_each_reading_is_shown_with_whatever_became_of_it_in_the_utilitys_words(home: Utility, gateway: Gateway) -> None:
    home.submit(home.body({"1": "150", "2": "99999999"}))
    [one] = [row for row in asked(home, language="ru", agreement="a-1")["readings"] if row["meter"] == "1"]
    assert {name: one[name] for name in ("period", "status", "source", "source_text", "agreement", "location", "address")} == {
        "period": home.period,
        "status": "queued",
        "source": "api",
        "source_text": "Через Личный кабинет",
        "agreement": "A-1",
        "location": "A-1-object",
        "address": "ул. Лермонтова, A-1-object",
    }
    [value] = one["values"]
    assert {name: value[name] for name in ("register", "name", "value", "previous", "consumption", "unit", "settled")} == {
        "register": "A+",
        "name": "А+",
        "value": "150",
        "previous": "100",
        "consumption": "50",
        "unit": "kWh",
        "settled": None,
    }
    gateway.rows("update meter_reading set source = 'web' where utility_id = %(u)s", u=home.id)
    gateway.work()
    home.settle(home.word(one["reading"], "calculated", volume="48.5"))
    told = asked(home, language="ru", agreement="A-1")["readings"]
    assert {(row["meter"], row["source_text"], row["text"]) for row in told} == {
        ("1", "Через Личный кабинет", "Рассчитано"),
        ("2", "Через Личный кабинет", "Отклонено"),
    }
    assert [row["values"][0]["settled"] for row in told if row["meter"] == "1"] == ["48.5"]


def test_filters_narrow_what_is_shown(home: Utility) -> None:
    home.submit(home.body({"1": "120", "3": "130"}))
    age(home, 14)
    home.submit(home.body({"1": "150", "2": "99999999"}))
    everything = [("1", "150", "queued"), ("1", "120", "queued"), ("2", "99999999", "rejected")]
    assert sorted(shown(asked(home, agreement="A-1"))) == sorted(everything)
    assert shown(asked(home, meter="3")) == [("3", "130", "queued")]
    assert shown(asked(home, agreement="A-1", status="rejected")) == [("2", "99999999", "rejected")]
    assert shown(asked(home, agreement="A-1", meter="1", to=later(home.period, -1))) == [("1", "120", "queued")]
    assert shown(asked(home, agreement="A-1", meter="1", **{"from": later(home.period, -13)})) == [("1", "150", "queued")]
    assert shown(asked(home, meter="1", location="a-1-OBJECT", address="лермонтова"))[0] == ("1", "150", "queued")
    assert shown(asked(home, meter="1", address="Ленина")) == []
    day = asked(home, meter="1")["readings"][0]["day"]
    assert len(asked(home, meter="1", to=day, **{"from": day})["readings"]) == 2, "both were read today"
    assert asked(home, meter="1", to="2000-01-01")["readings"] == []


def test_pages_follow_one_another_and_nothing_is_shown_twice(home: Utility) -> None:
    for months, value in ((3, "110"), (2, "120"), (1, "130"), (0, "140")):
        home.submit(home.body({"1": value, "2": value}))
        age(home, months)
    whole = asked(home, agreement="A-1")
    assert (len(whole["readings"]), whole["next"]) == (8, None)
    assert [one["period"] for one in whole["readings"]] == sorted((one["period"] for one in whole["readings"]), reverse=True)
    pages, before = [], ""
    while True:
        page = asked(home, agreement="A-1", limit=3, before=before)
        pages.append(page["readings"])
        if page["next"] is None:
            break
        before = page["next"]
    assert [len(page) for page in pages] == [3, 3, 2]
    assert [one for page in pages for one in page] == whole["readings"]


def test_sums_by_month_and_year_count_what_stands_once(home: Utility) -> None:
    home.submit(home.body({"1": "110"}))
    age(home, 24)
    home.submit(home.body({"1": "120"}))
    home.submit(home.body({"1": "125.5", "2": "99999999"}))
    home.submit(home.body({"1": "125.5"}))
    sums = asked(home, agreement="A-1", step="month")["sums"]
    assert [(one["span"], one["register"], one["consumption"], one["readings"], one["last"]) for one in sums] == [
        (home.period, "A+", "15.5", 3, "125.5"),
        (later(home.period, -24), "A+", "10", 1, "110"),
    ]
    years = asked(home, meter="1", step="year")["sums"]
    assert [(one["span"], one["consumption"]) for one in years] == [(home.period[:4], "15.5"), (later(home.period, -24)[:4], "10")]
    first = asked(home, meter="1", step="year", limit=1)
    second = asked(home, meter="1", step="year", limit=1, before=first["next"])
    assert (first["sums"] + second["sums"], second["next"]) == (years, None)


def test_each_zone_has_its_line(home: Utility) -> None:
    home.meters("5", agreement="A-3", registers=("A+:day", "A+:night"))
    registers = [{"register": "A+:day", "value": "110"}, {"register": "A+:night", "value": "105"}]
    home.submit(msgspec.json.encode({"readings": [{"meter": "5", "period": home.period, "registers": registers}]}))
    [one] = asked(home, agreement="A-3", language="uk")["readings"]
    assert [(value["name"], value["consumption"]) for value in one["values"]] == [("А+, день", "10"), ("А+, ніч", "5")]


def test_foreign_and_absent_look_the_same(home: Utility, gateway: Gateway) -> None:
    home.submit(home.body({"1": "150", "3": "150"}))
    [row] = gateway.rows("select id from agreement where utility_id = %(u)s and number = 'A-2'", u=home.id)
    narrow = home.partner("read", name="narrow", agreements=[row.id])
    assert shown(asked(home, narrow)) == [("3", "150", "queued")], "a key for some agreements need not name one"
    assert asked(home, narrow, agreement="A-1") == asked(home, narrow, agreement="A-9") == {"readings": [], "sums": [], "next": None}
    assert asked(home, narrow, meter="1") == asked(home, narrow, meter="9")
    assert asked(home, narrow, meter="1", step="year") == asked(home, narrow, meter="9", step="year")
    neighbour = gateway.utility("household")
    assert asked(neighbour, agreement="A-1")["readings"] == []
    submitter = home.partner("submit", name="submitter")
    assert home.call("GET", "/v1/history", key=submitter, params={"agreement": "A-1"}).status_code == 403


def test_a_workbook_tells_the_same_in_the_language_asked_for(home: Utility) -> None:
    home.submit(home.body({"1": "150.25", "2": "99999999"}))

    def rows(**query: str) -> list[tuple[Any, ...]]:
        with home.client(language="uk") as client:
            answer = client.get("/v1/history/workbook", params={"agreement": "A-1"} | query)
        assert answer.status_code == 200, answer.text
        return list(openpyxl.load_workbook(io.BytesIO(answer.content)).worksheets[0].iter_rows(values_only=True))

    head, *found = rows()
    assert (head[0], head[5], head[-1]) == ("Період", "Точка обліку", "Враховано в розрахунку")
    assert sorted((row[6], row[8], row[9], row[12]) for row in found) == [
        ("1", 150.25, 50.25, "Чекає на надсилання"),
        ("2", 99999999, 99999899, "Відхилено"),
    ]
    [_, total] = rows(step="year")
    assert (total[0], total[5], total[7], total[8]) == (home.period[:4], "1", 1, 50.25)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({}, 422, "history_unbounded"),
        ({"address": "Lenin street"}, 422, "history_unbounded"),
        ({"agreement": "A-1", "from": "2022-13"}, 422, "period_invalid"),
        ({"agreement": "A-1", "to": "2022-02-30"}, 422, "period_invalid"),
        ({"agreement": "A-1", "to": "9999-12-31"}, 422, "period_invalid"),
        ({"agreement": "A-1", "before": "x"}, 404, "not_found"),
        ({"agreement": "A-1", "before": "2022.x", "step": "year"}, 404, "not_found"),
        ({"agreement": "A-1", "before": "\0." + "0" * 32}, 404, "not_found"),
        ({"agreement": "A-1", "before": "\0.1", "step": "year"}, 404, "not_found"),
        ({"agreement": "\x01"}, 422, "code_unprintable"),
    ],
)
def test_what_cannot_be_asked_is_refused(home: Utility, query: dict[str, str], status: int, code: str) -> None:
    answer = home.call("GET", "/v1/history", params=query)
    assert (answer.status_code, [one["code"] for one in answer.json()["errors"]]) == (status, [code])


def test_words_of_the_registry_are_told_of_a_meter_that_is_gone(home: Utility, gateway: Gateway) -> None:
    """What was handed in for a meter stays in its history when it is exchanged (F-059)."""
    home.submit(home.body({"1": "150"}))
    line = Line(
        agreement="A-1", location="A-1-object", point="A-1-1", meter="9", register="A+", digits=6, last=Decimal(0), last_period=home.before
    )
    with gateway.owner.transaction() as connection:
        feed.import_lines(connection, home.id, "household", [line])
        connection.exec_driver_sql("update meter set removed_on = current_date where utility_id = %(u)s and serial = '1'", {"u": home.id})
    home.submit(home.body({"9": "5"}))
    assert {(one["meter"], one["point"]) for one in asked(home, agreement="A-1")["readings"]} == {("1", "A-1-1"), ("9", "A-1-1")}
