"""B9: the delivery ledger's bookkeeping, attempts recorded, with a billing that takes everything at once; beside job libraries."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache, partial
from itertools import count
from pathlib import Path
from typing import Any

from gateway import pipeline
from gateway.domain.readings import MeterReading
from gateway.mapping import Envelope
from gateway.mapping.canonical_json import CanonicalJson
from gateway.pipeline import Post
from gateway.pipeline.arrivals import fingerprint
from gateway.settings import Limits
from gateway.store import Store, people
from gateway.store.intake import Entry, new_id
from tests.bench import ground
from tests.bench.row import Row, faster, rounds

ITEMS = {"ours": 6_000, "bare": 6_000, "pgqueuer": 3_000, "procrastinate": 200}
CASES = ((1, 500), (1, 100), (2, 500))
"""How many workers with which batch; the goals are those of batches of 500, what a target takes unless told otherwise."""
POST = 1000
_names = (f"b09_{number}" for number in count())


def run() -> list[Row]:
    """Each case in turn, over a backlog made anew."""
    contenders: dict[str, Callable[[], float]] = {}
    for workers, batch in CASES:
        contenders[f"ours {workers} {batch}"] = partial(ours, workers, batch)
        contenders[f"bare {workers} {batch}"] = partial(theirs, "bare", workers, batch)
        if ground.PEERS is not None:
            contenders[f"pgqueuer {workers} 100"] = partial(theirs, "pgqueuer", workers, 100)
            contenders[f"procrastinate {workers} 100"] = partial(theirs, "procrastinate", workers, 100)
    return list(rows(rounds(contenders)))


def rows(rate: dict[str, float]) -> Iterator[Row]:
    """Every case beside its floor, and beside the libraries, whose batches are always of 100."""
    for workers, batch in CASES:
        own = rate[f"ours {workers} {batch}"]
        what = f"deliver, {workers} worker{'s' * (workers > 1)}, batches of {batch}"
        peers = [("bare", f"bare claim and finish, {batch}", 0.3 if workers == 1 else 0.5, batch)]
        if ground.PEERS is not None:
            peers += [("pgqueuer", "pgqueuer", 1.5, 100), ("procrastinate", "procrastinate", 20.0, 100)]
        for name, shown, goal, size in peers:
            aim = goal if batch == 500 else None
            yield faster("B9", what, own, rate[f"{name} {workers} {size}"], unit="items/s", peer=shown, goal=aim)


def ours(workers: int, batch: int) -> float:
    """Items a second of so many real workers."""
    database = ground.fresh(next(_names), backlog())
    url = ground.server().url("worker", database)
    rate = race([sys.executable, "-m", "tests.bench.queue_ours", url, str(batch)], workers, ITEMS["ours"])
    ground.must_be(ITEMS["ours"], database, "select count(*) from delivery_closed where state = 5 and tries = 1")
    ground.must_be(ITEMS["ours"], database, "select count(*) from meter_reading where status = 'acknowledged'")
    ground.server().drop_database(database)
    return rate


def theirs(kind: str, workers: int, batch: int) -> float:
    """Jobs a second of a peer's workers."""
    database, python = ground.empty(next(_names)), ground.PEERS if kind != "bare" else sys.executable
    assert python is not None
    url = ground.server().url("owner", database)
    command: list[str | Path] = [python, "-m", "tests.bench.queue_peers", kind]
    ground.Child([*command, "fill", url, str(ITEMS[kind])]).result()
    rate = race([*command, "work", url, str(batch)], workers, ITEMS[kind])
    ground.server().drop_database(database)
    return rate


def race(command: list[Any], workers: int, items: int) -> float:
    """Start so many processes, let them go together, and count from the first one's begin to the last one's end."""
    children = [ground.Child(command) for _ in range(workers)]
    for child in children:
        child.line()
    for child in children:
        child.tell("go")
    found = [child.result() for child in children]
    took: float = max(one["ended"] for one in found) - min(one["began"] for one in found)
    return items / took


@cache
def backlog() -> str:
    """A database whose readings were taken at the real door and wait for billing, one a meter."""
    name = ground.fresh("b09_backlog", ground.registry())
    store = Store(ground.server().url("app", name), pool=1)
    with store.transaction() as connection:
        sender = people.sender_of(connection, ground.KEY)
    assert sender is not None
    envelope, reader = Envelope(kind="canonical_json"), CanonicalJson(limits=Limits())
    for first in range(0, ITEMS["ours"], POST):
        lines = [f'{{"meter":"{ground.meter(n)}","period":"{ground.PERIOD}","registers":[{LINE}]}}' for n in range(first, first + POST)]
        body = ('{"readings":[' + ",".join(lines) + "]}").encode()
        found = list(reader.decode(body, envelope))
        assert all(isinstance(one, MeterReading) for one in found)
        digest = hashlib.sha256(body).digest()
        entry = Entry(
            id=new_id(),
            sender=sender,
            sha256=digest,
            fingerprint=fingerprint(sender, digest, envelope),
            channel="api",
            format="canonical_json",
            envelope=envelope,
            received_at=datetime.now(UTC),
            body=body,
            rows=[],
        )
        pipeline.receive(store, [Post(entry=entry, found=found, say=lambda _: b"")], translated=True)
    store.close()
    ground.must_be(ITEMS["ours"], name, "select count(*) from delivery")
    ground.tidy(name, "meter_reading", "reading", "delivery", "lane")
    return name


LINE = '{"register":"A+","value":17.25}'
