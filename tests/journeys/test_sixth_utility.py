"""A sixth utility from nothing: a document written from the page of the keys alone, twenty meters, a month handed in (issue 4)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import httpx
import msgspec
import pytest

from gateway.domain.windows import month, shift
from tests.cli.conftest import at, runner, starter
from tests.conftest import fresh_database, shared_server
from tests.peers import PLAIN

DOCUMENTS = Path(__file__).parent / "sixth_utility"
ZONE = ZoneInfo("Asia/Kamchatka")
METERS: dict[str, tuple[str, tuple[str, ...], range]] = {
    "electricity": ("E", ("A+",), range(1, 7)),
    "electricity by zones": ("Z", ("A+:day", "A+:night"), range(1, 4)),
    "heat": ("H", ("heat",), range(1, 6)),
    "hot_water": ("W", ("volume",), range(1, 5)),
    "drain": ("D", ("volume",), range(1, 3)),
}
"""Twenty meters of five kinds: how their numbers begin, and their registers."""


class Town(NamedTuple):
    """The utility with its running gateway, and today and the month there."""

    api: httpx.Client
    today: date
    said: str

    @property
    def period(self) -> str:
        """The month of today."""
        return f"{self.today:%Y-%m}"

    def handed(self, values: Mapping[str, Mapping[str, str]], period: str = "") -> dict[str, Any]:
        """Hand in values by meter and register; what became of each, by meter."""
        readings = [
            {
                "meter": meter,
                "period": period or self.period,
                "registers": [{"register": code, "value": value} for code, value in own.items()],
            }
            for meter, own in values.items()
        ]
        answer = self.api.post("/v1/readings", content=msgspec.json.encode({"readings": readings}))
        assert answer.status_code == 202, answer.text
        return {row["meter"]: row for row in answer.json()["readings"]}


def registry(before: str) -> str:
    """The registry file: each agreement has one meter, each register stood at 100 two months ago."""
    head = "agreement,party,point,service,meter,register,digits,decimals,last,last_period"
    rows = [
        f"{sign}-{n},Consumer {sign}{n},1,{kind.partition(' ')[0]},{sign}{n:03},{code},5,3,100,{before}"
        for kind, (sign, codes, numbers) in METERS.items()
        for n in numbers
        for code in codes
    ]
    return "\n".join([head, *rows]) + "\n"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Everything a utility's analyst does: apply the documents, bring the registry in, give a portal its key."""
    folder = tmp_path_factory.mktemp("town")
    today = datetime.now(ZONE).date()
    (folder / "registry.csv").write_text(registry(f"{shift(today.replace(day=1), -2):%Y-%m}"), "utf-8")
    with contextmanager(fresh_database)(shared_server("embedded")) as database, starter(folder) as start:
        command = partial(runner(folder), **at(database))
        applied = command("config", "apply", DOCUMENTS, "--utility", "avacha_energo", "--by", "analyst")
        assert applied.returncode == 0, applied.stderr
        brought = command("registry", "import", "registry.csv", "--utility", "avacha_energo", "--profile", "avacha")
        assert brought.returncode == 0, brought.stderr
        assert "23 registers of 20 meters" in brought.stdout
        key = command("partner", "add", "portal", "--utility", "avacha_energo").stdout.strip()
        gateway = start("serve", "--port", "0", **at(database)).listening()
        with httpx.Client(
            base_url=gateway.url, headers={"Authorization": f"Bearer {key}", "Accept-Language": "ru"}, timeout=30, verify=PLAIN
        ) as api:
            yield Town(api, today, applied.stdout)


def codes(row: Mapping[str, Any]) -> set[str]:
    return {problem["code"] for problem in row["problems"]}


def advanced(kind: str, by: str = "105") -> dict[str, dict[str, str]]:
    sign, registers, numbers = METERS[kind]
    return {f"{sign}{n:03}": dict.fromkeys(registers, by) for n in numbers}


def test_the_documents_make_the_utility(town: Town) -> None:
    assert town.said.splitlines() == [
        "calendar/kamchatka: new",
        "profile/avacha: new, judges no agreement yet",
        "Wrote 2 new versions at avacha_energo; 0 documents are as they were.",
    ]


