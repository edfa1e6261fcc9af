"""The HTTP target against the sandbox and against peers that break the contract: each fault is one of the three errors."""

import gzip
import logging
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.domain.problems import Misconfigured, Rejected, Unavailable
from gateway.outbound import Outcome
from gateway.outbound.calls import retry_after
from gateway.outbound.http_json import HttpJson
from tests.peers import TOKEN, Sandbox, raw_peer, read_request, refused_url
from tests.targets.conftest import batch, item

PEM = Path(__file__).with_name("localhost.pem")
GOOD = b'{"results":[{"key":"key-1","outcome":"taken","reference":"R"}]}'
ONE = batch("b1", item(1))


def target(url: str, timeout: float = 5.0, attempts: int = 1, ca: str = "") -> HttpJson:
    return HttpJson(url=url, token=TOKEN, timeout=timeout, attempts=attempts, ca=ca)


def http(body: bytes, head: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {head}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def test_rows_that_billing_does_not_like_are_refused_and_the_rest_taken(sandbox: Sandbox) -> None:
    sandbox.control("refuse", meters=["00000002"], reason="meter was replaced")

    receipt = target(sandbox.url).deliver(batch("b1", item(1), item(2), item(3, consumption="-1")))

    assert [(answer.outcome, answer.reason) for answer in receipt.answers] == [
        (Outcome.TAKEN, ""),
        (Outcome.REFUSED, "meter was replaced"),
        (Outcome.REFUSED, "consumption_negative"),
    ]
    assert b"meter was replaced" in receipt.raw


def test_an_answer_of_later_is_no_effect_and_no_refusal(sandbox: Sandbox) -> None:
    sandbox.control("later", times=1)

    assert target(sandbox.url).deliver(ONE).answers[0].outcome is Outcome.LATER
    assert target(sandbox.url).deliver(ONE).answers[0].outcome is Outcome.TAKEN


@pytest.mark.parametrize("order", ["lose", "garbage", "html"])
def test_a_lost_answer_is_unavailable_and_the_repeat_one_effect(sandbox: Sandbox, order: str) -> None:
    sandbox.control(order, times=1)

    with pytest.raises(Unavailable) as lost:
        target(sandbox.url).deliver(ONE)

    assert lost.value.sent
    assert sandbox.effects() == {"key-1": 1}
    assert target(sandbox.url).deliver(ONE).answers[0].outcome is Outcome.TAKEN
    assert sandbox.effects() == {"key-1": 1}


def test_a_short_fault_is_ridden_out_within_the_attempt(sandbox: Sandbox) -> None:
    sandbox.control("lose", times=1)
    sandbox.control("fail", status=502, times=1)

    assert target(sandbox.url, attempts=3).deliver(ONE).answers[0].outcome is Outcome.TAKEN
    assert sandbox.effects() == {"key-1": 1}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_time_will_mend_these(idle: Sandbox, status: int) -> None:
    idle.control("fail", status=status, retry_after="7")

    with pytest.raises(Unavailable) as failed:
        target(idle.url, attempts=3).deliver(ONE)

    assert (failed.value.retry_after, failed.value.sent) == (7.0, True)


@pytest.mark.parametrize("status", [400, 404, 409, 422])
def test_a_refusal_of_the_whole_batch_with_a_reason_is_billings_word(idle: Sandbox, status: int) -> None:
    idle.control("fail", status=status, reason=f"period closed for {TOKEN}")

    with pytest.raises(Rejected) as refused:
        target(idle.url, attempts=3).deliver(ONE)

    (problem,) = refused.value.problems
    assert (problem.code, problem.values) == ("refused_by_billing", {"reason": "period closed for ***", "status": str(status)})


def test_a_wrong_address_is_the_operators_and_not_the_senders(idle: Sandbox) -> None:
    with pytest.raises(Misconfigured, match="answered 404 without a reason"):
        target(f"{idle.url}/elsewhere").deliver(ONE)


def test_a_wrong_token_is_the_operators(idle: Sandbox) -> None:
    with pytest.raises(Misconfigured, match="answered 401"):
        HttpJson(url=idle.url, token="wrong").deliver(ONE)


@pytest.mark.parametrize("status", [301, 302, 307, 403, 405, 413, 415])
def test_these_are_the_operators(idle: Sandbox, status: int) -> None:
    idle.control("fail", status=status, location=f"{idle.url}/readings?who=me")

    with pytest.raises(Misconfigured, match=f"answered {status}"):
        target(idle.url).deliver(ONE)


def test_a_refused_connection_was_not_sent() -> None:
    with pytest.raises(Unavailable) as refused:
        target(refused_url(), attempts=2).deliver(ONE)

    assert not refused.value.sent


def test_a_host_without_address_was_not_sent() -> None:
    with pytest.raises(Unavailable) as refused:
        target("http://billing.invalid").deliver(ONE)

    assert not refused.value.sent


def test_a_lost_answer_followed_by_a_refused_connection_may_have_been_sent() -> None:
    def leave(connection: socket.socket) -> None:
        peer.close()
        connection.close()

    with raw_peer(leave) as peer, pytest.raises(Unavailable) as lost:
        target(peer.url, attempts=2).deliver(ONE)

    assert "not reached" in str(lost.value)
    assert lost.value.sent


def test_a_dead_billing_is_down_until_it_is_up(sandbox: Sandbox) -> None:
    sandbox.control("down")
    with pytest.raises(Unavailable):
        target(sandbox.url).deliver(ONE)
    sandbox.control("up")

    assert target(sandbox.url).deliver(ONE).answers[0].outcome is Outcome.TAKEN
    assert sandbox.effects() == {"key-1": 1}


def drip_body(connection: socket.socket) -> None:
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(GOOD)}\r\n\r\n".encode())
    drip(connection, GOOD)


