"""What one partner sees of its drop and may do there: `/in` and `/out`, flat, by bare names; a new file shows when it is finished.

Errors are OSError with the number that says it best; nothing here knows the protocol.
"""

import contextlib
import errno
import os
import posixpath
from collections.abc import Iterator
from typing import Final

from gateway.inbound.drop import folders
from gateway.inbound.drop.folders import Drop
from gateway.inbound.drop.names import LONGEST, in_the_making
from gateway.inbound.sftp.room import Room

INBOX, OUTBOX = b"in", b"out"
_BEGIN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Upload:
    """A file that is being written, aside; `finish` shows it under its name, `abandon` leaves nothing.

    One whose name says that it is in the making stays for its sender to go on with: nobody takes it.
    """

    def __init__(self, drop: Drop, room: Room, name: bytes, limit: int, *, keep: bool, append: bool) -> None:
        """`room` has let it begin; `keep`: begin with what is there; `append`: each piece goes to the end, whatever its place."""
        self.drop, self.room, self.name, self.limit, self.append = drop, room, name, limit, append
        self.size = 0
        try:
            self.aside, self.descriptor = folders.new_aside(drop)
        except OSError:
            room.end(0, kept=False)
            raise
        try:
            if keep:
                self._copy()
        except BaseException:
            self.abandon(lost=False)
            raise

    def write(self, offset: int, data: bytes) -> int:
        """Write a piece. Raises OSError beyond a limit (EFBIG, EDQUOT) and when the disk is full, and gives the disk back at once."""
        offset = self.size if self.append else offset
        self._hold(offset + len(data))
        written = 0
        try:
            while written < len(data):
                written += os.pwrite(self.descriptor, data[written:] if written else data, offset + written)
        except OSError:
            self._spoil()
            raise
        return written

    def cut(self, size: int) -> None:
        """Make it exactly so long."""
        self._hold(size)
        os.ftruncate(self.descriptor, size)
        self.room.give(self.size - size)
        self.size = size

    def _hold(self, size: int) -> None:
        """Be at least so long from now on, if that is allowed."""
        if size > self.limit:
            self._spoil()
            raise OSError(errno.EFBIG, "File too large")
        if size > self.size:
            try:
                self.room.take(self.drop.inbox, size - self.size)
            except OSError:
                self._spoil()
                raise
            self.size = size

    def _spoil(self) -> None:
        """Nothing more is taken of it, and it is never shown."""
        self.limit = -1
        self.room.give(self.size)
        self.size = 0
        os.ftruncate(self.descriptor, 0)

    def finish(self) -> None:
        """Show the file under its name, over the one that was there. Raises OSError when a piece of it could not be written."""
        if self.limit < 0:
            self.abandon(lost=False)
            raise OSError(errno.EIO, "Not all of it was written")
        try:
            os.rename(self.aside, self.name, src_dir_fd=self.drop.aside, dst_dir_fd=self.drop.inbox)
        except OSError:
            self.abandon(lost=False)
            raise
        self.room.end(self.size, kept=True)
        os.close(self.descriptor)

    def abandon(self, *, lost: bool) -> None:
        """Leave nothing of it; when the connection was `lost`, what is in the making anyway stays as far as it came."""
        if lost and in_the_making(self.name) and self.limit >= 0:
            self.finish()
            return
        self.room.end(self.size, kept=False)
        os.close(self.descriptor)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.aside, dir_fd=self.drop.aside)

    def _copy(self) -> None:
        try:
            source = os.open(self.name, _BEGIN, dir_fd=self.drop.inbox)
        except FileNotFoundError:
            return
        try:
            folders.state_of(os.fstat(source))
            while piece := os.read(source, 1_048_576):
                self.write(self.size, piece)
        finally:
            os.close(source)


