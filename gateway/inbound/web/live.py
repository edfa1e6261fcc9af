"""What keeps open pages fresh: one task asks what has changed and wakes every browser that listens for it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

from gateway.domain.problems import Unavailable
from gateway.store import Store, events

log = logging.getLogger("metergate")

POLL: Final = 1.0
"""Seconds between two looks at what has changed."""
HEARTBEAT: Final = 15.0
"""Seconds of silence after which a listener hears that the line still stands."""
LISTENERS: Final = 64
"""How many may listen at once."""
_BEHIND: Final = 1000
"""How many events before the newest the first look begins: ids commit out of order, and telling one twice does no harm."""


class Listener:
    """One browser that listens: for one submission, or for all."""

    def __init__(self, submission: UUID | None) -> None:
        """Nothing has happened yet."""
        self.submission = submission
        self.bell = asyncio.Event()


class Live:
    """Everyone who listens. The database is asked only while somebody does, once a second, however many they are."""

    def __init__(self, store: Store) -> None:
        """Nobody listens yet."""
        self.store = store
        self._listeners: set[Listener] = set()
        self._watching: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether no further listener is let in."""
        return self._closed or len(self._listeners) >= LISTENERS

    def close(self) -> None:
        """Let every listener go, so that the server need not wait for them."""
        self._closed = True
        for listener in self._listeners:
            listener.bell.set()
        if self._watching is not None:
            self._watching.cancel()

    async def stream(self, submission: UUID | None) -> AsyncIterator[str]:
        """Server-sent events: `changed` when something happened to the submission, or to any; a comment in silence."""
        if self.full:
            return
        listener = Listener(submission)
        self._listeners.add(listener)
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        try:
            yield "retry: 2000\n\n"
            while not self._closed:
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        await listener.bell.wait()
                except TimeoutError:
                    yield ": here\n\n"
                    continue
                listener.bell.clear()
                if not self._closed:
                    yield "event: changed\ndata: 1\n\n"
        finally:
            self._listeners.discard(listener)

    async def _watch(self) -> None:
        cursor: int | None = None
        while self._listeners:
            try:
                cursor, changed = await asyncio.to_thread(self._look, cursor)
                for listener in self._listeners:
                    if changed and (listener.submission is None or listener.submission in changed):
                        listener.bell.set()
            except Unavailable as error:
                log.warning("web.waits", extra={"facts": {"why": str(error)}})
            except Exception:
                log.exception("web.failed")
            await asyncio.sleep(POLL)
        self._watching = None

    def _look(self, cursor: int | None) -> tuple[int, set[UUID]]:
        with self.store.transaction(snapshot=True) as connection:
            if cursor is None:
                return max(0, events.newest(connection) - _BEHIND), set()
            return events.changed(connection, cursor)
