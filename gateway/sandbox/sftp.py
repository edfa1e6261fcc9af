"""The sandbox billing's SFTP server: each account finds its drop there, shut in; its user is the account, its password the token."""

import asyncio
import hmac
import os
import socket
import threading
from pathlib import Path

import asyncssh

from gateway.sandbox.config import SandboxConfig, SandboxFailed


def host_key(path: Path) -> str:
    """The public key of the server whose key is in this file, as a known_hosts file has it; made when missing. Raises SandboxFailed."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{path.name}.{os.getpid()}.part")
            part.touch(mode=0o600)
            asyncssh.generate_private_key("ssh-ed25519").write_private_key(part)
            part.replace(path)
        return " ".join(asyncssh.read_private_key(path).export_public_key().decode("ascii").split()[:2])
    except (OSError, asyncssh.KeyImportError) as error:
        raise SandboxFailed(f"{path}: {error}") from error


class SftpDoor:
    """The server, in a thread of its own that dies with the process."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._key = Path(config.sftp_host_key or f"{config.journal}.host_key")
        self._drops = {account.name: account for account in config.accounts if account.drop}

    def open(self) -> str:
        """Listen; return the server's line of a known_hosts file, which names its port. Raises SandboxFailed."""
        key = host_key(self._key)
        try:
            door = socket.create_server((self._config.host, self._config.sftp_port or 0))
        except OSError as error:
            raise SandboxFailed(f"sftp {self._config.host}:{self._config.sftp_port}: {error.strerror or error}") from error
        threading.Thread(target=asyncio.run, args=(self._serve(door),), name="sftp", daemon=True).start()
        host, port = door.getsockname()[:2]
        return f"[{host}]:{port} {key}"

    async def _serve(self, door: socket.socket) -> None:
        server = await asyncssh.listen(
            sock=door,
            server_factory=lambda: _Session(self),
            server_host_keys=[str(self._key)],
            sftp_factory=self._folder,
            allow_scp=False,
        )
        await server.wait_closed()

    def knows(self, name: str, password: str) -> bool:
        """Tell whether there is a drop for this account and this is its token."""
        account = self._drops.get(name)
        return account is not None and hmac.compare_digest(account.token.encode(), password.encode())

    def _folder(self, channel: "asyncssh.SSHServerChannel[bytes]") -> "_Folder":
        name = channel.get_extra_info("username")
        return _Folder(channel, chroot=os.fsencode(Path(self._drops[name].drop).resolve()))


class _Session(asyncssh.SSHServer):
    def __init__(self, door: SftpDoor) -> None:
        self._door = door

    def begin_auth(self, username: str) -> bool:
        del username
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return self._door.knows(username, password)


class _Folder(asyncssh.SFTPServer):
    """An account's drop; nothing in it may point elsewhere."""

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        del oldpath, newpath
        raise asyncssh.SFTPPermissionDenied("no links here")

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        del oldpath, newpath
        raise asyncssh.SFTPPermissionDenied("no links here")
