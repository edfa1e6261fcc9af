"""How a child of the bench and its parent speak: a line at a time. Only the standard library, since peers run in another environment."""

import json
import sys


def say(words: str) -> None:
    """Write a line and let it out at once."""
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def ready() -> None:
    """Say that what comes before the clock is done, and wait for the word."""
    say("ready")
    sys.stdin.readline()


def report(found: object) -> None:
    """The last line: what was found."""
    say(json.dumps(found))
