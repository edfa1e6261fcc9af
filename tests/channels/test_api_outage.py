"""When PostgreSQL goes away or the process is told to stop: nobody is lied to, and nothing needs a restart."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import httpx
import pytest

from gateway import postgres
from gateway.settings import Database as DatabaseSettings
from gateway.settings import Settings
from gateway.store import migrate
from tests.conftest import Database, run_folder
from tests.peers import PLAIN
from tests.running import Gateway, running_gateway


@pytest.fixture(scope="module")
def alone() -> Iterator[tuple[postgres.Server, Gateway]]:
    """A gateway on a PostgreSQL of its own, which a test may stop."""
    folder = Path(tempfile.mkdtemp(prefix="alone-", dir=run_folder()))
    folder.chmod(0o711)
    server = postgres.start(folder / "pg")
    migrate(server.url())
    with running_gateway(server.url(), server.url("app"), server.url("worker"), folder / "data") as gateway:
        yield server, gateway
    postgres.start(folder / "pg").stop("immediate")


def down(server: postgres.Server) -> None:
    server.stop("immediate")
    assert server.pid is None


def test_postgresql_away_and_back(alone: tuple[postgres.Server, Gateway]) -> None:
    server, gateway = alone
    utility = gateway.utility()
    utility.meters("1", "2")
    assert utility.submit(utility.body({"1": "150"}), Idempotency_Key="k").status_code == 202
    down(server)
    asked: list[Callable[[], httpx.Response]] = [
        lambda: utility.submit(utility.body({"1": "160"}), Idempotency_Key="k-2"),
        lambda: utility.upload(utility.body({"1": "160"}), "a.json"),
        lambda: utility.call("GET", "/v1/submissions"),
        lambda: utility.call("GET", "/v1/submissions/sub_" + "0" * 32),
        utility.settle,
    ]
    for ask in asked * 2:
        began = monotonic()
        answer = ask()
        assert monotonic() - began < 5
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["content-type"] == "application/problem+json"
    ready = httpx.get(f"{gateway.url}/health/ready", verify=PLAIN)
    assert (ready.status_code, ready.json()) == (503, {"status": "not ready"})
    assert httpx.get(f"{gateway.url}/health/live", verify=PLAIN).status_code == 200
    server.launch()
    answers = [utility.submit(utility.body({"1": "160"}), Idempotency_Key="k-2") for _ in range(3)]
    assert [answer.status_code for answer in answers][1:] == [202, 202]
    assert answers[1].content == answers[2].content
    assert httpx.get(f"{gateway.url}/health/ready", verify=PLAIN).status_code == 200
    assert [(row["meter"], row["revision"]) for row in answers[2].json()["readings"]] == [("1", 1)]
    gateway.store.engine.dispose()
    gateway.owner.engine.dispose()
    gateway.work()
    assert [row["status"] for row in utility.look(answers[2])["readings"]] == ["acknowledged"]


def test_a_crash_of_postgresql_between_two_requests_costs_one_503_at_most(alone: tuple[postgres.Server, Gateway]) -> None:
    server, gateway = alone
    gateway.owner.engine.dispose()
    utility = gateway.utility()
    utility.meters("1")
    accepted = []
    for value in range(150, 156):
        answer = utility.submit(utility.body({"1": str(value)}))
        if answer.status_code == 503:
            answer = utility.submit(utility.body({"1": str(value)}))
        assert answer.status_code in (200, 202), answer.text
        accepted.append(answer.json()["submission"])
        server.restart("immediate")
    gateway.owner.engine.dispose()
    rows = gateway.rows("select id from submission where utility_id = %(u)s", u=utility.id)
    assert {f"sub_{row.id.hex}" for row in rows} == set(accepted)


@pytest.fixture
def process(database: Database, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`metergate serve` as a process of its own, and where it listens."""
    told = {
        "METERGATE_DATA": str(tmp_path),
        "METERGATE_DATABASE_URL": database.url("owner"),
        "METERGATE_DATABASE_APP_URL": database.url("app"),
        "METERGATE_DATABASE_WORKER_URL": database.url("worker"),
        "METERGATE_HTTP_PORT": "0",
    }
    command = [sys.executable, "-m", "gateway", "serve"]
    running = subprocess.Popen(command, env=os.environ | told, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert running.stdout is not None
    line = running.stdout.readline()
    yield running, line.split()[-1]
    if running.poll() is None:
        running.kill()
    running.wait()
    running.stdout.close()


def refused(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False  # it stood in the queue when the door was closed
    return False


def test_a_request_in_flight_is_answered_before_the_process_stops(
    process: tuple[subprocess.Popen[str], str], database: Database, tmp_path: Path
) -> None:
    running, url = process
    gateway = Gateway(_settings(database, tmp_path))
    utility = gateway.utility()
    utility.meters("1")
    body = utility.body({"1": "150"})
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
    head = (
        f"POST /v1/readings HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {utility.key}\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection((host, port), timeout=20) as line:
        line.sendall(head.encode())
        assert line.recv(1000).startswith(b"HTTP/1.1 100")  # the handler waits for the body
        running.send_signal(signal.SIGTERM)
        deadline = monotonic() + 20
        while not refused(host, port):
            assert monotonic() < deadline
        line.sendall(body)
        answer = b""
        while part := line.recv(65536):
            answer += part
    assert answer.startswith(b"HTTP/1.1 202"), answer
    assert running.wait(timeout=20) == 0
    assert gateway.rows("select count(*) from meter_reading")[0][0] == 1
    gateway.stop()


def _settings(database: Database, folder: Path) -> Settings:
    return Settings(data=folder, database=DatabaseSettings(url=database.url("owner"), worker_url=database.url("worker")))


def test_an_idle_process_stops_at_once_with_0(process: tuple[subprocess.Popen[str], str]) -> None:
    running, url = process
    assert httpx.get(f"{url}/health/ready", verify=PLAIN).status_code == 200
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=20) == 0
