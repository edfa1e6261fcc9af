"""Archives of heat meters: every label and unit comes to the same blocks, and what is wrong in one meter refuses no other."""

import io
import random
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import openpyxl
import pytest

from gateway.demo.archives import Archived, archive, split
from gateway.domain.intervals import total
from gateway.domain.problems import Problem, Rejected, Severity
from gateway.domain.readings import INTERVALS, Aggregation, IntervalBlock, MeterReading, Step
from gateway.domain.units import DECIMALS, UNITS, factor
from gateway.mapping import Envelope, formats
from gateway.mapping.crosswalk import fold
from gateway.mapping.heat_columns import FAULTS, Words, read_faults, read_values
from gateway.mapping.mapped.shipped import shipped
from gateway.mapping.mapped.table import Mapped
from gateway.mapping.mapped.units import WORDS
from gateway.settings import Limits
from tests.conftest import case
from tests.formats.make import as_xls, samples
from tests.formats.make_heat import SAMPLES, book, days, text
from tests.formats.read_heat import FORMAT, IRKUTSK, KYIV, blocks, decoded, problems, refusal, things

ARCHIVE = shipped("heat_archive")


def forty(mistake: str = "4,8х2") -> list[Archived]:
    """Forty meters of a contractor, the eighteenth with a letter among its digits."""
    return [
        Archived(
            serial=f"{1_230_000 + 37 * n:08}",
            heat=(Decimal(18_000 + 977 * n) / 1000,),
            shown=(Decimal(640_000 + n) / 1000,),
            mistake=mistake if n == 17 else "",
        )
        for n in range(40)
    ]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_of_forty_meters_one_is_wrong_and_thirty_nine_are_whole(kind: Any) -> None:
    meters = forty()
    found = decoded(archive(meters, "2026-10", "Asia/Irkutsk", kind=kind))
    assert [one.meter for one in found] == [meter.serial for meter in meters]
    wrong = [(one.meter, problem) for one in found for problem in one.problems]
    row = 17 * 32 + 11
    assert wrong == [
        (
            meters[17].serial,
            Problem(code="not_a_number", where=f"Архив!F{row}" if kind == "xlsx" else f"line {row}, column 6", values={"value": "4,8х2"}),
        )
    ]
    for meter, one in zip(meters, found, strict=True):
        if not one.problems:
            assert total([block for block in one.blocks if block.register == "heat"], "2026-10") == meter.heat[0]
            assert [(reading.register, reading.value) for reading in one.readings] == [("heat", meter.shown[0] + meter.heat[0])]
            assert one.at == datetime(2026, 10, 31, 16, tzinfo=UTC), "midnight in Irkutsk"


@pytest.mark.parametrize("step", [Step.HOUR, Step.DAY])
@pytest.mark.parametrize("zone", ["Asia/Irkutsk", "Europe/Kyiv"])
def test_a_file_of_either_kind_says_the_same(step: Step, zone: str) -> None:
    meters = [Archived(serial="7", heat=(Decimal("31.125"), Decimal("4.2")), shown=(Decimal(1), Decimal(2)))]
    kinds: tuple[tuple[Any, str], ...] = (("csv", "cp1251"), ("xlsx", ""), ("csv", "utf-8"))
    files = [archive(meters, "2026-10", zone, step=step, kind=kind, encoding=encoding) for kind, encoding in kinds]
    text_, sheet, unicode_ = (decoded(body, Envelope(zone=zone))[0] for body in files)
    bare = [[(b.register, b.step, b.day, b.values, b.quality) for b in one.blocks] for one in (text_, sheet, unicode_)]
    assert bare[0] == bare[1] == bare[2]
    assert {block.register for block in text_.blocks} >= {"heat", "heat@2", "t1", "t1@2", "M1@2", "tcw", "P2", "T.normal"}


