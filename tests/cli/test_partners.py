"""`partner add`, `registry import` and `registry history` on a real database."""

from pathlib import Path
from typing import Any

import openpyxl
import pytest

from gateway.mapping.registry_rows import COLUMNS
from gateway.store import Store, people, supply
from tests.cli.conftest import Command
from tests.conftest import Database

HEAD = "agreement;party;location;point;meter;register;digits;decimals;ratio;losses;entry_open;last;last_period"
GOOD = (
    "7713-01;АО «Завод»;0001;ИК-01;00012345;A+:day;6;0;12000;0,05;да;435;2022-09",
    "7713-01;АО «Завод»;0001;ИК-01;00012345;A+:night;6;0;12000;0,05;да;1 208;2022-09",
    "7713-02;ООО «Склад»;;1;778899;A+;5;1;;;;;",
)


def registry(folder: Path, *rows: str, head: str = HEAD) -> Path:
    """A registry file with these rows."""
    path = folder / "registry.csv"
    path.write_text("\n".join([head, *rows]) + "\n", "utf-8-sig")
    return path


def test_the_first_partner_makes_the_utility_and_its_rulebook(on_database: Command, database: Database) -> None:
    done = on_database("partner", "add", "Портал", "--utility", "city_water", "--profile", "water", "--scope", "submit")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    store = Store(database.url(), role="owner", pool=1)
    with store.transaction() as connection:
        sender = people.sender_of(connection, done.stdout.strip())
        assert sender is not None
        assert (sender.principal, sender.scopes, sender.agreement_ids) == ("Портал", ("submit",), None)
        assert list(people.profiles(connection, sender.utility_id)) == ["water"]
    store.close()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--utility", "city_gas"), "city_gas is new: give it a rulebook"),
        (("--utility", "city_gas", "--profile", "gas"), "there is no profile 'gas'"),
        (("--utility", "City Gas", "--profile", "water"), "a lower-case name"),
        (("--utility", "city_gas", "--profile", "water", "--agreement", "5"), "agreements not in the registry: 5"),
    ],
)
def test_a_partner_that_cannot_be_added_leaves_nothing_behind(
    on_database: Command, database: Database, more: tuple[str, ...], said: str
) -> None:
    done = on_database("partner", "add", "x", *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    store = Store(database.url(), role="owner", pool=1)
    with store.transaction() as connection:
        assert connection.exec_driver_sql("select count(*) from utility").scalar_one() == 0
    store.close()


def test_a_registry_comes_in_and_narrows_a_key(on_database: Command, database: Database, tmp_path: Path) -> None:
    path = registry(tmp_path, *GOOD)
    dry = on_database("registry", "import", path, "--utility", "factory", "--profile", "legal_entity", "--dry-run")
    assert (dry.returncode, dry.stdout) == (0, "Would bring in 3 registers of 2 meters at 2 points of 2 agreements at factory.\n")
    done = on_database("registry", "import", path, "--utility", "factory", "--profile", "legal_entity")
    assert (done.returncode, done.stdout) == (0, "Brought in 3 registers of 2 meters at 2 points of 2 agreements at factory.\n")
    made = on_database("partner", "add", "x", "--utility", "factory", "--agreement", "7713-02")
    store = Store(database.url(), role="owner", pool=1)
    with store.transaction() as connection:
        sender = people.sender_of(connection, made.stdout.strip())
        assert sender is not None
        [known] = supply.meters_of(connection, sender.utility_id, "7713-01")
        [narrowed] = supply.meters_of(connection, sender.utility_id, "7713-02")
        assert (str(known.meter.ratio), str(known.meter.losses), [str(one.last) for one in known.meter.registers]) == (
            "12000",
            "0.05",
            ["435", "1208"],
        )
        assert sender.agreement_ids == (narrowed.meter.agreement_id,)
    store.close()


def test_every_problem_is_told_with_its_line_and_nothing_is_changed(on_database: Command, database: Database, tmp_path: Path) -> None:
    rows = (
        GOOD[0],
        GOOD[0],
        "7713-01;АО «Другой»;0001;ИК-01;00012345;R+;6;0;12000;0,05;да;435;2022-09",
        "7713-03;;;;;A*;55;x;0;5;maybe;1e3;2022-13",
        "7713-04;;;1;1;A+;3;0;;;;1000;2022-09",
        "7713-05;;;1;1;A+;3;0;;;;100;",
        "too;short",
    )
    done = on_database("registry", "import", registry(tmp_path, *rows), "--utility", "factory", "--profile", "legal_entity")
    assert (done.returncode, done.stdout) == (1, "")
    said = [line.partition("registry.csv: ")[2] for line in done.stderr.splitlines()]
    for start in (
        "line 3, register: A+, day of this meter stands in line 2 already",
        "line 4, party: The column party differs from line 2",
        "line 5, decimals: “x” does not fit",
        "line 5, digits: “55” does not fit the column digits: 1…15",
        "line 5, entry_open: “maybe”",
        "line 5, last: ",
        "line 5, last_period: “2022-13” does not fit the column last_period: YYYY-MM",
        "line 5, losses: “5” does not fit",
        "line 5, point: The column point is empty",
        "line 5, ratio: “0” does not fit the column ratio: > 0",
        "line 5, register: “A*” does not fit",
        "line 6, last: The reading 1000 has more digits",
        "line 7, last_period: The column last_period is empty, but last is not",
        "line 8: The row has 2 cells and the header 13 columns",
    ):
        assert any(line.startswith(start) for line in said), (start, said)
    assert len(said) == 15
    store = Store(database.url(), role="owner", pool=1)
    with store.transaction() as connection:
        assert connection.exec_driver_sql("select count(*) from meter").scalar_one() == 0
    store.close()


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("agreement;point;meter;register", "The required column “digits” is missing"),
        ("agreement;point;meter;register;digits;colour", "The column colour is none of"),
        ("agreement;point;meter;register;digits;digits", "The column “digits” stands in the table twice"),
    ],
)
def test_a_wrong_header_is_refused_whole(on_database: Command, tmp_path: Path, head: str, said: str) -> None:
    done = on_database("registry", "import", registry(tmp_path, head=head), "--utility", "factory", "--profile", "legal_entity")
    assert done.returncode == 2
    assert said in done.stderr


