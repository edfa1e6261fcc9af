"""The SOAP channel, contract first: POST /soap takes what `contracts_schema/soap` describes, GET /soap?wsdl gives the contract."""

import asyncio
import binascii
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from litestar import Request, Response, get, post

from gateway import pipeline, texts
from gateway.domain.problems import Problem, Rejected
from gateway.inbound import arriving, views
from gateway.inbound.auth import key_in, may
from gateway.inbound.parts import Parts, first_answer, parts_of, read_words, status_of, submission_id
from gateway.inbound.soap import contract, faults, rows, saying
from gateway.inbound.soap.envelope import Message, check_type, opened, version_of
from gateway.inbound.soap.faults import asked
from gateway.inbound.soap.reading import SMALL, body_of, is_small
from gateway.mapping import Envelope
from gateway.mapping.markup import parse_untrusted
from gateway.pipeline import Post, Repeated, new_entry
from gateway.steps import step
from gateway.store.people import Sender
from gateway.texts import Language

T = TypeVar("T")


@post("/soap", status_code=200, include_in_schema=False, exception_handlers=faults.HANDLERS, request_max_body_size=None)  # see reading
async def soap(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Take one message: know its sender where HTTP names one, read it, hold it to the contract, do what it asks, answer in its version."""
    parts, call = parts_of(request), asked(request)
    check_type(request.content_type[0])
    key = key_in(request.headers.get("authorization", ""))
    met = await _met(parts, key, small=is_small(request)) if key else None
    async with body_of(request, known=bool(key)) as body:
        message = await _aside(body, lambda: read(request, body))
        sender = await _known(parts, message, key, met)
        await read_words(parts, sender.utility_id)
        content = await OPERATIONS[message.name](parts, sender, message, call.language)
    step("soap.answered", operation=message.name)
    answer = saying.answer(message.version, message.name, content)
    return Response(answer, headers={"Content-Type": f"{message.version.media}; charset=utf-8"})


def read(request: Request[Any, Any, Any], body: bytes) -> Message:
    """The message in a body, noting on the way how it must be answered. Raises Rejected."""
    call, limits = asked(request), parts_of(request).settings.limits
    told = request.content_type[1]
    root = parse_untrusted(body, limits, size=limits.soap_bytes, charset=told.get("charset", ""), forbid=("instruction",))
    call.enveloped = True
    call.version = version_of(root)
    message = opened(root, call.version, told.get("action") or request.headers.get("soapaction") or "")
    call.operation = message.name
    if message.language:
        call.language = texts.choose(message.language, call.language)
    return message


async def submit_readings(parts: Parts, sender: Sender, message: Message, language: Language) -> bytes:
    """Up to `door_readings` are judged at the door, in the transaction that those who wait share; more are kept and judged later."""
    may(sender, "submit")
    limits = parts.settings.limits
    number = rows.many(message.operation)
    if number > limits.post_readings:
        raise Rejected(Problem(code="too_many_readings", values={"limit": str(limits.post_readings)}))
    envelope = Envelope(zone=parts.settings.zone, kind="canonical_json")

    def decoded() -> tuple[bytes, list[Any]]:
        contract.check(message.operation)
        body = rows.canonical(message.operation)
        if len(body) > limits.json_bytes:
            raise Rejected(Problem(code="body_too_large", values={"limit": str(limits.json_bytes)}))
        return body, list(parts.formats["canonical_json"].decode(body, envelope)) if number <= limits.door_readings else []

    body, found = decoded() if number <= 50 else await asyncio.to_thread(decoded)
    return await _submitted(parts, sender, message, language, envelope, body, found)


async def submit_file(parts: Parts, sender: Sender, message: Message, language: Language) -> bytes:
    """A file is kept as it is, and translated a moment later."""
    may(sender, "submit")
    profiles = parts.profiles[sender.utility_id]
    zone, kinds = arriving.zone_of(profiles, parts.settings.zone), arriving.kinds(parts.formats, profiles)

    def decoded() -> tuple[Envelope, bytes]:
        contract.check(message.operation)
        told = {field: _told(message, name) for name, field in _FILE.items()}
        envelope = arriving.envelope(told, kinds, sender, zone=zone, file_name=arriving.label(_told(message, "Name")))
        body = binascii.a2b_base64(_told(message, "Content"))
        arriving.look(body, parts.settings.limits)
        return envelope, body

    envelope, body = await asyncio.to_thread(decoded)
    return await _submitted(parts, sender, message, language, envelope, body, [])


async def get_status(parts: Parts, sender: Sender, message: Message, language: Language) -> bytes:
    """A submission of this sender as it stands."""
    may(sender, "read")
    contract.check(message.operation)
    found = await asyncio.to_thread(status_of, parts, sender, submission_id(_told(message, "Submission")), language)
    return saying.receipt(found)


OPERATIONS: Final[dict[str, Callable[[Parts, Sender, Message, Language], Awaitable[bytes]]]] = {
    "SubmitReadings": submit_readings,
    "SubmitFile": submit_file,
    "GetStatus": get_status,
}
_FILE: Final = {
    "Agreement": "agreement",
    "Meter": "meter",
    "Period": "period",
    "Kind": "kind",
    "RatioApplied": "ratio_applied",
    "LossesApplied": "losses_applied",
}


async def _submitted(
    parts: Parts, sender: Sender, message: Message, language: Language, envelope: Envelope, body: bytes, found: list[Any]
) -> bytes:
    """Hand over what came and wait until it is committed; under a MessageID used before, the answer given then."""
    message_id = _told(message, "MessageID")
    key = f"soap {message_id}" if message_id else ""  # a blank, which no key of the REST API holds: the two never meet
    entry = new_entry(sender, envelope, body, channel="soap", key=key)
    words = parts.profiles.get(sender.utility_id, {})
    post_ = Post(entry=entry, found=found, say=lambda written: saying.receipt(views.receipt(written, language, words)))
    step("soap.decoded", operation=message.name, readings=len(found))
    if found:
        outcome = await parts.door.take(post_)
    else:
        [outcome] = await asyncio.to_thread(pipeline.receive, parts.store, [post_], translated=False)
    if isinstance(outcome, Rejected):
        raise outcome
    if isinstance(outcome, Repeated):
        return await asyncio.to_thread(first_answer, parts, entry, outcome.submission, language, saying.receipt)
    return outcome.answer


async def _met(parts: Parts, key: str, *, small: bool) -> Sender | None:
    """Who sends by the header of HTTP, before a byte is read; None when a key met before will do to read a small message.

    Raises Rejected(unauthorized).
    """
    if small and parts.keyring.remembered(key):
        return None
    return await asyncio.to_thread(parts.keyring.sender, key)


async def _known(parts: Parts, message: Message, bearer: str, met: Sender | None) -> Sender:
    """Who sends: the key stands in the envelope's header or in that of HTTP. Raises Rejected(unauthorized)."""
    if message.key and bearer and message.key != bearer:
        raise Rejected(Problem(code="unauthorized"))
    if met is not None:
        return met
    key = message.key or bearer
    remembered = parts.keyring.remembered(key) if message.name == "SubmitReadings" else None
    return await asyncio.to_thread(parts.keyring.sender, key) if remembered is None else remembered


async def _aside(body: bytes, work: Callable[[], T]) -> T:
    return work() if len(body) <= SMALL else await asyncio.to_thread(work)


def _told(message: Message, name: str) -> str:
    return (message.operation.findtext(f"{{{contract.NAMESPACE}}}{name}") or "").strip(" \t\r\n")


@get("/soap", include_in_schema=False, sync_to_thread=False)
def contract_of(request: Request[Any, Any, Any]) -> Response[bytes]:
    """The contract: `?wsdl`, with the address this server was asked at, and `?xsd`, which it imports."""
    asked_for = request.scope["query_string"].lower().rstrip(b"=")
    if asked_for not in (b"wsdl", b"xsd"):
        raise Rejected(Problem(code="not_found"))
    address = f"{str(request.base_url).rstrip('/')}/soap"
    body = contract.wsdl(address) if asked_for == b"wsdl" else contract.document("metergate.xsd")
    return Response(body, media_type="text/xml")


HANDLERS: Final = [soap, contract_of]
