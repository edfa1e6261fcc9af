"""The listener and its doorkeeper: who may open a session, how many at once, and when one has to go."""

import asyncio
import hmac
import logging
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Final

import asyncssh
import uvloop

from gateway.domain.problems import Misconfigured, Unavailable
from gateway.inbound.drop import folders
from gateway.inbound.sftp.host_key import host_key
from gateway.inbound.sftp.room import Room
from gateway.inbound.sftp.session import PartnerFiles, Session
from gateway.inbound.sftp.view import View
from gateway.settings import Settings
from gateway.store import Store, drops, people
from gateway.store.drops import Login
from gateway.store.people import Sender

log = logging.getLogger("metergate")

GRACE: Final = 20
"""Seconds to log in."""
FAILURES: Final = 6
"""Wrong passwords and keys after which a connection is closed."""
CONNECTIONS: Final = 256
STRANGERS: Final = 64
"""Connections of any origin that have not logged in yet."""
STRANGERS_OF_ONE: Final = 10
"""The same of one address."""
CONNECTIONS_OF_ONE: Final = 16
"""Connections of one login."""
SESSIONS: Final = 8
"""Channels of one connection."""
SIGNATURES: Final = (
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_NOBODY: Final = b"\0" * 32


class House:
    """What all connections share: the settings, the credentials, and who is in."""

    def __init__(self, settings: Settings, every: Store, folder: Path) -> None:
        """Nobody is in yet."""
        self.settings, self.every, self.folder = settings, every, folder
        self.inside: set[Doorkeeper] = set()
        self._rooms: dict[int, Room] = {}

    def room_for(self, guest: "Doorkeeper") -> bool:
        """Whether one more connection of that address may try to log in."""
        strangers = Counter(one.address for one in self.inside if one.sender is None)
        return len(self.inside) < CONNECTIONS and strangers.total() < STRANGERS and strangers[guest.address] < STRANGERS_OF_ONE

    def room_of(self, credential: int) -> Room:
        """What a partner may take up, shared by all its sessions."""
        sftp = self.settings.sftp
        return self._rooms.setdefault(credential, Room(sftp.partner_bytes, sftp.partner_files))

    def login(self, name: str) -> Login | None:
        """A valid login as the database knows it now; None when there is none or the database is away."""
        try:
            with self.every.transaction() as connection:
                return drops.login(connection, name)
        except Unavailable as error:
            log.warning("sftp.unavailable", extra={"facts": {"why": str(error)}})
            return None

    async def watch(self) -> None:
        """Every scan, close the connections of those who have lost their right and of those who do nothing."""
        while True:
            await asyncio.sleep(self.settings.sftp.scan)
            known = {guest.sender.credential_id for guest in self.inside if guest.sender is not None}
            try:
                valid = await asyncio.to_thread(self._valid) if known else {}
            except Unavailable:
                continue
            for guest in list(self.inside):
                if guest.sender is not None and valid.get(guest.sender.credential_id) != guest.sender:
                    guest.send_away("the right was taken away")
                elif time.monotonic() - guest.seen > self.settings.sftp.idle:
                    guest.send_away("idle")

    def _valid(self) -> dict[int, Sender]:
        with self.every.transaction() as connection:
            return drops.partners(connection)


class Doorkeeper(asyncssh.SSHServer):
    """One connection: lets in whom the credentials let in, and only to its own drop."""

    def __init__(self, house: House) -> None:
        """Nobody has logged in yet."""
        self.house = house
        self.address = ""
        self.sender: Sender | None = None
        self.seen = time.monotonic()
        self._connection: asyncssh.SSHServerConnection | None = None
        self._failures = 0
        self._passed: tuple[str, Sender] | None = None
        self._sessions = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Count it, or show it the door when the house is full."""
        self._connection = conn
        self.address = str(conn.get_extra_info("peername", ("",))[0])
        if not self.house.room_for(self):
            log.warning("sftp.full", extra={"facts": {"address": self.address}})
            conn.abort()
            return
        self.house.inside.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        del exc
        self.house.inside.discard(self)

    def send_away(self, why: str) -> None:
        """Close the connection whatever it does; a file that it was writing is not kept."""
        log.info("sftp.sent_away", extra={"facts": {"why": why, "principal": self.sender.principal if self.sender else ""}})
        self.house.inside.discard(self)
        if self._connection is not None:
            self._connection.abort()

    def begin_auth(self, username: str) -> bool:
        """Everybody has to say who it is."""
        del username
        return True

    def password_auth_supported(self) -> bool:
        """Passwords are made by us: long and random."""
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        """Compare the hash, of nobody's password when there is no such login."""
        login = await asyncio.to_thread(self.house.login, username)
        known = login.secret_hash if login is not None and login.kind == "sftp" else _NOBODY
        return self._judge(username, login, hmac.compare_digest(known, people.digest(password)))

    def public_key_auth_supported(self) -> bool:
        """Keys too."""
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """The same with a key; that the client holds its private half is proved to the library."""
        login = await asyncio.to_thread(self.house.login, username)
        known = login.secret_hash if login is not None and login.kind == "ssh_key" else _NOBODY
        return self._judge(username, login, hmac.compare_digest(known, people.key_digest(username, key.public_data)))

    def _judge(self, username: str, login: Login | None, right: bool) -> bool:  # noqa: FBT001 - the verdict itself
        if right and login is not None:
            self._passed = (username, login.sender)
            return True
        self._failures += 1
        if self._failures >= FAILURES:
            log.warning("sftp.too_many_failures", extra={"facts": {"address": self.address}})
            raise asyncssh.PermissionDenied("Too many failures")
        return False

    def auth_completed(self) -> None:
        """Whoever passed is in, unless it is in too often already."""
        if self._connection is None or self._passed is None or self._passed[0] != self._connection.get_extra_info("username"):
            raise asyncssh.PermissionDenied("Not logged in")
        sender = self._passed[1]
        if sum(one.sender == sender for one in self.house.inside) >= CONNECTIONS_OF_ONE:
            raise asyncssh.DisconnectError(asyncssh.DISC_TOO_MANY_CONNECTIONS, "Too many connections of this login")
        self.sender, self.seen = sender, time.monotonic()

    def session_requested(self) -> Session:
        """A session of files."""
        self._sessions += 1
        if self.sender is None or self._sessions > SESSIONS:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "No more sessions")
        return Session(self._files)

    def _files(self, channel: object) -> PartnerFiles:
        if self.sender is None:
            raise PermissionError("Not logged in")
        drop = folders.open_drop(self.house.folder, self.sender.credential_id)
        room, limit, scopes = self.house.room_of(self.sender.credential_id), self.house.settings.limits.file_bytes, self.sender.scopes
        return PartnerFiles(channel, View(drop, room, limit, may_write="submit" in scopes, may_read="read" in scopes), self._touched)

    def _touched(self) -> None:
        self.seen = time.monotonic()


