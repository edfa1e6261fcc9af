"""GET /v1/...: lists, one submission, templates; whose they are and who may look."""

import io
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import msgspec
import openpyxl
import pytest

from tests.peers import PLAIN
from tests.running import Gateway, Utility


def ids(page: dict[str, Any]) -> list[str]:
    return [one["submission"] for one in page["submissions"]]


@pytest.fixture
def five(company: Utility) -> list[str]:
    """Five submissions, oldest first; the last is rejected whole."""
    bodies = [company.body({"1": str(150 + n)}) for n in range(4)] + [company.body({"99": "1"})]
    return [company.submit(body).json()["submission"] for body in bodies]


def test_a_list_is_paged_newest_first(company: Utility, five: list[str]) -> None:
    seen: list[str] = []
    following, pages = "", 0
    while following is not None:
        page = company.call("GET", "/v1/submissions", params={"limit": 2, "before": following}).json()
        seen += ids(page)
        following, pages = page["next"], pages + 1
    assert (seen, pages) == (five[::-1], 3)


def test_the_last_page_has_no_next(company: Utility, five: list[str]) -> None:
    page = company.call("GET", "/v1/submissions", params={"limit": len(five)}).json()
    assert (len(page["submissions"]), page["next"]) == (5, None)
    assert page["submissions"][1].keys() == {
        "submission",
        "status",
        "text",
        "counters",
        "received_at",
        "sha256",
        "channel",
        "format",
        "file_name",
    }


def test_a_list_is_filtered_by_status(company: Utility, five: list[str]) -> None:
    assert ids(company.call("GET", "/v1/submissions", params={"status": "rejected"}).json()) == [five[-1]]
    assert ids(company.call("GET", "/v1/submissions", params={"status": "in_review"}).json()) == []


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "limit=-1", "limit=1e9", "status=done", f"before={'x' * 41}", "limit=٣"]
)
def test_a_wrong_parameter_is_refused(company: Utility, query: str) -> None:
    answer = company.call("GET", f"/v1/submissions?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")


def test_a_page_before_nothing_is_not_found(company: Utility) -> None:
    assert company.call("GET", "/v1/submissions?before=sub_xyz").status_code == 404


def test_a_partner_sees_only_what_it_sent(company: Utility, five: list[str]) -> None:
    other = company.partner(name="second portal")
    assert ids(company.call("GET", "/v1/submissions", key=other).json()) == []
    assert company.call("GET", f"/v1/submissions/{five[0]}", key=other).status_code == 404


def test_a_foreign_submission_and_an_absent_one_look_the_same(gateway: Gateway, five: list[str]) -> None:
    stranger = gateway.utility()
    seen = {
        (answer.status_code, answer.content, tuple(sorted(answer.headers.keys() - {"date"})))
        for where in (five[0], f"sub_{uuid.uuid4().hex}", "sub_zz", "x" * 40, "sub_")
        for answer in [stranger.call("GET", f"/v1/submissions/{where}")]
    }
    assert len(seen) == 1
    assert next(iter(seen))[0] == 404


def test_a_submission_is_shown_with_rows_problems_and_timeline(gateway: Gateway, company: Utility) -> None:
    answer = company.submit(company.body({"1": "150", "9": "1"}))
    gateway.work()
    told = company.look(answer)
    good, bad = told["readings"]
    assert (good["status"], good["text"], bad["status"]) == ("acknowledged", "Taken by billing", "rejected")
    assert [problem["code"] for problem in bad["problems"]] == ["meter_unknown"]
    assert told["envelope"] == {"zone": "UTC", "kind": "canonical_json"}
    lines = [(line["entity"], line["id"], line["from"], line["to"]) for line in told["timeline"]]
    assert lines == [
        ("submission", told["submission"], "", "received"),
        ("submission", told["submission"], "received", "partly_accepted"),
        ("meter_reading", good["reading"], "queued", "sent"),
        ("meter_reading", good["reading"], "sent", "acknowledged"),
    ]
    instants = [line["at"] for line in told["timeline"]]
    assert instants == sorted(instants)


