"""POST /v1/settlements: billing's later word, in whatever order and however often it comes."""

from itertools import permutations, product
from typing import Any

import pytest

from tests.running import Gateway, Utility

RANK = ["queued", "sent", "acknowledged", "calculated", "billed"]


def outcomes(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["outcome"] for one in answer.json()["results"]]


def status(utility: Utility, submission: str) -> str:
    return str(utility.look(submission)["readings"][0]["status"])


def sent(utility: Utility, value: str = "150", meter: str = "1") -> tuple[str, str]:
    """A submission and its only reading."""
    told = utility.submit(utility.body({meter: value})).json()
    assert told["status"] == "accepted", told
    return told["submission"], told["readings"][0]["reading"]


@pytest.mark.parametrize("order", list(permutations(["acknowledged", "calculated", "billed"])), ids="-".join)
def test_whatever_the_order_of_words_no_state_goes_backwards(gateway: Gateway, company: Utility, order: tuple[str, ...]) -> None:
    submission, reading = sent(company)
    seen = [status(company, submission)]
    for event in order:
        if event == "acknowledged":
            gateway.work()
        else:
            assert outcomes(company.settle(company.word(reading, event))) == ["applied"]
        seen.append(status(company, submission))
    assert [RANK.index(one) for one in seen] == sorted(RANK.index(one) for one in seen), seen
    assert seen[-1] == "billed"
    assert [RANK.index(one) for one in seen[1:]] == [max(RANK.index(event) for event in order[: n + 1]) for n in range(3)]
    gateway.work()
    assert status(company, submission) == "billed"


@pytest.mark.parametrize("order", list(product(["calculated", "billed"], repeat=3)), ids="-".join)
def test_repeats_are_harmless(gateway: Gateway, company: Utility, order: tuple[str, ...]) -> None:
    gateway.work()
    submission, reading = sent(company)
    told = [outcomes(company.settle(company.word(reading, event)))[0] for event in order]
    assert told == ["applied" if event not in order[:n] else "repeated" for n, event in enumerate(order)]
    assert status(company, submission) == max(order, key=RANK.index)
    lines = [line["to"] for line in company.look(submission)["timeline"] if line["entity"] == "meter_reading"]
    assert lines == sorted(set(lines), key=RANK.index)


def test_both_words_in_one_post_in_the_wrong_order(company: Utility) -> None:
    submission, reading = sent(company)
    assert outcomes(company.settle(company.word(reading, "billed"), company.word(reading, "calculated"))) == ["applied", "applied"]
    assert status(company, submission) == "billed"


def test_a_newer_version_is_applied_and_an_older_one_after_it_is_stale(gateway: Gateway, company: Utility) -> None:
    submission, reading = sent(company)
    gateway.work()
    assert outcomes(company.settle(company.word(reading, "calculated", version=2, volume="51"))) == ["applied"]
    late = company.settle(company.word(reading, "billed", version=1))
    assert outcomes(late) == ["stale"]
    assert late.json()["results"][0]["problem"]["code"] == "settlement_stale"
    assert status(company, submission) == "calculated"
    assert outcomes(company.settle(company.word(reading, "billed", version=2, volume="51"))) == ["applied"]
    assert status(company, submission) == "billed"
    rows = gateway.rows(
        "select version, stage, volume::text from settlement where utility_id = %(u)s order by version, stage", u=company.id
    )
    assert [tuple(row) for row in rows] == [(1, "billed", "50"), (2, "billed", "51"), (2, "calculated", "51")]


def test_a_word_about_no_reading_is_kept(gateway: Gateway, company: Utility) -> None:
    word = company.word("", readings=[], method="norm", amount="123.45", unit="kWh", reference="bill 7")
    assert outcomes(company.settle(word)) == ["applied"]
    [row] = gateway.rows("select method, amount::text, unit, reference, readings from settlement where utility_id = %(u)s", u=company.id)
    assert tuple(row) == ("norm", "123.45", "kWh", "bill 7", [])


def test_a_word_without_a_meter_is_kept_once(company: Utility) -> None:
    word: dict[str, object] = {"agreement": "A-1", "period": company.period, "quantity": "A+", "volume": "1", "stage": "billed"}
    assert outcomes(company.settle(word)) == ["applied"]
    assert outcomes(company.settle(word)) == ["repeated"]
    assert outcomes(company.settle(word | {"point": "A-1-1"})) == ["applied"]


@pytest.mark.parametrize("changed", [{"volume": "2"}, {"amount": "1.00"}, {"method": "norm"}])
def test_a_known_version_with_another_content_is_refused(gateway: Gateway, company: Utility, changed: dict[str, str]) -> None:
    word = company.word("", readings=[], volume="1")
    assert outcomes(company.settle(word)) == ["applied"]
    answer = company.settle(word | changed)
    assert outcomes(answer) == ["refused"]
    assert answer.json()["results"][0]["problem"]["code"] == "settlement_conflict"
    assert gateway.rows("select volume::text from settlement where utility_id = %(u)s", u=company.id)[0][0] == "1"


