"""A billing that counts twice what it is sent twice: asked first where it can be (class B), a person asked where it cannot (class C)."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from socket import socket
from tempfile import TemporaryFile
from typing import Any
from uuid import UUID

import msgspec
import pytest

from gateway.outbound import Target
from gateway.registry import build
from gateway.store.ledger import PARKED
from tests.conftest import ROOT, Database, case
from tests.forked import Forked
from tests.peers import TOKEN, Sandbox, raw_peer, running_sandbox
from tests.store.ground import NOW, Ground
from tests.targets.old_program import mapping

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CONFIG = """
data = "{data}"
[database]
url = "{owner}"
app_url = "{owner}"
worker_url = "{worker}"
[worker]
lease = 30.0
poll = 0.2
[targets.city.billing]
"""


@pytest.fixture
def ground(database: Database) -> Iterator[Ground]:
    """A utility in a database of its own; the audit must find nothing at the end."""
    made = Ground(database)
    yield made
    made.clean()
    made.close()


@pytest.fixture(scope="module")
def lasting_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("old"), accounts=[{"name": "old", "token": TOKEN, "keys": False}]) as running:
        yield running


@pytest.fixture
def program(lasting_program: Sandbox) -> Sandbox:
    """The old accounting program, behaving itself."""
    lasting_program.control("up")
    return lasting_program


def soap(url: str, **more: Any) -> Target:
    return build(Target, mapping(f"{url}/soap", **more))


def work(ground: Ground, target: Target, *, skew: timedelta = NOW) -> None:
    """Let a worker of this target do all that is due."""
    ground.worker(target, skew=skew, jitter=0.0).run_until_idle()


def effects(program: Sandbox, *readings: UUID) -> list[int]:
    """How often each of these readings counted."""
    counted = program.effects()
    return [counted.get(f"rdg_{reading.hex}", 0) for reading in readings]


@pytest.mark.parametrize("order", ["lose", "garbage", "html"])
def test_a_lost_answer_is_asked_about_and_counts_once(ground: Ground, program: Sandbox, order: str) -> None:
    readings = list(ground.receive(dict.fromkeys(ground.meters(case(20, 500)), 150)).values())
    program.control(order, times=1)
    target = soap(program.url)
    work(ground, target)
    assert set(ground.statuses(readings)) == {"queued"}
    work(ground, target, skew=MINUTE)
    assert set(ground.statuses(readings)) == {"acknowledged"}
    assert set(effects(program, *readings)) == {1}
    assert all(row[0].startswith("BILL-") for row in ground.plain("select reference from delivery_closed"))


def test_what_never_arrived_is_asked_about_and_then_sent(ground: Ground, program: Sandbox) -> None:
    first, second = ground.meters(2)
    lost = ground.receive({first: 150})[first]
    program.control("down", times=1)
    target = soap(program.url)
    work(ground, target)
    assert ground.plain("select problem from delivery") == [("answer_lost",)]
    fresh = ground.receive({second: 150})[second]
    work(ground, target, skew=MINUTE)
    assert ground.statuses([lost, fresh]) == ["acknowledged", "acknowledged"]
    assert effects(program, lost, fresh) == [1, 1]


def test_while_billing_cannot_be_asked_nothing_is_sent(ground: Ground, program: Sandbox) -> None:
    first, second = ground.meters(2)
    lost = ground.receive({first: 150})[first]
    program.control("lose", times=1)
    target = soap(program.url)
    work(ground, target)
    fresh = ground.receive({second: 150})[second]
    program.control("fail", status=503, times=1)
    assert ground.worker(target, skew=MINUTE, jitter=0.0).deliver_one(ground.target)
    assert (ground.statuses([lost, fresh]), effects(program, lost, fresh)) == (["queued", "queued"], [1, 0])
    work(ground, target, skew=HOUR)
    assert (ground.statuses([lost, fresh]), effects(program, lost, fresh)) == (["acknowledged", "acknowledged"], [1, 1])


@pytest.mark.parametrize("order", ["lose", "garbage", "html", "down"])
def test_a_lost_answer_of_class_c_is_in_doubt_and_never_sent_again(ground: Ground, program: Sandbox, order: str) -> None:
    first, second = ground.meters(2)
    doubted = ground.receive({first: 150})[first]
    program.control(order, times=1)
    target = soap(program.url, asking=False)
    work(ground, target)
    assert ground.statuses([doubted]) == ["in_doubt"]
    assert [(row.state, row.open) for row in ground.rows("select * from lane")] == [(PARKED, 1)]
    other = ground.receive({second: 150})[second]
    for hours in (0, 1, 200):
        work(ground, target, skew=hours * HOUR)
    assert ground.statuses([doubted, other]) == ["in_doubt", "acknowledged"]
    assert effects(program, doubted, other) == [0 if order == "down" else 1, 1]


def test_what_class_c_refuses_before_a_byte_was_out_goes_again(ground: Ground, program: Sandbox) -> None:
    [meter] = ground.meters(1)
    reading = ground.receive({meter: 150})[meter]
    work(ground, soap("http://127.0.0.1:1", asking=False))
    assert ground.statuses([reading]) == ["queued"]
    work(ground, soap(program.url, asking=False), skew=MINUTE)
    assert (ground.statuses([reading]), effects(program, reading)) == (["acknowledged"], [1])


@pytest.mark.parametrize("step", ["deliver.sending", "deliver.sent", "deliver.recorded"])
@pytest.mark.parametrize("asking", [True, False], ids=["B", "C"])
def test_a_worker_killed_on_its_way(
    ground: Ground, program: Sandbox, tmp_path: Path, database: Database, step: str, *, asking: bool
) -> None:
    first, second = ground.meters(2)
    reading = ground.receive({first: 150})[first]
    config = tmp_path / "metergate.toml"
    told = {name: value for name, value in mapping(f"{program.url}/soap", asking=asking).items() if not isinstance(value, dict)}
    tables = {name: value for name, value in mapping().items() if isinstance(value, dict)}
    lines = [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in told.items()]
    for name, table in tables.items():
        lines += [f"[targets.city.billing.{name}]", *(f"{key} = {msgspec.json.encode(text).decode()}" for key, text in table.items())]
    urls = {"data": tmp_path, "owner": database.url("owner"), "worker": database.url("worker")}
    config.write_text(CONFIG.format(**urls) + "\n".join(lines), "utf-8")
    environment = os.environ | {"METERGATE_CONFIG": str(config), "METERGATE_STEP": f"{step}:KILL"}
    with TemporaryFile("w+", encoding="utf-8") as log:
        killed = Forked("worker", environment=environment, folder=ROOT, output=log).wait(timeout=60)
        log.seek(0)
        assert killed == -9, log.read()
    arrived = step != "deliver.sending"
    assert effects(program, reading) == [arrived]

    target = soap(program.url, asking=asking)
    other = ground.receive({second: 150})[second]
    for minutes in (1, 2, 60, 10000):
        work(ground, target, skew=minutes * MINUTE)

    assert ground.statuses([reading, other]) == ["acknowledged" if asking else "in_doubt", "acknowledged"]
    assert effects(program, reading, other) == [1 if asking else arrived, 1]


def test_a_pending_word_is_waited_for_and_then_doubted(ground: Ground) -> None:
    words = {"ImportReadings": "WAIT", "FindReadings": "WAIT"}
    asked: list[str] = []

    def answer(connection: socket) -> None:
        request = peer.requests[-1].decode()
        operation = next(name for name in words if f":{name}>" in request)
        asked.append(operation)
        keys = [part.partition("<")[0] for part in request.split(":Number>")[1::2]]
        rows = "".join(f"<Result><Number>{key}</Number><Status>{words[operation]}</Status></Result>" for key in keys)
        inside = f'<{operation}Response xmlns="urn:accounting:billing"><Results>{rows}</Results></{operation}Response>'
        body = f'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>{inside}</e:Body></e:Envelope>'
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

    first, second = ground.meters(2)
    with raw_peer(answer) as peer:
        target = soap(peer.url, later=[], pending=["WAIT"], ask_pending=["WAIT"], poll=60.0, overdue=3600.0)
        taken, doubted = ground.receive({first: 150})[first], ground.receive({second: 150})[second]
        work(ground, target)
        assert {row[0] for row in ground.plain("select problem from delivery")} == {"awaiting"}
        work(ground, target, skew=2 * MINUTE)
        assert asked == ["ImportReadings", "FindReadings"]
        ground.rows("update lane set due = due + interval '1 day' where lane_id <> (select min(lane_id) from lane)")
        words["FindReadings"] = "HELD"
        work(ground, target, skew=5 * MINUTE)
        assert ground.statuses([taken, doubted]) == ["acknowledged", "queued"]
        words["FindReadings"] = "WAIT"
        work(ground, target, skew=30 * HOUR)
        assert ground.statuses([taken, doubted]) == ["acknowledged", "in_doubt"]
        assert asked == ["ImportReadings", *["FindReadings"] * 3]
