"""Where the log of a running gateway goes: stderr, as text for people or one JSON object a line."""

import logging
import sys
from datetime import UTC, datetime

import msgspec

from gateway.settings import Settings

_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)


class _Lines(logging.Formatter):
    """Each record with its facts; a trace of ours on lines of its own, or in the object."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """One record as it is written."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        facts = {name: str(value) for name, value in getattr(record, "facts", {}).items()}
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._as_json:
            told = {"at": at, "level": record.levelname.lower(), "what": record.getMessage()} | facts | ({"trace": trace} if trace else {})
            return msgspec.json.encode(told).decode()
        words = " ".join(f"{name}={value}" for name, value in facts.items())
        return f"{at} {record.levelname} {record.getMessage()} {words}".rstrip() + (f"\n{trace}" if trace else "")


def write_log(settings: Settings, verbose: int) -> None:
    """Log warnings, with `-v` each step of the line, with `-vv` everything."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(as_json=settings.log == "json"))
    logging.basicConfig(handlers=[handler], level=logging.DEBUG if verbose > 1 else logging.WARNING)
    logging.getLogger("metergate").setLevel(_LEVELS[min(verbose, 2)])
