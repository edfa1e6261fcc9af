"""/v1/meters: what a contractor ever reported, hidden and shown (F-074)."""

from typing import Any

import pytest

from tests.running import Gateway, Utility


def listed(utility: Utility, hidden: str = "", *, key: str = "", login: str = "") -> list[str]:
    """The numbers of the meters on a list."""
    headers = {"X-On-Behalf-Of": login} if login else {}
    answer = utility.call("GET", "/v1/meters", key=key, headers=headers, params={"hidden": hidden} if hidden else {})
    assert answer.status_code == 200, answer.text
    return [one["meter"] for one in answer.json()["meters"]]


def turn(utility: Utility, verb: str, meter: str, status: int = 200, *, agreement: str = "A-1", key: str = "", login: str = "") -> Any:
    """The answer to hiding or showing a meter."""
    headers = {"X-On-Behalf-Of": login} if login else {}
    answer = utility.call("POST", f"/v1/meters/{verb}", key=key, headers=headers, json={"meter": meter, "agreement": agreement})
    assert answer.status_code == status, answer.text
    return answer.json()


def covered(utility: Utility, *, mine: bool) -> list[str]:
    told = {"period": utility.period, "mine": str(mine).lower()}
    return [one["meter"] for one in utility.call("GET", "/v1/coverage", params=told).json()["registers"]]


@pytest.fixture
def served(company: Utility) -> Utility:
    """A utility whose contractor has reported meters 1 and 2 of A-1, of which there is a third, and one of A-2."""
    company.meters("4", agreement="A-2")
    assert company.submit(company.body({"1": "150", "2": "150", "4": "150", "9": "1"})).status_code == 202
    return company


def test_a_contractor_sees_what_it_ever_reported_through_any_of_its_keys(served: Utility) -> None:
    """F-074."""
    assert listed(served) == ["1", "2", "4"]
    assert listed(served, key=served.partner("read", name="portal")) == ["1", "2", "4"], "another key of the same partner"
    assert listed(served, key=served.partner("read", name="another")) == []
    answer = served.call("GET", "/v1/meters").json()["meters"][0]
    assert answer == {
        "meter": "1",
        "model": "",
        "agreement": "A-1",
        "party": "",
        "location": "A-1-object",
        "point": "A-1-1",
        "point_name": "",
        "hidden": False,
    }


def test_a_hidden_meter_leaves_the_list_and_the_coverage_of_own_meters(served: Utility) -> None:
    """F-074: nothing else changes, and it comes back."""
    for _ in range(2):
        assert turn(served, "hide", "01", agreement="а-1")["hidden"] is True
    assert (listed(served), listed(served, "true"), listed(served, "all")) == (["2", "4"], ["1"], ["1", "2", "4"])
    assert (covered(served, mine=True), covered(served, mine=False)) == (["2", "4"], ["1", "2", "3", "4"])
    assert listed(served, key=served.partner("read", name="portal")) == ["2", "4"], "hidden for the partner, whichever key asks"
    assert served.submit(served.body({"1": "160"})).json()["readings"][0]["status"] == "queued", "its readings are taken"
    assert listed(served, "true") == ["1"], "a reading does not show it again"
    for _ in range(2):
        assert turn(served, "show", "1")["hidden"] is False
    assert (listed(served), covered(served, mine=True)) == (["1", "2", "4"], ["1", "2", "4"])


def test_what_one_partner_hides_another_sees(served: Utility) -> None:
    """F-074."""
    key = served.partner("submit", "read", name="another")
    assert served.submit(served.body({"1": "150"}) + b" ", key=key).status_code == 202
    turn(served, "hide", "1")
    assert (listed(served), listed(served, key=key)) == (["2", "4"], ["1"])


def test_a_meter_never_reported_and_one_that_is_not_there_are_alike(gateway: Gateway, served: Utility) -> None:
    other = gateway.utility("legal_entity")
    other.meters("7")
    told = [
        turn(served, "hide", meter, 404, agreement=agreement) for meter, agreement in (("3", "A-1"), ("7", "A-1"), ("1", "A-2"), (" ", " "))
    ]
    assert {one["code"] for one in told} == {"meter_unknown"}
    assert {frozenset(one) for one in told} == {frozenset(told[0])}
    narrow = served.partner("read", name="portal", agreements=[0])
    assert listed(served, "all", key=narrow) == []
    assert turn(served, "hide", "1", 404, key=narrow)["code"] == "meter_unknown"
    assert turn(served, "hide", "", 422)["code"] == "json_shape"
    assert served.call("GET", "/v1/meters?hidden=perhaps").json()["code"] == "request_invalid"
    assert served.call("GET", "/v1/meters", key=served.partner("submit", name="blind")).json()["code"] == "forbidden"


def test_a_portal_s_users_hide_each_for_himself(served: Utility) -> None:
    for login, agreement in (("ivan", "A-1"), ("maria", "A-1"), ("petr", "A-2")):
        assert served.call("POST", "/v1/links/bindings", json={"login": login, "agreement": agreement}).status_code == 200
    assert (listed(served, login="ivan"), listed(served, login="petr")) == (["1", "2"], ["4"])
    turn(served, "hide", "1", login="ivan")
    assert [listed(served, login=login) for login in ("ivan", "maria", "")] == [["2"], ["1", "2"], ["1", "2", "4"]]
    assert turn(served, "hide", "4", 404, agreement="A-2", login="ivan")["code"] == "meter_unknown"
