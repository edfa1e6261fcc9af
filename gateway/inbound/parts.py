"""What every channel works with, and the one way they all load a submission."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, cast
from uuid import UUID

import msgspec
from litestar import Request

from gateway.domain.problems import Problem, Rejected
from gateway.domain.profile import Profile
from gateway.inbound import views
from gateway.inbound.auth import Keyring
from gateway.inbound.door import Door
from gateway.mapping import Format
from gateway.settings import Settings
from gateway.store import Store, people, submissions
from gateway.store.intake import Entry
from gateway.store.people import Sender
from gateway.texts import Language

FRESH: Final = 1.0
"""Seconds after which words and zones of a utility are read again: so soon a new version of a profile is seen everywhere."""


class Parts(msgspec.Struct, frozen=True):
    """The application's parts. `profiles`: by utility, as last read at `read_at`; used for words and the zone of files only."""

    settings: Settings
    store: Store
    formats: Mapping[str, Format]
    keyring: Keyring
    door: Door
    profiles: dict[int, dict[str, Profile]]
    read_at: dict[int, float] = {}


def parts_of(request: Request[Any, Any, Any]) -> Parts:
    """The parts of the application that serves this request."""
    return cast("Parts", request.app.state.parts)


async def read_words(parts: Parts, utility: int) -> None:
    """See to it that receipts are said in the utility's words, and files read in its zone, as they were said a second ago at most."""

    def read() -> dict[str, Profile]:
        with parts.store.transaction(utility) as connection:
            return people.profiles(connection, utility)

    now, known = time.monotonic(), utility in parts.profiles
    if not known or now - parts.read_at.get(utility, -FRESH) >= FRESH:
        if known:
            parts.read_at[utility] = now  # those who come meanwhile need not read them too
        parts.profiles[utility] = await asyncio.to_thread(read)
        parts.read_at[utility] = now


def status_of(parts: Parts, sender: Sender, id_: UUID, language: Language, *, timeline: bool = False) -> views.SubmissionDetail:
    """A submission of this sender with its rows, the same for every channel.

    Raises Rejected(not_found) alike for an absent one and another's.
    """
    with parts.store.transaction(sender.utility_id, snapshot=True) as connection:
        found = submissions.one(connection, sender.utility_id, id_, sender.credential_id, sender.login)
        if found is None:
            raise Rejected(Problem(code="not_found"))
        profiles = parts.profiles[sender.utility_id] = people.profiles(connection, sender.utility_id)
        problems = [problem for reading, problem in submissions.problems(connection, id_) if reading is None]
        lines = submissions.timeline(connection, id_) if timeline else []
        rows = submissions.rows(connection, id_)
    return views.detail(found, rows, problems, language, profiles, lines)


def first_answer(parts: Parts, entry: Entry, submission: UUID, language: Language, say: Callable[[views.SubmissionDetail], bytes]) -> bytes:
    """The receipt of what was met before, said anew; a new key is bound to it, so that it gets this answer ever after.

    Raises Rejected(idempotency_key_reused) when another process used the key for something else meanwhile.
    """
    said = say(status_of(parts, entry.sender, submission, language))
    if entry.key:
        sender = entry.sender
        with parts.store.transaction(sender.utility_id) as connection:
            known = submissions.answers(connection, sender.utility_id, [(sender.credential_id, entry.key)])
            if not known:
                submissions.remember(connection, sender.utility_id, sender.credential_id, entry.key, entry.fingerprint, submission, said)
        for fingerprint, answer in known.values():
            if fingerprint != entry.fingerprint:
                raise Rejected(Problem(code="idempotency_key_reused"))
            return answer
    return said


def submission_id(text: str) -> UUID:
    """The id in a submission's public name. Raises Rejected(not_found) for what can be none."""
    try:
        return UUID(hex=text.removeprefix("sub_"))
    except ValueError:
        raise Rejected(Problem(code="not_found")) from None
