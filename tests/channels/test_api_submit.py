"""POST /v1/readings: the verdict in the answer, the same answer again, and nothing lost or taken twice."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import httpx
import msgspec
import pytest

from gateway.domain.supply import Line
from gateway.store import feed
from tests.running import Gateway, Utility


def statuses(told: dict[str, Any]) -> list[str]:
    return [row["status"] for row in told["readings"]]


def codes(told: dict[str, Any]) -> list[str]:
    return [problem["code"] for row in told["readings"] for problem in row["problems"]]


def count(gateway: Gateway, utility: Utility, table: str = "submission") -> int:
    [row] = gateway.rows(f"select count(*) as n from {table} where utility_id = %(u)s", u=utility.id)
    return int(row.n)


def test_the_202_carries_the_verdict_of_each_row(company: Utility) -> None:
    answer = company.submit(company.body({"1": "150,5", "9": "7", "2": "99"}))
    told = answer.json()
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/v1/submissions/{told['submission']}"
    assert answer.headers["content-type"] == "application/json"
    assert told["status"] == "partly_accepted"
    assert told["counters"] == {"total": 3, "accepted": 1, "in_review": 1, "rejected": 1}
    assert told["text"] == "Partly processed, 1 of 3"
    assert statuses(told) == ["queued", "rejected", "needs_review"]
    first, second, third = told["readings"]
    assert (first["meter"], first["agreement"], first["period"], first["index"]) == ("1", "A-1", company.period, 0)
    assert first["values"] == [{"register": "A+", "value": "150.5", "previous": "100", "consumption": "50.5", "volume": False}]
    assert [(p["code"], p["where"]) for p in second["problems"]] == [("meter_unknown", "readings[1]")]
    assert third["problems"][0]["code"] == "reading_decreased"
    assert third["problems"][0]["where"] == "readings[2].registers[0].value"
    assert all(p["text"] and p["todo"] for row in told["readings"] for p in row["problems"])


def test_the_202_comes_after_the_commit(gateway: Gateway, company: Utility) -> None:
    told = company.submit(company.body({"1": "150"})).json()
    [row] = gateway.rows(
        "select s.status, count(*) as n, (select count(*) from delivery d where d.subject_id = max(m.id::text)::uuid) as due, "
        "encode(s.sha256, 'hex') as sha256, (select body from claim c where c.sha256 = s.sha256 and c.utility_id = s.utility_id) as body "
        "from submission s join meter_reading m on m.submission_id = s.id where s.id = %(id)s::uuid group by s.id",
        id=told["submission"].removeprefix("sub_"),
    )
    assert (row.status, row.n, row.due) == ("accepted", 1, 1)
    assert row.sha256 == told["sha256"]
    assert bytes(row.body) == company.body({"1": "150"})


def test_the_receipt_and_the_submission_looked_up_tell_the_same(company: Utility) -> None:
    receipt = company.submit(company.body({"1": "150", "2": "50", "9": "1"})).json()
    looked = company.look(receipt["submission"])
    timeline = looked.pop("timeline")
    assert receipt.pop("timeline") == []
    for row in [*receipt["readings"], *looked["readings"]]:
        row.pop("next_attempt_at")
    assert looked == receipt
    assert [(line["entity"], line["from"], line["to"]) for line in timeline] == [
        ("submission", "", "received"),
        ("submission", "received", "partly_accepted"),
    ]


def test_values_are_kept_exactly(company: Utility) -> None:
    told = company.submit(company.body({"1": "123456.120", "2": "999999.001", "3": "100,010"})).json()
    assert [row["values"][0]["value"] for row in told["readings"]] == ["123456.120", "999999.001", "100.010"]
    assert [row["values"][0]["consumption"] for row in told["readings"]] == ["123356.120", "999899.001", "0.010"]


def test_the_same_key_gets_the_same_bytes(gateway: Gateway, company: Utility) -> None:
    body = company.body({"1": "150", "9": "1"})
    first = company.submit(body, Idempotency_Key="k-1")
    company.settle(company.word(first.json()["readings"][0]["reading"]))
    again = company.submit(body, Idempotency_Key="k-1")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.content == first.content
    assert count(gateway, company) == 1


def test_a_key_in_quotes_is_the_key(gateway: Gateway, company: Utility) -> None:
    body = company.body({"1": "150"})
    assert company.submit(body, Idempotency_Key='"k-2"').content == company.submit(body, Idempotency_Key="k-2").content
    assert count(gateway, company) == 1


def test_a_key_used_again_for_another_body_is_refused(gateway: Gateway, company: Utility) -> None:
    first = company.submit(company.body({"1": "150"}), Idempotency_Key="k-3")
    other = company.submit(company.body({"1": "151"}), Idempotency_Key="k-3")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert count(gateway, company) == 1
    assert company.submit(company.body({"1": "150"}), Idempotency_Key="k-3").content == first.content


def test_keys_belong_to_their_sender(company: Utility) -> None:
    other = company.partner(name="second portal")
    body = company.body({"1": "150"})
    mine = company.submit(body, Idempotency_Key="k-4")
    theirs = company.submit(company.body({"2": "160"}), key=other, Idempotency_Key="k-4")
    assert (mine.status_code, theirs.status_code) == (202, 202)
    assert mine.json()["submission"] != theirs.json()["submission"]


@pytest.mark.parametrize("key", ["x" * 256, "a b", "ключ", "", '""', "a\tb"], ids=["long", "blank", "cyrillic", "empty", "quotes", "tab"])
def test_a_key_that_is_none_is_refused(company: Utility, key: str) -> None:
    answer = company.call("POST", "/v1/readings", content=company.body({"1": "150"}), headers=[(b"Idempotency-Key", key.encode())])
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")
    assert answer.json()["errors"][0]["where"] == "Idempotency-Key"


def test_a_key_of_255_characters_is_one(company: Utility) -> None:
    assert company.submit(company.body({"1": "150"}), Idempotency_Key="x" * 255).status_code == 202


def test_two_keys_are_refused(company: Utility) -> None:
    headers = [(b"Idempotency-Key", b"a"), (b"Idempotency-Key", b"a")]
    answer = company.call("POST", "/v1/readings", content=company.body({"1": "150"}), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")


def test_a_key_first_used_for_bytes_known_already_is_bound_to_them(gateway: Gateway, company: Utility) -> None:
    body = company.body({"1": "150"})
    first = company.submit(body)
    bound = company.submit(body, Idempotency_Key="late")
    gateway.work()
    again = company.submit(body, Idempotency_Key="late")
    assert bound.json()["submission"] == first.json()["submission"]
    assert (
        (bound.status_code, bound.headers["location"]) == (again.status_code, again.headers["location"]) == (202, first.headers["location"])
    )
    assert bound.content == again.content
    other = company.submit(company.body({"1": "151"}), Idempotency_Key="late")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert company.submit(body).json()["readings"][0]["status"] == "acknowledged"


def at_once(utility: Utility, bodies: list[bytes], key: str) -> list[httpx.Response]:
    """All of these at the same moment, each on a connection that is open already."""
    barrier = Barrier(len(bodies))

    def one(body: bytes) -> httpx.Response:
        with utility.client() as client:
            client.get("/health/live")
            barrier.wait()
            return client.post("/v1/readings", content=body, headers={"Idempotency-Key": key} if key else {})

    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(one, bodies))


def test_the_same_key_from_50_clients_at_once_is_one_submission(gateway: Gateway, company: Utility) -> None:
    answers = at_once(company, [company.body({"1": "150"})] * 50, "k-5")
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert (count(gateway, company), count(gateway, company, "meter_reading")) == (1, 1)


def test_the_same_key_with_50_bodies_at_once_has_one_winner(gateway: Gateway, company: Utility) -> None:
    answers = at_once(company, [company.body({"1": str(150 + n)}) for n in range(50)], "k-6")
    assert sorted(answer.status_code for answer in answers) == [202] + [422] * 49
    assert {answer.json()["code"] for answer in answers if answer.status_code == 422} == {"idempotency_key_reused"}
    assert count(gateway, company) == 1


def test_the_same_key_for_uploads_at_once_has_one_winner(gateway: Gateway, company: Utility) -> None:
    barrier = Barrier(8)

    def one(number: int) -> httpx.Response:
        with company.client() as client:
            client.get("/health/live")
            barrier.wait()
            file = {"file": (f"{number}.json", company.body({"1": str(150 + number)}))}
            return client.post("/v1/files", files=file, headers={"Idempotency-Key": "k-7"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, range(8)))
    assert sorted(answer.status_code for answer in answers) == [202] + [422] * 7
    assert count(gateway, company) == 1


def test_the_same_bytes_from_50_clients_at_once_are_one_submission(gateway: Gateway, company: Utility) -> None:
    answers = at_once(company, [company.body({"1": "150"})] * 50, "")
    assert sorted({answer.status_code for answer in answers}) == [200, 202]
    assert sum(answer.status_code == 202 for answer in answers) == 1
    assert len({answer.json()["submission"] for answer in answers}) == 1
    assert count(gateway, company, "meter_reading") == 1


def test_the_same_bytes_get_the_first_receipt(gateway: Gateway, company: Utility) -> None:
    body = company.body({"1": "150"})
    first, again = company.submit(body), company.submit(body)
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["submission"] == first.json()["submission"]
    assert again.json()["readings"][0]["reading"] == first.json()["readings"][0]["reading"]
    assert again.headers["location"] == first.headers["location"]
    assert count(gateway, company, "meter_reading") == 1


def test_the_same_bytes_of_another_sender_are_another_submission(company: Utility) -> None:
    body = company.body({"1": "150"})
    first, other = company.submit(body), company.submit(body, key=company.partner(name="second portal"))
    assert (first.status_code, other.status_code) == (202, 202)
    assert first.json()["submission"] != other.json()["submission"]
    assert other.json()["readings"][0]["same_as"] == first.json()["readings"][0]["reading"]


def test_what_was_rejected_whole_is_translated_again(gateway: Gateway, company: Utility) -> None:
    body = company.body({"7": "150"})
    refused = company.submit(body)
    assert (refused.status_code, refused.json()["status"], codes(refused.json())) == (202, "rejected", ["meter_unknown"])
    company.meters("7")
    taken = company.submit(body)
    assert (taken.status_code, taken.json()["status"]) == (202, "accepted")
    assert taken.json()["submission"] != refused.json()["submission"]
    assert company.look(refused)["status"] == "rejected"
    assert company.submit(body).status_code == 200
    assert count(gateway, company) == 2


def test_a_second_value_is_a_correction_and_supersedes_the_first(gateway: Gateway, company: Utility) -> None:
    first = company.submit(company.body({"1": "150"}))
    second = company.submit(company.body({"1": "160"}))
    [corrected] = second.json()["readings"]
    assert (corrected["revision"], corrected["values"][0]["previous"], corrected["values"][0]["consumption"]) == (1, "100", "60")
    assert statuses(company.look(first)) == ["superseded"]
    lines = [(line["entity"], line["from"], line["to"]) for line in company.look(first)["timeline"]]
    assert lines[-2:] == [("meter_reading", "queued", "superseded"), ("submission", "accepted", "superseded")]
    gateway.work()
    assert statuses(company.look(second)) == ["acknowledged"]
    assert statuses(company.look(first)) == ["superseded"]


def test_a_row_that_says_the_same_again_is_not_sent_again(gateway: Gateway, company: Utility) -> None:
    first = company.submit(company.body({"1": "150"})).json()
    again = company.submit(company.body({"1": "150.0", "2": "150"})).json()
    same, new = again["readings"]
    assert (same["same_as"], new["same_as"]) == (first["readings"][0]["reading"], None)
    assert [problem["code"] for problem in same["problems"]] == ["duplicate_reading"]
    assert count(gateway, company, "delivery") == 2
    gateway.work()
    assert statuses(company.look(again["submission"])) == ["acknowledged", "acknowledged"]


def test_the_first_of_two_values_in_one_post_is_superseded(company: Utility) -> None:
    row = {"meter": "1", "period": company.period}
    body = msgspec.json.encode({"readings": [row | {"registers": [{"register": "A+", "value": v}]} for v in ("150", "151")]})
    assert statuses(company.submit(body).json()) == ["superseded", "queued"]


def test_more_than_the_door_takes_is_taken_like_a_file(gateway: Gateway, company: Utility) -> None:
    body = company.body({str(n): "150" for n in range(1, 1002)})
    answer = company.submit(body, Idempotency_Key="large")
    assert (answer.status_code, answer.json()["status"], answer.json()["readings"]) == (202, "received", [])
    assert company.submit(body, Idempotency_Key="large").content == answer.content
    assert gateway.work() >= 1
    told = company.look(answer)
    assert told["counters"] == {"total": 1001, "accepted": 3, "in_review": 0, "rejected": 998}
    assert set(codes(told)) == {"meter_unknown"}


def test_exactly_as_many_as_the_door_takes_are_judged_at_once(company: Utility) -> None:
    answer = company.submit(company.body({str(n): "150" for n in range(1, 1001)}))
    assert (answer.status_code, answer.json()["counters"]["total"]) == (202, 1000)


def test_more_than_a_post_may_hold_is_refused(gateway: Gateway, company: Utility) -> None:
    answer = company.submit(company.body({str(n): "1" for n in range(10_001)}))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_readings")
    assert count(gateway, company) == 0


@pytest.mark.parametrize("body", [b'{"readings":[]}', b"{}", b"[]", b'{"readings":5}', b'{"reading":[]}', b"1", b'""', b"null"])
def test_a_body_of_another_shape_is_refused(gateway: Gateway, company: Utility, body: bytes) -> None:
    answer = company.submit(body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["code"] in {"nothing_to_take", "json_shape", "json_missing_key", "json_unknown_key"}
    assert count(gateway, company) == 0


def test_gv_5_waits_for_a_person_and_is_never_sent(gateway: Gateway, company: Utility) -> None:
    company.meters("20300109", last="444", ratio="12000", agreement="A-5")
    answer = company.submit(company.body({"20300109": "435"}))
    assert (answer.json()["status"], statuses(answer.json())) == ("in_review", ["needs_review"])
    hint = answer.json()["readings"][0]["problems"][-1]
    assert (hint["code"], hint["severity"], hint["values"]["meant"]) == ("maybe_digits_swapped", "hint", "453")
    assert hint["values"]["consumption"] == "108000", "(453 - 444) x 12000, offered and not applied"
    gateway.work()
    assert statuses(company.look(answer)) == ["needs_review"]
    assert count(gateway, company, "delivery") + count(gateway, company, "delivery_closed") == 0


def test_gv_12_a_meter_with_an_empty_zone_is_refused_and_the_others_taken(company: Utility) -> None:
    company.meters("10", "11", registers=("A+:day", "A+:night"))
    day, night = {"register": "A+:day", "value": "150"}, {"register": "A+:night", "value": "120"}
    rows = [{"meter": "10", "registers": [day]}, {"meter": "11", "registers": [day, night]}]
    body = msgspec.json.encode({"readings": [row | {"period": company.period} for row in rows]})
    told = company.submit(body).json()
    assert (told["status"], statuses(told), codes(told)) == ("partly_accepted", ["rejected", "queued"], ["zone_missing"])


def test_gv_25_an_object_of_another_agreement_is_refused(company: Utility) -> None:
    """Objects have the number of their agreement and four digits more; both agreements here are the sender's own."""
    for agreement, serial in (("78010000002778", "31"), ("78010000002779", "32")):
        line = Line(agreement=agreement, location=f"{agreement}0001", point="1", meter=serial, register="A+", digits=6)
        with company.gateway.owner.transaction() as connection:
            feed.import_lines(connection, company.id, company.profile.name, [line])

    def said(location: str) -> tuple[str, list[str]]:
        row = {"meter": "31", "location": location, "period": company.period, "registers": [{"register": "A+", "value": "5"}]}
        [told] = company.submit(msgspec.json.encode({"readings": [row]})).json()["readings"]
        return told["status"], [problem["code"] for problem in told["problems"] if problem["severity"] == "error"]

    assert said("780100000027790001") == ("rejected", ["location_differs"])
    assert said("780100000027780001") == ("queued", [])
    company.gateway.work()


def test_gv_13_a_comma_and_a_point_are_the_same(company: Utility) -> None:
    company.submit(company.body({"1": "150,5"}))
    [row] = company.submit(company.body({"1": "150.5"})).json()["readings"]
    assert row["same_as"] is not None


def test_the_arrival_is_the_instant_when_nothing_else_is_said(gateway: Gateway) -> None:
    utility = gateway.utility("water")
    utility.meters("1", registers=("volume",))
    row = {"meter": "1", "period": utility.period, "registers": [{"register": "volume", "value": "150"}]}
    told = utility.submit(msgspec.json.encode({"readings": [row]})).json()
    assert told["readings"][0]["at"] == told["received_at"]
    assert abs(datetime.now(UTC) - datetime.fromisoformat(told["received_at"])).total_seconds() < 60
