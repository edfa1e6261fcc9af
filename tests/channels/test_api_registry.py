"""POST /v1/registry: rows in, each taken or refused by itself, the same again without effect."""

import io
from typing import Any

import httpx
import msgspec
import openpyxl
import pytest

from gateway.inbound.api.registry import WORKBOOK
from gateway.mapping import registry_template
from gateway.mapping.registry_rows import COLUMNS
from tests.peers import PLAIN
from tests.running import Gateway, Utility

HEAD = "agreement;point;meter;register;digits;last;last_period"


@pytest.fixture
def billing(gateway: Gateway) -> Utility:
    return gateway.utility("legal_entity")


def fed(utility: Utility, body: str | bytes, status: int = 200, media: str = "text/csv", scope: str = "registry", **query: Any) -> Any:
    """The answer to a feed."""
    headers = {"Authorization": f"Bearer {utility.partner(scope, name='billing')}", "Content-Type": media, "Accept-Language": "en"}
    told = {"profile": "legal_entity"} | query
    answer = httpx.post(f"{utility.gateway.url}/v1/registry", content=body, headers=headers, params=told, verify=PLAIN)
    assert answer.status_code == status, answer.text
    return answer.json()


def serials(utility: Utility) -> list[str]:
    return [row.serial for row in utility.gateway.rows("select serial from meter where utility_id = %(u)s order by serial", u=utility.id)]


def test_rows_come_in_and_the_same_rows_change_nothing(billing: Utility) -> None:
    body = f"{HEAD}\n7-1;1;111;A+;6;435;2022-09\n7-1;2;222;A+;6;;\n7-2;1;333;A+;6;;"
    for _ in range(2):
        assert fed(billing, body) == {"rows": 3, "taken": 3, "refused": 0, "problems": []}
    assert serials(billing) == ["111", "222", "333"]
    [row] = billing.gateway.rows("select last from register where utility_id = %(u)s and last is not null", u=billing.id)
    assert row.last == 435


def test_a_bad_row_steps_aside_and_says_why(billing: Utility) -> None:
    rows = ["7-1;1;111;A+;6;;", "7-1;1;111;A*;66;;", "7-1;2;222;A+;6;1;", "short", "7-1;1;111;A+;6;;", "7-1;3;333;A+;6;;"]
    told = fed(billing, "\n".join([HEAD, *rows]))
    assert (told["rows"], told["taken"], told["refused"]) == (6, 2, 4)
    assert [(one["code"], one["where"]) for one in told["problems"]] == [
        ("registry_cell", "line 3, digits"),
        ("registry_cell", "line 3, register"),
        ("registry_incomplete", "line 4, last_period"),
        ("registry_cells", "line 5"),
        ("registry_twice", "line 6, register"),
    ]
    assert all(one["text"] and one["todo"] for one in told["problems"])
    assert serials(billing) == ["111", "333"]


def test_a_line_that_cannot_be_read_does_not_hide_the_next_one(billing: Utility) -> None:
    told = fed(billing, f'{HEAD}\n7-1;1;"111"x;A+;6;;\n7-1;2;222;A+;6;;')
    assert (told["taken"], [(one["code"], one["where"]) for one in told["problems"]]) == (1, [("registry_unreadable", "line 2")])
    assert serials(billing) == ["222"]


def test_codes_that_are_written_in_two_ways_are_one_code(billing: Utility) -> None:
    told = fed(billing, f"{HEAD}\nA-1;1;111;A+;6;;\na-1 ;01;222;A+;6;;\nА-1;1;0111;R+;6;;")
    assert (told["taken"], told["problems"]) == (3, [])
    assert len(billing.gateway.rows("select from agreement where utility_id = %(u)s", u=billing.id)) == 1


def test_a_feed_may_be_larger_than_a_file(billing: Utility) -> None:
    row = f"7-1;1;111;A*;6;;{'x' * 60_000}\n"
    told = fed(billing, f"{HEAD}\n" + row * 600 + "7-1;2;222;A+;6;;\n")
    assert (told["rows"], told["taken"], told["refused"], len(told["problems"])) == (601, 1, 600, 1000)
    assert fed(billing, f"{HEAD}\n{'x' * 70_000}", 422)["code"] == "registry_unreadable"


