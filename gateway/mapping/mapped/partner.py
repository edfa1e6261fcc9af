"""A partner's codes beside ours: a small table, brought in as CSV or a workbook, that a mapping names."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from gateway.domain.problems import Problem
from gateway.domain.supply import key

COLUMNS: Final = ("code", "meter", "point", "agreement", "register")
"""The columns of a crosswalk. A row with a `register` says what the partner calls one of our registers, every other whose a code is."""


class Code(msgspec.Struct, frozen=True):
    """Whose a row is, in our words: numbers as the registry has them, empty where it is not told."""

    meter: str = ""
    point: str = ""
    agreement: str = ""


class Codes(msgspec.Struct, frozen=True, kw_only=True):
    """The partner's codes, by their normalised form. `only`: a code that is not among them is a problem, else it is taken as ours."""

    owners: Mapping[str, Code] = {}
    registers: Mapping[str, str] = {}
    only: bool = False

    def of(self, meter: str, point: str, agreement: str) -> tuple[Code, Problem | None]:
        """Whose a row is that names these codes."""
        found = self.owners.get(key(meter or point))
        if found is None:
            problem = Problem(code="crosswalk_unknown", values={"code": (meter or point)[:40]}) if self.only and (meter or point) else None
            return Code(meter, point, agreement), problem
        return Code(found.meter or ("" if found.point else meter), found.point, found.agreement or agreement), None

    def register(self, written: str) -> str:
        """Our register for the partner's word, the word itself where the table has none."""
        return self.registers.get(key(written), written)


def codes_of(rows: Iterable[Mapping[str, str]], *, only: bool = False) -> Codes:
    """The codes of a crosswalk's rows, each with the COLUMNS."""
    owners: dict[str, Code] = {}
    registers: dict[str, str] = {}
    for row in rows:
        if register := row.get("register", ""):
            registers[key(row["code"])] = register
        else:
            owners[key(row["code"])] = Code(row.get("meter", ""), row.get("point", ""), row.get("agreement", ""))
    return Codes(owners=owners, registers=registers, only=only)
