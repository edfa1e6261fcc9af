"""GET /v1/submissions/{submission}/problems.xlsx and /file: the sender's workbook with every wrong cell told, and as it came."""

import asyncio
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter

from gateway.domain.problems import Problem, Rejected
from gateway.inbound import marking
from gateway.inbound.api.errors import language_of, refusals
from gateway.inbound.api.look import XLSX, reader
from gateway.inbound.parts import Parts, parts_of, submission_id
from gateway.store import submissions
from gateway.store.people import Sender
from gateway.texts import Language


@get(
    "/v1/submissions/{submission:str}/problems.xlsx",
    responses=refusals(400, 401, 403, 404, 503)
    | {200: ResponseSpec(bytes, generate_examples=False, media_type=XLSX, description="The workbook, its wrong cells marked")},
    operation_id="getMarkedWorkbook",
    tags=["submissions"],
    media_type=XLSX,
)
async def get_marked(request: Request[Any, Any, Any], submission: Annotated[str, PathParameter(max_length=40)]) -> Response[bytes]:
    """The file of a submission with its wrong cells coloured and commented, and a sheet that lists every problem.

    An .xlsx comes back as it was sent but for the marks; an .xls, a text, or a workbook too large to be edited as a new one with the
    same cells. 404 `nothing_to_mark` when nothing is wrong or the kind has no cells.
    """
    parts, language = parts_of(request), language_of(request)
    sender = await reader(request)
    name, book = await asyncio.to_thread(_marked, parts, sender, submission_id(submission), language)
    disposition = f"attachment; filename*=UTF-8''{quote(name)}"
    return Response(book, media_type=XLSX, headers={"Content-Disposition": disposition, "X-Content-Type-Options": "nosniff"})


@get(
    "/v1/submissions/{submission:str}/file",
    responses=refusals(400, 401, 403, 404, 503)
    | {200: ResponseSpec(bytes, generate_examples=False, media_type="application/octet-stream", description="The bytes as they came")},
    operation_id="getSubmittedFile",
    tags=["submissions"],
    media_type="application/octet-stream",
)
async def get_file(request: Request[Any, Any, Any], submission: Annotated[str, PathParameter(max_length=40)]) -> Response[bytes]:
    """What was submitted, byte for byte («Первичный акт», legal-entity manual 5.3): its SHA-256 is that of the receipt."""
    parts, sender = parts_of(request), await reader(request)
    name, body = await asyncio.to_thread(_original, parts, sender, submission_id(submission))
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}", "X-Content-Type-Options": "nosniff"}
    return Response(body, media_type="application/octet-stream", headers=headers)


def _original(parts: Parts, sender: Sender, id_: UUID) -> tuple[str, bytes]:
    """The file and its name. Raises Rejected: not_found alike for an absent submission and another's."""
    with parts.store.transaction(sender.utility_id, snapshot=True) as connection:
        found = submissions.one(connection, sender.utility_id, id_, sender.credential_id, sender.login)
        body = None if found is None else submissions.body(connection, sender.utility_id, id_)
    if found is None or body is None:
        raise Rejected(Problem(code="not_found"))
    return found.file_name or f"sub_{id_.hex}", body


def _marked(parts: Parts, sender: Sender, id_: UUID, language: Language) -> tuple[str, bytes]:
    """The marked workbook and its name. Raises Rejected: not_found alike for an absent submission and another's, nothing_to_mark."""
    with parts.store.transaction(sender.utility_id, snapshot=True) as connection:
        found = submissions.one(connection, sender.utility_id, id_, sender.credential_id, sender.login)
        if found is None:
            raise Rejected(Problem(code="not_found"))
        objected = marking.objected(connection, sender.utility_id, found)
    return marking.marked_of(objected, language, parts.settings.limits)
