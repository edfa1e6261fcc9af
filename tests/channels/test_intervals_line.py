"""Hourly sheets and heat archives through the whole line: judged meter by meter, delivered as amounts, the difference shown."""

import io
from calendar import monthrange
from datetime import date
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from openpyxl.utils import get_column_letter

from gateway.demo.archives import Archived, archive
from gateway.domain.supply import Line
from gateway.domain.windows import month
from gateway.store import feed
from tests.running import Gateway, Utility


def days(period: str) -> list[date]:
    first = month(period)
    return [first.replace(day=number) for number in range(1, monthrange(first.year, first.month)[1] + 1)]


def sheet(period: str, values: dict[str, Any]) -> bytes:
    """The sheet of 24 hours and all days, 0 but for the cells named."""
    book = openpyxl.Workbook()
    page = book.worksheets[0]
    page.append(["Время", *(f"{day:%d.%m.%Y}" for day in days(period))])
    for hour in range(24):
        page.append([f"{hour:02}-{hour + 1:02}", *(0 for _ in days(period))])
    for cell, value in values.items():
        page[cell] = value
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def look(utility: Utility, answer: Any) -> dict[str, Any]:
    """The submission once it is translated and delivered."""
    assert answer.status_code in (200, 202), answer.text
    utility.gateway.work()
    shown: dict[str, Any] = utility.call("GET", f"/v1/submissions/{answer.json()['submission']}").json()
    return shown


def register(utility: Utility, lines: list[Line]) -> None:
    with utility.gateway.owner.transaction() as connection:
        feed.import_lines(connection, utility.id, utility.profile.name, lines)


def electric(utility: Utility, **more: Any) -> Line:
    told: dict[str, Any] = {"agreement": "A-1", "point": "ИК-1", "meter": "20300109", "register": "A+", "digits": 6, "decimals": 3}
    return Line(**(told | {"last_period": utility.before, "ratio": Decimal(12000)} | more))


@pytest.fixture
def company(gateway: Gateway) -> Utility:
    return gateway.utility("legal_entity")


def test_gv_3_the_difference_between_dials_and_hours_is_shown(company: Utility) -> None:
    """12441 -> 12442, ratio 12000, losses 5 %: 12600; by the hours 137130.48; the difference is -124530.48."""
    register(company, [electric(company, last=Decimal(12441), losses=Decimal("0.05"))])
    [integral] = look(company, company.submit(company.body({"20300109": "012442"})))["readings"]
    assert (integral["values"][0]["consumption"], integral["deltas"]) == ("12600.00", [])
    body = sheet(company.period, {"B2": "137 130,48"})
    shown = look(company, company.upload(body, meter="20300109", ratio_applied="true", losses_applied="true"))
    [row] = shown["readings"]
    assert (shown["format"], row["status"]) == ("interval_workbook", "acknowledged")
    assert row["deltas"] == [{"quantity": "A+", "integral": "12600.00", "interval": "137130.48", "delta": "-124530.48", "causes": []}]
    assert [(value["register"], value["volume"], value["consumption"]) for value in row["values"]] == [("A+", True, "137130.48")]
    assert row["values"][0]["previous"] is None


def test_hours_without_ratio_and_losses_get_them(company: Utility) -> None:
    register(company, [electric(company, last=Decimal(12441), losses=Decimal("0.05"))])
    look(company, company.submit(company.body({"20300109": "012442"})))
    [row] = look(company, company.upload(sheet(company.period, {"C5": "0,25", "D6": 0.75}), meter="20300109"))["readings"]
    assert [one["delta"] for one in row["deltas"]] == ["0"], "the best there is"


def test_the_cause_that_closes_the_difference_is_named(company: Utility) -> None:
    """Hours of the meter itself, said to contain ratio and losses: both agree when they are multiplied by 12000 x 1.05."""
    register(company, [electric(company, last=Decimal(12441), losses=Decimal("0.05"))])
    look(company, company.submit(company.body({"20300109": "012442"})))
    body = sheet(company.period, {"C5": "0,25", "D6": 0.75})
    [row] = look(company, company.upload(body, meter="20300109", ratio_applied="true", losses_applied="true"))["readings"]
    [delta] = row["deltas"]
    [cause] = delta["causes"]
    assert (delta["delta"], cause["code"], cause["values"]) == ("12599.00", "delta_ratio_missing", {"factor": "12600"})
    assert cause["text"]
    assert cause["todo"]


def test_missing_hours_are_named_as_the_cause(company: Utility) -> None:
    register(company, [electric(company, last=Decimal(100), ratio=Decimal(1))])
    look(company, company.submit(company.body({"20300109": "820"})))
    hours = {f"{get_column_letter(2 + day)}{2 + hour}": 1 for day in range(len(days(company.period))) for hour in range(24)}
    count = len(hours)
    amount = Decimal(720) / count
    told = {place: float(amount) for place in hours} | dict.fromkeys(("D7", "D8", "D9", "D10"))
    [row] = look(company, company.upload(sheet(company.period, told), meter="20300109"))["readings"]
    [delta] = row["deltas"]
    assert delta["causes"][0]["code"] == "delta_hours_missing"
    assert delta["causes"][0]["values"]["count"] == "4"


