"""At every step of the SFTP drop the process is killed, or PostgreSQL crashes: one submission, one complete receipt, no source left."""

import base64
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from gateway import postgres, profiles
from gateway.domain.problems import Unavailable
from gateway.domain.supply import Line
from gateway.steps import STEPS
from gateway.store import Store, feed, migrate, people
from tests.conftest import ROOT, case
from tests.forked import Forked
from tests.peers import until

DROP: Final = [step for step in STEPS if step.startswith("drop.")]
TAKING: Final = ["receive.committed", "receive.decoded", "receive.written"][: case(1, 3)]
"""The steps between `drop.read` and `drop.kept`; where a commit is not followed by its receipt is where it could go wrong."""
CONFIG: Final = """
data = "{data}"
[database]
url = "{owner}"
app_url = "{app}"
worker_url = "{worker}"
[http]
port = 0
[sftp]
port = 0
stable = 0.0
scan = 0.1
refresh = 0.1
[worker]
poll = 0.1
lease = 2.0
heartbeat = 0.5
"""
LISTENS: Final = re.compile(r"sftp://127\.0\.0\.1:(\d+)")
Record = Callable[[str, int, str], None]


class World:
    """PostgreSQL, a contractor with a key, and gateways that come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.server = postgres.start(folder / "server")
        urls = {role: self.server.url(role) for role in ("owner", "app", "worker")}
        migrate(urls["owner"])
        self.store = Store(urls["owner"], role="owner", pool=2)
        subprocess.run(["/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
        public = base64.b64decode((folder / "key.pub").read_text().split()[1])
        line = {"register": "A+", "digits": 6, "last": None, "last_period": "", "point": "P", "location": "L"}
        with self.store.transaction() as connection:
            utility = people.ensure_utility(connection, "city")
            people.save_document(connection, utility, "profile", "legal_entity", profiles.shipped()["legal_entity"], "test")
            people.add_login(connection, utility, "contractor", ["submit", "read"], "contractor", public_key=public)
            feed.import_lines(connection, utility, "legal_entity", [Line(agreement="A", meter="1", **line)])  # type: ignore[arg-type]
            self.credential = connection.exec_driver_sql("select id from credential").scalar_one()
        (folder / "metergate.toml").write_text(CONFIG.format(data=folder / "data", **urls), "utf-8")
        self.process: Forked | None = None
        self.files: dict[str, bytes] = {}

    @property
    def drop(self) -> Path:
        return self.folder / "data" / "sftp" / str(self.credential)

    def gateway(self, armed: str = "") -> Forked:
        """Start a gateway and wait until its drop listens; the one before is killed."""
        self.end()
        environment = os.environ | {"METERGATE_STEP": armed, "METERGATE_CONFIG": str(self.folder / "metergate.toml")}
        log = self.folder / "gateway.log"
        with log.open("wb") as out:
            self.process = Forked("up", environment=environment, folder=ROOT, output=out)
        until(lambda: LISTENS.search(log.read_text("utf-8")) is not None or self.dead(), "the drop listens", 40)
        return self.process

    def dead(self) -> bool:
        """It was killed."""
        return self.process is not None and self.process.poll() is not None

    def stopped(self) -> bool:
        """It stands still."""
        assert self.process is not None
        return self.process.stopped()

    def end(self) -> None:
        """Kill what runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def put(self, name: str) -> None:
        """Send a file that was never sent before, by the stock client."""
        body = b'{"readings": [{"meter": "1", "note": "%s"}]}\n' % name.encode()
        self.files[name] = body
        (self.folder / "sent").write_bytes(body)
        found = LISTENS.search((self.folder / "gateway.log").read_text("utf-8"))
        assert found is not None
        options = ["-F", "none", "-oStrictHostKeyChecking=accept-new", f"-oUserKnownHostsFile={self.folder / 'known'}", "-oBatchMode=yes"]
        command = ["/usr/bin/sftp", *options, f"-oIdentityFile={self.folder / 'key'}", "-b", "-", "-P", found[1], "contractor@127.0.0.1"]
        sent = subprocess.run(command, input=f'put "{self.folder / "sent"}" /in/{name}\n'.encode(), capture_output=True, check=False)
        if sent.returncode != 0:
            until(self.dead, f"only a killed gateway leaves an upload: {sent.stderr!r}", 10)

    def settled(self) -> None:
        """Wait until nothing is left to take and every file is told whole; then count."""
        told = {f"{name}.status.json" for name in self.files}
        until(lambda: not list((self.drop / "in").iterdir()), "nothing left in in", 30)
        until(lambda: told <= {path.name for path in (self.drop / "out").iterdir()}, "all told", 30)
        until(self._judged, "all judged and told so", 30)
        with self.store.transaction() as connection:
            rows = connection.exec_driver_sql("select id, file_name from submission").all()
            owned = connection.exec_driver_sql("select name, submission_id from drop_file").all()
        assert sorted(row.file_name for row in rows) == sorted(self.files), "lost or twice"
        assert {row.name: row.submission_id for row in owned} == {row.file_name: row.id for row in rows}
        for row in rows:
            receipt = json.loads((self.drop / "out" / f"{row.file_name}.status.json").read_bytes())
            assert receipt["submission"] == f"sub_{row.id.hex}"
        until(lambda: not list((self.folder / "data" / "sftp" / ".aside").iterdir()), "nothing left aside", 10)

    def _judged(self) -> bool:
        receipts = [json.loads(path.read_bytes()) for path in (self.drop / "out").iterdir()]
        return all(receipt["status"] != "received" for receipt in receipts)

    def close(self) -> None:
        self.end()
        self.store.close()
        self.server.stop("immediate")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """One installation for all the crashes of this file, so that later ones also find what earlier ones left."""
    with tempfile.TemporaryDirectory(prefix="metergate-drop-") as folder:
        Path(folder).chmod(0o711)
        made = World(Path(folder))
        try:
            yield made
        finally:
            made.close()


