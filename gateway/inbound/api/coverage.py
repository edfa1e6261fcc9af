"""GET /v1/coverage: what is still missing for a period, register by register, as JSON or as a workbook."""

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, QueryParameter

from gateway.domain.coverage import Cover, Expected, counts, within
from gateway.inbound.api.errors import language_of, refusals
from gateway.inbound.api.look import XLSX, check, download, reader
from gateway.inbound.parts import Parts, parts_of
from gateway.store import coverage, people, syncs
from gateway.store.people import Sender
from gateway.texts import Language

LIMIT: Final = 100_000
"""So many registers of one question; who has more asks agreement by agreement or party by party."""


class ExpectedView(msgspec.Struct, frozen=True, kw_only=True):
    """A register of which a value is expected. `state`: accepted, waiting, refused, missing or failed; `reading`: the newest that came."""

    agreement: str
    party: str
    location: str
    point: str
    point_name: str
    meter: str
    register: str
    state: Cover
    reading: str | None


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """How a period is covered. The counts are of all registers asked about, `registers` the ones shown.

    `failed`: nothing came, and by an act the meter does not work on the last day of the period.
    `synced_at`: when they were last as billing has them, of the profile for which that is longest ago; null when it was never asked.
    """

    period: str
    synced_at: datetime | None
    expected: int
    received: int
    accepted: int
    waiting: int
    refused: int
    missing: int
    failed: int
    registers: list[ExpectedView]


_SAME: Final = tuple(name for name in ExpectedView.__struct_fields__ if name in Expected.__struct_fields__ and name != "reading")
Code = Annotated[str, QueryParameter(max_length=100)]


@get(
    "/v1/coverage",
    responses=refusals(400, 401, 403, 422, 503)
    | {200: ResponseSpec(Coverage, generate_examples=False, description="The counts, and every register asked about")},
    operation_id="getCoverage",
    tags=["readings"],
)
async def get_coverage(
    request: Request[Any, Any, Any],
    period: Annotated[str, QueryParameter(max_length=7)],
    agreement: Code = "",
    party: Code = "",
    branch: Code = "",
    mine: FromQuery[bool] = False,  # noqa: FBT002 - a query parameter
    only: FromQuery[Cover | None] = None,
) -> Response[bytes]:
    """Every register of which a value is expected for a period, with what became of it; `only` shows those of one state.

    `mine`: only meters that this key's holder ever reported and does not hide (`/v1/meters`).
    """
    found, synced_at = await _asked(request, period, agreement, party, branch, mine=mine)
    body = await asyncio.to_thread(_told, found, synced_at, period, only)
    return Response(body, media_type="application/json")


def _told(found: list[Expected], synced_at: datetime | None, period: str, only: Cover | None) -> bytes:
    """The answer in JSON; a thread's work, since a branch may have some ten thousand registers."""
    shown = [
        ExpectedView(
            state=one.cover,
            reading=None if one.reading is None else f"rdg_{one.reading.hex}",
            **{name: getattr(one, name) for name in _SAME},
        )
        for one in found
        if only in (None, one.cover)
    ]
    return msgspec.json.encode(Coverage(period=period, synced_at=synced_at, **counts(found), registers=shown))


@get(
    "/v1/coverage/workbook",
    responses=refusals(400, 401, 403, 422, 503)
    | {200: ResponseSpec(bytes, generate_examples=False, media_type=XLSX, description="The same as a workbook")},
    operation_id="getCoverageWorkbook",
    tags=["readings"],
    media_type=XLSX,
)
async def get_coverage_workbook(
    request: Request[Any, Any, Any],
    period: Annotated[str, QueryParameter(max_length=7)],
    agreement: Code = "",
    party: Code = "",
    branch: Code = "",
    mine: FromQuery[bool] = False,  # noqa: FBT002 - a query parameter
    only: FromQuery[Cover | None] = None,
) -> Response[bytes]:
    """The registers of `getCoverage` as a workbook to hand on, in the language asked for."""
    found, _ = await _asked(request, period, agreement, party, branch, mine=mine)
    rows = [one for one in found if only in (None, one.cover)]
    body = await asyncio.to_thread(_workbook, rows, period, language_of(request))
    return download(body, f"coverage_{period}.xlsx")


def _workbook(rows: Iterable[Expected], period: str, language: Language) -> bytes:
    from gateway.mapping.coverage_sheet import write  # noqa: PLC0415 - the writer of workbooks is slow to import

    return write(rows, period=period, language=language)


Found = tuple[list[Expected], datetime | None]


async def _asked(request: Request[Any, Any, Any], period: str, agreement: str, party: str, branch: str, *, mine: bool) -> Found:
    sender = await reader(request)
    told = {name: code for name, code in (("agreement", agreement), ("party", party), ("branch", branch)) if code}
    check(period, **told)
    return await asyncio.to_thread(_expected, parts_of(request), sender, period, told, mine=mine)


def _expected(parts: Parts, sender: Sender, period: str, told: dict[str, str], *, mine: bool) -> Found:
    with parts.store.transaction(sender.utility_id, snapshot=True) as connection:
        found = within(coverage.expected(connection, sender, period, **told, mine=mine, limit=LIMIT + 1), LIMIT)
        return found, syncs.synced_at(connection, sender.utility_id, people.profiles(connection, sender.utility_id))
