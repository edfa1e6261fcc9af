"""The folders of a drop on disk: `in` and `out` of each credential, and a place aside for what is not yet or no longer seen.

Every file is reached through an open folder by its bare name, without following links; only plain files with one name are touched.
"""

import contextlib
import fcntl
import os
import secrets
import signal
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

ASIDE: Final = b".aside"
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class State(msgspec.Struct, frozen=True):
    """What a plain file looks like from outside: any change of its bytes, its name or its rights changes it."""

    inode: int
    size: int
    modified: int
    changed: int


class Strange(OSError):  # noqa: N818 - says what it is
    """The name belongs to no plain file of one name: a link, a folder, a pipe, a device."""


def why(error: OSError) -> str:
    """What the system says of it, without the name of the file."""
    return error.strerror or str(error)


class Drop(msgspec.Struct, frozen=True):
    """The open folders of one credential's drop."""

    inbox: int
    outbox: int
    aside: int

    def close(self) -> None:
        """Let the folders go."""
        for folder in (self.inbox, self.outbox, self.aside):
            os.close(folder)


@contextlib.contextmanager
def opened(folder: Path, credential: int) -> Iterator[Drop]:
    """The drop of a credential for a while, made when it is new. Raises OSError."""
    drop = open_drop(folder, credential)
    try:
        yield drop
    finally:
        drop.close()


def open_drop(folder: Path, credential: int) -> Drop:
    """Open the drop of a credential, made when it is new; whoever calls closes it. Raises OSError."""
    place = os.fsencode(folder / str(credential))
    folders: list[int] = []
    try:
        for path in (os.path.join(place, b"in"), os.path.join(place, b"out"), os.path.join(os.fsencode(folder), ASIDE)):  # noqa: PTH118 - bytes
            try:
                folders.append(os.open(path, _FOLDER))
            except FileNotFoundError:
                for level in (os.path.dirname(path), path):  # noqa: PTH120 - bytes
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(level, mode=0o700)  # noqa: PTH102 - bytes
                folders.append(os.open(path, _FOLDER))
    except BaseException:
        for one in folders:
            os.close(one)
        raise
    return Drop(*folders)


def state_of(facts: os.stat_result) -> State:
    """The state of a file by its stat. Raises Strange for what is no plain file of one name."""
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
        raise Strange("no plain file")
    return State(facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)


def look(folder: int, name: bytes) -> State:
    """The state of a file by its name. Raises Strange and OSError."""
    return state_of(os.stat(name, dir_fd=folder, follow_symlinks=False))


def read(folder: int, name: bytes, limit: int) -> tuple[State, bytes | None]:
    """A file's bytes at one moment, None when it changed meanwhile or somebody has it open to write; at most `limit` and one more.

    Raises Strange and OSError.
    """
    descriptor = os.open(name, _READ, dir_fd=folder)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        before = state_of(os.fstat(descriptor))
        if being_written(descriptor):
            return before, None
        body = bytearray()
        while len(body) <= limit and (piece := file.read(limit + 1 - len(body))):
            body += piece
        after = os.fstat(descriptor)
        same = stat.S_ISREG(after.st_mode) and State(after.st_ino, after.st_size, after.st_mtime_ns, after.st_ctime_ns) == before
        return before, bytes(body) if same else None


def being_written(descriptor: int) -> bool:
    """Whether somebody has this file open to write, as far as the system tells: a lease for readers is refused then."""
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # a breaking lease must not send SIGIO, which ends a process
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # another's file, or a file system without leases
    return False


def take_away(drop: Drop, name: bytes, state: State) -> bool:
    """Remove a file from `in` if it still is the one that was read. False: the sender has put another in its place, which stays."""
    aside = unseen()
    try:
        now = look(drop.inbox, name)
        if (now.inode, now.size, now.modified) != (state.inode, state.size, state.modified):
            return False
        os.rename(name, aside, src_dir_fd=drop.inbox, dst_dir_fd=drop.aside)
    except FileNotFoundError:
        return True
    except Strange:
        return False
    with contextlib.suppress(FileNotFoundError):
        if _untouched(drop.aside, aside, state):
            os.unlink(aside, dir_fd=drop.aside)
            return True
        with contextlib.suppress(FileExistsError):  # and by now a third one, which then is the newest
            os.link(aside, name, src_dir_fd=drop.aside, dst_dir_fd=drop.inbox, follow_symlinks=False)
        os.unlink(aside, dir_fd=drop.aside)
    return False


def _untouched(folder: int, name: bytes, state: State) -> bool:
    """The same bytes as read, and nobody who could still write to them; its new name alone has changed its time of change."""
    try:
        descriptor = os.open(name, _READ, dir_fd=folder)
    except OSError:
        return False
    try:
        now = state_of(os.fstat(descriptor))
        return (now.inode, now.size, now.modified) == (state.inode, state.size, state.modified) and not being_written(descriptor)
    except Strange:
        return False
    finally:
        os.close(descriptor)


def put(drop: Drop, name: bytes, body: bytes) -> None:
    """Put a file into `out` whole or not at all, over whatever had its name. Raises OSError."""
    aside, descriptor = new_aside(drop)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            view = memoryview(body)
            while view:
                view = view[file.write(view) :]
            os.fchmod(file.fileno(), 0o644)
            os.fdatasync(file.fileno())
            os.rename(aside, name, src_dir_fd=drop.aside, dst_dir_fd=drop.outbox)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(aside, dir_fd=drop.aside)
        raise


def clear(drop: Drop, name: bytes) -> None:
    """Remove what was said about an earlier file of that name, if it is there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=drop.outbox)


def unseen() -> bytes:
    """A name for something aside."""
    return secrets.token_hex(16).encode("ascii")


def new_aside(drop: Drop) -> tuple[bytes, int]:
    """A new file aside, its name and its descriptor; it is held by a lock that the kernel drops with this process."""
    while True:
        name = unseen()
        descriptor = os.open(name, _NEW, 0o600, dir_fd=drop.aside)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return name, descriptor
        except BlockingIOError:
            pass  # a sweep is looking at it just now and will remove it
        os.close(descriptor)


def sweep(folder: Path) -> int:
    """Remove what dead processes left aside; the number of files removed."""
    swept = 0
    place = os.open(folder / os.fsdecode(ASIDE), _FOLDER)
    try:
        for name in os.listdir(place):  # noqa: PTH208 - an open folder, and names as they are
            with contextlib.suppress(OSError):
                descriptor = os.open(name, _READ, dir_fd=place)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(name, dir_fd=place)
                    swept += 1
                finally:
                    os.close(descriptor)
    finally:
        os.close(place)
    return swept