@pytest.mark.parametrize("step", [*DROP, *TAKING])
def test_killed_at_a_step_of_the_drop(step: str, world: World, proof: Record) -> None:
    runs = case(1, 20)
    for run in range(runs):
        world.gateway(f"{step}:KILL:1")
        world.put(f"{step}-{run}.json")
        until(world.dead, f"killed at {step}", 30)
        world.gateway()
        world.settled()
    proof(f"SIGKILL at {step} of the SFTP drop", runs, "one submission, one complete receipt, no source left, each")


def test_postgres_crashes_at_the_steps_of_the_drop(world: World, proof: Record) -> None:
    runs = case(1, 10)
    for run in range(runs):
        for step in ("drop.read", "drop.kept") if runs == 1 else [*DROP, *TAKING]:
            process = world.gateway(f"{step}:STOP:1")
            world.put(f"crash-{step}-{run}.json")
            until(world.stopped, f"stopped at {step}", 30)
            world.server.restart("immediate")
            process.send_signal(18)
            until(lambda: _alive(world), "PostgreSQL is back", 30)
            world.settled()
    proof(
        "PostgreSQL restart -m immediate at the steps of the SFTP drop", runs, "one submission, one complete receipt, no source left, each"
    )


def test_an_upload_that_dies_with_the_gateway_leaves_nothing(world: World) -> None:
    world.gateway()
    with (world.folder / "large").open("wb") as file:
        file.truncate(4_000_000)
    found = LISTENS.search((world.folder / "gateway.log").read_text("utf-8"))
    assert found is not None
    options = [
        "-F",
        "none",
        "-oStrictHostKeyChecking=accept-new",
        f"-oUserKnownHostsFile={world.folder / 'known'}",
        "-oBatchMode=yes",
        "-l",
        "800",
    ]
    command = ["/usr/bin/sftp", *options, f"-oIdentityFile={world.folder / 'key'}", "-b", "-", "-P", found[1], "contractor@127.0.0.1"]
    client = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    assert client.stdin
    client.stdin.write(f'put "{world.folder / "large"}" /in/large.json\n'.encode())
    client.stdin.flush()
    aside = world.folder / "data" / "sftp" / ".aside"
    until(lambda: any(path.stat().st_size for path in aside.iterdir()), "under way", 20)
    world.end()
    assert list(aside.iterdir()) != []
    client.communicate()
    world.gateway()
    world.settled()


def _alive(world: World) -> bool:
    try:
        with world.store.transaction() as connection:
            return bool(connection.exec_driver_sql("select true").scalar_one())
    except Unavailable:
        time.sleep(0.1)
        return False
