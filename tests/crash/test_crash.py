"""At every step of the line the process is killed, or PostgreSQL crashes under it: nothing promised is lost, nothing is billed twice."""

import ast
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from gateway.steps import CHANNEL_STEPS, STEPS
from tests.conftest import PROOF, ROOT, case
from tests.crash.world import THINGS, World
from tests.peers import until

PASSES = {"receive": 6, "translate": 2, "deliver": 3, "settle": 2}
"""How often a run comes past a step of each verb, at least."""

LINE = [step for step in STEPS if step.partition(".")[0] in PASSES]
"""The steps that a portal's posts come past; the other channels' are crashed at in files of their own."""

Record = Callable[[str, int, str], None]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One installation for all the crashes of this file, so that later ones also find what earlier ones left."""
    yield from running(embedded=False)


@pytest.fixture
def self_contained() -> Iterator[World]:
    """One whose gateway runs its own PostgreSQL."""
    yield from running(embedded=True)


def running(*, embedded: bool) -> Iterator[World]:
    """A world, and its end whatever happens in it."""
    with tempfile.TemporaryDirectory(prefix="metergate-crash-") as folder:
        Path(folder).chmod(0o711)
        made = World(Path(folder), embedded=embedded)
        try:
            yield made
        finally:
            made.close()


def nth(step: str, run: int, shift: int) -> int:
    """At which pass of the step it happens in this run."""
    return 1 + (run + shift) % PASSES[step.partition(".")[0]]


@pytest.mark.parametrize("step", LINE)
def test_killed_at_a_step(step: str, world: World, proof: Record) -> None:
    runs = case(1, 20)
    for run in range(runs):
        doomed = world.gateway(f"{step}:KILL:{nth(step, run, 0)}")
        portal = world.send(world.things())
        until(doomed.dead, f"killed at {step}", 30)
        world.gateway()
        promises = portal.promises()
        world.settled(promises)
        world.judge(promises)
    proof(f"SIGKILL at {step}", runs, figure(world, runs))


@pytest.mark.parametrize("step", LINE if PROOF else LINE[1::2])
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
    proof(f"PostgreSQL restart -m immediate at {step}", runs, figure(world, runs))


@pytest.mark.parametrize("how", ["KILL", "STOP"])
def test_the_reaper_itself_is_hit(how: str, world: World, proof: Record) -> None:
    runs = case(1, 20)
    for run in range(runs):
        first = world.gateway(f"deliver.sent:KILL:{nth('deliver.sent', run, 0)}")
        portal = world.send(world.things())
        until(first.dead, "killed with a batch in flight", 30)
        gateway = world.gateway(f"deliver.reaped:{how}:1")
        if how == "KILL":
            until(gateway.dead, "killed as it reaped", 30)
            world.gateway()
        else:
            until(gateway.stopped, "stopped as it reaped", 30)
            world.server.restart("immediate")
            gateway.resume()
        promises = portal.promises()
        world.settled(promises)
        world.judge(promises)
    proof(f"the reaper hit by {how} at deliver.reaped", runs, figure(world, runs))


def test_killed_at_any_moment(world: World, proof: Record) -> None:
    """The same without the hooks: the gateway or PostgreSQL, whenever it happens to be."""
    runs = case(2, 40)
    chance = random.Random(20251121)  # noqa: S311 - no secret is made of it
    world.gateway()
    for _ in range(runs):
        portal = world.send(world.things())
        Event().wait(chance.uniform(0, 1.0))
        if chance.random() < 0.5:
            world.gateway()  # kill -9 and start
        else:
            world.server.restart("immediate")
        promises = portal.promises()
        world.settled(promises)
        world.judge(promises)
    proof("kill -9 or restart -m immediate at a random moment", runs, figure(world, runs))


@pytest.mark.parametrize("how", ["KILL", "STOP"])
def test_a_gateway_with_its_own_postgres_is_hit(how: str, self_contained: World, proof: Record) -> None:
    runs, world = case(1, 20), self_contained
    for run in range(runs):
        gateway = world.gateway(f"deliver.sent:{how}:{nth('deliver.sent', run, 1)}")
        portal = world.send(world.things())
        if how == "KILL":
            until(gateway.dead, "killed", 30)
            world.gateway()  # finds the server of the dead one and takes it over
        else:
            until(gateway.stopped, "stopped", 30)
            world.server.restart("immediate")
            gateway.resume()
        promises = portal.promises()
        world.settled(promises)
        world.judge(promises)
    proof(f"embedded PostgreSQL, {how} at deliver.sent", runs, figure(world, runs))


def figure(world: World, runs: int) -> str:
    """What was counted: `judge` has failed the test if it is anything else."""
    readings = sum(promise.thing.readings for promise in world.promises[-runs * THINGS :])
    return f"lost 0, twice 0, of {readings} readings"


def test_every_step_of_the_code_is_a_point() -> None:
    named = {
        node.args[0].value
        for path in (ROOT / "gateway").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "step"
        if node.args and isinstance(node.args[0], ast.Constant)
    }
    assert named == {*STEPS, *CHANNEL_STEPS, "deliver.reaped"}  # the last one has a test of its own: it needs a batch whose worker died
    assert len(STEPS) >= 12
