"""What one line of the bench says, and how contenders are timed beside each other."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping

import msgspec

RUNS = 5


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison. `ratio` is ours against theirs in the sense of `goal`; `reached` None: printed only."""

    id: str
    what: str
    ours: str
    theirs: str
    ratio: str
    goal: str = ""
    reached: bool | None = None


def faster(id_: str, what: str, ours: float, theirs: float, *, unit: str, peer: str, goal: float | None = None) -> Row:
    """Rates beside each other: we reach at least `goal` times theirs."""
    ratio = ours / theirs
    return Row(
        id=id_,
        what=what,
        ours=f"{ours:,.0f} {unit}",
        theirs=f"{peer} {theirs:,.0f}",
        ratio=f"{ratio:.2f}x",
        goal="" if goal is None else f">= {goal:g}x",
        reached=None if goal is None else ratio >= goal,
    )


def at_most(id_: str, what: str, ours: float, theirs: float, *, peer: str, goal: float | None = None) -> Row:
    """Times of the same work in seconds: we take at most `goal` times as long as they do."""
    ratio = ours / theirs
    return Row(
        id=id_,
        what=what,
        ours=f"{ours * 1e3:,.1f} ms",
        theirs=f"{peer} {theirs * 1e3:,.1f} ms",
        ratio=f"{ratio:.2f}x",
        goal="" if goal is None else f"<= {goal:g}x",
        reached=None if goal is None else ratio <= goal,
    )


def limit(id_: str, what: str, ours: float, *, unit: str, goal: float | None = None) -> Row:
    """A figure that has no peer: ours stays below `goal`."""
    return Row(
        id=id_,
        what=what,
        ours=f"{ours:,.2f} {unit}" if ours < 10 else f"{ours:,.0f} {unit}",
        theirs="",
        ratio="",
        goal="" if goal is None else f"< {goal:g} {unit}",
        reached=None if goal is None else ours < goal,
    )


def race(contenders: Mapping[str, Callable[[], object]], runs: int = RUNS) -> dict[str, float]:
    """Time the contenders in turn, `runs` times after a round that warms up; return each one's median in seconds."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(runs + 1):
        for name, work in contenders.items():
            gc.collect()
            began = time.perf_counter()
            work()
            took = time.perf_counter() - began
            if turn:
                times[name].append(took)
    return {name: statistics.median(took) for name, took in times.items()}


def rounds(contenders: Mapping[str, Callable[[], float]], runs: int = RUNS) -> dict[str, float]:
    """Let contenders that measure their own rate run in turn, `runs` times; return each one's median."""
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, work in contenders.items():
            gc.collect()
            rates[name].append(work())
    return {name: statistics.median(found) for name, found in rates.items()}
