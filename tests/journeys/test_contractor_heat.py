"""Section 1 of the contractors' manual by SFTP: archives are loaded, what became of each meter is seen, and at last the billed volumes."""

import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest

from gateway.demo.archives import Archived, archive
from gateway.domain.supply import Line
from gateway.domain.windows import month, shift
from gateway.postgres import Server as Postgres
from tests.channels.sftp import Partner, Server, running_drop, wait
from tests.conftest import fresh_database
from tests.journeys.ground import enter, get
from tests.running import Utility

METERS = {"81001": Decimal("812.4"), "81002": Decimal("96.031"), "81003": Decimal("12.5")}


@pytest.fixture(scope="module")
def server(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A gateway with a drop."""
    for database in fresh_database(server):
        with running_drop(database, tmp_path_factory.mktemp("heat")) as running:
            yield running


@pytest.fixture
def city(server: Server) -> Utility:
    """Three customers of one contractor, whose heat meters were read the month before."""
    made = server.utility("contractor_heat")
    made.rulebook(to_day=31)  # the manual names no window; on any day of a month the archive of the month before is taken
    lines = [
        Line(
            agreement=f"T-{meter}",
            party=f"ТСЖ {meter}",
            point="1",
            service="heat",
            meter=meter,
            model="ВКТ-7",
            register="heat",
            digits=6,
            decimals=3,
            last=last,
            last_period=f"{shift(month(made.before), -1):%Y-%m}",
        )
        for meter, last in METERS.items()
    ]
    enter(made, *lines)
    return made


@pytest.fixture
def contractor(server: Server, city: Utility, tmp_path: Path) -> Partner:
    """Who was given a login by the branch."""
    return Partner(server, city, tmp_path)


def file(city: Utility, mistake: str = "") -> bytes:
    """One file with the archives of all three, as «Архивный считыватель» makes it."""
    meters = [Archived(serial=meter, heat=(Decimal("7.5"),), shown=(last,)) for meter, last in METERS.items()]
    if mistake:
        meters[1] = Archived(serial="81002", heat=(Decimal("7.5"),), shown=(METERS["81002"],), mistake=mistake)
    return archive(meters, city.before, city.profile.zone)


def test_1_1_a_file_of_several_meters_is_loaded_worked_on_and_billed(server: Server, city: Utility, contractor: Partner) -> None:
    """F-070..F-073: «Загружено», «Обработано» once billing has the readings, and the billed volumes after the settlement."""
    contractor.put("архив.csv", file(city))
    told = contractor.status("архив.csv")
    assert (told["text"], told["status"]) == ("Загружено", "received")
    wait(lambda: not contractor.left(), "the file taken")
    server.work()
    told = contractor.status("архив.csv", lambda told: {row["status"] for row in told["readings"]} == {"acknowledged"})
    assert told["counters"]["total"] == 3
    assert {row["text"] for row in told["readings"]} == {"Обработано"}
    for row in told["readings"]:
        word = {"agreement": row["agreement"], "meter": row["meter"], "period": row["period"], "quantity": "heat", "stage": "billed"}
        assert city.settle(word | {"volume": "7.5", "unit": "Gcal", "readings": [row["reading"]]}).status_code == 200
    told = contractor.status("архив.csv", lambda told: {row["status"] for row in told["readings"]} == {"billed"})
    assert {row["text"] for row in told["readings"]} == {"Выставлено в счёте"}


def test_1_1_a_bad_meter_fails_alone_and_its_cell_is_marked(server: Server, city: Utility, contractor: Partner) -> None:
    """F-070, F-071: «Обработано частично, 2 из 3»; instead of telling the inspector the contractor gets the file back, the cell marked."""
    contractor.put("ошибка.csv", file(city, mistake="нет"))
    wait(lambda: not contractor.left(), "the file taken")
    server.work()
    told = contractor.status("ошибка.csv", lambda told: bool(told["status"] == "partly_accepted"))
    assert told["text"] == "Обработано частично, 2 из 3"
    [bad] = [row for row in told["readings"] if row["status"] == "rejected"]
    assert (bad["meter"], bad["text"]) == ("81002", "Ошибка")
    path = contractor.drop / "out" / "ошибка.csv.problems.xlsx"
    wait(path.exists, "the marked workbook")
    book = openpyxl.load_workbook(io.BytesIO(path.read_bytes()))
    assert any(cell.comment for sheet in book.worksheets for row in sheet.iter_rows() for cell in row)


def test_1_2_final_volumes_of_one_s_own_meters_are_seen_and_meters_hidden(server: Server, city: Utility, contractor: Partner) -> None:
    """F-073, F-074: number and type of the meter, its agreement, the volume that was billed; what is no longer served leaves the list."""
    contractor.put("архив.csv", file(city))
    wait(lambda: not contractor.left(), "the file taken")
    server.work()
    told = contractor.status("архив.csv", lambda told: {row["status"] for row in told["readings"]} == {"acknowledged"})
    first = next(row for row in told["readings"] if row["meter"] == "81001")
    word = {"agreement": "T-81001", "meter": "81001", "period": city.before, "quantity": "heat", "volume": "7.4", "stage": "billed"}
    assert city.settle(word | {"unit": "Gcal", "method": "meter", "readings": [first["reading"]]}).status_code == 200
    page = city.partner("read", name="contractor")
    meters = get(city, "/v1/meters", key=page)["meters"]
    assert [(one["meter"], one["model"], one["agreement"]) for one in meters] == [(m, "ВКТ-7", f"T-{m}") for m in sorted(METERS)]
    [past] = get(city, "/v1/history", key=page, meter="81001")["readings"]
    assert [(value["consumption"], value["settled"]) for value in past["values"] if not value["volume"]] == [("7.5", "7.4")]
    assert city.call("POST", "/v1/meters/hide", key=page, json={"meter": "81003", "agreement": "T-81003"}).status_code == 200
    assert [one["meter"] for one in get(city, "/v1/meters", key=page)["meters"]] == ["81001", "81002"]
