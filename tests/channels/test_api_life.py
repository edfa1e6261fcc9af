"""What may be done with a reading before billing has it: drafts, taking back, holds, decisions of a person, closed periods, who read it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from gateway.mapping import formats
from gateway.worker import Worker
from tests.running import Gateway, Utility

READING = "readings"


def first(answer: httpx.Response) -> dict[str, Any]:
    """The first reading of an answer that took it."""
    assert answer.status_code in (200, 202), answer.text
    return dict(answer.json()["readings"][0])


def code(answer: httpx.Response) -> tuple[int, str]:
    """How a request was refused."""
    return answer.status_code, answer.json()["code"]


def register(gateway: Gateway, utility: Utility, meter: str = "1") -> tuple[Any, ...]:
    """What the register of a meter believes."""
    [row] = gateway.rows(
        "select r.last, r.last_period, r.last_reading_id from register r join meter m on m.id = r.meter_id "
        "where m.utility_id = %(u)s and m.serial = %(m)s",
        u=utility.id,
        m=meter,
    )
    return tuple(row)


def standing(utility: Utility, answer: httpx.Response) -> list[str]:
    """The states of a submission's readings now."""
    return [row["status"] for row in utility.look(answer)["readings"]]


@pytest.fixture
def home(gateway: Gateway) -> Utility:
    """A utility of households, whose readings each stand for themselves."""
    made = gateway.utility("household")
    made.meters("1", "2")
    return made


@pytest.fixture
def doubtful(company: Utility) -> dict[str, Any]:
    """A reading that a person has to look at: 90 after 100, which the legal entities' rulebook reviews."""
    told = first(company.submit(company.body({"1": "90"})))
    assert told["status"] == "needs_review"
    return told


def test_a_draft_is_saved_and_judged_but_moves_nothing(gateway: Gateway, company: Utility) -> None:
    before = register(gateway, company)
    saved = company.submit(company.body({"1": "150", "2": "90", "9": "1"}), asked={"draft": "true"})
    assert [row["status"] for row in saved.json()["readings"]] == ["draft", "draft", "rejected"]
    assert saved.json()["readings"][1]["problems"][0]["code"] == "reading_decreased"
    assert saved.json()["status"] == "draft"
    assert register(gateway, company) == before
    assert gateway.rows("select from delivery where utility_id = %(u)s", u=company.id) == []


def test_a_draft_is_handed_in_once_however_often_it_is_asked(gateway: Gateway, company: Utility) -> None:
    saved = company.submit(company.body({"1": "150"}), asked={"draft": "true"})
    path = f"/v1/submissions/{saved.json()['submission']}/submit"
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: company.call("POST", path), range(4)))
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert len({answer.json()["submission"] for answer in answers}) == 1
    assert standing(company, saved) == ["superseded"]
    assert company.look(saved)["status"] == "superseded"
    gateway.work()
    assert standing(company, answers[0]) == ["acknowledged"]
    assert register(gateway, company)[0] == Decimal(150)


def test_a_draft_is_judged_by_what_is_known_when_it_is_handed_in(company: Utility) -> None:
    saved = company.submit(company.body({"1": "150"}), asked={"draft": "true"})
    assert company.close(company.period).json()["results"][0]["outcome"] == "applied"
    told = company.call("POST", f"/v1/submissions/{saved.json()['submission']}/submit")
    assert [problem["code"] for problem in first(told)["problems"]] == ["period_closed"]
    assert first(told)["status"] == "rejected"


def test_a_file_may_be_a_draft(gateway: Gateway, company: Utility) -> None:
    saved = company.upload(company.body({"1": "150"}), "a.json", draft="true")
    gateway.work()
    assert standing(company, saved) == ["draft"]
    told = company.call("POST", f"/v1/submissions/{saved.json()['submission']}/submit")
    gateway.work()
    assert standing(company, told) == ["acknowledged"]


