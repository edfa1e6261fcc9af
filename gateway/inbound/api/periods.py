"""POST /v1/periods: billing opens and closes the periods of agreements."""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.openapi.datastructures import ResponseSpec

from gateway.domain.problems import Problem, Rejected
from gateway.domain.windows import days_in
from gateway.inbound.api.bodies import read_body
from gateway.inbound.api.errors import language_of, refusals
from gateway.inbound.api.settle import LIMIT, Code, Outcome, Outcomes
from gateway.inbound.auth import alone
from gateway.inbound.parts import parts_of
from gateway.inbound.views import problem_view
from gateway.store import periods


class Period(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A billing period of an agreement. `starts`, `ends`: its days when they are not the month's. `closed_at`: null while it is open."""

    agreement: Code
    period: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
    starts: date | None = None
    ends: date | None = None
    closed_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None

    def word(self) -> periods.Word:
        """The same with the days that count. Raises ValueError for a period that ends before it starts."""
        first, last = days_in(self.period)
        starts, ends = self.starts or first, self.ends or last
        if ends < starts:
            raise ValueError(f"{ends} is before {starts}")
        return periods.Word(self.agreement, self.period, starts, ends, self.closed_at)


class Periods(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What billing posts."""

    periods: list[msgspec.Raw]


_body: Final = msgspec.json.Decoder(Periods)
_period: Final = msgspec.json.Decoder(Period)


@post(
    "/v1/periods",
    status_code=200,
    responses=refusals(400, 401, 403, 413, 422, 503)
    | {200: ResponseSpec(Outcomes, generate_examples=False, description="What became of each period, in order")},
    operation_id="postPeriods",
    tags=["billing"],
)
async def post_periods(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Tell which periods of agreements are closed: readings of a closed one, and of those before it, are refused from then on.

    `closed_at: null` opens it again. Repeats change nothing. Needs a key that may `settle`.
    """
    parts = parts_of(request)
    sender = await alone(parts.keyring, request.headers, "settle")
    words, outcomes = _read((await read_body(request, _body)).periods)

    def write() -> list[bool | None]:
        with parts.store.transaction(sender.utility_id) as connection:
            return periods.apply(connection, sender.utility_id, list(words.values()), sender.agreement_ids)

    for index, changed in zip(words, await asyncio.to_thread(write), strict=True):
        unknown = Problem(code="agreement_unknown", where=f"periods[{index}]", values={"agreement": words[index].agreement})
        outcomes[index] = ("refused", unknown) if changed is None else ("applied" if changed else "repeated", None)
    language = language_of(request)
    told = [
        Outcome(index=index, outcome=outcome, problem=None if problem is None else problem_view(problem, language))
        for index, (outcome, problem) in sorted(outcomes.items())
    ]
    return Response(msgspec.json.encode(Outcomes(results=told)), media_type="application/json")


def _read(rows: Sequence[msgspec.Raw]) -> tuple[dict[int, periods.Word], dict[int, tuple[str, Problem | None]]]:
    """The periods that can be read, by their place, and what is wrong with the others. Raises Rejected for too many."""
    if len(rows) > LIMIT:
        raise Rejected(Problem(code="too_many_readings", values={"limit": str(LIMIT)}))
    words: dict[int, periods.Word] = {}
    refused: dict[int, tuple[str, Problem | None]] = {}
    for index, row in enumerate(rows):
        try:
            words[index] = _period.decode(row).word()
        except (msgspec.ValidationError, ValueError) as error:
            refused[index] = "refused", Problem(code="json_shape", where=f"periods[{index}]", values={"reason": str(error)})
    return words, refused
