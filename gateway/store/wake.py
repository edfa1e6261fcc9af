"""Waiting for work: LISTEN on a connection of its own, with a poll behind it, since a notification is lost over a reconnect."""

from collections.abc import Callable
from threading import Event

import psycopg

from gateway.store import Store
from gateway.store.ledger import CHANNEL, RECEIVED


def listen(store: Store, ring: Callable[[], None], stop: Event, poll: float) -> None:
    """Call `ring` at every notification and at least every `poll` seconds, until `stop`; reconnect for as long as it takes."""
    while not stop.is_set():
        try:
            with psycopg.connect(store.url, autocommit=True, connect_timeout=10, application_name="metergate listen") as connection:
                connection.execute(f'listen "{CHANNEL}"')
                connection.execute(f'listen "{RECEIVED}"')
                while not stop.is_set():
                    list(connection.notifies(timeout=poll, stop_after=1))
                    ring()
        except psycopg.Error:
            ring()
            stop.wait(poll)
