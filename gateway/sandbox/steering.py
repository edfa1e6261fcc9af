"""Orders by which a tester makes the sandbox billing misbehave: `POST /control`, as contracts_schema/sandbox.md says."""

import threading
from enum import StrEnum
from typing import Annotated, Final

import msgspec

from gateway.sandbox.config import Account
from gateway.sandbox.wire import Item, Outcome, Result


class Do(StrEnum):
    """What may be ordered."""

    DOWN = "down"
    FAIL = "fail"
    STALL = "stall"
    LOSE = "lose"
    GARBAGE = "garbage"
    HTML = "html"
    REFUSE = "refuse"
    REFUSE_ALL = "refuse_all"
    LATER = "later"
    UP = "up"


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One order. `times`: calls it holds for, 0 for until `up`; `account`: only this account's calls, all when empty."""

    do: Do
    times: Annotated[int, msgspec.Meta(ge=0)] = 0
    account: str = ""
    status: Annotated[int, msgspec.Meta(ge=300, le=599)] = 503
    retry_after: str = ""
    location: str = ""
    seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 1.0
    meters: tuple[str, ...] = ()
    reason: str = ""


ORDERS: Final = msgspec.json.Decoder(Order)


class Steering:
    """The orders in force, oldest first, and how often some were ended by `up`. They are forgotten when the sandbox stops."""

    def __init__(self) -> None:
        self.ended = 0
        self._orders: list[tuple[Order, int]] = []
        self._lock = threading.Lock()

    @property
    def active(self) -> tuple[Order, ...]:
        """The orders in force, each with the calls it still holds for."""
        return tuple(msgspec.structs.replace(order, times=left) for order, left in self._orders)

    def give(self, order: Order) -> None:
        """Put an order in force; `up` ends all of them (of its account, when it names one)."""
        with self._lock:
            if order.do is Do.UP:
                self._orders = [(other, left) for other, left in self._orders if order.account and other.account != order.account]
                self.ended += 1
            else:
                self._orders.append((order, order.times))

    def fires(self, account: Account, *wanted: Do) -> Order | None:
        """The oldest order of these kinds in force for the account, counted as carried out."""
        with self._lock:
            for place, (order, left) in enumerate(self._orders):
                if order.do not in wanted or order.account not in ("", account.name):
                    continue
                if left == 1:
                    del self._orders[place]
                elif left:
                    self._orders[place] = (order, left - 1)
                return order
        return None

    def judge(self, account: Account) -> "Judgement":
        """What this call's orders say of its rows."""
        return Judgement(later=self.fires(account, Do.LATER), all=self.fires(account, Do.REFUSE_ALL), some=self.fires(account, Do.REFUSE))


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The orders about rows that hold for one call."""

    later: Order | None
    all: Order | None
    some: Order | None

    def __call__(self, item: Item) -> Result | None:
        """Refuse the row or put it off, if so ordered."""
        if self.later and (not self.later.meters or item.meter in self.later.meters):
            return Result(key=item.key, outcome=Outcome.LATER, reason=self.later.reason or "asked_to_wait")
        if self.all:
            return Result(key=item.key, outcome=Outcome.REFUSED, reason=self.all.reason or "refused_by_order")
        if self.some and item.meter in self.some.meters:
            return Result(key=item.key, outcome=Outcome.REFUSED, reason=self.some.reason or "meter_refused")
        return None