def drip_head(connection: socket.socket) -> None:
    drip(connection, b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 1000)


def drip(connection: socket.socket, content: bytes) -> None:
    for byte in content:
        connection.sendall(bytes([byte]))
        threading.Event().wait(0.05)


@pytest.mark.parametrize("slowly", [drip_body, drip_head])
def test_an_answer_byte_by_byte_ends_at_the_deadline(slowly: Callable[[socket.socket], None]) -> None:
    with raw_peer(slowly) as peer:
        began = time.monotonic()
        with pytest.raises(Unavailable) as late:
            target(peer.url, timeout=0.5, attempts=3).deliver(ONE)

    assert late.value.sent
    assert time.monotonic() - began < 1.5


def test_a_stalled_billing_ends_at_the_deadline(sandbox: Sandbox) -> None:
    sandbox.control("stall", seconds=30, times=1)
    began = time.monotonic()

    with pytest.raises(Unavailable) as late:
        target(sandbox.url, timeout=0.5).deliver(ONE)

    assert late.value.sent
    assert time.monotonic() - began < 1.5


def test_a_reader_that_does_not_read_ends_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as door:
        began = time.monotonic()
        big = batch("b1", *(item(number, meter="m" * 10_000) for number in range(1000)))
        with pytest.raises(Unavailable) as late:
            target(f"http://127.0.0.1:{door.getsockname()[1]}", timeout=0.5).deliver(big)

    assert late.value.sent
    assert time.monotonic() - began < 1.5


BOMB = gzip.compress(bytes(50 * 1024 * 1024))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (http(b"<html>Login</html>", "200 OK", "Content-Type: text/html"), "something else"),
        (http(b'{"status":"error"}'), "something else"),
        (http(b"\xff\xfe\x00"), "something else"),
        (http(b"["), "something else"),
        (http(b"[" * 500_000), "something else"),
        (http(b""), "something else"),
        (http(b'{"results":[]}'), "other items"),
        (http(GOOD.replace(b"key-1", b"key-9")), "other items"),
        (http(GOOD.replace(b"]", b',{"key":"key-1","outcome":"refused"}]')), "other items"),
        (http(GOOD.replace(b"taken", b"maybe")), "something else"),
        (http(GOOD)[:-5], "no whole answer"),
        (http(BOMB, "200 OK", "Content-Encoding: gzip"), "packed"),
        (http(GOOD + b" " * 2_000_000), "more than 1048576 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\r\n", "no whole answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no whole answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000_000, "no whole answer"),
        (b"", "no whole answer"),
    ],
    ids=[
        *("login_page", "error_body", "charset", "half_json", "deep", "empty", "no_row", "foreign_row", "row_twice", "unknown_word"),
        *("truncated", "gzip_bomb", "endless", "bad_chunk", "other_protocol", "endless_header", "hung_up"),
    ],
)
def test_whatever_is_not_the_contract_is_a_lost_answer(answer: bytes, says: str) -> None:
    with raw_peer(answer) as peer, pytest.raises(Unavailable, match=says) as lost:
        target(peer.url).deliver(ONE)

    assert lost.value.sent