def test_numbers_as_archives_hold_them() -> None:
    def read(*cells: Any) -> list[Any]:
        found: dict[Any, Any] = read_values(cells)
        return [getattr(found[cell], "code", found[cell]) for cell in cells]

    assert read("12,3", "12.3", "1 000,5", "12,3-", "1\u00a0234,5-", "-7", " 5 ", 0.1 + 0.2, -0.0, 3) == [
        *("12.3", "12.3", "1000.5", "-12.3", "-1234.5", "-7", "5", "0.3", "0", "3")
    ]
    assert read("", "-", "---", "–", "н/д", "#") == [""] * 6
    assert read("1.234.567", "12х", "U", "--5", "5--", "1\n2", "NaN", "1e3", "1" * 16, "0,1234567") == [
        *["not_a_number"] * 6,
        "number_not_finite",
        "not_a_number",
        *["number_too_long"] * 2,
    ]


@pytest.mark.parametrize(
    ("field", "unit", "written", "value"),
    [
        ("heat", "GJ", "4,1868", "1"),
        ("heat", "GJ", "1", "0.238846"),
        ("heat", "MWh", "1.163", "1"),
        ("heat", "kWh", "1", "0.00086"),
        ("heat", "Mcal", "5", "0.005"),
        ("P1", "kgf/cm2", "5,1", "0.50013915"),
        ("P1", "bar", "6.1", "0.61"),
        ("P1", "kPa", "610", "0.61"),
        ("M1", "kg", "1234", "1.234"),
        ("T.normal", "min", "90", "1.5"),
        ("t1", "degC", "-3,5", "-3.5"),
    ],
)
def test_units_become_ours(field: str, unit: str, written: str, value: str) -> None:
    assert read_values([written], unit, str(INTERVALS[field].unit))[written] == value
    words = text(f"1;01.10.2026;{written};1", f"1;02.10.2026;{written};1", head=f"Прибор;Дата;{field}, {WORDS[unit][0]};t3")
    assert blocks(words.replace("T.normal", "Tнар"), field)[date(2026, 10, 1)][:2] == [value, value]


def test_what_is_divided_is_known_as_exactly_as_it_was_written() -> None:
    """Back in its own unit and rounded to the places written, a value is what was written."""
    pick = random.Random(11)  # noqa: S311 - numbers, no secrets
    for unit in UNITS["Gcal"]:
        how = factor(unit, "Gcal")
        for _ in range(case(50, 5000)):
            written = Decimal(pick.randrange(10**7)).scaleb(-3)
            found = read_values([f"{written:f}"], unit, "Gcal")[f"{written:f}"]
            assert isinstance(found, str)
            assert abs(Decimal(found) * how.by / how.times - written) <= Decimal("0.5").scaleb(-DECIMALS) * how.by / how.times


def test_the_state_of_an_integrator_is_a_reading() -> None:
    rows = [*days("1", (1, 2)), *days("1", (1, 2), "2")]
    body = text(*(f"{row};{n};{n + 1}" for n, row in enumerate(rows, 100)), head=f"{text().splitlines()[0]};Qнач;Qкон")
    [one] = decoded(body)
    assert [(r.register, r.previous, r.value, r.where) for r in one.readings] == [
        ("heat", Decimal(100), Decimal(102), "line 3, column 12"),
        ("heat@2", Decimal(102), Decimal(104), "line 5, column 12"),
    ]
    assert one.at is None
    assert not any(reading.volume for reading in one.readings)
    stated = text("1;Итог;30.10.2026;;7;", "1;Интегратор;31.10.2026;;;8", head="Прибор;Вид;Дата;Время;Q, Гкал;Qкон")
    assert [(reading.value, reading.where) for reading in decoded(stated)[0].readings] == [(Decimal(8), "line 3, column 6")]
    twice = text(*days("1", (1, 2)), *("1;;Итог;;5;;;;;",) * 2)
    assert problems(twice) == [("1", "register_repeated", "line 5, column 5")]


def test_the_bits_of_faults() -> None:
    letters: dict[Any, Any] = {
        "U": 1,
        "D": 2,
        "G": 4,
        "g": 8,
        "E": 16,
        "Е": 16,
        "U,g,G": 13,
        "UED": 19,
        " u": None,
        "24": 24,
        3.0: 3,
        "GG": 4,
        "": "",
    }
    found = read_faults(letters)
    for cell, code in letters.items():
        value = found[cell]
        assert getattr(value, "code", value) == ("fault_unknown" if code is None else str(code))
    assert sorted(FAULTS.values()) == [1, 2, 4, 8, 16]
    assert [getattr(value, "code", value) for value in read_faults(["-1", "1,5", "Z", "---"]).values()].count("fault_unknown") == 3


