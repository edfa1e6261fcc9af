"""What can go wrong, named by who must act: data problems for the sender, three exceptions for the rest."""

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """How much a problem weighs. Only `error` refuses a reading, only `needs_review` holds it back."""

    ERROR = "error"
    NEEDS_REVIEW = "needs_review"
    WARNING = "warning"
    HINT = "hint"


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing a sender can fix, as data; its words live in `gateway.texts` under its code.

    `code`: stable lower_snake name, part of every contract. `where`: locator in the thing received
    (`Sheet1!D17`, `readings[3].registers[0].value`, `line 12`), empty for the whole of it. `values`: facts for the text.
    """

    code: str
    where: str = ""
    severity: Severity = Severity.ERROR
    values: dict[str, str] = {}


class Rejected(Exception):  # noqa: N818 - named by who must act, not by being an error
    """The sender must act: nothing of what was sent can be used, and `problems` say why."""

    def __init__(self, *problems: Problem) -> None:
        """Keep the problems; their codes are the message."""
        super().__init__(", ".join(f"{p.code} at {p.where}" if p.where else p.code for p in problems))
        self.problems = problems


class Unavailable(Exception):  # noqa: N818
    """Nobody must act yet, time will: a peer did not answer. `sent` tells whether our request may have reached it.

    `retry_after`: seconds the peer asked us to wait, when it did.
    """

    def __init__(self, reason: str, *, sent: bool, retry_after: float | None = None) -> None:
        """Remember whether a byte may have left the house."""
        super().__init__(reason)
        self.sent = sent
        self.retry_after = retry_after


class Misconfigured(Exception):  # noqa: N818
    """The operator must act: a setting, a document, a folder or a peer's contract is not as it must be."""