def test_electricity_is_taken_from_the_20th(town: Town) -> None:
    rows = town.handed(advanced("electricity") | advanced("electricity by zones"))
    assert len(rows) == 9
    taken = town.today.day >= 20
    assert {row["status"] for row in rows.values()} == {"queued" if taken else "rejected"}
    assert {row["text"] for row in rows.values()} == {"Взято в работу" if taken else "Возвращено"}
    assert all(("window_not_open" in codes(row)) is not taken for row in rows.values())


def test_electricity_of_last_month_is_taken_to_the_5th(town: Town) -> None:
    last = f"{shift(month(town.period), -1):%Y-%m}"
    rows = town.handed(advanced("electricity", "101"), last)
    taken = town.today.day <= 5
    assert {row["status"] for row in rows.values()} == {"queued" if taken else "rejected"}
    assert all(("window_closed" in codes(row)) is not taken for row in rows.values())


def test_heat_is_always_taken_and_after_the_23rd_counts_for_the_next_month(town: Town) -> None:
    rows = town.handed(advanced("heat", "100.417"))
    late = town.today.day > 23
    assert {(row["status"], row["period"]) for row in rows.values()} == {
        ("queued", f"{shift(month(town.period), 1):%Y-%m}" if late else town.period)
    }
    assert all(("counted_later" in codes(row)) is late for row in rows.values())


def test_hot_water_is_taken_on_the_eight_days_to_the_25th_and_past_days_off(town: Town) -> None:
    told = town.api.get("/v1/windows", params={"agreement": "W-1", "on": f"{town.period}-20"}).json()
    [window] = told["meters"][0]["windows"]
    due, closes = date.fromisoformat(window["due"]), date.fromisoformat(window["closes"])
    assert (told["zone"], window["opens"], due.day) == ("Asia/Kamchatka", f"{town.period}-18", 25)
    assert closes >= due
    assert closes.weekday() < 5 or closes == due
    rows = town.handed(advanced("hot_water"))
    taken = town.today.day >= 18 and town.today <= closes
    assert {row["status"] for row in rows.values()} == {"queued" if taken else "rejected"}


def test_a_drain_is_taken_in_the_second_half(town: Town) -> None:
    rows = town.handed(advanced("drain"))
    assert {row["status"] for row in rows.values()} == {"queued" if town.today.day >= 16 else "rejected"}


def test_weights_are_those_of_the_document(town: Town) -> None:
    """Heat, which is taken on any day: standing still is refused here, going backwards waits for a person."""
    rows = town.handed({"H001": {"heat": "100"}, "H002": {"heat": "99.9"}})
    assert {meter: (row["status"], "zero_consumption" in codes(row), "reading_decreased" in codes(row)) for meter, row in rows.items()} == {
        "H001": ("rejected", True, False),
        "H002": ("needs_review", False, True),
    }


def test_zones_come_together(town: Town) -> None:
    row = town.handed({"Z001": {"A+:day": "106"}})["Z001"]
    assert (row["status"], "zone_missing" in codes(row)) == ("rejected", True)


def test_what_was_taken_adds_up_and_has_its_history(town: Town) -> None:
    """Corrections of an accepted heat reading count once."""
    town.handed({"H003": {"heat": "100.5"}})
    period = town.handed({"H003": {"heat": "100.625"}})["H003"]["period"]
    [one] = town.api.get("/v1/totals", params={"period": period, "agreement": "H-3"}).json()["agreements"]
    assert [(total["service"], total["quantity"], total["consumption"]) for total in one["totals"]] == [("heat", "heat", "0.625")]
    past = town.api.get("/v1/history", params={"meter": "H003"}).json()["readings"]
    assert {(row["text"], row["values"][0]["value"]) for row in past} >= {("Взято в работу", "100.625")}
    assert {row["day"] for row in past} <= {f"{town.today}", f"{datetime.now(UTC).astimezone(ZONE).date()}"}
