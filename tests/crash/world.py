"""A whole installation of real processes, and a portal that writes down what it was promised: what the crash tests kill and count."""

import io
import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from select import select
from threading import Thread
from typing import IO, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import httpx
from openpyxl import load_workbook

from gateway import postgres, profiles
from gateway.domain.problems import Unavailable
from gateway.domain.supply import Line
from gateway.domain.windows import month, shift
from gateway.mapping.integral_template import template
from gateway.sandbox.journal import doubles
from gateway.store import Store, feed, migrate, people, supply
from gateway.store.audit import audit
from tests.forked import Forked
from tests.peers import PLAIN, TOKEN, Sandbox, refused_url

ROOT: Final = Path(__file__).parents[2]
UTILITY: Final = "city"
ROLES: Final[tuple[postgres.Role, ...]] = ("owner", "app", "worker")
DATABASE: Final = ("url", "app_url", "worker_url")
SETTLE: Final = "key-of-billing"
THINGS: Final = 8
"""How many posts and workbooks go in one run."""
KEYS: Final = "key-of-portal"
CONFIG: Final = """
data = "{data}"
[database]
{database}
[http]
port = {port}
[worker]
lease = 1.5
heartbeat = 0.3
reap = 0.2
poll = 0.2
schedule = [0.0, 0.2, 0.5, 1.0]
breaker_pause = 0.5
[targets.{utility}.billing]
kind = "http_json"
url = "{billing}"
token = "{token}"
batch = 4
attempts = 1
timeout = 10.0
"""


class Thing(NamedTuple):
    """One thing to post: where, under which key, what, and how many readings are in it."""

    path: str
    key: str
    request: dict[str, Any]
    readings: int


class Promise(NamedTuple):
    """What the gateway answered to it, byte for byte."""

    thing: Thing
    status: int
    answer: bytes


