"""Old values of a register, read before it was read through here: they fill what it remembers and take nothing from it."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from gateway.domain.belief import believe, usual
from gateway.domain.supply import Register


class OldValue(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of a history: what a register showed on a day. A meter is told by its number, its point or both."""

    agreement: str
    meter: str = ""
    point: str = ""
    register: str
    date: date
    value: Decimal


class Dated(NamedTuple):
    """An old value with the moment it was read and the period that it counts for (`YYYY-MM`)."""

    period: str
    at: datetime
    value: Decimal


def recall(register: Register, values: Sequence[Dated]) -> Register:
    """The register once it knows these values, which stand in the order of their moments; the same values again change nothing.

    Months of the season that it knows stay as they are. Its last value moves only to one of a later period; while it has none, every
    value is later. A value lower than the one before it teaches nothing of the time between them.
    """
    known = _dated(register, values)
    new = [one for one in values if one.period > known.last_period and (known.last_at is None or one.at > known.last_at)]
    if new:
        taught = _folded(values if len(new) > 1 else [*_until(known, values), *new])
    else:
        taught = _folded(_series(known, values))
        if known.last_at is None:
            taught = msgspec.structs.replace(taught, before=taught.last, before_at=taught.last_at, daily=usual(taught))
    moved = {"season": _joined(known.season, taught.season)}
    return msgspec.structs.replace(known, **(moved | (_moved(known, new, taught) if new else _filled(known, taught))))


def _dated(register: Register, values: Sequence[Dated]) -> Register:
    """The register with the day of its last value, where the registry told the value without it."""
    if register.last_at is not None or not register.last_period:
        return register
    same = (one.at for one in reversed(values) if one.value == register.last and register.last_period in (one.period, f"{one.at:%Y-%m}"))
    return msgspec.structs.replace(register, last_at=next(same, None))


def _series(known: Register, values: Iterable[Dated]) -> list[Dated]:
    """What was read until the last value believed, which stays: old values, then those that are known with their moments."""
    if known.last_at is None:
        return [one for one in values if one.period < known.last_period]
    if known.before is None or known.before_at is None:
        return _until(known, values)
    before = msgspec.structs.replace(known, last=known.before, last_at=known.before_at)
    return [*_until(before, values), *_until(known, ())]


def _until(known: Register, values: Iterable[Dated]) -> list[Dated]:
    """The values before the last one known, and this one, as far as its moment is known."""
    if known.last_at is None or known.last is None:
        return [one for one in values if one.period <= known.last_period]
    return [*(one for one in values if one.at < known.last_at), Dated(known.last_period, known.last_at, known.last)]


def _folded(values: Iterable[Dated]) -> Register:
    """A register that has seen these values and nothing else."""
    taught = Register(id=0, code="", digits=0, decimals=0)
    for one in values:
        taught = believe(taught, one.value, period="", at=one.at, reading=None, chain=True)
    return taught


def _moved(known: Register, new: Sequence[Dated], taught: Register) -> dict[str, Any]:
    """What changes when the last value moves on."""
    before, before_at = (new[-2].value, new[-2].at) if len(new) > 1 else (known.last, known.last_at)
    last = {"last": new[-1].value, "last_period": new[-1].period, "last_at": new[-1].at, "last_reading": None, "estimated": 0}
    return last | {"before": before, "before_at": before_at, "daily": known.daily if taught.daily is None else taught.daily}


def _filled(known: Register, taught: Register) -> dict[str, Any]:
    """What was open before the last value, which stays."""
    filled: dict[str, Any] = {}
    if known.daily is None:
        filled["daily"] = taught.daily
    if known.before_at is None and known.before in (None, taught.before):
        filled |= {"before": taught.before, "before_at": taught.before_at}
    return filled


def _joined(known: str, taught: str) -> str:
    """The months that are known, and those taught where nothing is."""
    if not known or not taught:
        return known or taught
    return ",".join(ours or theirs for ours, theirs in zip(known.split(","), taught.split(","), strict=True))
