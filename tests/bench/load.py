"""A load generator of its own process: keep-alive connections that post bodies, as fast as answers come or at a steady rate.

Reads one job as JSON from stdin, says `ready` when its bodies are made, starts at the next line, prints what it found as JSON.
"""

import asyncio
import gc
import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, cast

import uvloop

from tests.bench.say import ready, report

HEAD = (
    "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
    "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
)


def requests(job: dict[str, Any]) -> list[bytes]:
    """Distinct posts of `readings` readings each; no meter comes again before all others have, and every value is above the last one."""
    made, meters, size = [], job["meters"], job["readings"]
    for number in range(job["posts"]):
        rows = []
        for place in range(number * size, (number + 1) * size):
            value = Decimal(job["turn"] * 1000 + place // len(meters)) + Decimal("0.25")
            rows.append(
                f'{{"meter":"{meters[place % len(meters)]}","period":"{job["period"]}","registers":[{{"register":"A+","value":{value}}}]}}'
            )
        body = '{"readings":[' + ",".join(rows) + "]}"
        made.append((HEAD.format(path=job["path"], key=job["key"], length=len(body)) + body).encode())
    return made


class Run:
    """All connections of a run and what they saw. With `rate` a request is due at its time, whether or not a connection is free."""

    def __init__(self, posts: list[bytes], seconds: float, rate: float) -> None:
        self.posts: Iterator[bytes] = iter(posts)
        self.seconds = seconds
        self.rate = rate
        self.times: list[float] = []
        self.refused: list[str] = []
        self.due: deque[float] = deque()
        self.free: list[Connection] = []
        self.open = 0
        self.end = 0.0
        self.last = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def begin(self, connections: "list[Connection]") -> None:
        """Send the first requests."""
        self.last = time.perf_counter()
        self.end = self.last + self.seconds
        if self.rate:
            self.free = connections
            asyncio.get_running_loop().create_task(self.tick())
            return
        for connection in connections:
            self.next(connection)

    async def tick(self) -> None:
        """Let requests fall due at the steady rate, each at its own instant."""
        at = time.perf_counter()
        while at < self.end:
            now = time.perf_counter()
            while at <= now:
                self.due.append(at)
                at += 1 / self.rate
            while self.due and self.free:
                self.post(self.free.pop(), self.due.popleft())
            await asyncio.sleep(0.0005)

    def next(self, connection: "Connection") -> None:
        """A connection is free: give it the next request, or let the run end with the last answer."""
        if self.rate:
            if self.due:
                self.post(connection, self.due.popleft())
            else:
                self.free.append(connection)
                if not self.open and time.perf_counter() >= self.end and not self.done.done():
                    self.done.set_result(None)
        elif time.perf_counter() < self.end:
            self.post(connection, time.perf_counter())
        elif not self.open and not self.done.done():
            self.done.set_result(None)

    def post(self, connection: "Connection", since: float) -> None:
        """Send one request; its time counts from when it was due."""
        try:
            request = next(self.posts)
        except StopIteration:
            raise SystemExit("the load generator ran out of bodies: give it more posts") from None
        self.open += 1
        connection.since = since
        connection.transport.write(request)

    def answered(self, connection: "Connection", status: bytes, body: bytes) -> None:
        """Keep what came."""
        self.open -= 1
        self.last = time.perf_counter()
        self.times.append(self.last - connection.since)
        if status != b"202" and len(self.refused) < 5:
            self.refused.append(f"{status.decode()} {body[:300].decode('utf-8', 'replace')}")
        self.next(connection)


class Connection(asyncio.Protocol):
    """One connection: writes a request, reads the answer to its Content-Length."""

    transport: asyncio.Transport

    def __init__(self, run: Run) -> None:
        self.run = run
        self.since = 0.0
        self.read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.read += data
        head, gap, body = self.read.partition(b"\r\n\r\n")
        if not gap:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self.read = b""
            self.run.answered(self, head[9:12], body)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.run.done.done():
            self.run.done.set_exception(exc or ConnectionError("the server closed the connection"))


async def work(job: dict[str, Any], posts: list[bytes]) -> dict[str, Any]:
    """Run the job; every connection is made before the clock starts."""
    loop = asyncio.get_running_loop()
    run = Run(posts, job["seconds"], job["rate"])
    connections = [(await loop.create_connection(lambda: Connection(run), "127.0.0.1", job["port"]))[1] for _ in range(job["connections"])]
    began = time.perf_counter()
    used = time.process_time()
    run.begin(connections)
    await run.done
    used = time.process_time() - used
    times = sorted(run.times)
    return {
        "posts": len(times),
        "rate": len(times) / (run.last - began),
        "p50": times[len(times) // 2],
        "p99": times[int(len(times) * 0.99)],
        "busy": used / (run.last - began),
        "refused": run.refused,
    }


if __name__ == "__main__":
    told = json.loads(sys.stdin.readline())
    made = requests(told)
    gc.disable()
    ready()
    report(uvloop.run(work(told, made)))
