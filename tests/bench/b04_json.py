"""B4: 10,000 readings of canonical JSON to domain readings, gate on, against a bare msgspec decode to structs with Decimal."""

from datetime import datetime
from decimal import Decimal

import msgspec

from gateway.domain.readings import Quality
from gateway.mapping import Envelope
from gateway.mapping.canonical_json import CanonicalJson
from tests.bench.row import Row, faster, race

ROWS = 10_000


class Register(msgspec.Struct):
    """The floor's register."""

    register: str
    value: Decimal
    previous: Decimal | None = None
    quality: Quality = Quality.VALID
    ratio_applied: bool = False
    losses_applied: bool = False


class Meter(msgspec.Struct):
    """The floor's row."""

    meter: str
    registers: list[Register]
    agreement: str = ""
    point: str = ""
    period: str = ""
    at: datetime | None = None


class Body(msgspec.Struct):
    """The floor's body."""

    readings: list[Meter]


def body() -> bytes:
    """A post of one register for each meter, every field written."""
    rows = [
        {
            "meter": f"{21_730 + number:08}",
            "agreement": "90034",
            "point": str(51_261 + number),
            "period": "2026-11",
            "at": "2026-11-20T10:00:00+02:00",
            "registers": [
                {
                    "register": "A+",
                    "value": f"{1843.7 + number:.1f}",
                    "previous": "1430.5",
                    "quality": "valid",
                    "ratio_applied": False,
                    "losses_applied": False,
                }
            ],
        }
        for number in range(ROWS)
    ]
    return msgspec.json.encode({"readings": rows})


def run() -> list[Row]:
    """The line of B4; its ratio is of speeds."""
    post, ours, floor = body(), CanonicalJson(), msgspec.json.Decoder(Body)
    took = race({"ours": lambda: list(ours.decode(post, Envelope())), "bare": lambda: floor.decode(post)}, runs=11)
    rate = {name: ROWS / seconds for name, seconds in took.items()}
    what = f"canonical JSON of {ROWS:,} readings to the domain, gate on"
    return [faster("B4", what, rate["ours"], rate["bare"], unit="readings/s", peer="bare msgspec decode", goal=0.5)]
