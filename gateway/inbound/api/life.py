"""What may be done with a reading before billing has it: hand in a draft, take it back, let it pass or refuse it."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter, QueryParameter

from gateway import pipeline
from gateway.domain.problems import Problem, Rejected
from gateway.inbound.api.bodies import read_body
from gateway.inbound.api.errors import language_of, refusals
from gateway.inbound.api.submit import ANSWERS, CANONICAL, hand_over
from gateway.inbound.auth import Action, calling
from gateway.inbound.parts import Parts, parts_of, read_words, status_of, submission_id
from gateway.inbound.views import SubmissionDetail
from gateway.store import life
from gateway.store.people import Sender
from gateway.texts import Language

_REFUSALS = refusals(400, 401, 403, 404, 409, 422, 503)
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
Id = Annotated[str, PathParameter(max_length=40)]


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person decided about a reading that needed review. `reason`: told to its sender, and kept."""

    accept: bool
    reason: Reason


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided about which reading."""

    reading: str
    accepted: bool


class WaitingView(msgspec.Struct, frozen=True, kw_only=True):
    """A reading that waits for a person."""

    reading: str
    submission: str
    agreement: str
    meter: str
    period: str
    received_at: datetime


class Reviews(msgspec.Struct, frozen=True, kw_only=True):
    """Readings that wait for a person, the oldest first; `next` is the `after` of the next page."""

    readings: list[WaitingView]
    next: str | None


_decision: Final = msgspec.json.Decoder(Decision)


@post(
    "/v1/submissions/{submission:str}/submit",
    status_code=202,
    responses=ANSWERS | refusals(404, 409),
    operation_id="submitDraft",
    tags=["readings"],
)
async def submit_draft(request: Request[Any, Any, Any], submission: Id) -> Response[bytes]:
    """Hand in what was saved with `draft=true`: its bytes are judged anew, by this moment, and become a submission of their own.

    Doing it twice gives the first receipt.
    """
    parts, sender = parts_of(request), await _sender(request, "submit")
    entry = await asyncio.to_thread(pipeline.hand_in, parts.store, sender, submission_id(submission))
    await read_words(parts, sender.utility_id)
    found = []
    if entry.format == CANONICAL and len(entry.body) <= parts.settings.limits.json_bytes:
        found = await asyncio.to_thread(lambda: list(parts.formats[CANONICAL].decode(entry.body, entry.envelope)))
    return await hand_over(request, entry, found)


@post(
    "/v1/readings/{reading:str}/withdraw",
    status_code=200,
    responses=_REFUSALS | {200: ResponseSpec(SubmissionDetail, generate_examples=False, description="The submission as it stands now")},
    operation_id="withdrawReading",
    tags=["readings"],
)
async def withdraw_reading(request: Request[Any, Any, Any], reading: Id) -> Response[bytes]:
    """Take a reading back as long as billing has not been sent it; its register stands again where it stood before.

    How long that is at least is the profile's `reading.hold`.
    """
    parts, sender = parts_of(request), await _sender(request, "submit")
    submission = await asyncio.to_thread(pipeline.withdraw, parts.store, sender, _reading_id(reading))
    return await _told(parts, sender, submission, language_of(request))


@post(
    "/v1/readings/{reading:str}/decide",
    status_code=200,
    responses=_REFUSALS | {200: ResponseSpec(Decided, generate_examples=False, description="What was decided")},
    operation_id="decideReading",
    tags=["review"],
)
async def decide_reading(request: Request[Any, Any, Any], reading: Id) -> Response[bytes]:
    """Let a reading pass that needs review, or refuse it: `{"accept": true, "reason": "..."}`, with the scope `review`.

    One that passes is judged once more, as its registers stand now; an error found then still refuses it, and nothing is changed.
    """
    parts, sender = parts_of(request), await _sender(request, "review")
    told = await read_body(request, _decision)
    if not told.reason.strip() or not told.reason.isprintable():
        raise Rejected(Problem(code="reason_unreadable", where="reason"))
    id_ = _reading_id(reading)
    formats, limits = parts.formats, parts.settings.limits
    await asyncio.to_thread(pipeline.decide, parts.store, formats, limits, sender, id_, accept=told.accept, reason=told.reason.strip())
    return Response(msgspec.json.encode(Decided(reading=f"rdg_{id_.hex}", accepted=told.accept)), media_type="application/json")


@get(
    "/v1/reviews",
    responses=refusals(400, 401, 403, 503) | {200: ResponseSpec(Reviews, generate_examples=False, description="A page, the oldest first")},
    operation_id="listReviews",
    tags=["review"],
)
async def list_reviews(
    request: Request[Any, Any, Any],
    after: Annotated[str, QueryParameter(max_length=40)] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
) -> Response[bytes]:
    """List readings that wait for a person, the oldest first, with the scope `review`. `after`: the `next` of the page before."""
    sender = await _sender(request, "review")
    page = await asyncio.to_thread(_reviews, parts_of(request), sender, after, limit)
    return Response(msgspec.json.encode(page), media_type="application/json")


def _reviews(parts: Parts, sender: Sender, after: str, limit: int) -> Reviews:
    with parts.store.transaction(sender.utility_id, snapshot=True) as connection:
        last = _reading_id(after) if after else None
        found = life.in_review(connection, sender.utility_id, sender.agreement_ids, after=last, limit=limit + 1)
    shown = [
        WaitingView(
            reading=f"rdg_{one.id.hex}",
            submission=f"sub_{one.submission.hex}",
            agreement=one.agreement,
            meter=one.meter,
            period=one.period,
            received_at=one.received_at,
        )
        for one in found[:limit]
    ]
    return Reviews(readings=shown, next=shown[-1].reading if len(found) > limit else None)


async def _sender(request: Request[Any, Any, Any], action: Action) -> Sender:
    return await calling(parts_of(request).keyring, request.headers, action)


async def _told(parts: Parts, sender: Sender, submission: UUID, language: Language) -> Response[bytes]:
    found = await asyncio.to_thread(status_of, parts, sender, submission, language, timeline=True)
    return Response(msgspec.json.encode(found), media_type="application/json")


def _reading_id(text: str) -> UUID:
    """The id in a reading's public name. Raises Rejected(not_found) for what can be none."""
    try:
        return UUID(hex=text.removeprefix("rdg_"))
    except ValueError:
        raise Rejected(Problem(code="not_found")) from None
