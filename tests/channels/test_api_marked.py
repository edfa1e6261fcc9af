"""GET /v1/submissions/{id}/problems.xlsx: the file comes back marked, to its sender and nobody else, and is sent again corrected."""

import io
import uuid

import openpyxl
import pytest

from gateway.mapping.marks import COLOURS
from tests.channels.test_api_files import filled, saved
from tests.running import Gateway, Utility

RED, YELLOW = COLOURS["error"], COLOURS["warning"]


def sent(gateway: Gateway, utility: Utility, values: dict[str, object], name: str = "Показания.xlsx") -> str:
    """The id of a workbook that was sent and judged."""
    told = utility.upload(filled(utility, values), name).json()
    gateway.work()
    return str(told["submission"])


@pytest.mark.parametrize(("language", "title"), [("ru", "Ошибки"), ("uk", "Помилки"), ("en", "Problems")])
def test_the_wrong_cells_are_marked_in_the_language_asked_for(gateway: Gateway, company: Utility, language: str, title: str) -> None:
    submission = sent(gateway, company, {"1": 150, "2": "lots", "3": 50})
    with company.client(language=language) as client:
        answer = client.get(f"/v1/submissions/{submission}/problems.xlsx")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    named = "attachment; filename*=UTF-8''%D0%9F%D0%BE%D0%BA%D0%B0%D0%B7%D0%B0%D0%BD%D0%B8%D1%8F.problems.xlsx"
    assert answer.headers["content-disposition"] == named
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    sheet = book.worksheets[0]
    colours = {cell.coordinate: cell.fill.fgColor.rgb for row in sheet.iter_rows() for cell in row}
    assert {cell: colour for cell, colour in colours.items() if colour in COLOURS.values()} == {"I3": RED, "I4": YELLOW}
    seen = company.call("GET", f"/v1/submissions/{submission}", headers={"Accept-Language": language}).json()
    said = {problem["where"].partition("!")[2]: problem for row in seen["readings"] for problem in row["problems"]}
    assert sheet["I3"].comment.text == f"{said['I3']['text']}\n{said['I3']['todo']}"
    assert [cell.value for cell in book[title]["B"]][2:] == ["not_a_number", "reading_decreased"]


def test_the_corrected_file_is_a_new_submission_and_is_taken(gateway: Gateway, company: Utility) -> None:
    submission = sent(gateway, company, {"1": 150, "2": "lots"})
    marked = company.call("GET", f"/v1/submissions/{submission}/problems.xlsx").content
    book = openpyxl.load_workbook(io.BytesIO(marked))
    book.worksheets[0]["I3"] = 160
    again = company.upload(saved(book), "Показания.problems.xlsx").json()
    gateway.work()
    seen = company.look(again["submission"])
    assert again["submission"] != submission
    assert (seen["status"], seen["counters"]) == ("accepted", {"total": 2, "accepted": 2, "in_review": 0, "rejected": 0})
    answer = company.call("GET", f"/v1/submissions/{again['submission']}/problems.xlsx")
    hints = [problem for row in seen["readings"] for problem in row["problems"]]
    assert answer.status_code == (200 if hints else 404)


def test_nothing_to_mark_is_told_apart_from_nothing_there(gateway: Gateway, company: Utility) -> None:
    clean = sent(gateway, company, {"1": 150, "2": 160, "3": 170})
    posted = company.submit(company.body({"9": "5"})).json()["submission"]
    for submission in (clean, posted):
        answer = company.call("GET", f"/v1/submissions/{submission}/problems.xlsx")
        assert (answer.status_code, answer.json()["code"]) == (404, "nothing_to_mark")


def test_a_foreign_submission_looks_like_none(gateway: Gateway, company: Utility) -> None:
    submission = sent(gateway, company, {"1": "lots"})
    neighbour, stranger = company.partner("submit", "read", name="neighbour"), gateway.utility().key
    path = f"/v1/submissions/{submission}/problems.xlsx"
    absent = company.call("GET", f"/v1/submissions/sub_{uuid.uuid4().hex}/problems.xlsx")
    for key in (neighbour, stranger):
        answer = company.call("GET", path, key=key)
        assert (answer.status_code, answer.content) == (404, absent.content)
    for wrong in ("sub_1", "x" * 41):
        assert company.call("GET", f"/v1/submissions/{wrong}/problems.xlsx").status_code in (400, 404)
    assert company.call("GET", path, key="mg_wrong").status_code == 401
    assert company.call("GET", path, key=company.partner("submit", name="writer")).status_code == 403


def test_a_file_refused_whole_comes_back_with_the_reason(gateway: Gateway, company: Utility) -> None:
    submission = sent(gateway, company, {})
    answer = company.call("GET", f"/v1/submissions/{submission}/problems.xlsx")
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    assert [cell.value for cell in book["Problems"]["B"]][2:] == ["nothing_to_take"]
