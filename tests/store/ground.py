"""What the tests of the ledger stand on: a utility with senders and meters, deliveries with and without readings behind them."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, Row

from gateway import pipeline, profiles
from gateway.demo.invented import any_day
from gateway.domain.supply import Line
from gateway.domain.windows import month, shift
from gateway.mapping import Envelope, formats
from gateway.outbound import Target
from gateway.pipeline import Post, Taken
from gateway.pipeline.arrivals import fingerprint
from gateway.pipeline.verdicts import Patience
from gateway.settings import Limits, Settings
from gateway.settings import Worker as WorkerSettings
from gateway.store import Store, claims, feed, ledger, people
from gateway.store.audit import audit
from gateway.store.claims import Held
from gateway.store.intake import Entry, new_id
from gateway.store.ledger import TAKEN, Due, Verdict
from gateway.store.people import Sender
from gateway.worker import Worker
from tests.conftest import Database
from tests.peers import until

ZONE: Final = "Europe/Moscow"
NOW: Final = timedelta()
LEASE: Final = timedelta(seconds=30)
LIMITS: Final = Limits()


class Ground:
    """A utility of the legal-entity profile, with one target `billing`."""

    def __init__(self, database: Database) -> None:
        self.owner = Store(database.url("owner"), role="owner", pool=4)
        self.store = Store(database.url("worker"), role="worker", pool=12)
        self.period = f"{datetime.now(UTC).astimezone(ZoneInfo(ZONE)):%Y-%m}"
        with self.owner.transaction() as connection:
            self.utility = people.ensure_utility(connection, "city")
            people.save_document(connection, self.utility, "profile", "legal_entity", any_day(profiles.shipped()["legal_entity"]), "test")
            self.target = ledger.targets(connection, self.utility, ["billing"])["billing"]
        self.sender = self.partner("portal")
        self._posts = 0

    def close(self) -> None:
        self.owner.close()
        self.store.close()

    def partner(self, name: str) -> Sender:
        """Another sender."""
        with self.owner.transaction() as connection:
            key = people.add_credential(connection, self.utility, name, ["submit", "read", "settle"])
            found = people.sender_of(connection, key)
        assert found is not None
        return found

    def meters(self, count: int, first: int = 1) -> list[str]:
        """Put meters into the registry, every one read as 100 three years before; their numbers."""
        numbers = [f"M{number:06}" for number in range(first, first + count)]
        before = f"{shift(month(self.period), -36):%Y-%m}"
        lines = [
            Line(agreement="A-1", point=f"P-{number}", meter=number, register="A+", digits=6, last=Decimal(100), last_period=before)
            for number in numbers
        ]
        with self.owner.transaction() as connection:
            feed.import_lines(connection, self.utility, "legal_entity", lines)
        return numbers

    def post(
        self, values: Mapping[str, int], *, sender: Sender | None = None, period: str = "", arrival: datetime | None = None, key: str = ""
    ) -> Post:
        """What comes to the door: values of A+ by meter, for this month unless told, never the same bytes twice."""
        self._posts += 1
        sender, period = sender or self.sender, period or self.period
        registers = {meter: [{"register": "A+", "value": str(value)}] for meter, value in values.items()}
        told = [{"meter": meter, "period": period, "registers": found} for meter, found in registers.items()]
        body = msgspec.json.encode({"readings": told}) + b" " * self._posts
        envelope = Envelope(zone=ZONE, kind="canonical_json")
        sha256 = hashlib.sha256(body).digest()
        entry = Entry(
            id=new_id(),
            sender=sender,
            sha256=sha256,
            fingerprint=fingerprint(sender, sha256, envelope),
            channel="api",
            format=envelope.kind,
            envelope=envelope,
            received_at=arrival or datetime.now(UTC),
            body=body,
            key=key,
            rows=[],
        )
        found = list(formats(LIMITS)["canonical_json"].decode(body, envelope))
        return Post(entry=entry, found=found, say=lambda written: written.id.bytes)

    def receive(
        self,
        values: Mapping[str, int],
        *,
        sender: Sender | None = None,
        period: str = "",
        arrival: datetime | None = None,
        strict: bool = True,
    ) -> dict[str, UUID]:
        """Post readings in one submission; the ids of the readings by meter. `strict`: all of them must be accepted."""
        post = self.post(values, sender=sender, period=period, arrival=arrival)
        [outcome] = pipeline.receive(self.store, [post], translated=True)
        assert isinstance(outcome, Taken)
        rows = self.rows("select id, meter, status from meter_reading where submission_id = %(s)s", s=post.entry.id)
        assert not strict or {row.status for row in rows} == {"queued"}, rows
        return {row.meter: row.id for row in rows}

    def statuses(self, ids: Iterable[UUID]) -> list[str]:
        """The states of these readings, in their order."""
        found = {row.id: row.status for row in self.rows("select id, status from meter_reading")}
        return [found[id_] for id_ in ids]

    def enqueue(
        self, lanes: Iterable[int], *, sender: int = 1, bulk: bool = True, minutes: int = 0, connection: Connection | None = None
    ) -> None:
        """Put bare deliveries into the ledger, one per lane named, `minutes` after the first of the day."""
        at = datetime(2025, 10, 25, tzinfo=UTC) + timedelta(minutes=minutes)
        priority = ledger.BULK if bulk else ledger.INTERACTIVE
        dues = [
            Due(target="billing", sender=sender, priority=priority, subject=new_id(), lane=lane, read_at=at, revision=0) for lane in lanes
        ]
        if connection is not None:
            ledger.enqueue(connection, self.utility, dues)
            return
        with self.store.transaction() as own:
            ledger.enqueue(own, self.utility, dues)

    def claim(self, limit: int = 100, *, connection: Connection | None = None, **more: Any) -> Held | None:
        """Claim a batch, in a transaction of its own unless one is given."""
        told: dict[str, Any] = {"worker": "w", "per_lane": 1, "lease": LEASE, "skew": NOW, "drop_floor": False} | more
        if connection is not None:
            return claims.claim(connection, self.target, limit=limit, **told)
        with self.store.transaction() as own:
            return claims.claim(own, self.target, limit=limit, **told)

    def held(self, limit: int = 100, **more: Any) -> Held:
        """Claim a batch that must be there."""
        found = self.claim(limit, **more)
        assert found is not None
        return found

    def finish(self, held: Held, *, connection: Connection | None = None, skew: timedelta = NOW, **verdict: Any) -> bool:
        """Finish a batch, every item alike: taken, unless told."""
        told: dict[str, Any] = {"outcome": "taken", "closed": TAKEN} | verdict
        verdicts = [Verdict(item.id, item.lane, **told) for item in held.items]
        if connection is None:
            with self.store.transaction() as own:
                return self._finish(own, held, verdicts, skew)
        return self._finish(connection, held, verdicts, skew)

    def _finish(self, connection: Connection, held: Held, verdicts: Sequence[Verdict], skew: timedelta) -> bool:
        if not ledger.fence(connection, held.id, answer=b"paper"):
            return False
        ledger.finish(connection, target=self.target, batch=held.id, utility=self.utility, verdicts=verdicts, skew=skew)
        return True

    def rows(self, statement: str, **values: object) -> Sequence[Row[Any]]:
        """Ask the database directly."""
        with self.owner.transaction() as connection:
            found = connection.exec_driver_sql(statement, values)
            return found.all() if found.returns_rows else []

    def plain(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        """The same as plain tuples."""
        return [tuple(row) for row in self.rows(statement, **values)]

    def one(self, statement: str, **values: object) -> Any:
        """One value."""
        [[value]] = self.rows(statement, **values)
        return value

    def lane(self, lane: int) -> Row[Any] | None:
        """One lane's row."""
        found = self.rows("select * from lane where target_id = %(t)s and lane_id = %(l)s", t=self.target, l=lane)
        return found[0] if found else None

    def clean(self) -> None:
        """The audit finds nothing."""
        with self.owner.transaction() as connection:
            assert audit(connection) == []

    def deadlocks(self) -> int:
        """How often the server found two transactions waiting for each other."""
        return int(self.one("select deadlocks from pg_stat_database where datname = current_database()"))

    def waiting(self) -> int:
        """How many sessions wait for another's lock."""
        here = "select pid from pg_stat_activity where datname = current_database()"
        return int(self.one(f"select count(distinct pid) from pg_locks where not granted and pid in ({here})"))

    def worker(self, target: Target | None = None, *, skew: timedelta = NOW, name: str = "test", **settings: Any) -> Worker:
        """A worker whose only target is this one."""
        worker = Worker(self.store, Settings(worker=WorkerSettings(**settings)), formats(LIMITS), name=name, skew=skew)
        if target is not None:
            worker.targets[self.target] = target
        return worker


