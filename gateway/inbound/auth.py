"""Who is calling, and for whom: keys to senders, and one question, `may`."""

import asyncio
from collections import OrderedDict
from typing import Final, Literal
from urllib.parse import unquote

from litestar.datastructures import Headers

from gateway.domain.problems import Problem, Rejected
from gateway.store import Store, links, people
from gateway.store.people import Sender

Action = Literal["submit", "read", "settle", "registry", "link", "manage", "review", "phone", "control", "automatic"]
KNOWN_KEYS: Final = 10_000
ON_BEHALF: Final = "X-On-Behalf-Of"


class Keyring:
    """Senders by key. One met before is remembered by the hash of its key; whether it is still valid is asked in each transaction."""

    def __init__(self, store: Store) -> None:
        """Nobody is known yet."""
        self.store = store
        self._known: OrderedDict[bytes, Sender] = OrderedDict()

    def remembered(self, key: str) -> Sender | None:
        """The sender of a key met before, for the door alone: `receive` asks in its transaction whether the right still stands."""
        hashed = people.digest(key)
        if hashed in self._known:
            self._known.move_to_end(hashed)
        return self._known.get(hashed)

    def sender(self, key: str) -> Sender:
        """The sender of a key as the database knows it now. Raises Rejected(unauthorized), the same for wrong, expired and revoked."""
        with self.store.transaction() as connection:
            sender = people.sender_of(connection, key) if key else None
        if sender is None:
            self._known.pop(people.digest(key), None)
            raise Rejected(Problem(code="unauthorized"))
        self._known[people.digest(key)] = sender
        if len(self._known) > KNOWN_KEYS:
            self._known.popitem(last=False)
        return sender

    def narrowed(self, sender: Sender, login: str) -> Sender:
        """A sender who acts for a portal's user: it sees no more than the agreements linked to that login now."""
        with self.store.transaction(sender.utility_id) as connection:
            return links.narrowed(connection, sender, login)


async def calling(keyring: Keyring, headers: Headers, action: Action) -> Sender:
    """Who calls and may do this, narrowed to the portal's user for whom it calls where one is named. Raises Rejected."""

    def known() -> Sender:
        sender = keyring.sender(key_in(headers.get("authorization", "")))
        may(sender, action)
        login = login_in(headers)
        return keyring.narrowed(sender, login) if login else sender

    return await asyncio.to_thread(known)


async def alone(keyring: Keyring, headers: Headers, action: Action) -> Sender:
    """Who calls and may do this for the utility itself: what is no affair of a portal's user is refused in his name. Raises Rejected."""
    if login_in(headers):
        raise Rejected(Problem(code="login_invalid", where=ON_BEHALF, values={"header": ON_BEHALF}))
    sender = await asyncio.to_thread(keyring.sender, key_in(headers.get("authorization", "")))
    may(sender, action)
    return sender


def login_in(headers: Headers) -> str:
    """For whom a portal calls: the login in `X-On-Behalf-Of`, what is not ASCII percent-encoded as UTF-8; empty when there is none.

    Raises Rejected(login_invalid) for an empty or unreadable one: a portal that lost its user must not see everybody's.
    """
    given = headers.getall(ON_BEHALF.lower(), [])
    if not given:
        return ""
    try:
        login = unquote(given[0], errors="strict").strip()
    except UnicodeDecodeError:
        login = ""
    if len(given) > 1 or not given[0].isascii() or not login.isprintable() or not 0 < len(login) <= 200:
        raise Rejected(Problem(code="login_invalid", where=ON_BEHALF, values={"header": ON_BEHALF}))
    return login


def may(sender: Sender, action: Action) -> None:
    """Let a sender pass that has the scope. Raises Rejected(forbidden)."""
    if action not in sender.scopes:
        raise Rejected(Problem(code="forbidden", values={"scope": action}))


def key_in(authorization: str) -> str:
    """The key in an Authorization header of the Bearer scheme, empty when there is none."""
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
