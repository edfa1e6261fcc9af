"""Billing's later word: what was calculated or billed for a point and period, and from which readings."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec


class Method(StrEnum):
    """How billing arrived at the volume."""

    METER = "meter"
    CONTROL = "control"
    AVERAGE = "average"
    NORM = "norm"
    CALCULATED = "calculated"


class Stage(StrEnum):
    """How far billing has come with it."""

    CALCULATED = "calculated"
    BILLED = "billed"


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """One settled volume of one register's quantity at a point in a period; a correction is a new `version`.

    `readings`: keys under which the readings used were delivered, none when billing used no reading. `volume` in `unit`.
    """

    agreement: str
    period: str
    quantity: str
    volume: Decimal
    stage: Stage
    version: int = 1
    point: str = ""
    meter: str = ""
    unit: str = ""
    method: Method = Method.METER
    amount: Decimal | None = None
    reference: str = ""
    at: datetime | None = None
    readings: tuple[str, ...] = ()
