"""Uploads that nobody went on with: a name that says it is in the making keeps its place for so long and no longer."""

import contextlib
import os
import time

from gateway.inbound.drop import folders
from gateway.inbound.drop.folders import Drop
from gateway.inbound.drop.names import in_the_making


def forget(drop: Drop, age: float) -> int:
    """Remove what is in the making in `in` and has not changed for `age` seconds; the number of files removed. Raises OSError."""
    before = time.time_ns() - int(age * 1e9)
    with os.scandir(drop.inbox) as listing:
        making = [name for name in (os.fsencode(entry.name) for entry in listing) if in_the_making(name)]
    forgotten = 0
    for name in making:
        with contextlib.suppress(FileNotFoundError, folders.Strange):
            state = folders.look(drop.inbox, name)
            forgotten += state.changed < before and folders.take_away(drop, name, state)
    return forgotten