def test_what_was_no_draft_is_not_handed_in_again(company: Utility) -> None:
    told = company.submit(company.body({"1": "150"})).json()["submission"]
    assert code(company.call("POST", f"/v1/submissions/{told}/submit")) == (409, "not_a_draft")
    assert code(company.call("POST", "/v1/submissions/sub_1/submit")) == (404, "not_found")
    other = company.partner(name="other")
    assert code(company.call("POST", f"/v1/submissions/{told}/submit", key=other)) == (404, "not_found")


def test_a_draft_taken_back_is_not_handed_in(company: Utility) -> None:
    saved = company.submit(company.body({"1": "150"}), asked={"draft": "true"})
    assert company.withdraw(first(saved)["reading"]).json()["status"] == "withdrawn"
    assert code(company.call("POST", f"/v1/submissions/{saved.json()['submission']}/submit")) == (409, "not_a_draft")


def test_a_reading_is_taken_back_before_billing_has_it(gateway: Gateway, home: Utility) -> None:
    """F-041: a reading may be deleted until leaving the cabinet."""
    before = register(gateway, home)
    told = first(home.submit(home.body({"1": "150"})))
    assert register(gateway, home)[0] == Decimal(150)
    taken = home.withdraw(told["reading"])
    assert (first(taken)["status"], taken.json()["status"]) == ("withdrawn", "withdrawn")
    assert register(gateway, home)[0] == before[0]
    gateway.work()
    assert first(home.call("GET", f"/v1/submissions/{taken.json()['submission']}"))["status"] == "withdrawn"
    [row] = gateway.rows("select state from delivery_closed where utility_id = %(u)s", u=home.id)
    assert row.state == 8, "it left the ledger unsent"


def test_the_same_bytes_may_come_again_after_they_were_taken_back(gateway: Gateway, home: Utility) -> None:
    body = home.body({"1": "150"})
    told = first(home.submit(body))
    home.withdraw(told["reading"])
    again = home.submit(body)
    assert (again.status_code, first(again)["status"], first(again)["reading"] == told["reading"]) == (202, "queued", False)
    gateway.work()
    assert standing(home, again) == ["acknowledged"]


def test_two_readings_taken_back_leave_the_register_where_it_was(gateway: Gateway, home: Utility) -> None:
    one, two = (first(home.submit(home.body({"1": value}))) for value in ("150", "170"))
    assert code(home.withdraw(one["reading"])) == (409, "later_reading_follows")
    assert home.withdraw(two["reading"]).status_code == 200
    assert register(gateway, home)[0] == Decimal(150)
    assert home.withdraw(one["reading"]).status_code == 200
    assert register(gateway, home)[0] == Decimal(100)
    third = first(home.submit(home.body({"1": "110"})))
    assert (third["values"][0]["previous"], third["values"][0]["consumption"]) == ("100", "10")


def test_what_billing_has_is_not_taken_back(gateway: Gateway, home: Utility) -> None:
    told = first(home.submit(home.body({"1": "150"})))
    gateway.work()
    assert code(home.withdraw(told["reading"])) == (409, "sent_already")


def test_a_correction_is_not_taken_back_but_corrected(gateway: Gateway, company: Utility) -> None:
    """Without it nothing would stand for the period; the first value comes again in its very bytes and counts."""
    one = company.submit(company.body({"1": "150"}))
    gateway.work()
    two = company.submit(company.body({"1": "170"}))
    assert code(company.withdraw(first(two)["reading"])) == (409, "correction_not_withdrawn")
    assert company.look(one)["status"] == "superseded"
    back = company.submit(company.body({"1": "150"}))
    assert (back.status_code, first(back)["status"], first(back)["revision"]) == (202, "queued", 2)
    gateway.work()
    assert (standing(company, two), standing(company, back)) == (["superseded"], ["acknowledged"])
    assert register(gateway, company)[0] == Decimal(150)


