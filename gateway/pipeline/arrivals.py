"""What stands at the door, and whether it was met before: the same key, the same bytes, or something new."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import MeterReading
from gateway.mapping import Envelope
from gateway.store import Connection, submissions
from gateway.store.intake import Entry, new_id
from gateway.store.people import Sender


def fingerprint(sender: Sender, sha256: bytes, envelope: Envelope) -> bytes:
    """What makes two submissions the same: sender, bytes and envelope; the file's name is a label and no part of it."""
    plain = msgspec.json.encode(msgspec.structs.replace(envelope, file_name=""))
    return hashlib.sha256(b"\n".join((sender.principal.encode(), sha256, plain))).digest()


def new_entry(sender: Sender, envelope: Envelope, body: bytes, *, channel: str, key: str = "") -> Entry:
    """Make the entry of something that has just arrived on `channel`; `key`: the sender's idempotency key, empty for none.

    For whom the sender acts is part of the envelope: the same bytes of two logins are two submissions.
    """
    sha256 = hashlib.sha256(body).digest()
    if sender.login:
        envelope = msgspec.structs.replace(envelope, login=sender.login)
    return Entry(
        id=new_id(),
        sender=sender,
        sha256=sha256,
        fingerprint=fingerprint(sender, sha256, envelope),
        channel=channel,
        format=envelope.kind,
        envelope=envelope,
        received_at=datetime.now(UTC),
        body=body,
        key=key,
        rows=[],
    )


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """One thing at the door: its entry, what a small JSON post says, already decoded, and how its sender is answered."""

    entry: Entry
    found: Sequence[MeterReading | Problem]
    say: Callable[[Entry], bytes]


class Taken(msgspec.Struct, frozen=True):
    """A new submission and the answer its sender gets."""

    submission: UUID
    answer: bytes


class Replayed(msgspec.Struct, frozen=True):
    """The answer given before under the same idempotency key, byte for byte."""

    answer: bytes


class Repeated(msgspec.Struct, frozen=True):
    """The same sender, bytes and envelope as an earlier submission: its receipt is the answer."""

    submission: UUID


Outcome = Taken | Replayed | Repeated | Rejected


class Raced(Exception):  # noqa: N818 - nobody's fault: another process took the same bytes between our look and our write
    """The transaction must be done again."""


def meet(connection: Connection, utility: int, posts: Sequence[Post]) -> dict[int, Outcome | None]:
    """By place, what is to be said of each post that was met before, None for the new ones.

    A key used again for other bytes and a sender whose right was removed are Rejected.
    """
    senders, fingerprints = {post.entry.sender.credential_id for post in posts}, {post.entry.fingerprint for post in posts}
    valid, firsts = submissions.met(connection, utility, senders, fingerprints)
    keys = [(post.entry.sender.credential_id, post.entry.key) for post in posts if post.entry.key]
    answered = submissions.answers(connection, utility, keys) if keys else {}
    found: dict[int, Outcome | None] = {}
    keyed: dict[tuple[int, str], bytes] = {}
    for place, post in enumerate(posts):
        entry = post.entry
        before = answered.get((entry.sender.credential_id, entry.key))
        beside = keyed.setdefault((entry.sender.credential_id, entry.key), entry.fingerprint) if entry.key else entry.fingerprint
        if entry.sender.credential_id not in valid:
            found[place] = Rejected(Problem(code="unauthorized"))
        elif before is not None:
            found[place] = Replayed(before[1]) if before[0] == entry.fingerprint else Rejected(Problem(code="idempotency_key_reused"))
        elif beside != entry.fingerprint:
            found[place] = Rejected(Problem(code="idempotency_key_reused"))
        elif entry.fingerprint in firsts:
            found[place] = Repeated(firsts[entry.fingerprint])
        else:
            firsts[entry.fingerprint] = entry.id
            found[place] = None
    return found


def answer(connection: Connection, post: Post) -> Taken:
    """Word the answer to a new post and keep it under the sender's key, in the transaction that takes the post. Raises Raced."""
    entry, said = post.entry, post.say(post.entry)
    if entry.key:
        sender = entry.sender
        if not submissions.remember(connection, sender.utility_id, sender.credential_id, entry.key, entry.fingerprint, entry.id, said):
            raise Raced
    return Taken(entry.id, said)
