"""At every step of the line the process is killed, or PostgreSQL crashes under it: nothing promised is lost, nothing is billed twice."""

import ast
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.steps import STEPS
from tests.conftest import ROOT, case
from tests.crash.world import World
from tests.peers import until

PASSES = {"receive": 6, "translate": 2, "deliver": 3, "settle": 2}
"""How often a run comes past a step of each verb, at least."""

Record = Callable[[str, int, str], None]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One installation for all the crashes of this file, so that later ones also find what earlier ones left."""
    with tempfile.TemporaryDirectory(prefix="metergate-crash-") as folder:
        Path(folder).chmod(0o711)
        made = World(Path(folder))
        yield made
        made.close()


def nth(step: str, run: int, shift: int) -> int:
    """At which pass of the step it happens in this run."""
    return 1 + (run + shift) % PASSES[step.partition(".")[0]]


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step(step: str, world: World, proof: Record) -> None:
    runs = case(1, 20)
    for run in range(runs):
        doomed = world.gateway(f"{step}:KILL:{nth(step, run, 0)}")
        portal = world.send(world.things())
        until(doomed.dead, f"killed at {step}", 30)
        doomed.kill()
        gateway = world.gateway()
        promises = portal.promises()
        world.settled(promises)
        world.judge(promises)
        gateway.kill()
    proof(f"SIGKILL at {step}", runs, figure(world))


@pytest.mark.parametrize("step", STEPS)
def test_postgres_crashes_at_a_step(step: str, world: World, proof: Record) -> None:
    runs = case(1, 20)
    for run in range(runs):
        gateway = world.gateway(f"{step}:STOP:{nth(step, run, 1)}")
        portal = world.send(world.things())
        until(gateway.stopped, f"stopped at {step}", 30)
        world.server.restart("immediate")
        gateway.resume()
        promises = portal.promises()
        world.settled(promises)
        world.judge(promises)
        gateway.kill()
    proof(f"PostgreSQL restart -m immediate at {step}", runs, figure(world))


def figure(world: World) -> str:
    """What was counted: `judge` has failed the test if it is anything else."""
    readings = sum(promise.thing.readings for promise in world.promises)
    return f"lost 0, twice 0, of {readings} readings so far"


def test_every_step_of_the_code_is_a_point() -> None:
    named = {
        node.args[0].value
        for path in (ROOT / "gateway").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "step"
        if node.args and isinstance(node.args[0], ast.Constant)
    }
    assert named == set(STEPS)
    assert len(STEPS) >= 12
