"""Refusals of the SOAP channel: the fault, its HTTP status and its headers, by the rules of the version that asked."""

import logging
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException

from gateway import texts
from gateway.domain.problems import Misconfigured, Problem, Rejected, Unavailable
from gateway.inbound.soap import saying
from gateway.inbound.soap.envelope import SOAP11, SOAP12, Version
from gateway.texts import Language

log = logging.getLogger("metergate")

NO_MESSAGE: Final = {"soap_content_type": 415, "xml_too_large": 413, "body_too_large": 413}
"""HTTP status of what is no SOAP message at all; of any other that the gate for XML refuses it is 400."""
_UNREAD: Final = frozenset({"unauthorized", "soap_key_wanted"})
"""The sender's faults that are known before the message is read."""
_MISTAKEN: Final = frozenset({"soap_version_mismatch", "soap_not_understood"})
_FRAMEWORK: Final = {413: "body_too_large"}


class Asked:
    """What is known of a call while it is read: the version and the language to answer in, and the operation once it is known."""

    def __init__(self, version: Version, language: Language) -> None:
        """Nothing is read yet."""
        self.version, self.language = version, language
        self.operation = ""
        self.enveloped = False

    def status(self, code: str) -> int:
        """The HTTP status of a sender's fault: 500 in SOAP 1.1 (6.2), 400 for a Sender in SOAP 1.2 (part 2, 7.5.2.2)."""
        if not self.enveloped and code not in _UNREAD:
            return NO_MESSAGE.get(code, 400)
        return 500 if self.version is SOAP11 or code in _MISTAKEN else 400


def asked(request: Request[Any, Any, Any]) -> Asked:
    """What is known of this call."""
    found: Asked | None = request.scope["state"].get("soap")
    if found is None:
        version = SOAP12 if request.content_type[0] == SOAP12.media else SOAP11
        default: Language = request.app.state.settings.language
        found = request.scope["state"]["soap"] = Asked(version, texts.choose(request.headers.get("accept-language", ""), default))
    return found


def refused(request: Request[Any, Any, Any], error: Rejected) -> Response[bytes]:
    """The sender must act."""
    return _fault(request, asked(request).status(error.problems[0].code), error.problems)


def away(request: Request[Any, Any, Any], error: Unavailable) -> Response[bytes]:
    """Time will mend it: say when to come back."""
    log.warning("soap.unavailable", extra={"facts": {"why": str(error)}})
    return _fault(request, 503, (Problem(code="unavailable"),), {"Retry-After": str(round(error.retry_after or 5))}, ours=True)


def misconfigured(request: Request[Any, Any, Any], error: Misconfigured) -> Response[bytes]:
    """The operator must act; the caller may come back later."""
    log.error("soap.misconfigured", extra={"facts": {"why": str(error)}})
    return _fault(request, 503, (Problem(code="unavailable"),), {"Retry-After": "300"}, ours=True)


def framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the web framework itself refuses; a body that never ends is nobody's fault here."""
    status = error.status_code if error.status_code < 500 else 400
    code = _FRAMEWORK.get(status, "request_invalid")
    return _fault(request, status, (Problem(code=code, values={"reason": error.detail}),))


def unforeseen(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Our own fault: logged with its trace, told without it."""
    log.error("soap.failed", exc_info=error, extra={"facts": {"operation": asked(request).operation}})
    return _fault(request, 500, (Problem(code="unavailable"),), ours=True)


HANDLERS: Final[dict[Any, Any]] = {
    Rejected: refused,
    Unavailable: away,
    Misconfigured: misconfigured,
    HTTPException: framework,
    Exception: unforeseen,
}


def _fault(
    request: Request[Any, Any, Any],
    status: int,
    problems: tuple[Problem, ...],
    headers: dict[str, str] | None = None,
    *,
    ours: bool = False,
) -> Response[bytes]:
    call = asked(request)
    body = saying.fault(call.version, problems, call.language, operation=call.operation, ours=ours)
    return Response(body, status_code=status, headers={"Content-Type": f"{call.version.media}; charset=utf-8"} | (headers or {}))