def test_objects_a_line_are_the_same_rows(billing: Utility) -> None:
    objects: list[Any] = [
        {"agreement": "7-1", "point": "1", "meter": "111", "register": "A+", "digits": 6, "ratio": 40, "losses": 0.05, "entry_open": False},
        {"agreement": "7-1", "point": "2", "meter": "222", "register": "A+", "digits": 6, "removed_on": None, "colour": "red"},
        ["no", "object"],
    ]
    body = b"\n".join(msgspec.json.encode(one) for one in objects) + b"\n\n{"
    told = fed(billing, body, media="application/x-ndjson; charset=utf-8")
    assert (told["rows"], told["taken"], told["refused"]) == (4, 1, 3)
    assert [(one["code"], one["where"]) for one in told["problems"]] == [
        ("registry_column", "line 2"),
        ("registry_unreadable", "line 3"),
        ("registry_unreadable", "line 5"),
    ]
    [row] = billing.gateway.rows(
        "select ratio_current, losses, m.entry_open from point_terms t join meter m using (usage_point_id) where m.utility_id = %(u)s",
        u=billing.id,
    )
    assert (row.ratio_current, str(row.losses), row.entry_open) == (40, "0.05", False)


def test_a_dry_run_says_the_same_and_keeps_nothing(billing: Utility) -> None:
    assert fed(billing, f"{HEAD}\n7-1;1;111;A+;6;;", dry_run="true")["taken"] == 1
    assert serials(billing) == []


@pytest.mark.parametrize(
    ("body", "media", "query", "status", "code"),
    [
        ("agreement;point\n1;2", "text/csv", {}, 422, "column_missing"),
        (f"{HEAD};meter\n1;2", "text/csv", {}, 422, "column_repeated"),
        (f"{HEAD};colour\n1;2", "text/csv", {}, 422, "registry_column"),
        (b"\xff\xfe\x00", "text/csv", {}, 422, "registry_encoding"),
        ("{}", "application/json", {}, 415, "registry_media"),
        (HEAD, "text/csv", {"profile": "water"}, 422, "profile_unknown"),
        (HEAD, "text/csv", {"profile": ""}, 422, "profile_unknown"),
    ],
)
def test_what_is_no_feed_is_refused(billing: Utility, body: str | bytes, media: str, query: dict[str, str], status: int, code: str) -> None:
    assert fed(billing, body, status, media, **query)["code"] == code


def test_a_key_that_may_not_feed_is_refused(billing: Utility) -> None:
    assert fed(billing, HEAD, 403, scope="submit")["code"] == "forbidden"


def test_a_feed_of_one_utility_leaves_another_alone(gateway: Gateway, billing: Utility) -> None:
    other = gateway.utility("legal_entity")
    fed(billing, f"{HEAD}\n7-1;1;111;A+;6;;")
    fed(other, f"{HEAD}\n7-1;1;111;A+;5;;")
    for utility, digits in ((billing, 6), (other, 5)):
        [row] = gateway.rows("select digits from register where utility_id = %(u)s", u=utility.id)
        assert row.digits == digits


def test_readings_of_a_meter_fed_this_way_are_taken(billing: Utility) -> None:
    fed(billing, f"{HEAD}\n7-1;1;20300109;A+;6;100;{billing.before}")
    assert billing.submit(billing.body({"20300109": "150"})).json()["readings"][0]["status"] == "queued"


def test_a_reading_may_name_its_meter_by_the_code_of_another_system(billing: Utility) -> None:
    head, row = f"{HEAD};meter_ids;point_ids", f"A+;6;100;{billing.before}"
    fed(billing, f"{head}\n7-1;1;111;{row};1c=2001;\n7-1;2;222;{row};;eic=62Z000000000001B")
    told = billing.submit(billing.body({"02001": "150", "62z000000000001b": "160", "2002": "1"})).json()["readings"]
    assert [(one["status"], [problem["code"] for problem in one["problems"]]) for one in told] == [
        ("queued", []),
        ("queued", []),
        ("rejected", ["meter_unknown"]),
    ]
    [again] = billing.submit(billing.body({"111": "150"})).json()["readings"]
    assert [problem["code"] for problem in again["problems"]] == ["duplicate_reading"], "both names mean one register"


