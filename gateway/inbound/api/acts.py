"""/v1/meters/acts: what inspectors write about a meter: its admission, its exchange, its failure from a day to a day."""

import asyncio
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from gateway.domain.acts import Act, Kind
from gateway.domain.cases import text
from gateway.inbound.api.bodies import read_body
from gateway.inbound.api.errors import refusals
from gateway.inbound.api.look import reader
from gateway.inbound.auth import calling
from gateway.inbound.parts import Parts, parts_of
from gateway.pipeline import acts as pipeline
from gateway.store import acts
from gateway.store.acts import Written
from gateway.store.people import Sender

Code = Annotated[str, msgspec.Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
Named = Annotated[str, msgspec.Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
Note = Annotated[str, msgspec.Meta(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
Amount = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,15}(\.[0-9]{1,6})?$")]


class ActTold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An act about a meter. `number`: what tells acts of a kind about one meter apart; `first_day`: its day, of a failure the first one.

    `last_day`: of a failure that has ended. `final`, `initial`: of an exchange, what the registers of the old and of the new meter showed;
    `successor`: the number of the new one. `agreement`, `point`: where several meters have the number.
    """

    meter: Named
    kind: Kind
    number: Named
    first_day: date
    last_day: date | None = None
    agreement: Code = ""
    point: Code = ""
    final: dict[str, Amount] = {}
    initial: dict[str, Amount] = {}
    successor: Code = ""
    note: Note = ""

    def __post_init__(self) -> None:
        """Raises ValueError for what no act of its kind says."""
        self.act()

    def act(self) -> Act:
        """The same in the domain's types."""
        final, initial = ({code: Decimal(value) for code, value in values.items()} for values in (self.final, self.initial))
        number, successor, note = (said.strip() for said in (self.number, self.successor, self.note))
        return Act(
            kind=self.kind,
            number=number,
            first=self.first_day,
            last=self.last_day,
            final=final,
            initial=initial,
            successor=successor,
            note=note,
        )


class ActView(msgspec.Struct, frozen=True, kw_only=True):
    """An act as it stands. `by`, `at`: who wrote it and when; `ended_by`, `ended_at`: who wrote the end of a failure, and when."""

    meter: str
    agreement: str
    point: str
    kind: Kind
    number: str
    first_day: date
    last_day: date | None
    final: dict[str, str]
    initial: dict[str, str]
    successor: str
    note: str
    by: str
    at: datetime
    ended_by: str
    ended_at: datetime | None


class ActList(msgspec.Struct, frozen=True, kw_only=True):
    """Acts in the order of their days."""

    acts: list[ActView]


_told: Final = msgspec.json.Decoder(ActTold)


@post(
    "/v1/meters/acts",
    status_code=200,
    responses=refusals(400, 401, 403, 404, 409, 413, 422, 503)
    | {200: ResponseSpec(ActView, generate_examples=False, description="The act as it stands now")},
    operation_id="writeAct",
    tags=["meters"],
)
async def write_act(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Write an act about a meter, with the scope `control`. The same act again changes nothing; one that is known otherwise is refused.

    A failure without a last day lasts. The same number and first day once more, with a last day, end it.
    """
    parts = parts_of(request)
    sender = await calling(parts.keyring, request.headers, "control")
    told = await read_body(request, _told)
    named = {"meter": told.meter, "agreement": told.agreement, "point": told.point}
    written = await asyncio.to_thread(pipeline.write, parts.store, sender, told.act(), **named)
    return Response(msgspec.json.encode(_view(written)), media_type="application/json")


@get(
    "/v1/meters/acts",
    responses=refusals(400, 401, 403, 404, 503)
    | {200: ResponseSpec(ActList, generate_examples=False, description="The acts about the meter")},
    operation_id="listActs",
    tags=["meters"],
)
async def list_acts(
    request: Request[Any, Any, Any],
    meter: Annotated[str, QueryParameter(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")],
    agreement: Annotated[str, QueryParameter(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")] = "",
) -> Response[bytes]:
    """List the acts about a meter; about each of them where several have its number."""
    sender = await reader(request)
    found = await asyncio.to_thread(_list, parts_of(request), sender, meter, agreement)
    return Response(msgspec.json.encode(ActList(acts=[_view(one) for one in found])), media_type="application/json")


def _list(parts: Parts, sender: Sender, meter: str, agreement: str) -> list[Written]:
    with parts.store.transaction(sender.utility_id, snapshot=True) as connection:
        return acts.of_meter(connection, sender, meter, agreement)


def _view(written: Written) -> ActView:
    act = written.act
    return ActView(
        meter=written.meter,
        agreement=written.agreement,
        point=written.point,
        kind=act.kind,
        number=act.number,
        first_day=act.first,
        last_day=act.last,
        final={code: text(value) for code, value in act.final.items()},
        initial={code: text(value) for code, value in act.initial.items()},
        successor=act.successor,
        note=act.note,
        by=written.by,
        at=written.at,
        ended_by=written.ended_by,
        ended_at=written.ended_at,
    )
