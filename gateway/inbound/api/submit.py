"""POST /v1/readings and POST /v1/files: what portals send."""

import asyncio
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.connection import ASGIConnection
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.handlers import BaseRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Body, QueryParameter

from gateway import pipeline
from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import MeterReading
from gateway.inbound import arriving, views
from gateway.inbound.api.errors import language_of, refusals, undecodable
from gateway.inbound.auth import Keyring, calling, key_in, login_in, may
from gateway.inbound.parts import first_answer, parts_of, read_words
from gateway.inbound.views import SubmissionDetail
from gateway.mapping import Envelope
from gateway.pipeline import Outcome, Post, Repeated, new_entry
from gateway.steps import step
from gateway.store.intake import Entry
from gateway.store.people import Sender

CANONICAL: Final = "canonical_json"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")


class _Named(msgspec.Struct):
    submission: str


_location: Final = msgspec.json.Decoder(_Named)
ANSWERS: Final = refusals(400, 401, 403, 413, 415, 422, 503) | {
    200: ResponseSpec(SubmissionDetail, description="The same bytes once more, without a key: the first receipt"),
    202: ResponseSpec(SubmissionDetail, description="Stored: the receipt"),
}


@post(
    "/v1/readings",
    status_code=202,
    responses=ANSWERS,
    operation_id="submitReadings",
    tags=["readings"],
)
async def submit_readings(
    request: Request[Any, Any, Any],
    source: Annotated[str, QueryParameter(max_length=100)] = "",
    draft: Annotated[str, QueryParameter(max_length=5)] = "",
    known_to_billing: Annotated[str, QueryParameter(max_length=5)] = "",
) -> Response[bytes]:
    """Submit readings as canonical JSON (contracts_schema/meter_readings.schema.json).

    Up to 1,000 readings are judged at once: the 202 is sent after they are stored and carries the verdict of each. A larger post is
    stored and judged a moment later, like a file. With an `Idempotency-Key` the same post always gets the same answer.

    `draft=true` saves and judges them without handing them in. `source`: who read the meters, `phone`, `control` or `automatic`, each with
    the scope of its name. `known_to_billing=true`: billing's own readings, which are kept and not sent to it.
    """
    parts = parts_of(request)
    key = key_in(request.headers.get("authorization", ""))
    sender = parts.keyring.remembered(key)
    if sender is None:
        sender = await asyncio.to_thread(parts.keyring.sender, key)
    may(sender, "submit")
    if login := login_in(request.headers):
        sender = await asyncio.to_thread(parts.keyring.narrowed, sender, login)
    await read_words(parts, sender.utility_id)
    body = await request.body()
    if len(body) > parts.settings.limits.json_bytes:
        raise Rejected(Problem(code="body_too_large", values={"limit": str(parts.settings.limits.json_bytes)}))
    envelope = Envelope(zone=parts.settings.zone, kind=CANONICAL)
    if source or draft or known_to_billing:
        came = arriving.life({"source": source, "draft": draft, "known_to_billing": known_to_billing}, sender)
        envelope = msgspec.structs.replace(came, zone=envelope.zone, kind=CANONICAL)
    if len(body) > 65_536:
        found = await asyncio.to_thread(lambda: list(parts.formats[CANONICAL].decode(body, envelope)))
    else:
        found = list(parts.formats[CANONICAL].decode(body, envelope))
    if not found:
        raise Rejected(Problem(code="nothing_to_take"))
    if len(found) > parts.settings.limits.post_readings:
        raise Rejected(Problem(code="too_many_readings", values={"limit": str(parts.settings.limits.post_readings)}))
    return await hand_over(request, _entry(request, sender, envelope, body), found)


async def hand_over(request: Request[Any, Any, Any], entry: Entry, found: list[MeterReading | Problem]) -> Response[bytes]:
    """Take readings in and answer: judged at once when they are few, else stored and judged a moment later."""
    parts = parts_of(request)
    if 0 < len(found) <= parts.settings.limits.door_readings:
        outcome = await parts.door.take(_post(request, entry, found))
    else:
        [outcome] = await asyncio.to_thread(pipeline.receive, parts.store, [_post(request, entry, [])], translated=False)
    return await _answered(request, entry, outcome)


