"""A maket 80020 through the whole line: over REST and over the drop, where a maket 80021 answers it."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.supply import Line
from gateway.mapping import maket_80021
from gateway.mapping.maket_80021 import Reply, Status
from gateway.postgres import Server as Postgres
from gateway.settings import Limits
from gateway.store import feed
from tests.channels.sftp import Partner, Server, running_drop, wait
from tests.conftest import fresh_database
from tests.formats.make_maket import HOURS, channel, message, period, periods, point, zipped
from tests.running import Utility


@pytest.fixture(scope="module")
def server(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One gateway with a drop for all the tests of this file."""
    for database in fresh_database(server):
        with running_drop(database, tmp_path_factory.mktemp("drop")) as running:
            yield running


@pytest.fixture
def company(server: Server) -> Utility:
    """Meters 1 and 2 measure A+, meter 3 both directions behind a transformer; its point is known to billing by another code."""
    made = server.utility("legal_entity")
    made.meters("1", "2")
    told: dict[str, Any] = {"agreement": "A-1", "point": "ИК-3", "point_ids": "billing=131150001113003", "meter": "3"}
    told |= {"digits": 6, "decimals": 3, "ratio": Decimal(12000), "last": Decimal(100), "last_period": made.before}
    with server.owner.transaction() as connection:
        feed.import_lines(connection, made.id, made.profile.name, [Line(**told, register=register) for register in ("A+", "A-")])
    return made


@pytest.fixture
def partner(server: Server, company: Utility, tmp_path: Path) -> Partner:
    """Who collects the values of that utility's meters, with a key."""
    return Partner(server, company, tmp_path)


def day(utility: Utility, number: int) -> str:
    """A day of the period as makets write it."""
    return f"{utility.period.replace('-', '')}{number:02}"


def maket(utility: Utility, *points: str, number: int = 1) -> bytes:
    """A message of a day of the period, which is over by now."""
    return message(*points, day=day(utility, number))


def hours(value: object = 2, code: str = "01") -> str:
    """A channel of 24 equal hours, but for the first two, which differ."""
    return channel(code, periods([1, 3, *[value] * 22], HOURS))


def look(utility: Utility, body: bytes, **envelope: str) -> dict[str, Any]:
    """The submission once it is translated and delivered."""
    answer = utility.upload(body, "80020.xml", **envelope)
    assert answer.status_code == 202, answer.text
    utility.gateway.work()
    shown: dict[str, Any] = utility.call("GET", f"/v1/submissions/{answer.json()['submission']}").json()
    return shown


def amounts(row: dict[str, Any]) -> dict[str, str]:
    return {value["register"]: value["consumption"] for value in row["values"]}


def test_a_point_is_known_by_the_code_of_another_system_and_its_values_hold_the_ratio(company: Utility) -> None:
    shown = look(company, maket(company, point("131150001113003", hours(), hours("0,5", "02"))))
    [row] = shown["readings"]
    assert (shown["format"], row["status"], row["meter"]) == ("maket_80020", "acknowledged", "3")
    assert amounts(row) == {"A+": "48", "A-": "15.0"}
    rows = company.gateway.rows("select b.day, cardinality(b.values) as n from interval_block b where utility_id = %(u)s", u=company.id)
    assert [row.n for row in rows] == [24, 24]


def test_each_day_adds_to_the_amount_of_the_period(company: Utility) -> None:
    first = look(company, maket(company, point("1", hours()), number=1))["readings"][0]
    second = look(company, maket(company, point("1", hours(3)), number=2))["readings"][0]
    assert (amounts(first), amounts(second)) == ({"A+": "48"}, {"A+": "118"})
    again = look(company, zipped(a=maket(company, point("1", hours(3)), number=2)))["readings"][0]
    assert again["same_as"] == second["reading"]
    corrected = look(company, maket(company, point("1", hours(4)), number=2))["readings"][0]
    assert (amounts(corrected), corrected["revision"]) == ({"A+": "140"}, 2)


def test_a_file_of_all_kinds_of_mistakes_is_told_by_its_places(company: Utility) -> None:
    bad = channel("01", [period("0000", "0100", "x"), *periods([1] * 23, HOURS[1:])])
    shown = look(company, maket(company, point("1", bad), point("2", hours()), point("9", hours()), point("3", hours(code="04"))))
    found = {
        row["meter"]: [(one["code"], one["where"]) for one in row["problems"] if one["severity"] == "error"] for row in shown["readings"]
    }
    place = "/message/area[1]/measuringpoint"
    assert shown["status"] == "partly_accepted"
    assert found == {
        "1": [("not_a_number", f"{place}[1]/measuringchannel[@code='01']/period[1]")],
        "2": [],
        "9": [("meter_unknown", f"{place}[3]")],
        "3": [("register_unknown", f"{place}[4]/measuringchannel[@code='04']")],
    }


