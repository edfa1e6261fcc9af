"""What others decide about a reading: a person in review, billing that closes periods, who read it; amounts without a meter."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from tests.channels.living import code, first, register, standing
from tests.running import Gateway, Utility

READING = "readings"


@pytest.fixture
def doubtful(company: Utility) -> dict[str, Any]:
    """A reading that a person has to look at: 90 after 100, which the legal entities' rulebook reviews."""
    told = first(company.submit(company.body({"1": "90"})))
    assert told["status"] == "needs_review"
    return told


def test_of_two_who_say_the_same_doubtful_value_both_may_pass(gateway: Gateway, company: Utility, doubtful: dict[str, Any]) -> None:
    key = company.partner(name="other")
    second = company.submit(company.body({"1": "90"}), key=key)
    assert company.decide(doubtful["reading"], accept=True).status_code == 200
    assert company.decide(first(second)["reading"], accept=True).status_code == 200
    gateway.work()
    [row] = company.call("GET", f"/v1/submissions/{second.json()['submission']}", key=key).json()["readings"]
    assert (row["status"], row["same_as"]) == ("acknowledged", doubtful["reading"])


def test_a_control_reading_that_confirms_the_customer_s_counts_as_control(company: Utility) -> None:
    company.submit(company.body({"1": "150"}))
    confirmed = first(company.submit(company.body({"1": "150"}), asked={"source": "control"}))
    assert (confirmed["status"], confirmed["same_as"]) == ("queued", None)
    assert [problem["code"] for problem in first(company.submit(company.body({"1": "170"})))["problems"]] == ["outranked"]


def test_what_a_person_lets_pass_goes_to_billing(gateway: Gateway, company: Utility, doubtful: dict[str, Any]) -> None:
    reviews = company.call("GET", "/v1/reviews").json()[READING]
    assert [one["reading"] for one in reviews] == [doubtful["reading"]]
    assert company.decide(doubtful["reading"], accept=True, reason="the dial was exchanged").json() == {
        "reading": doubtful["reading"],
        "accepted": True,
    }
    assert register(gateway, company)[0] == Decimal(90)
    gateway.work()
    seen = company.look(reviews[0]["submission"])
    assert (seen["status"], seen["counters"]) == ("accepted", {"total": 1, "accepted": 1, "in_review": 0, "rejected": 0})
    assert [row["status"] for row in seen["readings"]] == ["acknowledged"]
    happened = [(line["to"], line["actor"], line["reason"]) for line in seen["timeline"] if line["from"] == "needs_review"]
    assert happened == [("accepted", "portal", "the dial was exchanged")]
    assert company.call("GET", "/v1/reviews").json()[READING] == []


def test_what_a_person_refuses_goes_back_with_the_reason(gateway: Gateway, company: Utility, doubtful: dict[str, Any]) -> None:
    before = register(gateway, company)
    assert company.decide(doubtful["reading"], accept=False, reason="no such dial").status_code == 200
    seen = company.look(company.call("GET", "/v1/submissions").json()["submissions"][0]["submission"])
    assert (seen["status"], seen["counters"]["rejected"]) == ("rejected", 1)
    [problem] = [one for one in seen["readings"][0]["problems"] if one["code"] == "refused_by_person"]
    assert "no such dial" in problem["text"]
    assert register(gateway, company) == before
    assert code(company.decide(doubtful["reading"], accept=True)) == (409, "decided_meanwhile")


def test_only_one_of_many_deciders_decides(company: Utility) -> None:
    for meter in "123":
        doubtful = first(company.submit(company.body({meter: "90"})))
        with ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(lambda n, one=doubtful: company.decide(one["reading"], accept=bool(n % 2)), range(6)))
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409, 409]


def test_a_reading_is_compared_anew_when_it_is_let_pass(gateway: Gateway, company: Utility) -> None:
    """A value of the month before comes in late while this one waits: its consumption is reckoned from that."""
    doubtful = first(company.submit(company.body({"1": "90"})))
    gateway.rows("update register set last = 80 where utility_id = %(u)s", u=company.id)
    assert company.decide(doubtful["reading"], accept=True).status_code == 200
    [row] = gateway.rows("select previous, consumption from reading where meter_reading_id = %(id)s", id=doubtful["reading"][4:])
    assert (row.previous, row.consumption) == (80, 10)


