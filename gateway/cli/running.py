"""`up`, `serve`, `worker`, `sandbox` and `demo`: what keeps running until it is told to stop."""

import argparse
import signal
from threading import Event
from types import FrameType

from gateway.cli import OK
from gateway.cli.common import settings_of
from gateway.domain.problems import Misconfigured


def up(args: argparse.Namespace) -> int:
    """Run everything in one process until SIGTERM or SIGINT."""
    stop = _told_to_stop()
    from gateway import app
    from gateway.cli.logs import write_log

    settings = settings_of(args)
    write_log(settings, args.verbose)
    with _port_said(settings.http.host, settings.http.port):
        app.up(settings, ready=_say, stop=stop)
    return OK


def serve(args: argparse.Namespace) -> int:
    """Run the web server alone until SIGTERM or SIGINT."""
    stop = _told_to_stop()
    from gateway import app
    from gateway.cli.logs import write_log

    settings = settings_of(args)
    write_log(settings, args.verbose)
    with _port_said(settings.http.host, settings.http.port):
        app.serve(settings, ready=_say, stop=stop)
    return OK


def worker(args: argparse.Namespace) -> int:
    """Run a worker alone until SIGTERM or SIGINT."""
    stop = _told_to_stop()
    from gateway import app
    from gateway.cli.logs import write_log

    settings = settings_of(args)
    write_log(settings, args.verbose)
    print("metergate worker started", flush=True)
    app.work(settings, stop=stop)
    return OK


def sandbox(args: argparse.Namespace) -> int:
    """Run the sandbox billing until SIGTERM or SIGINT."""
    from gateway.sandbox import SandboxFailed, main

    try:
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


def _told_to_stop() -> Event:
    """Set by SIGTERM and SIGINT; the web server has handlers of its own while it runs and hands the signal on at its end."""
    stop = Event()

    def told(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    return stop


class _port_said:  # noqa: N801 - reads as a phrase
    """Turns an address that cannot be listened on into a message for the operator."""

    def __init__(self, host: str, port: int) -> None:
        self._where = f"{host}:{port}"

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and not error.filename:
            raise Misconfigured(f"cannot listen on {self._where}: {error.strerror or error}") from error
