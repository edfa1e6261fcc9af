"""The server's folder: its private parts, its socket, its lock and what postmaster.pid says."""

import contextlib
import fcntl
import hashlib
import os
import tempfile
from pathlib import Path

from gateway.domain.problems import Misconfigured
from gateway.postgres.account import Account, reaches
from gateway.postgres.tools import SYSTEM_FOLDER

LONGEST_SOCKET = 103  # bytes of a socket's path: sockaddr_un has 104 on macOS and 108 on Linux
LOG_SIZE = 10 * 1024 * 1024
LOGS_KEPT = 3


def default_folder(project_data: Path) -> Path:
    """Where the server's folder belongs: under `project_data`, and for root where an unprivileged account can reach it."""
    place = project_data.absolute()
    if os.geteuid() != 0:
        return place / "postgres"
    digest = hashlib.sha256(os.fsencode(place)).hexdigest()[:8]
    return SYSTEM_FOLDER / f"{place.parent.name or 'root'}-{digest}"


def make_folder(folder: Path, account: Account | None) -> None:
    """The outer folder, which the account must be able to pass, and its log folder."""
    if not folder.exists():
        folder.mkdir(parents=True, mode=0o755 if account else 0o700)
    if account is not None and not reaches(account, folder):
        raise Misconfigured(
            f"PostgreSQL runs as {account.name}, which cannot reach {folder}: a folder above it is private. "
            f"Choose a data folder under {SYSTEM_FOLDER}, or do not run as root"
        )
    make_private(folder / "log", account)


def make_private(folder: Path, account: Account | None) -> None:
    """A 0700 folder of the account."""
    folder.mkdir(mode=0o700, exist_ok=True)
    if account is not None:
        os.chown(folder, account.uid, account.gid)


def write_private(path: Path, text: str, account: Account | None) -> None:
    """Puts a 0600 file in place as a whole."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # root follows no link that the account laid
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
        if account is not None:
            os.fchown(descriptor, account.uid, account.gid)
    fresh.replace(path)


def make_socket_folder(folder: Path, account: Account | None) -> None:
    """`run/`, or a short private folder when the path would be too long for a socket; which one stands in `socket`."""
    place = folder / "run"
    if len(os.fsencode(place / ".s.PGSQL.5432")) <= LONGEST_SOCKET:
        make_private(place, account)
    elif socket_is_private(folder, account):
        return
    else:
        place = Path(tempfile.mkdtemp(prefix="metergate-"))
        make_private(place, account)
    write_private(folder / "socket", str(place), None)


def socket_is_private(folder: Path, account: Account | None) -> bool:
    """Whether the recorded folder is still there and still only the server's."""
    try:
        facts = Path((folder / "socket").read_text("utf-8")).lstat()
    except FileNotFoundError:
        return False
    return facts.st_mode == 0o040700 and facts.st_uid == (account.uid if account else os.geteuid())


def socket_is_there(folder: Path) -> bool:
    """Whether the recorded folder holds a socket."""
    with contextlib.suppress(FileNotFoundError):
        return Path((folder / "socket").read_text("utf-8"), ".s.PGSQL.5432").exists()
    return False


def take_lock(path: Path) -> int | None:
    """The folder's lock, None when another holds it; the kernel lets it go when its process dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def pid_file(data: Path) -> list[str]:
    """The lines of postmaster.pid, none when there is no such file."""
    try:
        return (data / "postmaster.pid").read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []


def running(data: Path) -> int | None:
    """The process id in postmaster.pid, if it really is a postmaster of this folder and not a zombie or a stranger."""
    lines = pid_file(data)
    if not lines or not lines[0].isdigit():
        return None
    pid = int(lines[0])
    try:
        os.kill(pid, 0)
        return pid if not Path("/proc/self").exists() or Path(f"/proc/{pid}/cwd").readlink() == data.resolve() else None
    except (ProcessLookupError, FileNotFoundError):
        return None
    except PermissionError:
        return pid


def ready(data: Path) -> bool:
    """The postmaster writes its state as the eighth line of its pid file."""
    return running(data) is not None and [line.strip() for line in pid_file(data)[7:8]] == ["ready"]


def forget_stale(folder: Path) -> None:
    """PostgreSQL itself passes over a dead pid, but takes a zombie's or a stranger's (a new container's) for its own."""
    if running(folder / "data") is None:
        (folder / "data" / "postmaster.pid").unlink(missing_ok=True)
        Path((folder / "socket").read_text("utf-8"), ".s.PGSQL.5432.lock").unlink(missing_ok=True)


def rotate(log: Path) -> None:
    """Puts a large log aside at a start and keeps the last few."""
    if log.exists() and log.stat().st_size > LOG_SIZE:
        for number in range(LOGS_KEPT, 0, -1):
            older = log if number == 1 else log.with_suffix(f".log.{number - 1}")
            if older.exists():
                older.replace(log.with_suffix(f".log.{number}"))
