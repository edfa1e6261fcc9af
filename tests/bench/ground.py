"""What the lines of the bench stand on: a server of their own, databases with a registry, and child processes."""

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from gateway import postgres, profiles
from gateway.domain.supply import Line
from gateway.store import Store, feed, migrate, people

ROOT = Path(__file__).parents[2]
ALL = os.environ.get("ALL", "") not in ("", "0")
PEERS = os.environ.get("METERGATE_BENCH_PEERS")
METERS = 20_000
KEY = "mg_bench_" + "k" * 32
PROFILE = "household"
PERIOD = f"{datetime.now(UTC):%Y-%m}"


@cache
def folder() -> Path:
    """A temporary folder of this run that the server's account can pass."""
    path = Path(tempfile.mkdtemp(prefix="metergate-bench-"))
    path.chmod(0o711)
    (path / "none.toml").touch()  # the settings of what is measured: all defaults
    atexit.register(clear)
    return path


@cache
def server() -> postgres.Server:
    """The server of this run, with the settings of a product's."""
    return postgres.start(folder() / "postgres")


def clear() -> None:
    """Stop the server and leave nothing behind."""
    if server.cache_info().currsize:
        server().stop("immediate")
        server.cache_clear()
    if folder.cache_info().currsize:
        shutil.rmtree(folder(), ignore_errors=True)
        folder.cache_clear()


def postgres_version() -> str:
    """The version of the embedded server."""
    tool = postgres.wheel_binaries() / "postgres"
    return subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout.strip()


def meter(number: int) -> str:
    """The serial of the n-th meter of the registry."""
    return f"{number:08d}7"


@cache
def registry() -> str:
    """A database with one utility, its key and METERS meters of one register: the template of the others."""
    name = "bench_registry"
    server().create_database(name)
    migrate(server().url("owner", name))
    store = Store(server().url("owner", name), role="owner", pool=1)
    lines = [
        Line(agreement=f"A{n // 4:06d}", point=f"P{n:06d}", meter=meter(n), register="A+", digits=8, decimals=2) for n in range(METERS)
    ]
    with store.transaction() as connection:
        utility = people.ensure_utility(connection, "bench")
        people.save_document(connection, utility, "profile", PROFILE, profiles.shipped()[PROFILE], "bench")
        people.add_credential(connection, utility, "bench portal", ["submit", "read"], key=KEY)
        feed.import_lines(connection, utility, PROFILE, lines)
    store.close()
    tidy(name, "agreement", "usage_point", "point_terms", "meter", "register")
    return name


def fresh(name: str, template: str) -> str:
    """A copy of a database under a new name."""
    server().drop_database(name)
    server().create_database(name, template)
    return name


def empty(name: str) -> str:
    """A database with nothing in it."""
    server().drop_database(name)
    server().create_database(name)
    return name


def tidy(name: str, *tables: str) -> None:
    """Vacuum and analyse what was filled, so that no autovacuum meets the first run; empty tables stay as a new installation has them."""
    statement = f"vacuum analyze {', '.join(tables)}"
    postgres.tools.client("psql", server().url("superuser", name), ["-X", "-q", "-c", statement], server().binaries)


def count(database: str, query: str) -> int:
    """One number from a database."""
    store = Store(server().url("owner", database), role="owner", pool=1)
    with store.transaction() as connection:
        found = connection.exec_driver_sql(query).scalar_one()
    store.close()
    return int(found)


def execute(database: str, statement: str) -> None:
    """Run one statement in a database."""
    store = Store(server().url("owner", database), role="owner", pool=1)
    with store.transaction() as connection:
        connection.exec_driver_sql(statement)
    store.close()


def must_be(wanted: int, database: str, query: str) -> None:
    """A bench that lost rows measured nothing. Raises RuntimeError."""
    found = count(database, query)
    if found != wanted:
        raise RuntimeError(f"{found} instead of {wanted}: {query}")


class Child:
    """A process that says when it is ready, begins when told, and prints one line of JSON at its end."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
        self.command = [str(part) for part in command]
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **(environment or {})}
        )

    def line(self) -> str:
        """Its next line. Raises RuntimeError when it ended instead."""
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        if not said:
            raise RuntimeError(f"{self.command} ended with {self.process.wait()}")
        return said.strip()

    def tell(self, words: object) -> None:
        """Send it a line of JSON."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()

    def result(self) -> Any:
        """What it found; it has ended then."""
        found = json.loads(self.line())
        self.end()
        return found

    def end(self) -> None:
        """Let it end by itself, or by SIGTERM."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self.process.wait(0.2)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait(30)


@contextmanager
def web(command: Sequence[str | Path], environment: Mapping[str, str]) -> Iterator[int]:
    """Run a web server that says `... listening on http://HOST:PORT` until the end of the context; its port."""
    child = Child(command, environment)
    try:
        yield int(child.line().rpartition(":")[2])
    finally:
        child.process.terminate()
        child.end()


@contextmanager
def metergate(database: str) -> Iterator[int]:
    """The real web server on a database, in its own process and in the role of the application."""
    told = {
        "METERGATE_DATABASE_URL": server().url("owner", database),
        "METERGATE_DATABASE_APP_URL": server().url("app", database),
        "METERGATE_HTTP_PORT": "0",
        "METERGATE_DATA": str(folder() / "data"),
        "METERGATE_CONFIG": str(folder() / "none.toml"),
    }
    with web([sys.executable, "-m", "gateway", "serve"], told) as port:
        yield port


def load(
    port: int, *, turn: int, seconds: float, connections: int, readings: int = 1, rate: float = 0.0, most: float = 8000.0
) -> dict[str, Any]:
    """Post readings for some seconds, at most `most` posts a second; every `turn` has its own values, above all before."""
    child = Child([sys.executable, "-m", "tests.bench.load"])
    job = {"port": port, "path": "/v1/readings", "key": KEY, "period": PERIOD, "meters": [meter(n) for n in range(METERS)]}
    told = {"turn": turn, "seconds": seconds, "connections": connections, "readings": readings, "rate": rate, "posts": int(most * seconds)}
    child.tell(job | told)
    child.line()
    child.tell("go")
    found: dict[str, Any] = child.result()
    if found["refused"]:
        raise RuntimeError(f"refused: {found['refused']}")
    return found
