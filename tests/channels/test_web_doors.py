"""The status page and strangers: who finds it, what a browser may do with it, who listens; nothing that others write becomes markup."""

import asyncio
import contextlib
import logging
import re
import socket
import time
from collections.abc import Iterator
from html import unescape
from typing import Any, cast

import httpx
import msgspec
import pytest

from gateway.app import create_app
from gateway.inbound.web import guard
from gateway.inbound.web.live import LISTENERS
from gateway.settings import Http
from gateway.store import Store
from tests.channels.browse import let_in, page
from tests.peers import PLAIN, until
from tests.running import Gateway, Utility

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>.json'


@pytest.fixture
def sent(gateway: Gateway, company: Utility) -> dict[str, Any]:
    """A submission of a good reading and a strange meter, as it stands after billing has taken the good one."""
    made = company.submit(company.body({"1": "150", "99": "1"})).json()
    gateway.work()
    return company.look(made["submission"])


PATHS = [
    "/",
    "/events",
    "/static/page.css",
    "/submissions/sub_1",
    "/submissions/sub_1/file",
    "/submissions/sub_1/problems.xlsx",
    "/readings/rdg_1",
]


def same(answer: httpx.Response, other: httpx.Response) -> bool:
    """Whether an answer is the very one of a page that never was."""
    told = [
        (one.status_code, one.content, {name: value for name, value in one.headers.items() if name != "date"}) for one in (answer, other)
    ]
    return answer.status_code == 404 and told[0] == told[1]


def asked(gateway: Gateway, path: str, method: str = "GET", **options: Any) -> httpx.Response:
    """What a browser that was given nothing gets."""
    return httpx.request(method, f"{gateway.url}{path}", timeout=30, verify=PLAIN, **options)


def token_of(gateway: Gateway) -> str:
    """The token in the address that it says."""
    return gateway.page.result(timeout=30).partition("?token=")[2]


def port_of(gateway: Gateway) -> int:
    """The port it listens on."""
    return int(gateway.url.rpartition(":")[2])


# --- who may see it


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "metergate.example"},
        {"Host": "127.0.0.1.nip.example:8080"},
        {"Host": "192.168.1.5"},
        {"Host": ""},
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
    ],
    ids=str,
)
def test_a_foreign_name_or_a_relay_finds_no_page(gateway: Gateway, path: str, headers: dict[str, str]) -> None:
    assert same(*(page(gateway, where, headers=headers) for where in (path, "/no/such/page")))


@pytest.mark.parametrize("host", ["localhost:8080", "LOCALHOST", "127.0.0.1", "127.8.9.10:1", "[::1]:8080"])
def test_this_machine_has_more_than_one_name(gateway: Gateway, host: str) -> None:
    assert page(gateway, "/", headers={"Host": host}).status_code == 200


