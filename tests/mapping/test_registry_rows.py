"""Rows of a registry: what each column may say, and what all of them together must not."""

import msgspec
import pytest

from gateway.domain.supply import Line
from gateway.mapping.registry_cells import READERS
from gateway.mapping.registry_rows import COLUMNS, csv_rows

FULL = {"agreement": "7-1", "point": "1", "meter": "111", "register": "heat", "digits": "6"}


def read(**cells: str) -> Line | list[tuple[str, str]]:
    """A row of these cells: its line, or the codes of its problems with their columns."""
    told = {column: f'"{cell}"' for column, cell in (FULL | cells).items()}
    [row] = csv_rows([",".join(told) + "\n", ",".join(told.values()) + "\n"])
    return row.line or [(problem.code, problem.where.removeprefix("line 2, ")) for problem in row.problems]


def test_every_column_has_a_reader() -> None:
    assert READERS.keys() == set(COLUMNS)


@pytest.mark.parametrize(
    ("column", "written", "told"),
    [
        ("party_tax_number", "7801234564", "7801234564"),
        ("party_tax_number", "780123456478", "780123456478"),
        ("party_tax_number", "00032129", "00032129"),
        ("party_emails", " a@example.com ; b.c@почта.рф;a@example.com;", "a@example.com;b.c@почта.рф"),
        ("agreement_emails", "o'neil+tag@mail.example.com", "o'neil+tag@mail.example.com"),
        ("price_category", "6", 6),
        ("point_ids", " EIC = 10yua-weps-----0; 1C=2001;", "1c=2001;eic=10YUA-WEPS-----0"),
        ("meter_ids", "portal=a=b", "portal=a=b"),
        ("meter", "", ""),
        ("entry_status", "Ожидание", "Ожидание"),
        ("location_entry_open", "нет", False),
        ("scheme", "dead_end", "dead_end"),
        ("max_power", "0,5", "0.5"),
        ("max_flow", "2,5", "2.5"),
        ("initial", "012 441,5", "12441.5"),
    ],
)
def test_a_cell_is_read_as_its_column_wants(column: str, written: str, told: object) -> None:
    line = read(**{"party": "A", "location": "1", "entry_period": "2024-01", column: written})
    assert isinstance(line, Line)
    assert msgspec.to_builtins(line)[column] == told or str(getattr(line, column)) == told


@pytest.mark.parametrize(
    ("column", "written"),
    [
        ("party_tax_number", "780123456"),
        ("party_tax_number", "78012345б4"),
        ("party_emails", "a@example.com, b@example.com"),
        ("party_emails", "a@example"),
        ("agreement_emails", "@example.com"),
        ("agreement_emails", "a b@example.com"),
        ("price_category", "7"),
        ("point_ids", "2001"),
        ("point_ids", "1c="),
        ("point_ids", "1c=1;1c=2"),
        ("point_ids", "sap=1"),
        ("entry_period", "2024-13"),
        ("price_category", "0"),
        ("price_category", "0000000019"),
        ("window_day", "000000001999"),
        ("location_entry_open", "maybe"),
        ("scheme", "sideways"),
        ("max_power", "-1"),
        ("max_flow", "-1"),
        ("signed_on", "31.12.2024"),
    ],
)
def test_a_cell_that_does_not_fit_its_column_is_a_problem_of_the_row(column: str, written: str) -> None:
    assert read(**{"party": "A", "location": "1", column: written}) == [("registry_cell", column)]


@pytest.mark.parametrize("written", ["10YUA-WEPS-----1", "10YUA-WEPS----0", "10YUA-WEPS-----"])
def test_an_eic_whose_check_sign_is_wrong_is_a_problem_of_the_row(written: str) -> None:
    assert read(point_ids=f"1c=1;eic={written}") == [("eic_invalid", "point_ids")]


@pytest.mark.parametrize(
    ("cells", "code", "column"),
    [
        ({"location_address": "Невский, 1"}, "registry_incomplete", "location"),
        ({"branch_title": "Северное"}, "registry_incomplete", "branch"),
        ({"party_tax_number": "7801234564"}, "registry_incomplete", "party"),
        ({"party_emails": "a@example.com"}, "registry_incomplete", "party"),
        ({"final": "12"}, "registry_incomplete", "removed_on"),
        ({"initial": "1234567"}, "too_many_digits", "initial"),
        ({"signed_on": "2024-02-01", "closed_on": "2024-01-31"}, "registry_cell", "closed_on"),
        ({"verified_on": "2024-02-01", "verify_by": "2024-01-31"}, "registry_cell", "verify_by"),
        ({"entry_status": "Ожидание"}, "registry_incomplete", "entry_period"),
        ({"location_status": "Ожидание", "entry_period": "2024-01"}, "registry_incomplete", "location"),
        ({"meter": "", "model": "X"}, "registry_incomplete", "meter"),
        ({"register": "A+", "scheme": "open"}, "registry_cell", "register"),
    ],
)
def test_cells_that_make_no_sense_together_are_told(cells: dict[str, str], code: str, column: str) -> None:
    assert read(**cells) == [(code, column)]
