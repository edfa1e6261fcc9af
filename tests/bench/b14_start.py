"""B14: how long `metergate --help` takes beside a bare interpreter, and until `up` is ready on a prepared machine."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

from gateway import postgres
from tests.bench import ground
from tests.bench.row import RUNS, Row, at_most, limit, race

METERGATE = Path(sys.executable).with_name("metergate")


def run() -> list[Row]:
    """Both from the shell's point of view."""
    took = race({"help": lambda: call([METERGATE, "--help"]), "bare": lambda: call([sys.executable, "-c", "pass"])}, runs=3 * RUNS)
    up = sorted(started() for _ in range(RUNS + 1))[RUNS // 2]
    shutil.rmtree(postgres.default_folder(data()), ignore_errors=True)
    return [
        limit("B14", "metergate --help", took["help"], unit="s", goal=0.3),
        at_most("B14", "the same", took["help"], took["bare"], peer="python -c pass"),
        limit("B14", "metergate up on a prepared machine, until it answers", up, unit="s", goal=5),
    ]


def call(command: list[str | Path]) -> None:
    """Run a command that says what does not matter here."""
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def data() -> Path:
    """The data folder of these starts; the first of them prepares it."""
    return ground.folder() / "up" / "data"


def started() -> float:
    """Start everything, wait for the line that says where it listens, stop it."""
    told = {"METERGATE_DATA": str(data()), "METERGATE_HTTP_PORT": "0", "METERGATE_CONFIG": str(ground.folder() / "none.toml")}
    began = time.perf_counter()
    with ground.web([METERGATE, "up"], told):
        return time.perf_counter() - began