@pytest.mark.parametrize("code", ["62z000000000001b", "62Z 000 000 000 001 B", "0017", "A-17/2"])
def test_a_reading_may_name_its_point_by_the_code_of_another_system(billing: Utility, code: str) -> None:
    """F-027: one number in two places is told apart by the point, whosever code of it is told."""
    row = f"A+;6;100;{billing.before}"
    ids = '"1c=A-17/2;billing=17;eic=62Z000000000001B"'
    fed(billing, f"{HEAD};point_ids\n7-1;1;111;{row};{ids}\n7-2;2;111;{row};billing=18\n7-3;3;222;{row};portal=222")
    told = billing.submit(billing.body({"111": "150"}, point=code)).json()["readings"]
    assert [(one["status"], one["agreement"]) for one in told] == [("queued", "7-1")]
    other = billing.submit(billing.body({"111": "160"}, point="18")).json()["readings"]
    assert [(one["status"], one["agreement"]) for one in other] == [("queued", "7-2")]
    strange = billing.submit(billing.body({"111": "170"}, point="222") + b" ").json()["readings"]
    assert [problem["code"] for problem in strange[0]["problems"]] == ["meter_unknown"], "a code of another point"


def test_a_point_without_a_meter_goes_by_the_code_of_another_system(billing: Utility) -> None:
    fed(billing, f'{HEAD};point_ids\n7-1;1;;A+;6;;;"billing=17;eic=62Z000000000001B"\n7-2;17;;A+;6;;;')
    registers = [{"register": "A+", "value": "5"}]
    rows = [{"point": point, "period": billing.period, "registers": registers} for point in ("62z000000000001b", "1", "17")]
    told = [billing.submit(msgspec.json.encode({"readings": [row]})).json()["readings"][0] for row in rows]
    assert [(one["status"], one["agreement"]) for one in told] == [("queued", "7-1"), ("accepted", "7-1"), ("queued", "7-2")]
    assert [problem["code"] for problem in told[1]["problems"]] == ["duplicate_reading"], "both codes mean one point"


def test_what_billing_says_of_a_period_opens_and_shuts_the_door(billing: Utility) -> None:
    head, row = f"{HEAD};entry_open;entry_status;location;location_status;entry_period", f"A+;6;100;{billing.before}"
    rows = [f"7-1;1;111;{row};false;Ожидание;9;;", f"7-1;2;222;{row};true;;9;Рассчитан;", f"7-1;3;333;{row};true;;8;Ожидание;"]
    fed(billing, "\n".join([head, *(f"{one}{billing.period}" for one in (part.removesuffix(";") + ";" for part in rows))]))
    told = billing.submit(billing.body({"111": "150", "222": "150", "333": "150"})).json()["readings"]
    assert [[problem["code"] for problem in one["problems"]] for one in told] == [["entry_closed"], ["entry_closed"], []]


def test_a_workbook_brings_the_same_rows(billing: Utility) -> None:
    book = openpyxl.load_workbook(io.BytesIO(registry_template.write()))
    for row, meter in ((2, "00123"), (3, 12345678901234567890)):
        for column, value in {"agreement": "7-1", "point": meter, "meter": meter, "register": "A+", "digits": 6}.items():
            book.worksheets[0].cell(row, COLUMNS.index(column) + 1).value = value
    packed = io.BytesIO()
    book.save(packed)
    told = fed(billing, packed.getvalue(), media=WORKBOOK)
    assert (told["rows"], told["taken"], told["refused"]) == (2, 1, 1)
    assert [one["code"] for one in told["problems"]] == ["number_too_long", "number_too_long"]
    assert serials(billing) == ["00123"]
    assert fed(billing, b"PK\x03\x04 no workbook", 422, WORKBOOK)["code"] == "archive_corrupt"
