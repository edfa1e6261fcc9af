"""A partner's codes beside ours, as a crosswalk says them."""

import csv
import io
from collections.abc import Mapping

import msgspec

from gateway.domain.crosswalks import Crosswalk
from gateway.domain.problems import Misconfigured, Problem
from gateway.domain.readings import MeterReading
from gateway.domain.supply import key
from gateway.mapping.any_table import read_any
from gateway.mapping.cells import Cell, CellError, cell_code
from gateway.mapping.zip_gate import kind_of
from gateway.settings import Limits


class Code(msgspec.Struct, frozen=True):
    """Whose a row is, in our words: numbers as the registry has them, empty where it is not told."""

    meter: str = ""
    point: str = ""
    agreement: str = ""


class Codes(msgspec.Struct, frozen=True, kw_only=True):
    """The partner's codes, by their normalised form, and back: `partners` by our meter and point, `words` by our register, `accounts` by
    our agreement.

    `only`: a code that is not among them is a problem, else it is taken as ours.
    """

    owners: Mapping[str, Code] = {}
    agreements: Mapping[str, str] = {}
    registers: Mapping[str, str] = {}
    partners: Mapping[tuple[str, str], str] = {}
    accounts: Mapping[str, str] = {}
    words: Mapping[str, str] = {}
    only: bool = False

    def of(self, meter: str, point: str, agreement: str) -> tuple[Code, Problem | None]:
        """Whose a row is that names these codes."""
        agreement = self.agreements.get(key(agreement), agreement)
        found = self.owners.get(key(meter or point))
        if found is None:
            problem = Problem(code="crosswalk_unknown", values={"code": (meter or point)[:40]}) if self.only and (meter or point) else None
            return Code(meter, point, agreement), problem
        return Code(found.meter or ("" if found.point else meter), found.point, found.agreement or agreement), None

    def back(self, meter: str, point: str) -> tuple[str, str] | None:
        """How the partner names a meter and its point, empty where he has no name; None where he has none for both."""
        ours = key(meter), key(point)
        if (both := self.partners.get(ours)) is not None:
            return (both, "") if meter else ("", both)
        found = self.partners.get((ours[0], ""), ""), self.partners.get(("", ours[1]), "")
        return found if any(found) else None

    def agreement_back(self, agreement: str) -> str:
        """The partner's number of our agreement, our own where the crosswalk has none."""
        return self.accounts.get(key(agreement), agreement)

    def ours(self, reading: MeterReading) -> MeterReading:
        """A reading that is by the partner's codes, by ours; a code that is not among them, where no other may be, is its problem."""
        code, problem = self.of(reading.meter, reading.point, reading.agreement)
        wrong = () if problem is None else (msgspec.structs.replace(problem, where=reading.where),)
        told = msgspec.structs.replace(reading, meter=code.meter, point=code.point, agreement=code.agreement)
        return msgspec.structs.replace(told, problems=reading.problems + wrong)

    def register(self, written: str) -> str:
        """Our register for the partner's word, the word itself where the crosswalk has none."""
        return self.registers.get(key(written), written)

    def register_back(self, register: str) -> str:
        """The partner's word for our register, our own where the crosswalk has none."""
        return self.words.get(register, register)


def crosswalk_text(body: bytes, limits: Limits) -> bytes:
    """A crosswalk as the CSV that is kept, whatever table it comes in: a workbook, a text in another encoding, a DBF.

    Raises Rejected for what is no table, Misconfigured for a cell that is no code, with its place.
    """
    if not body or (kind_of(body) == "text" and _is_utf8(body)):
        return body
    table = next((table for table in read_any(body, limits) if not table.hidden and table.rows), None)
    if table is None:
        raise Misconfigured("crosswalk: there is no table in it")
    spoilt = {problem.where: problem.code for problem in table.problems}
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=";", lineterminator="\n")
    for row, cells in enumerate(table.rows):
        codes = [_code(cell, table.where(row, column), spoilt) for column, cell in enumerate(cells)]
        if any(codes):
            writer.writerow(codes)
    return text.getvalue().encode()


def _code(cell: Cell, where: str, spoilt: Mapping[str, str]) -> str:
    try:
        code, wrong = cell_code(cell), spoilt.get(where, "")
    except CellError as error:
        code, wrong = "", error.code
    if wrong:
        raise Misconfigured(f"crosswalk: {where}: {wrong}: {str(cell)[:40]}")
    return code


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return True


def codes_of(crosswalk: Crosswalk, *, only: bool = False) -> Codes:
    """The codes of a crosswalk by their normalised form."""
    owners = [link for link in crosswalk.links if link.meter or link.point]
    accounts = [link for link in crosswalk.links if link.of_agreement]
    return Codes(
        owners={key(link.code): Code(link.meter, link.point, link.agreement) for link in owners if not link.register},
        agreements={key(link.code): link.agreement for link in accounts},
        registers={key(link.code): link.register for link in crosswalk.links if link.register},
        partners={(key(link.meter), key(link.point)): link.code for link in reversed(owners) if not link.register},
        accounts={key(link.agreement): link.code for link in reversed(accounts)},
        words={link.register: link.code for link in reversed(crosswalk.links) if link.register},
        only=only,
    )
