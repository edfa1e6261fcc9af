"""Real commands for these tests: each is a process of its own, on a database of its own.

The command as it is installed is started where a test is about its start; elsewhere it is forked, which saves its imports.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Protocol

import pytest

from tests.conftest import Database
from tests.forked import Forked

METERGATE = Path(sys.executable).with_name("metergate")
LISTENING = re.compile(r"listening on (http://\S+)")


def bare_environment(**more: str) -> dict[str, str]:
    """This environment without any setting of ours, and `more`."""
    ours = ("METERGATE_", "PYTHONDONTWRITEBYTECODE")  # the second makes every start compile all of it, as the Makefile knows too
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more


def at(database: Database) -> dict[str, str]:
    """The settings that name this database, an account for each role."""
    return {
        "METERGATE_DATABASE_URL": database.url(),
        "METERGATE_DATABASE_APP_URL": database.url("app"),
        "METERGATE_DATABASE_WORKER_URL": database.url("worker"),
    }


class Command(Protocol):
    """Runs `metergate` to its end."""

    def __call__(self, *args: object, **environment: str) -> subprocess.CompletedProcess[str]: ...


class Running:
    """A command that keeps running: its address, its log, its end."""

    def __init__(self, process: subprocess.Popen[bytes] | Forked, log: Path) -> None:
        self.process = process
        self.log = log
        self.url = ""

    def listening(self, patience: float = 30.0) -> "Running":
        """Wait until it says where it listens."""
        deadline = time.monotonic() + patience
        while not (said := LISTENING.search(self.log.read_text("utf-8"))):
            assert self.process.poll() is None, self.log.read_text("utf-8")
            assert time.monotonic() < deadline, self.log.read_text("utf-8")
            time.sleep(0.02)
        self.url = said.group(1)
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Tell it to leave and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=30)


Start = Callable[..., Running]


def installed_runner(folder: Path) -> Command:
    """Runs commands in this folder as they are installed, with no settings but those given."""

    def run(*args: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [METERGATE, *map(str, args)],
            cwd=folder,
            env=bare_environment(**environment),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def runner(folder: Path) -> Command:
    """The same by processes that are forked."""

    def run(*args: object, **environment: str) -> subprocess.CompletedProcess[str]:
        with TemporaryFile("w+", encoding="utf-8") as output, TemporaryFile("w+", encoding="utf-8") as errors:
            process = Forked(*args, environment=bare_environment(**environment), folder=folder, output=output, errors=errors)
            try:
                code = process.wait(timeout=60)
            finally:
                process.kill()
            output.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(process.args, code, output.read(), errors.read())

    return run


@contextmanager
def starter(folder: Path, *, installed: bool = False) -> Iterator[Start]:
    """Starts commands that keep running in this folder, and ends those that still run."""
    started: list[Running] = []

    def begin(*args: object, **environment: str) -> Running:
        log = folder / f"{args[0]}-{len(started)}.log"
        told = bare_environment(**environment)
        with log.open("wb") as file:
            if installed:
                process: subprocess.Popen[bytes] | Forked = subprocess.Popen(
                    [METERGATE, *map(str, args)], cwd=folder, env=told, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT
                )
            else:
                process = Forked(*args, environment=told, folder=folder, output=file)
        started.append(Running(process, log))
        return started[-1]

    try:
        yield begin
    finally:
        for running in started:
            if running.process.poll() is None:
                running.process.kill()
                running.process.wait()


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs a command in a folder of its own."""
    return runner(tmp_path)


@pytest.fixture
def installed_command(tmp_path: Path) -> Command:
    """The same as it is installed."""
    return installed_runner(tmp_path)


@pytest.fixture
def on_database(command: Command, database: Database) -> Command:
    """The same on a fresh migrated database."""
    return partial(command, **at(database))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts commands that keep running."""
    with starter(tmp_path) as begin:
        yield begin


@pytest.fixture
def start_installed(tmp_path: Path) -> Iterator[Start]:
    """The same as they are installed."""
    with starter(tmp_path, installed=True) as begin:
        yield begin
