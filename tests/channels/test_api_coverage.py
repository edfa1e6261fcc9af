"""GET /v1/coverage: every register that is expected for a period, and what became of it."""

import io
from datetime import date
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from gateway.demo.archives import Archived, archive
from gateway.domain.supply import Line
from gateway.store import feed
from tests.running import Gateway, Utility


@pytest.fixture
def company(gateway: Gateway) -> Utility:
    """Four meters of two agreements: one taken, one waiting for a person, one refused, one nobody told of."""
    made = gateway.utility("legal_entity")
    made.meters("1", "2", agreement="A-1")
    made.meters("3", "4", agreement="A-2")
    made.submit(made.body({"1": "150", "2": "90", "3": "99999999"}))
    return made


def asked(utility: Utility, key: str = "", **query: Any) -> Any:
    answer = utility.call("GET", "/v1/coverage", key=key, params={"period": utility.period} | query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def states(told: Any) -> dict[str, str]:
    return {one["meter"]: one["state"] for one in told["registers"]}


def test_each_register_has_its_state(company: Utility) -> None:
    told = asked(company)
    assert states(told) == {"1": "accepted", "2": "waiting", "3": "refused", "4": "missing"}
    assert {name: told[name] for name in ("expected", "received", "accepted", "waiting", "refused", "missing")} == {
        "expected": 4,
        "received": 3,
        "accepted": 1,
        "waiting": 1,
        "refused": 1,
        "missing": 1,
    }
    assert [one["reading"] is None for one in told["registers"]] == [False, False, False, True]
    company.gateway.work()
    assert states(asked(company))["1"] == "accepted", "what billing has taken stays accepted"


def test_a_better_reading_covers_what_was_refused(company: Utility) -> None:
    company.submit(company.body({"3": "150"}))
    assert states(asked(company))["3"] == "accepted"
    company.submit(company.body({"1": "99999999"}))
    assert states(asked(company))["1"] == "accepted", "a refused correction leaves what stands"


def test_a_scope_narrows_what_is_asked(company: Utility) -> None:
    assert states(asked(company, agreement="a-2")) == {"3": "refused", "4": "missing"}
    told = asked(company, only="missing")
    assert (told["expected"], states(told)) == (4, {"4": "missing"})
    [row] = company.gateway.rows("select id from agreement where utility_id = %(u)s and number = 'A-2'", u=company.id)
    narrow = company.partner("read", "submit", name="narrow", agreements=[row.id])
    assert states(asked(company, narrow)) == {"3": "refused", "4": "missing"}
    assert states(asked(company, narrow, mine="true")) == {}
    company.submit(company.body({"4": "150"}), key=narrow)
    assert states(asked(company, narrow, mine="true")) == {"4": "accepted"}
    assert states(asked(company, party="nobody")) == {}


def test_the_archive_of_a_heat_meter_is_its_reading(gateway: Gateway) -> None:
    """F-070: a contractor's file without integrators holds all that is wanted; one that is refused is told as refused."""
    town = gateway.utility("contractor_heat")
    town.rulebook(to_day=31)
    town.meters("81001", "81002", "81003", registers=("heat",))
    heat = (Decimal("7.5"),)
    archives = [Archived(serial="81001", heat=heat, shown=()), Archived(serial="81002", heat=heat, shown=(), mistake="нет")]
    assert town.upload(archive(archives, town.before, town.profile.zone), "archive.csv").status_code == 202
    gateway.work()
    assert states(asked(town, period=town.before)) == {"81001": "accepted", "81002": "refused", "81003": "missing"}


def test_every_zone_of_a_meter_is_expected(company: Utility) -> None:
    company.meters("5", agreement="A-3", registers=("A+:day", "A+:night"))
    told = asked(company, agreement="A-3")
    assert [(one["register"], one["state"]) for one in told["registers"]] == [("A+:day", "missing"), ("A+:night", "missing")]


def test_a_meter_is_expected_only_while_it_hangs(company: Utility) -> None:
    line = Line(
        agreement="A-4", point="1", meter="6", register="A+", digits=6, installed_on=date(2020, 3, 10), removed_on=date(2020, 5, 10)
    )
    with company.gateway.owner.transaction() as connection:
        feed.import_lines(connection, company.id, "legal_entity", [line])
    expected = {
        period: asked(company, agreement="A-4", period=period)["expected"] for period in ("2020-02", "2020-03", "2020-05", "2020-06")
    }
    assert expected == {"2020-02": 0, "2020-03": 1, "2020-05": 1, "2020-06": 0}


def test_the_list_is_a_workbook_in_the_language_asked_for(company: Utility) -> None:
    answer = company.call("GET", "/v1/coverage/workbook", params={"period": company.period}, headers={"Accept-Language": "uk"})
    sheet = openpyxl.load_workbook(io.BytesIO(answer.content)).worksheets[0]
    rows = [tuple(cell.value for cell in row) for row in sheet.iter_rows()]
    assert rows[0][0] == "Договір"
    assert [(row[5], row[7]) for row in rows[1:]] == [("1", "Прийнято"), ("2", "Чекає рішення"), ("3", "Відхилено"), ("4", "Не передано")]
    assert sheet.auto_filter.ref == "A1:H5"


@pytest.mark.parametrize(("query", "status"), [({"period": "2022-13"}, 422), ({}, 400), ({"period": "2022-10", "only": "lost"}, 400)])
def test_what_cannot_be_asked_is_refused(company: Utility, query: dict[str, str], status: int) -> None:
    assert company.call("GET", "/v1/coverage", params=query).status_code == status
