"""GET /v1/templates/interval_workbook, and the workbook sent back: a page of hours becomes an accepted reading."""

import io
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from gateway.domain.intervals import total
from gateway.domain.readings import MeterReading
from gateway.mapping import Envelope
from gateway.mapping.interval_workbook import IntervalWorkbook
from tests.running import Gateway, Utility

PATH = "/v1/templates/interval_workbook"


def template(company: Utility, **query: str) -> bytes:
    """The template of meter 2 in the current period."""
    answer = company.call("GET", PATH, params={"agreement": "A-1", "meter": "2", "period": company.period} | query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''2_{company.period}.xlsx"
    return answer.content


def filled(body: bytes, value: Any) -> bytes:
    """Every open cell of a template filled in."""
    book = openpyxl.load_workbook(io.BytesIO(body))
    for row in book.worksheets[0].iter_rows(min_row=2, min_col=2):
        for cell in row:
            if not cell.protection.locked:
                cell.value = value
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def test_a_filled_template_is_read_for_the_meter_that_it_was_made_for(gateway: Gateway, company: Utility) -> None:
    body = filled(template(company), 0.125)
    [read] = IntervalWorkbook().decode(body, Envelope(zone=company.profile.zone))
    told = company.upload(body, "hours.xlsx")
    assert told.status_code == 202, told.text
    gateway.work()
    detail = company.look(told)
    [row] = detail["readings"]
    assert (row["meter"], [one["code"] for one in row["problems"]], row["status"]) == ("2", ["interval_flat"], "acknowledged")
    assert isinstance(read, MeterReading)
    assert total(read.blocks, company.period) == sum(len(block.values) for block in read.blocks) * Decimal("0.125")


def test_a_wrong_cell_is_told_by_its_place(gateway: Gateway, company: Utility) -> None:
    told = company.upload(filled(template(company), "1О"), "hours.xlsx")
    gateway.work()
    [row] = company.look(told)["readings"]
    assert row["status"] == "rejected"
    assert (row["problems"][0]["code"], row["problems"][0]["where"]) == ("not_a_number", "2!B2")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("agreement=A-1&meter=9&period=2022-10", 404, "meter_unknown"),
        ("agreement=A-1&meter=%20&period=2022-10", 404, "meter_unknown"),
        ("agreement=A-9&meter=2&period=2022-10", 404, "agreement_unknown"),
        ("agreement=A-1&meter=2&period=2022-13", 422, "period_invalid"),
        ("agreement=A-1&meter=2%E2%80%AE&period=2022-10", 422, "code_unprintable"),
        ("agreement=A-1&period=2022-10", 400, "request_invalid"),
    ],
)
def test_a_template_of_nothing_is_refused(company: Utility, query: str, status: int, code: str) -> None:
    answer = company.call("GET", f"{PATH}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_foreign_meter_and_an_absent_one_look_the_same(company: Utility) -> None:
    mine = company.meters("21", agreement="A-2")
    key = company.partner(agreements=[mine])
    foreign = company.call("GET", PATH, key=key, params={"agreement": "A-1", "meter": "2", "period": "2022-10"})
    absent = company.call("GET", PATH, key=key, params={"agreement": "A-8", "meter": "2", "period": "2022-10"})
    assert (foreign.status_code, foreign.text.replace("A-1", "A-8")) == (404, absent.text)
    assert company.call("GET", PATH, key=key, params={"agreement": "A-2", "meter": "0021", "period": "2022-10"}).status_code == 200
