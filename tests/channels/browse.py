"""A page as a browser on this machine gets it, and as its reader sees it."""

import re
import ssl
from html import unescape
from typing import Any

import httpx

from tests.running import Gateway

PLAIN = ssl.create_default_context()
"""Never used over http, and dear to make anew for each request."""


def page(gateway: Gateway, path: str, language: str = "ru", **options: Any) -> httpx.Response:
    """What a browser on this machine gets."""
    headers = {"Accept-Language": language} | options.pop("headers", {})
    return httpx.get(f"{gateway.url}{path}", headers=headers, timeout=30, verify=PLAIN, **options)


def shown(answer: httpx.Response) -> str:
    """A page as a reader sees it: no markup, blanks as one and plain."""
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text))).strip()


def listed(answer: httpx.Response) -> list[str]:
    """The submissions of a list, in order."""
    assert answer.status_code == 200, answer.text
    return re.findall(r'<tr id="(sub_[0-9a-f]{32})"', answer.text)
