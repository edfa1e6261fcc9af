"""POST /v1/files: a workbook there and back, and what the door refuses at once."""

import io
import zipfile
from decimal import Decimal

import openpyxl
import pytest

from tests.running import Gateway, Utility

NAMES = ["../../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "a/../../b.xlsx", "con", "-rf", "ж" * 300, "a\u202eb.xlsx", "", "."]


def template(utility: Utility, agreement: str = "A-1", period: str = "") -> openpyxl.Workbook:
    asked = {"agreement": agreement, "period": period or utility.period}
    answer = utility.call("GET", "/v1/templates/integral_workbook", params=asked)
    assert answer.status_code == 200, answer.text
    return openpyxl.load_workbook(io.BytesIO(answer.content))


def saved(book: openpyxl.Workbook) -> bytes:
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def filled(utility: Utility, values: dict[str, object], agreement: str = "A-1") -> bytes:
    """The template with these current values by meter."""
    book = template(utility, agreement)
    for row in book.worksheets[0].iter_rows(min_row=2):
        if row[3].value in values:
            row[8].value = values[str(row[3].value)]  # type: ignore[assignment]
    return saved(book)


def test_a_workbook_there_and_back(gateway: Gateway, company: Utility) -> None:
    body = filled(company, {"1": 150, "2": "160,5", "3": "lots"})
    answer = company.upload(body, "Показания.xlsx")
    told = answer.json()
    assert (answer.status_code, told["status"], told["readings"], told["file_name"]) == (202, "received", [], "Показания.xlsx")
    assert company.look(told["submission"])["status"] == "received"
    gateway.work()
    seen = company.look(told["submission"])
    assert (seen["status"], seen["format"], seen["counters"]["accepted"]) == ("partly_accepted", "integral_workbook", 2)
    assert [(row["meter"], row["status"], row["period"]) for row in seen["readings"]] == [
        ("1", "acknowledged", company.period),
        ("2", "acknowledged", company.period),
        ("3", "rejected", company.period),
    ]
    assert [row["values"][0]["consumption"] for row in seen["readings"][:2]] == ["50", "60.5"]
    sheet = openpyxl.load_workbook(io.BytesIO(body)).sheetnames[0]
    assert ("not_a_number", f"{sheet}!I4") in [(problem["code"], problem["where"]) for problem in seen["readings"][2]["problems"]]
    words = [line["to"] for line in seen["timeline"] if line["entity"] == "submission"]
    assert words == ["received", "partly_accepted"]


def test_gv_12_in_a_workbook(gateway: Gateway, company: Utility) -> None:
    company.meters("10", "11", agreement="A-12", registers=("A+:day", "A+:night"))
    book = template(company, "A-12")
    for row in book.worksheets[0].iter_rows(min_row=2):
        if row[3].value == "11" or row[6].value == "Day":
            row[8].value = 150
    told = company.upload(saved(book)).json()
    gateway.work()
    seen = company.look(told["submission"])
    by_meter = {row["meter"]: (row["status"], [p["code"] for p in row["problems"]]) for row in seen["readings"]}
    assert by_meter == {"10": ("rejected", ["zone_missing"]), "11": ("acknowledged", [])}


def test_the_same_file_twice_is_one_set_of_readings_whatever_its_name(gateway: Gateway, company: Utility) -> None:
    body = filled(company, {"1": 150})
    first, again = company.upload(body, "a.xlsx"), company.upload(body, "b.xlsx")
    assert (first.status_code, again.status_code) == (202, 200)
    gateway.work()
    third = company.upload(body, "c.xlsx")
    assert {answer.json()["submission"] for answer in (first, again, third)} == {first.json()["submission"]}
    assert third.json()["readings"][0]["status"] == "acknowledged"
    assert gateway.rows("select count(*) from meter_reading where utility_id = %(u)s", u=company.id)[0][0] == 1


def test_the_same_file_with_another_envelope_is_another_submission(company: Utility) -> None:
    body = company.body({"1": "150"})
    first, other = company.upload(body, "a.json"), company.upload(body, "a.json", agreement="A-1")
    assert first.json()["submission"] != other.json()["submission"]


def test_the_envelope_says_what_the_file_does_not(gateway: Gateway, company: Utility) -> None:
    company.meters("1", agreement="B-1")
    body = b'{"readings":[{"meter":"1","registers":[{"register":"A+","value":"150"}]}]}'
    told = company.upload(body, "a.json", agreement="B-1", period=company.period, kind="canonical_json").json()
    gateway.work()
    [row] = company.look(told["submission"])["readings"]
    assert (row["agreement"], row["period"], row["status"]) == ("B-1", company.period, "acknowledged")


def test_a_file_of_another_agreement_s_template_is_refused_whole(gateway: Gateway, company: Utility) -> None:
    company.meters("7", agreement="B-7")
    told = company.upload(filled(company, {"7": 150}, "B-7"), agreement="A-1").json()
    gateway.work()
    seen = company.look(told["submission"])
    assert (seen["status"], seen["readings"]) == ("rejected", [])
    assert [problem["code"] for problem in seen["problems"]] == ["template_mismatch"]


def test_a_file_rejected_whole_is_translated_again(gateway: Gateway, company: Utility) -> None:
    body = company.body({"77": "150"})
    first = company.upload(body, "a.json")
    gateway.work()
    company.meters("77")
    again = company.upload(body, "a.json")
    assert (first.status_code, again.status_code) == (202, 202)
    gateway.work()
    assert [company.look(one)["status"] for one in (first, again)] == ["rejected", "accepted"]


def test_a_format_the_rulebook_does_not_take_is_refused(gateway: Gateway) -> None:
    household = gateway.utility("household")
    household.meters("1", agreement="A-1")
    told = household.upload(filled(household, {"1": 150})).json()
    gateway.work()
    seen = household.look(told["submission"])
    assert seen["status"] == "rejected"
    assert [problem["code"] for row in seen["readings"] for problem in row["problems"]] == ["format_not_accepted"]


def zipped(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        ("a.xlsx", b"", 422, "file_empty"),
        ("a.xlsx", b"%PDF-1.7 pretends", 415, "file_type_mismatch"),
        ("a.xlsx", b"MZ\x90\x00", 415, "file_type_mismatch"),
        ("a.xlsx", b"\x7fELF", 415, "file_type_mismatch"),
        ("a.xlsx", b"<html><body>login</body></html>", 415, "file_type_mismatch"),
        ("a.bin", b"\x00\x01\x02", 415, "file_type_mismatch"),
        ("a.json", b"\x00", 415, "file_type_mismatch"),
        ("a.xlsx", zipped(**{"xl/workbook.xml": b"0" * 9_000_000}), 422, "archive_ratio"),
        ("a.xlsx", zipped(**{"xl/workbook.xml": b"<x/>", "../../evil": b"x"}), 422, "archive_path"),
        ("a.xlsx", zipped(**{"xl/workbook.xml": b"<x/>"})[:-30], 422, "archive_corrupt"),
    ],
    ids=["empty", "pdf", "exe", "elf", "html", "binary", "nul", "bomb", "slip", "cut"],
)
def test_the_door_refuses_other_kinds(gateway: Gateway, company: Utility, name: str, body: bytes, status: int, code: str) -> None:
    answer = company.upload(body, name)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert gateway.rows("select count(*) from submission where utility_id = %(u)s", u=company.id)[0][0] == 0


