"""POST /v1/registry: a billing or an operator brings agreements, points, meters and registers in, new or changed."""

import asyncio
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Annotated, Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, QueryParameter

from gateway.domain.problems import Problem, Rejected
from gateway.inbound.api.errors import language_of, refusals
from gateway.inbound.auth import alone
from gateway.inbound.parts import Parts, parts_of
from gateway.inbound.views import ProblemView, problem_view
from gateway.mapping.registry_rows import Row, csv_rows, json_rows, text_lines
from gateway.mapping.registry_sheet import sheet_rows
from gateway.pipeline import feeding
from gateway.pipeline.feeding import Fed
from gateway.store import feed, people
from gateway.store.people import Sender

_READERS: Final[dict[str, Callable[[Iterable[str]], Iterator[Row]]]] = {"text/csv": csv_rows, "application/x-ndjson": json_rows}
WORKBOOK: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MEDIA: Final = (*_READERS, WORKBOOK)
_MEMORY: Final = 4 * 1024 * 1024
"""A feed larger than that waits in a temporary file."""


class FedView(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a feed's rows. A refused row has its problems, the first thousand of all; rows taken were new, changed or as known."""

    rows: int
    taken: int
    refused: int
    problems: list[ProblemView]


@post(
    "/v1/registry",
    status_code=200,
    request_max_body_size=None,  # registry_bytes is asked while the body comes in
    responses=refusals(400, 401, 403, 413, 415, 422, 503)
    | {200: ResponseSpec(FedView, generate_examples=False, description="What came of the rows")},
    operation_id="feedRegistry",
    tags=["registry"],
)
async def feed_registry(
    request: Request[Any, Any, Any],
    profile: Annotated[str, QueryParameter(max_length=63)] = "",
    dry_run: FromQuery[bool] = False,  # noqa: FBT002 - a query parameter
) -> Response[bytes]:
    """Bring rows of a registry in for the agreements of a `profile`: CSV, a JSON object a line or an .xlsx.

    The columns are those of RegistryRow. Each row is taken or refused by itself; the same rows again change nothing. With `dry_run`
    nothing is kept. Needs a key that may `registry`.
    """
    parts = parts_of(request)
    sender = await alone(parts.keyring, request.headers, "registry")
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in MEDIA:
        raise Rejected(Problem(code="registry_media", values={"wanted": ", ".join(MEDIA)}))
    limits = parts.settings.limits
    most = limits.file_bytes if media == WORKBOOK else limits.registry_bytes
    with tempfile.SpooledTemporaryFile(max_size=_MEMORY) as body:
        size = 0
        async for piece in request.stream():
            size += len(piece)
            if size > most:
                raise Rejected(Problem(code="body_too_large", values={"limit": str(most)}))
            await asyncio.to_thread(body.write, piece)
        body.seek(0)
        fed = await asyncio.to_thread(_feed, parts, sender, profile, body, media, dry_run=dry_run)
    language = language_of(request)
    told = FedView(rows=fed.rows, taken=fed.taken, refused=fed.refused, problems=[problem_view(one, language) for one in fed.problems])
    return Response(msgspec.json.encode(told), media_type="application/json")


def _feed(parts: Parts, sender: Sender, profile: str, body: IO[bytes], media: str, *, dry_run: bool) -> Fed:
    with parts.store.transaction(sender.utility_id) as connection:
        if profile not in people.profiles(connection, sender.utility_id):
            raise Rejected(Problem(code="profile_unknown", where="profile", values={"profile": profile}))
        connection.exec_driver_sql("set local statement_timeout = '10min'")
        rows = sheet_rows(body.read(), parts.settings.limits) if media == WORKBOOK else _READERS[media](text_lines(body))
        fed = feeding.stage(connection, sender.utility_id, rows)
        if fed.taken and not dry_run:
            feed.apply(connection, sender.utility_id, profile)
    return fed
