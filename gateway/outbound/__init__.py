"""Targets: readings to billing, letters to people, one file per kind. Here stands their contract."""

from collections.abc import Generator, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from gateway.domain.problems import Misconfigured
from gateway.domain.readings import IntervalBlock, Quality
from gateway.texts import Language

Guarantee = Literal["A", "B", "C"]
"""What a billing can do about a lost answer: honour our key (A), be asked whether it holds an item (B), neither (C)."""


class Value(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One register's value as billing gets it: the reading, the value before it, and the consumption both give in `unit`.

    `volume`: the value is the amount of the whole period, summed up from intervals, and no state of a dial.
    """

    register: str
    value: Decimal
    unit: str
    previous: Decimal | None = None
    consumption: Decimal | None = None
    quality: Quality = Quality.VALID
    ratio_applied: bool = False
    losses_applied: bool = False
    volume: bool = False


class Item(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """One meter reading on its way. `key` names it for ever: a repeat carries the same key. `revision` counts corrections of a period.

    `blocks`: for a target that wants `intervals`, the hours and half-hours that this billing has not taken yet.
    """

    key: str
    agreement: str
    point: str
    meter: str
    period: str
    at: datetime
    revision: int
    values: tuple[Value, ...]
    blocks: tuple[IntervalBlock, ...] = ()


class Letter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One letter on its way, worded by its target. `key` names it for ever: a repeat carries the same key. `values`: facts for its text."""

    key: str
    kind: str
    recipient: str
    language: Language
    values: dict[str, str]
    written_at: datetime


class Batch(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one call carries: readings to a billing, or letters to people, never both."""

    id: str
    items: tuple[Item, ...]
    letters: tuple[Letter, ...] = ()


class Outcome(StrEnum):
    """What billing says of one item: taken, refused for good, or not now.

    `pending`: billing has it and will give its word later, when it is asked. `unknown`: asked about it, billing does not hold it.
    """

    TAKEN = "taken"
    REFUSED = "refused"
    LATER = "later"
    PENDING = "pending"
    UNKNOWN = "unknown"


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False, omit_defaults=True):
    """Billing's word on one item, with its own number for it and its reason when it has them."""

    key: str
    outcome: Outcome
    reference: str = ""
    reason: str = ""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Billing's answer to a batch, row by row, and the raw bytes it came in (at most 1 MiB)."""

    answers: tuple[Answer, ...]
    raw: bytes = b""


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A billing connection, or the way that letters go. Its fields are its settings, from `metergate.toml`.

    `rate`: items per second at most, 0 for no cap. `concurrency`: calls at once. `batch`: items a call.
    `per_lane`: readings of one meter that may travel in one call. Of class B: `poll`: seconds between two questions about an item that
    billing still has pending; `overdue`: seconds after its last sending when a pending item becomes doubtful and a person is asked instead.

    Of a billing that is asked for master data: `master_every`: seconds from one fetch to the next, 0 for never of itself; `master_profile`:
    the profile of the agreements it knows, when not exactly one names this target; `master_max_retired`: percent of the meters that
    may be missing in a fetch; `master_timeout`: seconds for a fetch.
    """

    rate: float = 0.0
    concurrency: int = 4
    batch: int = 500
    per_lane: int = 1
    poll: float = 60.0
    overdue: float = 86400.0
    master_every: Annotated[float, msgspec.Meta(ge=0, le=366 * 86400)] = 0.0
    master_profile: str = ""
    master_max_retired: Annotated[float, msgspec.Meta(ge=0, le=100)] = 5.0
    master_timeout: Annotated[float, msgspec.Meta(gt=0, le=86400)] = 600.0

    @property
    def letters(self) -> bool:
        """Whether it carries letters; any other carries readings."""
        return False

    @property
    def intervals(self) -> bool:
        """Whether its items carry the blocks of intervals behind them, and not their amounts alone."""
        return False

    @property
    def guarantee(self) -> Guarantee:
        """The class of this billing, which may depend on its settings."""
        return "C"

    def deliver(self, batch: Batch) -> Receipt:  # noqa: ARG002 - the contract's signature
        """Hand a batch over and return billing's word on every item of it.

        Raises Rejected when billing refuses the call for good, Unavailable when it cannot be reached or its answer was lost
        (`sent` says whether it may have the batch), Misconfigured when an operator must mend something. An item answered as pending is
        asked about later; an item that is not answered at all counts as one whose answer was lost.
        """
        raise Misconfigured(f"{type(self).__name__} cannot deliver")

    def ask(self, batch: Batch, tried: Mapping[str, str]) -> Receipt:  # noqa: ARG002 - the contract's signature
        """Ask a billing of class B what became of items whose answer is not known: taken, refused, still pending, or unknown to it.

        `tried`: key -> id of the batch in which the item was last sent. An item that is not answered waits and is asked about again.
        Changes nothing at billing. Raises as `deliver` does.
        """
        raise Misconfigured(f"{type(self).__name__} cannot be asked")

    def master(self) -> Generator[bytes, None, None]:
        """All that billing knows of its agreements, points, meters and registers: a feed's CSV in UTF-8 (docs/cli.md), piece by piece.

        What was yielded counts only when the end is reached. Raises as `deliver` does, Rejected for what cannot be such a file.
        """
        raise Misconfigured(f"{type(self).__name__} offers no master data")

    def close(self) -> None:
        """Let go of connections; a target that keeps none does nothing."""
