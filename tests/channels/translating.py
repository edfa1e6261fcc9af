"""What waits is translated by a process of its own, so that its time and memory are those of a worker and of nothing else."""

import json
import subprocess
import sys
from typing import NamedTuple

from tests.conftest import ROOT

TRANSLATE = """
import json, sys, time
from gateway.mapping import formats
from gateway.settings import Limits, Settings
from gateway.store import Store
from gateway.worker import Worker
def held():  # a fork would hand on what getrusage tells
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
store = Store(sys.argv[1], role="worker", pool=2)
worker = Worker(store, Settings(), formats(Limits()), name="many")
idle = held()
began = time.perf_counter()
while worker.translate_one():
    pass
took = time.perf_counter() - began
peak = held()
print(json.dumps({"seconds": took, "idle": idle, "peak": peak}))
"""


class Took(NamedTuple):
    """How long it took, and how much memory above what an idle worker holds."""

    seconds: float
    mebibytes: float


def translated(url: str) -> Took:
    """Translate every file that waits in the database."""
    done = subprocess.run([sys.executable, "-c", TRANSLATE, url], capture_output=True, text=True, check=True, cwd=ROOT)
    said = json.loads(done.stdout)
    return Took(said["seconds"], (said["peak"] - said["idle"]) / 1024)
