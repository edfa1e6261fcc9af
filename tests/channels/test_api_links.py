"""/v1/links over HTTP: the answers, and what each key and each login may not see."""

from typing import Any

import httpx
import pytest

from tests.accounts import account
from tests.running import Gateway, Utility

NUMBER, EMAIL = "78010000002778", "energo@example.org"


def said(answer: httpx.Response, status: int = 200) -> Any:
    """What was answered, which has this status."""
    assert answer.status_code == status, answer.text
    return answer.json()


def ask(utility: Utility, status: int = 200, *, login: str = "ivan", key: str = "", **told: str) -> Any:
    return said(utility.call("POST", "/v1/links", key=key, json={"login": login, **told}), status)


def of(utility: Utility, login: str = "ivan", key: str = "") -> list[dict[str, Any]]:
    """The links of a login."""
    return list(said(utility.call("GET", "/v1/links", key=key, params={"login": login}))["links"])


def secret(utility: Utility) -> str:
    [row] = utility.gateway.rows("select \"values\"->>'secret' as secret from letter where utility_id = %(u)s", u=utility.id)
    return str(row.secret)


@pytest.fixture
def city(gateway: Gateway) -> Utility:
    """A utility of companies, with one agreement that has an e-mail."""
    made = gateway.utility("legal_entity")
    account(gateway.owner, made.id, "legal_entity", NUMBER, name="ООО «Энерго»", emails=[EMAIL])
    return made


@pytest.fixture
def homes(gateway: Gateway) -> Utility:
    """A utility of households."""
    made = gateway.utility("household")
    account(gateway.owner, made.id, "household", "1801К")
    return made


def test_a_company_links_its_agreement_by_a_letter(city: Utility) -> None:
    """F-020, F-022: until the letter is answered nothing of the agreement is told."""
    waiting = ask(city, agreement=NUMBER, email=EMAIL.title())
    assert (waiting["state"], waiting["method"], waiting["party"], waiting["signed_on"]) == ("waiting", "number_email", "", None)
    assert "secret" not in str(waiting)
    assert of(city) == [waiting]
    linked = said(city.call("POST", "/v1/links/confirm", json={"secret": secret(city)}))
    assert (linked["link"], linked["state"], linked["party"], linked["signed_on"]) == (
        waiting["link"],
        "linked",
        "ООО «Энерго»",
        "2018-11-12",
    )
    assert said(city.call("POST", "/v1/links/confirm", json={"secret": secret(city)})) == linked
    assert of(city) == [linked]
    assert of(city, "petr") == []
    wrong = said(city.call("POST", "/v1/links/confirm", json={"secret": "another"}), 404)
    assert (wrong["code"], wrong["detail"]) == ("link_secret_unknown", "Ask for the link again.")


def test_a_company_without_an_e_mail_is_told_to_write(city: Utility) -> None:
    """F-021."""
    account(city.gateway.owner, city.id, "legal_entity", "78010000003333", name="ООО")
    told = ask(city, 422, agreement="78010000003333", email=EMAIL)
    assert told["code"] == "link_no_email"
    assert "in writing" in told["detail"]


def test_a_consumer_of_water_links_by_inn(gateway: Gateway) -> None:
    """F-024, F-025."""
    water = gateway.utility("water")
    account(gateway.owner, water.id, "water", "1803-В", name="АО «Вода»", tax="6311009999")
    linked = ask(water, agreement="1803-в", inn=" 6311009999 ")
    assert (linked["state"], linked["agreement"], linked["party"]) == ("linked", "1803-В", "АО «Вода»")
    assert ask(water, 422, agreement="1803-В", inn="6311009998")["code"] == "link_no_match"
    assert ask(water, 422, agreement="1803-В", inn="6311")["code"] == "link_inn_wrong"
    assert ask(water, 422, agreement="1803-В", email=EMAIL)["code"] == "link_proof_wanted"


