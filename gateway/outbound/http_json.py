"""Posts batches to a billing that speaks our own HTTP contract (contracts_schema/http_json.md); a repeat of an item is billed once."""

import re
import ssl
import threading
import time
import weakref
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

import httpcore
import httpx
import msgspec
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay, wait_exponential_jitter

from gateway.domain.problems import Misconfigured, Problem, Rejected, Unavailable
from gateway.outbound import Answer, Batch, Guarantee, Receipt, Target
from gateway.outbound.wire import body

REFUSALS: Final = frozenset({400, 404, 409, 422})
"""Statuses by which billing turns a whole call away, if it says why as the contract wants."""
PASSING: Final = frozenset({408, 425, 429})
LONGEST_WAIT: Final = 86400.0
CHUNK: Final = 65536
_NOT_TEXT: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class HttpJson(Target, frozen=True, kw_only=True, dict=True, weakref=True):
    """Posts a batch; every item of it carries the key under which billing keeps it.

    `url`: `{url}/readings` is called. `timeout`: seconds for the whole attempt with its repeats. `answer_bytes`: longest answer read.
    `attempts`: calls within one attempt while the fault looks like a passing one. `ca`: PEM file of a private certificate authority.
    """

    url: str
    token: str
    timeout: float = 30.0
    answer_bytes: int = 1024 * 1024
    attempts: int = 3
    ca: str = ""

    def __post_init__(self) -> None:
        try:
            parts = httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise ValueError(f"url: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.host or not 0 < (parts.port or 1) < 65536:
            raise ValueError("url: an http or https address is wanted")
        if parts.userinfo or parts.query or parts.fragment:
            raise ValueError("url: no user, password, query or fragment here; the secret is `token`")
        if not re.fullmatch(r"[!-~]+", self.token):
            raise ValueError("token: printable ASCII without blanks is wanted")
        if self.timeout <= 0 or self.answer_bytes <= 0 or self.attempts < 1:
            raise ValueError("timeout, answer_bytes and attempts: more than 0 is wanted")

    def __repr__(self) -> str:
        return f"HttpJson({self.url!r})"

    @property
    def guarantee(self) -> Guarantee:
        """Our contract: a key is honoured for ever."""
        return "A"

    def deliver(self, batch: Batch) -> Receipt:
        """Post the batch, riding out a short fault here; a long one is the worker's to wait for."""
        sent: list[bool] = []
        calls = Retrying(
            stop=stop_after_attempt(self.attempts) | stop_before_delay(self.timeout),
            wait=wait_exponential_jitter(multiplier=0.2, max=2.0, jitter=0.2),
            retry=retry_if_exception_type(_Passing),
            after=lambda state: sent.append(_sent(state)),
            reraise=True,
        )
        headers = {"Idempotency-Key": batch.id, "Content-Type": "application/json"}
        try:
            status, heads, raw = calls(self._call, body(batch.id, batch.items), headers, time.monotonic() + self.timeout)
        except _Passing as last:
            raise Unavailable(str(last), sent=any(sent), retry_after=last.retry_after) from last
        if status != 200:
            raise self._refused(status, heads, raw)
        return Receipt(answers=self._answers(batch, heads, raw), raw=raw)

    @cached_property
    def _client(self) -> httpx.Client:
        try:
            secure = ssl.create_default_context(cafile=self.ca) if self.ca else httpx.create_ssl_context(trust_env=False)
        except OSError as error:
            raise Misconfigured(f"ca {self.ca}: {error.strerror or 'no certificates'}") from error
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "metergate",
        }
        client = httpx.Client(transport=_Transport(secure, self.concurrency), headers=headers, follow_redirects=False, trust_env=False)
        weakref.finalize(self, client.close)
        return client

    def _call(self, content: bytes, headers: dict[str, str], deadline: float) -> tuple[int, httpx.Headers, bytes]:
        """Call once. A fault worth another call at once is raised as _Passing."""
        where = f"{self.url.rstrip('/')}/readings"
        left = max(deadline - time.monotonic(), 0.001)
        _clock.deadline = deadline
        try:
            timeout = httpx.Timeout(left, connect=min(left, 10.0))
            with self._client.stream("POST", where, content=content, headers=headers, timeout=timeout) as answer:
                raw = self._read(answer)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            if _mistrust(error):
                raise Misconfigured(f"{self.url}: {error}") from error
            raise _Passing(f"{self.url}: not reached: {str(error) or type(error).__name__}", sent=False) from error
        except httpx.TransportError as error:
            raise _Passing(f"{self.url}: no whole answer: {str(error) or type(error).__name__}", sent=True) from error
        if answer.status_code in PASSING or answer.status_code >= 500:
            wait = retry_after(answer.headers.get("Retry-After", ""))
            kind = _Passing if wait is None and answer.status_code != 429 else Unavailable
            raise kind(f"{self.url} answered {answer.status_code}", sent=True, retry_after=wait)
        return answer.status_code, answer.headers, raw

    def _read(self, answer: httpx.Response) -> bytes:
        """Read the bytes as they travel, unpacking nothing, and no more of them than is allowed."""
        trouble = ""
        raw = bytearray()
        if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
            trouble = "packed, which was not asked for"
        for chunk in answer.iter_raw() if not trouble else ():
            raw += chunk
            if len(raw) > self.answer_bytes:
                trouble = f"with more than {self.answer_bytes} bytes"
                break
        if trouble and answer.status_code == 200:
            raise Unavailable(f"{self.url} answered 200 {trouble}", sent=True)
        return b"" if trouble else bytes(raw)

    def _refused(self, status: int, headers: httpx.Headers, raw: bytes) -> Rejected | Misconfigured:
        """What any other status than 200 means."""
        if 300 <= status < 400:
            place = urlsplit(headers.get("Location", ""))
            return Misconfigured(f"{self.url} answered {status}, a redirect to {place.scheme}://{place.hostname}, which is not followed")
        if status in REFUSALS:
            try:
                reason = _plain(msgspec.json.decode(raw, type=_Refusal).reason, 1000)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                return Misconfigured(f"{self.url} answered {status} without a reason: the address may be wrong")
            reason = reason.replace(self.token, "***")
            return Rejected(Problem(code="refused_by_billing", values={"reason": reason, "status": str(status)}))
        return Misconfigured(f"{self.url} answered {status}")

    def _answers(self, batch: Batch, headers: httpx.Headers, raw: bytes) -> tuple[Answer, ...]:
        """Read the word on each item, in the batch's order. Anything but the contract is a lost answer, never success."""
        try:
            results = msgspec.json.decode(raw, type=_Results).results
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            kind = headers.get("Content-Type", "no type")[:80]
            reason = str(error).replace(self.token, "***")
            raise Unavailable(f"{self.url} answered 200 with something else ({kind}): {reason}", sent=True) from error
        told = {answer.key: answer for answer in results}
        if len(told) < len(results) or told.keys() != {item.key for item in batch.items}:
            raise Unavailable(f"{self.url} answered 200 for other items than were sent ({len(results)} of {len(batch.items)})", sent=True)
        return tuple(_cleaned(told[item.key]) for item in batch.items)


class _Results(msgspec.Struct, frozen=True):
    results: list[Answer]


class _Refusal(msgspec.Struct, frozen=True):
    reason: str


class _Passing(Unavailable):
    """A fault that a second call, a moment later, may not meet."""


def _sent(state: RetryCallState) -> bool:
    fault = state.outcome.exception() if state.outcome else None
    return isinstance(fault, Unavailable) and fault.sent


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


def _cleaned(answer: Answer) -> Answer:
    if not answer.reason and answer.reference.isalnum() and len(answer.reference) <= 200:
        return answer
    return msgspec.structs.replace(answer, reference=_plain(answer.reference, 200), reason=_plain(answer.reason, 1000))


def _plain(text: str, longest: int) -> str:
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

    def __init__(self, secure: ssl.SSLContext, connections: int) -> None:
        super().__init__(verify=secure, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=secure, max_connections=connections, keepalive_expiry=15.0, network_backend=_Network()
        )
