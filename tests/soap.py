"""What tests of the SOAP channel send and read: messages written by hand, so that no library stands between a test and the wire."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.sax.saxutils import escape

import httpx
import msgspec
from lxml import etree

from tests.peers import PLAIN
from tests.running import Utility

NS: Final = "urn:metergate:soap:1"
ENVELOPES: Final = {11: "http://schemas.xmlsoap.org/soap/envelope/", 12: "http://www.w3.org/2003/05/soap-envelope"}
MEDIA: Final = {11: "text/xml", 12: "application/soap+xml"}


def envelope(body: str, *, key: str = "", version: int = 11, header: str = "") -> bytes:
    """A message with this in its Body."""
    head = f'<ApiKey xmlns="{NS}">{key}</ApiKey>{header}' if key else header
    return (
        f'<e:Envelope xmlns:e="{ENVELOPES[version]}">{f"<e:Header>{head}</e:Header>" if head else ""}<e:Body>{body}</e:Body></e:Envelope>'
    ).encode()


def submit(rows: Sequence[Mapping[str, Any]], message_id: str = "") -> str:
    """SubmitReadings of rows as in canonical JSON."""
    fields = {"meter": "Meter", "agreement": "Agreement", "location": "Location", "point": "Point", "period": "Period", "at": "At"}
    parts = {
        "register": "Code",
        "value": "Value",
        "previous": "Previous",
        "quality": "Quality",
        "ratio_applied": "RatioApplied",
        "losses_applied": "LossesApplied",
    }

    def element(name: str, value: object) -> str:
        return f"<{name}>{escape(str(value).lower() if isinstance(value, bool) else str(value))}</{name}>"

    def reading(row: Mapping[str, Any]) -> str:
        told = "".join(element(name, row[key]) for key, name in fields.items() if key in row)
        entries = ("".join(element(name, entry[key]) for key, name in parts.items() if key in entry) for entry in row["registers"])
        return f"<Reading>{told}{''.join(f'<Register>{entry}</Register>' for entry in entries)}</Reading>"

    named = f"<MessageID>{message_id}</MessageID>" if message_id else ""
    return f'<SubmitReadings xmlns="{NS}">{named}{"".join(map(reading, rows))}</SubmitReadings>'


def call(url: str, body: bytes, version: int = 11, **headers: str) -> httpx.Response:
    """Post a message."""
    named = {"Content-Type": f"{MEDIA[version]}; charset=utf-8", "Accept-Language": "en"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return httpx.post(f"{url}/soap", content=body, headers=named, timeout=30, verify=PLAIN, trust_env=False)


def post(company: Utility, body: str, *, version: int = 11, key: str = "", **headers: str) -> httpx.Response:
    """Call the utility's gateway with the utility's key, or another."""
    return call(company.gateway.url, envelope(body, key=key or company.key, version=version), version, **headers)


def status(submission: str) -> str:
    """GetStatus of a submission."""
    return f'<GetStatus xmlns="{NS}"><Submission>{submission}</Submission></GetStatus>'


def rows_of(company: Utility, values: dict[str, str]) -> list[dict[str, Any]]:
    """Rows of canonical JSON: one value of `A+` per meter for the current period."""
    return list(msgspec.json.decode(company.body(values))["readings"])


def read(answer: httpx.Response) -> "etree._Element":
    """What stands in the Body of an answer."""
    root = etree.fromstring(answer.content)
    body = root.find(f"{{{etree.QName(root).namespace}}}Body")
    assert body is not None, answer.text
    assert len(body) == 1
    return body[0]


def plain(element: "etree._Element") -> Any:
    """An element as text, or as a dict of lists by local name."""
    if not len(element):
        return element.text or ""
    found: dict[str, list[Any]] = {}
    for child in element:
        found.setdefault(etree.QName(child).localname, []).append(plain(child))
    return found


def codes(answer: httpx.Response) -> list[str]:
    """Every problem's code of an answer or fault, in its order."""
    return [str(code.text) for code in read(answer).iter(f"{{{NS}}}Problem") for code in code.iterchildren(f"{{{NS}}}Code")]


def places(answer: httpx.Response) -> list[str]:
    """Every problem's place of an answer or fault, in its order."""
    return [str(where.text or "") for problem in read(answer).iter(f"{{{NS}}}Problem") for where in problem.iterchildren(f"{{{NS}}}Where")]