def test_a_newer_reading_of_the_same_period_is_not_overruled(company: Utility, doubtful: dict[str, Any]) -> None:
    assert first(company.submit(company.body({"1": "150"})))["status"] == "queued"
    assert code(company.decide(doubtful["reading"], accept=True)) == (409, "newer_reading_stands")
    assert company.decide(doubtful["reading"], accept=False).status_code == 200


def test_a_person_decides_only_within_what_they_may_see(gateway: Gateway, company: Utility, doubtful: dict[str, Any]) -> None:
    elsewhere = company.meters("7", agreement="A-7")
    branch = company.partner("review", name="branch", agreements=[elsewhere])
    assert code(company.decide(doubtful["reading"], accept=True, key=branch)) == (404, "not_found")
    assert company.call("GET", "/v1/reviews", key=branch).json()[READING] == []
    assert code(company.decide(doubtful["reading"], accept=True, key=company.partner("submit"))) == (403, "forbidden")
    assert code(company.decide(doubtful["reading"], accept=True, reason=" ")) == (422, "reason_unreadable")
    assert code(company.call("POST", f"/v1/readings/{doubtful['reading']}/decide", content=b'{"accept": 1}'))[0] == 422
    stranger = gateway.utility()
    assert code(stranger.decide(doubtful["reading"], accept=True)) == (404, "not_found")


def test_reviews_come_in_pages(company: Utility) -> None:
    for meter in "123":
        company.submit(company.body({meter: "90"}))
    one = company.call("GET", "/v1/reviews?limit=2").json()
    two = company.call("GET", f"/v1/reviews?limit=2&after={one['next']}").json()
    assert [row["meter"] for row in one[READING] + two[READING]] == ["1", "2", "3"]
    assert two["next"] is None


def test_a_closed_period_takes_nothing_until_it_is_opened_again(company: Utility) -> None:
    """F-052: values stay open until the period is closed."""
    assert first(company.submit(company.body({"1": "150"})))["status"] == "queued"
    assert company.close(company.period).json()["results"][0]["outcome"] == "applied"
    assert company.close(company.period).json()["results"][0]["outcome"] == "repeated"
    assert [problem["code"] for problem in first(company.submit(company.body({"1": "160"})))["problems"]] == ["period_closed"]
    assert company.close(company.period, None).json()["results"][0]["outcome"] == "applied"
    assert first(company.submit(company.body({"1": "160"})))["status"] == "queued"


def test_periods_that_nobody_knows_or_can_read_are_refused_one_by_one(company: Utility) -> None:
    assert company.close(company.period, agreement="Z-9").json()["results"][0]["problem"]["code"] == "agreement_unknown"
    body = b'{"periods": [{"agreement": "A-1", "period": "2026-13"}, {"agreement": "A-1", "period": "2026-01", "ends": "2025-12-31"}]}'
    told = company.call("POST", "/v1/periods", content=body).json()["results"]
    assert [(row["outcome"], row["problem"]["where"]) for row in told] == [("refused", "periods[0]"), ("refused", "periods[1]")]
    assert code(company.close(company.period, key=company.partner("submit"))) == (403, "forbidden")
    outside = company.partner("settle", name="other", agreements=[0])
    assert company.close(company.period, key=outside).json()["results"][0]["problem"]["code"] == "agreement_unknown"


def test_a_control_reading_is_bound_to_no_window_and_outranks_the_customer_s(gateway: Gateway, company: Utility) -> None:
    """V-17, F-043: an inspector comes when he comes; who sends a value of his own afterwards does not correct his."""
    inspector = company.partner("submit", "read", "control", name="inspector")
    assert first(company.submit(company.body({"1": "150"})))["status"] == "queued"
    controlled = first(company.submit(company.body({"1": "148"}), key=inspector, asked={"source": "control"}))
    assert (controlled["status"], controlled["source"]) == ("queued", "control")
    later = first(company.submit(company.body({"1": "151"})))
    assert (later["status"], [problem["code"] for problem in later["problems"]]) == ("rejected", ["outranked"])
    assert register(gateway, company)[0] == Decimal(148)
    assert first(company.submit(company.body({"1": "148"})))["same_as"] == controlled["reading"], "the same value is no contradiction"
    body = company.body({"2": "120"}).replace(company.period.encode(), b"2020-01")
    assert "window_closed" in [problem["code"] for problem in first(company.submit(body))["problems"]]
    kept = first(company.submit(body, key=inspector, asked={"source": "control"}))
    assert (kept["status"], kept["period"]) == ("queued", "2020-01")


