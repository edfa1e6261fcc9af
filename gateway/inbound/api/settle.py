"""POST /v1/settlements: billing's later word."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.openapi.datastructures import ResponseSpec

from gateway import pipeline
from gateway.domain.problems import Problem, Rejected
from gateway.domain.settlement import Method, Settlement, Stage
from gateway.inbound.api.bodies import read_body
from gateway.inbound.api.errors import language_of, refusals
from gateway.inbound.auth import alone
from gateway.inbound.parts import parts_of
from gateway.inbound.views import ProblemView, problem_view

LIMIT: Final = 10_000

Code = Annotated[str, msgspec.Meta(max_length=100)]
Amount = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,18}(\.[0-9]{1,12})?$")]


class Settlements(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What billing posts: settled volumes, each a version of its own (contracts_schema/settlements.schema.json)."""

    settlements: list[msgspec.Raw]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one settlement: `applied`, `repeated` (known already), `stale` (a newer version is known) or `refused`."""

    index: int
    outcome: str
    problem: ProblemView | None


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """One outcome per settlement, in order."""

    results: list[Outcome]


class Word(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A settlement as it travels: numbers are text, with a point, exactly as billing holds them."""

    agreement: Code
    period: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
    quantity: Code
    volume: Amount
    stage: Stage
    version: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    point: Code = ""
    meter: Code = ""
    unit: Code = ""
    method: Method = Method.METER
    amount: Amount | None = None
    reference: Code = ""
    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    readings: Annotated[tuple[Code, ...], msgspec.Meta(max_length=1000)] = ()

    def settlement(self) -> Settlement:
        """The same in the domain's types."""
        fields = msgspec.structs.asdict(self)
        amount = None if self.amount is None else Decimal(self.amount)
        return Settlement(**(fields | {"volume": Decimal(self.volume), "amount": amount}))


_body: Final = msgspec.json.Decoder(Settlements)
_word: Final = msgspec.json.Decoder(Word)


@post(
    "/v1/settlements",
    status_code=200,
    responses=refusals(400, 401, 403, 413, 422, 503)
    | {200: ResponseSpec(Outcomes, description="What became of each settlement, in order")},
    operation_id="postSettlements",
    tags=["billing"],
)
async def post_settlements(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Tell what was calculated or billed. Repeats are harmless; late and out-of-order words never move a status backwards."""
    parts = parts_of(request)
    sender = await alone(parts.keyring, request.headers, "settle")
    words, outcomes = _read((await read_body(request, _body)).settlements)
    results = await asyncio.to_thread(pipeline.settle, parts.store, sender, list(words.values()))
    for index, result in zip(words, results, strict=True):
        outcomes[index] = result
    language = language_of(request)
    told = [
        Outcome(index=index, outcome=outcome, problem=None if problem is None else problem_view(problem, language))
        for index, (outcome, problem) in sorted(outcomes.items())
    ]
    return Response(msgspec.json.encode(Outcomes(results=told)), media_type="application/json")


def _read(rows: Sequence[msgspec.Raw]) -> tuple[dict[int, Settlement], dict[int, tuple[str, Problem | None]]]:
    """Read the rows that can be read, by their place, and refuse the others with theirs. Raises Rejected for too many."""
    if len(rows) > LIMIT:
        raise Rejected(Problem(code="too_many_readings", values={"limit": str(LIMIT)}))
    words: dict[int, Settlement] = {}
    refused: dict[int, tuple[str, Problem | None]] = {}
    for index, row in enumerate(rows):
        try:
            words[index] = _word.decode(row).settlement()
        except msgspec.ValidationError as error:
            refused[index] = "refused", Problem(code="json_shape", where=f"settlements[{index}]", values={"reason": str(error)})
    return words, refused