class Process:
    """A gateway with everything in it, started with a step armed or none."""

    def __init__(self, config: Path, log: Path, armed: str = "") -> None:
        environment = os.environ | {"METERGATE_STEP": armed, "METERGATE_CONFIG": str(config)}
        with log.open("ab") as out:
            self._process = Forked("up", environment=environment, folder=ROOT, errors=out)
        line = self._first_line() if armed else self._said().readline()
        assert "listening on" in line or armed, f"the gateway did not start: {log.read_text('utf-8')[-3000:]}"

    def _said(self) -> IO[str]:
        assert self._process.stdout is not None
        return self._process.stdout

    def _first_line(self) -> str:
        """Its first line, or nothing when it met its step before it said one."""
        while not select([self._said()], [], [], 0.05)[0]:
            if self.dead() or self.stopped():
                return ""
        return self._said().readline()

    def dead(self) -> bool:
        """It was killed."""
        return self._process.poll() is not None

    def stopped(self) -> bool:
        """It stands still."""
        assert not self.dead(), "it died instead of standing still"
        return self._process.stopped()

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Crash it, whatever it does."""
        self._process.kill()
        self._process.wait(timeout=10)
        if self._process.stdout:
            self._process.stdout.close()


class World:
    """PostgreSQL, a sandbox billing, a utility with a portal; gateways come and go."""

    def __init__(self, folder: Path, *, embedded: bool = False) -> None:
        self.folder = folder
        self._embedded = postgres.default_folder(folder / "data") if embedded else None
        self.server = postgres.start(self._embedded or folder / "server")
        urls = {role: self.server.url(role) for role in ROLES}
        migrate(urls["owner"])
        self.store = Store(urls["owner"], role="owner", pool=2)
        self.period = f"{datetime.now(UTC).astimezone(ZoneInfo('Europe/Moscow')):%Y-%m}"
        with self.store.transaction() as connection:
            self.utility = people.ensure_utility(connection, UTILITY)
            people.save_document(connection, self.utility, "profile", "legal_entity", profiles.shipped()["legal_entity"], "test")
            people.add_credential(connection, self.utility, "portal", ["submit", "read"], key=KEYS)
            people.add_credential(connection, self.utility, "billing", ["settle"], key=SETTLE)
        self.port = int(refused_url().rpartition(":")[2])
        self.at = f"http://127.0.0.1:{self.port}"
        account = {"name": UTILITY, "token": TOKEN, "settle_url": f"{self.at}/v1/settlements", "settle_key": SETTLE}
        self.sandbox = Sandbox(folder, 0, [account], {"calculate_after": 0.0, "bill_after": 0.0}).start()
        self.config = folder / "metergate.toml"
        database = "" if embedded else "\n".join(f'{name} = "{url}"' for name, url in zip(DATABASE, urls.values(), strict=True))
        told = {"data": folder / "data", "port": self.port, "utility": UTILITY, "billing": self.sandbox.url, "token": TOKEN}
        self.config.write_text(CONFIG.format(database=database, **told), "utf-8")
        self.promises: list[Promise] = []
        self._runs = 0
        self._running: Process | None = None
        if embedded:
            self.server.leave()  # the gateway takes it over

    def close(self) -> None:
        if self._running is not None:
            self._running.kill()
        self.sandbox.kill()
        self.store.close()
        if self._embedded is None:
            self.server.stop("immediate")
        else:
            postgres.start(self._embedded).stop("immediate")
            shutil.rmtree(self._embedded)

    def gateway(self, armed: str = "") -> Process:
        """Start a gateway on the port billing knows; whatever ran there before is killed."""
        if self._running is not None:
            self._running.kill()
        self._running = Process(self.config, self.folder / "gateway.log", armed)
        return self._running

    def client(self) -> httpx.Client:
        """A client with the portal's key."""
        return httpx.Client(base_url=self.at, headers={"Authorization": f"Bearer {KEYS}"}, timeout=15, trust_env=False, verify=PLAIN)

    def things(self, meters: int = 2, rows: int = 3) -> list[Thing]:
        """New posts and workbooks, each about meters nobody has read."""
        self._runs += 1
        books = 2
        posts = THINGS - books
        name = f"R{self._runs}"
        kinds = [(f"{name}J", posts * meters)] + [(f"{name}W{number}", rows) for number in range(books)]
        for agreement, count in kinds:
            self._register(agreement, count)
        made = [self._post(f"{name}J", number, meters) for number in range(posts)]
        return made + [self._book(f"{name}W{number}") for number in range(books)]

    def _register(self, agreement: str, count: int) -> None:
        before = f"{shift(month(self.period), -1):%Y-%m}"
        told: dict[str, Any] = {"register": "A+", "digits": 6, "last": Decimal(100), "last_period": before}
        lines = [
            Line(agreement=agreement, point=f"P{number}", meter=f"{agreement}-{number}", location="L", **told) for number in range(count)
        ]
        with self.store.transaction() as connection:
            feed.import_lines(connection, self.utility, "legal_entity", lines)

    def _post(self, agreement: str, number: int, meters: int) -> Thing:
        rows = [
            {"meter": f"{agreement}-{meter}", "period": self.period, "registers": [{"register": "A+", "value": "150"}]}
            for meter in range(number * meters, (number + 1) * meters)
        ]
        body = json.dumps({"readings": rows}).encode()
        return Thing("/v1/readings", f"{agreement}-{number}", {"content": body}, meters)

    def _book(self, agreement: str) -> Thing:
        with self.store.transaction() as connection:
            known = [one.meter for one in supply.meters_of(connection, self.utility, agreement)]
        book = load_workbook(io.BytesIO(template(known, agreement=agreement, period=self.period, language="ru")))
        sheet = book.worksheets[0]
        for row in range(2, sheet.max_row + 1):
            sheet.cell(row, sheet.max_column).value = 150
        packed = io.BytesIO()
        book.save(packed)
        return Thing("/v1/files", agreement, {"files": {"file": (f"{agreement}.xlsx", packed.getvalue())}}, len(known))

    def send(self, things: Sequence[Thing]) -> "Portal":
        """Post them all from two hands, files and posts, repeating under the same key until each is answered."""
        return Portal(self, things)

    def settled(self, promises: Sequence[Promise], patience: float = 60.0) -> None:
        """Wait until every reading of these is billed."""
        ids = [json.loads(promise.answer)["submission"].removeprefix("sub_") for promise in promises]
        wanted = sum(promise.thing.readings for promise in promises)
        deadline = time.monotonic() + patience
        found: dict[str, int] = {}
        while found != {"billed": wanted}:
            assert time.monotonic() < deadline, f"{found} of {wanted}\n{self._why()}"
            time.sleep(0.05)
            try:
                with self.store.transaction() as connection:
                    rows = connection.exec_driver_sql(
                        "select status, count(*) as n from meter_reading where submission_id = any(%(ids)s::uuid[]) group by status",
                        {"ids": ids},
                    )
                    found = {row.status: row.n for row in rows}
            except Unavailable:
                continue

    def _why(self) -> str:
        tables = ("submission", "delivery", "lane", "batch", "target")
        with self.store.transaction() as connection:
            shown = [f"{table}: {connection.exec_driver_sql(f'select * from {table} limit 5').all()}" for table in tables]
        return "\n".join([*shown, (self.folder / "gateway.log").read_text("utf-8")[-3000:], self.sandbox.log[-1000:]])

    def judge(self, promises: Sequence[Promise]) -> None:
        """Look at everything that was ever promised here: nothing lost, nothing twice, the same answers, a clean ledger."""
        with self.client() as client:
            for promise in promises:
                again = _until_answered(client, promise.thing)
                assert again == promise, "the same key got another answer"
                shown = client.get(f"/v1/submissions/{json.loads(promise.answer)['submission']}").json()
                assert shown["status"] == "accepted", shown
                assert [row["status"] for row in shown["readings"]] == ["billed"] * promise.thing.readings
        self.promises += promises
        effects = self.sandbox.effects()
        with self.store.transaction() as connection:
            accepted = {f"rdg_{row.id.hex}" for row in connection.exec_driver_sql("select id from meter_reading")}
            found = audit(connection)
        assert len(accepted) == sum(promise.thing.readings for promise in self.promises)
        assert accepted - effects.keys() == set(), "lost"
        assert effects.keys() - accepted == set(), "billed what was never promised"
        assert Counter(effects.values()) == Counter({1: len(accepted)}), "billed twice"
        assert doubles(self.sandbox.journal) == {}, "one reading under two keys"
        assert found == []


