"""A partner of the SFTP drop with the stock OpenSSH client, and the drop as the operator sees it on disk."""

import base64
import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway.settings import Database as Urls
from gateway.settings import Http, Settings, Sftp
from gateway.store import people
from tests.conftest import Database
from tests.running import Gateway, Utility

T = TypeVar("T")
SFTP: Final = "/usr/bin/sftp"
QUICK: Final = Sftp(port=0, stable=0.1, scan=0.05, refresh=0.05, incomplete_after=1.0)
"""Times that a test can wait for."""


class Server(Gateway):
    """A gateway with a drop; `port`, `fingerprint`: where and as whom the drop listens; `folder`: where the drops lie."""

    port = 0
    fingerprint = ""

    def start(self) -> None:
        """Serve, and wait until both ports are known."""
        super().start()
        address, self.fingerprint = self.said.get(timeout=10).split(" ")
        self.port = int(address.rpartition(":")[2])

    @property
    def folder(self) -> Path:
        return self.settings.data / "sftp"


@contextmanager
def running_drop(database: Database, data: Path, **more: Any) -> Iterator[Server]:
    """Serve HTTP and the drop on free ports."""
    urls = Urls(url=database.url("owner"), app_url=database.url("app"), worker_url=database.url("worker"))
    server = Server(Settings(data=data, database=urls, http=Http(port=0), **({"sftp": QUICK} | more)))
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Partner:
    """One login with its key or its password, and an OpenSSH client that knows the server's key."""

    def __init__(
        self, server: Server, utility: Utility, home: Path, *, scopes: tuple[str, ...] = ("submit", "read"), key: bool = True
    ) -> None:
        self.server, self.utility, self.home = server, utility, home / uuid.uuid4().hex
        self.login = f"{utility.code}.{self.home.name[:8]}"
        self.home.mkdir()
        self.public = b""
        if key:
            private = self.home / "key"
            subprocess.run(["/usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", private], check=True)
            self.public = base64.b64decode(private.with_suffix(".pub").read_text().split()[1])
        with server.owner.transaction() as connection:
            self.password = people.add_login(connection, utility.id, "contractor", list(scopes), self.login, public_key=self.public)
        [row] = server.rows("select id from credential where login = %(l)s", l=self.login)
        self.credential = int(row.id)

    @property
    def drop(self) -> Path:
        """Where the drop lies on disk."""
        return self.server.folder / str(self.credential)

    def command(self, *options: str, login: str = "") -> list[str]:
        """The client's command line, ready for its batch on stdin."""
        known = self.home / "known_hosts"
        asked = [
            "-oStrictHostKeyChecking=accept-new",
            f"-oUserKnownHostsFile={known}",
            "-oConnectTimeout=10",
            "-oNumberOfPasswordPrompts=1",
        ]
        if self.public:
            asked += [f"-oIdentityFile={self.home / 'key'}", "-oIdentitiesOnly=yes", "-oPreferredAuthentications=publickey", "-b", "-"]
        else:
            asked += ["-oPreferredAuthentications=password", "-oBatchMode=no", "-b", "-"]
        return [SFTP, "-F", "none", *asked, *options, "-P", str(self.server.port), f"{login or self.login}@127.0.0.1"]

    def listing(self) -> subprocess.Popen[bytes]:
        """A session that was asked for a listing of `/` and stays open."""
        client = subprocess.Popen(
            self.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.environment(),
            cwd=self.home,
        )
        assert client.stdin
        client.stdin.write(b"ls /\n")
        client.stdin.flush()
        return client

    def environment(self, password: str | None = None) -> dict[str, str]:
        """The client's environment: its password, asked for by a program as there is no terminal."""
        ask = self.home / "ask"
        ask.write_text('#!/bin/sh\nprintf "%s\\n" "$SECRET"\n')
        ask.chmod(0o700)
        said = self.password if password is None else password
        return {
            "PATH": os.defpath,
            "HOME": str(self.home),
            "SSH_ASKPASS": str(ask),
            "SSH_ASKPASS_REQUIRE": "force",
            "SECRET": said,
            "LC_ALL": "C.UTF-8",
        }

    def sftp(
        self, *lines: str, options: tuple[str, ...] = (), password: str | None = None, login: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a batch of the client's commands to its end or its first failure."""
        return subprocess.run(
            self.command(*options, login=login),
            input="\n".join(lines) + "\n",
            env=self.environment(password),
            cwd=self.home,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=60,
            check=False,
        )

    def done(self, *lines: str) -> str:
        """The same, and it must go well; what the client printed."""
        run = self.sftp(*lines)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def write(self, name: str, body: bytes) -> Path:
        """A file at the partner's."""
        path = self.home / name
        path.write_bytes(body)
        return path

    def put(self, name: str, body: bytes) -> None:
        """Send a file."""
        self.write("sent", body)
        self.done(f'put sent "/in/{name}"')

    def readings(self, value: str = "150", meter: str = "1") -> bytes:
        """A file with one reading."""
        return self.utility.body({meter: value})

    def status(self, name: str, wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """Wait for the status of a file to be as wanted; it is read as the operator sees it."""
        path = self.drop / "out" / f"{name}.status.json"
        return wait(lambda: found if path.exists() and wanted(found := json.loads(path.read_bytes())) else None, f"{name} told")

    def left(self) -> list[str]:
        """What lies in `in`."""
        return sorted(path.name for path in (self.drop / "in").iterdir())

    def submissions(self) -> int:
        """How many submissions there are of this partner."""
        [row] = self.server.rows("select count(*) as n from submission where credential_id = %(c)s", c=self.credential)
        return int(row.n)


def wait(found: Callable[[], T | None], what: str, patience: float = 15.0) -> T:
    """Ask until there is an answer."""
    deadline = time.monotonic() + patience
    while not (answer := found()):
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.01)
    return answer
