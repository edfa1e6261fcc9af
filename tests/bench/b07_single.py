"""B7: one reading a post, all rules on, a durable 202 with its verdict; beside a plain Litestar handler that commits the same rows."""

import statistics
import sys
from typing import Any

from tests.bench import ground
from tests.bench.row import RUNS, Row, faster, limit

SECONDS = 3.0
CONNECTIONS = 32
CALLERS = 128
"""Connections at the steady rate: enough that a request never waits for a free one at our own end."""
TARGET = "insert into target (utility_id, name) select id, 'billing' from utility"


def run() -> list[Row]:
    """Throughput in turns, then the latency of ours at 70 % of it."""
    ours, theirs = ground.fresh("b07_ours", ground.registry()), ground.fresh("b07_theirs", ground.registry())
    ground.execute(theirs, TARGET)
    peer = [sys.executable, "-m", "tests.bench.peer_single", ground.server().url("owner", theirs)]
    found: dict[str, list[dict[str, Any]]] = {"ours": [], "theirs": []}
    steady: list[dict[str, Any]] = []
    with ground.metergate(ours) as our_port, ground.web(peer, {}) as their_port:
        turn = 0
        for _ in range(RUNS + 1):  # the first warms up
            for name, port in (("ours", our_port), ("theirs", their_port)):
                found[name].append(ground.load(port, turn=turn, seconds=SECONDS, connections=CONNECTIONS))
                turn += 1
        mean = {name: statistics.median(one["rate"] for one in runs[1:]) for name, runs in found.items()}
        for _ in range(3):  # what is full load is asked anew each time: on a shared machine it drifts
            full = ground.load(our_port, turn=turn, seconds=2.0, connections=CONNECTIONS)
            rate = 0.7 * full["rate"]
            steady += [full, ground.load(our_port, turn=turn + 1, seconds=SECONDS, connections=CALLERS, rate=rate)]
            turn += 2
    posts = sum(one["posts"] for one in (*found["ours"], *steady))
    ground.must_be(posts, ours, "select count(*) from meter_reading where status = 'queued'")
    ground.must_be(sum(one["posts"] for one in found["theirs"]), theirs, "select count(*) from meter_reading where status = 'queued'")
    busy = max(one["busy"] for one in found["ours"])
    what = f"POST one reading, {CONNECTIONS} connections (client {busy:.0%} of a core)"
    p99 = {name: statistics.median(one["p99"] for one in runs[1:]) * 1e3 for name, runs in found.items()}
    return [
        faster("B7", what, mean["ours"], mean["theirs"], unit="req/s", peer="Litestar, a commit each", goal=2),
        faster("B7", "the same, p99 at full load, ms", p99["ours"], p99["theirs"], unit="ms", peer="Litestar, a commit each"),
        limit(
            "B7",
            f"p99 at 70 % load ({statistics.median(one['rate'] for one in steady[1::2]):,.0f} req/s)",
            statistics.median(one["p99"] for one in steady[1::2]) * 1e3,
            unit="ms",
            goal=100,
        ),
    ]
