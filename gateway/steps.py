"""One `step("deliver.sent")` is both the log line of the line's progress and the crash point of its tests."""

import logging
import os
import signal
from functools import cache
from typing import Final

log = logging.getLogger("metergate")


@cache
def _armed() -> tuple[str, int, int]:
    """Read `METERGATE_STEP=name:signal[:nth]`, for instance `deliver.sent:KILL:3`."""
    name, _, rest = os.environ.get("METERGATE_STEP", "").partition(":")
    kind, _, nth = rest.partition(":")
    return name, int(signal.Signals[f"SIG{kind}"]) if kind else 0, int(nth or 1)


_passed = 0

STEPS: Final = (
    "receive.decoded",
    "receive.written",
    "receive.committed",
    "receive.answered",
    "translate.claimed",
    "translate.decoded",
    "translate.written",
    "translate.committed",
    "deliver.claimed",
    "deliver.sending",
    "deliver.sent",
    "deliver.recorded",
    "deliver.committed",
    "settle.decoded",
    "settle.written",
    "settle.committed",
    "drop.seen",
    "drop.read",
    "drop.kept",
    "drop.told",
    "drop.removed",
)
"""Every step of the line, in order: between any two of them the process may die."""

CHANNEL_STEPS: Final = ("soap.decoded", "soap.answered", "remind.written", "remind.committed")
"""Steps beside the line: of one channel, around those of `receive`, and of reminders; crash tests of their own come past them."""


def step(name: str, **facts: object) -> None:
    """Say that the line has come to `name`; send this process the signal armed for it in the environment, if any."""
    global _passed  # noqa: PLW0603 - the count of passes is what "the third time" means
    log.info(name, extra={"facts": facts})
    armed, number, nth = _armed()
    if name == armed and number:
        _passed += 1
        if _passed == nth:
            os.kill(os.getpid(), number)
