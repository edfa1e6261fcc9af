"""/v1/meters/acts: what inspectors write about a meter, and what it does to readings of it."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from gateway.domain import supply
from gateway.domain.windows import days_in
from tests.channels.living import first
from tests.channels.publish import FOLDER
from tests.running import Gateway, Utility

PATH = "/v1/meters/acts"


def write(utility: Utility, status: int = 200, key: str = "", **act: Any) -> Any:
    """The answer to an act about meter 1, of admission unless told."""
    told = {"meter": "1", "kind": "admission", "number": "7", "first_day": "2022-10-01"} | act
    answer = utility.call("POST", PATH, key=key, json=told)
    assert answer.status_code == status, answer.text
    return answer.json()


def acts(utility: Utility, meter: str = "1", *, key: str = "", **query: str) -> list[dict[str, Any]]:
    answer = utility.call("GET", PATH, key=key, params={"meter": meter} | query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["acts"])


def objections(utility: Utility, value: str = "150", meter: str = "1", **more: object) -> dict[str, str]:
    """What a reading is told beside its state."""
    told = first(utility.submit(utility.body({meter: value}, **more)))
    return {problem["code"]: problem["text"] for problem in told["problems"]} | {"": told["status"]}


def test_an_act_is_written_once_and_shown(company: Utility) -> None:
    """Section 0: an inspector writes acts of admission, exchange and failure."""
    inspector = company.partner("control", "read", name="inspector")
    told = write(company, key=inspector, number="№ 12/А", note="seal 40017")
    assert told["at"]
    assert told | {"at": ""} == {
        "meter": "1",
        "agreement": "A-1",
        "point": "A-1-1",
        "kind": "admission",
        "number": "№ 12/А",
        "first_day": "2022-10-01",
        "last_day": None,
        "final": {},
        "initial": {},
        "successor": "",
        "note": "seal 40017",
        "by": "inspector",
        "at": "",
        "ended_by": "",
        "ended_at": None,
    }
    again = write(company, key=company.partner("control", name="another"), number="12/а", note="copied")
    assert again == told, "the same act again changes nothing, whoever sends it"
    assert acts(company) == [told]
    assert acts(company, "2") == []
    assert write(company, 409, number="12/А", first_day="2022-10-02")["code"] == "act_differs"
    assert write(company, kind="failure", number="12/А")["kind"] == "failure", "each kind counts by itself"


def test_an_act_names_its_meter_by_any_code_of_it(gateway: Gateway, company: Utility) -> None:
    codes = {"meter": ("1", "portal", "0017"), "point": ("2", "eic", "62Z000000000001B")}
    for kind, (serial, system, code) in codes.items():
        gateway.rows(
            "insert into external_id (utility_id, system, kind, key, code, entity_id) "
            "select utility_id, %(system)s, %(kind)s, %(key)s, %(code)s, "
            "case %(kind)s::text when 'meter' then id else usage_point_id end from meter where utility_id = %(u)s and serial = %(serial)s",
            u=company.id,
            system=system,
            kind=kind,
            key=supply.key(code),
            code=code,
            serial=serial,
        )
        assert write(company, meter=code)["meter"] == serial
        assert [one["meter"] for one in acts(company, code)] == [serial]
        assert [one["number"] for one in acts(company, serial)] == ["7"]


def test_the_example_of_the_page_is_an_act(company: Utility) -> None:
    page = (FOLDER / "master_data.md").read_text("utf-8")
    [example] = re.findall(r"```json\n(.+?)```", page, re.DOTALL)
    told = msgspec.json.decode(example)
    company.meters(told["meter"], agreement=told["agreement"])
    assert company.call("POST", PATH, json=told).json()["kind"] == "failure"
    part = page.partition("## Acts about meters")[2]
    assert tuple(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE)) == ("kind", "admission", "failure", "exchange")


def test_of_many_who_write_one_act_at_once_all_are_told_the_same(company: Utility) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: write(company), range(6)))
    assert all(answer == answers[0] for answer in answers)
    assert acts(company) == answers[:1]


def test_who_may_write_and_see_acts(company: Utility) -> None:
    write(company, 403, key=company.partner("submit", "read"))
    other = company.meters("1", "8", agreement="A-2")
    key = company.partner("control", "read", agreements=[other])
    assert write(company, key=key)["agreement"] == "A-2", "only one meter of this number is within what the key may see"
    assert write(company, 404, key=key, meter="2")["code"] == "meter_unknown"
    assert [one["agreement"] for one in acts(company)] == ["A-2"]
    assert acts(company, agreement="A-1") == []
    assert company.call("GET", PATH, params={"meter": "2"}, key=key).json()["code"] == "meter_unknown"
    assert write(company, 422)["code"] == "meter_ambiguous"
    assert write(company, point="A-1-1")["agreement"] == "A-1"


@pytest.mark.parametrize(
    "act",
    [
        {"kind": "dream"},
        {"number": " "},
        {"number": "7\u0007"},
        {"note": "x\ny"},
        {"last_day": "2022-10-02"},
        {"kind": "failure", "last_day": "2022-09-30"},
        {"kind": "failure", "final": {"A+": "1"}},
        {"successor": "9"},
        {"kind": "exchange", "final": {"A+": "1e3"}},
        {"first_day": "2022-02-30"},
    ],
)
def test_what_is_no_act_is_refused(company: Utility, act: dict[str, Any]) -> None:
    assert write(company, 422, **act)["code"] == "json_shape"
    assert acts(company) == []


def test_an_exchange_is_a_record_of_what_both_meters_showed(company: Utility) -> None:
    exchange: dict[str, Any] = {"kind": "exchange", "final": {"A+": "180.500"}, "initial": {"A+": "0"}, "successor": "20300110"}
    told = write(company, **exchange)
    assert (told["final"], told["initial"], told["successor"]) == ({"A+": "180.5"}, {"A+": "0"}, "20300110")
    assert write(company, **exchange) == told
    wrong = write(company, 422, **(exchange | {"number": "8", "final": {"R+": "1", "A+": "1234567"}}))
    assert [(one["code"], one["where"]) for one in wrong["errors"]] == [("register_unknown", "final.R+"), ("too_many_digits", "final.A+")]
    wrong = write(company, 422, **(exchange | {"number": "8", "initial": {"A-plus": "0"}}))
    assert [(one["code"], one["where"]) for one in wrong["errors"]] == [("register_unknown", "initial.A-plus")]
    assert objections(company) == {"": "queued"}, "the registry says when a meter was removed"


def test_before_its_admission_a_meter_is_not_believed_if_the_rulebook_says_so(gateway: Gateway, company: Utility) -> None:
    write(company, first_day="2022-10-01")
    write(company, number="8", first_day=f"{days_in(company.period)[1] + timedelta(days=1)}")
    assert objections(company, at="2022-10-20T10:00:00Z", meter="2") == {"": "queued"}
    assert objections(company) == {"": "queued"}, "the first admission counts"
    gateway.rows("delete from meter_act where utility_id = %(u)s and number = '7'", u=company.id)
    assert objections(company, "160")["not_admitted"].startswith("By an act, meter 1 counts from")


@pytest.mark.parametrize("number", ["12/А", "№ 12/А", "#12/А"])
def test_the_sign_of_a_number_is_said_once(company: Utility, number: str) -> None:
    write(company, kind="failure", number=number)
    with company.client(language="ru") as client:
        other = client.post(PATH, json={"meter": "1", "kind": "failure", "number": number, "first_day": "2022-10-02"})
        read = client.post("/v1/readings", content=company.body({"1": "150"}))
    assert other.json()["title"].startswith("Акт № 12/А по прибору")
    assert first(read)["problems"][0]["text"].startswith("По акту № 12/А прибор")


def test_a_meter_that_fails_is_looked_at_by_a_person_until_the_failure_is_ended(company: Utility) -> None:
    begun: dict[str, Any] = {"kind": "failure", "number": "7", "first_day": "2022-10-05"}
    write(company, **begun)
    found = objections(company)
    assert (found[""], found["meter_failed"]) == ("needs_review", "By act 7, meter 1 does not work: 2022-10-05 – ….")
    ended = write(company, **begun, last_day="2022-10-20", note="mended", key=company.partner("control", name="other"))
    assert (ended["last_day"], ended["by"], ended["ended_by"], ended["note"]) == ("2022-10-20", "portal", "other", "mended")
    assert write(company, **begun, last_day="2022-10-20") == ended
    assert write(company, **begun) == ended, "the beginning told again changes nothing either"
    assert write(company, 409, **begun, last_day="2022-10-21")["code"] == "act_differs"
    assert write(company, 409, **(begun | {"first_day": "2022-10-06"}))["errors"][0]["text"].endswith("2022-10-05 – 2022-10-20.")
    assert objections(company, "160")[""] == "queued"
    assert "meter_failed" in objections(company, "170", meter="1", at="2022-10-20T10:00:00Z")


def test_coverage_tells_a_meter_that_fails_from_one_that_nobody_read(company: Utility) -> None:
    last = days_in(company.period)[1]
    for meter, day in (("1", None), ("2", f"{last - timedelta(days=1)}")):
        write(company, meter=meter, kind="failure", first_day=f"{last.replace(day=1)}", last_day=day)
    told = company.call("GET", "/v1/coverage", params={"period": company.period}).json()
    assert {one["meter"]: one["state"] for one in told["registers"]} == {"1": "failed", "2": "missing", "3": "missing"}
    assert {name: told[name] for name in ("expected", "received", "missing", "failed")} == {
        "expected": 3,
        "received": 0,
        "missing": 2,
        "failed": 1,
    }
    company.submit(company.body({"1": "150"}))
    told = company.call("GET", "/v1/coverage", params={"period": company.period, "only": "waiting"}).json()
    assert [one["meter"] for one in told["registers"]] == ["1"]
