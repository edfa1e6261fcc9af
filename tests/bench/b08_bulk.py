"""B8: 1,000 readings a post, all rules on; beside a raw ASGI application that puts them into one table and asks no rule."""

import statistics
import sys

from tests.bench import ground
from tests.bench.row import RUNS, Row, faster

SECONDS = 2.5
CONNECTIONS = 4
READINGS = 1000


def run() -> list[Row]:
    """Both in turns, each on a database of its own."""
    ours, theirs = ground.fresh("b08_ours", ground.registry()), ground.empty("b08_theirs")
    peer = [sys.executable, "-m", "tests.bench.peer_bulk", ground.server().url("owner", theirs)]
    rates: dict[str, list[float]] = {"ours": [], "theirs": []}
    posts = {"ours": 0, "theirs": 0}
    with ground.metergate(ours) as our_port, ground.web(peer, {}) as their_port:
        for turn in range(RUNS + 1):  # the first warms up
            for name, port in (("ours", our_port), ("theirs", their_port)):
                found = ground.load(port, turn=turn, seconds=SECONDS, connections=CONNECTIONS, readings=READINGS, most=200)
                posts[name] += found["posts"]
                if turn:
                    rates[name].append(found["rate"] * READINGS)
    ground.must_be(posts["ours"] * READINGS, ours, "select count(*) from meter_reading where status = 'queued'")
    ground.must_be(posts["theirs"] * READINGS, theirs, "select count(*) from readings")
    mean = {name: statistics.median(found) for name, found in rates.items()}
    what = f"POST {READINGS:,} readings, {CONNECTIONS} connections"
    return [faster("B8", what, mean["ours"], mean["theirs"], unit="readings/s", peer="raw ASGI + unnest", goal=0.3)]
