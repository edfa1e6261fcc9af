"""Posts batches to a billing that speaks our own HTTP contract (contracts_schema/http_json.md); a repeat of an item is billed once."""

import re
import time
import weakref
from functools import cached_property
from typing import Final

import httpx
import msgspec
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_before_delay, wait_exponential_jitter

from gateway.domain.problems import Misconfigured, Problem, Rejected, Unavailable
from gateway.outbound import Answer, Batch, Guarantee, Receipt, Target, calls
from gateway.outbound.wire import body

REFUSALS: Final = frozenset({400, 404, 409, 422})
"""Statuses by which billing turns a whole call away, if it says why as the contract wants."""
PASSING: Final = frozenset({408, 425, 429})


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
        calls.check_address(self.url)
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
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        client = calls.client(self.ca, self.concurrency, headers)
        weakref.finalize(self, client.close)
        return client

    def _call(self, content: bytes, headers: dict[str, str], deadline: float) -> tuple[int, httpx.Headers, bytes]:
        """Call once. A fault worth another call at once is raised as _Passing."""
        where = f"{self.url.rstrip('/')}/readings"
        try:
            answer = calls.post(self._client, where, content, headers, deadline=deadline, limit=self.answer_bytes)
        except Unavailable as fault:
            raise _Passing(str(fault), sent=fault.sent) from fault
        if answer.trouble and answer.status == 200:
            raise Unavailable(f"{self.url} answered 200 {answer.trouble}", sent=True)
        if answer.status in PASSING or answer.status >= 500:
            wait = calls.retry_after(answer.headers.get("Retry-After", ""))
            kind = _Passing if wait is None and answer.status != 429 else Unavailable
            raise kind(f"{self.url} answered {answer.status}", sent=True, retry_after=wait)
        return answer.status, answer.headers, answer.body

    def _refused(self, status: int, headers: httpx.Headers, raw: bytes) -> Rejected | Misconfigured:
        """What any other status than 200 means."""
        if 300 <= status < 400:
            return calls.redirected(self.url, status, headers)
        if status in REFUSALS:
            try:
                reason = calls.plain(_refusal.decode(raw).reason, 1000)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                return Misconfigured(f"{self.url} answered {status} without a reason: the address may be wrong")
            reason = reason.replace(self.token, "***")
            return Rejected(Problem(code="refused_by_billing", values={"reason": reason, "status": str(status)}))
        return Misconfigured(f"{self.url} answered {status}")

    def _answers(self, batch: Batch, headers: httpx.Headers, raw: bytes) -> tuple[Answer, ...]:
        """Read the word on each item, in the batch's order. Anything but the contract is a lost answer, never success."""
        try:
            results = _results.decode(raw).results
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


_results: Final = msgspec.json.Decoder(_Results)
_refusal: Final = msgspec.json.Decoder(_Refusal)


class _Passing(Unavailable):
    """A fault that a second call, a moment later, may not meet."""


def _sent(state: RetryCallState) -> bool:
    fault = state.outcome.exception() if state.outcome else None
    return isinstance(fault, Unavailable) and fault.sent


def _cleaned(answer: Answer) -> Answer:
    if not answer.reason and answer.reference.isalnum() and len(answer.reference) <= 200:
        return answer
    return msgspec.structs.replace(answer, reference=calls.plain(answer.reference, 200), reason=calls.plain(answer.reason, 1000))
