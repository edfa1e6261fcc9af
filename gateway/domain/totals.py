"""Consumption added up: which amounts of a meter count once each, by quantity, for agreements and their consumers (F-058)."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Final

import msgspec

from gateway.domain.judging import Judged
from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import EXACT, REGISTERS, UNITS, Aggregation, Quantity, ReadingType, Zone

_ADDED: Final = (Aggregation.STATE, Aggregation.SUM)


class Used(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one register of a meter used in a period. `volume`: told as an amount and not read from a dial; `came`: when it was handed in.

    `party`: id of the agreement's consumer, None when the registry names none. `consumption` is None where nothing was known before.
    """

    agreement_id: int
    agreement: str
    party_id: int | None
    party_code: str
    party: str
    service: str
    meter_id: int
    register: str
    consumption: Decimal | None
    volume: bool
    came: datetime


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """The exact sum of one quantity of one service. `service`: as the profile names it, empty where the registry does not say."""

    service: str
    quantity: str
    unit: str
    consumption: Decimal


def counted(parts: Iterable[tuple[ReadingType, bool]]) -> list[bool]:
    """Which registers of one meter count, each told with whether it is an amount and no dial.

    Only states and sums are ever added up. Where there are zones of a quantity beside its register that runs round the clock, the zones
    count and the other would count twice; so would an amount beside a dial of the same quantity.
    """
    parts = list(parts)
    dials = {(kind.quantity, kind.circuit) for kind, volume in parts if not volume}
    zoned = {(kind.quantity, volume) for kind, volume in parts if kind.zone is not Zone.ALL}
    return [
        kind.aggregation in _ADDED
        and not (kind.zone is Zone.ALL and (kind.quantity, volume) in zoned)
        and not (volume and (kind.quantity, kind.circuit) in dials)
        for kind, volume in parts
    ]


def totals(judged: Iterable[Judged]) -> dict[Quantity, Decimal]:
    """Add up the consumption of an agreement's meters by quantity."""
    found: dict[Quantity, Decimal] = {}
    for one in judged:
        kinds = [REGISTERS[value.register.code] for value in one.values]
        counts = counted((kind, value.reading.volume) for kind, value in zip(kinds, one.values, strict=True))
        for kind, value, counts_ in zip(kinds, one.values, counts, strict=True):
            if counts_ and value.consumption is not None:
                found[kind.quantity] = EXACT.add(found.get(kind.quantity, Decimal(0)), value.consumption)
    return found


def once(used: Iterable[Used]) -> list[Used]:
    """What counts of amounts that stand in the order of their meters, each once."""
    found = []
    for _, own in groupby(used, attrgetter("meter_id")):
        of_meter = [one for one in own if one.register in REGISTERS]
        counts = counted((REGISTERS[one.register], one.volume) for one in of_meter)
        found += [one for one, counts_ in zip(of_meter, counts, strict=True) if counts_]
    return found


def added(used: Iterable[Used]) -> list[Total]:
    """The sums of these amounts by service and quantity, in the order of their names."""
    sums: dict[tuple[str, Quantity], Decimal] = {}
    for one in used:
        if one.consumption is not None:
            place = one.service, REGISTERS[one.register].quantity
            sums[place] = EXACT.add(sums.get(place, Decimal(0)), one.consumption)
    return [
        Total(service=service, quantity=str(quantity), unit=str(UNITS[quantity]), consumption=total)
        for (service, quantity), total in sorted(sums.items())
    ]


def within(used: list[Used], limit: int) -> list[Used]:
    """The amounts unless they are more than `limit`: the sum of a part would be taken for that of the whole. Raises Rejected."""
    if len(used) > limit:
        raise Rejected(Problem(code="coverage_too_wide", values={"limit": str(limit)}))
    return used
