"""What a visitor sees when there is nothing to show: in words, as a page."""

import logging
from typing import Any, Final

from litestar import Request, Response

from gateway import texts
from gateway.domain.problems import Rejected, Unavailable
from gateway.inbound.web.guard import HEADERS
from gateway.inbound.web.pages import pages_of

log = logging.getLogger("metergate")


def absent(request: Request[Any, Any, Any], error: Rejected) -> Response[str]:
    """There is no such submission or reading."""
    text, todo = texts.problem(error.problems[0].code, pages_of(request).speech(request).language)
    return _page(request, text, todo, 404)


def away(request: Request[Any, Any, Any], error: Unavailable) -> Response[str]:
    """The database does not answer; the page says so and a reload asks again."""
    log.warning("web.unavailable", extra={"facts": {"why": str(error)}})
    speech = pages_of(request).speech(request)
    return _page(request, speech.say("away"), speech.say("away_todo"), 503)


def _page(request: Request[Any, Any, Any], text: str, todo: str, status: int) -> Response[str]:
    pages = pages_of(request)
    answer = pages.answer(request, "failure", pages.speech(request), status=status, text=text, todo=todo)
    answer.headers.update(HEADERS)
    return answer


HANDLERS: Final[dict[Any, Any]] = {Rejected: absent, Unavailable: away}