def test_a_word_cannot_name_what_is_not_its_agreement_s(company: Utility) -> None:
    _, reading = sent(company)
    company.meters("9", agreement="A-2")
    another = company.settle(company.word(reading, agreement="A-2", meter="9"))
    unknown = company.settle(company.word("", readings=[], meter="77"))
    assert [answer.json()["results"][0]["problem"]["code"] for answer in (another, unknown)] == ["settlement_unknown", "meter_unknown"]


def test_exact_volumes(gateway: Gateway, company: Utility) -> None:
    volume = "-123456789012345678.123456789012"
    assert outcomes(company.settle(company.word("", readings=[], volume=volume))) == ["applied"]
    assert gateway.rows("select volume::text from settlement where utility_id = %(u)s", u=company.id)[0][0] == volume


def test_readings_that_are_none_or_another_utility_s_look_the_same(gateway: Gateway, company: Utility) -> None:
    stranger = gateway.utility()
    stranger.meters("1")
    submission, foreign = sent(stranger)
    absent = "rdg_" + "0" * 32
    answers = [company.settle(company.word(reading)) for reading in (foreign, absent, "rdg_x", "")]
    assert {answer.content for answer in answers} == {answers[0].content}
    assert outcomes(answers[0]) == ["refused"]
    assert answers[0].json()["results"][0]["problem"]["code"] == "settlement_unknown"
    assert status(stranger, submission) == "queued"


def test_an_agreement_of_another_utility_looks_absent(gateway: Gateway, company: Utility) -> None:
    stranger = gateway.utility()
    stranger.meters("1", agreement="Z-1")
    foreign, absent = (company.settle(company.word("", readings=[], agreement=number)) for number in ("Z-1", "Z-2"))
    assert foreign.text.replace("Z-1", "Z-2") == absent.text
    assert foreign.json()["results"][0]["problem"]["code"] == "agreement_unknown"


@pytest.mark.parametrize(
    "wrong",
    [
        {"volume": 50},
        {"volume": "1,5"},
        {"volume": "NaN"},
        {"volume": "1e5"},
        {"volume": "٣"},
        {"volume": "1" * 19},
        {"period": "2022-13"},
        {"period": "2022-1"},
        {"stage": "paid"},
        {"version": 0},
        {"version": "1"},
        {"version": 10**9},
        {"at": "2022-10-10T10:00:00"},
        {"at": "yesterday"},
        {"readings": ["x"] * 1001},
        {"method": "guess"},
        {"strange": 1},
        {"agreement": "x" * 101},
        {"amount": "1.0.0"},
    ],
    ids=str,
)
def test_a_bad_row_is_refused_with_its_place_and_the_others_apply(company: Utility, wrong: dict[str, object]) -> None:
    submission, reading = sent(company)
    good = company.word(reading)
    answer = company.settle(company.word(reading, "calculated"), good | wrong, good)
    assert outcomes(answer) == ["applied", "refused", "applied"]
    problem = answer.json()["results"][1]["problem"]
    assert (problem["code"], problem["where"]) == ("json_shape", "settlements[1]")
    assert status(company, submission) == "billed"


@pytest.mark.parametrize(
    ("body", "status_", "code"),
    [
        (b"", 400, "json_malformed"),
        (b"[]", 422, "json_shape"),
        (b"{}", 422, "json_shape"),
        (b'{"settlements":{}}', 422, "json_shape"),
        (b'{"settlements":[],"more":1}', 422, "json_shape"),
        (b'{"settlements":[' + b"{}," * 10_000 + b"{}]}", 413, "too_many_readings"),
        (b'{"settlements":[{"agreement":"A","agreement":"B"}]}', 400, "json_duplicate_key"),
    ],
    ids=["empty", "list", "object", "shape", "more", "many", "twice"],
)
def test_a_body_that_is_no_list_of_words_is_refused(company: Utility, body: bytes, status_: int, code: str) -> None:
    answer = company.call("POST", "/v1/settlements", content=body)
    assert (answer.status_code, answer.json()["code"]) == (status_, code)


def test_no_words_are_no_error(company: Utility) -> None:
    assert company.settle().json() == {"results": []}


def test_a_thousand_words_in_one_post(gateway: Gateway, company: Utility) -> None:
    numbers = [f"M{n}" for n in range(1000)]
    company.meters(*numbers)
    told = company.submit(company.body(dict.fromkeys(numbers, "150"))).json()
    words = [company.word(row["reading"], meter=row["meter"]) for row in told["readings"]]
    assert outcomes(company.settle(*words)) == ["applied"] * 1000
    found = gateway.rows("select status, count(*) from meter_reading where utility_id = %(u)s group by 1", u=company.id)
    assert [tuple(row) for row in found] == [("billed", 1000)]


def test_a_superseded_reading_stays_superseded(company: Utility) -> None:
    first, reading = sent(company)
    sent(company, "160")
    assert outcomes(company.settle(company.word(reading))) == ["applied"]
    assert status(company, first) == "superseded"


def test_the_word_is_told_in_the_timeline_with_its_reference(company: Utility) -> None:
    submission, reading = sent(company)
    company.settle(company.word(reading, reference="bill 2022-10/7"))
    last = company.look(submission)["timeline"][-1]
    assert (last["id"], last["from"], last["to"], last["actor"], last["reason"]) == (
        reading,
        "queued",
        "billed",
        "portal",
        "bill 2022-10/7",
    )
