"""The registry as rows: what they change is said before it is done, an export changes nothing, half a file retires nobody."""

import csv
import io
import resource
import time
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from gateway.domain.supply import Line, key
from gateway.store import Connection, Store, feed, feed_export, people, supply
from gateway.store.feed import FIELDS
from tests.conftest import Database, case

PROFILE = "legal_entity"
FILLED: dict[str, Any] = {
    "agreement_ids": "1c=2001",
    "point_ids": "billing=7;eic=62Z000000000001B",
    "meter_ids": "portal=0017",
    "location_status": "Расчёт",
    "entry_status": "Ожидание",
    "entry_period": "2024-02",
    "branch": "7",
    "branch_title": "Северное отделение",
    "party_code": "12",
    "party_tax_number": "7801234564",
    "party_emails": "a@example.com;b@example.com",
    "party_window_day": 20,
    "agreement_emails": "c@example.com",
    "signed_on": date(2020, 2, 1),
    "closed_on": date(2030, 2, 1),
    "price_category": 4,
    "window_day": 12,
    "location_address": "Невский, 1",
    "location_entry_open": False,
    "max_power": Decimal("150.5"),
    "voltage": "СН2",
    "grid_company": "Россети",
    "boundary": "опора 12",
    "point_name": "Ввод 1",
    "point_closed_on": date(2029, 1, 31),
    "service": "electricity",
    "since": date(2024, 1, 1),
    "ratio_voltage": Decimal(100),
    "losses_constant": Decimal("-12.5"),
    "model": "СЭТ-4ТМ",
    "max_flow": Decimal("2.5"),
    "installed_on": date(2020, 3, 1),
    "removed_on": date(2028, 3, 1),
    "admitted_on": date(2020, 3, 2),
    "verified_on": date(2020, 1, 30),
    "verify_by": date(2030, 1, 30),
    "register": "heat@2",
    "decimals": 3,
    "scheme": "circulation",
    "initial": Decimal("0.5"),
    "final": Decimal(99),
    "entry_open": False,
    "last": Decimal(12),
    "last_period": "2024-01",
}
"""A row with nothing left out."""
TOLD: dict[str, Any] = {"party_code": "12", "since": date(2024, 1, 1)}
"""What an export tells even where a row does not."""
WHERE_ROWS_LIE = "select id, xmin::text, ctid::text from meter union all select id, xmin::text, ctid::text from agreement"
Record = Callable[[str, int, str], None]


def line(number: int, **more: Any) -> Line:
    """The n-th meter of a utility whose agreements have four meters each."""
    agreement = 78010000000000 + number // 4
    told: dict[str, Any] = {
        "agreement": str(agreement),
        "party": f"ООО «{number // 4}»",
        "location": f"{agreement}0001",
        "location_name": "Цех\t1",
        "point": f"ИК-{number % 4}",
        "meter": f"{number:08}",
        "register": "A+",
        "digits": 6,
        "ratio": Decimal(20),
        "losses": Decimal("0.05"),
    }
    return Line(**(told | more))


@pytest.fixture
def connection(empty_database: Database) -> Iterator[Connection]:
    store = Store(empty_database.url(), role="owner", pool=1)
    with store.transaction() as opened:
        yield opened
    store.close()


@pytest.fixture
def utility(connection: Connection) -> int:
    made = people.ensure_utility(connection, "factory")
    people.ship(connection, made, PROFILE, "test")
    return made


def changes(connection: Connection, utility: int, *lines: Line) -> list[tuple[str, str, dict[str, Any]]]:
    """What rows would change: new or changed, of which kind, and the fields that differ."""
    feed.stage(connection, utility, lines)
    return staged_changes(connection, utility)


def staged_changes(connection: Connection, utility: int) -> list[tuple[str, str, dict[str, Any]]]:
    """The same of what is staged already."""
    return [
        ("new" if one.was is None else "changed", one.kind, {n: v for n, v in one.now.items() if one.was is not None and one.was[n] != v})
        for one in feed.changes(connection, utility, PROFILE)
    ]


def exported(connection: Connection, utility: int) -> list[Line]:
    """The registry as it is exported."""
    rows = csv.DictReader(io.StringIO(b"".join(feed_export.export(connection, utility, PROFILE)).decode()))
    return [
        msgspec.convert({name: {"t": True, "f": False}.get(cell, cell) for name, cell in row.items() if cell != ""}, Line, strict=False)
        for row in rows
    ]


