"""The sandbox billing's web application: the partner's contract, and behind the control token the orders and the journal."""

import asyncio
import base64
import binascii
import hmac
import logging
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, get, post

from gateway.sandbox import soap
from gateway.sandbox.books import Books
from gateway.sandbox.config import Account, SandboxConfig
from gateway.sandbox.journal import rows
from gateway.sandbox.steering import ORDERS, Do, Order, Steering
from gateway.sandbox.wire import BATCHES, REFUSALS, Batch, Refusal, Result, Results

log = logging.getLogger("metergate.sandbox")

Call = Request[Any, Any, Any]
Answer = Response[bytes]

BODY_BYTES = 32 * 1024 * 1024
LOGIN_PAGE = b"<!doctype html><title>Login</title><form method=post><input name=login><input name=password type=password></form>"
GARBAGE = b'{"results":[{"key":\xff\xfe\x00'


def application(config: SandboxConfig, books: Books, steering: Steering) -> Litestar:
    """Build the application."""
    door = Door(config, books, steering)

    @post("/readings")
    async def readings(request: Call) -> Answer:
        return await door.readings(request)

    @get("/readings/{key:str}")
    async def held(request: Call, key: str) -> Answer:
        return await door.held(request, key)

    @post("/soap", status_code=200)
    async def call(request: Call) -> Answer:
        return await door.soap(request)

    @get("/soap")
    async def wsdl(request: Call) -> Answer:
        return Response(soap.wsdl(f"{request.base_url}soap"), media_type="text/xml")

    @post("/control")
    async def order(request: Call) -> Answer:
        return await door.order(request)

    @get("/control")
    async def orders(request: Call) -> Answer:
        return _json(steering.active) if door.may_steer(request) else _refuse(401, "unauthorized")

    @get("/journal", sync_to_thread=True)
    def journal(request: Call, account: str = "") -> Answer:
        return door.journal(account) if door.may_steer(request) else _refuse(401, "unauthorized")

    @get("/health")
    async def health() -> Answer:
        return _json({"ok": True})

    handlers = [readings, held, call, wsdl, order, orders, journal, health]
    return Litestar(handlers, openapi_config=None, logging_config=None, request_max_body_size=BODY_BYTES)


