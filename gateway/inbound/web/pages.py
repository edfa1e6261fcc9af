"""What all pages share: the store they read, their templates, compiled at start, and one way to answer with one of them."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from typing import Any, Final, cast
from urllib.parse import quote, urlencode

from jinja2 import Environment, FunctionLoader, StrictUndefined
from litestar import MediaType, Request, Response
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from gateway.domain.problems import Misconfigured
from gateway.domain.profile import Profile
from gateway.domain.status import SubmissionStatus
from gateway.inbound import arriving
from gateway.inbound.web.live import Live
from gateway.inbound.web.speech import COOKIE, NAMES, Speech, asked, language_of
from gateway.settings import Settings
from gateway.store import Connection, Store, people
from gateway.texts import Language

TONES: Final = {
    "good": ("acknowledged", "calculated", "billed"),
    "wait": ("accepted", "queued", "sent", "draft", "needs_review", "in_doubt", "received", "partly_accepted", "in_review"),
    "bad": ("rejected", "dead"),
    "past": ("superseded", "withdrawn"),
}
"""The colours of the water manual, and grey for what is over."""
_TONE: Final = {status: tone for tone, statuses in TONES.items() for status in statuses}
_YEAR: Final = 365 * 86400


def tone(status: str) -> str:
    """The colour of a reading's state."""
    return _TONE.get(status, "wait")


def tone_of_submission(status: str, counted: Mapping[str, int]) -> str:
    """The colour of a submission: green when it was taken whole and nothing of it waits, by the states of its rows where they are known."""
    if status != SubmissionStatus.ACCEPTED:
        return tone(status)
    tones = {tone(state) for state in counted}
    return tones.pop() if len(tones) == 1 else "good" if tones <= {"good", "past"} else "wait"


def _compiled() -> Environment:
    """Every template, so that a broken one stops the start and not a visitor."""
    sources = {page.name: page.read_text("utf-8") for page in (files(__package__) / "templates").iterdir() if page.name.endswith(".html")}
    environment = Environment(
        loader=FunctionLoader(sources.get),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        cache_size=-1,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in sources:
        environment.get_template(name)
    return environment


_TEMPLATES: Final = _compiled()


class Pages:
    """The parts of the status page. `store` is of the worker role: the page is the operator's and looks over all utilities.

    `token`: who brings it may look; made anew by every process and kept nowhere.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        """Begin with nobody who listens."""
        self.settings = settings
        self.store = store
        self.live = Live(store)
        self.token = secrets.token_urlsafe(32)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One moment of the database, for reading only."""
        with self.store.transaction(snapshot=True) as connection:
            yield connection

    def profiles(self, connection: Connection, utility: int) -> dict[str, Profile]:
        """The rulebooks of a utility; one that has none yet is shown in our own words."""
        try:
            return people.profiles(connection, utility)
        except Misconfigured:
            return {}

    def speech(self, request: Request[Any, Any, Any], profiles: Mapping[str, Profile] | None = None) -> Speech:
        """How this visitor is spoken to about a utility with these profiles."""
        known = profiles or {}
        return Speech(language_of(request, self.settings.language), arriving.zone_of(known, self.settings.zone), known)

    def answer(self, request: Request[Any, Any, Any], name: str, speech: Speech, *, status: int = 200, **shown: Any) -> Response[str]:
        """The page `name`, or only its part that lives when the script asks for that."""
        part = "_live" if request.query_params.get("part") == "live" else ""
        here = {key: value for key, value in request.query_params.items() if key not in ("lang", "part")}
        links: dict[Language, str] = {one: f"?{urlencode(here | {'lang': one})}" for one in NAMES}
        html = _TEMPLATES.get_template(f"{name}{part}.html").render(t=speech, tone=tone, links=links, names=NAMES, **shown)
        chosen = asked(request)
        remember = [Cookie(key=COOKIE, value=chosen, max_age=_YEAR, httponly=True, samesite="lax")] if chosen and not part else []
        return Response(html, status_code=status, media_type=MediaType.HTML, cookies=remember)


def pages_of(request: ASGIConnection[Any, Any, Any, Any]) -> Pages:
    """The parts of the page that serves this request."""
    return cast("Pages", request.app.state.pages)


def attachment(body: bytes, name: str, media_type: str = "application/octet-stream") -> Response[bytes]:
    """Bytes of a stranger to be saved and never shown: RFC 6266, the name once in ASCII and once as it is."""
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "._- ") else "_" for char in name)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    return Response(body, media_type=media_type, headers={"Content-Disposition": disposition})
