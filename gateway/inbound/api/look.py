"""GET /v1/submissions and GET /v1/templates: what became of what was sent, and the sheets to fill in."""

import asyncio
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from litestar import Request, Response, get
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, PathParameter, QueryParameter

from gateway.domain.problems import Problem, Rejected
from gateway.domain.status import SubmissionStatus
from gateway.domain.supply import key
from gateway.domain.windows import month
from gateway.inbound import views
from gateway.inbound.api.errors import language_of, refusals
from gateway.inbound.arriving import zone_of
from gateway.inbound.auth import calling
from gateway.inbound.parts import Parts, parts_of, status_of, submission_id
from gateway.inbound.views import SubmissionDetail, SubmissionList
from gateway.mapping.cells import CellError, text_code
from gateway.mapping.interval_workbook import template as interval_template
from gateway.store import Connection, people, submissions, supply
from gateway.store.people import Sender
from gateway.store.supply import Known
from gateway.texts import Language

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_REFUSALS = refusals(400, 401, 403, 404, 503)


async def reader(request: Request[Any, Any, Any]) -> Sender:
    """Whose key this is, and for whom. Raises Rejected when it may not read."""
    return await calling(parts_of(request).keyring, request.headers, "read")


@get(
    "/v1/submissions",
    responses=_REFUSALS | {200: ResponseSpec(SubmissionList, description="A page, newest first")},
    operation_id="listSubmissions",
    tags=["submissions"],
)
async def list_submissions(
    request: Request[Any, Any, Any],
    status: FromQuery[SubmissionStatus | None] = None,
    before: Annotated[str, QueryParameter(max_length=40)] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
) -> Response[bytes]:
    """List what this key has submitted, newest first; on behalf of a login only those for it. `before`: the `next` of the page before."""
    sender = await reader(request)
    page = await asyncio.to_thread(_page, parts_of(request), sender, status, before, limit, language_of(request))
    return Response(msgspec.json.encode(page), media_type="application/json")


def _page(parts: Parts, sender: Sender, status: SubmissionStatus | None, before: str, limit: int, language: Language) -> SubmissionList:
    older = submission_id(before) if before else None
    with parts.store.transaction(sender.utility_id, snapshot=True) as connection:
        found = submissions.newest(
            connection,
            sender.utility_id,
            credential_id=sender.credential_id,
            login=sender.login,
            status=status or "",
            before=older,
            limit=limit + 1,
        )
        profiles = parts.profiles[sender.utility_id] = people.profiles(connection, sender.utility_id)
    shown = [views.brief(one, language, profiles) for one in found[:limit]]
    return SubmissionList(submissions=shown, next=shown[-1].submission if len(found) > limit else None)


@get(
    "/v1/submissions/{submission:str}",
    responses=_REFUSALS | {200: ResponseSpec(SubmissionDetail, description="The submission as it stands")},
    operation_id="getSubmission",
    tags=["submissions"],
)
async def get_submission(request: Request[Any, Any, Any], submission: Annotated[str, PathParameter(max_length=40)]) -> Response[bytes]:
    """One submission with every row, every problem and its timeline."""
    sender = await reader(request)
    found = await asyncio.to_thread(status_of, parts_of(request), sender, submission_id(submission), language_of(request), timeline=True)
    return Response(msgspec.json.encode(found), media_type="application/json")


@get(
    "/v1/templates/integral_workbook",
    responses=_REFUSALS | {200: ResponseSpec(bytes, generate_examples=False, media_type=XLSX, description="The workbook to fill in")},
    operation_id="getIntegralTemplate",
    tags=["files"],
    media_type=XLSX,
)
async def get_template(
    request: Request[Any, Any, Any],
    agreement: Annotated[str, QueryParameter(max_length=100)],
    period: Annotated[str, QueryParameter(max_length=7)],
) -> Response[bytes]:
    """The integral workbook of an agreement for a period (YYYY-MM), made from the registry (legal-entity manual 5.2)."""
    sender = await reader(request)
    check(period, agreement=agreement)
    body = await asyncio.to_thread(_template, parts_of(request), sender, agreement, period, language_of(request))
    return download(body, f"{agreement}_{period}.xlsx")


@get(
    "/v1/templates/interval_workbook",
    responses=_REFUSALS | {200: ResponseSpec(bytes, generate_examples=False, media_type=XLSX, description="The workbook to fill in")},
    operation_id="getIntervalTemplate",
    tags=["files"],
    media_type=XLSX,
)
async def get_interval_template(
    request: Request[Any, Any, Any],
    agreement: Annotated[str, QueryParameter(max_length=100)],
    meter: Annotated[str, QueryParameter(max_length=100)],
    period: Annotated[str, QueryParameter(max_length=7)],
) -> Response[bytes]:
    """The interval workbook of a meter for a period (YYYY-MM): its hours by the days of the utility's zone (legal-entity manual 5.3.1)."""
    sender = await reader(request)
    check(period, agreement=agreement, meter=meter)
    body = await asyncio.to_thread(_interval_template, parts_of(request), sender, agreement, meter, period, language_of(request))
    return download(body, f"{meter}_{period}.xlsx")


def check(period: str, **codes: str) -> None:
    """Raises Rejected, with every problem, for what is no period and for codes that nobody could have written."""
    problems = []
    try:
        month(period)
    except ValueError:
        problems.append(Problem(code="period_invalid", where="period", values={"period": period}))
    for name, code in codes.items():
        try:
            text_code(code)
        except CellError as error:
            problems.append(error.at(name))
    if problems:
        raise Rejected(*problems)


def download(body: bytes, name: str) -> Response[bytes]:
    """A workbook to keep under a name."""
    return Response(body, media_type=XLSX, headers={"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"})


def _template(parts: Parts, sender: Sender, agreement: str, period: str, language: Language) -> bytes:
    with parts.store.transaction(sender.utility_id) as connection:
        meters = [known.meter for known in meters_within(connection, sender, agreement)]
    from gateway.mapping.integral_template import template  # noqa: PLC0415 - the writer of workbooks is slow to import

    return template(meters, agreement=meters[0].agreement, period=period, language=language)


def _interval_template(parts: Parts, sender: Sender, agreement: str, meter: str, period: str, language: Language) -> bytes:
    with parts.store.transaction(sender.utility_id) as connection:
        meters = [known.meter for known in meters_within(connection, sender, agreement)]
        profiles = people.profiles(connection, sender.utility_id)
    found = [one for one in meters if meter.strip() and key(one.serial) == key(meter)]
    exact = [one for one in found if one.serial == meter.strip()]
    if not found:
        raise Rejected(Problem(code="meter_unknown", where="meter", values={"meter": meter}))
    if len(found) > 1 and len(exact) != 1:
        raise Rejected(Problem(code="meter_ambiguous", where="meter", values={"meter": meter}))
    [chosen] = exact if len(found) > 1 else found
    return interval_template(chosen, period=period, zone=zone_of(profiles, parts.settings.zone), language=language)


def meters_within(connection: Connection, sender: Sender, agreement: str) -> list[Known]:
    """The meters of an agreement within what a sender may see. Raises Rejected when there are none."""
    found = supply.meters_of(connection, sender.utility_id, agreement) if agreement.strip() and agreement.isprintable() else []
    if sender.agreement_ids is not None:
        found = [known for known in found if known.meter.agreement_id in sender.agreement_ids]
    if not found:
        raise Rejected(Problem(code="agreement_unknown", where="agreement", values={"agreement": agreement}))
    return found