@pytest.mark.parametrize("body", [b" " * 2_000_000, BOMB])
def test_an_error_page_of_any_size_is_judged_by_its_status(body: bytes) -> None:
    packed = ["Content-Encoding: gzip"] if body is BOMB else []
    with raw_peer(http(body, "401 Unauthorized", *packed)) as peer, pytest.raises(Misconfigured, match="answered 401"):
        target(peer.url).deliver(ONE)


def test_a_reset_in_the_middle_of_the_upload_may_have_been_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:

        def reset() -> None:
            connection, _ = door.accept()
            connection.recv(1000)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

        threading.Thread(target=reset, daemon=True).start()
        big = batch("b1", *(item(number, meter="m" * 10_000) for number in range(1000)))
        with pytest.raises(Unavailable, match="no whole answer") as lost:
            target(f"http://127.0.0.1:{door.getsockname()[1]}").deliver(big)

    assert lost.value.sent


def test_another_2xx_than_200_is_not_the_contract() -> None:
    with raw_peer(http(GOOD, "202 Accepted")) as peer, pytest.raises(Misconfigured, match="answered 202"):
        target(peer.url).deliver(ONE)


def test_foreign_words_are_made_fit_to_store() -> None:
    with raw_peer(http(GOOD.replace(b'"R"', b'"R\\u0000\\u0007"'))) as peer:
        assert target(peer.url).deliver(ONE).answers[0].reference == "R  "


def test_numbers_travel_as_plain_text_and_the_key_in_the_header() -> None:
    with raw_peer(http(GOOD)) as peer:
        target(peer.url).deliver(batch("b1", item(1, consumption="0E-9")))

    (request,) = peer.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert b'"consumption":"0.000000000"' in body
    assert b'"value":"1843.7"' in body
    assert b"\r\nIdempotency-Key: b1\r\n" in head
    assert f"\r\nAuthorization: Bearer {TOKEN}\r\n".encode() in head


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("999999999", 86400.0),
        ("Sat, 25 Oct 2025 12:05:00 GMT", 300.0),
        ("Sat, 25 Oct 2025 11:00:00 GMT", 0.0),
        ("Sat, 25 Oct 2035 12:00:00 GMT", 86400.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("٣", None),
        ("9" * 400, None),
        ("Sat, 99 Oct 2025 12:05:00 GMT", None),
    ],
)
def test_retry_after_is_honoured_capped_and_junk_ignored(text: str, seconds: float | None) -> None:
    assert retry_after(text, datetime(2025, 10, 25, 12, tzinfo=UTC)) == seconds


@pytest.fixture
def tls_url() -> str:
    """A TLS server for `localhost` with a certificate of its own making that answers GOOD."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    door = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            connection, _ = door.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    read_request(secure)
                    secure.sendall(http(GOOD))
            except OSError:
                continue

    threading.Thread(target=serve, daemon=True).start()
    return f"https://localhost:{door.getsockname()[1]}"


def test_a_certificate_nobody_vouches_for_is_refused(tls_url: str) -> None:
    with pytest.raises(Misconfigured, match="certificate verify failed"):
        target(tls_url).deliver(ONE)


def test_a_private_authority_may_be_named_and_the_host_must_still_match(tls_url: str) -> None:
    assert target(tls_url, ca=str(PEM)).deliver(ONE).answers[0].outcome is Outcome.TAKEN
    with pytest.raises(Misconfigured, match="IP address mismatch"):
        target(tls_url.replace("localhost", "127.0.0.1"), ca=str(PEM)).deliver(ONE)


def test_a_plain_server_at_an_https_address_is_refused(idle: Sandbox) -> None:
    with pytest.raises(Misconfigured):
        target(idle.url.replace("http:", "https:")).deliver(ONE)


def test_the_secret_is_in_no_message_and_no_log(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    said = []
    with caplog.at_level(logging.DEBUG):
        for order in ({"do": "fail", "status": 500}, {"do": "fail", "status": 403}, {"do": "html"}, {"do": "lose"}):
            sandbox.control(**order, times=1)
            with pytest.raises((Unavailable, Misconfigured)) as failed:
                target(sandbox.url).deliver(ONE)
            said.append(str(failed.value))
    said += [caplog.text, sandbox.log, repr(target(sandbox.url))]

    assert TOKEN not in "".join(said)
