"""The status page: what was sent, live, down to the trace of one reading from its cell to the bill; for this very machine only."""

from typing import Final

from litestar import Router
from litestar.datastructures import ResponseHeader

from gateway.inbound.web import failures, front, guard, reading, submission
from gateway.inbound.web.pages import Pages

__all__ = ["Pages", "is_loopback", "routes"]

is_loopback: Final = guard.is_loopback


def routes() -> Router:
    """The page's routes. The application that takes them in has a `Pages` as `pages` in its state."""
    return Router(
        path="/",
        route_handlers=[front.front, front.static, front.events, submission.one, submission.original, submission.problems, reading.one],
        guards=[guard.local],
        exception_handlers=failures.HANDLERS,
        response_headers=[ResponseHeader(name=name, value=value) for name, value in guard.HEADERS.items()],
        include_in_schema=False,
    )