def test_only_a_peer_on_this_machine_finds_the_page(gateway: Gateway) -> None:
    store = Store(gateway.settings.database.app_url, role="app", pool=1)
    app = create_app(gateway.settings, store, gateway.store)

    token = {guard.cookie(80): app.state.pages.token}

    async def ask(peer: str) -> int:
        transport = httpx.ASGITransport(cast("Any", app), client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", cookies=token) as client:
            return (await client.get("/")).status_code

    assert {peer: asyncio.run(ask(peer)) for peer in ("127.0.0.1", "::1", "10.0.0.9", "fe80::1", "")} == {
        "127.0.0.1": 200,
        "::1": 200,
        "10.0.0.9": 404,
        "fe80::1": 404,
        "": 404,
    }
    store.close()


def test_a_listener_for_others_has_no_page(gateway: Gateway) -> None:
    open_to_all = Gateway(msgspec.structs.replace(gateway.settings, http=Http(host="0.0.0.0", port=0)))  # noqa: S104 - on purpose
    open_to_all.start()
    try:
        port = open_to_all.url.rpartition(":")[2]
        for path in PATHS:
            assert httpx.get(f"http://127.0.0.1:{port}{path}", verify=PLAIN).status_code == 404
        assert httpx.get(f"http://127.0.0.1:{port}/health/live", verify=PLAIN).status_code == 200
        assert not open_to_all.page.done()
    finally:
        open_to_all.stop()


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_the_page_only_shows_and_another_method_does_not_find_it(gateway: Gateway, method: str) -> None:
    nothing = asked(gateway, "/no/such/page", method=method)
    for path in PATHS:
        assert same(asked(gateway, path, method=method), nothing)
        if method != "OPTIONS":
            assert same(asked(gateway, path, method=method, headers=let_in(gateway)), nothing)


# --- the token


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token_there_is_no_page(gateway: Gateway, path: str) -> None:
    token, name, nothing = token_of(gateway), guard.cookie(port_of(gateway)), asked(gateway, "/no/such/page")
    assert same(asked(gateway, path), nothing)
    for wrong in ("", "x", token[:-1], f"{token}x", token.swapcase(), "%00", "%FF", "\N{SNOWMAN}"):
        assert same(asked(gateway, f"{path}?token={wrong}", headers=let_in(gateway)), nothing)
    for cookie in (f"{name}=", f"{name}={token[:-1]}", f"{name}x={token}", f"token={token}", f"{name}=\xff\xfe", "=;;="):
        assert same(asked(gateway, path, headers={b"Cookie": cookie.encode("latin-1")}), nothing)


def test_the_address_with_the_token_lets_in_and_the_cookie_stays_until_the_browser_closes(gateway: Gateway) -> None:
    token = token_of(gateway)
    assert len(token) == 43
    with httpx.Client(verify=PLAIN) as client:
        first = client.get(gateway.page.result())
        assert (first.status_code, first.headers["location"], first.content) == (303, "/", b"")
        assert {name: first.headers.get(name) for name in guard.HEADERS} == guard.HEADERS
        cookie = first.headers["set-cookie"].lower().split("; ")
        assert {"httponly", "samesite=strict", "path=/"} < set(cookie)
        assert not [part for part in cookie if part.startswith(("max-age", "expires", "domain"))]
        second = client.get(gateway.url)
        assert second.status_code == 200
        assert token not in f"{second.text}{second.headers}"
        narrowed = client.get(f"{gateway.url}//submissions/x?text=%D0%B0+%26&token={token}&page=2")
        assert narrowed.headers["location"] == "/submissions/x?text=%D0%B0+%26&page=2"


def test_one_process_does_not_take_the_cookie_of_another(gateway: Gateway) -> None:
    other = Gateway(gateway.settings)
    other.start()
    try:
        theirs = token_of(other)
        assert asked(other, "/", headers=let_in(other)).status_code == 200
        assert asked(gateway, "/", headers={"Cookie": f"{guard.cookie(port_of(gateway))}={theirs}"}).status_code == 404
        assert asked(gateway, f"/?token={theirs}").status_code == 404
    finally:
        other.stop()


def test_a_proxy_that_hides_itself_finds_no_page(gateway: Gateway) -> None:
    """What nginx sends with nothing but `proxy_pass`: our Host, our machine's address, HTTP/1.0 and not a word of whom it asks for."""
    for header in ("", f"Cookie: {let_in(gateway)['Cookie']}\r\n"):
        with socket.create_connection(("127.0.0.1", port_of(gateway)), timeout=10) as line:
            line.sendall(f"GET / HTTP/1.0\r\nHost: 127.0.0.1:{port_of(gateway)}\r\nConnection: close\r\n{header}\r\n".encode())
            assert line.makefile("rb").readline().split()[1] == b"404"


def test_no_log_line_has_the_token(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    token = token_of(gateway)
    with caplog.at_level(logging.DEBUG):
        for path in PATHS:
            for query in (f"?token={token}", f"?x=1&token={token}"):
                assert asked(gateway, f"{path}{query}", method="POST").status_code == 404
                assert asked(gateway, f"{path}{query}").status_code == 303
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert not [record for record in ours if token in f"{record.getMessage()} {record.__dict__}"]


# --- what a browser may do with it


def test_every_answer_forbids_what_the_page_does_not_need(gateway: Gateway, sent: dict[str, Any]) -> None:
    one = f"/submissions/{sent['submission']}"
    paths = [
        "/",
        one,
        f"{one}/file",
        f"/readings/{sent['readings'][0]['reading']}",
        "/static/page.css",
        "/static/page.js",
        "/static/mark.svg",
    ]
    for path in paths:
        answer = page(gateway, path)
        assert answer.status_code == 200
        assert {name: answer.headers.get(name) for name in guard.HEADERS} == guard.HEADERS, path
    assert "script-src 'self'" in guard.HEADERS["Content-Security-Policy"]
    assert "unsafe" not in guard.HEADERS["Content-Security-Policy"]
    assert page(gateway, "/static/page.html").status_code == 404
    assert page(gateway, "/static/..%2f__init__.py").status_code == 404


def test_no_page_has_script_or_style_inside_or_from_elsewhere(gateway: Gateway, sent: dict[str, Any]) -> None:
    for path in ("/", f"/submissions/{sent['submission']}", f"/readings/{sent['readings'][0]['reading']}", "/readings/none"):
        text = page(gateway, path).text
        assert re.findall(r"<script[^>]*>", text) == ['<script src="/static/page.js" defer>']
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
        assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", text)


def test_what_strangers_write_is_shown_and_never_markup(gateway: Gateway, company: Utility) -> None:
    meter = '<b onmouseover="x">"\'&'
    gateway.rows("update utility set title = %(t)s where id = %(id)s", t="<i>Utility</i>", id=company.id)
    key = company.partner(name="<u>partner</u>")
    body = company.body({meter: "1"}) + b" "
    made = company.upload(body, HOSTILE.replace("/", "∕") + "я" * 150, key=key).json()["submission"]
    gateway.work()
    found = page(gateway, f"/submissions/{made}")
    one = re.findall(r'<tr id="(rdg_[0-9a-f]+)"', found.text)[0]
    pages = [page(gateway, f"/?utility={company.code}"), found, page(gateway, f"/readings/{one}")]
    for answer in pages:
        for wrong in ("<script>alert", "<img src=x", "<b onmouse", "<i>Utility", "<u>partner"):
            assert wrong not in answer.text
        assert "<i>Utility</i>" in unescape(answer.text)
        assert "alert(1)" in answer.text
    assert '<b onmouseover="x">' in unescape(pages[1].text)


# --- live


def test_the_part_that_lives_comes_alone(gateway: Gateway, sent: dict[str, Any]) -> None:
    for path in ("/?", f"/submissions/{sent['submission']}?", f"/readings/{sent['readings'][0]['reading']}?"):
        whole, part = page(gateway, path), page(gateway, f"{path}part=live")
        assert "<html" not in part.text
        assert re.sub(r"\s+", "", part.text) in re.sub(r"\s+", "", whole.text)


def heard(lines: Iterator[str]) -> bool:
    """Wait for the next word of a change."""
    return any(line == "event: changed" for line in lines)


def test_who_listens_hears_of_changes_of_what_is_listened_for(gateway: Gateway, company: Utility) -> None:
    mine = company.submit(company.body({"1": "150"})).json()["submission"]
    with (
        httpx.stream("GET", f"{gateway.url}/events?submission={mine}", timeout=10, headers=let_in(gateway), verify=PLAIN) as one,
        httpx.stream("GET", f"{gateway.url}/events", timeout=10, verify=PLAIN, headers=let_in(gateway)) as every,
    ):
        assert one.headers["content-type"].startswith("text/event-stream")
        assert one.headers["cache-control"] == "no-store"
        of_mine, of_all = one.iter_lines(), every.iter_lines()
        assert next(of_mine) == "retry: 2000"
        assert heard(of_mine)
        assert heard(of_all)
        gateway.work()
        assert heard(of_mine)
    assert page(gateway, "/events?submission=nothing").status_code == 404
    assert page(gateway, "/events", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 404


def test_no_more_listen_than_there_are_places_and_a_place_is_given_back(gateway: Gateway) -> None:
    asked = f"GET /events HTTP/1.1\r\nHost: {gateway.url.removeprefix('http://')}\r\nCookie: {let_in(gateway)['Cookie']}\r\n\r\n"
    with contextlib.ExitStack() as stack:
        for _ in range(LISTENERS):
            line = stack.enter_context(socket.create_connection(("127.0.0.1", port_of(gateway)), timeout=10))
            line.sendall(asked.encode())
            seen = b""
            while b"retry: 2000" not in seen:
                seen += line.recv(4096)
        refused = page(gateway, "/events")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "10")
        assert page(gateway, "/").status_code == 200

    def again() -> bool:
        with httpx.stream("GET", f"{gateway.url}/events", timeout=10, verify=PLAIN, headers=let_in(gateway)) as answer:
            return answer.status_code == 200

    until(again, "a place given back")


def test_a_server_that_stops_does_not_wait_for_listeners(gateway: Gateway) -> None:
    other = Gateway(gateway.settings)
    other.start()
    with httpx.stream("GET", f"{other.url}/events", timeout=10, verify=PLAIN, headers=let_in(other)) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "retry: 2000"
        began = time.monotonic()
        other.stop()
        assert time.monotonic() - began < 1.0
        assert [line for line in lines if line] == []
