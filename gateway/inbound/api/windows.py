"""GET /v1/windows: what may be handed in now or on another day, for which period and until when."""

import asyncio
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, QueryParameter

from gateway.domain.offers import Offer, offer
from gateway.domain.problems import Problem, Rejected
from gateway.domain.windows import local_day
from gateway.inbound import views
from gateway.inbound.api.errors import language_of, refusals
from gateway.inbound.api.look import meters_within, reader
from gateway.inbound.parts import Parts, parts_of
from gateway.inbound.views import ProblemView
from gateway.store import people, syncs
from gateway.store.people import Sender
from gateway.texts import Language


class WindowView(msgspec.Struct, frozen=True, kw_only=True):
    """The days on which readings of a period are taken, both included. `due`: the last day before it gave way to a day off."""

    period: str
    opens: date
    closes: date
    due: date
    open: bool


class OfferView(msgspec.Struct, frozen=True, kw_only=True):
    """What is taken of one meter. `windows`: those that are open, else the next one. `problems`: why nothing is taken all the same."""

    meter: str
    point: str
    agreement: str
    service: str
    windows: list[WindowView]
    problems: list[ProblemView]


class Windows(msgspec.Struct, frozen=True, kw_only=True):
    """What is taken on a day of the utility. `zone`: whose days and midnights count.

    `synced_at`: when the meters were last as billing has them; null when it was never asked.
    """

    on: date
    zone: str
    synced_at: datetime | None
    meters: list[OfferView]


_YEARS: Final = 1902, 2197
"""Around a day of these years the windows of every kind are those of periods that there are."""


@get(
    "/v1/windows",
    responses=refusals(400, 401, 403, 404, 503)
    | {200: ResponseSpec(Windows, generate_examples=False, description="What is taken, meter by meter")},
    operation_id="getWindows",
    tags=["readings"],
)
async def get_windows(
    request: Request[Any, Any, Any],
    agreement: Annotated[str, QueryParameter(max_length=100)],
    on: FromQuery[date | None] = None,
) -> Response[bytes]:
    """What may be handed in for an agreement's meters `on` a day (today when left out), for which period, until when."""
    sender = await reader(request)
    if on is not None and not _YEARS[0] <= on.year <= _YEARS[1]:
        raise Rejected(Problem(code="request_invalid", where="on", values={"reason": f"{_YEARS[0]} … {_YEARS[1]}"}))
    told = await asyncio.to_thread(_windows, parts_of(request), sender, agreement, on, language_of(request))
    return Response(msgspec.json.encode(told), media_type="application/json")


def _windows(parts: Parts, sender: Sender, agreement: str, on: date | None, language: Language) -> Windows:
    with parts.store.transaction(sender.utility_id, snapshot=True) as connection:
        found = meters_within(connection, sender, agreement)
        profiles = people.profiles(connection, sender.utility_id)
        calendars = people.calendars(connection, sender.utility_id)
        synced_at = syncs.synced_at(connection, sender.utility_id, {known.profile for known in found})
    zone = profiles[found[0].profile].zone
    day = on or local_day(datetime.now(UTC), zone)
    offers = []
    for known in found:
        profile, meter = profiles[known.profile], known.meter
        timing = profile.timing(meter.service, meter.window_day, people.calendar_of(calendars, profile))
        offers.append(offer(meter, timing, day))
    return Windows(on=day, zone=zone, synced_at=synced_at, meters=[_view(one, language) for one in offers])


def _view(one: Offer, language: Language) -> OfferView:
    return OfferView(
        meter=one.meter.serial,
        point=one.meter.point,
        agreement=one.meter.agreement,
        service=one.meter.service,
        windows=[
            WindowView(period=window.period, opens=window.first, closes=window.last, due=window.nominal, open=one.open)
            for window in one.openings
        ],
        problems=[views.problem_view(problem, language) for problem in one.problems],
    )