def test_a_household_is_told_match_or_no_match_and_nothing_else(gateway: Gateway, homes: Utility) -> None:
    """F-002, F-026: a wrong number, a wrong surname and another utility's account are answered byte for byte alike."""
    other = gateway.utility("household")
    account(gateway.owner, other.id, "household", "1802К")
    cases = [("1801", "Иванов"), ("1801К", "Петров"), ("1802К", "Иванов"), ("nothing", "Иванов")]
    answers = [homes.call("POST", "/v1/links", json={"login": "ivan", "agreement": n, "surname": s, "email": EMAIL}) for n, s in cases]
    assert {answer.status_code for answer in answers} == {422}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["code"] == "link_no_match"
    linked = ask(homes, agreement="1801k", surname=" иванов", email=EMAIL)
    assert (linked["state"], linked["method"], linked["agreement"]) == ("linked", "account_surname", "1801К")


def test_too_many_askings_are_told_when_to_come_back(homes: Utility) -> None:
    """F-002."""
    told: dict[str, Any] = {"agreement": "1801К", "surname": "Петров", "email": EMAIL}
    for place in range(10):
        assert ask(homes, 422, login=f"login {place}", **told)["code"] == "link_no_match"
    answer = homes.call("POST", "/v1/links", json={"login": "another", **told})
    assert said(answer, 429)["code"] == "link_too_often"
    assert 3500 < int(answer.headers["retry-after"]) <= 3600
    assert ask(homes, 422, agreement="1802К", surname="Петров", email=EMAIL)["code"] == "link_no_match"


def test_an_agreement_is_taken_out_of_one_s_own_account(homes: Utility) -> None:
    """F-022 and section 0 (8): by the login it belongs to, and by nobody else; then it may be linked again."""
    told: dict[str, Any] = {"agreement": "1801К", "surname": "Иванов", "email": EMAIL}
    mine, theirs = ask(homes, **told), ask(homes, login="petr", **told)
    path = f"/v1/links/{mine['link']}"
    foreign, absent = (
        homes.call("DELETE", path, params={"login": "petr"}),
        homes.call("DELETE", "/v1/links/lnk_999999", params={"login": "petr"}),
    )
    assert said(foreign, 404) == said(absent, 404)
    assert said(homes.call("DELETE", path, params={"login": "ivan"}))["state"] == "ended"
    assert said(homes.call("DELETE", path, params={"login": "ivan"}), 404)["code"] == "not_found"
    assert (of(homes), of(homes, "petr")) == ([], [theirs])
    assert ask(homes, **told)["link"] != mine["link"]


def test_a_login_chooses_when_it_is_reminded(homes: Utility) -> None:
    """F-119: 1 to 15 days before the window opens and closes, or not at all."""
    link = ask(homes, agreement="1801К", surname="Иванов", email=EMAIL)
    assert (link["start_days"], link["end_days"]) == (None, None)
    path = f"/v1/links/{link['link']}/reminders"

    def choose(status: int, start: int | None, end: int | None, login: str = "ivan") -> Any:
        return said(homes.call("PUT", path, params={"login": login}, json={"start_days": start, "end_days": end}), status)

    assert choose(200, 4, 2) == link | {"start_days": 4, "end_days": 2}
    assert choose(200, None, 15)["start_days"] is None
    assert of(homes)[0]["end_days"] == 15
    assert [choose(422, days, None)["code"] for days in (0, 16)] == ["json_shape"] * 2
    assert choose(404, 1, 1, login="petr")["code"] == "not_found"
    assert said(homes.call("PUT", path, params={"login": "ivan"}, json={"start_days": 4}), 422)["code"] == "json_shape"


def test_a_manager_binds_and_a_portal_may_not(gateway: Gateway) -> None:
    """F-009, F-027."""
    ua = gateway.utility("consumer_ua")
    for number in ("425", "426"):
        account(gateway.owner, ua.id, "consumer_ua", number, name="ПАТ «Світло»", tax="00131512")
    portal, manager = ua.partner("link", name="portal"), ua.partner("manage", name="manager")
    told = {"login": "svitlo", "email": "office@example.org", "party": "00131512"}
    assert said(ua.call("POST", "/v1/links/bindings", key=portal, json=told), 403)["code"] == "forbidden"
    bound = said(ua.call("POST", "/v1/links/bindings", key=manager, json=told))["links"]
    assert [(one["agreement"], one["state"], one["method"], one["email"]) for one in bound] == [
        (number, "linked", "manager", "office@example.org") for number in ("425", "426")
    ]
    assert of(ua, "svitlo", portal) == bound
    assert ask(ua, 422, key=portal, agreement="425", surname="Світло", email=EMAIL)["code"] == "link_by_staff"
    for unknown, code in (({"party": "00131513"}, "party_unknown"), ({"agreement": "427"}, "agreement_unknown")):
        assert said(ua.call("POST", "/v1/links/bindings", key=manager, json={"login": "svitlo", **unknown}), 404)["code"] == code
    [row] = gateway.rows("select id from agreement where utility_id = %(u)s and number = '426'", u=ua.id)
    narrow = ua.partner("manage", name="narrow", agreements=[row.id])
    assert [one["agreement"] for one in said(ua.call("POST", "/v1/links/bindings", key=narrow, json=told))["links"]] == ["426"]