def test_every_wrong_cell_of_a_meter_is_told_at_once() -> None:
    wrong = "1;8;01.10.2026;25:00;1;1;70;0,6;24;0"
    assert problems(text(*days("2", (1, 2)), wrong)) == [("1", "circuit_unknown", "line 4, column 2")]
    rows = ["1;;29.02.2026;;1х;1;7 0;0,6;24;Z", "1;;2026-13-01;;1;1;70;0,6;24;0", "1;;;;1;1;70;0,6;24;0"]
    assert problems(text(*rows)) == [
        ("1", "not_a_number", "line 2, column 5"),
        ("1", "not_a_number", "line 2, column 7"),
        ("1", "fault_unknown", "line 2, column 10"),
        ("1", "moment_invalid", "line 2, column 3"),
        ("1", "moment_invalid", "line 3, column 3"),
        ("1", "moment_invalid", "line 4, column 3"),
    ]
    limited = Mapped(mapping=shipped("heat_archive"), limits=Limits(file_problems=3))
    with pytest.raises(Rejected) as refused:
        list(limited.decode(text(*rows).encode(), IRKUTSK))
    assert [problem.code for problem in refused.value.problems][-1] == "too_many_problems"


def test_rows_that_are_no_intervals_are_passed_over() -> None:
    head = text().splitlines()[0]
    body = text(
        *days("1", (1, 2)), "Итого;;;;3;;;;;", "1;;Среднее за месяц;;3;;;;;", ";;;;;;;;;", head, "Исполнитель: И. И. Иванов;;;;;;;;;"
    )
    assert problems(body) == []
    assert [one.meter for one in decoded(body)] == ["1"]


def test_a_number_written_in_two_ways_is_one_meter_as_first_written() -> None:
    body = text(*days("01284918", (1, 2)), *days("1284918", (3,))).replace("1284918;;03", "1284918 ;;03")
    [one] = decoded(body.replace("Ввод", "Вид").replace(";;", ";сутки;", 1).replace(";;", ";сут;"))
    assert one.meter == "01284918"


def test_sheets_of_a_meter_are_one_and_a_day_twice_is_told() -> None:
    head = ["Прибор", "Дата", "Q, Гкал", "t1"]
    rows = [["7", date(2026, 10, day), day, 70] for day in (1, 2)]
    hours_ = [["7", datetime(2026, 10, 1, hour), hour, 70] for hour in range(24)]  # noqa: DTZ001 - as a sheet keeps it
    [one] = decoded(book(Сутки=[head, *rows], Часы=[head, *hours_]))
    assert {block.step for block in one.blocks} == {Step.DAY, Step.HOUR}
    assert one.problems == ()
    assert problems(book(А=[head, *rows], Б=[head, *rows])) == [("7", "moment_repeated", "Б!B2")]


def test_a_header_is_found_whatever_its_letters_and_order() -> None:
    mixed = "Tн, ч;тхв;М1 (т);М2, t;Tнap;Q, Гкал;дата;№ прибора".replace("Tнap;", "Примечание;")
    body = text("24;5;10;9;x;1,5;01.10.2026;7", "24;5;10;9;x;1,5;02.10.2026;7", head=mixed)
    assert {block.register for block in decoded(body)[0].blocks} == {"heat", "M1", "M2", "tcw", "T.normal"}
    [hint] = [thing for thing in things(body) if isinstance(thing, Problem)]
    assert (hint.code, hint.where, hint.severity) == ("column_unknown", "line 1, column 5", Severity.HINT)