def test_a_reading_that_waits_says_when_it_is_tried_next(company: Utility) -> None:
    [row] = company.look(company.submit(company.body({"1": "150"})))["readings"]
    assert (row["status"], row["next_attempt_at"] is None) == ("queued", False)


def ask(utility: Utility, method: str, path: str, key: str) -> httpx.Response:
    options: dict[str, Any] = {}
    if path == "/v1/readings":
        options["content"] = utility.body({"1": "150"})
    elif path == "/v1/files":
        options["files"] = {"file": ("a.json", utility.body({"1": "150"}))}
    elif path == "/v1/settlements":
        options["content"] = b'{"settlements":[]}'
    return utility.call(method, path, key=key, **options)


ROUTES = [
    ("POST", "/v1/readings", "submit"),
    ("POST", "/v1/files", "submit"),
    ("GET", "/v1/submissions", "read"),
    ("GET", "/v1/submissions/sub_00000000000000000000000000000000", "read"),
    ("GET", "/v1/templates/integral_workbook?agreement=A-1&period=2022-10", "read"),
    ("GET", "/v1/templates/interval_workbook?agreement=A-1&meter=1&period=2022-10", "read"),
    ("POST", "/v1/settlements", "settle"),
]


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_a_key_does_what_its_scopes_say_and_no_more(company: Utility, method: str, path: str, scope: str) -> None:
    for given in ("submit", "read", "settle"):
        answer = ask(company, method, path, company.partner(given, name=given))
        if given == scope:
            assert answer.status_code in (200, 202, 404), answer.text
        else:
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_no_key_a_wrong_key_and_a_revoked_key_look_the_same(company: Utility, method: str, path: str, scope: str) -> None:
    del scope
    key = company.partner()
    before = ask(company, method, path, key)
    company.revoke(key)
    answers = [ask(company, method, path, one) for one in (key, "mg_wrong", "ключ".encode().hex())]
    with httpx.Client(base_url=company.gateway.url, headers={"Accept-Language": "en"}, verify=PLAIN) as nobody:
        answers.append(nobody.request(method, path, content=company.body({"1": "150"}) if path == "/v1/readings" else None))
        answers.append(nobody.request(method, path, headers={"Authorization": f"Basic {key}"}))
    assert before.status_code in (200, 202, 404)
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["www-authenticate"] for answer in answers} == {"Bearer"}


def test_an_expired_key_is_none(gateway: Gateway, company: Utility) -> None:
    assert company.submit(company.body({"1": "150"})).status_code == 202
    gateway.rows("update credential set expires_at = now() where utility_id = %(u)s", u=company.id)
    assert company.submit(company.body({"1": "151"})).status_code == 401
    assert company.call("GET", "/v1/submissions").status_code == 401


def test_a_revoked_key_that_was_used_a_moment_ago_is_refused_at_the_next_request(company: Utility) -> None:
    with company.client() as client:
        assert client.post("/v1/readings", content=company.body({"1": "150"})).status_code == 202
        company.revoke(company.key)
        refused = client.post("/v1/readings", content=company.body({"1": "151"}))
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")


def test_a_partner_of_some_agreements_knows_no_others(company: Utility) -> None:
    mine = company.meters("21", agreement="A-2")
    key = company.partner(agreements=[mine])
    told = company.submit(company.body({"21": "150", "1": "150"}), key=key).json()
    assert [[problem["code"] for problem in row["problems"]] for row in told["readings"]] == [[], ["meter_unknown"]]
    path = "/v1/templates/integral_workbook"
    seen = company.call("GET", path, key=key, params={"agreement": "A-2", "period": "2022-10"})
    foreign = company.call("GET", path, key=key, params={"agreement": "A-1", "period": "2022-10"})
    absent = company.call("GET", path, key=key, params={"agreement": "A-9", "period": "2022-10"})
    assert (seen.status_code, foreign.status_code, absent.status_code) == (200, 404, 404)
    assert foreign.text.replace("A-1", "A-9") == absent.text


