"""The door: small posts that wait at the same moment share one transaction, and each is answered after its COMMIT (design D4)."""

import asyncio
import logging
from collections import deque
from typing import Final, cast

from gateway import pipeline
from gateway.domain.problems import Unavailable
from gateway.pipeline import Outcome, Post
from gateway.store import Store

log = logging.getLogger("metergate")

GATHER_SECONDS: Final = 0.001
"""How long the first of a group waits for those who arrive at the same moment: a COMMIT shared is worth far more."""
GROUP_READINGS: Final = 2000
"""How many readings one shared transaction carries at most."""
CROWD_READINGS: Final = 8
"""How many readings must wait before a second group flies beside the first: while one waits for PostgreSQL, the other is judged."""

Waiting = deque[tuple[Post, asyncio.Future[Outcome]]]


class Door:
    """Gathers posts by utility; while one group is being written, the next one waits and grows."""

    def __init__(self, store: Store) -> None:
        """Nobody waits yet."""
        self.store = store
        self._waiting: dict[int, Waiting] = {}
        self._flying: dict[int, set[asyncio.Task[None]]] = {}

    async def take(self, post: Post) -> Outcome:
        """Hand a post over and wait until it is committed. Raises Unavailable when the database is away."""
        utility = post.entry.sender.utility_id
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(utility, deque())
        waiting.append((post, future))
        flying = self._flying.setdefault(utility, set())
        if not flying or (len(flying) == 1 and sum(len(waiter.found) for waiter, _ in waiting) >= CROWD_READINGS):
            flying.add(asyncio.create_task(self._serve(waiting, flying)))
        return await future

    async def _serve(self, waiting: Waiting, flying: set[asyncio.Task[None]]) -> None:
        try:
            while waiting:
                await asyncio.sleep(GATHER_SECONDS)
                if waiting:  # the other group may have taken all of them meanwhile
                    await self._write(_group(waiting))
        finally:
            flying.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _write(self, group: list[tuple[Post, asyncio.Future[Outcome]]]) -> None:
        """Write a group; if that fails for a reason of its own content, write each alone, so that one does not fail the others."""
        try:
            outcomes = await asyncio.to_thread(pipeline.receive, self.store, [post for post, _ in group], translated=True)
        except Unavailable as error:
            for _, future in group:
                _fail(future, error)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, it goes to those who wait
            if len(group) == 1:
                _fail(group[0][1], error)
                return
            log.warning("door.alone", extra={"facts": {"posts": len(group), "why": type(error).__name__}})
            for post, future in group:
                await self._write([(post, future)])
            return
        for (_, future), outcome in zip(group, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)


def _group(waiting: Waiting) -> list[tuple[Post, asyncio.Future[Outcome]]]:
    """The first of those who wait, and as many behind it as one transaction carries."""
    group = [waiting.popleft()]
    readings, keys = len(group[0][0].found), {_key(group[0][0])} - {None}
    while waiting and readings + len(waiting[0][0].found) <= GROUP_READINGS and _key(waiting[0][0]) not in keys:
        group.append(waiting.popleft())
        readings += len(group[-1][0].found)
        keys |= {_key(group[-1][0])} - {None}
    return group


def _key(post: Post) -> tuple[int, str] | None:
    """A sender's Idempotency-Key, if it gave one: twins are never in one group, so that the second finds the answer of the first."""
    return (post.entry.sender.credential_id, post.entry.key) if post.entry.key else None


def _fail(future: asyncio.Future[Outcome], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
