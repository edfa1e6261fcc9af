"""GET /: every submission of this installation, newest first; /events: that something changed; /static: style, script and mark."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Stream

from gateway.domain.profile import Profile
from gateway.domain.status import ReadingStatus, SubmissionStatus
from gateway.inbound import views
from gateway.inbound.parts import submission_id
from gateway.inbound.web import guard
from gateway.inbound.web.pages import pages_of, tone, tone_of_submission
from gateway.inbound.web.speech import Speech
from gateway.store import trace
from gateway.store.trace import Listed, Sought

CHANNELS: Final = ("api", "sftp", "soap")
"""Channels by which something may have come, by the names that submissions carry."""
PAGE: Final = 50
_STATIC: Final = {"page.css": "text/css", "page.js": "text/javascript", "mark.svg": "image/svg+xml"}
_FILES: Final = {name: (files(__package__) / "static" / name).read_bytes() for name in _STATIC}
_ORDER: Final = [str(status) for status in ReadingStatus]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One submission in a list. `parts`: word, number and tone of each state its rows are in."""

    view: views.SubmissionView
    t: Speech
    utility: str
    sender: str
    tone: str
    parts: list[tuple[str, int, str]]


@get("/", sync_to_thread=True)
def front(request: Request[Any, Any, Any]) -> Response[str]:
    """The list, narrowed by `utility`, `channel`, `status` and `text`; `before` is the id that the last page ended with."""
    pages = pages_of(request)
    told = {name: _printable(request.query_params.get(name, "")) for name in Sought.__struct_fields__}
    sought = Sought(**told)
    before = request.query_params.get("before", "")
    with pages.reading() as connection:
        utilities = trace.utilities(connection)
        found, following = trace.newest(connection, sought, before=submission_id(before) if before else None, limit=PAGE)
        profiles = {one.utility_id: pages.profiles(connection, one.utility_id) for one in found}
        progress = trace.progress(connection, (one.submission for one in found))
    lines = [
        line(one, pages.speech(request, profiles[one.utility_id]), profiles[one.utility_id], progress.get(one.submission.id, {}))
        for one in found
    ]
    narrowed = {name: value for name, value in told.items() if value}
    return pages.answer(
        request,
        "front",
        pages.speech(request),
        lines=lines,
        sought=sought,
        narrowed=bool(narrowed),
        paged=bool(before),
        first=f"/?{urlencode(narrowed)}" if narrowed else "/",
        older=f"/?{urlencode(narrowed | {'before': f'sub_{following.hex}'})}" if following else None,
        utilities=utilities,
        channels=CHANNELS,
        statuses=[str(status) for status in SubmissionStatus],
    )


def line(found: Listed, speech: Speech, profiles: Mapping[str, Profile], counted: Mapping[str, int]) -> Line:
    """A submission as one line, in the words of its utility and by its clock."""
    return Line(
        view=views.brief(found.submission, speech.language, profiles),
        t=speech,
        utility=found.utility,
        sender=found.sender,
        tone=tone_of_submission(found.submission.status, counted),
        parts=parts(counted, speech),
    )


def parts(counted: Mapping[str, int], speech: Speech) -> list[tuple[str, int, str]]:
    """How many rows are where, in the order of their way, those of one word together."""
    said: dict[tuple[str, str], int] = {}
    for status in sorted(counted, key=_ORDER.index):
        word = speech.word(f"status.{status}"), tone(status)
        said[word] = said.get(word, 0) + counted[status]
    return [(word, number, colour) for (word, colour), number in said.items()]


@get("/static/{name:str}", sync_to_thread=False)
def static(name: FromPath[str]) -> Response[bytes]:
    """Our stylesheet, our script, our mark; there is nothing else."""
    if name not in _FILES:
        raise NotFoundException
    return Response(_FILES[name], media_type=_STATIC[name])


@get("/events", guards=[guard.same_site])
async def events(request: Request[Any, Any, Any]) -> Response[Any]:
    """Server-sent events: `changed` when something happened to `submission`, or to any without one. 503 when too many listen."""
    named = request.query_params.get("submission", "")
    live = pages_of(request).live
    wanted = submission_id(named) if named else None
    if live.full:
        return Response("", status_code=503, media_type="text/plain", headers={"Retry-After": "10"})
    return Stream(live.stream(wanted), media_type="text/event-stream")


def _printable(text: str) -> str:
    """A filter as it may be looked for: what cannot be in a name is not."""
    return "".join(char for char in text if char.isprintable()).strip()[:100]
