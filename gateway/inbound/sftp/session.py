"""One SFTP session: the protocol's requests as calls of the partner's view. Whatever is not written here, the server does not do."""

import contextlib
import errno
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, NoReturn, cast

import asyncssh
from asyncssh.packet import SSHPacket
from asyncssh.sftp import SFTPServerHandler
from asyncssh.stream import SSHServerStreamSession

from gateway.inbound.sftp.view import Upload, View

log = logging.getLogger("metergate")

VERSION: Final = 3
"""The version of the protocol that every client speaks."""
OPEN: Final = 64
"""Files that one session may have open at a time."""


class Reading:
    """A file of `/out` that is being read."""

    def __init__(self, descriptor: int) -> None:
        """The descriptor is closed by `close`."""
        self.descriptor = descriptor


class PartnerFiles(asyncssh.SFTPServer):
    """The requests of one partner. Methods of the library that are not replaced here end at `map_path`, which maps nothing."""

    def __init__(self, channel: Any, view: View, touched: Callable[[], None]) -> None:
        """`touched` is called with every request, so that an idle session can be told."""
        super().__init__(channel)
        self.view, self.touched = view, touched
        self.opened: set[Reading | Upload] = set()
        self.lost = self.ended = False

    def map_path(self, path: bytes) -> bytes:
        """Nothing of this machine is reached by a path."""
        raise asyncssh.SFTPOpUnsupported(f"Not offered here: {path[:100]!r}")

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        """Open `/out/NAME` to read or `/in/NAME` to write."""
        del attrs
        file: Reading | Upload
        if len(self.opened) >= OPEN:
            raise OSError(errno.EMFILE, "Too many open files")
        if pflags & (asyncssh.FXF_WRITE | asyncssh.FXF_APPEND):
            file = self.view.open_in(
                path,
                create=bool(pflags & asyncssh.FXF_CREAT),
                new=bool(pflags & asyncssh.FXF_EXCL),
                keep=not pflags & asyncssh.FXF_TRUNC,
                append=bool(pflags & asyncssh.FXF_APPEND),
            )
        else:
            file = Reading(self.view.open_out(path))
        self.opened.add(file)
        return file

    def close(self, file_obj: object) -> None:
        """Close in order, or, once the session is lost, leave nothing of what was not finished."""
        self.opened.discard(cast("Reading | Upload", file_obj))
        if isinstance(file_obj, Reading):
            os.close(file_obj.descriptor)
        elif isinstance(file_obj, Upload):
            if self.lost:
                file_obj.abandon(lost=True)
            else:
                file_obj.finish()

    def exit(self) -> None:
        """The session has ended: let everything go that it still held."""
        self.lost = True
        for file in list(self.opened):
            with contextlib.suppress(OSError):  # nobody is there any more to be told
                self.close(file)
        if not self.ended:
            self.ended = True
            self.view.drop.close()

    def read(self, file_obj: object, offset: int, size: int) -> bytes:
        """Read a piece of a file of `/out`."""
        if not isinstance(file_obj, Reading):
            raise OSError(errno.EACCES, "Permission denied")
        return os.pread(file_obj.descriptor, size, offset)

    def write(self, file_obj: object, offset: int, data: bytes) -> int:
        """Write a piece of a file of `/in`."""
        return self._upload(file_obj).write(offset, data)

    def fstat(self, file_obj: object) -> os.stat_result:
        """The facts of an open file."""
        return os.fstat(cast("Reading | Upload", file_obj).descriptor)

    def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> None:
        """Cut an open file or set its times; owner and rights are ours and are left as they are."""
        upload = self._upload(file_obj)
        if attrs.size is not None:
            upload.cut(attrs.size)
        if attrs.mtime is not None:
            os.utime(upload.descriptor, (attrs.mtime if attrs.atime is None else attrs.atime, attrs.mtime))

    def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        """The same by name; a file that is seen is cut only by writing it anew."""
        if attrs.size is not None:
            raise asyncssh.SFTPOpUnsupported("The size of a finished file cannot be set")
        if attrs.mtime is not None:
            self.view.touch(path, attrs.mtime if attrs.atime is None else attrs.atime, attrs.mtime)

    lsetstat = setstat

    def fsync(self, file_obj: object) -> None:
        """See to it that what was written survives a loss of power."""
        os.fsync(self._upload(file_obj).descriptor)

    def stat(self, path: bytes) -> os.stat_result:
        """The facts of a folder or a file."""
        return self.view.stat(path)

    lstat = stat

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        """The names in a folder."""
        for name, facts in self.view.list(path):
            yield asyncssh.SFTPName(name, attrs=_attrs(facts))

    def realpath(self, path: bytes) -> bytes:
        """The path as the partner sees it."""
        return self.view.real(path)

    def remove(self, path: bytes) -> None:
        """Remove a file."""
        self.view.remove(path)

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Give a file another name that is free."""
        self.view.rename(oldpath, newpath, over=False)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        """Give a file another name, free or not."""
        self.view.rename(oldpath, newpath, over=True)

    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> NoReturn:
        """There are two folders and no more."""
        del path, attrs
        raise OSError(errno.EACCES, "Permission denied")

    def rmdir(self, path: bytes) -> NoReturn:
        """And no less."""
        del path
        raise OSError(errno.EACCES, "Permission denied")

    def symlink(self, oldpath: bytes, newpath: bytes) -> NoReturn:
        """There are no links."""
        del oldpath, newpath
        raise OSError(errno.EACCES, "Permission denied")

    def link(self, oldpath: bytes, newpath: bytes) -> NoReturn:
        """There are no links."""
        del oldpath, newpath
        raise OSError(errno.EACCES, "Permission denied")

    def readlink(self, path: bytes) -> NoReturn:
        """There are no links."""
        del path
        raise OSError(errno.EINVAL, "No link")

    def fstatvfs(self, file_obj: object) -> NoReturn:
        """How much room there is is nobody's business."""
        del file_obj
        raise asyncssh.SFTPOpUnsupported("Not offered here")

    def format_user(self, uid: int | None) -> str:
        """Accounts of this machine are not named."""
        del uid
        return "partner"

    def format_group(self, gid: int | None) -> str:
        """The same."""
        del gid
        return "metergate"

    @staticmethod
    def _upload(file_obj: object) -> Upload:
        if not isinstance(file_obj, Upload):
            raise OSError(errno.EACCES, "Permission denied")
        return file_obj


