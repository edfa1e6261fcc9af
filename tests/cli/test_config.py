"""`config export | apply | history | rollback` on a real database: what is refused, what is said, what is written."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pytest

from gateway.profiles import shipped
from gateway.store import Store, people
from tests.cli.conftest import Command
from tests.conftest import Database

HEAD = "agreement,window_day,point,meter,register,digits,last,last_period"
HOUSEHOLD = shipped()["household"].decode()


@pytest.fixture
def town(on_database: Command, tmp_path: Path) -> Command:
    """A utility by the households' rulebook with three meters of two agreements; its documents lie in the folder `out`."""
    registry = tmp_path / "registry.csv"
    registry.write_text(f"{HEAD}\n1,,1,101,A+,5,100,2022-09\n1,,2,102,A+,5,100,2022-09\n2,6,1,201,A+,5,100,2022-09\n", "utf-8")
    assert on_database("registry", "import", registry, "--utility", "town", "--profile", "household").returncode == 0
    assert on_database("config", "export", tmp_path / "out", "--utility", "town").returncode == 0
    return on_database


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    """The database itself."""
    made = Store(database.url(), role="owner", pool=1)
    yield made
    made.close()


def written(store: Store) -> list[tuple[str, str, int, str]]:
    with store.transaction() as connection:
        return [tuple(row) for row in connection.exec_driver_sql("select kind, name, version, author from document order by 1, 2, 3")]


def changed(folder: Path, old: str, new: str) -> Path:
    """The exported profile with something in it changed."""
    path = folder / "out" / "profile" / "household.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    return path


def test_what_is_exported_is_what_was_written_and_changes_nothing(town: Command, store: Store, tmp_path: Path) -> None:
    assert (tmp_path / "out/profile/household.toml").read_text("utf-8") == HOUSEHOLD, "comments and all"
    before = written(store)
    done = town("config", "apply", tmp_path / "out", "--utility", "town")
    assert (done.returncode, done.stdout) == (0, "Wrote 0 new versions at town; 1 documents are as they were.\n")
    assert written(store) == before


def test_a_dry_run_says_each_key_and_for_whom_and_changes_nothing(town: Command, store: Store, tmp_path: Path) -> None:
    now = datetime.now(ZoneInfo("Asia/Irkutsk"))
    other = (now + timedelta(days=14)).day
    changed(tmp_path, 'kind = "cut_off"\nday = 25', f'kind = "due_day"\nday = {other}\nlead_days = 0')
    changed(tmp_path, 'zero_consumption = "warning"', 'zero_consumption = "error"')
    before = written(store)
    done = town("config", "apply", tmp_path / "out", "--utility", "town", "--dry-run")
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0] == "profile/household: version 1 -> 2, judges 2 agreements with 3 meters"
    assert {
        "severity.zero_consumption: warning -> error",
        "window.kind: cut_off -> due_day",
        f"window.day: 25 -> {other}",
        "window.lead_days: nothing -> 0",
        "window.month: nothing -> 0",
    } <= set(lines)
    [one] = [line for line in lines if line.startswith("1 agreements: ")]
    assert one.endswith("closed today")
    assert one.count("..") == 2, "from and until, before and after"
    assert any(line.startswith("1 agreements (day 6): ") for line in lines)
    assert lines[-1] == "Would write 1 new versions at town; 0 documents are as they were."
    assert written(store) == before


def test_a_new_version_has_its_author_and_an_old_one_comes_back(town: Command, store: Store, tmp_path: Path) -> None:
    path = changed(tmp_path, "day = 25", "day = 20")
    done = town("config", "apply", path, "--utility", "town", "--by", "Иванова")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Wrote 1 new versions at town; 0 documents are as they were.")
    assert ("profile", "household", 2, "Иванова") in written(store)
    back = town("config", "rollback", "profile", "household", "1", "--utility", "town", "--by", "Петров")
    assert "window.day: 20 -> 25" in back.stdout
    listed = town("config", "history", "profile", "household", "--utility", "town").stdout.splitlines()
    assert [(line.split()[0], *line.split()[3:]) for line in listed[1:]] == [
        ("3", "Петров", "as", "1"),
        ("2", "Иванова"),
        ("1", "metergate"),
    ]
    with store.transaction() as connection:
        [profile] = people.profiles(connection, 1).values()
    assert profile.window.day == 25  # type: ignore[union-attr]
    missing = town("config", "rollback", "profile", "household", "9", "--utility", "town")
    assert (missing.returncode, "has no version 9; there are 1 to 3" in missing.stderr) == (2, True)


