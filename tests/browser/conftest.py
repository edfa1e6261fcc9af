"""The status page in a real browser: one Chromium and one gateway with a sandbox billing for all its tests.

They end with their file: while the browser is driven, the thread has a running event loop, which other tests cannot have.
"""

import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, sync_playwright

from gateway.postgres import Server
from tests.conftest import CI, fresh_database
from tests.peers import Sandbox, running_sandbox
from tests.running import Gateway, Utility, running_gateway

CHROMIUM = Path("/usr/bin/chromium")
# As with the oldest PostgreSQL: where there is no browser its tests are not collected, and in CI they fail.
collect_ignore_glob = [] if CI or CHROMIUM.exists() else ["test_*.py"]
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TOKEN = "token-of-heat"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, which can reach nothing but this machine."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def gateway(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway over a fresh database."""
    for database in fresh_database(server):
        urls = database.url("owner"), database.url("app"), database.url("worker")
        with running_gateway(*urls, tmp_path_factory.mktemp("gateway"), zone="Europe/Kyiv") as running:
            yield running


@pytest.fixture(scope="module")
def company(gateway: Gateway) -> Utility:
    """A contractor's utility with heat meters that stood at 100."""
    made = gateway.utility("contractor_heat")
    made.meters(*(str(number) for number in range(1, 41)), registers=("heat",))
    return made


@pytest.fixture(scope="module")
def billing(gateway: Gateway, company: Utility, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox billing that the company's readings go to and that tells the gateway what it calculated and billed."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    target = {"kind": "http_json", "url": f"http://127.0.0.1:{port}", "token": TOKEN}
    gateway.settings = msgspec.structs.replace(gateway.settings, targets={company.code: {"billing": target}})
    account = {"name": "heat", "token": TOKEN, "settle_url": f"{gateway.url}/v1/settlements", "settle_key": company.key}
    with running_sandbox(tmp_path_factory.mktemp("billing"), accounts=[account], port=port) as sandbox:
        yield sandbox
