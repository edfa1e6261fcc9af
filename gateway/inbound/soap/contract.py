"""The published contract, `contracts_schema/soap`: the WSDL with this server's address, the schema, and what breaks it in a message."""

import re
import threading
from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from lxml import etree

from gateway.domain.problems import Misconfigured, Problem, Rejected

NAMESPACE: Final = "urn:metergate:soap:1"
OPERATIONS: Final = ("SubmitReadings", "SubmitFile", "GetStatus")
OBJECTIONS: Final = 1_000
"""How many breaches of the schema one fault names."""

Find = Callable[..., Any]

_HOMES: Final = (Path(__file__).with_name("contracts"), Path(__file__).parents[3] / "contracts_schema" / "soap")
_WHOLE: Final = 20_000
"""Up to so many elements a message is held to the schema at once, above it in pieces of so many readings."""
_PIECE: Final = 200
_SHOWN: Final = 100
_NAMESPACES: Final = re.compile(r"\{[^}]*\}")
_STEPS: Final = re.compile(r"/([^/\[]+)(?:\[(\d+)\])?").findall
_NAMES: Final = {"m": NAMESPACE}
_size: Final[Find] = etree.XPath("count(descendant::*)")
_readings: Final[Find] = etree.XPath("m:Reading", namespaces=_NAMES)
_strays: Final[Find] = etree.XPath(
    "*[not(self::m:Reading)][not(self::m:MessageID) or preceding-sibling::*] | m:Reading[count(descendant::*) > 400]", namespaces=_NAMES
)
"""What cannot stand in SubmitReadings at all: another element than a Reading, or one of more elements than a Reading can have."""
_here = threading.local()


@cache
def document(name: str) -> bytes:
    """A file of the contract: in an installed wheel beside this module, else where the repository keeps it. Raises Misconfigured."""
    for home in _HOMES:
        if (home / name).is_file():
            return (home / name).read_bytes()
    raise Misconfigured(f"the SOAP contract {name} is missing: install metergate again")


def wsdl(address: str) -> bytes:
    """The WSDL of a server that is asked at this address."""
    return document("metergate.wsdl").replace(b"{address}", escape(address, {'"': "&quot;"}).encode())


def action(operation: str) -> str:
    """The SOAPAction of an operation."""
    return f"{NAMESPACE}:{operation}"


def check(operation: "etree._Element") -> None:
    """Hold an operation's element to the schema. Raises Rejected with every breach, each at its element and line.

    A large message is held to it piece by piece, its readings put back afterwards: naming a breach costs as much as there are siblings.
    """
    if _size(operation) <= _WHOLE:
        found = _breaches(operation, 0)
    else:
        found = [_stray(one) for one in _strays(operation)[:_SHOWN]]
        readings = [] if found else _readings(operation)
        for first in range(0, len(readings), _PIECE):
            piece = etree.Element(operation.tag)
            piece.extend(readings[first : first + _PIECE])
            found += _breaches(piece, first)
            if len(found) >= OBJECTIONS:
                break
        else:
            operation.extend(readings)
    if found:
        raise Rejected(*found[:OBJECTIONS])


def _breaches(piece: "etree._Element", before: int) -> list[Problem]:
    """What the schema objects to; `before`: how many readings of the message stand before this piece of it."""
    schema = _schema()
    if schema.validate(piece):
        return []
    log: Any = schema.error_log
    said = [(entry.path or "", entry.line, entry.message) for entry in islice(log, OBJECTIONS)]
    return [
        Problem(
            code="xml_schema",
            where=_place(piece, path, before),
            values={"line": str(line), "reason": _NAMESPACES.sub("", message).strip().rstrip(".")[:300]},
        )
        for path, line, message in said
    ]


def _stray(one: "etree._Element") -> Problem:
    name = etree.QName(one).localname
    values = {"line": str(one.sourceline), "reason": f"Element '{name}': This element is not expected"}
    nth = f"[{1 + sum(1 for _ in one.itersiblings(one.tag, preceding=True))}]" if name == "Reading" else ""
    return Problem(code="xml_schema", where=f"/Envelope/Body/SubmitReadings/{name}{nth}", values=values)


def _place(piece: "etree._Element", path: str, before: int) -> str:
    """An element's path in our own words: local names, and the number of each reading and register."""
    here, place = piece, f"/Envelope/Body/{etree.QName(piece).localname}"
    for step, number in _STEPS(path)[1:]:
        name, order = step.rpartition(":")[2], int(number or 1)
        same = (child for child in here if name in ("*", etree.QName(child).localname))
        here = next(islice(same, order - 1, None))
        name = etree.QName(here).localname
        if name in ("Reading", "Register"):
            nth = 1 + sum(1 for _ in here.itersiblings(here.tag, preceding=True)) + (before if here.getparent() is piece else 0)
            name = f"{name}[{nth}]"
        place += f"/{name}"
    return place


def _schema() -> etree.XMLSchema:
    """The schema of this thread: one object keeps the errors of one validation."""
    found: etree.XMLSchema | None = getattr(_here, "schema", None)
    if found is None:
        found = _here.schema = etree.XMLSchema(etree.XML(document("metergate.xsd")))
    return found
