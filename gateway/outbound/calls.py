"""HTTP calls to a billing that end at a deadline as a whole: connecting, sending, each read; for every target that calls one."""

import re
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore
import httpx
import msgspec

from gateway.domain.problems import Misconfigured, Unavailable

LONGEST_WAIT: Final = 86400.0
CHUNK: Final = 65536
_NOT_TEXT: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def check_address(url: str) -> None:
    """Raises ValueError, naming the setting `url`, for what is no plain http or https address."""
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"url: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.host or not 0 < (parts.port or 1) < 65536:
        raise ValueError("url: an http or https address is wanted")
    if parts.userinfo or parts.query or parts.fragment:
        raise ValueError("url: no user, password, query or fragment here; secrets have settings of their own")


def client(ca: str, connections: int, headers: Mapping[str, str], keep: float = 15.0) -> httpx.Client:
    """A client that follows no redirect and asks for nothing packed. `ca`: PEM file of a private authority. Raises Misconfigured.

    `keep`: seconds an idle connection may be used again; 0 for a new one each call, where a call must not fail after it may have arrived.
    """
    try:
        secure = ssl.create_default_context(cafile=ca) if ca else httpx.create_ssl_context(trust_env=False)
    except OSError as error:
        raise Misconfigured(f"ca {ca}: {error.strerror or 'no certificates'}") from error
    told = {"Accept-Encoding": "identity", "User-Agent": "metergate", **headers}
    return httpx.Client(transport=_Transport(secure, connections, keep), headers=told, follow_redirects=False, trust_env=False)


class Answered(msgspec.Struct, frozen=True):
    """What came back. `trouble`: why the body was not read to its end, empty when it was."""

    status: int
    headers: httpx.Headers
    body: bytes
    trouble: str = ""


def post(client: httpx.Client, url: str, content: bytes, headers: Mapping[str, str], *, deadline: float, limit: int) -> Answered:
    """Call once, until `deadline` on the monotonic clock at the longest, reading at most `limit` bytes.

    Raises Unavailable, whose `sent` says whether a byte may have left the house, and Misconfigured for a peer that is not believed.
    """
    left = max(deadline - time.monotonic(), 0.001)
    _clock.deadline = deadline
    try:
        timeout = httpx.Timeout(left, connect=min(left, 10.0))
        with client.stream("POST", url, content=content, headers=dict(headers), timeout=timeout) as answer:
            body, trouble = _read(answer, limit)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        if _mistrust(error):
            raise Misconfigured(f"{url}: {error}") from error
        raise Unavailable(f"{url}: not reached: {str(error) or type(error).__name__}", sent=False) from error
    except httpx.TransportError as error:
        raise Unavailable(f"{url}: no whole answer: {str(error) or type(error).__name__}", sent=True) from error
    return Answered(answer.status_code, answer.headers, body, trouble)


def _read(answer: httpx.Response, limit: int) -> tuple[bytes, str]:
    """Read the bytes as they travel, unpacking nothing, and no more of them than is allowed."""
    if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
        return b"", "packed, which was not asked for"
    raw = bytearray()
    for chunk in answer.iter_raw():
        raw += chunk
        if len(raw) > limit:
            return b"", f"with more than {limit} bytes"
    return bytes(raw), ""


def retry_after(text: str, now: datetime | None = None) -> float | None:
    """Read Retry-After: seconds or an HTTP date, at most a day; None when there is none or it makes no sense."""
    if re.fullmatch(r"[0-9]{1,12}", text.strip()):
        return min(float(text), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - (now or datetime.now(UTC))).total_seconds(), 0.0), LONGEST_WAIT)


def redirected(url: str, status: int, headers: httpx.Headers) -> Misconfigured:
    """What a redirect means: it is not followed, and only its host is told, since the rest may hold a secret."""
    try:
        place = urlsplit(headers.get("Location", ""))
    except ValueError:
        place = urlsplit("")
    return Misconfigured(f"{url} answered {status}, a redirect to {place.scheme}://{place.hostname}, which is not followed")


def plain(text: str, longest: int) -> str:
    """Foreign text that a database and a page can hold."""
    return _NOT_TEXT.sub(" ", text[:longest])


def _mistrust(error: BaseException) -> bool:
    """Tell whether a TLS handshake failed for a reason that time does not mend: a certificate, a version, no TLS at all."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError)
        cause = cause.__cause__ or cause.__context__
    return False


class _Clock(threading.local):
    """When the attempt of this thread must be over, on the monotonic clock."""

    deadline: float = float("inf")


_clock = _Clock()


def _left(timeout: float | None, late: type[Exception]) -> float:
    left = _clock.deadline - time.monotonic()
    if left <= 0:
        raise late("the time for the attempt is over")
    return left if timeout is None else min(timeout, left)


class _Stream(httpcore.NetworkStream):
    """A connection each of whose reads and writes ends at the attempt's deadline: httpx itself only limits one read."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), CHUNK):
            self._inner.write(buffer[start : start + CHUNK], _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None) -> "_Stream":
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _left(timeout, httpcore.ConnectTimeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Network(httpcore.SyncBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(super().connect_tcp(host, port, left, local_address, socket_options))


class _Transport(httpx.HTTPTransport):
    """httpx's own transport over a pool whose connections know the deadline; httpx has no public way to give it one."""

    def __init__(self, secure: ssl.SSLContext, connections: int, keep: float) -> None:
        super().__init__(verify=secure, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=secure, max_connections=connections, keepalive_expiry=keep, network_backend=_Network()
        )
