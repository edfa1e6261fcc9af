"""How the bytes of a message come in: how many before its sender is known, and how many large messages at once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from typing import Any, Final

from litestar import Request

from gateway.domain.problems import Problem, Rejected, Unavailable
from gateway.inbound.parts import parts_of

SMALL: Final = 65_536
"""Up to so many bytes a message is read where it arrived; a larger one in a thread, in its turn."""
STRANGER: Final = 2 * 1024 * 1024
"""So many bytes are read of a message whose key stands within it."""
AT_ONCE: Final = 2
"""So many large messages of known senders are handled at once, and so many of others: these never hold up those."""
WAITING: Final = 32
"""So many large messages of senders not yet known may lie in memory."""


class Large:
    """The large messages that one application has in hand."""

    def __init__(self) -> None:
        """None yet."""
        self.turns = {known: asyncio.Semaphore(AT_ONCE) for known in (True, False)}
        self._strangers = 0

    @contextmanager
    def stranger(self) -> Iterator[None]:
        """Count one of a sender not yet known. Raises Unavailable when there are too many."""
        if self._strangers >= WAITING:
            raise Unavailable("too many large messages without a key in the HTTP header", sent=False, retry_after=5)
        self._strangers += 1
        try:
            yield
        finally:
            self._strangers -= 1


def is_small(request: Request[Any, Any, Any]) -> bool:
    """Whether a message says that it is small."""
    announced = request.content_length
    return announced is not None and announced <= SMALL


@asynccontextmanager
async def body_of(request: Request[Any, Any, Any], *, known: bool) -> AsyncIterator[bytes]:
    """The body, for as long as it is worked with; a large one waits for its turn. `known`: the sender is, by the HTTP header.

    Raises Rejected, having read no more than is allowed, and Unavailable.
    """
    limit = parts_of(request).settings.limits.soap_bytes
    most = limit if known else min(limit, STRANGER)
    if (request.content_length or 0) > most:
        raise too_large(most, limit)
    large = _large(request)
    async with AsyncExitStack() as stack:
        came, size = [], 0
        async with aclosing(request.stream()) as pieces:
            async for piece in pieces:
                if not known and size <= SMALL < size + len(piece):
                    stack.enter_context(large.stranger())
                came.append(piece)
                size += len(piece)
                if size > most:
                    raise too_large(most, limit)
        if size > SMALL:
            await stack.enter_async_context(large.turns[known])
        yield b"".join(came)


def _large(request: Request[Any, Any, Any]) -> Large:
    state = request.app.state
    found: Large | None = state.get("soap_large")
    if found is None:
        found = state["soap_large"] = Large()
    return found


def too_large(most: int, limit: int) -> Rejected:
    """The refusal of a message of more than `most` bytes; with a key where it can be seen at once, `limit` would hold."""
    if most == limit:
        return Rejected(Problem(code="xml_too_large", values={"reason": "bytes", "limit": str(most)}))
    return Rejected(Problem(code="soap_key_wanted", values={"limit": str(most)}))