def test_a_contractor_is_bound_by_its_branch(gateway: Gateway) -> None:
    """F-001."""
    heat = gateway.utility("contractor_heat")
    account(gateway.owner, heat.id, "contractor_heat", "Т-1", name="Теплосервис")
    [bound] = said(heat.call("POST", "/v1/links/bindings", json={"login": "teplo", "agreement": "Т-1"}))["links"]
    assert (bound["method"], bound["email"]) == ("contractor", "")
    assert ask(heat, 422, agreement="Т-1", surname="Теплосервис", email=EMAIL)["code"] == "link_by_staff"


def test_keys_and_utilities_keep_apart(gateway: Gateway, homes: Utility) -> None:
    other = gateway.utility("household")
    link = ask(homes, agreement="1801К", surname="Иванов", email=EMAIL)
    blind = homes.partner("submit", "read", name="blind")
    narrow = homes.partner("link", name="narrow", agreements=[0])
    assert said(homes.call("GET", "/v1/links?login=ivan", key=blind), 403)["code"] == "forbidden"
    assert of(homes, key=narrow) == []
    assert of(other) == []
    for caller, key in ((other, other.key), (homes, narrow)):
        assert said(caller.call("DELETE", f"/v1/links/{link['link']}?login=ivan", key=key), 404)["code"] == "not_found"
    assert ask(homes, 422, key=narrow, login="petr", agreement="1801К", surname="Иванов", email=EMAIL)["code"] == "link_no_match"
    assert of(homes) == [link]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/links", b"{", 400, "json_malformed"),
        ("POST", "/v1/links", b"[]", 422, "json_shape"),
        ("POST", "/v1/links", b'{"login": "", "agreement": "1"}', 422, "json_shape"),
        ("POST", "/v1/links", b'{"login": "a\\nb", "agreement": "1"}', 422, "json_shape"),
        ("POST", "/v1/links", b'{"login": "a", "agreement": "1", "colour": 1}', 422, "json_shape"),
        ("POST", "/v1/links/confirm", b'{"secret": ""}', 422, "json_shape"),
        ("POST", "/v1/links/bindings", b'{"login": "a"}', 422, "link_proof_wanted"),
        ("POST", "/v1/links/bindings", b'{"login": "a", "agreement": "1", "party": "1"}', 422, "link_proof_wanted"),
        ("POST", "/v1/links/bindings", b'{"login": "a", "agreement": "1", "email": "x"}', 422, "link_email_wrong"),
        ("GET", "/v1/links", b"", 400, "request_invalid"),
        ("DELETE", "/v1/links/lnk_1", b"", 400, "request_invalid"),
        ("DELETE", "/v1/links/99999999999999999999?login=a", b"", 404, "not_found"),
        ("DELETE", "/v1/links/lnk_x?login=a", b"", 404, "not_found"),
        ("PUT", "/v1/links/lnk_1/reminders?login=a", b"{}", 422, "json_shape"),
    ],
)
def test_what_is_no_request_is_refused(homes: Utility, method: str, path: str, body: bytes, status: int, code: str) -> None:
    assert said(homes.call(method, path, content=body), status)["code"] == code


def test_what_is_no_login_is_refused_and_never_a_fault_of_ours(city: Utility) -> None:
    for method, path in (("GET", "/v1/links"), ("DELETE", "/v1/links/lnk_1"), ("PUT", "/v1/links/lnk_1/reminders")):
        answer = city.call(method, f"{path}?login=a%00b", json={"start_days": 1, "end_days": 1} if method == "PUT" else None)
        assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid"), path
    assert city.call("GET", "/v1/windows?agreement=%00").status_code == 404