def _attrs(facts: os.stat_result) -> asyncssh.SFTPAttrs:
    """What a partner may know of a file: no owner of this machine."""
    return asyncssh.SFTPAttrs(
        size=facts.st_size, uid=0, gid=0, permissions=facts.st_mode, atime=int(facts.st_atime), mtime=int(facts.st_mtime), nlink=1
    )


class Handler(SFTPServerHandler):
    """The library's handler of requests; it alone knows whether a file is closed in order or because the session has ended."""

    _extensions = [  # noqa: RUF012 - the library's name
        (b"posix-rename@openssh.com", b"1"),
        (b"fsync@openssh.com", b"1"),
        (b"lsetstat@openssh.com", b"1"),
        (b"limits@openssh.com", b"1"),
    ]

    async def _process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> None:
        if isinstance(self._server, PartnerFiles):
            self._server.touched()
        await super()._process_packet(pkttype, pktid, packet)

    async def _cleanup(self, exc: Exception | None) -> None:
        if isinstance(self._server, PartnerFiles):
            self._server.lost = True
        if self._writer is not None and exc is None:
            with contextlib.suppress(OSError):  # the client may have gone without waiting
                cast("asyncssh.SSHServerChannel[bytes]", self._writer.channel).exit(0)  # scp asks for it
        await super()._cleanup(exc)


class Session(SSHServerStreamSession[bytes]):
    """A channel of a connection: the subsystem sftp, and no shell, no command, no terminal."""

    def __init__(self, files: Callable[[Any], PartnerFiles]) -> None:
        """`files` makes what the session works on, when it really begins. It may raise OSError, and the channel is closed."""
        super().__init__(None)
        self._files = files

    def pty_requested(self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]) -> bool:
        """No terminal."""
        del term_type, term_size, term_modes
        return False

    def shell_requested(self) -> bool:
        """No shell."""
        return False

    def exec_requested(self, command: str) -> bool:
        """No command, scp among them."""
        del command
        return False

    def subsystem_requested(self, subsystem: str) -> bool:
        """Only sftp."""
        return subsystem == "sftp"

    def session_started(self) -> None:
        """Serve requests until the channel ends, however it ends."""
        channel: Any = self._chan
        reader: asyncssh.SSHReader[bytes] = asyncssh.SSHReader(self, channel)
        writer: asyncssh.SSHWriter[bytes] = asyncssh.SSHWriter(self, channel)
        cast("Any", self._conn).create_task(self._serve(channel, reader, writer))

    async def _serve(self, channel: Any, reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
        try:
            files = self._files(channel)
        except OSError as error:
            log.warning("sftp.no_drop", extra={"facts": {"why": str(error)}})
            writer.close()
            return
        try:
            await Handler(files, reader, writer, VERSION).run()
        finally:
            files.exit()
