"""Whose meter it is: agreements, usage points, meters and registers as the registry knows them."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

import msgspec

_LOOK_ALIKES: Final = str.maketrans("АВЕКМНОРСТУХІЅЈ‐‑‒–—−", "ABEKMHOPCTYXISJ------")  # the dashes are what word processors make of "-"
_BLANKS: Final = re.compile("[\\s\u00ad\u200b-\u200f\u2060\ufeff]+")


def key(code: str) -> str:
    """Fold a code as people type it into the key it is matched on.

    Blanks, case, leading zeros, a number sign, kinds of dashes and Cyrillic look-alikes do not tell meters apart:
    `13 300963`, `01284918`, `ИКТ-258`. The code itself is stored as typed.
    """
    folded = _BLANKS.sub("", code).upper().translate(_LOOK_ALIKES)
    return folded.lstrip("№#0") or folded[-1:]


class Register(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One register of a meter with its scale and the last values believed.

    `digits`, `decimals`: places of the dial before and after the point. `last`: value of `last_period` (`YYYY-MM`) read at
    `last_at` by the meter reading `last_reading`, `before`: the value that stood when `last_period` began; None while nothing is known.
    """

    id: int
    code: str
    digits: int
    decimals: int
    last: Decimal | None = None
    last_period: str = ""
    last_at: datetime | None = None
    before: Decimal | None = None
    last_reading: UUID | None = None


class Meter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A meter where it stands: its point, object and agreement, its ratio and losses, and all its registers.

    `ratio`: Kтт x Kтн. `losses`: signed fraction. `entry_open`: whether billing lets readings in («Ожидание»).
    """

    id: int
    serial: str
    agreement: str
    agreement_id: int
    point: str
    point_name: str = ""
    location: str = ""
    location_name: str = ""
    entry_open: bool = True
    ratio: Decimal = Decimal(1)
    losses: Decimal = Decimal(0)
    registers: tuple[Register, ...] = ()

    def register(self, code: str) -> Register | None:
        """The register of that published code, None when the meter has no such register."""
        for register in self.registers:
            if register.code == code:
                return register
        return None
