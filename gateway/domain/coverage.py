"""What is still missing for a period: every register that is expected, and what became of it."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from uuid import UUID

import msgspec

from gateway.domain.problems import Problem, Rejected
from gateway.domain.status import ReadingStatus


class Cover(StrEnum):
    """What became of an expected register. All but MISSING and FAILED were received; the meter of FAILED does not work, by an act."""

    ACCEPTED = "accepted"
    WAITING = "waiting"
    REFUSED = "refused"
    MISSING = "missing"
    FAILED = "failed"


_S = ReadingStatus
_WAITING = frozenset({_S.DRAFT, _S.NEEDS_REVIEW, _S.IN_DOUBT})
_REFUSED = frozenset({_S.REJECTED, _S.DEAD})


class Expected(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A register of which a value is expected for a period. `status`, `reading`: of the newest that came, None when none did.

    `service`: what its point measures. `entry_open`: whether billing lets readings of the period in. `failed`: whether its meter does
    not work on the last day of the period.
    """

    agreement: str
    party: str
    location: str
    point: str
    point_name: str
    meter: str
    register: str
    status: ReadingStatus | None
    reading: UUID | None
    service: str = ""
    entry_open: bool = True
    failed: bool = False

    @property
    def cover(self) -> Cover:
        """What became of it."""
        if self.status is None:
            return Cover.FAILED if self.failed else Cover.MISSING
        return Cover.WAITING if self.status in _WAITING else Cover.REFUSED if self.status in _REFUSED else Cover.ACCEPTED


def within(registers: list[Expected], limit: int) -> list[Expected]:
    """The registers unless they are more than `limit`: counts of a part would be taken for those of the whole. Raises Rejected."""
    if len(registers) > limit:
        raise Rejected(Problem(code="coverage_too_wide", values={"limit": str(limit)}))
    return registers


def counts(registers: Iterable[Expected]) -> dict[str, int]:
    """How many are expected and received, and how many came to what."""
    found = Counter(one.cover for one in registers)
    total = sum(found.values())
    return {
        "expected": total,
        "received": total - found[Cover.MISSING] - found[Cover.FAILED],
        **{cover.value: found[cover] for cover in Cover},
    }
