"""The maket 80021 beside the status of a maket 80020: the one word that the sender's own system of metering understands."""

from typing import Final

from gateway.domain.problems import Severity
from gateway.domain.status import ReadingStatus, SubmissionStatus
from gateway.inbound.views import ProblemView, ReadingView, SubmissionDetail
from gateway.mapping.maket_80020 import day_of_file
from gateway.mapping.maket_80021 import Reply, status_of, write
from gateway.mapping.zip_gate import kind_of
from gateway.settings import Limits

MAKET: Final = "maket_80020"
_UNDECIDED: Final = frozenset({ReadingStatus.DRAFT, ReadingStatus.NEEDS_REVIEW})
_DIGITS: Final = 15
"""So many hexadecimal digits of a submission's id are the number of its reply: it grows with time, and programs can hold it."""


def is_answered(picture: SubmissionDetail) -> bool:
    """Whether there is a word to say: the file is a maket, has been read, and nobody has to decide about any of it."""
    read = picture.format == MAKET and picture.status != SubmissionStatus.RECEIVED
    return read and all(row.status not in _UNDECIDED for row in picture.readings)


def reply(picture: SubmissionDetail, body: bytes, limits: Limits) -> bytes:
    """The maket 80021 for a file and what became of it."""
    found = [*_errors(picture.problems), *(one for row in picture.readings for one in _told(row))]
    made = Reply(
        id=str(int(picture.submission.removeprefix("sub_")[:_DIGITS], 16)),
        name=picture.file_name,
        status=status_of(found),
        received=picture.received_at,
        day=day_of_file(body, limits),
        archive=bool(body) and kind_of(body) == "zip",
    )
    return write(made, picture.envelope.get("zone", "UTC"))


def _told(row: ReadingView) -> list[tuple[str, bool]]:
    """The codes of a row, each with whether it refused the row; one that is refused for no reason told is refused all the same."""
    lesser = [(problem.code, False) for problem in row.problems if problem.severity != Severity.ERROR]
    return lesser + ((_errors(row.problems) or [("", True)]) if row.status == ReadingStatus.REJECTED else [])


def _errors(problems: list[ProblemView]) -> list[tuple[str, bool]]:
    return [(problem.code, True) for problem in problems if problem.severity == Severity.ERROR]