def test_reports_one_below_another_are_several_meters() -> None:
    found = decoded(SAMPLES["stacked_reports.csv"]())
    assert {one.meter: [value for value in one.blocks[1].values if value is not None] for one in found} == {
        "00100": [Decimal(1), Decimal(2)],
        "00200": [Decimal(1), Decimal(2)],
    }
    assert next(block.where for block in found[1].blocks if block.register == "M1").startswith("lines 12-")
    many = "\n".join(["Дата;Q, Гкал;M1, т", "01.10.2026;1;1"] * 1002)
    assert refusal(many, Envelope(meter="9")) == [("too_many_readings", "line 1, column 1")]
    second = "Зав. №: 1;;\nДата;Q, Гкал;M1, т\n01.10.2026;1;1\nЗав. №: 2;;\nДата;Q, Гкал;M1, пуд\n01.10.2026;1;1"
    assert refusal(second) == [("unit_unknown", "line 5, column 3")]


def test_an_old_workbook_says_the_same() -> None:
    rows: list[list[Any]] = [
        ["Прибор", "Дата", "Время", "Q, Гкал", "t1"],
        *(["7", date(2026, 10, 1), hour, hour / 100, -3.5] for hour in range(24)),
    ]
    new = book(Часы=[[cell.toordinal() - 693_594 if isinstance(cell, date) else cell for cell in row] for row in rows])
    assert decoded(as_xls(new)) == decoded(new)
    assert len(decoded(new)[0].blocks) == 2
    assert FORMAT.sniff(as_xls(new), "")


def test_a_unit_that_is_not_told_is_named() -> None:
    body = text("7;01.10.2026;1;1;5", "7;02.10.2026;1;1;6", head="Прибор;Дата;Q;M1;Qкон")
    [hint] = [thing for thing in things(body) if isinstance(thing, Problem)]
    assert (hint.code, hint.severity, hint.values["unit"]) == ("unit_assumed", Severity.HINT, "Гкал")
    [one] = decoded(body.replace("Q;M1", "Q, МВт·ч;M1"))
    assert one.readings[0].value == Decimal(5), "a dial of 6 MWh shows 5 Gcal without decimals: its unit is that of Q"


def test_a_file_whose_columns_cannot_be_read_is_refused_whole() -> None:
    assert refusal(text("1;2;3;4", head="Прибор;Q, кварт;M1, т;Q")) == [
        ("column_missing", "line 1, column 1"),
        ("unit_unknown", "line 1, column 2"),
        ("column_repeated", "line 1, column 4"),
    ]
    assert refusal(text("01.10.2026;1;1", head="Дата;Q, Гкал;M1, т")) == [("column_missing", "line 1, column 1")]
    assert decoded(text("01.10.2026 05:00;1;1", "01.10.2026 00:00;1;1", head="Дата;Q, Гкал;M1, т"), Envelope(meter="9"))[0].meter == "9"
    assert refusal(text()) == [("nothing_to_take", "line 1, column 5")]
    assert refusal(book(Лист1=[["а", "б"], [1, 2]])) == [("header_not_found", "Лист1!A1")]
    assert refusal(b"%PDF-1.7 x") == [("file_type_mismatch", "")]
    assert refusal(b"x;y\n") == [("header_not_found", "line 1, column 1")]


def test_every_word_of_the_document_means_one_thing() -> None:
    columns = {field: place for field, place in ARCHIVE.columns.items() if not isinstance(place, int)}
    values = {one.register: one.column for one in ARCHIVE.values if not isinstance(one.column, int)}
    units = ({unit: WORDS[unit] for unit in several} for several in UNITS.values())
    kinds: dict[str, tuple[str, ...]] = {str(kind): words for kind, words in ARCHIVE.kinds.items()}
    for words in (columns | values, kinds, *units):
        meanings: dict[str, set[str]] = {}
        for meaning, several in words.items():
            for word in several:
                meanings.setdefault(fold(word), set()).add(meaning)
        assert {word: found for word, found in meanings.items() if len(found) > 1} == {}
    assert set(values) >= {code for code in INTERVALS if "@" not in code and code not in ("A+", "A-", "R+", "R-", "volume")}


def test_no_other_file_is_taken_for_an_archive() -> None:
    known = formats(Limits())
    first = {
        f"{path.parent.name}/{path.name}": next((kind for kind, one in known.items() if one.sniff(path.read_bytes(), path.name)), "")
        for path in samples()
    }
    assert {name for name, kind in first.items() if kind == "heat_archive" and not name.startswith("heat_archive/")} == set()
    assert {name for name, kind in first.items() if kind != "heat_archive" and name.startswith("heat_archive/")} == {
        "heat_archive/refused_words.csv"
    }


