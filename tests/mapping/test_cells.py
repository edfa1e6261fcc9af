"""One grammar for numbers: what it takes, what it refuses and by which code."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mapping.cells import Cell, CellError, cell_code, cell_number, number, text_code, typed_number

ANYWHERE_REFUSED = [
    ("NaN", "number_not_finite"),
    ("sNaN", "number_not_finite"),
    ("Infinity", "number_not_finite"),
    ("-inf", "number_not_finite"),
    ("1E+999999", "not_a_number"),
    ("1e5", "not_a_number"),
    ("1_000", "not_a_number"),
    ("0x10", "not_a_number"),
    ("١٢٣", "not_a_number"),
    ("１２", "not_a_number"),
    ("Ⅷ", "not_a_number"),
    ("²", "not_a_number"),
    ("−1", "not_a_number"),
    ("+1", "not_a_number"),
    ("1.5,0", "not_a_number"),
    ("1.234.567", "not_a_number"),
    (".5", "not_a_number"),
    ("1.", "not_a_number"),
    ("1 2345", "not_a_number"),
    ("12 34", "not_a_number"),
    ("9" * 16, "number_too_long"),
    ("9" * 1_000_000, "number_too_long"),
    ("0.1234567", "number_too_long"),
]


def code_of(read: Callable[[], object]) -> str:
    with pytest.raises(CellError) as error:
        read()
    return error.value.code


@pytest.mark.parametrize(("text", "code"), ANYWHERE_REFUSED, ids=lambda value: str(value)[:20])
def test_refused_everywhere(text: str, code: str) -> None:
    assert code_of(lambda: number(text)) == code
    assert code_of(lambda: typed_number(text)) == code
    assert code_of(lambda: cell_number(text)) == code


@pytest.mark.parametrize("text", [" 1", "1 ", "1\n", "012 441,00", "12\u00a0441", ""])
def test_blanks_are_refused_in_json(text: str) -> None:
    assert code_of(lambda: number(text)) == "not_a_number"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("012442", "12442"),
        ("012 441,00", "12441.00"),
        ("16 528,0", "16528.0"),
        ("12\u00a0441", "12441"),
        ("1\u2009234\u202f567.5", "1234567.5"),
        (" 12,5\t", "12.5"),
        ("-0", "0"),
    ],
)
def test_gv24_blanks_between_thousands_in_forms_and_sheets(text: str, value: str) -> None:
    assert typed_number(text) == cell_number(text) == Decimal(value)
    assert not typed_number(text).is_signed()


def test_gv13_comma_and_point_are_the_same_decimal() -> None:
    assert number("12,5") == number("12.5") == typed_number("12,5") == Decimal("12.5")


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        (5.0, "5"),
        (137130.48, "137130.48"),
        (0.1 + 0.2, "0.3"),
        (1.1 + 2.2, "3.3"),
        (1e-12, "0"),
        (-3.5, "-3.5"),
        (7, "7"),
        (1843.7, "1843.7"),
    ],
)
def test_a_sheets_float_is_what_its_shortest_text_says(value: float, exact: str) -> None:
    assert cell_number(value) == Decimal(exact)


@pytest.mark.parametrize("mark", ["", " ", "-", "---", "–", "н/д", "Н/Д", "#"])
def test_marks_of_no_value(mark: str) -> None:
    assert cell_number(mark) is None


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (float("inf"), "number_not_finite"),
        (float("nan"), "number_not_finite"),
        (1e15, "number_too_long"),
        (10**15, "number_too_long"),
        (0.12345678, "number_too_long"),
        (True, "not_a_number"),
        (date(2026, 11, 1), "not_a_number"),
        ("#REF!", "cell_error"),
        ("18х3", "not_a_number"),
    ],
)
def test_cells_that_are_no_numbers(value: Cell, code: str) -> None:
    assert code_of(lambda: cell_number(value)) == code


@pytest.mark.parametrize(
    ("value", "code"),
    [(1284918.0, "1284918"), (" 13 300963 ", "13 300963"), ("01284918", "01284918"), (131150001113003, "131150001113003")],
)
def test_codes_as_written(value: Cell, code: str) -> None:
    assert cell_code(value) == code


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (1.3115000111300312e17, "cell_not_text"),
        (float("inf"), "cell_not_text"),
        (date(2026, 2, 1), "cell_not_text"),
        (True, "cell_not_text"),
        ("#N/A", "cell_error"),
        ("1" * 101, "code_too_long"),
        ("12\u202e34", "code_unprintable"),
        ("12\x0034", "code_unprintable"),
    ],
)
def test_cells_that_are_no_codes(value: Cell, code: str) -> None:
    assert code_of(lambda: cell_code(value)) == code


def test_a_refusal_shows_a_long_text_cut_short() -> None:
    with pytest.raises(CellError) as error:
        text_code("7" * 500)
    assert error.value.at("S!A1").values == {"value": "7" * 39 + "…", "limit": "100"}


@given(st.decimals(min_value=-(10**15) + 1, max_value=10**15 - 1, places=6))
def test_every_decimal_in_bounds_is_read_exactly(value: Decimal) -> None:
    assert number(f"{value:f}") == value


@given(st.text(max_size=30))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    try:
        assert typed_number(text).is_finite()
    except CellError as error:
        assert error.code in {"not_a_number", "number_not_finite", "number_too_long"}  # noqa: PT017 - either way is right
