"""Energy Identification Codes, by which Europe's and Ukraine's markets name points, areas and parties.

Sixteen signs: two digits of the office that issued it, a letter of the kind, twelve digits, letters or minus signs, and a check sign
(ENTSO-E, The Energy Identification Coding Scheme Reference Manual, annex "check character").
"""

import re
from typing import Final

_SIGNS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-"
_shape: Final = re.compile(r"[0-9]{2}[AT-Z][0-9A-Z-]{12}[0-9A-Z]").fullmatch


def check_sign(first: str) -> str:
    """The last sign that belongs to the first fifteen, each of which is worth its place in the alphabet times 16, 15 ... 2."""
    worth = sum(_SIGNS.index(sign) * weight for sign, weight in zip(first, range(16, 1, -1), strict=True))
    return _SIGNS[36 - (worth - 1) % 37]


def valid(code: str) -> bool:
    """Whether a code in capital letters is one, with the check sign that belongs to it; a minus is never a check sign."""
    return _shape(code) is not None and check_sign(code[:15]) == code[15]