def test_new_rows_are_said_thing_by_thing(connection: Connection, utility: int) -> None:
    said = changes(connection, utility, line(0), line(1), line(4))
    assert sorted((how, kind) for how, kind, _ in said) == sorted(
        [("new", kind) for kind in ("party", "agreement", "location") for _ in range(2)]
        + [("new", kind) for kind in ("point", "terms", "meter", "register") for _ in range(3)]
    )
    assert connection.exec_driver_sql("select count(*) from meter").scalar_one() == 0, "nothing is brought in yet"


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("party", "ЗАО «Другой»", "party"),
        ("window_day", 12, "agreement"),
        ("location_name", "Цех 2", "location"),
        ("point_name", "Ввод 1", "point"),
        ("service", "electricity", "point"),
        ("losses", "0.07", "terms"),
        ("verify_by", "2031-01-01", "meter"),
        ("entry_open", False, "meter"),
        ("decimals", 3, "register"),
        ("branch_title", "Северное", "branch"),
        ("party_tax_number", "7801234564", "party"),
        ("party_emails", "a@example.com;b@example.com", "party"),
        ("agreement_emails", "a@example.com", "agreement"),
        ("branch", "", "agreement"),
        ("signed_on", "2020-02-01", "agreement"),
        ("closed_on", "2030-02-01", "agreement"),
        ("price_category", 4, "agreement"),
        ("location_address", "Невский, 1", "location"),
        ("location_entry_open", False, "location"),
        ("max_power", "150.5", "location"),
        ("voltage", "СН2", "location"),
        ("grid_company", "Россети", "location"),
        ("boundary", "опора 12", "location"),
        ("point_closed_on", "2024-01-31", "point"),
        ("admitted_on", "2024-01-31", "meter"),
        ("max_flow", "2.5", "meter"),
        ("verified_on", "2024-01-30", "meter"),
        ("scheme", "make_up", "register"),
        ("initial", "12.5", "register"),
        ("final", "99", "register"),
    ],
)
def test_a_changed_field_is_the_only_change(connection: Connection, utility: int, field: str, value: Any, kind: str) -> None:
    known = [line(n, party_code=str(n), branch="7", register="heat@2", scheme="open") for n in (0, 4)]
    feed.import_lines(connection, utility, PROFILE, known)
    assert changes(connection, utility, *known) == []
    other = msgspec.convert(msgspec.to_builtins(known[0]) | {field: value}, Line, strict=False)
    found = [one for one in changes(connection, utility, other) if one[1] == kind]
    [(how, _, differ)] = found
    assert (how, len(differ)) == ("changed", 1)
    feed.apply(connection, utility, PROFILE)
    assert changes(connection, utility, other) == []


def test_what_stays_as_it_was_is_not_written_again(connection: Connection, utility: int) -> None:
    feed.import_lines(connection, utility, PROFILE, [line(n) for n in range(40)])
    before = connection.exec_driver_sql(WHERE_ROWS_LIE).all()
    feed.import_lines(connection, utility, PROFILE, [line(n) for n in range(40)])
    after = connection.exec_driver_sql(WHERE_ROWS_LIE).all()
    assert sorted(map(tuple, after)) == sorted(map(tuple, before))


def test_an_export_holds_every_column_and_brought_in_again_changes_nothing(connection: Connection, utility: int) -> None:
    rows = [line(0, **FILLED), line(1, register="heat", scheme="supply", since=date(2024, 1, 1)), line(1, register="heat@2", scheme="open")]
    feed.import_lines(connection, utility, PROFILE, rows)
    again = exported(connection, utility)
    assert [one for one in again if one.meter == "00000000"] == [rows[0]]
    assert {name for name in FIELDS if getattr(rows[0], name) == msgspec.structs.fields(Line)[FIELDS.index(name)].default} == set()
    assert changes(connection, utility, *again) == []
    assert feed.clashes(connection, 10) == []


def test_terms_since_several_days_may_stand_in_one_file(connection: Connection, utility: int) -> None:
    rows = [line(0, since=date(2024, 1, 1)), line(0, since=date(2024, 3, 1), losses=Decimal("0.1")), line(0, since=date(2024, 3, 1))]
    feed.stage(connection, utility, rows)
    assert [(one.row, one.kind, one.field) for one in feed.clashes(connection, 10)] == [(2, "row", "A+"), (2, "terms", "losses")]
    assert feed.drop_clashes(connection) == 1
    feed.apply(connection, utility, PROFILE)
    again = exported(connection, utility)
    assert [one.losses for one in again] == [Decimal("0.05"), Decimal("0.1")]
    assert changes(connection, utility, *again) == []
    assert feed.clashes(connection, 10) == []


def test_a_value_a_meter_was_installed_with_is_what_its_first_reading_is_compared_with(connection: Connection, utility: int) -> None:
    told = {"initial": Decimal("94.44"), "decimals": 2}
    feed.import_lines(connection, utility, PROFILE, [line(0, **told), line(1, **told, last=Decimal(120), last_period="2024-01")])
    for initial, last in (("94.44", [Decimal("94.44"), Decimal(120)]), ("95", [Decimal(95), Decimal(120)])):
        told["initial"] = Decimal(initial)
        feed.import_lines(connection, utility, PROFILE, [line(0, **told), line(1, **told)])
        assert [one.meter.registers[0].last for one in supply.meters_of(connection, utility, line(0).agreement)] == last


