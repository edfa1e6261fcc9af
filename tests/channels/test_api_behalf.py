"""X-On-Behalf-Of: a portal asks and sends for one of its users, and gets no more than is linked to that login."""

from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest

from tests.running import Gateway, Utility


def on(login: str) -> dict[str, Any]:
    """The header that names a portal's user."""
    return {"X-On-Behalf-Of": quote(login)}


def bind(utility: Utility, login: str, agreement: str) -> str:
    """Link an agreement to a login; the link's name."""
    answer = utility.call("POST", "/v1/links/bindings", json={"login": login, "agreement": agreement})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["links"][-1]["link"])


def verdicts(answer: httpx.Response) -> list[tuple[str, list[str]]]:
    assert answer.status_code in (200, 202), answer.text
    return [(row["status"], [problem["code"] for problem in row["problems"]]) for row in answer.json()["readings"]]


@pytest.fixture
def portal(gateway: Gateway) -> Utility:
    """A utility with agreements A-1 of Ivan and A-2 of Пётр, one meter each."""
    made = gateway.utility("household")
    made.meters("1")
    made.meters("2", agreement="A-2")
    bind(made, "ivan", "A-1")
    bind(made, "Пётр", "A-2")
    return made


def test_a_reading_of_another_user_s_meter_is_of_no_meter_at_all(portal: Utility) -> None:
    body = portal.body({"1": "150", "2": "150", "9": "150"})
    mine, foreign, absent = verdicts(portal.submit(body, **on("ivan")))
    assert mine[0] == "queued"
    assert foreign == absent == ("rejected", ["meter_unknown"])
    assert [row[0] for row in verdicts(portal.submit(body, **on("Пётр")))] == ["rejected", "queued", "rejected"]
    assert [row[0] for row in verdicts(portal.submit(body, **on("nobody")))] == ["rejected"] * 3


def test_what_is_judged_later_is_judged_for_the_same_user(gateway: Gateway, portal: Utility) -> None:
    with portal.client() as client:
        answer = client.post("/v1/files", headers=on("ivan"), files={"file": ("a.json", portal.body({"1": "150", "2": "150"}))})
    assert answer.status_code == 202, answer.text
    gateway.work()
    with portal.client() as client:
        seen = client.get(answer.headers["location"], headers=on("ivan"))
    assert seen.json()["envelope"]["login"] == "ivan"
    assert [row[1] for row in verdicts(seen)] == [[], ["meter_unknown"]]


def test_the_same_bytes_of_two_users_are_two_submissions(portal: Utility) -> None:
    body = portal.body({"1": "150"})
    first, again, other = (portal.submit(body, **on(login)) for login in ("ivan", "ivan", "Пётр"))
    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 202)
    assert again.json()["submission"] == first.json()["submission"] != other.json()["submission"]
    keyed = [portal.submit(body + b" ", Idempotency_Key="k", **on(login)) for login in ("ivan", "Пётр")]
    assert [answer.status_code for answer in keyed] == [202, 422]
    assert "1" not in msgspec.json.decode(keyed[1].content)["errors"][0]["values"]


def test_a_user_sees_what_came_for_him_and_what_is_linked_to_him(portal: Utility) -> None:
    names: dict[str, str] = {}
    for login in ("ivan", "Пётр", ""):
        headers = on(login) if login else {}
        names[login] = portal.submit(portal.body({"1": "150", "2": "150"}) + b" " * len(login), **headers).json()["submission"]

    def asked(login: str, path: str, **query: str) -> Any:
        answer = portal.call("GET", path, headers=on(login), params=query)
        return answer.json() if answer.status_code == 200 else (answer.status_code, answer.json()["code"])

    for login, agreement, meter in (("ivan", "A-1", "1"), ("Пётр", "A-2", "2")):
        other = "A-2" if agreement == "A-1" else "A-1"
        assert [one["submission"] for one in asked(login, "/v1/submissions")["submissions"]] == [names[login]]
        assert asked(login, f"/v1/submissions/{names[login]}")["submission"] == names[login]
        assert {asked(login, f"/v1/submissions/{names[one]}") for one in names.keys() - {login}} == {(404, "not_found")}
        assert {asked(login, f"/v1/submissions/{names['']}/{part}") for part in ("problems.xlsx", "file")} == {(404, "not_found")}
        assert [one["meter"] for one in asked(login, "/v1/windows", agreement=agreement)["meters"]] == [meter]
        assert asked(login, "/v1/windows", agreement=other) == asked(login, "/v1/windows", agreement="none") == (404, "agreement_unknown")
        assert [one["meter"] for one in asked(login, "/v1/coverage", period=portal.period)["registers"]] == [meter]
        template = "/v1/templates/integral_workbook"
        assert asked(login, template, agreement=other, period=portal.period) == (404, "agreement_unknown")
    assert len(portal.call("GET", "/v1/submissions").json()["submissions"]) == 3, "the portal itself sees all of its own"


