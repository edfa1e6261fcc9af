"""The SOAP envelope, 1.1 and 1.2: what came in one, and how an answer or a fault goes out in one."""

from collections.abc import Mapping
from typing import Final

import msgspec
from lxml import etree

from gateway.domain.problems import Problem, Rejected
from gateway.inbound.soap import contract
from gateway.inbound.soap.contract import NAMESPACE


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of SOAP: its namespace and media type, and who a header block must be for to be ours."""

    namespace: str
    media: str
    actor: str
    ours: frozenset[str]


SOAP11: Final = Version(
    namespace="http://schemas.xmlsoap.org/soap/envelope/",
    media="text/xml",
    actor="actor",
    ours=frozenset({"", "http://schemas.xmlsoap.org/soap/actor/next"}),
)
SOAP12: Final = Version(
    namespace="http://www.w3.org/2003/05/soap-envelope",
    media="application/soap+xml",
    actor="role",
    ours=frozenset(
        {
            "",
            "http://www.w3.org/2003/05/soap-envelope/role/next",
            "http://www.w3.org/2003/05/soap-envelope/role/ultimateReceiver",
        }
    ),
)
VERSIONS: Final = {version.namespace: version for version in (SOAP11, SOAP12)}
BLOCKS: Final = 64
"""How many header blocks a message may hold."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What came: the operation's element and its name, the key and the language of the header, empty when they are not there."""

    version: Version
    operation: "etree._Element"
    name: str
    key: str = ""
    language: str = ""


def check_type(media: str) -> None:
    """Refuse what is not sent as a SOAP message. Raises Rejected."""
    if media not in (SOAP11.media, SOAP12.media):
        raise Rejected(Problem(code="soap_content_type", values={"type": media[:100]}))


def version_of(root: "etree._Element") -> Version:
    """The version of an envelope. Raises Rejected for another root and for a SOAP of another version."""
    name = etree.QName(root)
    if name.localname != "Envelope":
        raise _invalid("", f"<{name.localname[:40]}>")
    if name.namespace not in VERSIONS:
        raise Rejected(Problem(code="soap_version_mismatch", where="/Envelope", values={"namespace": (name.namespace or "")[:100]}))
    return VERSIONS[name.namespace]


def opened(root: "etree._Element", version: Version, action: str) -> Message:
    """Read an envelope; what is asked for is told by the element in its Body alone, and `action` may only agree. Raises Rejected."""
    header, body = _parts(root, version)
    action = action.strip().strip('"')
    if len(body) != 1:
        raise _invalid("/Envelope/Body", f"{len(body)} elements")
    told = _told(header, version) if header is not None else {}
    operation = body[0]
    name = etree.QName(operation)
    where = f"/Envelope/Body/{name.localname[:100]}"
    if name.namespace != NAMESPACE or name.localname not in contract.OPERATIONS:
        raise Rejected(Problem(code="soap_operation_unknown", where=where, values={"operation": name.text[:200]}))
    if action and action != contract.action(name.localname):
        values = {"action": action[:200], "operation": name.localname}
        raise Rejected(Problem(code="soap_action_mismatch", where=where, values=values))
    return Message(version=version, operation=operation, name=name.localname, key=told.get("ApiKey", ""), language=told.get("Language", ""))


def enclosed(version: Version, content: str, header: str = "") -> bytes:
    """An envelope with this in its Body."""
    head = f"<soap:Header>{header}</soap:Header>" if header else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<soap:Envelope xmlns:soap="{version.namespace}" xmlns:m="{NAMESPACE}">'
        f"{head}<soap:Body>{content}</soap:Body></soap:Envelope>"
    ).encode()


def _parts(root: "etree._Element", version: Version) -> "tuple[etree._Element | None, etree._Element]":
    """The Header, if any, and the Body: nothing else, nothing twice, in this order."""
    names = [child.tag for _, child in zip(range(3), root, strict=False)]
    header, body = f"{{{version.namespace}}}Header", f"{{{version.namespace}}}Body"
    if names == [body]:
        return None, root[0]
    if names == [header, body]:
        return root[0], root[1]
    raise _invalid("/Envelope", f"{len(root)} elements")


def _told(header: "etree._Element", version: Version) -> Mapping[str, str]:
    """What the header blocks say that are known here. Raises Rejected for one that must be understood and is not, and for too many."""
    if len(header) > BLOCKS:
        raise _invalid("/Envelope/Header", f"{len(header)} > {BLOCKS}")
    told: dict[str, str] = {}
    for block in header:
        name = etree.QName(block)
        must = str(block.get(f"{{{version.namespace}}}mustUnderstand", "")).strip() in ("1", "true")
        mine = str(block.get(f"{{{version.namespace}}}{version.actor}", "")).strip() in version.ours
        where = f"/Envelope/Header/{name.localname[:100]}"
        if name.namespace == NAMESPACE and name.localname in ("ApiKey", "Language") and mine:
            if name.localname in told or len(block):
                raise _invalid(where, name.localname)
            told[name.localname] = (block.text or "").strip()
        elif must and mine:
            raise Rejected(Problem(code="soap_not_understood", where=where, values={"block": name.text[:200]}))
    return told


def _invalid(where: str, reason: str) -> Rejected:
    return Rejected(Problem(code="soap_envelope_invalid", where=where, values={"reason": reason}))
