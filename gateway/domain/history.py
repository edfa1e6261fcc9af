"""What a history shows of readings: each with its values and what billing settled of it, or their sums by month or year."""

from datetime import datetime
from decimal import Decimal
from typing import Final, Literal, TypeVar
from uuid import UUID

import msgspec

from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import INTERVALS, REGISTERS
from gateway.domain.status import ReadingStatus

Step = Literal["month", "year"]
T = TypeVar("T")


class Place(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a meter hangs, in the words of the registry, and the profile whose words are used of it."""

    agreement: str
    profile: str
    location: str
    address: str
    point: str
    point_name: str
    meter: str


class Settled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The newest word of billing on one quantity of a meter or point in a period. `readings`: those it used, none when it named none."""

    agreement_id: int
    meter_id: int | None
    point: str
    quantity: str
    period: str
    volume: Decimal
    unit: str
    method: str
    readings: tuple[UUID, ...]


class Shown(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One value of a reading in a history. `settled`: what billing settled of it, None where it has said nothing yet."""

    register: str
    value: Decimal
    previous: Decimal | None
    consumption: Decimal | None
    volume: bool
    settled: Settled | None = None


class Past(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One reading as it came. `source`: who read the meter, else the channel it came by."""

    id: UUID
    place: Place
    period: str
    at: datetime | None
    status: ReadingStatus
    revision: int
    source: str
    received_at: datetime
    same_as: UUID | None
    values: tuple[Shown, ...]


class Sum(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one register of a meter used in a month or year by the readings that stand. `last`: the last value its dial showed in it."""

    span: str
    meter_id: int
    place: Place
    register: str
    readings: int
    consumption: Decimal | None
    last: Decimal | None


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Which readings are asked for; empty: all. `first`, `last`: periods; `since`, `until`: instants, the second not in it."""

    agreement: str = ""
    meter: str = ""
    location: str = ""
    address: str = ""
    first: str = ""
    last: str = ""
    since: datetime | None = None
    until: datetime | None = None
    status: ReadingStatus | None = None


_SETTLES: Final = frozenset(ReadingStatus) - {
    ReadingStatus.REJECTED,
    ReadingStatus.NEEDS_REVIEW,
    ReadingStatus.WITHDRAWN,
    ReadingStatus.SUPERSEDED,
}


def settled(words: list[Settled], reading: UUID, status: ReadingStatus, meter: int, point: str, register: str) -> Settled | None:
    """Billing's word on one value: the one that names its reading, else one that names no reading, of a reading that stands."""
    kind = REGISTERS.get(register) or INTERVALS.get(register)
    names = {register} if kind is None else {register, str(kind.quantity)}
    for one in words:
        here = one.meter_id == meter if one.meter_id is not None else one.point in ("", point)
        if here and one.quantity in names and (reading in one.readings or (not one.readings and status in _SETTLES)):
            return one
    return None


def bounded(reach: Reach, agreement_ids: tuple[int, ...] | None) -> Reach:
    """The question, if it is about one agreement or meter or comes from a key that sees some agreements only. Raises Rejected."""
    if not (reach.agreement or reach.meter or agreement_ids is not None):
        raise Rejected(Problem(code="history_unbounded", where="agreement"))
    return reach


def within(found: list[T], limit: int) -> list[T]:
    """The rows unless they are more than a workbook takes. Raises Rejected."""
    if len(found) > limit:
        raise Rejected(Problem(code="history_too_long", values={"limit": str(limit)}))
    return found
