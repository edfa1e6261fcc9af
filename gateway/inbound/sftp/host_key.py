"""The server's own key: made once, kept in the data folder, so that partners can pin it."""

import os
from pathlib import Path

import asyncssh

from gateway.domain.problems import Misconfigured

NAME = "sftp_host_key"


def host_key(data: Path) -> asyncssh.SSHKey:
    """The host key in the data folder, made when there is none. Raises Misconfigured when it cannot be used."""
    path = data / NAME
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise Misconfigured(f"{path}: others may read the host key; chmod 600 it, or remove it if they have")
        return asyncssh.read_private_key(path)
    except (OSError, asyncssh.KeyImportError) as error:
        raise Misconfigured(f"{path}: the host key cannot be used: {error}") from error


def _make(path: Path) -> None:
    """Of two processes that make one at the same time the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{NAME}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
        file.flush()
        os.fsync(descriptor)
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
