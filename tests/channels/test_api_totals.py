"""GET /v1/totals: the sums of a period through the whole line (F-058, GV-2)."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from gateway.domain.supply import Line
from gateway.store import feed
from tests.running import Gateway, Utility

CONSUMER = {"party": "ТОВ «Млин»", "party_code": "12345678"}


def put(utility: Utility, *lines: dict[str, Any]) -> None:
    """Registers with what their last reading was; the manager's day is past or today."""
    told: dict[str, Any] = {
        "agreement": "A-1",
        "digits": 6,
        "decimals": 3,
        "last_period": utility.before,
        "party_window_day": 1,
        **CONSUMER,
    }
    with utility.gateway.owner.transaction() as connection:
        feed.import_lines(
            connection,
            utility.id,
            utility.profile.name,
            [Line(**(told | line | {"point": line["meter"], "last": Decimal(line["last"])})) for line in lines],
        )


def handed(utility: Utility, meter: str, **values: str) -> str:
    """Hand in what the dials of a meter show; the reading's status."""
    registers = [{"register": code.replace("_", ":"), "value": value} for code, value in values.items()]
    body = {"readings": [{"meter": meter, "period": utility.period, "registers": registers}]}
    answer = utility.submit(msgspec.json.encode(body))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["readings"][0]["status"])


def asked(utility: Utility, key: str = "", **query: str) -> Any:
    answer = utility.call("GET", "/v1/totals", key=key, params={"period": utility.period} | query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def sums(told: Any) -> dict[str, str]:
    return {one["quantity"]: one["consumption"] for one in told["totals"]}


@pytest.fixture
def mill(gateway: Gateway) -> Utility:
    """The two meters of GV-2 (consumer manual, figure 7): the first one behind transformers."""
    made = gateway.utility("consumer_ua")
    first = {"meter": "1", "ratio": Decimal(40)}
    put(
        made,
        *({**first, "register": code, "last": last} for code, last in (("A+", "1430.5"), ("R+", "0.0"), ("R-", "0.0"))),
        *({"meter": "2", "register": code, "last": last} for code, last in (("A+", "21340.0"), ("R+", "498.0"), ("R-", "145.0"))),
    )
    return made


def test_gv_2_an_agreement_adds_up_by_quantity(mill: Utility, gateway: Gateway) -> None:
    assert handed(mill, "1", **{"A+": "1843.7", "R+": "0.0", "R-": "0.0"}) == "queued"
    assert handed(mill, "2", **{"A+": "25434.0", "R+": "524.0", "R-": "159.0"}) == "queued"
    told = asked(mill, agreement="a-1")
    [agreement], [party] = told["agreements"], told["parties"]
    assert sums(agreement) == sums(party) == {"A+": "20622.0", "R+": "26.0", "R-": "14.0"}
    assert {one["quantity"]: one["unit"] for one in agreement["totals"]} == {"A+": "kWh", "R+": "kvarh", "R-": "kvarh"}
    assert (party["party"], party["name"], party["agreements"], told["unknown"]) == ("12345678", "ТОВ «Млин»", 1, 0)
    gateway.work()
    assert sums(asked(mill)["agreements"][0]) == sums(agreement), "what billing has taken still counts"


def test_a_correction_counts_once_and_what_is_refused_not_at_all(mill: Utility) -> None:
    handed(mill, "2", **{"A+": "25434.0", "R+": "524.0", "R-": "159.0"})
    first = asked(mill)["agreements"][0]["reported_at"]
    handed(mill, "2", **{"A+": "25440.5", "R+": "524.0", "R-": "159.0"})
    assert handed(mill, "2", **{"A+": "9999999999", "R+": "524.0", "R-": "159.0"}) == "rejected"
    [agreement] = asked(mill)["agreements"]
    assert sums(agreement)["A+"] == "4100.5"
    assert agreement["reported_at"] > first


def test_zones_count_and_the_register_beside_them_does_not(mill: Utility) -> None:
    put(mill, *({"agreement": "A-2", "meter": "3", "register": code, "last": "100"} for code in ("A+", "A+:day", "A+:night")))
    handed(mill, "3", **{"A+": "130", "A+:day": "120", "A+:night": "110.001"})
    told = asked(mill)
    assert {one["agreement"]: sums(one) for one in told["agreements"]} == {"A-2": {"A+": "30.001"}}
    handed(mill, "2", **{"A+": "25434.0", "R+": "524.0", "R-": "159.0"})
    [party] = asked(mill)["parties"]
    assert (party["agreements"], sums(party)["A+"]) == (2, "4124.001")


def test_services_are_not_mixed_and_heat_is_added_over_its_inputs(gateway: Gateway) -> None:
    made = gateway.utility("household")
    water = (
        {"meter": number, "register": "volume", "service": service, "last": "10"}
        for number, service in (("1", "cold_water"), ("2", "hot_water"))
    )
    put(made, *water, *({"meter": "3", "register": code, "service": "heat", "last": "1.5"} for code in ("heat", "heat@2")))
    for meter, values in (("1", {"volume": "13"}), ("2", {"volume": "11"}), ("3", {"heat": "2.123", "heat@2": "1.502"})):
        assert handed(made, meter, **values) == "queued"
    assert [(one["service"], one["quantity"], one["unit"], one["consumption"]) for one in asked(made)["agreements"][0]["totals"]] == [
        ("cold_water", "volume", "m3", "3"),
        ("heat", "heat", "Gcal", "0.625"),
        ("hot_water", "volume", "m3", "1"),
    ]


def test_a_value_without_a_previous_one_is_told_apart(gateway: Gateway) -> None:
    made = gateway.utility("household")
    with gateway.owner.transaction() as connection:
        feed.import_lines(
            connection, made.id, "household", [Line(agreement="A-1", point="1", meter="1", register="A+", digits=5, service="electricity")]
        )
    handed(made, "1", **{"A+": "150"})
    told = asked(made)
    assert (told["unknown"], told["agreements"][0]["totals"], told["parties"]) == (1, [], [])


def test_who_may_see_one_agreement_sees_its_sums_only(mill: Utility, gateway: Gateway) -> None:
    put(mill, {"agreement": "A-2", "meter": "3", "register": "A+", "last": "100"})
    handed(mill, "2", **{"A+": "25434.0", "R+": "524.0", "R-": "159.0"})
    handed(mill, "3", **{"A+": "130"})
    [row] = gateway.rows("select id from agreement where utility_id = %(u)s and number = 'A-2'", u=mill.id)
    narrow = mill.partner("read", agreements=[row.id])
    told = asked(mill, narrow)
    assert [(one["agreement"], sums(one)) for one in told["agreements"]] == [("A-2", {"A+": "30"})]
    assert (told["parties"][0]["agreements"], sums(told["parties"][0])) == (1, {"A+": "30"})
    foreign, absent = asked(mill, narrow, agreement="A-1"), asked(mill, narrow, agreement="A-9")
    assert foreign == absent


@pytest.mark.parametrize(("query", "status"), [({"period": "2022-13"}, 422), ({}, 400), ({"period": "2022-10", "agreement": "\x01"}, 422)])
def test_what_cannot_be_asked_is_refused(mill: Utility, query: dict[str, str], status: int) -> None:
    assert mill.call("GET", "/v1/totals", params=query).status_code == status
