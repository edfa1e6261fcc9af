"""`up`, `serve`, `worker`, `sandbox` and `demo`: what keeps running until it is told to stop."""

import argparse
import errno
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event
from types import FrameType
from typing import Final

from gateway.cli import OK
from gateway.cli.common import settings_of
from gateway.domain.problems import Misconfigured
from gateway.settings import Settings

_NO_PORT: Final = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM, errno.EAFNOSUPPORT, errno.EINVAL)


def up(args: argparse.Namespace) -> int:
    """Run everything in one process until SIGTERM or SIGINT."""
    settings, stop = _opened(args)
    from gateway import app

    with _port_said(f"{settings.http.host}:{settings.http.port}"):
        app.up(settings, ready=_say, page=_say_page, stop=stop)
    return OK


def serve(args: argparse.Namespace) -> int:
    """Run the web server alone until SIGTERM or SIGINT."""
    settings, stop = _opened(args)
    from gateway import app

    with _port_said(f"{settings.http.host}:{settings.http.port}"):
        app.serve(settings, ready=_say, page=_say_page, stop=stop)
    return OK


def worker(args: argparse.Namespace) -> int:
    """Run a worker alone until SIGTERM or SIGINT."""
    settings, stop = _opened(args)
    from gateway import app

    app.work(settings, stop=stop, ready=partial(print, "metergate worker started", flush=True))
    return OK


def sandbox(args: argparse.Namespace) -> int:
    """Run the sandbox billing until SIGTERM or SIGINT."""
    from gateway.sandbox import SandboxFailed, main

    try:
        with _port_said("the sandbox's address"):
            main(
                args.config,
                host=args.host,
                port=args.port,
                journal=args.journal,
                calculate_after=args.calculate_after,
                bill_after=args.bill_after,
                control_token=args.control_token,
                accounts=args.account,
            )
    except SandboxFailed as error:
        raise Misconfigured(f"sandbox: {error}") from error
    return OK


def demo(args: argparse.Namespace) -> int:
    """Run the demo."""
    from gateway.demo import run

    return run(keep=args.keep, patience=args.patience)


def _say(url: str) -> None:
    print(f"metergate listening on {url}", flush=True)


def _say_page(url: str) -> None:
    print(f"metergate status page on {url}", flush=True)


def _opened(args: argparse.Namespace) -> tuple[Settings, Event]:
    """What each begins with: heed SIGTERM and SIGINT, read the settings, write the log."""
    stop = _told_to_stop()
    from gateway.cli.logs import write_log

    settings = settings_of(args)
    write_log(settings, args.verbose)
    return settings, stop


def _told_to_stop() -> Event:
    """Set by SIGTERM and SIGINT; the web server has handlers of its own while it runs and hands the signal on at its end."""
    stop = Event()

    def told(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    return stop


@contextmanager
def _port_said(where: str) -> Iterator[None]:
    """Turn an address that cannot be listened on into a message for the operator."""
    try:
        yield
    except OverflowError as error:
        raise Misconfigured(f"cannot listen on {where}: {error}") from error
    except OSError as error:
        if error.filename or not (error.errno in _NO_PORT or isinstance(error, socket.gaierror)):
            raise
        raise Misconfigured(f"cannot listen on {where}: {error.strerror or error}") from error