class Door:
    """Checks who calls, carries out the orders in force, and hands the rest to the books."""

    def __init__(self, config: SandboxConfig, books: Books, steering: Steering) -> None:
        self._config = config
        self._books = books
        self._steering = steering

    async def readings(self, request: Call) -> Answer:
        """Take a batch; an order may spoil it before or after its effect."""
        account = self._caller(request)
        if account is None:
            return _refuse(401, "unauthorized")
        spoiled = await self._before(request, account)
        return spoiled or await self._take(request, account)

    async def held(self, request: Call, key: str) -> Answer:
        """Tell whether a key is held."""
        account = self._caller(request)
        if account is None:
            return _refuse(401, "unauthorized")
        if spoiled := await self._before(request, account):
            return spoiled
        result = self._books.held(account, key)
        return _json(result) if result else _refuse(404, "key_unknown")

    async def soap(self, request: Call) -> Answer:
        """Take a SOAP call: an import, or a question whether numbers are held."""
        kind = soap.kind_of(request.headers.get("content-type", ""))
        try:
            call = soap.read(await request.body(), kind)
        except soap.Fault as fault:
            return _xml(kind, soap.fault(kind, str(fault), caller=True), 500)
        account = self._caller(request) or self._named(*_basic(request)) or self._named(call.user, call.password)
        if account is None:
            return _xml(kind, soap.fault(kind, "unauthorized", caller=True), 401)
        if spoiled := await self._before(request, account):
            reason = REFUSALS.decode(spoiled.content).reason
            status = spoiled.status_code or 500
            return _xml(kind, soap.fault(kind, reason, caller=status < 500), status, spoiled.headers)
        if call.batch is None:
            return _xml(kind, soap.found(call, [self._books.held(account, key) for key in call.keys]))
        try:
            results = self._books.take(account, call.batch, self._steering.judge(account))
        except OSError as error:
            log.warning("journal: %s", error)
            return _xml(kind, soap.fault(kind, "journal_unwritable", caller=False), 500)
        return await self._spoil(request, account, kind) or _xml(kind, soap.imported(call, results))

    async def order(self, request: Call) -> Answer:
        """Put an order in force and show all that are."""
        if not self.may_steer(request):
            return _refuse(401, "unauthorized")
        try:
            self._steering.give(ORDERS.decode(await request.body()))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _refuse(400, f"order_malformed: {error}")
        return _json(self._steering.active)

    def journal(self, name: str) -> Answer:
        """Every row ever judged, for one account or for all."""
        found = [
            {"account": account, "version": entry.version} | msgspec.to_builtins(entry.item) | msgspec.to_builtins(entry.result)
            for account, entry in rows(self._config.journal)
            if name in ("", account)
        ]
        return _json({"rows": found})

    def may_steer(self, request: Call) -> bool:
        """Tell whether the call carries the control token."""
        return bool(self._config.control_token) and _same(_bearer(request), self._config.control_token)

    def _caller(self, request: Call) -> Account | None:
        token = _bearer(request)
        found = [account for account in self._config.accounts if _same(token, account.token)]
        return found[0] if found else None

    def _named(self, name: str, token: str) -> Account | None:
        """The account of that name, if this is its token."""
        found = [account for account in self._config.accounts if account.name == name and _same(token, account.token)]
        return found[0] if found else None

    async def _before(self, request: Call, account: Account) -> Answer | None:
        """Orders that spoil a call before it has any effect."""
        if self._steering.fires(account, Do.DOWN):
            return await _cut(request)
        if order := self._steering.fires(account, Do.STALL):
            await asyncio.sleep(order.seconds)
        if order := self._steering.fires(account, Do.FAIL):
            extra = {"Retry-After": order.retry_after, "Location": order.location}
            headers = {name: value for name, value in extra.items() if value}
            return _json(Refusal(reason=order.reason or "failed_by_order"), order.status, headers)
        return None

    async def _take(self, request: Call, account: Account) -> Answer:
        """Decode, judge, keep, answer; and orders that lose or spoil the answer once the effect is on the disk."""
        batch = _batch(await request.body(), request.headers.get("idempotency-key", "").strip('"'))
        if isinstance(batch, Refusal):
            return _json(batch, 400)
        try:
            results = self._books.take(account, batch, self._steering.judge(account))
        except OSError as error:
            log.warning("journal: %s", error)
            return _refuse(503, "journal_unwritable")
        return await self._spoil(request, account, "application/json") or _json(Results(results=results))

    async def _spoil(self, request: Call, account: Account, kind: str) -> Answer | None:
        """Orders that lose or spoil an answer of this type of content."""
        if self._steering.fires(account, Do.LOSE):
            return await _cut(request)
        if spoil := self._steering.fires(account, Do.GARBAGE, Do.HTML):
            garbage = spoil.do is Do.GARBAGE
            return Response(GARBAGE if garbage else LOGIN_PAGE, media_type=kind if garbage else "text/html", status_code=200)
        return None


def _batch(body: bytes, name: str) -> Batch | Refusal:
    """Read a call's body, or say why the whole of it is turned away."""
    try:
        batch = BATCHES.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Refusal(reason=f"batch_malformed: {error}")
    if name != batch.batch:
        return Refusal(reason="idempotency_key_is_not_the_batch")
    if len({item.key for item in batch.items}) < len(batch.items):
        return Refusal(reason="key_twice_in_a_batch")
    return batch


def _bearer(request: Call) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _basic(request: Call) -> tuple[str, str]:
    """Name and password of HTTP Basic; empty when there are none."""
    scheme, _, packed = request.headers.get("authorization", "").partition(" ")
    try:
        name, _, password = base64.b64decode(packed, validate=True).decode().partition(":") if scheme.lower() == "basic" else ("", "", "")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


Content = Result | Results | Refusal | tuple[Order, ...] | dict[str, Any]


def _json(content: Content, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return Response(msgspec.json.encode(content), media_type="application/json", status_code=status, headers=headers)


def _xml(kind: str, content: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return Response(content, media_type=f"{kind}; charset=utf-8", status_code=status, headers=headers)


def _refuse(status: int, reason: str) -> Answer:
    return _json(Refusal(reason=reason), status)


async def _cut(request: Call) -> Answer:
    """Cut the connection; the answer made for form's sake reaches nobody."""
    request.scope["state"]["cut"]()
    await asyncio.sleep(0.01)
    return _refuse(503, "cut")
