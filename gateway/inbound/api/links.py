"""/v1/links: which agreements belong to which users of a portal (contracts_schema/links.md)."""

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from litestar import Request, Response, delete, get, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter, QueryParameter

from gateway.domain.linking import Asking
from gateway.domain.problems import Problem, Rejected
from gateway.domain.profile import Linking
from gateway.inbound.api.bodies import read_body
from gateway.inbound.api.errors import language_of, refusals
from gateway.inbound.auth import Action, key_in, login_in, may
from gateway.inbound.parts import Parts, parts_of
from gateway.pipeline import linking
from gateway.store import Connection, links
from gateway.store.links import Link
from gateway.store.people import Sender

Found = TypeVar("Found")
Login = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Code = Annotated[str, msgspec.Meta(max_length=100)]
Email = Annotated[str, msgspec.Meta(max_length=254)]
Days = Annotated[int, msgspec.Meta(ge=1, le=15)]


class LinkAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A portal's user asks for an agreement (or account) by its number and by what proves that it is his."""

    login: Login
    agreement: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    email: Email = ""
    inn: Annotated[str, msgspec.Meta(max_length=20)] = ""
    surname: Code = ""


class LinkConfirmed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The secret of the letter."""

    secret: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class LinkBound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A login is bound to one `agreement`, or to all open ones of a `party`, told by its code, ЕДРПОУ or tax number."""

    login: Login
    email: Email = ""
    agreement: Code = ""
    party: Code = ""


