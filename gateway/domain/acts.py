"""Acts that inspectors write about a meter: that it was admitted, exchanged, or fails from a day to a day (product.md, section 0)."""

from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Literal

import msgspec

from gateway.domain.cases import finer, text
from gateway.domain.problems import Problem
from gateway.domain.readings import REGISTERS
from gateway.domain.supply import Meter

Kind = Literal["admission", "exchange", "failure"]


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One act about a meter, told apart by its kind and number.

    `first`: its day, of a failure the first one. `last`: the last day of a failure, None while it lasts. `final`: what the registers of the
    old meter showed when it was taken down, `initial`: those of the new one, whose number is `successor`; of an exchange alone.
    """

    kind: Kind
    number: str
    first: date
    last: date | None = None
    final: Mapping[str, Decimal] = {}
    initial: Mapping[str, Decimal] = {}
    successor: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for what no act of its kind says."""
        if not self.number.strip():
            raise ValueError("number: it is what tells acts apart")
        if self.last is not None and (self.kind != "failure" or self.last < self.first):
            raise ValueError(f"last_day: {self.last} does not end a failure that began on {self.first}")
        if self.kind != "exchange" and (self.final or self.initial or self.successor):
            raise ValueError(f"final, initial, successor: an act of {self.kind} does not say them")

    def told(self) -> dict[str, object]:
        """What only an exchange says, as it is kept."""
        values = {name: {code: text(value) for code, value in getattr(self, name).items()} for name in ("final", "initial")}
        return {name: said for name, said in (values | {"successor": self.successor}).items() if said}


def strange(act: Act, meter: Meter) -> Iterator[Problem]:
    """Values of an exchange that the registers of the meter cannot show; of the new meter, which may not be known yet, what is none."""
    for code in act.initial:
        if code not in REGISTERS:
            yield Problem(
                code="register_unknown",
                where=f"initial.{code[:40]}",
                values={"register": code[:40], "meter": act.successor or meter.serial},
            )
    for code, value in act.final.items():
        register, where = meter.register(code), f"final.{code}"
        if register is None:
            yield Problem(code="register_unknown", where=where, values={"register": code, "meter": meter.serial})
        elif not 0 <= value < Decimal(10) ** register.digits:
            yield Problem(code="too_many_digits", where=where, values={"value": text(value), "digits": str(register.digits)})
        elif finer(value, register.decimals):
            yield Problem(code="too_many_decimals", where=where, values={"value": text(value), "decimals": str(register.decimals)})
