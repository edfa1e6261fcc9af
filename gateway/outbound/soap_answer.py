"""What comes back from a SOAP billing, read without trust: an envelope, a fault, or the word on each row."""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec
from lxml import etree

OLD, NEW = "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"
OPERATOR: Final = ("Authentication", "Authorization", "MustUnderstand", "VersionMismatch", "DataEncodingUnknown")
"""Words in a fault's code by which billing says that the call itself is made wrongly, whatever is in it."""
SENDER: Final = ("Client", "Sender")


class Fault(Exception):  # noqa: N818 - as SOAP calls it
    """Billing's fault: its code, and whom it blames: the `caller` for what was sent, the `operator` for how, `billing` itself."""

    def __init__(self, code: str, reason: str) -> None:
        """Read the code's local words, of SOAP 1.1 (`Client.Data`) and 1.2 (`Sender`, `Data`) alike."""
        super().__init__(reason)
        self.code = code
        words = [word for part in code.split() for word in part.rpartition(":")[2].split(".")]
        wrong = any(word.startswith(known) or known in word for word in words for known in OPERATOR)
        self.blames: Literal["caller", "operator", "billing"] = "operator" if wrong else "billing"
        if not wrong and words and words[0] in SENDER:
            self.blames = "caller"


class Told(msgspec.Struct, frozen=True, gc=False):
    """Billing's word on one row."""

    key: str
    outcome: str
    reference: str
    reason: str


def envelope(body: bytes) -> etree._Element:
    """The one element in an envelope's body. Raises Fault when it is one, ValueError for what is no such envelope."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(f"no XML: {error.msg}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise ValueError("a document type")
    space = next((space for space in (OLD, NEW) if root.tag == f"{{{space}}}Envelope"), None)
    inside = [] if space is None else root.findall(f"{{{space}}}Body/*")
    if len(inside) != 1:
        raise ValueError("no envelope with one element in its body")
    if inside[0].tag == f"{{{space}}}Fault":
        raise _fault(inside[0])
    return inside[0]


def _fault(fault: etree._Element) -> Fault:
    codes = [*fault.iter("faultcode"), *fault.iter(f"{{{NEW}}}Value")]
    reasons = [*fault.iter("faultstring"), *fault.iter(f"{{{NEW}}}Text")]
    code = " ".join((one.text or "").strip() for one in codes)[:200]
    return Fault(code, str(reasons[0].xpath("string()")).strip() if reasons else code)


def told(body: bytes, answer: str, rows: str, places: tuple[str, str, str, str]) -> list[Told]:
    """Billing's word row by row, out of the element `answer`. Raises Fault, or ValueError for anything that is not as the WSDL has it."""
    found = envelope(body)
    if found.tag != answer:
        raise ValueError(f"{found.tag} instead of {answer}")
    return list(_told(found, rows, places))


def _told(found: etree._Element, rows: str, places: tuple[str, str, str, str]) -> Iterator[Told]:
    flat = not any("/" in place.rpartition("}")[2] or "@" in place for place in places)
    for row in found.iterfind(rows):
        cells = {cell.tag: cell.text for cell in row} if flat else {place: _text(row, place) for place in places}
        key, outcome, reference, reason = [(cells.get(place) or "").strip() for place in places]
        if not key or not outcome:
            raise ValueError("a row without a key or an outcome")
        yield Told(key, outcome, reference, reason)


def _text(row: etree._Element, place: str) -> str:
    way, slash, attribute = ("", "/", place[1:]) if place.startswith("@") else place.rpartition("/@")
    if not slash:
        return (row.findtext(place) or "").strip() if place else ""
    element = row.find(way) if way else row
    return (element.get(attribute) or "").strip() if element is not None else ""
