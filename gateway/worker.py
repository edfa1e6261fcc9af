"""The worker: translates files, pushes what is due, writes reminders, fetches master data, and mends what a dead worker left."""

import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import partial
from threading import Condition, Event, Lock, Thread
from time import monotonic
from typing import Final
from uuid import UUID

from gateway import pipeline
from gateway.domain.problems import Misconfigured, Unavailable
from gateway.domain.profile import MAIL
from gateway.mapping import Format
from gateway.outbound import Target
from gateway.pipeline import mastering, reminding
from gateway.pipeline.mastering import Source
from gateway.pipeline.verdicts import Patience
from gateway.registry import build
from gateway.settings import Settings
from gateway.store import Store, claims, ledger, wake

log = logging.getLogger("metergate")

FLOOR_SECONDS: Final = 5.0


class Worker:
    """All that one process does behind the doors. `skew` moves its clock against the database's; it is zero but in tests."""

    def __init__(
        self, store: Store, settings: Settings, formats: Mapping[str, Format], *, name: str = "", skew: timedelta = timedelta()
    ) -> None:
        """Name the worker after its host and process unless told otherwise."""
        self.store = store
        self.settings = settings
        self.formats = formats
        self.name = name or f"{socket.gethostname()}:{os.getpid()}"
        self.skew = skew
        self.patience = Patience.of(settings.worker)
        self.lease = timedelta(seconds=settings.worker.lease)
        self.targets: dict[int, Target] = {}
        self.flying: set[UUID] = set()
        self._floors: dict[int, float] = {}
        self._waiting: dict[str, str] = {}
        self._sources: dict[tuple[str, str], Source] = {}
        self._connecting = Lock()
        self._reminded: dict[tuple[int, str], date] = {}

    def connect(self) -> dict[int, Target]:
        """Build the targets that await deliveries and are not built yet, and return all that are; one set wrong is in nobody else's way."""
        with self._connecting, self.store.transaction() as connection:
            for known in ledger.awaiting(connection):
                if known.id in self.targets:
                    continue
                try:
                    target = self._build(known)
                except Misconfigured as error:
                    self._say_waiting(f"{known.utility}.{known.name}", str(error))
                    continue
                self._waiting.pop(f"{known.utility}.{known.name}", None)
                ledger.pace(connection, known.id, rate=target.rate, concurrency=target.concurrency)
                self.targets[known.id] = target
        return dict(self.targets)

    def _say_waiting(self, target: str, why: str) -> None:
        """Log why a target waits, once for each reason."""
        if self._waiting.get(target) != why:
            self._waiting[target] = why
            log.warning("worker.waits", extra={"facts": {"target": target, "why": why}})

    def _build(self, known: ledger.Connected) -> Target:
        """The connection of that name in the settings; while they name none at all, readable files in the data folder, for readings."""
        section = self.settings.targets.get(known.utility, {}).get(known.name)
        letters, where = known.name == MAIL, f"[targets.{known.utility}.{known.name}]"
        if section is None and (letters or any(self.settings.targets.values())):
            raise Misconfigured(f"the settings have no {where}: its deliveries wait")
        if section is None:
            folder = self.settings.data / "billing" / known.utility / known.name
            folder.mkdir(parents=True, exist_ok=True)
            section = {"kind": "files", "folder": str(folder)}
        target = build(Target, section)
        if target.letters != letters:
            raise Misconfigured(
                f"{where}: {MAIL} carries letters and nothing else does, kind {section.get('kind')!r} does not fit: they wait"
            )
        return target

    def translate_one(self) -> bool:
        """Translate one waiting file; False when none waits."""
        return pipeline.translate(self.store, self.formats, self.settings.limits, worker=self.name, lease=self.lease, skew=self.skew)

    def deliver_one(self, target_id: int) -> bool:
        """Deliver one batch to a target; False when nothing is due."""
        drop = monotonic() - self._floors.get(target_id, -FLOOR_SECONDS) >= FLOOR_SECONDS
        if drop:
            self._floors[target_id] = monotonic()
        return pipeline.deliver(
            self.store,
            target_id,
            self.targets[target_id],
            self.patience,
            worker=self.name,
            lease=self.lease,
            skew=self.skew,
            drop_floor=drop,
            flying=self.flying,
        )

    def reap_one(self) -> bool:
        """Finish one batch whose worker died; False when there is none. What its target promises must be known before it is judged."""
        guarantees = {id_: target.guarantee for id_, target in self.connect().items()}
        return pipeline.reap(self.store, guarantees, self.patience, skew=self.skew)

    def release_some(self) -> bool:
        """Queue readings whose hold is over; False when there is none."""
        return pipeline.release(self.store, skew=self.skew)

    def fetch_one(self, going: Callable[[], bool] = lambda: True) -> bool:
        """Fetch the master data of one target for which that is due; False when there is none."""
        for source in self._masters():
            every = timedelta(seconds=source.target.master_every)
            if mastering.sync(self.store, source, every=every, skew=self.skew, going=going) is not None:
                return True
        return False

    def _masters(self) -> Iterator[Source]:
        """The targets that are asked for master data of themselves; one set wrong is said and left out."""
        for utility, sections in self.settings.targets.items():
            for name, section in sections.items():
                if not section.get("master_every"):
                    continue
                if (utility, name) not in self._sources:
                    try:
                        target = build(Target, section)
                    except Misconfigured as error:
                        self._say_waiting(f"{utility}.{name}", str(error))
                        continue
                    limit = self.settings.limits.registry_bytes
                    self._sources[utility, name] = Source(utility=utility, name=name, target=target, limit=limit)
                yield self._sources[utility, name]

    def beat(self) -> bool:
        """Keep the leases of the batches in flight; always False, so that the pause is kept."""
        if flying := list(self.flying):
            with self.store.transaction() as connection:
                claims.heartbeat(connection, flying, lease=self.lease, skew=self.skew)
        return False

    def remind(self) -> bool:
        """Write the reminders of today once their hour has come; False when there are none that were not written before."""
        now = datetime.now(UTC) + self.skew
        return reminding.remind(self.store, now, hour=self.settings.reminders.hour, done=self._reminded) > 0

    def run_until_idle(self) -> int:
        """Do all that is due now, in this thread; return how many steps were taken."""
        steps = 0
        while True:
            busy = (
                self.translate_one()
                or self.reap_one()
                or self.release_some()
                or sum(map(self.deliver_one, self.connect())) > 0
                or self.remind()
                or self.fetch_one()
            )
            if not busy:
                return steps
            steps += 1

    def run(self, stop: Event) -> None:
        """Work until `stop`: a translator, a reaper, a heart, a listener, one who fetches, one who reminds, and senders.

        A target has as many senders as it allows calls, at most two.

        Two senders a target are the sweet spot on two cores (docs/ledger.md); more calls at once come from more workers.
        """
        bell = Bell()
        settings = self.settings.worker
        threads = [
            Thread(target=wake.listen, args=(self.store, bell.ring, stop, settings.poll), name="listen"),
            self._thread("translate", self.translate_one, bell, stop),
            self._thread("reap", self.reap_one, bell, stop, pause=settings.reap),
            self._thread("release", self.release_some, bell, stop, pause=settings.poll),
            self._thread("fetch", partial(self.fetch_one, lambda: not stop.is_set()), bell, stop, pause=settings.reap),
            self._thread("remind", self.remind, bell, stop, pause=self.settings.reminders.look),
            self._thread("heartbeat", self.beat, bell, stop, pause=settings.heartbeat),
        ]
        for thread in threads:
            thread.start()
        started: set[int] = set()
        while not stop.is_set():
            seen = bell.rung
            for id_ in sorted(self._reached() - started):
                started.add(id_)
                for number in range(min(self.targets[id_].concurrency, 2)):
                    threads.append(self._thread(f"deliver:{id_}:{number}", partial(self.deliver_one, id_), bell, stop))
                    threads[-1].start()
            bell.wait(seen, settings.poll)
        bell.ring()
        for thread in threads:
            thread.join()
        for target in [*self.targets.values(), *(source.target for source in self._sources.values())]:
            target.close()

    def _reached(self) -> set[int]:
        """The targets known by now; a database away is said and tried again."""
        try:
            return set(self.connect())
        except Unavailable as error:
            log.warning("worker.waits", extra={"facts": {"why": str(error)}})
            return set(self.targets)

    def _thread(self, name: str, work: Callable[[], bool], bell: "Bell", stop: Event, pause: float | None = None) -> Thread:
        """A thread that works while there is work, then waits for the bell or, with `pause`, that long."""

        def loop() -> None:
            while not stop.is_set():
                seen = bell.rung
                try:
                    if work():
                        continue
                except Unavailable as error:
                    log.warning("worker.waits", extra={"facts": {"thread": name, "why": str(error)}})
                except Exception:
                    log.exception("worker.failed", extra={"facts": {"thread": name}})
                if pause is None:
                    bell.wait(seen, self.settings.worker.poll)
                else:
                    stop.wait(pause)

        return Thread(target=loop, name=name)


class Bell:
    """Wakes every thread that waits; a ring between a look and a wait is not lost."""

    def __init__(self) -> None:
        """Nothing rang yet."""
        self.rung = 0
        self._condition = Condition()

    def ring(self) -> None:
        """Wake all."""
        with self._condition:
            self.rung += 1
            self._condition.notify_all()

    def wait(self, seen: int, timeout: float) -> None:
        """Wait until the bell rings after the `seen`-th ring, at most `timeout` seconds."""
        with self._condition:
            self._condition.wait_for(lambda: self.rung != seen, timeout)