class Portal:
    """Sends with two hands at once and writes each answer down before it counts it."""

    def __init__(self, world: World, things: Sequence[Thing]) -> None:
        self._world = world
        self._kept: dict[str, Promise] = {}
        self._errors: list[BaseException] = []
        paths = sorted({thing.path for thing in things})
        self._things = things
        mine = [[thing for thing in things if thing.path == path] for path in paths]
        self._hands = [Thread(target=self._send, args=(part,), daemon=True) for part in mine]
        for thread in self._hands:
            thread.start()

    def _send(self, things: Sequence[Thing]) -> None:
        try:
            with self._world.client() as client, (self._world.folder / "promised.jsonl").open("a", encoding="utf-8") as notes:
                for thing in things:
                    promise = _until_answered(client, thing)
                    notes.write(json.dumps([thing.path, thing.key, promise.status, promise.answer.decode()]) + "\n")
                    notes.flush()
                    os.fsync(notes.fileno())
                    self._kept[thing.key] = promise
        except BaseException as error:  # noqa: BLE001 - told at the end
            self._errors.append(error)

    def promises(self) -> list[Promise]:
        """Every promise, in the order of the things."""
        for thread in self._hands:
            thread.join(90)
        if self._errors:
            raise self._errors[0]
        return [self._kept[thing.key] for thing in self._things]


def _until_answered(client: httpx.Client, thing: Thing) -> Promise:
    """Repeat under the same key while the connection breaks or the gateway asks to come back."""
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = client.post(thing.path, headers={"Idempotency-Key": thing.key}, **thing.request)
            if answer.status_code in (200, 202):
                return Promise(thing, answer.status_code, answer.content)
            assert answer.status_code == 503, answer.text
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, f"never answered: {thing.key}"
        time.sleep(0.1)
