"""Tells an account what was calculated and billed: posts settlements to its `settle_url` until they are taken, over restarts too."""

import http.client
import logging
import ssl
import threading
from urllib.parse import urlsplit

import msgspec

from gateway.sandbox.books import Books
from gateway.sandbox.config import Account
from gateway.sandbox.wire import Settlements, Stage

log = logging.getLogger("metergate.sandbox")

FIRST_WAIT, LONGEST_WAIT, PATIENCE = 0.1, 5.0, 10.0
"""Seconds: before the first repeat, between repeats at most, for one call."""


class Teller(threading.Thread):
    """One account's teller; one call at a time, in the order the rows were taken. It dies with the process: the journal knows the rest."""

    def __init__(self, account: Account, books: Books) -> None:
        super().__init__(name=f"teller of {account.name}", daemon=True)
        self._account = account
        self._books = books
        self._connection: http.client.HTTPConnection | None = None

    def run(self) -> None:
        """Tell for ever."""
        wait = FIRST_WAIT
        while True:
            with self._books.stirred:
                due = self._books.due(self._account)
                if isinstance(due, float):
                    self._books.stirred.wait(due)
                    continue
            stage, count, settlements = due
            trouble = self._post(Settlements(settlements=settlements))
            if not trouble:
                trouble = self._told(stage, count)
            if trouble:
                log.warning("%s: %s settlements not taken: %s", self._account.name, len(settlements), trouble)
                threading.Event().wait(wait)
                wait = min(wait * 2, LONGEST_WAIT)
            else:
                wait = FIRST_WAIT

    def _told(self, stage: Stage, count: int) -> str:
        try:
            self._books.told(self._account, stage, count)
        except OSError as error:
            return str(error)
        return ""

    def _post(self, words: Settlements) -> str:
        """Post once; return what went wrong, nothing when it was taken."""
        where = urlsplit(self._account.settle_url)
        headers = {"Authorization": f"Bearer {self._account.settle_key}", "Content-Type": "application/json"}
        try:
            self._connection = self._connection or _connect(where.scheme, where.hostname or "", where.port)
            self._connection.request("POST", where.path or "/", msgspec.json.encode(words), headers)
            answer = self._connection.getresponse()
            answer.read(1024 * 1024)
            if not answer.isclosed():
                self._hang_up()
        except (OSError, http.client.HTTPException) as error:
            self._hang_up()
            return type(error).__name__
        return "" if 200 <= answer.status < 300 else f"status {answer.status}"

    def _hang_up(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None


def _connect(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=PATIENCE)