def test_a_link_that_waits_or_has_ended_opens_nothing(portal: Utility) -> None:
    """F-020: inert until confirmed."""
    link = bind(portal, "maria", "A-1")

    def sees() -> bool:
        return portal.call("GET", "/v1/windows", headers=on("maria"), params={"agreement": "A-1"}).status_code == 200

    assert sees()
    portal.gateway.rows("update link set state = 'waiting', expires_at = now() + interval '1 day' where id = %(id)s", id=int(link[4:]))
    assert not sees()
    portal.gateway.rows("update link set state = 'linked' where id = %(id)s", id=int(link[4:]))
    assert portal.call("DELETE", f"/v1/links/{link}", params={"login": "maria"}).status_code == 200
    assert not sees()


def test_a_user_sees_no_more_than_the_portal_s_key(portal: Utility) -> None:
    narrow = portal.partner("read", name="narrow", agreements=[0])
    assert portal.call("GET", "/v1/windows", key=narrow, headers=on("ivan"), params={"agreement": "A-1"}).status_code == 404


@pytest.mark.parametrize("value", ["", "%20", "%FF", "a%0Ab", "x" * 201, "Пётр".encode()])
def test_a_portal_that_lost_its_user_does_not_see_everybody_s(portal: Utility, value: str | bytes) -> None:
    headers: Any = {"X-On-Behalf-Of": value}
    for answer in (
        portal.call("GET", "/v1/submissions", headers=headers),
        portal.call("POST", "/v1/readings", headers=headers, content=portal.body({"1": "150"})),
        portal.call("POST", "/v1/files", headers=headers, files={"file": ("a.json", b"{}")}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "login_invalid")


def test_a_login_s_submissions_are_found_by_an_index(portal: Utility) -> None:
    portal.submit(portal.body({"1": "150"}), **on("ivan"))
    plan = portal.gateway.rows(
        "explain select id from submission s where s.utility_id = 1 and s.envelope->>'login' <> '' and s.envelope->>'login' = 'ivan' "
        "order by s.id desc limit 50"
    )
    assert any("submission_login" in str(row) for row in plan), plan


def test_a_reading_is_taken_back_by_the_user_for_whom_it_came(portal: Utility) -> None:
    reading = portal.submit(portal.body({"1": "150"}), **on("ivan")).json()["readings"][0]["reading"]
    path = f"/v1/readings/{reading}/withdraw"
    bind(portal, "maria", "A-1")
    assert portal.call("POST", path, headers=on("maria")).json()["code"] == "not_found"
    assert portal.call("POST", path, headers=on("ivan")).status_code == 200


def test_a_draft_is_handed_in_for_the_user_who_saved_it(portal: Utility) -> None:
    headers = on("ivan")
    saved = portal.call("POST", "/v1/readings", params={"draft": "true"}, headers=headers, content=portal.body({"1": "150", "2": "150"}))
    path = f"/v1/submissions/{saved.json()['submission']}/submit"
    assert portal.call("POST", path, headers=on("Пётр")).json()["code"] == "not_found"
    handed = portal.call("POST", path)
    assert [row[1] for row in verdicts(handed)] == [[], ["meter_unknown"]]
    assert handed.json()["envelope"]["login"] == "ivan"