@contextmanager
def serving(settings: Settings, every: Store, folder: Path) -> Iterator[str]:
    """Serve the drops in `folder` until the end of the context; gives the address with the fingerprint of the host key.

    `every`: a store of the worker's role. Raises Misconfigured when the port or the host key cannot be used.
    """
    asyncssh.set_log_level(logging.WARNING)  # it tells of every request at the next level
    key = host_key(settings.data)
    listening = _listen(settings)
    host, port = listening.getsockname()[:2]
    loop = uvloop.new_event_loop()
    stopping = asyncio.Event()
    house = House(settings, every, folder)
    thread = Thread(target=_run, args=(loop, house, listening, key, stopping), name="sftp")
    thread.start()
    try:
        yield f"sftp://{f'[{host}]' if ':' in host else host}:{port} {key.get_fingerprint()}"
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join()


def _run(loop: asyncio.AbstractEventLoop, house: House, listening: socket.socket, key: asyncssh.SSHKey, stopping: asyncio.Event) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(_serve(house, listening, key, stopping))
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


async def _serve(house: House, listening: socket.socket, key: asyncssh.SSHKey, stopping: asyncio.Event) -> None:
    acceptor = await asyncssh.listen(
        sock=listening,
        server_factory=lambda: Doorkeeper(house),
        server_host_keys=[key],
        server_version="Metergate",
        compression_algs=["none"],
        signature_algs=SIGNATURES,
        login_timeout=GRACE,
        keepalive_interval=30,
        keepalive_count_max=3,
        kbdint_auth=False,
        host_based_auth=False,
        gss_host=None,
        allow_pty=False,
        agent_forwarding=False,
        x11_forwarding=False,
        encoding=None,
        config=None,
    )
    watch = asyncio.create_task(house.watch())
    await stopping.wait()
    watch.cancel()
    acceptor.close()
    for guest in list(house.inside):
        guest.send_away("the server stops")
    await acceptor.wait_closed()


def _listen(settings: Settings) -> socket.socket:
    """Bind before anything is promised, so that a port in use is said at once and port 0 is known."""
    listening = socket.socket(socket.AF_INET6 if ":" in settings.sftp.host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.sftp.host, settings.sftp.port or 0))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        raise Misconfigured(f"cannot listen on sftp {settings.sftp.host}:{settings.sftp.port}: {error}") from error
    return listening
