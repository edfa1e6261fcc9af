"""`metergate` as a process of its own that need not import everything again: it is forked from one that has, and that runs nothing itself.

What a process does before its first own line, from the interpreter to the last import, is the same each time and costs a second; tests
that are about that start the installed command instead.
"""

import atexit
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, Any, Final

_FORKS: Final = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.preloaded", "tests.forked"])


class Handed:
    """A descriptor that a forked process gets as its own."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _taken, (DupFd(self.number),)


def _taken(handed: Any) -> Handed:
    return Handed(handed.detach())


class Forked:
    """`metergate` with these arguments, run as `subprocess.Popen` would; `output` is where it writes, and `errors`, when they are apart.

    Without `output` what it writes is read from `stdout`.
    """

    def __init__(
        self, *args: object, environment: Mapping[str, str], folder: Path, output: IO[Any] | None = None, errors: IO[Any] | None = None
    ) -> None:
        reading, writing = os.pipe() if output is None else (None, output.fileno())
        self.args = [str(one) for one in args]
        told = self.args, dict(environment), folder, Handed(writing), Handed(errors.fileno() if errors else writing)
        self._process = _FORKS.Process(target=_run, args=told, daemon=False)
        self._process.start()
        self.stdout: IO[str] | None = None
        if reading is not None:
            os.close(writing)
            self.stdout = os.fdopen(reading, encoding="utf-8")
        self.pid = int(self._process.pid or 0)

    def poll(self) -> int | None:
        """Its exit code, below zero that of a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code when it has ended. Raises TimeoutExpired."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended since
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Crash it."""
        self.send_signal(signal.SIGKILL)

    def stopped(self) -> bool:
        """It stands still."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False  # it has ended since
        return state == "T"


def _run(args: list[str], environment: dict[str, str], folder: Path, output: Handed, errors: Handed) -> None:
    """In the new process: take over what a process is started with, and be the command."""
    from gateway.cli import main

    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    tempfile.tempdir = None
    os.chdir(folder)
    os.dup2(output.number, 1)
    os.dup2(errors.number, 2)
    for handed in {output.number, errors.number}:
        os.close(handed)
    sys.stdout, sys.stderr = os.fdopen(1, "w", encoding="utf-8"), os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace")
    sys.argv = ["metergate", *args]
    try:
        code = main(args)
    finally:
        atexit._run_exitfuncs()  # noqa: SLF001 - the end of a forked process does not
    sys.exit(code)