def test_a_scheme_that_is_no_longer_told_is_gone(connection: Connection, utility: int) -> None:
    for scheme in ("return", "", "open"):
        feed.import_lines(connection, utility, PROFILE, [line(0, register="heat", scheme=scheme)])
        assert [one.scheme for one in exported(connection, utility)] == [scheme]


def test_an_export_brought_in_again_changes_nothing(connection: Connection, utility: int) -> None:
    rows = [
        line(0, removed_on=date(2024, 5, 1), model='СЭТ-4ТМ \\ "03"', installed_on=date(2010, 1, 2)),
        line(1, register="A+:day", last=Decimal("12.5"), last_period="2024-01"),
        line(1, register="A+:night"),
        line(4, location="", location_name="", party="", window_day=3),
        line(8, ratio_voltage=Decimal(100), losses_constant=Decimal("-12.5"), party_window_day=20),
        line(8, ratio_voltage=Decimal(100), losses=Decimal(0), since=date(2024, 3, 1), party_window_day=20),
    ]
    feed.import_lines(connection, utility, PROFILE, rows)
    again = exported(connection, utility)
    assert len(again) == len(rows)
    assert changes(connection, utility, *again) == []
    assert {name for row in again for name in FIELDS if getattr(row, name) != getattr(line(0), name)} >= {
        "removed_on",
        "since",
        "window_day",
    }


def test_rows_that_contradict_each_other_are_found(connection: Connection, utility: int) -> None:
    rows = [
        line(0),
        line(1, party="Другой"),
        line(0, register="A-", model="X"),
        line(2, location_name="Иное"),
        line(0),
        line(3, losses=Decimal(0)),
    ]
    feed.stage(connection, utility, rows)
    found = [(one.row, one.earlier, one.kind, one.field) for one in feed.clashes(connection, 100)]
    assert found == [(1, 0, "agreement", "party"), (2, 0, "meter", "model"), (3, 0, "location", "location_name"), (4, 0, "row", "A+")]
    assert len(feed.clashes(connection, 2)) == 2


def test_a_whole_file_retires_what_it_does_not_name(connection: Connection, utility: int) -> None:
    feed.import_lines(connection, utility, PROFILE, [line(n) for n in range(20)])
    feed.stage(connection, utility, [line(n) for n in range(19)])
    assert [one.meter for one in feed.gone(connection, utility, PROFILE)] == ["00000019"]
    assert feed.hanging(connection, utility, PROFILE) == 20
    assert feed.retire(connection, utility, PROFILE, date(2024, 5, 1)) == 1
    assert feed.gone(connection, utility, PROFILE) == []
    [gone] = [one.meter for one in supply.meters_of(connection, utility, line(19).agreement) if one.key == key("00000019")]
    assert gone.removed_on == date(2024, 5, 1)


def test_a_large_registry_comes_in_by_columns(connection: Connection, utility: int, proof: Record) -> None:
    count = case(4_000, 1_000_000)
    connection.exec_driver_sql("set local statement_timeout = 0")
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    feed.stage(connection, utility, (line(n) for n in range(count)))
    staged = time.perf_counter() - began
    clashed = feed.clashes(connection, 10)
    checked = time.perf_counter() - began - staged
    feed.apply(connection, utility, PROFILE)
    done = time.perf_counter() - began
    connection.exec_driver_sql("analyze")
    again = time.perf_counter()
    feed.stage(connection, utility, (line(n, losses=Decimal("0.06")) if n == 17 else line(n) for n in range(count)))
    [(how, kind, differ)] = staged_changes(connection, utility)
    compared = time.perf_counter() - again
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert clashed == []
    assert (how, kind, differ) == ("changed", "terms", {"losses": 0.06})
    assert connection.exec_driver_sql("select count(*) from register").scalar_one() == count
    told = (
        f"staged {staged:.1f} s, checked {checked:.1f} s, all in {done:.1f} s; diff with one change {compared:.1f} s; {memory:.0f} MiB more"
    )
    proof("meters of a registry brought in, then compared", count, told)


