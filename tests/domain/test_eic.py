"""Energy Identification Codes: published ones hold, and a slip of the pen is seen."""

import pytest

from gateway.domain import eic

PUBLISHED = (
    "10YFR-RTE------C",
    "10Y1001A1001A83F",
    "10YDE-VE-------2",
    "10YES-REE------0",
    "10YIT-GRTN-----B",
    "10YNL----------L",
    "10YAT-APG------L",
    "10YPL-AREA-----S",
    "10YCH-SWISSGRIDZ",
    "10YUA-WEPS-----0",
    "10Y1001C--00003F",
    "17W100P100P0028N",
    "17W100P100P03582",
)
"""Areas of the European transparency platform, two of Ukraine among them, and two French power stations."""


@pytest.mark.parametrize("code", PUBLISHED)
def test_a_published_code_is_valid_and_none_beside_it(code: str) -> None:
    assert eic.valid(code)
    others = {code[:place] + sign + code[place + 1 :] for place in range(3, 16) for sign in "0A" if code[place] != sign}
    assert [other for other in others if eic.valid(other)] == []


@pytest.mark.parametrize("code", PUBLISHED)
def test_two_neighbouring_signs_exchanged_are_seen(code: str) -> None:
    others = {code[:n] + code[n + 1] + code[n] + code[n + 2 :] for n in range(3, 14) if code[n] != code[n + 1]}
    assert [other for other in others if eic.valid(other)] == []


@pytest.mark.parametrize("code", ["", "10YFR-RTE------", "10YFR-RTE------CC", "10yfr-rte------c", "1OYFR-RTE------C", "10BFR-RTE------C"])
def test_what_has_not_the_shape_is_none(code: str) -> None:
    assert not eic.valid(code)
