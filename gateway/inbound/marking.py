"""The sender's own workbook with its wrong cells marked: how every channel comes by it."""

from collections.abc import Sequence
from pathlib import PurePath

import msgspec

from gateway.domain.problems import Problem, Rejected, Severity
from gateway.inbound.arriving import label
from gateway.mapping.marked_workbook import marked
from gateway.settings import Limits
from gateway.store import Connection, submissions
from gateway.store.submissions import FoundProblem, Submission
from gateway.texts import Language


class Objected(msgspec.Struct, frozen=True):
    """A submission with every problem found in it and, where there is one, its very bytes."""

    submission: Submission
    problems: Sequence[FoundProblem]
    body: bytes = b""


def objected(connection: Connection, utility_id: int, submission: Submission) -> Objected:
    """What there is to mark in a submission of the utility. The marking itself needs no connection."""
    problems = [problem for _, problem in submissions.problems(connection, submission.id)]
    body = submissions.body(connection, utility_id, submission.id) if problems else None
    return Objected(submission, problems, body or b"")


def marked_of(found: Objected, language: Language, limits: Limits) -> tuple[str, bytes]:
    """The marked workbook, its name first. Raises Rejected(nothing_to_mark) when nothing is wrong or the kind has no cells."""
    told = [Problem(code=one.code, where=one.where, severity=Severity(one.severity), values=one.values) for one in found.problems]
    name = found.submission.file_name
    book = marked(found.body, name, told, language, limits) if told else None
    if book is None:
        raise Rejected(Problem(code="nothing_to_mark"))
    stem = PurePath(label(name)).stem or f"sub_{found.submission.id.hex}"
    return f"{stem}.problems.xlsx", book
