"""What travels to and from the sandbox billing, as its contract (contracts_schema/http_json.md) says it."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final, Literal

import msgspec

Number = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,40}(\.[0-9]{1,40})?\Z")]
"""A decimal as text: digits and one point, no exponent."""
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Outcome(StrEnum):
    """What this billing says of one row."""

    TAKEN = "taken"
    REFUSED = "refused"
    LATER = "later"


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One register's value in a row."""

    register: Name
    value: Number
    unit: str
    previous: Number | None = None
    consumption: Number | None = None
    quality: str = "valid"
    ratio_applied: bool = False
    losses_applied: bool = False

    def volume(self) -> Decimal:
        """The consumption as given, else the difference of the two values, else nothing."""
        if self.consumption is not None:
            return Decimal(self.consumption)
        return Decimal(self.value) - Decimal(self.previous) if self.previous is not None else Decimal(0)


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One row: a meter reading under its key."""

    key: Name
    agreement: str
    point: str
    meter: str
    period: str
    at: Moment
    revision: int
    values: Annotated[tuple[Value, ...], msgspec.Meta(max_length=200)]

    @property
    def reading(self) -> str:
        """The key of the reading it is of: its own, but for a day of one, whose key is `READING/YYYYMMDD`."""
        return self.key.partition("/")[0] if self.day else self.key

    @property
    def day(self) -> str:
        """The day that it is of, when it is not a whole reading."""
        day = self.key.rpartition("/")[2]
        return day if len(day) == 8 and day.isdecimal() and day != self.key else ""


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one call carries."""

    batch: Name
    items: Annotated[tuple[Item, ...], msgspec.Meta(min_length=1, max_length=10_000)]


BATCHES: Final = msgspec.json.Decoder(Batch)
"""Made once, here: msgspec learns a type when it is first asked about it, and two threads that ask at once crash it."""


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The word on one row."""

    key: str
    outcome: Outcome
    reference: str = ""
    reason: str = ""


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a call."""

    results: tuple[Result, ...]


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a whole call was turned away."""

    reason: str


REFUSALS: Final = msgspec.json.Decoder(Refusal)


Stage = Literal["calculated", "billed"]


class Settlement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One settled volume, posted back to the account's `settle_url`."""

    agreement: str
    period: str
    quantity: str
    volume: str
    unit: str
    stage: Stage
    version: int
    point: str
    meter: str
    method: Literal["meter"]
    reference: str
    at: datetime
    readings: tuple[str, ...]
    amount: str | None = None


class Settlements(msgspec.Struct, frozen=True, kw_only=True):
    """What one call to `settle_url` carries."""

    settlements: tuple[Settlement, ...]
