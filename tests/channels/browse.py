"""A page as the operator's browser on this machine gets it, and as its reader sees it."""

import re
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import httpx

from gateway.inbound.web import guard
from tests.peers import PLAIN
from tests.running import Gateway


def let_in(gateway: Gateway, host: str = "") -> dict[str, str]:
    """The header by which a browser that came in under this host, the gateway's own unless told, is known."""
    address = urlsplit(gateway.page.result(timeout=30))
    asked = urlsplit(f"//{host}" if host else gateway.url)
    return {"Cookie": f"{guard.cookie(asked.port or 80)}={address.query.removeprefix('token=')}"}


def page(gateway: Gateway, path: str, language: str = "ru", **options: Any) -> httpx.Response:
    """What the browser of who was given the address gets."""
    headers = {"Accept-Language": language} | options.pop("headers", {})
    headers = let_in(gateway, headers.get("Host", "")) | headers
    return httpx.get(f"{gateway.url}{path}", headers=headers, timeout=30, verify=PLAIN, **options)


def shown(answer: httpx.Response) -> str:
    """A page as a reader sees it: no markup, blanks as one and plain."""
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text))).strip()


def listed(answer: httpx.Response) -> list[str]:
    """The submissions of a list, in order."""
    assert answer.status_code == 200, answer.text
    return re.findall(r'<tr id="(sub_[0-9a-f]{32})"', answer.text)
