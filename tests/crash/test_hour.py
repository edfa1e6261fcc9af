"""Billing is away for an hour of the worker's time, and nobody sleeps for it: all arrives after, each meter's readings in their order."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.outbound import Target
from gateway.registry import build
from gateway.sandbox.journal import doubles
from tests.conftest import Database, case
from tests.peers import TOKEN, running_sandbox
from tests.store.ground import Ground

HOUR = 3600


def test_an_hour_without_billing(database: Database, tmp_path: Path, proof: Callable[[str, int, str], None]) -> None:
    ground, lanes = Ground(database), case(200, 2000)
    meters = ground.meters(lanes)
    year = int(ground.period[:4]) - 1
    periods = [f"{year}-{month:02}" for month in (3, 1, 2, 4)]  # as they came, not as they must arrive
    with running_sandbox(tmp_path) as sandbox:
        told = {"kind": "http_json", "url": sandbox.url, "token": TOKEN, "attempts": 1, "timeout": 20.0}
        target = build(Target, told)
        sandbox.stop()
        for period in periods:
            _receive(ground, meters, period, 100 + 10 * int(period[-2:]))
        assert ground.worker(target).run_until_idle() > 0
        corrected = sorted(periods)[:2]  # of the first the head was tried, so it goes again; of the second nothing ever left the house
        _receive(ground, meters[: lanes // 2], corrected[0], 111)
        _receive(ground, meters[lanes // 2 :], corrected[1], 121)
        for second in range(0, HOUR, 20):
            ground.worker(target, skew=timedelta(seconds=second)).run_until_idle()
        tries, batches = ground.one("select max(tries) from delivery"), ground.one("select count(*) from batch")
        assert 3 <= tries <= 8, "the published schedule has five tries in an hour, the breaker may put one off"
        assert batches <= 5 + HOUR / 30, "an open breaker lets one call pass in its pause"
        assert ground.one("select count(*) from delivery") == 5 * lanes
        assert ground.plain("select failures > 0, breaker_until is not null from target") == [(True, True)]
        sandbox.start()
        ground.worker(target, skew=timedelta(seconds=HOUR + 60)).run_until_idle()
        order: dict[str, list[tuple[str, int]]] = {}
        for entry in sandbox.rows():
            order.setdefault(entry.item.meter, []).append((entry.item.period, entry.item.revision))
        effects = sandbox.effects()
        assert doubles(sandbox.journal) == {}
        target.close()
    expected = sorted((period, 0) for period in periods)
    for place, meter in enumerate(meters):
        if place < lanes // 2:
            assert order[meter] == sorted([*expected, (corrected[0], 1)])
        else:
            assert order[meter] == [(period, int(period == corrected[1])) for period, _ in expected]
    assert Counter(effects.values()) == Counter({1: 5 * lanes - lanes // 2})
    statuses = Counter(row.status for row in ground.rows("select status from meter_reading"))
    assert statuses == Counter(acknowledged=4 * lanes, superseded=lanes)
    assert ground.one("select count(*) from delivery") == ground.one("select count(*) from lane") == 0
    assert ground.plain("select failures, breaker_until from target") == [(0, None)]
    ground.clean()
    ground.close()
    proof(
        "billing away for an hour of worker time",
        5 * lanes,
        f"lost 0, twice 0, every lane in order; {batches} calls, {tries} tries at most",
    )


def _receive(ground: Ground, meters: list[str], period: str, value: int) -> None:
    """In the middle of that period, so that its window is open."""
    arrival = datetime.fromisoformat(f"{period}-15T12:00:00").replace(tzinfo=UTC)
    for first in range(0, len(meters), 500):
        ground.receive(dict.fromkeys(meters[first : first + 500], value), period=period, arrival=arrival)
