"""What every test may use: a server, a fresh database, small or large numbers, a record of proofs, the shared samples.

The first test that needs a server starts it; all workers of the run share it and the run stops it at its end.
"""

import contextlib
import fcntl
import gc
import json
import os
import platform
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import hypothesis
import pytest

from gateway import postgres

ROOT = Path(__file__).parents[1]
CI = os.environ.get("CI") == "true"
PROOF = os.environ.get("METERGATE_PROOF") == "1"
SAMPLES = Path(os.environ["METERGATE_SAMPLES"]) if os.environ.get("METERGATE_SAMPLES") else None
SYSTEM_15 = Path(os.environ.get("METERGATE_POSTGRES_15", "/usr/lib/postgresql/15/bin"))
SERVERS: dict[str, Path | None] = {"embedded": None, **({"system15": SYSTEM_15} if CI or SYSTEM_15.exists() else {})}
TEMPLATE = "metergate_template"
RUN = "METERGATE_TEST_RUN"  # the run's own folder, told to the workers
HASTY = dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
RUN_SETTINGS = {"max_connections": "200"} | ({} if PROOF else HASTY)
"""A run's server need not outlive the machine: crashes are tried on servers of their own, and figures are taken with `make proof`."""

hypothesis.settings.register_profile("ours", suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("ours")
"""How fast inputs are made tells of the machine and what else it does, not of us."""

CONTROLLER = pytest.StashKey[bool]()  # whether this process began the run


def case(fast: int, proof: int) -> int:
    """How many: small in `make test`, large in `make proof`."""
    return proof if PROOF else fast


class Database(NamedTuple):
    """A migrated database of one test."""

    server: postgres.Server
    name: str

    def url(self, role: postgres.Role = "owner") -> str:
        """Where a role finds it."""
        return self.server.url(role, self.name)


def run_folder() -> Path:
    """The folder of this run, which the server's account can pass."""
    return Path(os.environ[RUN])


@contextlib.contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Between the workers of a run."""
    with (run_folder() / f"{name}.lock").open("w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def shared_server(kind: str) -> postgres.Server:
    """The run's server of this kind, whoever starts it."""
    with one_at_a_time(kind):
        server = postgres.start(run_folder() / kind, binaries=SERVERS[kind], settings=RUN_SETTINGS)
        server.leave()
        return server


def fresh_database(server: postgres.Server) -> Iterator[Database]:
    """A copy of the migrated template, dropped afterwards."""
    from gateway.store import migrate

    made = server.folder / "template.made"
    with one_at_a_time(f"{server.folder.name}-template"):
        if not made.exists():
            server.drop_database(TEMPLATE)
            server.create_database(TEMPLATE)
            migrate(server.url("owner", TEMPLATE))
            made.touch()
        name = f"t_{uuid.uuid4().hex[:16]}"
        server.create_database(name, TEMPLATE)
    yield Database(server, name)
    server.drop_database(name)


@pytest.fixture(scope="session")
def server() -> postgres.Server:
    """The embedded server of this run; do not stop it."""
    return shared_server("embedded")


@pytest.fixture
def database(server: postgres.Server) -> Iterator[Database]:
    """A fresh migrated database on the embedded server."""
    yield from fresh_database(server)


@pytest.fixture(params=sorted(SERVERS))
def any_database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A fresh migrated database on the newest and on the oldest supported server."""
    yield from fresh_database(shared_server(request.param))


@pytest.fixture
def reachable_folder() -> Iterator[Path]:
    """A temporary folder that the unprivileged account can pass when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="metergate-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def proof(request: pytest.FixtureRequest) -> Callable[[str, int, str], None]:
    """Records what was proved, with how many and the figure; `make proof` writes docs/proof.md from it."""

    def record(what: str, n: int, figure: str) -> None:
        row = json.dumps([request.node.nodeid, what, n, figure], ensure_ascii=False)
        with (run_folder() / "proof.jsonl").open("a", encoding="utf-8") as file:
            file.write(row + "\n")

    return record


def pytest_configure(config: pytest.Config) -> None:
    """The controller, or the only process, makes the run's folder."""
    config.stash[CONTROLLER] = RUN not in os.environ
    if config.stash[CONTROLLER]:
        folder = Path(tempfile.mkdtemp(prefix="metergate-run-"))
        folder.chmod(0o711)
        os.environ[RUN] = str(folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """And stops its servers."""
    if config.stash.get(CONTROLLER, False):
        for kind, binaries in SERVERS.items():
            if (run_folder() / kind / "data" / "postmaster.pid").exists():
                postgres.start(run_folder() / kind, binaries=binaries, settings=RUN_SETTINGS).stop("immediate")
        shutil.rmtree(run_folder(), ignore_errors=True)
        del os.environ[RUN]


def pytest_report_header() -> list[str]:
    """Says what this run leaves out."""
    missing = []
    if SAMPLES is None:
        missing.append("METERGATE_SAMPLES is not set: tests over the shared files are not collected")
    if "system15" not in SERVERS:
        missing.append(f"no PostgreSQL 15 in {SYSTEM_15}: tests on the oldest supported server are not collected")
    return missing


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed one."""
    report = yield
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a file that is skipped as a whole."""
    report = yield
    if CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: later sweeps for garbage need not walk over it."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Under METERGATE_PROOF=1, and only when everything passed, writes what was proved into docs/proof.md; what was not run now stays."""
    rows_file = run_folder() / "proof.jsonl"
    if not (PROOF and session.config.stash[CONTROLLER] and exitstatus == 0 and rows_file.exists()):
        return
    described = subprocess.run(
        [shutil.which("git") or "git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    commit, today = described.stdout.strip() or "unknown", datetime.now(UTC).date()
    page = ROOT / "docs" / "proof.md"
    lines = [line for line in page.read_text("utf-8").splitlines() if line.startswith("| ") and not line.startswith("| what ")]
    found = {line.split(" | ")[0].removeprefix("| "): line for line in lines}
    for test, what, n, figure in map(json.loads, rows_file.read_text("utf-8").splitlines()):
        found[what] = f"| {what} | {n:,} | {figure} | `{commit}` | {today} | `{test}` |"
    head = (
        "# Proof\n",
        f"Written by `make proof`, each line by the run named in it; Python {platform.python_version()}, {os.cpu_count()} cores.\n",
        "| what | N | figure | commit | date | test |",
        "|---|---|---|---|---|---|",
    )
    page.write_text("\n".join([*head, *(line for _, line in sorted(found.items()))]) + "\n", encoding="utf-8")
