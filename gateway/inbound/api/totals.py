"""GET /v1/totals: what was used in a period, added up by agreement and by consumer."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from gateway.domain.totals import Total, Used, added, once, within
from gateway.inbound.api.coverage import LIMIT, Code
from gateway.inbound.api.errors import refusals
from gateway.inbound.api.look import check, reader
from gateway.inbound.parts import Parts, parts_of
from gateway.store import totals
from gateway.store.people import Sender


class AgreementTotals(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of an agreement. `reported_at`: when the newest of its readings was handed in («Потребление передано»)."""

    agreement: str
    party: str
    reported_at: datetime
    totals: list[Total]


class PartyTotals(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of a consumer over all its agreements shown. `agreements`: how many of them reported."""

    party: str
    name: str
    agreements: int
    reported_at: datetime
    totals: list[Total]


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What the readings of a period that stand add up to. `unknown`: values that are not in it, since nothing was known before them."""

    period: str
    agreements: list[AgreementTotals]
    parties: list[PartyTotals]
    unknown: int


_OWN: Final = attrgetter("agreement_id")


@get(
    "/v1/totals",
    responses=refusals(400, 401, 403, 422, 503)
    | {200: ResponseSpec(Totals, generate_examples=False, description="The sums, exact, by agreement and by consumer")},
    operation_id="getTotals",
    tags=["readings"],
)
async def get_totals(
    request: Request[Any, Any, Any],
    period: Annotated[str, QueryParameter(max_length=7)],
    agreement: Code = "",
    party: Code = "",
) -> Response[bytes]:
    """The consumption of a period by quantity, ratio and losses in it: readings that were accepted and neither withdrawn nor superseded.

    Zones count and not the round-the-clock register beside them; a dial counts and not the interval values beside it.
    """
    sender = await reader(request)
    check(period, **{name: code for name, code in (("agreement", agreement), ("party", party)) if code})
    body = await asyncio.to_thread(_told, parts_of(request), sender, period, agreement, party)
    return Response(body, media_type="application/json")


def _told(parts: Parts, sender: Sender, period: str, agreement: str, party: str) -> bytes:
    with parts.store.transaction(sender.utility_id, snapshot=True) as connection:
        found = totals.used(connection, sender, period, agreement=agreement, party=party, limit=LIMIT + 1)
    counted = once(within(found, LIMIT))
    told = Totals(
        period=period,
        agreements=[_agreement(list(own)) for _, own in groupby(counted, _OWN)],
        parties=_parties(counted),
        unknown=sum(one.consumption is None for one in counted),
    )
    return msgspec.json.encode(told)


def _agreement(own: list[Used]) -> AgreementTotals:
    return AgreementTotals(agreement=own[0].agreement, party=own[0].party_code, reported_at=_newest(own), totals=added(own))


def _parties(counted: Iterable[Used]) -> list[PartyTotals]:
    by: dict[int, list[Used]] = {}
    for one in counted:
        if one.party_id is not None:
            by.setdefault(one.party_id, []).append(one)
    return [
        PartyTotals(
            party=own[0].party_code,
            name=own[0].party,
            agreements=len({_OWN(one) for one in own}),
            reported_at=_newest(own),
            totals=added(own),
        )
        for own in by.values()
    ]


def _newest(own: Iterable[Used]) -> datetime:
    return max(one.came for one in own)
