"""What a register remembers of the values believed: so much that no history is read when the next reading comes."""

from datetime import datetime, timedelta
from decimal import Context, Decimal
from typing import Any, Final
from uuid import UUID

import msgspec

from gateway.domain.readings import EXACT
from gateway.domain.supply import Register

_DAY: Final = timedelta(days=1)
_WEIGHT: Final = Decimal("0.4")
_ROUGH: Final = Context(prec=12)
"""A usual consumption is no amount of anything: twelve digits of it are plenty."""


def believe(register: Register, value: Decimal, *, period: str, at: datetime, reading: UUID, chain: bool) -> Register:
    """The register once `value` is believed. `chain`: each value follows the one before it, also within a period.

    A value older than the last one known changes nothing here.
    """
    if period < register.last_period or (chain and register.last_at is not None and at < register.last_at):
        return register
    moved: dict[str, Any] = {"last": value, "last_period": period, "last_at": at, "last_reading": reading}
    if period != register.last_period or chain:
        moved |= {"before": register.last, "before_at": register.last_at, "daily": usual(register)}
    return msgspec.structs.replace(register, **moved)


def usual(register: Register) -> Decimal | None:
    """What a register usually advances a day, its last advance included: the last one counts two fifths, those before it ever less.

    None while not even one advance is known by its days.
    """
    if register.last is None or register.before is None or register.last_at is None or register.before_at is None:
        return register.daily
    days = Decimal((register.last_at - register.before_at) / _DAY)
    advance = EXACT.subtract(register.last, register.before)
    if days < 1 or advance < 0:
        return register.daily
    recent = _ROUGH.divide(advance, days)
    if register.daily is None:
        return recent
    return _ROUGH.add(register.daily, _ROUGH.multiply(_ROUGH.subtract(recent, register.daily), _WEIGHT))
