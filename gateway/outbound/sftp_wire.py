"""A connection to one SFTP server whose host key is pinned, what its failures come to, and a file read whole or not at all."""

import errno
import logging
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep
from typing import Final

import msgspec
import paramiko
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey
from paramiko.ssh_exception import IncompatiblePeer

from gateway.domain.problems import Misconfigured, Unavailable

log = logging.getLogger("metergate")

OPERATOR: Final = frozenset({errno.ENOENT, errno.EACCES})
"""Refusals of the server that time does not mend: no such folder, no right to it."""
BROKEN: Final = (paramiko.SSHException, paramiko.SFTPError, EOFError, OSError, ValueError, IndexError, struct.error)
"""How a connection or its other end fails; the last three are what an answer that is no SSH or SFTP comes to."""
WIRE_LOG: Final = "paramiko.metergate"
"""Where the library tells of its connections; what matters there is raised too, so it is heard only by who wants everything."""
logging.getLogger(WIRE_LOG).addFilter(lambda _: log.isEnabledFor(logging.DEBUG))
_PIECE: Final = 32 * 1024
"""Bytes asked for at once: every server answers that many."""
_WINDOW: Final = 64
"""So many pieces are on their way together and in memory at most."""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where to connect and as whom. `name`: what messages call it; `pinned`: the only host keys accepted; `timeout`: seconds for a step."""

    name: str
    host: str
    port: int
    user: str
    password: str
    key: paramiko.PKey | None
    pinned: tuple[paramiko.PKey, ...]
    timeout: float


class Step:
    """At what an attempt is: `doing` names it, `sent` says whether the other end may have what it was to get."""

    def __init__(self) -> None:
        """Nothing was done yet."""
        self.sent = False
        self.doing = "connecting"


@contextmanager
def attempt(server: Server, step: Step, seconds: float) -> Iterator[paramiko.SFTPClient]:
    """A connection for one attempt, which ends when its time is over; whatever goes wrong is one of the three errors."""
    late = monotonic() + seconds
    try:
        with _connection(server, late) as files:
            yield files
    except paramiko.BadHostKeyException as error:
        raise Misconfigured(f"{server.name}: another host key than `host_key`: {_print(error.key)}, nothing was sent") from error
    except IncompatiblePeer as error:
        raise Misconfigured(f"{server.name}: {error}") from error
    except paramiko.AuthenticationException as error:
        if "EOF" in str(error) or "timeout" in str(error):  # paramiko's words for a peer that went away meanwhile
            raise Unavailable(f"{server.name}: {error}", sent=False) from error
        raise Misconfigured(f"{server.name}: {error}") from error
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno in OPERATOR and not step.sent:
            raise Misconfigured(f"{server.name}: {step.doing}: {error.strerror}") from error
        why = f"not done within {seconds:g} s" if monotonic() >= late else str(error) or type(error).__name__
        raise Unavailable(f"{server.name}: {step.doing}: {why}", sent=step.sent) from error


def whole(files: paramiko.SFTPClient, path: str, marker: str, stable: float) -> Iterator[bytes]:
    """A file of the server, piece by piece in flat memory; its size and time must not change from `stable` seconds before until its end.

    `marker`: a file that must be there and no older, if one is named. Raises OSError when there is no file, or it changed: then what was
    yielded is not the file.
    """
    before = _version(files, path)
    if marker and _version(files, marker)[1] < before[1]:
        raise OSError(f"it is newer than {marker}")
    sleep(stable)
    size, read = before[0], 0
    if _version(files, path) != before:
        raise OSError("it is still being written")
    with files.open(path, "rb") as file:
        for start in range(0, size, _PIECE * _WINDOW):
            end = min(start + _PIECE * _WINDOW, size)
            for piece in file.readv([(at, min(_PIECE, end - at)) for at in range(start, end, _PIECE)]):
                read += len(piece)
                yield piece
    if read != size or _version(files, path) != before:
        raise OSError(f"it changed while it was read: {read} of {size} bytes came")


def _version(files: paramiko.SFTPClient, path: str) -> tuple[int, int]:
    """Size and time of a file."""
    try:
        there = files.stat(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(error.errno, f"{path}: {error.strerror}") from error
    return there.st_size or 0, there.st_mtime or 0


def pinned(host_key: str) -> tuple[paramiko.PKey, ...]:
    """The keys of a `host_key`: lines of a known_hosts file, or of a public key. Raises ValueError."""
    keys: list[paramiko.PKey] = []
    for line in host_key.splitlines():
        fields = line.split()
        if not fields or line.startswith("#"):
            continue
        bare = len(fields) > 1 and fields[1].startswith("AAAA")
        try:
            entry = HostKeyEntry.from_line(" ".join(["*", *fields] if bare else fields))
        except (InvalidHostKey, *BROKEN) as error:
            raise ValueError(f"host_key: no line of a known_hosts file: {line[:40]}...") from error
        if entry is None:
            raise ValueError(f"host_key: no line of a known_hosts file, or of a key of no known kind: {line[:40]}...")
        keys.append(entry.key)
    if not keys:
        raise ValueError("host_key: the line of a known_hosts file is wanted; ssh-keyscan shows it, its owner confirms it")
    return tuple(keys)


def private_key(file: str, passphrase: str) -> paramiko.PKey:
    """The private key in a file. Raises ValueError when there is none, or not with this passphrase."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key_file(file, passphrase or None)
        except OSError as error:
            raise ValueError(f"key_file: {error.strerror}") from error
        except (paramiko.SSHException, ValueError, TypeError, IndexError):
            continue  # of another kind, or no key at all, or another passphrase: the library does not tell them apart
    raise ValueError("key_file: no private key (Ed25519, ECDSA or RSA), or not with this passphrase")


@contextmanager
def _connection(server: Server, late: float) -> Iterator[paramiko.SFTPClient]:
    """Connect to the one host whose key is pinned. At the end of its time the socket is shut, under whatever waits for it."""
    wire = socket.create_connection((server.host, server.port), timeout=max(min(late - monotonic(), 10.0), 0.001))
    clock = threading.Timer(late - monotonic(), _cut, (wire,))
    clock.daemon = True
    clock.start()
    client = paramiko.SSHClient()
    client.set_log_channel(WIRE_LOG)
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    place = server.host if server.port == 22 else f"[{server.host}]:{server.port}"
    for key in server.pinned:
        client.get_host_keys().add(place, key.get_name(), key)
    try:
        client.connect(
            server.host,
            server.port,
            server.user,
            server.password or None,
            server.key,
            timeout=server.timeout,
            banner_timeout=server.timeout,
            auth_timeout=server.timeout,
            channel_timeout=server.timeout,
            allow_agent=False,
            look_for_keys=False,
            sock=wire,
        )
        yield client.open_sftp()
    finally:
        clock.cancel()
        client.close()
        wire.close()


def _cut(wire: socket.socket) -> None:
    with suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)


def _print(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.fingerprint}"
