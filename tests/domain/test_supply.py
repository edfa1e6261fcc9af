"""Codes as people type them, and exact consumption."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.domain.readings import REGISTERS, consumption, reading_type
from gateway.domain.supply import entry_by_period, key
from tests.domain.build import meter, register


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("13 300963", "13300963"),
        ("01284918", "1284918"),
        ("ИКТ-258", "икт-258"),
        ("АВС-1", "ABC-1"),
        ("№ 2173", "2173"),
        ("№0042", "42"),
        ("007128\u2011286", "7128-286"),
        ("13\u00a0300\u202f963", "13300963"),
        ("\ufeff2173\u200b", "2173"),
        ("000", "0"),
    ],
)
def test_these_are_one_number(one: str, other: str) -> None:
    assert key(one) == key(other)


@pytest.mark.parametrize(("one", "other"), [("12", "120"), ("1-2", "12"), ("A1", "B1"), ("ИКТ-258", "ИКТ-259"), ("0", ""), ("1/2", "12")])
def test_these_are_two(one: str, other: str) -> None:
    assert key(one) != key(other)


@given(st.text(max_size=30))
@example("0№5")
@example("№")
@example("00#")
@example("ß0")
def test_a_key_of_a_key_is_itself(code: str) -> None:
    assert key(key(code)) == key(code)


@given(st.text("0123456789АВЕКМНОРСТУХABEKMHOPCTYX-", min_size=1, max_size=20), st.integers(0, 5))
def test_case_blanks_and_leading_zeros_do_not_matter(code: str, zeros: int) -> None:
    assert key("0" * zeros + " ".join(code.lower())) == key(code)


NUMBERS = st.decimals(-(10**15), 10**15, places=6, allow_nan=False)


@given(NUMBERS, NUMBERS, st.decimals(0, 10**6, places=3), st.decimals(-1, 1, places=9))
def test_consumption_is_exact(current: Decimal, previous: Decimal, ratio: Decimal, losses: Decimal) -> None:
    exact = (Fraction(current) - Fraction(previous)) * Fraction(ratio) * (1 + Fraction(losses))
    assert Fraction(consumption(current, previous, ratio, losses)) == exact


def test_a_meter_knows_its_registers() -> None:
    two = meter(register("A+:day"), register("A+:night"))
    assert two.register("A+:night") is two.registers[1]
    assert two.register("A+") is None


def test_a_published_code_is_read_back() -> None:
    assert {code: reading_type(code).code for code in REGISTERS} == {code: code for code in REGISTERS}
    assert "volume:night" not in REGISTERS
    with pytest.raises(ValueError, match="B\\+"):
        reading_type("B+")


def test_nothing_consumed_is_written_without_a_sign() -> None:
    assert [str(consumption(Decimal("0.0"), Decimal("0.0"), Decimal(40))), str(consumption(Decimal(5), Decimal(5)))] == ["0.0", "0"]


def test_the_word_of_billing_about_a_period_overrules_the_flag_of_that_thing_alone() -> None:
    meter = (True, {"2024-01": "Ожидание", "2024-02": "Расчёт"})
    location = (False, {"2024-01": " очікування", "2024-03": "Ожидание"})
    assert entry_by_period(meter, location) == {"2024-01": True, "2024-02": False, "2024-03": True}
    assert entry_by_period((False, {}), (True, {"2024-01": "Ожидание"})) == {"2024-01": False}
