"""`make bench`: every bNN_*.py of this folder, one table; ALL=1 adds the long ones, arguments such as `b07` choose."""

import os
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from tests.bench import ground
from tests.bench.row import RUNS, Row
from tests.bench.say import say

HERE = Path(__file__).parent
OURS = ("litestar", "uvicorn", "uvloop", "httptools", "msgspec", "SQLAlchemy", "psycopg", "python-calamine", "openpyxl", "lxml")
PEERS = (
    "from importlib.metadata import distributions as d; print(*sorted({f'{x.name} {x.version}' for x in d() if x.name in %r}), sep=', ')"
)


def main(chosen: list[str]) -> int:
    """Run what is chosen, or all; 1 only when something broke, never for a goal that was missed."""
    say(header())
    rows: list[Row] = []
    broken: list[str] = []
    began = time.monotonic()
    for path in sorted(HERE.glob("b[0-9][0-9]_*.py")):
        if chosen and not any(path.stem.startswith(name) for name in chosen):
            continue
        started = time.monotonic()
        try:
            rows += import_module(f"tests.bench.{path.stem}").run()
        except Exception:  # noqa: BLE001 - one broken line must not take the others with it
            traceback.print_exc()
            broken.append(path.stem)
        sys.stderr.write(f"{path.stem}: {time.monotonic() - started:.0f} s\n")
    ground.clear()
    say("\n".join(table(rows)))
    say(f"\n{time.monotonic() - began:.0f} s" + (f"; broken: {', '.join(broken)}" if broken else ""))
    return 1 if broken else 0


def header() -> str:
    """The machine and what was measured with."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    ours = ", ".join(f"{name} {version(name)}" for name in OURS)
    lines = [
        f"{os.cpu_count()} cores ({platform.machine()}), load {load}, Python {platform.python_version()}, {ground.postgres_version()}",
        f"{ours}; peers: {peers()}",
        f"Medians of {RUNS} runs, both sides in turn. ALL=1: {'yes' if ground.ALL else 'no'}",
    ]
    return "\n".join(lines)


def peers() -> str:
    """The versions of the peers, asked of their own interpreter."""
    names = {
        line.partition("==")[0].partition("[")[0] for line in (HERE / "peers.txt").read_text("utf-8").splitlines() if line[:1].isalpha()
    }
    if ground.PEERS is None:
        return "none (METERGATE_BENCH_PEERS is not set)"
    return subprocess.run([ground.PEERS, "-c", PEERS % names], capture_output=True, text=True, check=True).stdout.strip()


def table(rows: Iterable[Row]) -> Iterable[str]:
    """The rows in columns."""
    words = {None: "", True: "reached", False: "NOT reached"}
    cells = [("id", "what", "ours", "floor or peer", "ratio", "goal", "")]
    cells += [(row.id, row.what, row.ours, row.theirs, row.ratio, row.goal, words[row.reached]) for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for line in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
