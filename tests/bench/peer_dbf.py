"""The peer of B13 for DBF: dbfread reads all records of the same file."""

import sys
import time

from dbfread import DBF  # type: ignore[import-not-found]

from tests.bench.say import report, say


def main() -> None:
    """Read the file each time the parent says so, and tell how many records a second that were."""
    say("ready")
    for _ in sys.stdin:
        began = time.perf_counter()
        count = sum(1 for _ in DBF(sys.argv[1], encoding="cp866"))
        report(count / (time.perf_counter() - began))


if __name__ == "__main__":
    main()
