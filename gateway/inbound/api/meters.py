"""/v1/meters: the meters that a contractor ever reported, and which of them it no longer wants to see (contractor manual, F-074)."""

import asyncio
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery

from gateway.domain.problems import Problem, Rejected
from gateway.inbound.api.bodies import read_body
from gateway.inbound.api.errors import refusals
from gateway.inbound.api.look import reader
from gateway.inbound.parts import Parts, parts_of
from gateway.store import reported
from gateway.store.people import Sender
from gateway.store.reported import Reported

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
Shown = Literal["false", "true", "all"]
_WHICH: Final[dict[Shown, bool | None]] = {"false": False, "true": True, "all": None}


class MeterNamed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A meter by its number and that of its agreement."""

    meter: Code
    agreement: Code


class MeterView(msgspec.Struct, frozen=True, kw_only=True):
    """A meter of the list. `model`: its type, `party`: whose agreement it is; empty when the registry does not say."""

    meter: str
    model: str
    agreement: str
    party: str
    location: str
    point: str
    point_name: str
    hidden: bool


class MeterList(msgspec.Struct, frozen=True, kw_only=True):
    """Meters by agreement and point."""

    meters: list[MeterView]


_named: Final = msgspec.json.Decoder(MeterNamed)
_LIST: Final = {200: ResponseSpec(MeterList, generate_examples=False, description="The meters")}
_ONE: Final = {200: ResponseSpec(MeterView, generate_examples=False, description="The meter as it is listed now")}
_REFUSALS: Final = refusals(400, 401, 403, 404, 413, 422, 503)


@get("/v1/meters", responses=refusals(400, 401, 403, 503) | _LIST, operation_id="listMeters", tags=["meters"])
async def list_meters(request: Request[Any, Any, Any], hidden: FromQuery[Shown] = "false") -> Response[bytes]:
    """The meters that this partner ever reported, with any of its keys and logins: those it has not hidden, those it has, or all."""
    sender = await reader(request)
    found = await asyncio.to_thread(_list, parts_of(request), sender, _WHICH[hidden])
    return Response(msgspec.json.encode(MeterList(meters=[_view(one) for one in found])), media_type="application/json")


@post("/v1/meters/hide", status_code=200, responses=_REFUSALS | _ONE, operation_id="hideMeter", tags=["meters"])
async def hide_meter(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Take a meter off this partner's own list and out of the coverage of its own meters; readings of it are taken as before."""
    return await _set(request, hidden=True)


@post("/v1/meters/show", status_code=200, responses=_REFUSALS | _ONE, operation_id="showMeter", tags=["meters"])
async def show_meter(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Put a hidden meter back."""
    return await _set(request, hidden=False)


async def _set(request: Request[Any, Any, Any], *, hidden: bool) -> Response[bytes]:
    sender = await reader(request)
    named = await read_body(request, _named)
    found = await asyncio.to_thread(_hide, parts_of(request), sender, named, hidden=hidden)
    return Response(msgspec.json.encode(_view(found)), media_type="application/json")


def _list(parts: Parts, sender: Sender, hidden: bool | None) -> list[Reported]:  # noqa: FBT001 - one of three answers
    with parts.store.transaction(sender.utility_id, snapshot=True) as connection:
        return reported.meters(connection, sender, hidden=hidden)


def _hide(parts: Parts, sender: Sender, named: MeterNamed, *, hidden: bool) -> Reported:
    """Hide or show the one meter that was named. Raises Rejected, for one never reported as for one that is not there."""
    told = {"meter": named.meter, "agreement": named.agreement}
    if not (named.meter.strip() and named.agreement.strip()):
        raise Rejected(Problem(code="meter_unknown", where="meter", values=told))
    with parts.store.transaction(sender.utility_id) as connection:
        found = reported.meters(connection, sender, meter=named.meter, agreement=named.agreement)
        exact = [one for one in found if one.meter == named.meter.strip()]
        found = exact if len(exact) == 1 else found
        if len(found) != 1:
            raise Rejected(Problem(code="meter_ambiguous" if found else "meter_unknown", where="meter", values=told))
        reported.hide(connection, sender, found[0].id, hidden=hidden)
    return msgspec.structs.replace(found[0], hidden=hidden)


def _view(one: Reported) -> MeterView:
    return MeterView(**{name: getattr(one, name) for name in MeterView.__struct_fields__})