def test_a_template_lists_the_meters_of_an_agreement(company: Utility) -> None:
    answer = company.call("GET", "/v1/templates/integral_workbook", params={"agreement": "A-1", "period": company.period})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert answer.headers["content-disposition"] == f"attachment; filename*=UTF-8''A-1_{company.period}.xlsx"
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    assert [row[3].value for row in book.worksheets[0].iter_rows(min_row=2)] == ["1", "2", "3"]
    assert book.worksheets[1].sheet_state == "hidden"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("agreement=A-1&period=2022-13", 422, "period_invalid"),
        ("agreement=A-1&period=now", 422, "period_invalid"),
        ("agreement=A-9&period=2022-10", 404, "agreement_unknown"),
        ("agreement=%20&period=2022-10", 404, "agreement_unknown"),
        ("agreement=A-1", 400, "request_invalid"),
        ("period=2022-10", 400, "request_invalid"),
    ],
)
def test_a_template_of_nothing_is_refused(company: Utility, query: str, status: int, code: str) -> None:
    answer = company.call("GET", f"/v1/templates/integral_workbook?{query}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ("ru", "Прибор учёта"),
        ("uk-UA,ru;q=0.5", "Лічильник"),
        ("en", "Meter"),
        ("fr, en;q=0.1", "Meter"),
        ("", "Прибор учёта"),
        ("de", "Прибор учёта"),
        ("en;q=x, uk;q=0.3", "Лічильник"),
    ],
)
def test_problems_are_said_in_the_language_asked_for(company: Utility, asked: str, word: str) -> None:
    with company.client(language=asked) as client:
        told = client.post("/v1/readings", content=company.body({"9": "1"})).json()
        texts = [problem["text"] for problem in told["readings"][0]["problems"]]
        assert word in texts[0], texts
        assert client.get(f"/v1/submissions/{told['submission']}").json()["readings"][0]["problems"][0]["text"] == texts[0]


def test_the_words_of_the_manual_are_used_in_its_language(company: Utility) -> None:
    with company.client(language="ru") as client:
        told = client.post("/v1/readings", content=company.body({"1": "150"})).json()
    assert (told["text"], told["readings"][0]["text"]) == ("Показания сохранены", "Показания сохранены")


@pytest.mark.parametrize("quality", ["missing", "no_read"])
def test_a_value_that_the_sender_calls_missing_is_never_billed(gateway: Gateway, company: Utility, quality: str) -> None:
    value = {"register": "A+", "value": "150", "quality": quality}
    body = msgspec.json.encode({"readings": [{"meter": "1", "period": company.period, "registers": [value]}]})
    [row] = company.submit(body).json()["readings"]
    assert (row["status"], [problem["code"] for problem in row["problems"]]) == ("rejected", ["value_missing"])
    assert gateway.rows("select count(*) from delivery where utility_id = %(u)s", u=company.id)[0][0] == 0


def test_a_submission_is_read_at_one_moment_while_it_is_being_written(gateway: Gateway, company: Utility) -> None:
    """Readers that poll while rows are written see all of a submission or none of it, and never an error."""
    with ThreadPoolExecutor(4) as pool:
        for turn in range(5):
            rows = [
                {"meter": "9" * 8, "period": company.period, "registers": [{"register": "A+", "value": str(turn + n)}]} for n in range(200)
            ]
            told = company.upload(msgspec.json.encode({"readings": rows}), "many.json").json()["submission"]
            polls = [pool.submit(company.call, "GET", f"/v1/submissions/{told}") for _ in range(20)]
            gateway.work()
            seen = [poll.result() for poll in polls]
            assert {answer.status_code for answer in seen} == {200}
            assert all(len(answer.json()["readings"]) == answer.json()["counters"]["total"] for answer in seen)


def test_a_template_of_an_agreement_nobody_can_see_is_refused(company: Utility) -> None:
    answer = company.call("GET", f"/v1/templates/integral_workbook?agreement=%00&period={company.period}")
    assert (answer.status_code, answer.json()["code"]) == (422, "code_unprintable")
