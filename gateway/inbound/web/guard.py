"""Who may see the page, and what a browser may do with it: who was given its token, on this machine; nothing from elsewhere or kept."""

from contextlib import suppress
from hmac import compare_digest
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from litestar import MediaType, Request, Response
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.exceptions import NotFoundException
from litestar.handlers.base import BaseRouteHandler

from gateway.inbound.web.pages import pages_of

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

QUERY: Final = "token"
"""The parameter of an address that lets its visitor in."""

_RELAYED: Final = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
"""What a proxy adds: then the peer is not who asks."""


def is_loopback(host: str) -> bool:
    """Whether an address, or a name that can mean nothing else, is of this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def local(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Let through what a browser with the token asks of this machine by its own name; for all others there is no such page.

    The token, in the address or in the cookie made of it, is what counts: a proxy on this machine may hide that it relays. The rest keeps
    a token that got out from being of use elsewhere, and a stranger's name that is made to mean 127.0.0.1 out of the operator's browser.
    Raises NotFoundException.
    """
    peer = connection.client.host if connection.client else ""
    relayed = connection.scope["http_version"] == "1.0" or any(name in connection.headers for name in _RELAYED)
    if relayed or not (is_loopback(peer) and is_loopback(_host(connection)[0]) and _knows_token(connection)):
        raise NotFoundException


def _knows_token(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    told = connection.query_params.get(QUERY)
    if told is None:
        told = connection.cookies.get(cookie(_host(connection)[1]), "")
    return compare_digest(told.encode("utf-8", "replace"), pages_of(connection).token.encode())


async def enter(request: Request[Any, Any, Any]) -> Response[str] | None:
    """Who came with the token in the address goes on to the same address without it, and has it in a cookie until the browser closes."""
    if request.method != "GET" or QUERY not in request.query_params:
        return None
    told = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    rest = urlencode([(name, value) for name, value in told if name != QUERY])
    path = "/" + quote(request.scope["path"].lstrip("/"))
    key = Cookie(key=cookie(_host(request)[1]), value=pages_of(request).token, httponly=True, samesite="strict")
    headers = HEADERS | {"Location": f"{path}?{rest}" if rest else path}
    return Response("", status_code=303, media_type=MediaType.TEXT, headers=headers, cookies=[key])


def cookie(port: int) -> str:
    """The name of the cookie that lets in, by port: a browser keeps one jar for all servers of this machine."""
    return f"metergate_page_{port}"


def same_site(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Keep other sites in the operator's browser from using up the places of those who listen. Raises NotFoundException."""
    if connection.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise NotFoundException


def _host(connection: ASGIConnection[Any, Any, Any, Any]) -> tuple[str, int]:
    """Name and port by which this server was asked; no name when there is not exactly one."""
    hosts = connection.headers.getall("host", [])
    with suppress(ValueError):
        asked = urlsplit(f"//{hosts[0]}" if len(hosts) == 1 else "")
        return asked.hostname or "", asked.port or 80
    return "", 80
