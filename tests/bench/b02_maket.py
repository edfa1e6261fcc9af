"""B2: a maket 80020 to domain blocks, gate and checks on, against lxml's bare parse and a bare iterparse with an XPath a channel."""

import io
import random
import subprocess
import sys
import time
from collections.abc import Sequence

from lxml import etree

from gateway.domain.readings import MeterReading
from gateway.mapping import Envelope
from gateway.mapping.maket_80020 import Maket80020
from gateway.settings import Limits
from tests.bench.ground import ALL
from tests.bench.row import RUNS, Row, at_most, faster, limit, race
from tests.formats.make_maket import channel, message, periods, point

CHANNELS = ("01", "02", "03", "04")
POINTS = 4320 if ALL else 864
"""Of four channels each: 54 MB, and 10.8."""
ENVELOPE = Envelope(zone="Europe/Moscow")
PEAK = """
from tests.bench.b02_maket import ENVELOPE, Maket80020, Limits, maket
import sys
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
body = maket(int(sys.argv[1]))
reader = Maket80020(limits=Limits(file_bytes=len(body)))
list(reader.decode(maket(1), ENVELOPE))
open("/proc/self/clear_refs", "w").write("5")
before = peak()
found = list(reader.decode(body, ENVELOPE))
print(peak() - before)
"""
TWICE = """
from tests.bench.b02_maket import ENVELOPE, Maket80020, Limits, maket
import sys
body = maket(int(sys.argv[1]))
reader = Maket80020(limits=Limits(file_bytes=len(body)))
list(reader.decode(body, ENVELOPE))
print("ready", flush=True)
for line in sys.stdin:
    for _ in range(int(line)):
        list(reader.decode(body, ENVELOPE))
    print("done", flush=True)
"""


def maket(points: int) -> bytes:
    """A day of so many points, whole kWh, as systems of metering write it."""
    chance = random.Random(points)  # noqa: S311 - no secret is made of it

    def one(code: str) -> str:
        return channel(code, periods([chance.randrange(100_000) for _ in range(48)]))

    return message(*(point(f"13115{number:010}", *map(one, CHANNELS), more=f' serial="{number:08}"') for number in range(points)))


def run() -> list[Row]:
    """A file of 10.8 MB, with ALL=1 one of 54."""
    body = maket(POINTS)
    ours = Maket80020(limits=Limits(file_bytes=len(body)))
    starts, values = (etree.XPath(path, smart_strings=False) for path in ("period/@start", "period/value/text()"))

    def by_us() -> Sequence[object]:
        return list(ours.decode(body, ENVELOPE))

    def by_parse() -> object:
        return etree.parse(io.BytesIO(body))

    def by_iterparse() -> object:
        found = []
        for _, element in etree.iterparse(io.BytesIO(body), tag="measuringpoint"):
            found += [(starts(one), values(one)) for one in element]
            element.clear()
        return found

    found = [reading for reading in by_us() if isinstance(reading, MeterReading)]
    count = sum(block.count for reading in found for block in reading.blocks)
    if count != POINTS * len(CHANNELS) * 48 or any(reading.problems for reading in found):
        raise ValueError(f"{count} values came out")
    del found
    took = race({"ours": by_us, "parse": by_parse, "iterparse": by_iterparse}, RUNS)
    what = f"maket 80020, {len(body) / 1e6:.1f} MB, {count:,} values to domain blocks, gate and checks on"
    alone, both = side_by_side(POINTS)
    grown = subprocess.run([sys.executable, "-c", PEAK, str(POINTS)], capture_output=True, text=True, check=True)
    return [
        at_most("B2", what, took["ours"], took["parse"], peer="lxml etree.parse", goal=2.0),
        at_most("B2", what, took["ours"], took["iterparse"], peer="iterparse + XPath to texts", goal=None),
        faster("B2", "the same in two processes at once", both * count, alone * count, unit="values/s", peer="in one", goal=1.8),
        limit("B2", "the same, peak memory above the file itself", float(grown.stdout), unit="MiB", goal=60),
    ]


def side_by_side(points: int, rounds: int = 3) -> tuple[float, float]:
    """Files a second that one process reads, and two at once, the better of each: both kinds of run take turns."""
    command = [sys.executable, "-c", TWICE, str(points)]
    readers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        best = {1: 0.0, 2: 0.0}
        for reader in readers:
            answer(reader)
        for _ in range(rounds):
            for count in (1, 2):
                begin = time.perf_counter()
                for reader in readers[:count]:
                    ask(reader, rounds)
                for reader in readers[:count]:
                    answer(reader)
                best[count] = max(best[count], count * rounds / (time.perf_counter() - begin))
    finally:
        for reader in readers:
            reader.kill()
            reader.communicate()
    return best[1], best[2]


def ask(reader: "subprocess.Popen[str]", times: int) -> None:
    """Have a reader read its file so many times."""
    if reader.stdin is not None:
        reader.stdin.write(f"{times}\n")
        reader.stdin.flush()


def answer(reader: "subprocess.Popen[str]") -> None:
    """Wait until it says that it has."""
    if reader.stdout is None or not reader.stdout.readline():
        raise ValueError("a reader ended before it had read")
