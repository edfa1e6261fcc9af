"""`read` and `check`: the options laid over the settings for the offline readers."""

import argparse
import sys
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway.cli import offline
from gateway.cli.common import settings_of
from gateway.domain.problems import Misconfigured


def read(args: argparse.Namespace) -> int:
    """Print every value of a file as JSON lines."""
    return offline.read(args.file, **_options(args))


def check(args: argparse.Namespace) -> int:
    """Print what a file says and what is wrong with it."""
    return offline.check(args.file, **_options(args))


def _options(args: argparse.Namespace) -> dict[str, Any]:
    settings = settings_of(args)
    zone = args.zone or settings.zone
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise Misconfigured(f"zone {zone!r} is not an IANA time zone") from error
    path: Path = args.file
    if not path.is_file():
        raise Misconfigured(f"{path}: there is no such file")
    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr] # what is printed is JSON and names, whatever the terminal says
    return {
        "format": args.format,
        "zone": zone,
        "point": args.point,
        "period": args.period,
        "language": settings.language,
        "out": sys.stdout,
        "limits": settings.limits,
    }
