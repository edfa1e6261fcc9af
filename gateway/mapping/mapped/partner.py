"""A partner's codes beside ours, as a crosswalk says them."""

from collections.abc import Mapping

import msgspec

from gateway.domain.crosswalks import Crosswalk
from gateway.domain.problems import Problem
from gateway.domain.supply import key


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
        """Our register for the partner's word, the word itself where the crosswalk has none."""
        return self.registers.get(key(written), written)


def codes_of(crosswalk: Crosswalk, *, only: bool = False) -> Codes:
    """The codes of a crosswalk by their normalised form."""
    return Codes(
        owners={key(link.code): Code(link.meter, link.point, link.agreement) for link in crosswalk.links if not link.register},
        registers={key(link.code): link.register for link in crosswalk.links if link.register},
        only=only,
    )
