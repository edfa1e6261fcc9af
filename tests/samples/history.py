"""What makes a question about the past say each of its codes."""

from collections.abc import Callable, Iterable

from gateway.domain.history import Reach, bounded, within
from gateway.domain.problems import Rejected


def refused(call: Callable[[], object]) -> Callable[[], Iterable[str]]:
    """The codes with which a call is refused."""

    def codes() -> Iterable[str]:
        try:
            call()
        except Rejected as refusal:
            return [problem.code for problem in refusal.problems]
        return []

    return codes


SAMPLES: dict[str, Callable[[], Iterable[str]]] = {
    "history_unbounded": refused(lambda: bounded(Reach(status=None), None)),
    "history_too_long": refused(lambda: within([1, 2, 3], 2)),
}
