"""`read` and `check`: keys, words and exit codes are a contract."""

import io
import json
from pathlib import Path

import pytest

from gateway.cli.offline import Asked, print_check, print_values
from tests.formats.make import HERE

KEYS = {"point", "code", "register", "at", "value", "unit", "quality", "where"}


def values(asked: Asked) -> tuple[int, list[dict[str, str | None]]]:
    out = io.StringIO()
    code = print_values(asked, out)
    return code, [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_good_file_is_exit_0_and_one_line_for_each_value() -> None:
    code, [line] = values(Asked(path=HERE / "canonical_json/full.json"))
    assert code == 0
    assert line.keys() >= KEYS
    told = (line["point"], line["register"], line["at"], line["value"], line["unit"], line["quality"])
    assert told == ("51261", "A+", "2026-11-20T10:00:00+02:00", "1843.7", "kWh", "valid")


def test_problems_are_exit_1_and_lines_of_their_own() -> None:
    code, lines = values(Asked(path=HERE / "integral_workbook/several_wrong_cells.xlsx", language="en"))
    assert code == 1
    wrong = [line for line in lines if "problem" in line]
    assert {line["problem"] for line in wrong} == {"not_a_number", "cell_formula_no_value"}
    assert all(line.keys() == {"problem", "where", "text"} and line["where"] and line["text"] for line in wrong)


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("a.xlsx", b"<html>", "file_type_mismatch"),
        ("a.bin", b"a;b", "format_unknown"),
        ("a.xlsx", b"", "file_empty"),
        ("a.json", b"{", "json_malformed"),
        ("a.xlsx", b"PK\3\4[Content_Types].xml", "archive_corrupt"),
    ],
)
def test_an_unreadable_file_is_exit_2_and_says_why(tmp_path: Path, name: str, body: bytes, code: str) -> None:
    path = tmp_path / name
    path.write_bytes(body)
    assert [line["problem"] for line in values(Asked(path=path))[1]] == [code]
    out = io.StringIO()
    assert print_check(Asked(path=path), out) == 2
    assert f"[{code}]" in out.getvalue()


def test_a_format_that_is_not_ours_is_unreadable() -> None:
    assert values(Asked(path=HERE / "canonical_json/full.json", kind="telepathy"))[0] == 2


def test_people_see_a_table_and_what_to_do() -> None:
    out = io.StringIO()
    assert print_check(Asked(path=HERE / "integral_workbook/several_wrong_cells.xlsx", language="ru"), out) == 1
    text = out.getvalue()
    assert "ИКТ-258" in text
    assert "Интегральные показания!I4" in text
    assert "[cell_formula_no_value]" in text


def test_each_interval_is_a_line_from_its_beginning_to_its_end() -> None:
    code, lines = values(Asked(path=HERE / "maket_80020/kyiv_autumn_hours.xml", zone="Europe/Kyiv"))
    assert (code, len(lines)) == (0, 25)
    assert lines[0].keys() >= KEYS - {"at"} | {"start", "end"}
    doubled = [(line["start"], line["end"]) for line in lines[2:6]]
    day = doubled[0][0][:10] if doubled[0][0] else ""
    assert doubled == [
        (f"{day}T02:00:00+03:00", f"{day}T03:00:00+03:00"),
        (f"{day}T03:00:00+03:00", f"{day}T03:00:00+02:00"),
        (f"{day}T03:00:00+02:00", f"{day}T04:00:00+02:00"),
        (f"{day}T04:00:00+02:00", f"{day}T05:00:00+02:00"),
    ]
    assert {line["unit"] for line in lines} == {"kWh"}


def test_people_see_the_sum_of_each_day() -> None:
    out = io.StringIO()
    assert print_check(Asked(path=HERE / "maket_80020/kyiv_autumn_hours.xml", zone="Europe/Kyiv", language="en"), out) == 0
    head, row = out.getvalue().splitlines()
    _, lines = values(Asked(path=HERE / "maket_80020/kyiv_autumn_hours.xml", zone="Europe/Kyiv"))
    assert head.split() == ["meter", "register", "value", "unit", "period", "place"]
    assert row.split()[1:4] == ["A+", str(sum(int(line["value"] or 0) for line in lines)), "kWh"]
