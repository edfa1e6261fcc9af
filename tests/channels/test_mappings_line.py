"""A partner's table through the whole line: a mapping, his codes, a new version of it, and a control row that lies."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from gateway import profiles
from gateway.demo.invented import any_day
from gateway.domain.windows import month
from gateway.mapping.dbf import Field
from gateway.mapping.dbf_writer import write_dbf
from gateway.store import people
from tests.running import Utility

MAPPING = """
name = "contractor_list"
title = "Реестр подрядчика"
period_from = "day"
register = "A+"
crosswalk = "contractor_codes"

[columns]
meter = ["Шифр"]
day = ["Дата снятия"]
value = ["Показание"]

[control]
sums = {value = 2}
"""
CODES = "code;meter;agreement\nЩ-7;1;A-1\nЩ-8;2;A-1\n"


def save(utility: Utility, **documents: str) -> None:
    """Give the utility its next version of documents, by kind, and a profile that lets the mapping in."""
    names = {"mapping": "contractor_list", "crosswalk": "contractor_codes"}
    profile = any_day(profiles.shipped()[utility.profile.name]).decode()
    profile = profile.replace('formats = ["canonical_json"', 'formats = ["contractor_list", "canonical_json"')
    with utility.gateway.owner.transaction() as connection:
        people.save_document(connection, utility.id, "profile", utility.profile.name, profile.encode(), "test")
        for kind, body in documents.items():
            people.save_document(connection, utility.id, kind, names[kind], body.encode(), "test")


@pytest.fixture
def supplied(company: Utility) -> Utility:
    """A utility with the mapping of one contractor."""
    save(company, mapping=MAPPING, crosswalk=CODES)
    return company


def told(period: str, *rows: str, control: str) -> bytes:
    day: date = month(period)
    lines = [row.replace("DAY", f"{day:%d.%m.%Y}") for row in rows]
    return "\r\n".join(["Реестр показаний", "Шифр;Дата снятия;Показание, кВт·ч", *lines, control, ""]).encode("cp866")


def sent(utility: Utility, body: bytes, **beside: str) -> dict[str, Any]:
    """The submission once it is translated and delivered."""
    answer = utility.upload(body, "list.txt", **beside)
    assert answer.status_code == 202, answer.text
    utility.gateway.work()
    shown: dict[str, Any] = utility.call("GET", f"/v1/submissions/{answer.json()['submission']}").json()
    return shown


def test_a_table_is_told_by_its_header_and_names_its_mapping(supplied: Utility) -> None:
    shown = sent(supplied, told(supplied.period, "Щ-7;DAY;150,5", " щ-8;DAY;160", "Щ-9;DAY;1", control="=3;311,5"))

    assert shown["format"] == "contractor_list@1"
    assert [(row["meter"], row["status"]) for row in shown["readings"]] == [
        ("1", "acknowledged"),
        ("2", "acknowledged"),
        ("Щ-9", "rejected"),
    ]
    assert [problem["code"] for problem in shown["readings"][2]["problems"]] == ["meter_unknown"]
    assert shown["readings"][0]["values"][0]["value"] == "150.5"


def test_a_new_version_is_named_by_what_it_reads(supplied: Utility) -> None:
    sent(supplied, told(supplied.period, "Щ-7;DAY;150", control="=1;150"))
    save(supplied, mapping=MAPPING.replace('"Шифр"', '"Код"').replace('register = "A+"', 'register = "A+"\nunit = "MWh"'))

    body = told(supplied.period, "Щ-8;DAY;0,15", control="=1;0,15").decode("cp866").replace("Шифр", "Код").replace("кВт", "МВт").encode()
    shown = sent(supplied, body, kind="contractor_list")

    assert (shown["format"], shown["readings"][0]["values"][0]["value"]) == ("contractor_list@2", "150")


def test_a_lying_control_row_refuses_the_file_whole(supplied: Utility) -> None:
    shown = sent(supplied, told(supplied.period, "Щ-7;DAY;150", "Щ-8;DAY;160", control="=2;311"))

    assert (shown["status"], shown["readings"]) == ("rejected", [])
    assert [(one["code"], one["where"], one["values"]) for one in shown["problems"]] == [
        ("control_row_differs", "line 5, column 2", {"written": "311", "counted": "310"})
    ]


def test_a_mapping_that_no_profile_lets_in_is_no_kind(company: Utility) -> None:
    answer = company.upload(b"a;b", "list.txt", kind="contractor_list")

    assert (answer.status_code, answer.json()["code"]) == (415, "format_unknown")


def test_what_needs_review_is_read_again_by_the_mapping_that_made_it(supplied: Utility) -> None:
    shown = sent(supplied, told(supplied.period, "Щ-7;DAY;90", control="=1;90"))
    assert [row["status"] for row in shown["readings"]] == ["needs_review"]
    save(supplied, mapping=MAPPING.replace('"Шифр"', '"Код"'))

    answer = supplied.decide(shown["readings"][0]["reading"], accept=True)
    supplied.gateway.work()

    assert answer.status_code == 200, answer.text
    [row] = supplied.call("GET", f"/v1/submissions/{shown['submission']}").json()["readings"]
    assert (row["status"], row["values"][0]["value"]) == ("acknowledged", "90")


def test_a_dbf_goes_the_whole_line(company: Utility) -> None:
    mapping = MAPPING.partition("[control]")[0].replace("Шифр", "NOM_PU").replace("Дата снятия", "DATA").replace("Показание", "POKAZ")
    save(company, mapping=mapping, crosswalk=CODES)
    day = month(company.period)
    fields = [Field("NOM_PU", "C", 8), Field("DATA", "D", 8), Field("POKAZ", "N", 12, 3)]
    body = write_dbf(fields, [["Щ-7", day, Decimal("150.5")], ["Щ-8", day, Decimal(160)]])

    shown = sent(company, body)

    assert shown["format"] == "contractor_list@1"
    assert [(row["meter"], row["status"], row["values"][0]["value"]) for row in shown["readings"]] == [
        ("1", "acknowledged", "150.500"),
        ("2", "acknowledged", "160.000"),
    ]
