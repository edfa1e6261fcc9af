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
_TWO: Final = Decimal(2)
_WEEK: Final = timedelta(days=7)
_SEASON: Final = timedelta(days=62)
"""An advance of a shorter or a longer time says nothing of a month."""
_ROUGH: Final = Context(prec=12)
"""A usual consumption is no amount of anything: twelve digits of it are plenty."""


def believe(
    register: Register, value: Decimal, *, period: str, at: datetime, reading: UUID | None, chain: bool, estimated: bool = False
) -> Register:
    """The register once `value` is believed. `chain`: each value follows the one before it, also within a period.

    A value older than the last one known changes nothing here. `estimated`: nobody read it from the dial.
    """
    if period < register.last_period or (chain and register.last_at is not None and at < register.last_at):
        return register
    moved: dict[str, Any] = {"last": value, "last_period": period, "last_at": at, "last_reading": reading}
    if period != register.last_period or chain:
        moved |= {"before": register.last, "before_at": register.last_at, "daily": usual(register), "season": _seasoned(register, at)}
    if estimated or register.estimated:
        moved["estimated"] = in_a_row(register, period) if estimated else 0
    return msgspec.structs.replace(register, **moved)


def in_a_row(register: Register, period: str) -> int:
    """Of how many periods in a row nobody read the dial, once this one is estimated too."""
    return register.estimated + 1 if period != register.last_period else max(register.estimated, 1)


def usual(register: Register) -> Decimal | None:
    """What a register usually advances a day, its last advance included: the last one counts two fifths, those before it ever less.

    None while not even one advance is known by its days.
    """
    recent = _last_rate(register)
    if recent is None or register.daily is None:
        return register.daily if recent is None else recent
    return _ROUGH.add(register.daily, _ROUGH.multiply(_ROUGH.subtract(recent, register.daily), _WEIGHT))


def usual_between(register: Register, since: datetime, at: datetime, recent: Decimal | None) -> Decimal | None:
    """What a register usually advances a day at this time of the year, as in the years before; else what it did of late."""
    if register.season and at - since <= _SEASON:
        known = register.season.split(",")[_month(since, at) - 1]
        return Decimal(known) if known else recent
    return recent


def _last_rate(register: Register) -> Decimal | None:
    """The last advance a day; None where it is not known or went backwards."""
    if register.last is None or register.before is None or register.last_at is None or register.before_at is None:
        return None
    days = Decimal((register.last_at - register.before_at) / _DAY)
    advance = EXACT.subtract(register.last, register.before)
    return None if days < 1 or advance < 0 else _ROUGH.divide(advance, days)


def _seasoned(register: Register, at: datetime) -> str:
    """The months of the year with the last advance in the one in whose middle it lies: half of it, half of what was known there.

    A month learns when the next advance lies in another one, so what is known of a month is always of the years before.
    """
    since, until, rate = register.before_at, register.last_at, _last_rate(register)
    if rate is None or since is None or until is None or not _WEEK <= until - since <= _SEASON:
        return register.season
    place = _month(since, until)
    if place == _month(until, at):
        return register.season
    months = register.season.split(",") if register.season else [""] * 12
    known = Decimal(months[place - 1]) if months[place - 1] else rate
    months[place - 1] = f"{_ROUGH.divide(_ROUGH.add(known, rate), _TWO):f}"
    return ",".join(months)


def _month(since: datetime, at: datetime) -> int:
    """The month in which the middle of a time lies."""
    return (since + (at - since) / 2).month
