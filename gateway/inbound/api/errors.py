"""Errors of the REST API: RFC 9457 documents with our code, the place and what to do; never a 5xx for a client's fault."""

import logging
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec

from gateway import texts
from gateway.domain.problems import Misconfigured, Problem, Rejected, Unavailable
from gateway.inbound.views import ProblemView, problem_view

log = logging.getLogger("metergate")

STATUS: Final = {
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "nothing_to_mark": 404,
    "agreement_unknown": 404,
    "party_unknown": 404,
    "link_secret_unknown": 404,
    "link_too_often": 429,
    "meter_unknown": 404,
    "sent_already": 409,
    "intervals_not_withdrawn": 409,
    "correction_not_withdrawn": 409,
    "later_reading_follows": 409,
    "period_closed": 409,
    "newer_reading_stands": 409,
    "decided_meanwhile": 409,
    "not_a_draft": 409,
    "act_differs": 409,
    "json_malformed": 400,
    "json_encoding": 400,
    "json_too_deep": 400,
    "json_duplicate_key": 400,
    "request_invalid": 400,
    "login_invalid": 400,
    "idempotency_key_invalid": 400,
    "body_too_large": 413,
    "file_too_large": 413,
    "too_many_readings": 413,
    "file_type_mismatch": 415,
    "format_unknown": 415,
    "registry_media": 415,
    "unavailable": 503,
}
"""HTTP status of a refusal by its first problem's code; every other code is 422."""

GONE: Final = "client disconnected prematurely"
"""What the framework calls a body that will never end; it is nobody's fault here, and nobody reads the answer."""

_FRAMEWORK: Final = {
    400: "request_invalid",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "request_invalid",
    413: "body_too_large",
}


class ErrorDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An RFC 9457 problem document. `code` is stable; `errors` has every problem with its place."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[ProblemView]


_MEANS: Final = {
    400: "The request cannot be read; `errors` says where",
    401: "No key, or one that is not valid",
    403: "The key has no such right",
    404: "There is none for this key",
    409: "It stands otherwise by now; `errors` says how",
    413: "Too large",
    415: "Not a file of a kind taken here",
    422: "Refused; also an Idempotency-Key used again for another body",
    429: "Too often; come back after Retry-After seconds",
    503: "Come back after Retry-After seconds",
}


def refusals(*statuses: int) -> dict[int, ResponseSpec]:
    """How these refusals of an operation are described."""
    return {
        status: ResponseSpec(
            data_container=ErrorDocument, generate_examples=False, description=_MEANS[status], media_type="application/problem+json"
        )
        for status in statuses
    }


def document(
    status: int, problems: tuple[Problem, ...], language: texts.Language, headers: dict[str, str] | None = None
) -> Response[bytes]:
    """Answer with a problem document about these problems, the first of which gives it its name."""
    views = [problem_view(problem, language) for problem in problems]
    first = views[0]
    body = ErrorDocument(
        type=f"urn:metergate:problem:{first.code}", title=first.text, status=status, detail=first.todo, code=first.code, errors=views
    )
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/problem+json", headers=headers)


def language_of(request: Request[Any, Any, Any]) -> texts.Language:
    """The language the caller asks for."""
    default: texts.Language = request.app.state.settings.language
    return texts.choose(request.headers.get("accept-language", ""), default)


def refused(request: Request[Any, Any, Any], error: Rejected) -> Response[bytes]:
    """The sender must act."""
    status = STATUS.get(error.problems[0].code, 422)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    if status == 429:
        headers = {"Retry-After": error.problems[0].values["seconds"]}
    return document(status, error.problems, language_of(request), headers)


def away(request: Request[Any, Any, Any], error: Unavailable) -> Response[bytes]:
    """Time will mend it: say when to come back."""
    log.warning("api.unavailable", extra={"facts": {"why": str(error)}})
    after = str(round(error.retry_after or 5))
    return document(503, (Problem(code="unavailable"),), language_of(request), {"Retry-After": after})


def misconfigured(request: Request[Any, Any, Any], error: Misconfigured) -> Response[bytes]:
    """The operator must act; the caller may come back later."""
    log.error("api.misconfigured", extra={"facts": {"why": str(error)}})
    return document(503, (Problem(code="unavailable"),), language_of(request), {"Retry-After": "300"})


def framework(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the web framework itself refuses, in the same form."""
    if error.status_code >= 500 and error.detail != GONE:
        return unforeseen(request, error)
    if error.detail == GONE:
        log.info("api.gone", extra={"facts": {"method": request.method, "path": request.url.path}})
        return document(400, (Problem(code="request_invalid", values={"reason": GONE}),), language_of(request))
    code = _FRAMEWORK.get(error.status_code, "request_invalid")
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
    return document(error.status_code, (Problem(code=code, values={"reason": error.detail}),), language_of(request), headers)


def undecodable(request: Request[Any, Any, Any], error: UnicodeDecodeError) -> Response[bytes]:
    """A form whose fields are not UTF-8, which the framework does not catch."""
    return document(400, (Problem(code="request_invalid", values={"reason": str(error.reason)}),), language_of(request))


def unforeseen(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Our own fault: logged with its trace, told without it."""
    log.error("api.failed", exc_info=error, extra={"facts": {"method": request.method, "path": request.url.path}})
    return document(500, (Problem(code="unavailable"),), language_of(request))


HANDLERS: Final[dict[Any, Any]] = {
    Rejected: refused,
    Unavailable: away,
    Misconfigured: misconfigured,
    HTTPException: framework,
    Exception: unforeseen,
}
