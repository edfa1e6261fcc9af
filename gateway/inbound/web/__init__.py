"""The status page: what was sent, live, down to the trace of one reading from its cell to the bill; for who started the server only."""

from typing import Final

from litestar import HttpMethod, Router, route
from litestar.datastructures import ResponseHeader
from litestar.exceptions import NotFoundException

from gateway.inbound.web import failures, front, guard, reading, submission
from gateway.inbound.web.pages import Pages

__all__ = ["Pages", "is_loopback", "routes"]

is_loopback: Final = guard.is_loopback


def routes() -> Router:
    """The page's routes. The application that takes them in has a `Pages` as `pages` in its state."""
    shown = [front.front, front.static, front.events, submission.one, submission.original, submission.problems, reading.one]
    paths = [path for handler in shown for path in handler.paths]
    return Router(
        path="/",
        route_handlers=[*shown, route(paths, http_method=_OTHERS, sync_to_thread=False)(_nothing)],
        guards=[guard.local],
        before_request=guard.enter,
        exception_handlers=failures.HANDLERS,
        response_headers=[ResponseHeader(name=name, value=value) for name, value in guard.HEADERS.items()],
        include_in_schema=False,
    )


_OTHERS: Final = [method for method in HttpMethod if method not in (HttpMethod.GET, HttpMethod.OPTIONS)]
"""The framework itself answers OPTIONS, behind the same guard."""


def _nothing() -> None:
    """The page only shows: by any other method there is none, so that a stranger does not learn of it from a 405."""
    raise NotFoundException