def patience(**settings: Any) -> Patience:
    """Patience as the settings have it, some of them changed."""
    return Patience.of(WorkerSettings(**settings))


def billing(folder: Path, mood: str) -> None:
    """Tell the paper billing what to do from now on."""
    (folder / "mood").write_text(mood, "utf-8")


def journal(folder: Path) -> list[list[str]]:
    """What the paper billing took, in order: key, meter, period, revision."""
    path = folder / "journal"
    return [line.split() for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def calls(folder: Path) -> int:
    """How often the paper billing was called."""
    path = folder / "calls"
    return len(path.read_text("utf-8").splitlines()) if path.exists() else 0


class Aside(Thread):
    """A thread whose failure is not lost."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.result: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:  # noqa: BLE001 - told to whoever joins
            self.error = error

    def end(self, patience: float = 60.0) -> Any:
        """Wait for its result."""
        self.join(patience)
        assert not self.is_alive(), "it hangs"
        if self.error is not None:
            raise self.error
        return self.result


def blocked(ground: Ground, work: Callable[[], Any]) -> Aside:
    """Work in another thread, and return when it waits for a lock that somebody holds."""
    before = ground.waiting()
    aside = Aside(work)
    until(lambda: ground.waiting() > before or not aside.is_alive(), "somebody waits for a lock")
    assert aside.is_alive(), f"it did not wait: {aside.error or aside.result}"
    return aside
