"""The command line: `metergate VERB ...`. Verbs, options and exit codes are a contract; docs/cli.md is its page.

Each verb imports its own rooms when it runs, so that `--help` answers at once.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper

OK, SOME, REFUSED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: all good; done with problems; refused, unreachable or misconfigured; Ctrl-C."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a user's mistake is a message on stderr, never a traceback."""
    from gateway.cli.verbs import parser

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a letter must not end the command
    top = parser()
    args = top.parse_args(argv)
    if "run" not in args:
        top.print_help(sys.stderr)
        return REFUSED
    try:
        return _run(args.run, args)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has left: nothing more can be said to it, not even by the interpreter's exit
        return OK


def _run(place: str, args: object) -> int:
    from gateway.domain.problems import Misconfigured, Rejected, Unavailable

    module, _, name = place.partition(":")
    try:
        return int(getattr(import_module(module), name)(args))
    except (Misconfigured, Unavailable) as error:
        print(f"metergate: {error}", file=sys.stderr)
    except Rejected as refusal:
        from gateway.cli.common import language_of, say_problems

        say_problems(refusal.problems, language_of(args))
    except OSError as error:
        if not error.filename:
            raise
        print(f"metergate: {error.filename}: {error.strerror}", file=sys.stderr)
    return REFUSED
