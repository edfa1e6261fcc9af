"""What makes the gate for XML, the envelope and the contract of the SOAP channel say each of their codes."""

from collections.abc import Callable, Iterable

from gateway.domain.problems import Rejected
from gateway.inbound.soap import contract
from gateway.inbound.soap.envelope import check_type, opened, version_of
from gateway.inbound.soap.reading import STRANGER, too_large
from gateway.mapping.markup import parse_untrusted
from gateway.settings import Limits
from tests.soap import ENVELOPES, envelope, status, submit

Codes = Callable[[], Iterable[str]]
ASK = status("sub_1")


def gate(body: str, forbid: tuple[str, ...] = ()) -> Codes:
    """The codes of a document at the gate."""

    def codes() -> Iterable[str]:
        try:
            parse_untrusted(body.encode(), Limits(xml_depth=8), forbid=forbid, size=1_000)
        except Rejected as refused:
            return [problem.code for problem in refused.problems]
        return []

    return codes


def message(body: bytes, media: str = "text/xml", action: str = "") -> Codes:
    """The codes of a message that is read and held to the contract."""

    def codes() -> Iterable[str]:
        try:
            check_type(media)
            root = parse_untrusted(body, Limits())
            contract.check(opened(root, version_of(root), action).operation)
        except Rejected as refused:
            return [problem.code for problem in refused.problems]
        return []

    return codes


SAMPLES: dict[str, Codes] = {
    "xml_malformed": gate("<a>"),
    "xml_encoding": gate('<?xml version="1.0" encoding="UTF-7"?><a/>'),
    "xml_doctype_forbidden": gate("<!DOCTYPE a><a/>"),
    "xml_instruction_forbidden": gate("<?b?><a/>", ("instruction",)),
    "xml_too_deep": gate("<a>" * 9 + "</a>" * 9),
    "xml_too_many_attributes": gate("<a " + " ".join(f"a{n}=''" for n in range(65)) + "/>"),
    "xml_too_large": gate("<a>" + " " * 1_000 + "</a>"),
    "xml_schema": message(envelope(submit([]))),
    "soap_content_type": message(envelope(ASK), media="application/json"),
    "soap_version_mismatch": message(envelope(ASK).replace(ENVELOPES[11].encode(), b"urn:x")),
    "soap_envelope_invalid": message(envelope(ASK * 2)),
    "soap_operation_unknown": message(envelope(ASK.replace("GetStatus", "Other"))),
    "soap_action_mismatch": message(envelope(ASK), action="urn:metergate:soap:1:SubmitFile"),
    "soap_not_understood": message(envelope(ASK, header='<a xmlns="urn:x" e:mustUnderstand="1"/>')),
    "soap_key_wanted": lambda: [problem.code for problem in too_large(STRANGER, Limits().soap_bytes).problems],
}