def test_all_that_is_wrong_anywhere_is_said_at_once_and_nothing_is_written(town: Command, store: Store, tmp_path: Path) -> None:
    changed(tmp_path, "hold = 0", "hold = -1")
    changed(tmp_path, 'title = "', 'titel = "')
    folder = tmp_path / "out"
    other = HOUSEHOLD.replace('name = "household"', 'name = "another"\ncalendar = "mars"').replace('["canonical_json"]', '["papyrus"]')
    other = other.replace("[severity]", '[severity]\nmeter_unknown = "hint"')
    (folder / "profile" / "other.toml").write_text(other, "utf-8")
    (folder / "profile" / "broken.toml").write_text('name = "broken\n', "utf-8")
    (folder / "calendar").mkdir()
    (folder / "calendar" / "town.toml").write_text('name = "town"\ncountry = "QQ"\noff = [1]\n', "utf-8")
    before = written(store)
    done = town("config", "apply", folder, "--utility", "town")
    assert (done.returncode, done.stdout) == (2, "")
    said = {line.removeprefix(f"{folder}/") for line in done.stderr.splitlines()}
    assert said == {
        "profile/household.toml: key `title` is missing",
        "profile/household.toml: Object contains unknown field `titel`",
        "profile/household.toml: Expected `int` >= 0 - at `$.reading.hold`",
        "profile/other.toml: name: 'another' is not the name of its file",
        "profile/other.toml: severity: 'meter_unknown' is no rule, its weight is fixed",
        "profile/other.toml: calendar: there is no calendar 'mars'",
        next(
            line for line in said if line.startswith("profile/other.toml: formats: there is no format 'papyrus'; there are canonical_json")
        ),
        "profile/broken.toml: Illegal character '\\n' (at line 1, column 15)",
        "calendar/town.toml: Expected `date`, got `int` - at `$.off[0]`",
        "calendar/town.toml: country: no days off are known of 'QQ'",
        "Nothing was changed: 10 problems.",
    }
    assert written(store) == before


def test_a_profile_that_is_not_told_stays(town: Command, store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    (folder / "profile").mkdir(parents=True)
    (folder / "profile" / "garages.toml").write_text(
        HOUSEHOLD.replace('"household"', '"garages"').replace("zone = ", 'calendar = "ru"\nzone = '), "utf-8"
    )
    done = town("config", "apply", folder, "--utility", "town", "--by", "Иванова")
    assert done.stdout.splitlines() == [
        "calendar/ru: new",
        "profile/garages: new, judges no agreement yet",
        "profile/household: not told, stays as it is, judges 2 agreements with 3 meters",
        "Wrote 2 new versions at town; 0 documents are as they were.",
    ]
    assert [row[:3] for row in written(store)] == [("calendar", "ru", 1), ("profile", "garages", 1), ("profile", "household", 1)]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (("apply", "nowhere.toml", "--utility", "town"), "nowhere.toml: No such file"),
        (("apply", ".", "--utility", "town"), "there is no document in it"),
        (("export", "out", "--utility", "nobody"), "there is no utility 'nobody'"),
        (("history", "profile", "x", "--utility", "town"), "there is no utility 'town'"),
        (("apply", ".", "--utility", "A town"), "there is no document in it"),
    ],
)
def test_a_mistake_is_a_message(on_database: Command, told: tuple[str, ...], said: str) -> None:
    done = on_database("config", *told)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_folders_that_hold_no_documents_are_named(on_database: Command, tmp_path: Path) -> None:
    (tmp_path / "out" / "profiles").mkdir(parents=True)
    (tmp_path / "out" / "profiles" / "x.toml").write_text(HOUSEHOLD, "utf-8")
    done = on_database("config", "apply", tmp_path / "out", "--utility", "town")
    assert (done.returncode, "profiles/x.toml: documents lie in calendar/, crosswalk/, mapping/, profile/" in done.stderr) == (2, True)


MAPPING = """
name = "contractor_list"
title = "Реестр подрядчика"
register = "volume"
crosswalk = "contractor_codes"
[columns]
meter = ["Шифр"]
value = ["Показание"]
"""


def put(folder: Path, kind: str, name: str, body: str) -> None:
    """A document in the folder `out`."""
    (folder / "out" / kind).mkdir(exist_ok=True)
    (folder / "out" / kind / name).write_text(body, "utf-8")