def test_a_sheet_with_wrong_cells_tells_all_of_them_and_nothing_is_kept(company: Utility) -> None:
    register(company, [electric(company)])
    shown = look(company, company.upload(sheet(company.period, {"B3": "двенадцать", "E7": -1}), meter="20300109"))
    [row] = shown["readings"]
    assert (shown["status"], row["status"]) == ("rejected", "rejected")
    assert {(one["code"], one["where"]) for one in row["problems"] if one["severity"] == "error"} == {
        ("not_a_number", "Sheet!B3"),
        ("interval_negative", "Sheet!E7"),
    }
    assert company.gateway.rows("select from interval_block where utility_id = %(u)s", u=company.id) == []


def test_gv_18_losses_that_change_do_not_change_what_was_billed(company: Utility) -> None:
    """December: 435 -> 450 at 12000 x 1.003742 = 180673.56 (GV-4); in January the losses are 5 %, and December stays."""
    register(company, [electric(company, last=Decimal(435), losses=Decimal("0.003742"))])
    december = company.submit(company.body({"20300109": "450"})).json()["submission"]
    register(company, [electric(company, losses=Decimal("0.05"))])
    [row] = company.call("GET", f"/v1/submissions/{december}").json()["readings"]
    assert row["values"][0]["consumption"] == "180673.560000"
    later = look(company, company.submit(company.body({"20300109": "451"})))
    assert later["readings"][0]["values"][0]["consumption"] == "201600.00", "16 x 12000 x 1.05: what comes now has the losses of now"
    [row] = company.call("GET", f"/v1/submissions/{december}").json()["readings"]
    assert row["values"][0]["consumption"] == "180673.560000"


def archived(count: int, bad: int = -1) -> list[Archived]:
    return [
        Archived(serial=f"{1_200_000 + n:08}", heat=(Decimal(20 + n) + Decimal("0.125"),), mistake="1,2O4" if n == bad else "")
        for n in range(count)
    ]


@pytest.fixture
def contractor(gateway: Gateway) -> Utility:
    utility = gateway.utility("contractor_heat")
    place: dict[str, Any] = {"agreement": "ТЭ-1", "register": "heat", "digits": 7, "decimals": 3}
    lines = [Line(**place, point=f"УУТЭ-{n}", meter=meter.serial) for n, meter in enumerate(archived(40))]
    register(utility, lines)
    return utility


def test_an_archive_of_forty_meters_with_a_bad_one_is_processed_in_part(contractor: Utility) -> None:
    body = archive(archived(40, bad=17), contractor.period, contractor.profile.zone)
    with contractor.client(language="ru") as client:
        answer = client.post("/v1/files", files={"file": ("archive.csv", body)})
        contractor.gateway.work()
        shown = client.get(f"/v1/submissions/{answer.json()['submission']}").json()
    assert (shown["format"], shown["text"]) == ("heat_archive", "Обработано частично, 39 из 40")
    bad = shown["readings"].pop(17)
    assert {(row["status"], row["text"]) for row in shown["readings"]} == {("acknowledged", "Обработано")}
    assert (bad["status"], bad["text"], bad["meter"]) == ("rejected", "Ошибка", "01200017")
    [problem] = [one for one in bad["problems"] if one["severity"] == "error"]
    assert (problem["code"], problem["text"]) == ("not_a_number", "«1,2O4» не является числом.")
    lines = body.decode("cp1251").split("\r\n")
    line, column = (int(part.split()[-1]) for part in problem["where"].split(", "))
    assert lines[line - 1].split(";")[column - 1] == "1,2O4"
    first = shown["readings"][0]
    assert [(value["register"], value["volume"], Decimal(value["consumption"])) for value in first["values"]] == [
        ("heat", True, Decimal("20.125"))
    ]


def test_an_archive_again_is_silent_and_a_changed_one_is_refused(contractor: Utility) -> None:
    period, zone = contractor.period, contractor.profile.zone
    first = look(contractor, contractor.upload(archive(archived(3), period, zone), "a.csv"))
    other = archived(3)
    other[1] = Archived(serial=other[1].serial, heat=(Decimal(99),))
    again = look(contractor, contractor.upload(archive(other, period, zone, encoding="utf-8"), "b.csv"))
    same, changed, _ = again["readings"]
    assert same["same_as"] == first["readings"][0]["reading"]
    assert changed["status"] == "rejected"
    assert [one["code"] for one in changed["problems"] if one["severity"] == "error"] == ["archive_changed"]
    [kept] = contractor.gateway.rows(
        "select sum(v) as total from interval_block b join interval_register r on r.id = b.register_id join meter m on m.id = r.meter_id, "
        "unnest(b.values) v where m.serial = %(m)s and r.code = 'heat' and r.utility_id = %(u)s",
        m=other[1].serial,
        u=contractor.id,
    )
    assert kept.total == Decimal("21.125")


def test_temperatures_and_faults_are_kept_and_never_added_up(contractor: Utility) -> None:
    look(contractor, contractor.upload(archive(archived(1), contractor.period, contractor.profile.zone), "a.csv"))
    kept = {row.code for row in contractor.gateway.rows("select code from interval_register where utility_id = %(u)s", u=contractor.id)}
    assert {"heat", "M1", "M2", "V1", "t1", "t2", "tcw", "P1", "P2", "T.normal", "T.no_power", "faults"} - kept <= {"faults"}
    sent = contractor.gateway.rows("select r.register from reading r where r.utility_id = %(u)s", u=contractor.id)
    assert {row.register for row in sent} == {"heat"}