def test_missing_hours_are_told_by_the_rule_alone(company: Utility) -> None:
    [row] = look(company, maket(company, point("1", channel("01", periods([3, 2, 3], HOURS)))))["readings"]
    assert [(one["code"], one["values"]["count"]) for one in row["problems"]] == [("interval_missing", "21")]
    assert row["status"] == "acknowledged"


def test_a_profile_that_does_not_name_it_takes_none(server: Server) -> None:
    household = server.utility("household")
    household.meters("1")
    [row] = look(household, maket(household, point("1", hours())))["readings"]
    assert "format_not_accepted" in [problem["code"] for problem in row["problems"]]


def answer(partner: Partner, name: str, body: bytes, reply: str) -> Reply:
    """Put a file into the drop; the reply once it has been read."""
    partner.put(name, body)
    first = partner.status(name)
    assert not (partner.drop / "out" / reply).exists()
    partner.server.work()
    partner.status(name, lambda told: bool(told["status"] != "received" and told["submission"] == first["submission"]))
    found = (partner.drop / "out" / reply).read_bytes()
    return maket_80021.read(found, "Europe/Moscow", Limits())


def test_the_drop_answers_with_a_maket_80021(partner: Partner, company: Utility) -> None:
    reply = answer(partner, "80020_5001_1.xml", maket(company, point("1", hours())), "80021_80020_5001_1.xml")
    assert (reply.status, reply.name, reply.archive) == (Status.ACCEPTED, "80020_5001_1.xml", False)
    assert reply.day is not None
    assert f"{reply.day:%Y%m%d}" == day(company, 1)
    assert reply.received is not None
    assert partner.done("ls -1 /out").split()[4:] == ["/out/80020_5001_1.xml.status.json", "/out/80021_80020_5001_1.xml"]
    partner.put("80020_5001_1.xml", maket(company, point("1", hours("x"))))
    wait(lambda: not (partner.drop / "out" / "80021_80020_5001_1.xml").exists(), "the reply to other bytes gone")
    partner.server.work()
    wait((partner.drop / "out" / "80021_80020_5001_1.xml").exists, "a new reply")
    new = maket_80021.read((partner.drop / "out" / "80021_80020_5001_1.xml").read_bytes(), "Europe/Moscow", Limits())
    assert new.status is Status.FORMAT
    assert int(new.id) > int(reply.id)


@pytest.mark.parametrize(
    ("name", "points", "status"),
    [
        ("uncertain", [point("1", hours('<value status="1">7</value>'))], Status.NONCOMMERCIAL),
        ("a point unknown", [point("1", hours()), point("9", hours())], Status.UNKNOWN),
        ("a channel that the meter has not", [point("1", hours(), hours(code="02"))], Status.UNKNOWN),
        ("a channel of no code", [point("1", hours(), hours(code="05"))], Status.UNKNOWN),
        ("wrong", [point("1", hours(-1)), point("9", hours())], Status.FORMAT),
        ("no points", [], Status.FORMAT),
    ],
)
def test_the_figure_says_whether_all_was_taken(partner: Partner, company: Utility, name: str, points: list[str], status: Status) -> None:
    assert answer(partner, f"{name}.XML", maket(company, *points), f"80021_{name}.xml").status is status


def test_what_is_not_well_formed_is_4_and_a_zip_is_said_to_be_one(partner: Partner, company: Utility) -> None:
    good = maket(company, point("1", hours()))
    assert answer(partner, "a.xml", good.replace(b"<area", b"<<area"), "80021_a.xml").status is Status.MALFORMED
    reply = answer(partner, "b.zip", zipped(one=good, two=maket(company, point("1", hours(3)), number=2)), "80021_b.zip.xml")
    assert (reply.status, reply.archive) == (Status.ACCEPTED, True)


def test_who_sends_anything_else_gets_no_reply(partner: Partner) -> None:
    partner.put("a.json", partner.readings())
    partner.status("a.json")
    partner.server.work()
    partner.status("a.json", lambda told: bool(told["status"] == "accepted"))
    assert [path.name for path in (partner.drop / "out").iterdir()] == ["a.json.status.json"]
