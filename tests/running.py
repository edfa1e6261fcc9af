"""A real gateway for tests: a web server over a database of its own, a worker on demand, and utilities with meters and keys."""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, Final

import httpx
import msgspec
from sqlalchemy import Row

from gateway import profiles
from gateway.app import serve
from gateway.demo.invented import any_day, due_now, period_now
from gateway.domain.profile import read_profile
from gateway.domain.supply import Line
from gateway.domain.windows import month, shift
from gateway.mapping import formats
from gateway.settings import Database, Http, Settings
from gateway.store import Store, feed, people
from gateway.worker import Worker
from tests.peers import PLAIN

SCOPES: Final = ["submit", "read", "settle", "registry", "link", "manage", "review", "phone", "control", "automatic"]


class Gateway:
    """A running web server with its database; `url` is where it listens, `page` will be the status page's address.

    `work` does at once what a worker would do in time.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.url = ""
        self.store = Store(settings.database.worker_url or settings.database.url, role="worker", pool=2)
        self.owner = Store(settings.database.url, role="owner", pool=2)
        self._stop = Event()
        self._server: Thread | None = None

    def start(self) -> None:
        """Serve, and wait until the port is known."""
        self.said: SimpleQueue[str] = SimpleQueue()
        self.page: Future[str] = Future()
        self._stop = Event()
        told = {"ready": self.said.put, "page": self.page.set_result, "stop": self._stop}
        self._server = Thread(target=serve, args=(self.settings,), kwargs=told, name="serve")
        self._server.start()
        self.url = self.said.get(timeout=30)

    def stop(self) -> None:
        """Stop serving, and let the database go."""
        self._stop.set()
        if self._server is not None:
            self._server.join(timeout=30)
        self.store.close()
        self.owner.close()

    def work(self) -> int:
        """Translate what waits and deliver what is due; the number of steps taken."""
        return Worker(self.store, self.settings, formats(self.settings.limits), name="test").run_until_idle()

    def rows(self, statement: str, **values: object) -> Sequence[Row[Any]]:
        """Ask the database directly, over the wall between utilities."""
        with self.owner.transaction() as connection:
            found = connection.exec_driver_sql(statement, values)
            return found.all() if found.returns_rows else []

    def utility(self, profile: str = "legal_entity") -> "Utility":
        """A new utility with this shipped profile and a key that may do everything."""
        return Utility(self, profile)


class Utility:
    """A utility of one test, its current period, and its first partner's key."""

    def __init__(self, gateway: Gateway, profile: str) -> None:
        self.gateway = gateway
        self.code = f"u_{uuid.uuid4().hex[:12]}"
        document = any_day(profiles.shipped()[profile])
        self.profile = read_profile(document)
        now = datetime.now(UTC)
        self.period, self.due = period_now(self.profile, now), due_now(self.profile, now)
        self.before = f"{shift(month(self.period), -1):%Y-%m}"
        with gateway.owner.transaction() as connection:
            self.id = people.ensure_utility(connection, self.code)
            people.ship(connection, self.id, profile, "test")
            people.save_document(connection, self.id, "profile", profile, document, "test")
        self.key = self.partner()

    def partner(self, *scopes: str, name: str = "portal", agreements: Sequence[int] | None = None) -> str:
        """Another key, of all scopes unless some are named, for all agreements or those of these ids."""
        with self.gateway.owner.transaction() as connection:
            key = people.add_credential(connection, self.id, name, list(scopes) or SCOPES)
            if agreements is not None:
                told = {"ids": list(agreements), "hash": people.digest(key)}
                connection.exec_driver_sql("update credential set agreement_ids = %(ids)s where secret_hash = %(hash)s", told)
        return key

    def revoke(self, key: str) -> None:
        """Take a key's right away."""
        self.gateway.rows("update credential set revoked_at = now() where secret_hash = %(hash)s", hash=people.digest(key))

    def meters(self, *numbers: str, agreement: str = "A-1", registers: Sequence[str] = ("A+",), last: str = "100", ratio: str = "1") -> int:
        """Put meters of one agreement into the registry, all read in the period before; the agreement's id."""
        lines = [
            Line(
                agreement=agreement,
                location=f"{agreement}-object",
                location_name="Substation",
                point=f"{agreement}-{number}",
                meter=number,
                register=register,
                digits=6,
                decimals=3,
                last=Decimal(last),
                last_period=self.before,
                ratio=Decimal(ratio),
                window_day=self.due,
            )
            for number in numbers
            for register in registers
        ]
        with self.gateway.owner.transaction() as connection:
            feed.import_lines(connection, self.id, self.profile.name, lines)
        [row] = self.gateway.rows("select id from agreement where utility_id = %(u)s and number = %(n)s", u=self.id, n=agreement)
        return int(row.id)

    def body(self, values: dict[str, str], **more: object) -> bytes:
        """Canonical JSON that says one value of `A+` per meter for the current period; `more` goes into every reading."""
        return msgspec.json.encode(
            {
                "readings": [
                    {"meter": meter, "period": self.period, "registers": [{"register": "A+", "value": value}], **more}
                    for meter, value in values.items()
                ]
            }
        )

    def rulebook(self, **changed: object) -> None:
        """Another version of the utility's profile, `hold=60` for one key of `[reading]`, as an operator would write it."""
        body = profiles.shipped()[self.profile.name].decode()
        for name, value in changed.items():
            body = re.sub(rf"(?m)^{name} = [^#\n]*", f"{name} = {msgspec.json.encode(value).decode()} ", body, count=1)
        with self.gateway.owner.transaction() as connection:
            people.save_document(connection, self.id, "profile", self.profile.name, body.encode(), "test")

    def withdraw(self, reading: str, *, key: str = "") -> httpx.Response:
        """Take a reading back."""
        return self.call("POST", f"/v1/readings/{reading}/withdraw", key=key)

    def decide(self, reading: str, *, accept: bool, reason: str = "seen", key: str = "") -> httpx.Response:
        """Let a reading pass that needs review, or refuse it."""
        told = msgspec.json.encode({"accept": accept, "reason": reason})
        return self.call("POST", f"/v1/readings/{reading}/decide", key=key, content=told)

    def close(self, period: str, closed_at: str | None = "2026-01-01T00:00:00Z", agreement: str = "A-1", key: str = "") -> httpx.Response:
        """Billing closes a period of an agreement, or opens it again."""
        told = {"periods": [{"agreement": agreement, "period": period, "closed_at": closed_at}]}
        return self.call("POST", "/v1/periods", key=key, content=msgspec.json.encode(told))

    def client(self, key: str = "", language: str = "en") -> httpx.Client:
        """A client with this key (the utility's own unless told)."""
        headers = {"Authorization": f"Bearer {key or self.key}", "Accept-Language": language}
        return httpx.Client(base_url=self.gateway.url, headers=headers, timeout=30, verify=PLAIN)

    def call(self, method: str, path: str, *, key: str = "", **options: Any) -> httpx.Response:
        """One request on a connection of its own."""
        with self.client(key) as client:
            return client.request(method, path, **options)

    def submit(self, body: bytes, *, key: str = "", asked: Mapping[str, str] | None = None, **headers: str) -> httpx.Response:
        """Post readings; `asked`: what stands in the query."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", "/v1/readings", key=key, content=body, headers=named, params=asked)

    def upload(self, body: bytes, name: str = "readings.xlsx", *, key: str = "", **envelope: str) -> httpx.Response:
        """Upload a file."""
        return self.call("POST", "/v1/files", key=key, files={"file": (name, body)}, data=envelope)

    def settle(self, *words: dict[str, object], key: str = "") -> httpx.Response:
        """Post billing's words."""
        return self.call("POST", "/v1/settlements", key=key, content=msgspec.json.encode({"settlements": words}))

    def word(self, reading: str, stage: str = "billed", **more: object) -> dict[str, object]:
        """What billing says of one reading of meter 1."""
        told = {
            "agreement": "A-1",
            "meter": "1",
            "period": self.period,
            "quantity": "A+",
            "volume": "50",
            "stage": stage,
            "readings": [reading],
        }
        return told | more

    def look(self, answer: httpx.Response | str) -> dict[str, Any]:
        """A submission as it stands now."""
        id_ = answer if isinstance(answer, str) else answer.json()["submission"]
        found = self.call("GET", f"/v1/submissions/{id_}")
        assert found.status_code == 200, found.text
        return dict(found.json())


@contextmanager
def running_gateway(owner: str, app: str, worker: str, data: Path, **more: Any) -> Iterator[Gateway]:
    """Serve the database at these URLs on a free port; `more` are other settings."""
    settings = Settings(data=data, database=Database(url=owner, app_url=app, worker_url=worker), http=Http(port=0), **more)
    gateway = Gateway(settings)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.stop()
