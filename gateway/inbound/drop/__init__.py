"""The drop of files: what partners put into `in` is taken, what became of it stands in `out`, whoever serves the folder to them."""

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

from gateway.domain.problems import Misconfigured, Unavailable
from gateway.inbound.drop import folders
from gateway.inbound.drop.taking import Taker
from gateway.inbound.drop.telling import Teller
from gateway.inbound.parts import Parts
from gateway.settings import Settings
from gateway.store import Store

log = logging.getLogger("metergate")


def folder_of(settings: Settings) -> Path | None:
    """Where the drops lie; None when this installation has none: neither a port to serve them at nor a folder that somebody else serves."""
    if settings.sftp.folder:
        return Path(settings.sftp.folder)
    return settings.data / "sftp" if settings.sftp.port is not None else None


@contextmanager
def watching(parts: Parts, every: Store, folder: Path) -> Iterator[None]:
    """Take and tell until the end of the context; of several processes on one folder one does it, and another when that one ends.

    `every`: a store of the worker's role. Raises Misconfigured when the folder cannot be made.
    """
    try:
        (folder / os.fsdecode(folders.ASIDE)).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(f"sftp.folder: {folder} cannot be made: {error.strerror or error}") from error
    stop = Event()
    watcher = Thread(target=_watch, args=(parts, every, folder, stop), name="drop")
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def _watch(parts: Parts, every: Store, folder: Path, stop: Event) -> None:
    sftp = parts.settings.sftp
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        while not _held(descriptor):
            if stop.wait(sftp.scan):
                return
        with suppress(OSError):
            folders.sweep(folder)
        teller = Teller(parts, every, folder, stop)
        taker = Taker(parts, every, folder, teller)
        telling = Thread(target=_again, args=(lambda: _then(teller.round, sftp.refresh), stop, sftp.refresh), name="drop-status")
        telling.start()
        _again(taker.round, stop, sftp.scan)
        telling.join()
    finally:
        os.close(descriptor)


def _held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _then(work: Callable[[], None], wait: float) -> float:
    """Do `work`; the next time is as far away as it took long, at least `wait`."""
    began = time.monotonic()
    work()
    return max(wait, time.monotonic() - began)


def _again(work: Callable[[], float], stop: Event, pause: float) -> None:
    """Do `work` again and again with the waits it asks for, whatever happens to it."""
    wait = 0.0
    while not stop.wait(wait):
        try:
            wait = work()
        except Unavailable as error:
            log.warning("drop.unavailable", extra={"facts": {"why": str(error)}})
            wait = max(pause, 1.0)
        except Exception:
            log.exception("drop.failed")
            wait = max(pause, 1.0)