def test_codes_of_other_systems_are_kept_moved_and_taken_back(connection: Connection, utility: int) -> None:
    named = [
        line(0, agreement_ids="1c=2001", point_ids="1c=7;eic=62Z000000000001B", meter_ids="billing=М-1"),
        line(1, agreement_ids="1c=2001"),
    ]
    feed.import_lines(connection, utility, PROFILE, named)
    assert changes(connection, utility, *named) == []
    assert [(one.agreement_ids, one.point_ids, one.meter_ids) for one in exported(connection, utility)] == [
        ("1c=2001", "1c=7;eic=62Z000000000001B", "billing=М-1"),
        ("1c=2001", "", ""),
    ]
    moved = [line(0, agreement_ids="1c=2001", point_ids="1c=7"), line(1, agreement_ids="1c=2001", meter_ids="billing=М-1")]
    assert [(how, kind, differ) for how, kind, differ in changes(connection, utility, *moved)] == [
        ("changed", "point", {"ids": "1c=7"}),
        ("changed", "meter", {"ids": ""}),
        ("changed", "meter", {"ids": "billing=М-1"}),
    ]
    feed.apply(connection, utility, PROFILE)
    assert changes(connection, utility, *moved) == []


def test_a_code_given_to_two_things_is_found(connection: Connection, utility: int) -> None:
    rows = [
        line(0, meter_ids="1c=2001"),
        line(0, register="A-", meter_ids="1c=2001"),
        line(1, point_ids="1c=2001"),
        line(2, meter_ids="1c=02001"),
    ]
    feed.stage(connection, utility, rows)
    assert [(one.row, one.earlier, one.kind, one.field) for one in feed.clashes(connection, 9)] == [(3, 0, "id", "meter_ids")]
    assert feed.drop_clashes(connection) == 1


def test_a_meter_is_found_by_the_code_another_system_has_for_it_or_its_point(connection: Connection, utility: int) -> None:
    rows = [line(0, meter_ids="1c=2001"), line(1, point_ids="eic=62Z000000000001B"), line(2, removed_on=date(2024, 1, 1))]
    feed.import_lines(connection, utility, PROFILE, [*rows, line(3, point="ИК-1", agreement=line(1).agreement)])
    found = supply.lock_meters(connection, utility, ["2001", "62z000000000001b", "00000000", "nothing", " "])
    assert {code: [one.meter.serial for one in those] for code, those in found.items()} == {
        "0": ["00000000"],
        "2001": ["00000000"],
        "62Z000000000001B": ["00000001", "00000003"],
    }
    assert found["0"][0] is found["2001"][0], "what one row makes of a meter is what the next row sees, however both call it"


def test_what_billing_says_of_a_period_overrules_the_flags(connection: Connection, utility: int) -> None:
    closed = {"location_status": "Расчёт", "entry_status": "Ожидание", "entry_period": "2024-02"}
    rows = [line(0, entry_period="2024-01", entry_status="Ожидание", entry_open=False), line(1, **closed), line(2)]
    feed.import_lines(connection, utility, PROFILE, rows)
    assert changes(connection, utility, *rows) == []
    assert {
        one.meter.serial: [one.meter.entry_in(period) for period in ("2024-01", "2024-02", "2024-03")]
        for one in supply.meters_of(connection, utility, line(0).agreement)
    } == {"00000000": [True, False, False], "00000001": [True, False, True], "00000002": [True, False, True]}
    again = exported(connection, utility)
    assert [(one.location_status, one.entry_status, one.entry_period) for one in again][1] == ("Расчёт", "Ожидание", "2024-02")
    assert changes(connection, utility, *again) == []
    assert feed.clashes(connection, 9) == []
    assert changes(connection, utility, line(1, **closed | {"location_status": "Ожидание"})) == [
        ("changed", "location_status", {"status": "Ожидание"})
    ]


def test_an_export_tells_each_status_of_the_period_it_is_of(connection: Connection, utility: int) -> None:
    later = line(0, **TOLD, location_status="Расчёт", entry_period="2024-03")
    feed.import_lines(connection, utility, PROFILE, [line(0, **TOLD, entry_status="Расчёт", entry_period="2024-02"), later])
    again = exported(connection, utility)
    assert again == [later]
    assert changes(connection, utility, *again) == []


def test_a_point_without_a_meter_is_kept_with_its_volumes(connection: Connection, utility: int) -> None:
    drains = [line(1, **TOLD, meter="", point="Слив", register=register) for register in ("A+", "volume")]
    rows = [line(0, **TOLD), *drains]
    feed.import_lines(connection, utility, PROFILE, rows)
    assert changes(connection, utility, *rows) == []
    assert exported(connection, utility) == [*drains, rows[0]]
    [drain] = [one.meter for one in supply.meters_of(connection, utility, line(0).agreement) if one.key == ""]
    assert (drain.serial, drain.point, [one.code for one in drain.registers]) == ("", "Слив", ["A+", "volume"])
    feed.stage(connection, utility, rows[:1])
    assert [one.point for one in feed.gone(connection, utility, PROFILE)] == ["Слив"]
