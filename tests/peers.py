"""Real peers for tests: the sandbox billing as a process, a listener for settlements, and a socket that answers whatever it is told."""

import json
import os
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx

from gateway.sandbox.journal import Entry, effects, rows
from tests.forked import Forked

TOKEN = "token-of-water"
CONTROL = "token-of-control"
PLAIN = ssl.create_default_context()
"""What a client here is given, though nothing here speaks TLS: else it makes one for itself, which takes ten times as long as its call."""
START = "import sys; from pathlib import Path; from gateway.sandbox import main; main(Path(sys.argv[1]))"


def until(condition: Callable[[], object], what: str = "", patience: float = 20.0) -> None:
    """Look until the condition holds; fail when it does not within the time."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience} s: {what or condition}")
        time.sleep(0.01)


class Sandbox:
    """A sandbox billing in its own process; its journal outlives it."""

    def __init__(self, folder: Path, port: int, accounts: Sequence[dict[str, Any]], settings: dict[str, Any]) -> None:
        self.folder = folder
        self.journal = folder / "sandbox.journal"
        self.accounts = accounts
        self.settings = {"port": port, "journal": str(self.journal), "control_token": CONTROL} | settings
        self.process: Forked | None = None
        self.url = ""

    def start(self) -> Self:
        """Start it, on the port it had before if it had one, and wait for its line."""
        config = self.folder / "sandbox.toml"
        lines = [f"{name} = {json.dumps(value)}" for name, value in self.settings.items()]
        for account in self.accounts:
            lines += ["[[accounts]]", *(f"{name} = {_toml(value)}" for name, value in account.items())]
        config.write_text("\n".join(lines), "utf-8")
        with (self.folder / "sandbox.log").open("ab") as log:
            self.process = Forked("sandbox", "--config", config, errors=log, environment=os.environ, folder=Path(__file__).parents[1])
        line = self.process.stdout.readline() if self.process.stdout else ""
        if not line.startswith("sandbox listening on "):
            self.stop()
            raise AssertionError(f"the sandbox did not start: {line!r} {self.log[-2000:]}")
        self.url = line.split()[-1]
        self.settings["port"] = int(self.url.rpartition(":")[2])
        return self

    @property
    def log(self) -> str:
        """All it wrote to its log so far."""
        return (self.folder / "sandbox.log").read_text("utf-8")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it and return its exit code; SIGKILL is a crash."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(timeout=10)
        if self.process.stdout:
            self.process.stdout.close()
        self.process = None
        return code

    def kill(self) -> None:
        """Crash it."""
        self.stop(signal.SIGKILL)

    def control(self, do: str, **order: object) -> list[dict[str, Any]]:
        """Give an order, such as `control("fail", status=500, times=2)`; return the orders in force."""
        answer = httpx.post(f"{self.url}/control", json={"do": do, **order}, headers={"Authorization": f"Bearer {CONTROL}"}, verify=PLAIN)
        assert answer.status_code == 200, answer.text
        active: list[dict[str, Any]] = answer.json()
        return active

    def rows(self, account: str = "") -> list[Entry]:
        """Every row ever judged, read from the journal, so after a crash too."""
        return [entry for name, entry in rows(self.journal) if account in ("", name)] if self.journal.exists() else []

    def effects(self) -> dict[str, int]:
        """The number of effects of each key."""
        return effects(self.journal) if self.journal.exists() else {}


def _toml(value: object) -> str:
    """A value as TOML has it; a table within a line."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(name)} = {json.dumps(one)}' for name, one in value.items())} }}"
    return json.dumps(value)


@contextmanager
def running_sandbox(
    folder: Path, *, accounts: Sequence[dict[str, Any]] = ({"name": "water", "token": TOKEN},), port: int = 0, **settings: object
) -> Iterator[Sandbox]:
    """Run a sandbox billing with its journal in `folder`, on a free port unless one is given; `settings` as in its TOML file."""
    sandbox = Sandbox(folder, port, accounts, {"calculate_after": 0.0, "bill_after": 0.0} | settings).start()
    try:
        yield sandbox
    finally:
        if sandbox.process is not None:
            sandbox.kill()


class Listener:
    """A real HTTP server that keeps what is posted to it and answers with the statuses given, then with 200."""

    def __init__(self, statuses: Sequence[int] = (), port: int = 0) -> None:
        self.posts: list[tuple[dict[str, str], Any]] = []
        self.statuses = list(statuses)
        listener = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = listener.statuses.pop(0) if listener.statuses else 200
                listener.posts.append(
                    ({name.lower(): value for name, value in self.headers.items()} | {":status": str(status)}, json.loads(body))
                )
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/v1/settlements"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def settlements(self) -> list[dict[str, Any]]:
        """Every settlement of every call that was answered 200, in order."""
        return [one for heads, body in list(self.posts) if heads[":status"] == "200" for one in body["settlements"]]


@contextmanager
def raw_peer(answer: bytes | Callable[[socket.socket], None]) -> Iterator["RawPeer"]:
    """A socket server: reads one request per connection, then sends these bytes and closes, or does as the function says."""
    peer = RawPeer(answer)
    try:
        yield peer
    finally:
        peer.close()


class RawPeer:
    """The server behind `raw_peer`: `url`, and the requests it has read."""

    def __init__(self, answer: bytes | Callable[[socket.socket], None]) -> None:
        self.requests: list[bytes] = []
        self._answer = answer
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        with suppress(OSError):  # it may have been closed before
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.requests.append(read_request(connection))
                if callable(self._answer):
                    self._answer(connection)
                else:
                    connection.sendall(self._answer)
            except OSError:
                return  # the caller hung up, which is what many of these tests are about


def read_request(connection: socket.socket) -> bytes:
    """Read one HTTP request with a Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data and (more := connection.recv(65536)):
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < lengths[0] and (more := connection.recv(65536)):
        body += more
    return head + b"\r\n\r\n" + body


def refused_url() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        return f"http://127.0.0.1:{door.getsockname()[1]}"
