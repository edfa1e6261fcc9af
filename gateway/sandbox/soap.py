"""The sandbox billing as an old accounting program: SOAP calls in and out, as contracts_schema/sandbox/billing.wsdl says."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final

from lxml import etree

from gateway.sandbox.wire import Batch, Item, Outcome, Result, Value

HOME: Final = "urn:accounting:billing"
ENVELOPES: Final = {
    "text/xml": "http://schemas.xmlsoap.org/soap/envelope/",
    "application/soap+xml": "http://www.w3.org/2003/05/soap-envelope",
}
"""SOAP 1.1 and 1.2, by the type of content in which they travel."""
SECURITY: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
CODES: Final = {"text/xml": ("Client", "Server"), "application/soap+xml": ("Sender", "Receiver")}
WORDS: Final = {Outcome.TAKEN: "OK", Outcome.REFUSED: "ERROR", Outcome.LATER: "WAIT"}


class Fault(Exception):  # noqa: N818 - says what is answered, as SOAP calls it
    """The whole call is turned away: the caller is to blame."""


class Call:
    """One call, read: what it wants (`batch` to import, or `keys` to look for), in which SOAP, and by whom it says it is made."""

    def __init__(self, kind: str, batch: Batch | None, keys: Sequence[str], user: str, password: str) -> None:
        """Keep what was read."""
        self.kind = kind
        self.batch = batch
        self.keys = keys
        self.user = user
        self.password = password


def contract_file() -> Path:
    """The file of the WSDL: beside the package in the repository, inside it in a wheel."""
    places = (Path(__file__).parent / "contracts", Path(__file__).parents[2] / "contracts_schema" / "sandbox")
    return next(place / "billing.wsdl" for place in places if place.is_dir())


@cache
def contract() -> bytes:
    """The WSDL itself."""
    return contract_file().read_bytes()


def wsdl(address: str) -> bytes:
    """The WSDL with the address at which this sandbox is called."""
    return contract().replace(b"http://127.0.0.1:8090/soap", address.encode())


@cache
def _schema() -> etree.XMLSchema:
    [schema] = etree.fromstring(contract()).iter("{http://www.w3.org/2001/XMLSchema}schema")
    return etree.XMLSchema(etree.fromstring(etree.tostring(schema)))


def kind_of(content_type: str) -> str:
    """The type of content without its parameters; SOAP 1.1 for one that is no SOAP."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind if kind in ENVELOPES else "text/xml"


def read(body: bytes, kind: str) -> Call:
    """Read a call and hold it against the WSDL. Raises Fault."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise Fault(f"no XML: {error.msg}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise Fault("a document type is not allowed")
    space = ENVELOPES[kind]
    if root.tag != f"{{{space}}}Envelope":
        raise Fault(f"no envelope of {space}")
    asked = next(root.iterfind(f"{{{space}}}Body/*"), root)
    try:
        _schema().assertValid(asked)
    except etree.DocumentInvalid as error:
        raise Fault(f"not as in the WSDL: {error}") from error
    token = root.find(f"{{{space}}}Header/{{{SECURITY}}}Security/{{{SECURITY}}}UsernameToken")
    user, password = (token.findtext(f"{{{SECURITY}}}{name}", "") if token is not None else "" for name in ("Username", "Password"))
    if asked.tag == f"{{{HOME}}}ImportReadings":
        return Call(kind, _batch(asked), (), user, password)
    if asked.tag == f"{{{HOME}}}FindReadings":
        return Call(kind, None, [one.text or "" for one in asked.iterfind(f"{{{HOME}}}Numbers/{{{HOME}}}Number")], user, password)
    raise Fault("no such operation")


def _batch(asked: etree._Element) -> Batch:
    start = len(HOME) + 2
    rows = [{cell.tag[start:]: (cell.text or "").strip() for cell in row} for row in asked.iter(f"{{{HOME}}}Reading")]
    items = [_item(number, list(mine)) for number, mine in groupby(rows, key=lambda row: row["Number"])]
    if len({item.key for item in items}) < len(items):
        raise Fault("the rows of a number do not stand together")
    return Batch(batch=f"soap {datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}", items=tuple(items))


def _item(number: str, rows: Sequence[dict[str, str]]) -> Item:
    first = rows[0]
    try:
        at = datetime.fromisoformat(first["Taken"])
    except ValueError as error:
        raise Fault(f"Taken: {first['Taken']}") from error
    return Item(
        key=number,
        agreement=first["Contract"],
        point=first["Place"],
        meter=first["Meter"],
        period=first["Month"],
        at=at if at.tzinfo else at.replace(tzinfo=UTC),
        revision=int(first["Correction"]),
        values=tuple(
            Value(
                register=row["Scale"],
                value=row["Value"],
                unit=row["Unit"],
                previous=row.get("Previous"),
                consumption=row.get("Consumption"),
                quality=row.get("State") or "valid",
            )
            for row in rows
        ),
    )


def imported(call: Call, results: Sequence[Result]) -> bytes:
    """Answer an import: one result for each row, in the order of the rows."""
    rows = [
        (result.key, WORDS[result.outcome], result)
        for item, result in zip(call.batch.items if call.batch else (), results, strict=True)
        for _ in item.values
    ]
    return _answer(call.kind, "ImportReadingsResponse", rows)


def found(call: Call, results: Sequence[Result | None]) -> bytes:
    """Answer a search: what is held of each number, in their order."""
    rows = [
        (key, "NOT_FOUND" if result is None else "HELD" if result.outcome is Outcome.TAKEN else "ERROR", result)
        for key, result in zip(call.keys, results, strict=True)
    ]
    return _answer(call.kind, "FindReadingsResponse", rows)


def _answer(kind: str, name: str, rows: Sequence[tuple[str, str, Result | None]]) -> bytes:
    answer = etree.Element(f"{{{HOME}}}{name}", nsmap={"b": HOME})
    results = etree.SubElement(answer, f"{{{HOME}}}Results")
    for key, word, result in rows:
        row = etree.SubElement(results, f"{{{HOME}}}Result")
        cells = {"Number": key, "Status": word, "Document": result.reference if result else "", "Reason": result.reason if result else ""}
        for cell, text in cells.items():
            if text:
                etree.SubElement(row, f"{{{HOME}}}{cell}").text = text
    return _envelope(kind, answer)


def fault(kind: str, reason: str, *, caller: bool) -> bytes:
    """A fault in the words of the SOAP of the call; `caller`: it is to blame, not this billing."""
    space, code = ENVELOPES[kind], CODES[kind][0 if caller else 1]
    told = etree.Element(f"{{{space}}}Fault", nsmap={"e": space})
    if kind == "text/xml":
        etree.SubElement(told, "faultcode").text = f"e:{code}"
        etree.SubElement(told, "faultstring").text = reason
    else:
        etree.SubElement(etree.SubElement(told, f"{{{space}}}Code"), f"{{{space}}}Value").text = f"e:{code}"
        text = etree.SubElement(etree.SubElement(told, f"{{{space}}}Reason"), f"{{{space}}}Text")
        text.set("{http://www.w3.org/XML/1998/namespace}lang", "en")
        text.text = reason
    return _envelope(kind, told)


def _envelope(kind: str, inner: etree._Element) -> bytes:
    space = ENVELOPES[kind]
    envelope = etree.Element(f"{{{space}}}Envelope", nsmap={"e": space})
    etree.SubElement(envelope, f"{{{space}}}Body").append(inner)
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")