def test_what_another_said_as_well_stands_in_the_other_one_s_name(gateway: Gateway, company: Utility) -> None:
    """Two send 150; the first takes it back. The second's reading goes to billing, once."""
    mine = company.submit(company.body({"1": "150"}))
    key = company.partner(name="other")
    theirs = company.submit(company.body({"1": "150"}), key=key)
    assert first(theirs)["same_as"] == first(mine)["reading"]
    assert first(company.withdraw(first(mine)["reading"]))["status"] == "withdrawn"
    assert register(gateway, company)[0] == Decimal(150)
    gateway.work()
    [row] = company.call("GET", f"/v1/submissions/{theirs.json()['submission']}", key=key).json()["readings"]
    assert (row["status"], row["same_as"]) == ("acknowledged", None)
    rows = gateway.rows("select subject_id, state from delivery_closed where utility_id = %(u)s", u=company.id)
    assert [(row.subject_id.hex, row.state) for row in rows] == [(first(theirs)["reading"][4:], 5)]


def test_a_register_forgets_what_was_taken_back(gateway: Gateway, home: Utility) -> None:
    """The usual consumption speaks afterwards as it did before (V-07)."""
    gateway.rows(
        "update register set before = 0, before_at = now() - interval '60 days', last_at = now() - interval '30 days', daily = 3 "
        "where meter_id in (select id from meter where utility_id = %(u)s)",
        u=home.id,
    )
    told = first(home.submit(home.body({"1": "150"})))
    home.withdraw(told["reading"])
    wild = first(home.submit(home.body({"1": "99000"})))
    assert (wild["status"], "consumption_high" in [problem["code"] for problem in wild["problems"]]) == ("needs_review", True)


def test_a_draft_is_taken_back_and_handed_in_whole(company: Utility) -> None:
    saved = company.submit(company.body({"1": "150", "2": "150"}), asked={"draft": "true"})
    assert [row["status"] for row in company.withdraw(first(saved)["reading"]).json()["readings"]] == ["withdrawn", "withdrawn"]
    assert code(company.call("POST", f"/v1/submissions/{saved.json()['submission']}/submit")) == (409, "not_a_draft")
    for value in range(160, 172):
        saved = company.submit(company.body({"1": str(value), "2": "150"}), asked={"draft": "true"})
        path = f"/v1/submissions/{saved.json()['submission']}/submit"
        with ThreadPoolExecutor(2) as pool:
            taken, handed = pool.submit(company.withdraw, first(saved)["reading"]), pool.submit(company.call, "POST", path)
            answers = taken.result(), handed.result()
        assert [answers[0].status_code == 200, answers[1].status_code == 202].count(True) == 1, [one.text for one in answers]


def test_readings_of_one_submission_taken_back_at_once_leave_nothing_of_it(home: Utility) -> None:
    for number in range(8):
        told = home.submit(home.body({"1": str(150 + number), "2": "150"}, at=f"2026-01-0{number + 1}T00:00:00Z", period=""))
        rows = told.json()["readings"]
        if {row["status"] for row in rows} != {"queued"}:
            continue
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(home.withdraw, [row["reading"] for row in rows]))
        assert [answer.status_code for answer in answers] == [200, 200]
        assert home.look(told)["status"] == "withdrawn"


def test_what_waits_for_a_person_and_is_taken_back_or_corrected_waits_no_more(company: Utility) -> None:
    one = company.submit(company.body({"1": "90"}))
    company.withdraw(first(one)["reading"])
    assert (company.look(one)["status"], company.look(one)["counters"]["in_review"]) == ("withdrawn", 0)
    assert first(company.submit(company.body({"2": "150"})))["status"] == "queued"
    two = company.submit(company.body({"2": "90"}))
    saved = company.submit(company.body({"2": "155"}), asked={"draft": "true"})
    assert first(company.submit(company.body({"2": "160"})))["status"] == "queued"
    assert (company.look(two)["status"], company.look(two)["counters"]["in_review"]) == ("superseded", 0)
    assert company.look(saved)["status"] == "draft", "a draft is its sender's own"


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


