"""The gateway is killed at each step a SOAP message passes; its client repeats under the same MessageID: one submission, one receipt."""

import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from gateway.steps import CHANNEL_STEPS, STEPS
from tests.conftest import case
from tests.crash.world import KEYS, World
from tests.peers import until
from tests.soap import call, envelope, plain, read, submit

PASSED = [step for step in (*STEPS, *CHANNEL_STEPS) if step.startswith(("receive.", "soap.")) and step != "receive.answered"]
"""What a message comes past; `receive.answered` is said by the REST API, `soap.answered` in its stead."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="metergate-soap-crash-") as folder:
        Path(folder).chmod(0o711)
        made = World(Path(folder))
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(scope="module")
def sent() -> list[int]:
    """How many readings each message had that was ever sent into the world."""
    return []


def sender(world: World, thing: str, size: int) -> bytes:
    """A message under its MessageID about meters nobody has read; more than the door takes when `size` is large."""
    agreement = f"S{thing}"
    world._register(agreement, size)  # noqa: SLF001 - the world's own way to make meters
    rows = [{"meter": f"{agreement}-{n}", "period": world.period, "registers": [{"register": "A+", "value": "150"}]} for n in range(size)]
    return envelope(submit(rows, f"m-{thing}"), key=KEYS)


def until_answered(world: World, message: bytes) -> bytes:
    """Repeat the message, as it is, while the connection breaks or the gateway asks to come back."""
    deadline = time.monotonic() + 60
    while True:
        try:
            answer = call(world.at, message)
            if answer.status_code == 200:
                return answer.content
            assert answer.status_code == 503, answer.text
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline, "never answered"
        time.sleep(0.1)


@pytest.mark.parametrize("step", PASSED)
def test_killed_at_a_step_of_soap(step: str, world: World, sent: list[int], proof: Callable[[str, int, str], None]) -> None:
    runs = case(1, 20)
    for run in range(runs):
        size = 1_001 if run % 5 == 4 else 3
        message = sender(world, f"{step.replace('.', '')}{run}", size)
        doomed = world.gateway(f"{step}:KILL:1")
        with ThreadPoolExecutor(1) as pool:
            answered = pool.submit(until_answered, world, message)
            until(doomed.dead, f"killed at {step}", 30)
            world.gateway()
            answer = answered.result()
        assert until_answered(world, message) == answer, "the same MessageID got another answer"
        receipt = plain(read(httpx.Response(200, content=answer)))
        assert receipt["Status"] == (["accepted"] if size == 3 else ["received"])
        assert len(receipt.get("Reading", [])) == (3 if size == 3 else 0)
        id_ = receipt["Submission"][0].removeprefix("sub_")
        until(lambda id_=id_, size=size: billed(world, id_) == size, "all of it billed", 60)  # type: ignore[misc]
        with world.store.transaction() as connection:
            found = connection.exec_driver_sql("select count(*) from submission where channel = 'soap'").scalar_one()
            taken = connection.exec_driver_sql("select count(*) from meter_reading").scalar_one()
        sent.append(size)
        assert (found, taken) == (len(sent), sum(sent))
    proof(f"SOAP: SIGKILL at {step}", runs, f"one submission and one receipt each, lost 0, twice 0, of {sum(sent[-runs:])} readings")


def billed(world: World, submission: str) -> int:
    """How many readings of it are billed, in effect once each."""
    with world.store.transaction() as connection:
        rows = connection.exec_driver_sql(
            "select id from meter_reading where submission_id = %(s)s::uuid and status = 'billed'", {"s": submission}
        ).all()
    effects = world.sandbox.effects()
    assert all(effects.get(f"rdg_{row.id.hex}") == 1 for row in rows)
    return len(rows)