class Reminders(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many days before the window opens and before it closes a letter reminds, 1 to 15; null for no letter (F-119)."""

    start_days: Days | None
    end_days: Days | None


class LinkView(msgspec.Struct, frozen=True, kw_only=True):
    """A link. `party` and `signed_on` are told once it is linked; `expires_at` is until when it waits."""

    link: str
    login: str
    email: str
    agreement: str
    party: str
    signed_on: date | None
    state: Literal["waiting", "linked", "ended"]
    method: Linking
    asked_at: datetime
    expires_at: datetime | None
    linked_at: datetime | None
    start_days: int | None
    end_days: int | None


class LinkList(msgspec.Struct, frozen=True, kw_only=True):
    """The links of a login that wait or are linked."""

    links: list[LinkView]


_asked: Final = msgspec.json.Decoder(LinkAsked)
_confirmed: Final = msgspec.json.Decoder(LinkConfirmed)
_bound: Final = msgspec.json.Decoder(LinkBound)
_reminders: Final = msgspec.json.Decoder(Reminders)
_REFUSALS: Final = refusals(400, 401, 403, 404, 413, 422, 429, 503)
_ONE: Final = {200: ResponseSpec(LinkView, generate_examples=False, description="The link as it stands")}
_MANY: Final = {200: ResponseSpec(LinkList, generate_examples=False, description="The links")}
Whose = Annotated[str, QueryParameter(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


@post("/v1/links", status_code=200, responses=_REFUSALS | _ONE, operation_id="askForLink", tags=["links"])
async def ask_for_link(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Link an agreement to a user of the portal; what proves it is said by the profile of the agreement.

    Proven by an e-mail that stands in the agreement, it is `waiting` until the secret of a letter to that e-mail is confirmed; else it is
    `linked` at once. A wrong number and a wrong proof are answered alike. Needs a key that may `link`.
    """
    sender = await _caller(request, "link")
    told = await read_body(request, _asked)
    asking = Asking(login=told.login, number=told.agreement, email=told.email, inn=told.inn, surname=told.surname)
    parts = parts_of(request)
    rules, language = parts.settings.links, language_of(request)
    return _one(await asyncio.to_thread(linking.ask, parts.store, sender, asking, rules, language, datetime.now(UTC)))


@post("/v1/links/confirm", status_code=200, responses=_REFUSALS | _ONE, operation_id="confirmLink", tags=["links"])
async def confirm_link(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Confirm a waiting link by the secret of its letter; the same secret again gets the same answer while the link stands."""
    sender = await _caller(request, "link")
    told = await read_body(request, _confirmed)
    return _one(await asyncio.to_thread(linking.confirm, parts_of(request).store, sender, told.secret, datetime.now(UTC)))


@post("/v1/links/bindings", status_code=200, responses=_REFUSALS | _MANY, operation_id="bindLogin", tags=["links"])
async def bind_login(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Bind a login to an agreement or to all open ones of a party, as a consumer's manager or a branch does; needs a key that may `manage`.

    Bound again it is the same link; an `email` that is told replaces the one before.
    """
    sender = await _caller(request, "manage")
    told = await read_body(request, _bound)

    def bind(connection: Connection, now: datetime) -> list[Link]:
        return linking.bind(connection, sender, login=told.login, email=told.email, agreement=told.agreement, party=told.party, now=now)

    return _many(await _done(parts_of(request), sender, bind))


@get("/v1/links", responses=_REFUSALS | _MANY, operation_id="listLinks", tags=["links"])
async def list_links(request: Request[Any, Any, Any], login: Whose) -> Response[bytes]:
    """The agreements of a login: those linked are what it may see, those that wait for a confirmation it may not see yet."""
    sender = await _caller(request, "link")
    return _many(await _done(parts_of(request), sender, lambda connection, now: links.live(connection, sender, login, now)))


@delete("/v1/links/{link:str}", status_code=200, responses=_REFUSALS | _ONE, operation_id="endLink", tags=["links"])
async def end_link(request: Request[Any, Any, Any], link: Annotated[str, PathParameter(max_length=40)], login: Whose) -> Response[bytes]:
    """Take an agreement out of a login's account; the agreement itself and other logins stay as they are."""
    sender = await _caller(request, "link")
    id_ = _id(link)
    return _one(await _done(parts_of(request), sender, lambda connection, now: links.end(connection, sender, id_, now, login)))


@put("/v1/links/{link:str}/reminders", responses=_REFUSALS | _ONE, operation_id="setReminders", tags=["links"])
async def set_reminders(
    request: Request[Any, Any, Any], link: Annotated[str, PathParameter(max_length=40)], login: Whose
) -> Response[bytes]:
    """Set how many days before a window opens and closes the login is reminded by a letter to the link's e-mail."""
    sender = await _caller(request, "link")
    id_, told = _id(link), await read_body(request, _reminders)

    def remind(connection: Connection, now: datetime) -> Link | None:
        return links.remind(connection, sender, id_, login, now, start=told.start_days, before_end=told.end_days)

    return _one(await _done(parts_of(request), sender, remind))


async def _caller(request: Request[Any, Any, Any], action: Action) -> Sender:
    """Whose key this is. Raises Rejected when it may not, or speaks for one user and asks about another's links."""
    keyring = parts_of(request).keyring
    sender = await asyncio.to_thread(keyring.sender, key_in(request.headers.get("authorization", "")))
    may(sender, action)
    told, asked = login_in(request.headers), request.query_params.get("login")
    if told and asked and told != asked:
        raise Rejected(Problem(code="forbidden", values={"scope": action}))
    return sender


async def _done(parts: Parts, sender: Sender, work: Callable[[Connection, datetime], Found]) -> Found:
    def do() -> Found:
        with parts.store.transaction(sender.utility_id) as connection:
            return work(connection, datetime.now(UTC))

    return await asyncio.to_thread(do)


def _id(name: str) -> int:
    """The id in a link's public name. Raises Rejected(not_found) for what can be none."""
    digits = name.removeprefix("lnk_")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise Rejected(Problem(code="not_found"))
    return int(digits)


def _one(link: Link | None) -> Response[bytes]:
    """The answer about one link. Raises Rejected(not_found) alike for an absent one and another's."""
    if link is None:
        raise Rejected(Problem(code="not_found"))
    return Response(msgspec.json.encode(_view(link)), media_type="application/json")


def _many(found: list[Link]) -> Response[bytes]:
    return Response(msgspec.json.encode(LinkList(links=[_view(link) for link in found])), media_type="application/json")


_SAME: Final = tuple(name for name in LinkView.__struct_fields__ if name in Link.__struct_fields__)


def _view(link: Link) -> LinkView:
    same = {name: getattr(link, name) for name in _SAME}
    return LinkView(link=f"lnk_{link.id}", start_days=link.remind_start, end_days=link.remind_end, **same)