def test_an_estimate_gives_way_to_a_reading_and_not_the_other_way(company: Utility) -> None:
    assert first(company.submit(company.body({"1": "150"})))["status"] == "queued"
    guess = company.body({"1": "149"}).replace(b'"register":"A+"', b'"register":"A+","quality":"estimated"')
    assert [problem["code"] for problem in first(company.submit(guess))["problems"]] == ["outranked"]
    other = company.body({"2": "149"}).replace(b'"register":"A+"', b'"register":"A+","quality":"estimated"')
    assert first(company.submit(other))["status"] == "queued"
    assert first(company.submit(company.body({"2": "150"})))["status"] == "queued"


def test_who_read_a_meter_is_said_only_by_whoever_may(company: Utility) -> None:
    plain = company.partner("submit", name="plain")
    for asked in ({"source": "control"}, {"source": "phone"}, {"source": "automatic"}, {"known_to_billing": "true"}):
        assert code(company.submit(company.body({"1": "150"}), key=plain, asked=asked)) == (403, "forbidden")
        assert code(company.upload(company.body({"1": "150"}), "a.json", key=plain, **asked)) == (403, "forbidden")
    assert code(company.submit(company.body({"1": "150"}), asked={"source": "dream"})) == (422, "source_unknown")
    assert code(company.submit(company.body({"1": "150"}), asked={"draft": "maybe"})) == (422, "flag_invalid")


def test_what_billing_tells_itself_is_believed_and_not_sent_to_it(gateway: Gateway, company: Utility) -> None:
    """F-043: control readings and those told by phone come from billing too."""
    told = company.submit(company.body({"1": "150"}), asked={"source": "phone", "known_to_billing": "true"})
    assert (first(told)["status"], first(told)["source"]) == ("acknowledged", "phone")
    assert register(gateway, company)[0] == Decimal(150)
    assert gateway.rows("select from delivery where utility_id = %(u)s", u=company.id) == []


def bare(gateway: Gateway, utility: Utility, meter: str) -> None:
    """Let a point be one without a meter."""
    gateway.rows("update meter set serial = '', key = '' where utility_id = %(u)s and serial = %(m)s", u=utility.id, m=meter)


def volume(utility: Utility, value: str, point: str = "A-1-1", **more: object) -> bytes:
    """An amount of the period at a point without a meter."""
    body = utility.body({"1": value}, point=point, **more)
    return body.replace(b'"meter":"1",', b"")


def test_an_amount_is_handed_in_for_a_point_without_a_meter(gateway: Gateway, company: Utility) -> None:
    """F-066: the drain of hot water is told as a volume; it is no state of a dial, and nothing is subtracted from it."""
    bare(gateway, company, "1")
    told = company.submit(volume(company, "17"))
    assert (first(told)["status"], first(told)["meter"]) == ("queued", "")
    [value] = first(told)["values"]
    assert (value["volume"], value["value"], value["previous"], value["consumption"]) == (True, "17", None, "17")
    gateway.work()
    assert standing(company, told) == ["acknowledged"]
    again = first(company.submit(volume(company, "12", at="2026-01-01T00:00:00Z")))
    assert (again["status"], again["revision"], again["values"][0]["consumption"]) == ("queued", 1, "12")


def test_a_point_that_has_a_meter_or_is_unknown_takes_no_amount(gateway: Gateway, company: Utility) -> None:
    bare(gateway, company, "1")
    assert [problem["code"] for problem in first(company.submit(volume(company, "17", "A-1-2")))["problems"]] == ["meter_unknown"]
    assert [problem["code"] for problem in first(company.submit(volume(company, "17", "Z")))["problems"]] == ["meter_unknown"]
    nothing = company.submit(volume(company, "17", ""))
    assert first(nothing)["problems"][0]["code"] == "json_missing_key"


def test_interval_values_are_replaced_and_not_taken_back(gateway: Gateway, company: Utility) -> None:
    told = first(company.submit(company.body({"1": "150"})))
    gateway.rows("insert into interval_source (utility_id, meter_reading_id) values (%(u)s, %(id)s)", u=company.id, id=told["reading"][4:])
    assert code(company.withdraw(told["reading"])) == (409, "intervals_not_withdrawn")
