"""What a message may cost before its sender is known: the key of the HTTP header is looked at first, without one little is read."""

import asyncio
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from litestar import Litestar, Request, post
from litestar.datastructures import State

from gateway.inbound.door import Door
from gateway.inbound.parts import Parts
from gateway.inbound.soap.reading import AT_ONCE, SMALL, STRANGER, WAITING, body_of
from gateway.settings import Limits, Settings
from gateway.store import Store
from tests.running import Gateway, Utility
from tests.soap import MEDIA, call, codes, envelope, rows_of, status, submit


@contextmanager
def begun(gateway: Gateway, length: int, body: bytes, *lines: str, version: int = 11) -> Iterator[socket.socket]:
    """A message of which no more than this body is sent."""
    at = urlsplit(gateway.url)
    told = ["POST /soap HTTP/1.1", "Host: x", f"Content-Type: {MEDIA[version]}", f"Content-Length: {length}", *lines]
    with socket.create_connection((str(at.hostname), at.port or 80), timeout=10) as connection:
        connection.sendall("\r\n".join([*told, "", ""]).encode() + body)
        yield connection


def padded(message: bytes, size: int) -> bytes:
    """The same message of more bytes."""
    return message.replace(b"<e:Body>", b"<e:Body><!--" + b"x" * size + b"-->")


def bearer(key: str) -> str:
    return f"Bearer {key}"


@pytest.mark.parametrize(("version", "code"), [(11, 500), (12, 400)])
@pytest.mark.parametrize("length", [40, 40 * 1024 * 1024])
def test_a_wrong_key_in_the_http_header_is_refused_before_a_byte_is_read(gateway: Gateway, version: int, code: int, length: int) -> None:
    with begun(gateway, length, b"", "Authorization: Bearer mg_wrong", version=version) as connection:
        said = connection.recv(65536)
    assert said.startswith(b"HTTP/1.1 %d" % code)
    assert b"unauthorized" in said
    assert codes(call(gateway.url, b"<a", version, Authorization=bearer("mg_wrong"))) == ["unauthorized"]


def test_a_revoked_key_in_the_http_header_reads_no_large_message(gateway: Gateway, company: Utility) -> None:
    key = company.partner(name="gone")
    body = envelope(submit(rows_of(company, {"1": "150"})))
    assert call(gateway.url, body, Authorization=bearer(key)).status_code == 200
    company.revoke(key)
    with begun(gateway, SMALL + 1, b"", f"Authorization: Bearer {key}") as connection:
        assert b"unauthorized" in connection.recv(65536)
    assert codes(call(gateway.url, body, Authorization=bearer(key))) == ["unauthorized"], "a small one is read, and refused"


def test_of_a_message_without_a_key_in_the_http_header_so_much_is_read(gateway: Gateway, company: Utility) -> None:
    message = envelope(submit(rows_of(company, {"1": "150"})), key=company.key)
    most = padded(message, STRANGER - len(message) - len("<!---->"))
    assert (len(most), call(gateway.url, most).status_code) == (STRANGER, 200)
    with begun(gateway, STRANGER + 1, b"") as connection:
        assert b"soap_key_wanted" in connection.recv(65536), "at once"
    answer = call(gateway.url, padded(message, STRANGER), 12)
    assert (answer.status_code, codes(answer)) == (400, ["soap_key_wanted"])
    assert call(gateway.url, padded(message, STRANGER), Authorization=bearer(company.key)).status_code == 200


def test_a_message_of_unknown_length_is_read_to_the_limit_and_no_further(gateway: Gateway) -> None:
    at = urlsplit(gateway.url)
    head = f"POST /soap HTTP/1.1\r\nHost: x\r\nContent-Type: {MEDIA[11]}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    with socket.create_connection((str(at.hostname), at.port or 80), timeout=10) as connection:
        connection.sendall(head.encode() + chunk * (STRANGER // 65_536 + 1))
        assert b"soap_key_wanted" in connection.recv(65536), "though the message has no end"


def test_a_body_over_the_limit_is_refused_unread_whoever_sends(gateway: Gateway, company: Utility) -> None:
    with begun(gateway, Limits().soap_bytes + 1, b"", f"Authorization: Bearer {company.key}") as connection:
        said = connection.recv(65536)
    assert said.startswith(b"HTTP/1.1 413")
    assert b"xml_too_large" in said


def test_large_messages_of_strangers_have_few_places_and_hold_nobody_else_up(gateway: Gateway, company: Utility) -> None:
    small = envelope(status("sub_1"), key=company.key)
    large = padded(small, 2 * SMALL)

    def refused() -> bool:
        answer = call(gateway.url, large)
        assert answer.status_code == 500 or answer.headers["Retry-After"] == "5"
        return answer.status_code == 503

    with ExitStack() as lines:
        for _ in range(WAITING):
            lines.enter_context(begun(gateway, len(large), large[: SMALL + 1000]))
        until = monotonic() + 20
        while not refused():
            assert monotonic() < until
        assert codes(call(gateway.url, small)) == ["not_found"]
        assert codes(call(gateway.url, large, Authorization=bearer(company.key))) == ["not_found"]
    until = monotonic() + 20
    while refused():
        assert monotonic() < until, "their places are free again"


def test_many_large_messages_at_once_are_all_answered(gateway: Gateway, company: Utility) -> None:
    large = padded(envelope(status("sub_1"), key=company.key), 2 * SMALL)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda n: call(gateway.url, large, Authorization=bearer(company.key) if n % 2 else ""), range(24)))
    assert {tuple(codes(answer)) for answer in answers} == {("not_found",)}


@pytest.mark.parametrize("known", [True, False])
def test_so_many_large_messages_are_handled_at_once(known: bool) -> None:  # noqa: FBT001 - pytest gives it by place
    """Of one application, whose handler notes how many are within."""
    within: set[int] = set()
    most: list[int] = []

    @post("/", status_code=200)
    async def handler(request: Request[Any, Any, Any]) -> None:
        async with body_of(request, known=known):
            within.add(id(request))
            most.append(len(within))
            for _ in range(20):
                await asyncio.sleep(0)
            within.remove(id(request))

    nowhere: Any = None
    store: Store = nowhere
    door: Door = nowhere
    parts = Parts(Settings(), store, {}, nowhere, door, {})
    app: Any = Litestar([handler], state=State({"parts": parts}), openapi_config=None, logging_config=None)

    async def all_at_once(size: int) -> int:
        most.clear()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            answers = await asyncio.gather(*(client.post("/", content=b"x" * size) for _ in range(WAITING)))
        assert {answer.status_code for answer in answers} == {200}
        return max(most)

    assert asyncio.run(all_at_once(SMALL)) > AT_ONCE
    assert asyncio.run(all_at_once(SMALL + 1)) == AT_ONCE
