"""The rules that hold a consumption against what can physically pass: the power of an object, the flow of a meter (V-08)."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Final

from gateway.domain.cases import Case, Objection, corrects, exactly, text
from gateway.domain.readings import EXACT, REGISTERS, Unit

_ONE: Final = Decimal(1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


def power_exceeded(case: Case) -> Iterator[Objection]:
    """More energy than the object can draw with its greatest power in the hours since the last value, a tenth and a unit more (V-08)."""
    return _exceeded(case, case.meter.max_power, "power", Unit.KWH)


def flow_exceeded(case: Case) -> Iterator[Objection]:
    """More cubic metres than can run through the meter in the hours since the last value, a tenth and a unit more (V-08)."""
    return _exceeded(case, case.meter.max_flow, "flow", Unit.M3)


def _exceeded(case: Case, greatest: Decimal | None, name: str, unit: Unit) -> Iterator[Objection]:
    """The dials of a unit that ran faster than is possible; `greatest`: units an hour, told as `name`, None where nobody knows."""
    if greatest is None:
        return
    limit = EXACT.multiply(greatest, exactly(case.profile.plausible.power))
    for value in case.values:
        register = value.register
        since = register.before_at if corrects(case, register) else register.last_at
        if value.previous is None or since is None or case.at <= since or REGISTERS[register.code].unit is not unit:
            continue
        hours = Decimal(max(case.at - since, _DAY) / _HOUR)  # of a value typed when it arrived only the day is known
        ratio = _ONE if value.reading.ratio_applied else case.meter.ratio
        most = EXACT.add(EXACT.multiply(limit, hours), case.meter.ratio)
        used = EXACT.multiply(EXACT.subtract(value.reading.value, value.previous), ratio)
        if used > most:
            told = {"value": text(value.reading.value), "consumption": text(used), name: text(greatest)}
            yield value.reading.where, told | {"most": text(most.quantize(_ONE))}