class View:
    """The drop of one partner, as it may see it."""

    def __init__(self, drop: Drop, room: Room, limit: int, *, may_write: bool, may_read: bool) -> None:
        """`room`: for all of its files; `limit`: bytes of one; `may_write`, `may_read`: into `/in`, from `/out`."""
        self.drop, self.room, self.limit, self.may_write, self.may_read = drop, room, limit, may_write, may_read

    @staticmethod
    def real(path: bytes) -> bytes:
        """The path as the partner sees it, absolute and without dots. Raises OSError for what can be none."""
        if b"\0" in path or len(path) > 4096:
            raise OSError(errno.ENOENT, "No such file")
        return b"/" + posixpath.normpath(b"/" + path).lstrip(b"/")

    def parts(self, path: bytes) -> tuple[bytes, bytes]:
        """The folder and the bare name that a path means, empty for the root and for a folder itself. Raises OSError."""
        parts = [part for part in self.real(path).split(b"/") if part]
        if len(parts) > 2 or (parts and parts[0] not in (INBOX, OUTBOX)):
            raise OSError(errno.ENOENT, "No such file")
        if len(parts) == 2 and len(parts[1]) > LONGEST:
            raise OSError(errno.ENAMETOOLONG, "File name too long")
        return (parts[0] if parts else b""), (parts[1] if len(parts) == 2 else b"")

    def stat(self, path: bytes) -> os.stat_result:
        """The facts of a folder or of a plain file. Raises OSError."""
        folder, name = self.parts(path)
        if not name:
            return os.fstat(self.drop.outbox if folder == OUTBOX else self.drop.inbox)
        return self._facts(self._descriptor(folder), name)

    def list(self, path: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
        """The names in a folder with their facts. Raises OSError."""
        folder, name = self.parts(path)
        if name:
            raise OSError(errno.ENOTDIR, "Not a folder")
        for dots in (b".", b".."):
            yield dots, os.fstat(self.drop.inbox)
        if not folder:
            yield INBOX, os.fstat(self.drop.inbox)
            yield OUTBOX, os.fstat(self.drop.outbox)
            return
        descriptor = self._descriptor(folder)
        with os.scandir(descriptor) as listing:
            for entry in listing:
                with contextlib.suppress(OSError):
                    yield os.fsencode(entry.name), self._facts(descriptor, os.fsencode(entry.name))

    def open_out(self, path: bytes) -> int:
        """A descriptor of a file in `/out` to read. Raises OSError."""
        folder, name = self.parts(path)
        if folder != OUTBOX or not name or not self.may_read:
            raise OSError(errno.EACCES, "Permission denied")
        descriptor = os.open(name, _BEGIN, dir_fd=self.drop.outbox)
        try:
            folders.state_of(os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def open_in(self, path: bytes, *, create: bool, new: bool, keep: bool, append: bool) -> Upload:
        """A file in `/in` to write: `new` must not be there yet, without `create` it must. Raises OSError."""
        name = self._mine(path)
        there = self._there(name)
        if there and new:
            raise OSError(errno.EEXIST, "File exists")
        if not there and not create:
            raise OSError(errno.ENOENT, "No such file")
        self.room.begin(self.drop.inbox, new=not there)
        return Upload(self.drop, self.room, name, self.limit, keep=keep, append=append)

    def remove(self, path: bytes) -> None:
        """Remove a file. Raises OSError."""
        folder, name = self.parts(path)
        allowed = self.may_read if folder == OUTBOX else self.may_write
        if not name or not allowed:
            raise OSError(errno.EACCES, "Permission denied")
        size = self._facts(self._descriptor(folder), name).st_size
        os.unlink(name, dir_fd=self._descriptor(folder))
        if folder == INBOX:
            self.room.removed(size)

    def rename(self, old: bytes, new: bytes, *, over: bool) -> None:
        """Give a file in `/in` another name there; `over`: whatever has that name already goes. Raises OSError."""
        source, target = self._mine(old), self._mine(new)
        self._facts(self.drop.inbox, source)
        if over:
            os.rename(source, target, src_dir_fd=self.drop.inbox, dst_dir_fd=self.drop.inbox)
        elif self._there(target):
            raise OSError(errno.EEXIST, "File exists")
        else:
            os.rename(source, target, src_dir_fd=self.drop.inbox, dst_dir_fd=self.drop.inbox)

    def touch(self, path: bytes, accessed: float, modified: float) -> None:
        """Set the times of a file in `/in`. Raises OSError."""
        os.utime(self._mine(path), (accessed, modified), dir_fd=self.drop.inbox, follow_symlinks=False)

    def _descriptor(self, folder: bytes) -> int:
        return self.drop.outbox if folder == OUTBOX else self.drop.inbox

    def _mine(self, path: bytes) -> bytes:
        """The bare name of a file in `/in` that may be written."""
        folder, name = self.parts(path)
        if folder != INBOX or not name or not self.may_write:
            raise OSError(errno.EACCES, "Permission denied")
        return name

    def _there(self, name: bytes) -> bool:
        try:
            self._facts(self.drop.inbox, name)
        except FileNotFoundError:
            return False
        return True

    @staticmethod
    def _facts(folder: int, name: bytes) -> os.stat_result:
        """The facts of a plain file; anything else that somebody else may have put there is not shown."""
        facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
        try:
            folders.state_of(facts)
        except folders.Strange as error:
            raise OSError(errno.EACCES, "Permission denied") from error
        return facts