async def known(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Ask who sends before anything of the body is read: a stranger's file is never parsed."""
    keyring: Keyring = connection.app.state.parts.keyring
    connection.scope["state"]["sender"] = await calling(keyring, connection.headers, "submit")


@dataclass
class FileForm:
    """A file with its envelope: what the sender knows and the file does not say. `period` is YYYY-MM, `kind` the file's format.

    `ratio_applied`, `losses_applied`: `true` when the values contain the meter's ratio or losses already. `source`, `draft`,
    `known_to_billing`: as beside readings.
    """

    file: UploadFile
    agreement: str = ""
    meter: str = ""
    period: str = ""
    kind: str = ""
    ratio_applied: str = ""
    losses_applied: str = ""
    source: str = ""
    draft: str = ""
    known_to_billing: str = ""


@post(
    "/v1/files",
    status_code=202,
    responses=ANSWERS,
    operation_id="submitFile",
    tags=["files"],
    guards=[known],
    exception_handlers={UnicodeDecodeError: undecodable},
)
async def submit_file(
    request: Request[Any, Any, Any], data: Annotated[FileForm, Body(media_type=RequestEncodingType.MULTI_PART)]
) -> Response[bytes]:
    """Upload a file (a filled integral workbook, .xlsx or .xls; canonical JSON) with its envelope.

    The 202 says that the bytes are stored; rows and their problems come a moment later under GET /v1/submissions/{id}.
    """
    parts, sender = parts_of(request), request.scope["state"]["sender"]
    body = await data.file.read()
    await read_words(parts, sender.utility_id)
    told = {name: value for name, value in vars(data).items() if name != "file"}
    profiles = parts.profiles[sender.utility_id]
    zone, kinds = arriving.zone_of(profiles, parts.settings.zone), arriving.kinds(parts.formats, profiles)
    envelope = arriving.envelope(told, kinds, sender, zone=zone, file_name=arriving.label(data.file.filename))
    await asyncio.to_thread(arriving.look, body, parts.settings.limits)
    return await hand_over(request, _entry(request, sender, envelope, body), [])


def _entry(request: Request[Any, Any, Any], sender: Sender, envelope: Envelope, body: bytes) -> Entry:
    return new_entry(sender, envelope, body, channel="api", key=_idempotency_key(request))


def _post(request: Request[Any, Any, Any], entry: Entry, found: list[MeterReading | Problem]) -> Post:
    language, parts = language_of(request), parts_of(request)
    profiles = parts.profiles.get(entry.sender.utility_id, {})
    return Post(entry=entry, found=found, say=lambda written: msgspec.json.encode(views.receipt(written, language, profiles)))


def _idempotency_key(request: Request[Any, Any, Any]) -> str:
    """The Idempotency-Key, quoted (as the IETF draft has it) or bare; none, or exactly one of visible ASCII, at most 255 long."""
    given = request.headers.getall("idempotency-key", [])
    if not given:
        return ""
    key = given[0].strip()
    key = key[1:-1] if len(key) > 1 and key[0] == key[-1] == '"' else key
    if len(given) > 1 or not _KEY.fullmatch(key):
        raise Rejected(Problem(code="idempotency_key_invalid", where="Idempotency-Key"))
    return key


async def _answered(request: Request[Any, Any, Any], entry: Entry, outcome: Outcome) -> Response[bytes]:
    """202 for what is new or comes under a key, 200 with the first receipt for the same bytes once more without one."""
    if isinstance(outcome, Rejected):
        raise outcome
    answer = b"" if isinstance(outcome, Repeated) else outcome.answer
    if isinstance(outcome, Repeated):
        parts, language = parts_of(request), language_of(request)
        answer = await asyncio.to_thread(first_answer, parts, entry, outcome.submission, language, msgspec.json.encode)
    step("receive.answered")
    status = 200 if isinstance(outcome, Repeated) and not entry.key else 202
    headers = {"Location": f"/v1/submissions/{_location.decode(answer).submission}"}
    return Response(answer, status_code=status, media_type="application/json", headers=headers)