def test_a_right_that_was_taken_away_is_no_right(company: Utility) -> None:
    elsewhere = company.meters("7", agreement="A-7")
    told = first(company.submit(company.body({"1": "150"})))
    company.gateway.rows(
        "update credential set agreement_ids = %(ids)s where secret_hash is not null and utility_id = %(u)s", ids=[elsewhere], u=company.id
    )
    assert code(company.withdraw(told["reading"])) == (404, "not_found")


def test_what_is_the_utility_s_own_affair_is_not_done_in_a_user_s_name(company: Utility) -> None:
    named = {"X-On-Behalf-Of": "ivan"}
    for path in ("/v1/periods", "/v1/settlements", "/v1/registry"):
        assert code(company.call("POST", path, headers=named, content=b"{}")) == (400, "login_invalid")
    assert code(company.call("GET", "/v1/links", headers=named, params={"login": "petr"})) == (403, "forbidden")


def test_a_period_is_closed_when_its_time_has_come(company: Utility) -> None:
    company.close(company.period, "2099-01-01T00:00:00Z")
    told = first(company.submit(company.body({"1": "150"})))
    assert told["status"] == "queued"
    company.close(company.period)
    assert code(company.withdraw(told["reading"])) == (409, "period_closed")


def test_nobody_takes_back_what_is_another_s(home: Utility) -> None:
    told = first(home.submit(home.body({"1": "150"})))
    other = home.partner(name="other")
    assert code(home.withdraw(told["reading"], key=other)) == code(home.withdraw("rdg_1")) == (404, "not_found")
    assert code(home.withdraw(told["reading"], key=home.partner("read", name="reader"))) == (403, "forbidden")


def test_taking_back_and_sending_at_once_end_in_one_of_both(gateway: Gateway, home: Utility) -> None:
    """Whoever comes first wins: a reading that was taken back never reaches billing, one that was sent is not taken back."""
    for number in range(12):
        told = first(home.submit(home.body({"1": str(200 + number)})))
        worker = Worker(gateway.store, gateway.settings, formats(gateway.settings.limits), name=f"race{number}")
        with ThreadPoolExecutor(2) as pool:
            taken, _ = pool.submit(home.withdraw, told["reading"]), pool.submit(worker.run_until_idle)
            answer = taken.result()
        gateway.work()
        rows = gateway.rows(
            "select m.status, c.state from meter_reading m join delivery_closed c on c.subject_id = m.id where m.id = %(id)s",
            id=told["reading"].removeprefix("rdg_"),
        )
        assert [tuple(row) for row in rows] == [("withdrawn", 8) if answer.status_code == 200 else ("acknowledged", 5)]


def test_a_held_reading_waits_and_then_goes_by_itself(gateway: Gateway, home: Utility) -> None:
    home.rulebook(hold=600)
    told = home.submit(home.body({"1": "150"}))
    assert first(told)["status"] == "accepted"
    assert first(told)["hold_until"] == first(home.call("GET", f"/v1/submissions/{told.json()['submission']}"))["hold_until"]
    assert gateway.rows("select from delivery where utility_id = %(u)s", u=home.id) == []
    later = Worker(gateway.store, gateway.settings, formats(gateway.settings.limits), skew=timedelta(seconds=601))
    assert later.run_until_idle() > 0
    assert standing(home, told) == ["acknowledged"]
    assert first(home.call("GET", f"/v1/submissions/{told.json()['submission']}"))["hold_until"] is None
    states = [(line["from"], line["to"]) for line in home.look(told)["timeline"] if line["entity"] == "meter_reading"]
    assert states[0] == ("accepted", "queued")


def test_a_held_reading_is_taken_back_and_never_goes(gateway: Gateway, home: Utility) -> None:
    home.rulebook(hold=600)
    told = home.submit(home.body({"1": "150"}))
    assert home.withdraw(first(told)["reading"]).status_code == 200
    later = Worker(gateway.store, gateway.settings, formats(gateway.settings.limits), skew=timedelta(seconds=601))
    later.run_until_idle()
    assert standing(home, told) == ["withdrawn"]
    assert gateway.rows("select from delivery where utility_id = %(u)s", u=home.id) == []


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
