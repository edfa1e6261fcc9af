"""Short ways to say a meter, what is sent for it, and its verdict; shared by the tests of the domain."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from gateway.domain.judging import Judged, judge
from gateway.domain.profile import Profile, ReadingRules, read_profile
from gateway.domain.readings import MeterReading, Reading
from gateway.domain.supply import Meter, Register
from gateway.profiles import shipped

PROFILES: Mapping[str, Profile] = {name: read_profile(document) for name, document in shipped().items()}
OCTOBER = datetime(2022, 10, 25, 12, tzinfo=UTC)
"""A moment at which readings of October 2022, and of no other month, are taken."""


def register(code: str = "A+", last: str | None = None, digits: int = 5, decimals: int = 0, **known: Any) -> Register:
    """A register; one that stood at `last` got that value in September 2022 unless told otherwise."""
    believed: dict[str, Any] = {"last_period": "2022-09", "last_at": datetime(2022, 9, 30, tzinfo=UTC)} if last is not None else {}
    value = None if last is None else Decimal(last)
    fields: dict[str, Any] = {"id": sum(map(ord, code)), "code": code, "digits": digits, "decimals": decimals, "last": value}
    return Register(**(fields | believed | known))


def meter(*registers: Register, ratio: str = "1", losses: str = "0", **more: Any) -> Meter:
    """Meter 20300109 of agreement 78010000002778."""
    place: dict[str, Any] = {"id": 1, "serial": "20300109", "agreement": "78010000002778", "agreement_id": 1, "point": "1"}
    return Meter(**(place | {"registers": registers, "ratio": Decimal(ratio), "losses": Decimal(losses)} | more))


def sent(values: Mapping[str, str], period: str = "2022-10", **more: Any) -> MeterReading:
    """What a sender says of the meter: values by register."""
    readings = tuple(Reading(register=code, value=Decimal(value), where=f"at {code}") for code, value in values.items())
    return MeterReading(**({"meter": "20300109", "period": period, "readings": readings, "where": "meter"} | more))


def profile(name: str = "legal_entity", *, reading: Mapping[str, Any] | None = None, **changes: Any) -> Profile:
    """A shipped profile, changed."""
    rules = msgspec.structs.replace(PROFILES[name].reading, **(reading or {}))
    return msgspec.structs.replace(PROFILES[name], **({"reading": rules} | changes))


def strict(**changes: Any) -> Profile:
    """A profile in which every rule has the weight it has by itself."""
    return msgspec.structs.replace(PROFILES["legal_entity"], **({"severity": {}, "reading": ReadingRules()} | changes))


def verdict(values: Mapping[str, str], of: Meter, by: Profile | None = None, arrival: datetime = OCTOBER, **more: Any) -> Judged:
    """Judge what was sent for a meter."""
    return judge(sent(values, **more), of, by or strict(), arrival)


def weights(judged: Judged) -> dict[str, str]:
    """The codes found with their weights."""
    return {problem.code: str(problem.severity) for problem in judged.problems}


def local(text: str, zone: str) -> datetime:
    """A moment as a clock in that zone shows it."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
