"""Runs the sandbox billing: `metergate sandbox` ends up here."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.sandbox.app import application
from gateway.sandbox.books import Books
from gateway.sandbox.config import SandboxConfig, SandboxFailed, load
from gateway.sandbox.drop import Drop
from gateway.sandbox.journal import Journal
from gateway.sandbox.steering import Steering
from gateway.sandbox.teller import Teller


def main(
    config: Path | None = None,
    *,
    host: str | None = None,
    port: int | None = None,
    journal: Path | None = None,
    calculate_after: float | None = None,
    bill_after: float | None = None,
    control_token: str | None = None,
    accounts: Sequence[str] = (),
) -> None:
    """Run a sandbox from a TOML file with these values laid over it, until SIGTERM or SIGINT. Raises SandboxFailed when it cannot start.

    `accounts`: each `NAME:TOKEN` or `NAME:TOKEN:SETTLE_URL:SETTLE_KEY`.
    """
    overrides = {
        "host": host,
        "port": port,
        "journal": journal,
        "calculate_after": calculate_after,
        "bill_after": bill_after,
        "control_token": control_token,
    }
    serve(load(config, accounts, overrides))


def serve(config: SandboxConfig) -> None:
    """Listen, say where in one line, and serve until SIGTERM or SIGINT. Raises SandboxFailed when it cannot start."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", level=logging.WARNING)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    with Journal(config.journal) as journal, _listen(config) as door:
        books, steering = Books(config, journal), Steering()
        for account in config.accounts:
            if account.settle_url:
                Teller(account, books).start()
            if account.drop:
                Drop(account, books, steering).start()
        said = []
        if config.sftp_port is not None:
            from gateway.sandbox.sftp import SftpDoor  # noqa: PLC0415 - half a second that the others need not wait

            said.append(f"sandbox sftp on {SftpDoor(config).open()}")
        app = application(config, books, steering)
        settings = uvicorn.Config(
            app,
            http=CuttableProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        _Server(settings, said).run(sockets=[door])


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, said: Sequence[str]) -> None:
        super().__init__(config)
        self._said = said

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        for door in sockets or ():
            host, port = door.getsockname()[:2]
            print(f"sandbox listening on http://{f'[{host}]' if ':' in host else host}:{port}", flush=True)  # noqa: T201 - callers read it
        for line in self._said:
            print(line, flush=True)  # noqa: T201 - the same


class CuttableProtocol(HttpToolsProtocol):
    """Gives the application a way to cut the caller's connection, as a crash would: `scope["state"]["cut"]()`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember how to cut this connection."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "cut": transport.abort}


def _listen(config: SandboxConfig) -> socket.socket:
    try:
        return socket.create_server((config.host, config.port), backlog=512)
    except OSError as error:
        raise SandboxFailed(f"{config.host}:{config.port}: {error.strerror or error}") from error


def _leave(number: int, frame: FrameType | None) -> None:
    """Leave with code 0: asked to stop is not a failure. While it runs, the server puts its own drain before this."""
    del number, frame
    sys.exit(0)
