"""What makes the SFTP drop say each of its codes."""

from collections.abc import Callable, Iterable
from typing import Final

from gateway.inbound.drop.whole import missing


def half_a_file() -> Iterable[str]:
    """A text that stops in the middle of a line."""
    problem = missing(b"meter;value\n20300109;15")
    return [problem.code] if problem else []


SAMPLES: Final[dict[str, Callable[[], Iterable[str]]]] = {"file_incomplete": half_a_file}
