"""The stage of a demo: a fresh folder, a database, a sandbox billing and a gateway as processes of their own, all gone at the end."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from gateway import postgres
from gateway.demo import billings
from gateway.domain.problems import Misconfigured
from gateway.sandbox.sftp import host_key

HOST: Final = "127.0.0.1"
STARTING: Final = 60.0
"""Seconds for a process to say that it listens."""
LEAVING: Final = 15.0
"""Seconds for it to leave when told to."""


Json = dict[str, Any]


class Failed(Exception):  # noqa: N818 - says what happened
    """The demo did not come to its end, and the message says what is missing."""


class Keys(msgspec.Struct, frozen=True):
    """One utility's secrets: its partner's key or password, billing's key at our door, our token at billing's."""

    partner: str
    settle: str
    token: str


class Stage:
    """Everything that runs for one demo. Use it in a `with`: whatever happens, nothing is left behind."""

    def __init__(self, utilities: Sequence[str]) -> None:
        """Make the folder, the secrets and the settings; nothing runs yet."""
        self.folder = Path(tempfile.mkdtemp(prefix="metergate-demo-"))
        self.folder.chmod(0o711)  # the account that runs PostgreSQL must be able to pass
        self.keys = {name: Keys(*(f"{kind}_{secrets.token_urlsafe(32)}" for kind in ("mg", "mg", "sb"))) for name in utilities}
        self.control = secrets.token_urlsafe(32)
        gateway, billing, self._sftp, self._billing_sftp = _free_ports(4)
        self.url, self.billing_url = f"http://{HOST}:{gateway}", f"http://{HOST}:{billing}"
        self.database = ""
        self._server: postgres.Server | None = None
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._data = self.folder / "data"

    def __enter__(self) -> Self:
        """Start all three at once; the database is there when this returns."""
        try:
            self._billing_key = host_key(self.folder / "sandbox.host_key")
            _write(self.folder / "sandbox.toml", self._sandbox_settings())
            _write(self.folder / "metergate.toml", self._gateway_settings())
            self._start("sandbox", "sandbox")
            self._start("gateway", "up")
            self._server = postgres.start(postgres.default_folder(self._data))
            self.database = self._server.url("owner")
        except BaseException:
            self.leave()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.leave()

    def wait(self) -> None:
        """Wait until both processes have said all their addresses. Raises Failed."""
        deadline = time.monotonic() + STARTING
        last = {"sandbox": " listening on http://", "gateway": " status page on "}
        for name, process in self._processes.items():
            while not self._said(name, last[name]):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise Failed(f"the {name} did not start")
                time.sleep(0.02)

    def check(self) -> None:
        """Raises Failed when a process has ended by itself."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise Failed(f"the {name} ended by itself with code {process.returncode}")

    def tails(self, lines: int = 15) -> str:
        """The last lines of every log."""
        logs = [self._log(name) for name in self._processes]
        logs.append(postgres.default_folder(self._data) / "log" / "postgres.log")
        found = [(log, log.read_text("utf-8", "replace").splitlines()[-lines:]) for log in logs if log.exists()]
        return "\n".join(f"--- {log.name}\n" + "\n".join(tail) for log, tail in found if tail)

    def leave(self) -> None:
        """Stop everything and remove the folder; a second Ctrl-C does not stop this."""
        before = [(number, signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGINT, signal.SIGTERM)]
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(LEAVING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        self._drop_database()
        _remove(self.folder)
        for number, handler in before:
            signal.signal(number, handler)

    def _drop_database(self) -> None:
        """Stop the server, whoever owned it, and remove its folders: they may lie outside ours."""
        folder = postgres.default_folder(self._data)
        if self._server is not None:
            self._server.stop("immediate")
        if (folder / "data" / "postmaster.pid").exists():
            with suppress(Misconfigured):
                postgres.start(folder).stop("immediate")
        with suppress(OSError):
            _remove(Path((folder / "socket").read_text("utf-8")))
        _remove(folder)

    def _start(self, name: str, verb: str) -> None:
        """Start one of our own verbs; a signal from the terminal reaches the demo alone, which then tells the others."""
        config = self.folder / ("metergate.toml" if verb == "up" else f"{name}.toml")
        environment = {variable: value for variable, value in os.environ.items() if not variable.startswith("METERGATE_")}
        with self._log(name).open("wb") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", "gateway", verb, "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    @property
    def drop(self) -> str:
        """Where the gateway's drop listens and its key's fingerprint, as the gateway says it."""
        return self._said("gateway", " listening on sftp://")

    @property
    def page(self) -> str:
        """The address of the gateway's status page, with the token that lets in."""
        return self._said("gateway", " status page on ")

    def _said(self, name: str, words: str) -> str:
        """What stands behind these words in a log, to the end of its line; empty while that line is not whole."""
        rest, ended, _ = self._log(name).read_text("utf-8", "replace").partition(words)[2].partition("\n")
        return rest.strip() if ended else ""

    def _gateway_settings(self) -> str:
        lines = [
            *(f"data = {json.dumps(str(self._data))}", "[http]", f"port = {self.url.rpartition(':')[2]}"),
            *("[sftp]", f"port = {self._sftp}", "stable = 0.3", "scan = 0.1", "refresh = 0.2"),
        ]
        for name, keys in self.keys.items():
            told = billings.settings(name, self.billing_url, keys.token, f"{HOST}:{self._billing_sftp}", self._billing_key)
            lines += [f"[targets.{name}.billing]", *(f"{key} = {billings.toml(value)}" for key, value in told.items())]
        return "\n".join(lines)

    def _sandbox_settings(self) -> str:
        lines = [
            f"port = {self.billing_url.rpartition(':')[2]}",
            f"journal = {json.dumps(str(self.folder / 'sandbox.journal'))}",
            f'control_token = "{self.control}"',
            f"sftp_port = {self._billing_sftp}",
            f"sftp_host_key = {json.dumps(str(self.folder / 'sandbox.host_key'))}",
            "drop_scan = 0.1",
            "calculate_after = 1.0",
            "bill_after = 0.0",
        ]
        for name, keys in self.keys.items():
            lines += [
                "[[accounts]]",
                f'name = "{name}"',
                f'token = "{keys.token}"',
                f'settle_url = "{self.url}/v1/settlements"',
                f'settle_key = "{keys.settle}"',
                f"keys = {billings.toml(billings.KINDS[name] == 'http_json')}",
            ]
            if billings.KINDS[name] == "sftp_file":
                lines.append(f"drop = {json.dumps(str(self.folder / 'drops' / name))}")
        return "\n".join(lines)


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text + "\n", "utf-8")


def _remove(folder: Path) -> None:
    """Remove a folder; the orphan of an interrupted initdb may go on writing in it for a moment."""
    deadline = time.monotonic() + LEAVING
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.05 if folder.exists() else 0)


def _free_ports(count: int) -> list[int]:
    """Ports nobody listens on, below those that systems hand out to callers, so that they stay free until they are taken."""
    found: list[int] = []
    while len(found) < count:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as door, suppress(OSError):
            door.bind((HOST, port))
            found += [port] if port not in found else []
    return found