@pytest.mark.parametrize("body", [b"colour;size\n1;150\n", b"<?xml version='1.0'?><a/>", zipped(a=b"text")], ids=["text", "xml", "zip"])
def test_what_may_be_a_format_and_is_none_is_refused_later_by_code(gateway: Gateway, company: Utility, body: bytes) -> None:
    told = company.upload(body, "a.csv").json()
    gateway.work()
    seen = company.look(told["submission"])
    assert (seen["status"], [problem["code"] for problem in seen["problems"]]) == ("rejected", ["format_unknown"])


@pytest.mark.parametrize(
    ("envelope", "status", "code"),
    [
        ({"kind": "word"}, 415, "format_unknown"),
        ({"kind": "../canonical_json"}, 415, "format_unknown"),
        ({"period": "2022-13"}, 422, "period_invalid"),
        ({"period": "2022"}, 422, "period_invalid"),
        ({"agreement": "x" * 101}, 422, "code_too_long"),
        ({"meter": "x" * 101}, 422, "code_too_long"),
        ({"agreement": "bad\0"}, 422, "code_unprintable"),
        ({"meter": "bad\x01"}, 422, "code_unprintable"),
    ],
)
def test_a_wrong_envelope_is_refused(company: Utility, envelope: dict[str, str], status: int, code: str) -> None:
    answer = company.upload(company.body({"1": "150"}), "a.json", **envelope)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_a_name_is_only_a_label(gateway: Gateway, company: Utility, name: str) -> None:
    answer = company.call("POST", "/v1/files", files={"file": (name, company.body({"1": "150"})), "kind": (None, b"canonical_json")})
    if not name:
        assert answer.status_code in (202, 400), answer.text
        return
    assert answer.status_code == 202, answer.text
    label = answer.json()["file_name"]
    assert not set(label) & set("/\\\0\r\n\u202e")
    assert len(label) <= 200
    assert [path for path in gateway.settings.data.rglob("*") if "passwd" in path.name or "boot" in path.name] == []


def test_a_file_at_the_limit_is_taken_and_one_byte_more_is_not(gateway: Gateway, company: Utility) -> None:
    limit = gateway.settings.limits.file_bytes
    body = company.body({"1": "150"})
    assert company.upload(body + b" " * (limit - len(body)), "a.json").status_code == 202
    refused = company.upload(body + b" " * (limit - len(body) + 1), "a.json")
    assert (refused.status_code, refused.json()["code"]) == (413, "file_too_large")


def test_numbers_of_a_workbook_are_exact(gateway: Gateway, company: Utility) -> None:
    told = company.upload(filled(company, {"1": 150.1, "2": "1234.567", "3": 100.001})).json()
    gateway.work()
    values = [row["values"][0] for row in company.look(told["submission"])["readings"]]
    assert [Decimal(value["value"]) for value in values] == [Decimal("150.1"), Decimal("1234.567"), Decimal("100.001")]
    assert values[2]["consumption"] == "0.001"