def test_a_mapping_comes_with_its_codes_and_the_profile_that_lets_it_in(town: Command, store: Store, tmp_path: Path) -> None:
    put(tmp_path, "mapping", "contractor_list.toml", MAPPING)
    put(tmp_path, "crosswalk", "contractor_codes.csv", "code;meter\nЩ-7;101\nЩ-8;102\n")
    changed(tmp_path, 'formats = ["canonical_json"', 'formats = ["contractor_list", "canonical_json"')

    done = town("config", "apply", tmp_path / "out", "--utility", "town", "--by", "anna")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert {"crosswalk/contractor_codes: new", "mapping/contractor_list: new", "formats: nothing -> contractor_list"} <= set(lines)
    assert ("mapping", "contractor_list", 1, "anna") in written(store)

    put(tmp_path, "crosswalk", "contractor_codes.csv", "code;meter\nЩ-7;101\nЩ-9;102\n")
    put(tmp_path, "mapping", "contractor_list.toml", MAPPING.replace('"Шифр"', '"Шифр", "Код"'))
    done = town("config", "apply", tmp_path / "out", "--utility", "town", "--dry-run")
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert {"Щ-8: 102 -> nothing", "Щ-9: nothing -> 102", "columns.meter: nothing -> Код"} <= set(lines)

    assert town("config", "apply", tmp_path / "out", "--utility", "town").returncode == 0
    done = town("config", "rollback", "mapping", "contractor_list", "1", "--utility", "town")
    assert (done.returncode, "columns.meter: Код -> nothing" in done.stdout) == (0, True)
    assert [row[2] for row in written(store) if row[0] == "mapping"] == [1, 2, 3]


def test_all_that_is_wrong_with_a_mapping_and_its_codes_is_said_at_once(town: Command, store: Store, tmp_path: Path) -> None:
    before = written(store)
    put(tmp_path, "mapping", "contractor_list.toml", MAPPING.replace("volume", "wind").replace("title", "titel"))
    put(tmp_path, "mapping", "lonely.toml", MAPPING.replace("contractor_list", "lonely").replace("contractor_codes", "absent"))
    put(tmp_path, "crosswalk", "contractor_codes.csv", "code;meter;register\nЩ-7;101;\nщ-7;102;\nа;;wind\nб;;\n;1;\n")

    done = town("config", "apply", tmp_path / "out", "--utility", "town")

    assert (done.returncode, written(store)) == (2, before)
    told = [line.partition("/out/")[2] for line in done.stderr.splitlines()[:-1]]
    assert told == [
        "crosswalk/contractor_codes.csv: line 3: the code 'щ-7' stands in line 2 already",
        "crosswalk/contractor_codes.csv: line 4: there is no register 'wind'",
        "crosswalk/contractor_codes.csv: line 5: the code 'б' names no meter, point, agreement or register",
        "crosswalk/contractor_codes.csv: line 6: there is no code",
        "mapping/contractor_list.toml: key `title` is missing",
        "mapping/contractor_list.toml: Object contains unknown field `titel`",
        "mapping/contractor_list.toml: register: there is no register 'wind'",
        "mapping/lonely.toml: crosswalk: there is no crosswalk 'absent'",
    ]


def test_a_crosswalk_may_come_as_a_workbook_and_is_kept_as_text(town: Command, store: Store, tmp_path: Path) -> None:
    put(tmp_path, "mapping", "contractor_list.toml", MAPPING)
    book = openpyxl.Workbook()
    for row in (["code", "meter"], ["Щ-7", "101"], [8, "0102"]):
        book.worksheets[0].append(row)
    (tmp_path / "out/crosswalk").mkdir()
    book.save(tmp_path / "out/crosswalk/contractor_codes.xlsx")

    done = town("config", "apply", tmp_path / "out", "--utility", "town")

    assert (done.returncode, done.stderr) == (0, "")
    assert town("config", "export", tmp_path / "kept", "--utility", "town").returncode == 0
    assert (tmp_path / "kept/crosswalk/contractor_codes.csv").read_text("utf-8") == "code;meter\nЩ-7;101\n8;0102\n"
    assert ("crosswalk", "contractor_codes", 1) in [row[:3] for row in written(store)]
    put(tmp_path, "crosswalk", "contractor_codes.csv", "code;meter\n1;2\n")
    assert "two documents of one name" in town("config", "apply", tmp_path / "out", "--utility", "town").stderr
