"""Who may see the page, and what a browser may do with it: this machine only, nothing from elsewhere, nothing kept."""

from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.exceptions import NotFoundException
from litestar.handlers.base import BaseRouteHandler

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

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
    """Let through what a browser on this machine asks of this machine by its own name; for all others there is no such page.

    The Host is looked at too, or a name of a stranger that is made to mean 127.0.0.1 would read the page through the operator's browser.
    Raises NotFoundException.
    """
    peer = connection.client.host if connection.client else ""
    hosts = connection.headers.getall("host", [])
    if not (is_loopback(peer) and len(hosts) == 1 and is_loopback(_name(hosts[0]))) or any(name in connection.headers for name in _RELAYED):
        raise NotFoundException


def same_site(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Keep other sites in the operator's browser from using up the places of those who listen. Raises NotFoundException."""
    if connection.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise NotFoundException


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
