"""States of a submission and of a meter reading, and the only arrows allowed between them (design 4)."""

from enum import StrEnum
from typing import Final


class SubmissionStatus(StrEnum):
    """What became of one thing received."""

    RECEIVED = "received"
    ACCEPTED = "accepted"
    PARTLY_ACCEPTED = "partly_accepted"
    IN_REVIEW = "in_review"
    REJECTED = "rejected"
    DRAFT = "draft"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"


class ReadingStatus(StrEnum):
    """Where one meter reading stands on its way to the bill."""

    DRAFT = "draft"
    ACCEPTED = "accepted"
    QUEUED = "queued"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    CALCULATED = "calculated"
    BILLED = "billed"
    REJECTED = "rejected"
    NEEDS_REVIEW = "needs_review"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
    DEAD = "dead"
    IN_DOUBT = "in_doubt"


_S = ReadingStatus
ARROWS: Final[dict[ReadingStatus, frozenset[ReadingStatus]]] = {
    _S.DRAFT: frozenset({_S.WITHDRAWN, _S.SUPERSEDED}),
    _S.ACCEPTED: frozenset({_S.QUEUED, _S.ACKNOWLEDGED, _S.WITHDRAWN, _S.SUPERSEDED}),
    _S.NEEDS_REVIEW: frozenset({_S.ACCEPTED, _S.QUEUED, _S.REJECTED, _S.WITHDRAWN, _S.SUPERSEDED}),
    _S.QUEUED: frozenset(
        {_S.SENT, _S.ACKNOWLEDGED, _S.CALCULATED, _S.BILLED, _S.REJECTED, _S.DEAD, _S.IN_DOUBT, _S.WITHDRAWN, _S.SUPERSEDED}
    ),
    _S.SENT: frozenset({_S.ACKNOWLEDGED, _S.CALCULATED, _S.BILLED, _S.REJECTED, _S.DEAD, _S.IN_DOUBT, _S.SUPERSEDED}),
    _S.IN_DOUBT: frozenset({_S.QUEUED, _S.ACKNOWLEDGED, _S.CALCULATED, _S.BILLED, _S.REJECTED, _S.DEAD, _S.SUPERSEDED}),
    _S.DEAD: frozenset({_S.QUEUED, _S.ACKNOWLEDGED, _S.CALCULATED, _S.BILLED, _S.WITHDRAWN, _S.SUPERSEDED}),
    _S.ACKNOWLEDGED: frozenset({_S.CALCULATED, _S.BILLED, _S.REJECTED, _S.SUPERSEDED}),
    _S.CALCULATED: frozenset({_S.BILLED, _S.SUPERSEDED}),
    _S.BILLED: frozenset({_S.SUPERSEDED}),
    _S.REJECTED: frozenset(),
    _S.WITHDRAWN: frozenset(),
    _S.SUPERSEDED: frozenset(),
}


def may_become(now: ReadingStatus, then: ReadingStatus) -> bool:
    """Tell whether a meter reading may go from `now` to `then`."""
    return then in ARROWS[now]


def sources(then: ReadingStatus) -> tuple[ReadingStatus, ...]:
    """Every state from which `then` may be reached: the guard of each update in the store."""
    return tuple(state for state, targets in ARROWS.items() if then in targets)


def submission_status(accepted: int, in_review: int, rejected: int) -> SubmissionStatus:
    """Sum up the rows of a submission: all good, part good, waiting for a person, or nothing usable."""
    if accepted and not rejected and not in_review:
        return SubmissionStatus.ACCEPTED
    if accepted:
        return SubmissionStatus.PARTLY_ACCEPTED
    return SubmissionStatus.IN_REVIEW if in_review else SubmissionStatus.REJECTED
