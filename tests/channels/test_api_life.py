"""What a sender may do with a reading before billing has it: drafts, taking back, holds."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest

from gateway.mapping import formats
from gateway.worker import Worker
from tests.channels.living import code, first, register, standing
from tests.conftest import case
from tests.running import Gateway, Utility

READING = "readings"


@pytest.fixture
def home(gateway: Gateway) -> Utility:
    """A utility of households, whose readings each stand for themselves."""
    made = gateway.utility("household")
    made.meters("1", "2")
    return made


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
    for value in range(160, 160 + case(12, 200)):
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