def test_a_file_in_another_encoding_is_refused_with_what_to_do(on_database: Command, tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_bytes(f"{HEAD}\n{GOOD[0]}\n".encode("cp1251"))
    done = on_database("registry", "import", path, "--utility", "factory", "--profile", "legal_entity")
    assert done.returncode == 2
    assert "save it as CSV UTF-8" in done.stderr


def test_an_empty_workbook_is_filled_in_brought_in_and_then_changes_nothing(on_database: Command, tmp_path: Path) -> None:
    path, at = tmp_path / "registry.xlsx", ("--utility", "factory", "--profile", "legal_entity")
    assert on_database("registry", "template", path).returncode == 0
    book = openpyxl.load_workbook(path)
    row: dict[str, Any] = {
        "agreement": "007",
        "point": "1",
        "point_ids": "1c=0017",
        "meter": "00123",
        "register": "A+",
        "digits": 6,
        "closed_on": "2030-01-31",
    }
    for column, value in row.items():
        book.worksheets[0].cell(2, COLUMNS.index(column) + 1).value = value
    book.save(path)
    done = on_database("registry", "import", path, *at)
    assert (done.returncode, done.stdout) == (0, "Brought in 1 registers of 1 meters at 1 points of 1 agreements at factory.\n")
    same = on_database("registry", "diff", path, *at)
    assert (same.returncode, same.stdout, same.stderr) == (0, "", "nothing would change\n")
    book.worksheets[0].cell(2, COLUMNS.index("meter") + 1).value = 10**16
    book.save(path)
    refused = on_database("registry", "import", path, *at)
    assert refused.returncode == 1
    assert "line 2, registry!AH2: " in refused.stderr


def test_a_history_is_tried_brought_in_and_refused(on_database: Command, tmp_path: Path) -> None:
    at, head = ("--utility", "factory"), "agreement;meter;register;date;value"
    assert on_database("registry", "import", registry(tmp_path, *GOOD), *at, "--profile", "legal_entity").returncode == 0
    values = ("2022-09-30;35,5", "2022-07-31;20", "2022-08-31;15")
    path = registry(tmp_path, *(f"7713-02;778899;A+;{value}" for value in values), head=head)
    told = "3 values of 1 registers at factory; {} of them {} something new.\n"
    for more, said in (("--dry-run",), told.format(1, "would learn")), ((), told.format(1, "learned")), ((), told.format(0, "learned")):
        done = on_database("registry", "history", path, *at, *more)
        assert (done.returncode, done.stdout) == (0, said)
        assert done.stderr == f"{path}: warning: line 4, value: The reading 15 is lower than the previous one, 20.\n"
    wrong = on_database("registry", "history", registry(tmp_path, "7713-02;1;A+;2022-09-30;5", head=head), *at)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "line 2, meter: Meter “1” is not among those" in wrong.stderr
    twice = on_database("registry", "history", registry(tmp_path, *["7713-02;778899;A+;2022-09-30;5"] * 2, head=head), *at)
    assert "line 3, date: A+ of this meter has a value of 2022-09-30 in line 2 already." in twice.stderr
    for args, said in ((at, "Columns: agreement, meter, point, register, date, value"), (("--utility", "nobody"), "nobody")):
        refused = on_database("registry", "history", registry(tmp_path, head="agreement;meter"), *args)
        assert refused.returncode == 2
        assert said in refused.stderr
