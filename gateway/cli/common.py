"""What several verbs share: the settings with the options laid over them, the language, tables and problems as people read them."""

import argparse
import getpass
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gateway import texts
from gateway.domain.problems import Misconfigured, Problem
from gateway.settings import Settings, load


def settings_of(args: argparse.Namespace) -> Settings:
    """Read the settings and lay `--data`, `--lang`, `--host` and `--port` over them. Raises Misconfigured."""
    settings = load(args.config)
    over: dict[str, Any] = {"data": args.data, "language": args.lang}
    http = {"host": getattr(args, "host", None) or None, "port": getattr(args, "port", None)}
    changed = {name: value for name, value in http.items() if value is not None}
    if changed:
        over["http"] = msgspec.structs.replace(settings.http, **changed)
    return msgspec.structs.replace(settings, **{name: value for name, value in over.items() if value is not None})


def language_of(args: Any) -> texts.Language:
    """The language asked for, else the settings' one."""
    return args.lang or settings_of(args).language


def one_line(text: str, option: str, longest: int = 500) -> str:
    """One line that can be read, without the blanks around it. Raises Misconfigured naming the option."""
    if len(text) > longest or not text.isprintable():
        raise Misconfigured(f"{option}: one line of at most {longest} characters that can be printed is wanted")
    return text.strip()


def operator(args: argparse.Namespace) -> str:
    """Who acts, as timelines say it: `--by`, else the login. Raises Misconfigured."""
    return f"operator:{one_line(args.by, '--by', 200) or getpass.getuser()}"


def columns(rows: Sequence[Sequence[str]], gap: str = "  ") -> list[str]:
    """Lines of a table whose columns are as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    return [gap.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def say_problems(problems: Iterable[Problem], language: texts.Language) -> None:
    """Print problems with their place and what to do to stderr."""
    for problem in problems:
        text, todo = texts.problem(problem.code, language, problem.values)
        print(f"{problem.where}: {text} {todo}" if problem.where else f"{text} {todo}", file=sys.stderr)
