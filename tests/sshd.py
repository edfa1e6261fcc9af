"""A real OpenSSH server for tests: keys of its own, its users' folder, and a way to end a session at a chosen request."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from tests.peers import until

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or "/usr/sbin/sshd"
CUTTER = Path(__file__).with_name("sftp_cutter.py")
CONFIG = """
ListenAddress 127.0.0.1
Port {port}
HostKey {keys}/host
PidFile none
AuthorizedKeysFile {keys}/user.pub
StrictModes no
AllowUsers {user}
PermitRootLogin prohibit-password
PasswordAuthentication yes
KbdInteractiveAuthentication no
LogLevel VERBOSE
SetEnv SHLVL=2
Subsystem sftp internal-sftp
"""
"""`SHLVL` keeps a user's bash from reading its start-up file, which may be slow or speak."""


class Sshd:
    """A running server. `folder` is what its user sees: as `/` when `jailed`, else under its own path (`path` says which)."""

    def __init__(self, keys: Path, folder: Path, *, jailed: bool, denied: str) -> None:
        """Make the keys; as root the user in the jail is `nobody`, otherwise it is whoever runs the tests."""
        self.keys = keys
        self.folder = folder
        self.jailed = jailed
        self.denied = denied
        self.user = "nobody" if jailed else getpass.getuser()
        self.host = "127.0.0.1"
        self.port = 0
        self.key_file = str(keys / "user")
        self._process: subprocess.Popen[bytes] | None = None
        self.new_key("user")
        self.new_key("host")

    @property
    def host_key(self) -> str:
        """The server's line of a known_hosts file."""
        kind, key, *_ = (self.keys / "host.pub").read_text("ascii").split()
        return f"[{self.host}]:{self.port} {kind} {key}"

    @property
    def log(self) -> str:
        """All that the server wrote to its log since it was started last."""
        return (self.keys / "log").read_text("utf-8", "replace")

    def new_key(self, name: str) -> None:
        """Make a new pair of keys of this name: `host` or `user`."""
        for old in self.keys.glob(f"{name}*"):
            old.unlink()
        keygen = shutil.which("ssh-keygen") or "ssh-keygen"
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(self.keys / name)], check=True)

    def path(self, name: str) -> str:
        """How the user names something in the folder."""
        return f"/{name}" if self.jailed else str(self.folder / name)

    def make(self, name: str) -> Path:
        """Make a folder that the user may write to."""
        made = self.folder / name
        made.mkdir()
        if self.jailed:
            shutil.chown(made, self.user)
        return made

    def start(self) -> Self:
        """Start it, on the port it had before if it had one, and wait until it says that it listens."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # what the server's parts of lesser rights are shut into
        self.port = self.port or _free_port()
        force = f"{sys.executable} -I -S {CUTTER} {self.keys / 'cut'}"
        if self.jailed:
            force = f"internal-sftp -P {self.denied}" if self.denied else "internal-sftp"
        jail = f"ChrootDirectory {self.folder}\n" if self.jailed else ""
        config = self.keys / "config"
        config.write_text(CONFIG.format(port=self.port, keys=self.keys, user=self.user) + f"{jail}ForceCommand {force}\n", "utf-8")
        patient = ["-o", "PerSourcePenalties=no"]  # known from OpenSSH 9.8 on, which shuts out who hangs up too often
        known = subprocess.run([SSHD, "-t", "-f", str(config), *patient], capture_output=True, check=False).returncode == 0
        with (self.keys / "log").open("wb") as log:
            command = [SSHD, "-D", "-e", "-f", str(config), *(patient if known else [])]
            self._process = subprocess.Popen(command, stderr=log, stdin=subprocess.DEVNULL)
        until(lambda: "Server listening" in self.log or self._ended(), "sshd listens")
        if self._ended():
            raise AssertionError(f"sshd did not start: {self.log[-2000:]}")
        return self

    def stop(self) -> None:
        """Kill it with all its sessions."""
        if self._process is not None:
            sessions = self._sessions()
            self._process.kill()
            self._process.wait()
            self._process = None
            for session in sessions:
                with suppress(ProcessLookupError):
                    os.kill(session, signal.SIGKILL)

    def cut(self, request: str, when: str) -> None:
        """End the next session that makes this request (`open`, `read`, `write`, `rename`), `before` or `after` it is carried out.

        `never` lets the session be but answers it no more. For a server that is not jailed.
        """
        (self.keys / "cut").write_text(f"{request} {when}", "ascii")

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _sessions(self) -> list[int]:
        """The processes of this server's sessions, the oldest first."""
        pairs = _processes()
        found = [self._process.pid] if self._process else []
        for one in found:
            found += [child for parent, child in pairs if parent == one]
        return found[1:]


@contextmanager
def running_sshd(*, jailed: bool | None = None, denied: str = "") -> Iterator[Sshd]:
    """Run a server; in a jail when that is possible (it takes root) unless told otherwise. `denied`: requests it refuses in a jail."""
    root = os.geteuid() == 0
    home = Path(tempfile.mkdtemp(prefix="metergate-sftp-", dir=_place() if root else None))
    home.chmod(0o755)
    keys, folder = home / "keys", home / "jail"
    keys.mkdir()
    folder.mkdir()
    server = Sshd(keys, folder, jailed=root if jailed is None else jailed, denied=denied)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


def _processes() -> list[tuple[int, int]]:
    """Every process there is, as parent and child."""
    if not Path("/proc/self/stat").exists():
        listed = subprocess.run(["/bin/ps", "-eo", "ppid=,pid="], capture_output=True, text=True, check=True).stdout
        return [(int(parent), int(child)) for parent, child in (line.split() for line in listed.splitlines())]
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            found.append((int(file.read_text("utf-8", "replace").rpartition(")")[2].split()[1]), int(file.parent.name)))
    return found


def _place() -> str:
    """Where a jail may be: every folder above it must be root's, which a temporary folder's is not."""
    return next(place for place in ("/run", "/srv", "/var/lib") if os.access(place, os.W_OK))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        return int(door.getsockname()[1])
