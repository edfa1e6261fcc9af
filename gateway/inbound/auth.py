"""Who is calling: keys to senders, and one question, `may`."""

from collections import OrderedDict
from typing import Final, Literal

from gateway.domain.problems import Problem, Rejected
from gateway.store import Store, people
from gateway.store.people import Sender

Action = Literal["submit", "read", "settle", "registry", "link", "manage", "review", "phone", "control", "automatic"]
KNOWN_KEYS: Final = 10_000


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


def may(sender: Sender, action: Action) -> None:
    """Let a sender pass that has the scope. Raises Rejected(forbidden)."""
    if action not in sender.scopes:
        raise Rejected(Problem(code="forbidden", values={"scope": action}))


def key_in(authorization: str) -> str:
    """The key in an Authorization header of the Bearer scheme, empty when there is none."""
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""
