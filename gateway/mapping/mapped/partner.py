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
    """The partner's codes, by their normalised form, and back: `partners` by our meter and point, `words` by our register.

    `only`: a code that is not among them is a problem, else it is taken as ours.
    """

    owners: Mapping[str, Code] = {}
    registers: Mapping[str, str] = {}
    partners: Mapping[tuple[str, str], Code] = {}
    words: Mapping[str, str] = {}
    only: bool = False

    def of(self, meter: str, point: str, agreement: str) -> tuple[Code, Problem | None]:
        """Whose a row is that names these codes."""
        found = self.owners.get(key(meter or point))
        if found is None:
            problem = Problem(code="crosswalk_unknown", values={"code": (meter or point)[:40]}) if self.only and (meter or point) else None
            return Code(meter, point, agreement), problem
        return Code(found.meter or ("" if found.point else meter), found.point, found.agreement or agreement), None

    def back(self, meter: str, point: str, agreement: str) -> Code:
        """How the partner writes whose a reading is; in our words where he has none."""
        found = self.partners.get((key(meter), key(point)))
        return Code(meter, point, agreement) if found is None else Code(found.meter, found.point, agreement)

    def register(self, written: str) -> str:
        """Our register for the partner's word, the word itself where the crosswalk has none."""
        return self.registers.get(key(written), written)

    def register_back(self, register: str) -> str:
        """The partner's word for our register, our own where the crosswalk has none."""
        return self.words.get(register, register)


def codes_of(crosswalk: Crosswalk, *, only: bool = False) -> Codes:
    """The codes of a crosswalk by their normalised form."""
    return Codes(
        owners={key(link.code): Code(link.meter, link.point, link.agreement) for link in crosswalk.links if not link.register},
        registers={key(link.code): link.register for link in crosswalk.links if link.register},
        partners={
            (key(link.meter), key(link.point)): Code(link.code if link.meter else "", "" if link.meter else link.code)
            for link in reversed(crosswalk.links)
            if not link.register
        },
        words={link.register: link.code for link in reversed(crosswalk.links) if link.register},
        only=only,
    )