def test_only_amounts_are_ever_added_up() -> None:
    """The archive reader adds nothing; what adds its blocks up elsewhere takes those of the kind `sum` alone."""
    body = archive([Archived(serial="7", heat=(Decimal("31.125"),))], "2026-10", "Asia/Irkutsk")
    [one] = decoded(body)
    columns = {block.register: block for block in one.blocks}
    lines = [line.split(";") for line in body.decode("cp1251").splitlines()[1:]]
    for code, place in (("t1", 10), ("P1", 13), ("heat", 5), ("M1", 6)):
        assert [str(value).replace(".", ",") for value in columns[code].values] == [line[place] for line in lines], "as written, not summed"
    assert one.readings == ()
    assert {INTERVALS[code].aggregation for code in ("heat", "M1", "V1")} == {Aggregation.SUM}
    assert Aggregation.SUM not in {INTERVALS[code].aggregation for code in ("t1", "P1", "T.normal", "faults")}


def test_any_damage_is_a_problem_and_never_an_error_of_ours(proof: Callable[[str, int, str], None]) -> None:
    pick = random.Random(5)  # noqa: S311 - damage, no secret
    whole = [path.read_bytes() for path in samples() if path.parent.name == "heat_archive" and path.suffix == ".csv"]
    size, read, slowest = case(1000, 100_000), 0, 0.0
    for _ in range(size):
        damaged = bytearray(pick.choice(whole))
        for _ in range(pick.randrange(1, 6)):
            place = pick.randrange(len(damaged))
            damaged[place : place + pick.randrange(3)] = pick.choice((b";", b'"', b"\n", b"\0", b"-", b"9", b"\xff", b"32.13.2026", b""))
        began = time.process_time()
        FORMAT.sniff(bytes(damaged), "x")
        try:
            found = things(bytes(damaged), KYIV)
        except Rejected:
            continue
        finally:
            slowest = max(slowest, time.process_time() - began)
        read += 1
        for one in found:
            assert isinstance(one, (MeterReading, Problem))
    assert read > size / 4
    assert slowest < 2
    proof("damaged heat archives", size, f"{read} read, the rest refused with a code, at most {slowest * 1e3:.0f} ms each")


def test_a_wrong_cell_of_a_workbook_keeps_its_own_problem() -> None:
    made = openpyxl.load_workbook(
        io.BytesIO(book(Лист=[["Прибор", "Дата", "Q, Гкал", "t1"], ["7", date(2026, 10, 1), True, 70], ["7", date(2026, 10, 2), 1, 1]]))
    )
    made.worksheets[0]["D3"] = "=1/0"
    packed = io.BytesIO()
    made.save(packed)
    assert problems(packed.getvalue()) == [("7", "not_a_number", "Лист!C2"), ("7", "cell_formula_no_value", "Лист!D3")]


def test_the_hours_of_the_demo_are_those_of_the_zone() -> None:
    meters = [Archived(serial="7", heat=(Decimal("31.125"),))]
    for period, count in (("2026-03", 743), ("2026-10", 745)):
        [one] = decoded(archive(meters, period, "Europe/Kyiv", step=Step.HOUR), KYIV)
        heat = [block for block in one.blocks if block.register == "heat"]
        assert one.problems == ()
        assert sum(len(block.values) for block in heat) == count
        assert total(heat, period) == Decimal("31.125")


def test_the_demo_splits_a_total_exactly() -> None:
    for total_ in ("0", "0.001", "31.125", "1234.56789"):
        parts = split(Decimal(total_), [80, 120, 97, 101])
        assert sum(parts) == Decimal(total_)
        assert all(part >= 0 for part in parts)


def test_a_block_is_named_by_its_cells() -> None:
    found: list[IntervalBlock] = list(decoded(text(*days("1", (3, 1, 2)), *days("2", (1, 2))))[0].blocks)
    assert found[0].where == "lines 2-4, column 5"
    assert Words(ARCHIVE).known([text().splitlines()[0].split(";")]) == 10
