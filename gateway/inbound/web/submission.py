"""GET /submissions/{id}: one thing received, its rows live, its problems, its timeline; and its bytes, as they came and marked."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.params import FromPath

from gateway.domain.problems import Problem, Rejected
from gateway.inbound import marking, views
from gateway.inbound.arriving import label
from gateway.inbound.parts import submission_id
from gateway.inbound.views import HappeningView, SubmissionDetail
from gateway.inbound.web.pages import attachment, pages_of, tone_of_submission
from gateway.inbound.web.speech import Speech
from gateway.mapping.zip_gate import kind_of
from gateway.store import submissions, trace
from gateway.store.submissions import FoundProblem, FoundRow
from gateway.store.trace import Listed

XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ROWS: Final = 200
"""Rows on one page of a submission."""
TIMELINE: Final = 300
"""Lines of a timeline that are shown, the last ones."""
_SUFFIX: Final = {"xlsx": ".xlsx", "xls": ".xls", "json": ".json", "xml": ".xml", "zip": ".zip", "text": ".txt"}
_UNMARKED: Final = ("", "canonical_json", "heat_report", "maket_80020")
"""Formats that are no table, so nothing of them can be coloured."""


class Happened(msgspec.Struct, kw_only=True):
    """Lines of a timeline that say the same of many readings in the same second, as one."""

    line: HappeningView
    count: int


@get("/submissions/{submission:str}", sync_to_thread=True)
def one(request: Request[Any, Any, Any], submission: FromPath[str]) -> Response[str]:
    """One submission; `rows=problems` shows those with problems only, `page` further ones."""
    pages, id_ = pages_of(request), submission_id(submission)
    with pages.reading() as connection:
        found = _found(trace.found(connection, id_))
        profiles = pages.profiles(connection, found.utility_id)
        problems = [problem for reading, problem in submissions.problems(connection, id_) if reading is None]
        rows = submissions.rows(connection, id_)
        timeline = submissions.timeline(connection, id_)
    speech = pages.speech(request, profiles)
    only = request.query_params.get("rows", "") == "problems"
    wanted = [row for row in rows if row.problems] if only else rows
    number = min(_page(request.query_params.get("page", "")), max(1, -(-len(wanted) // ROWS)))
    shown = wanted[(number - 1) * ROWS : number * ROWS]
    detail = views.detail(found.submission, shown, problems, speech.language, profiles, timeline[-TIMELINE:])
    return pages.answer(
        request,
        "submission",
        speech,
        found=found,
        view=detail,
        colour=tone_of_submission(found.submission.status, Counter(row.status for row in rows)),
        now=datetime.now(UTC),
        marked=_is_marked(found, problems, rows),
        happened=grouped(detail.timeline),
        only=only,
        number=number,
        pages=-(-len(wanted) // ROWS),
        with_problems=sum(bool(row.problems) for row in rows),
        envelope=envelope(detail, speech),
    )


@get("/submissions/{submission:str}/file", sync_to_thread=True)
def original(request: Request[Any, Any, Any], submission: FromPath[str]) -> Response[bytes]:
    """The very bytes that came, to be saved."""
    id_ = submission_id(submission)
    with pages_of(request).reading() as connection:
        found = _found(trace.found(connection, id_))
        body = submissions.body(connection, found.utility_id, id_) or b""
    kind = kind_of(body)
    name = found.submission.file_name or f"sub_{found.submission.id.hex}{_SUFFIX.get(kind, '.bin')}"
    return attachment(body, label(name))


@get("/submissions/{submission:str}/problems.xlsx", sync_to_thread=True)
def problems(request: Request[Any, Any, Any], submission: FromPath[str]) -> Response[bytes]:
    """The sender's own workbook with every wrong cell coloured and told."""
    pages = pages_of(request)
    with pages.reading() as connection:
        found = _found(trace.found(connection, submission_id(submission)))
        objected = marking.objected(connection, found.utility_id, found.submission)
    name, book = marking.marked_of(objected, pages.speech(request).language, pages.settings.limits)
    return attachment(book, name, XLSX)


def envelope(detail: SubmissionDetail, speech: Speech) -> list[tuple[str, str]]:
    """What the channel said beside the bytes, each by its name."""
    shown = {name: value for name, value in detail.envelope.items() if name != "file_name"}
    if "kind" in shown:
        shown["kind"] = speech.word(f"format.{shown['kind']}")
    for flag in shown.keys() & {"ratio_applied", "losses_applied"}:
        shown[flag] = speech.say("yes")
    return [(speech.say(f"envelope_{name}"), value) for name, value in shown.items()]


def grouped(lines: Iterable[HappeningView]) -> list[Happened]:
    """A timeline in which many readings that move together are one line."""
    shown: list[Happened] = []
    for line in lines:
        last = shown[-1] if shown else None
        if last is not None and _sort(last.line) == _sort(line) and line.entity == "meter_reading":
            last.count += 1
        else:
            shown.append(Happened(line=line, count=1))
    return shown


def _sort(line: HappeningView) -> tuple[Any, ...]:
    return line.at.replace(microsecond=0), line.entity, line.from_, line.to, line.actor


def _is_marked(found: Listed, whole: Iterable[FoundProblem], rows: Iterable[FoundRow]) -> bool:
    return found.submission.format not in _UNMARKED and (any(whole) or any(row.problems for row in rows))


def _found(found: Listed | None) -> Listed:
    if found is None:
        raise Rejected(Problem(code="not_found"))
    return found


def _page(text: str) -> int:
    return min(int(text), 10**6) if text.isascii() and text.isdigit() and 0 < len(text) < 8 and int(text) else 1
