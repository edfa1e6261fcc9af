"""How a submission is printed for people: its line, its counters, its rows, its problems, its timeline, in the sender's words."""

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime

import msgspec

from gateway import texts
from gateway.cli.client import Json
from gateway.cli.common import columns
from gateway.texts import Language

_COUNTERS = ("total", "accepted", "in_review", "rejected")


def write_json(found: Json) -> None:
    """Print an answer as JSON that a person can read too."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")


def brief_lines(found: Iterable[Json], language: Language) -> list[str]:
    """One line a submission, newest first."""
    head = ["submission", "received", "file", "status"]
    rows = [[texts.word(f"word.{name}", language) for name in head]]
    rows += [[one["submission"], _moment(one["received_at"]), one["file_name"] or one["format"], one["text"]] for one in found]
    return columns(rows)


def receipt_lines(found: Json, language: Language) -> list[str]:
    """All of one submission."""
    counters = found["counters"]
    counts = ", ".join(
        f"{texts.word(f'word.{name}', language)} {counters[name]}" for name in _COUNTERS if counters[name] or name == "total"
    )
    lines = [
        f"{found['submission']}  {found['text']}",
        f"{_moment(found['received_at'])}  {found['file_name'] or found['format']}  {counts}",
    ]
    lines += _problems(found.get("problems", ()), language)
    readings = found.get("readings") or []
    if readings:
        names = ("meter", "agreement", "period", "value", "consumption", "status")
        rows = [[texts.word(f"word.{name}", language) for name in names], *(_reading(row, language) for row in readings)]
        lines += ["", *columns(rows)]
    for row in readings:
        if row["problems"]:
            lines += ["", f"{row['meter'] or row['where']}: {row['text']}", *_problems(row["problems"], language)]
    lines += _timeline(found)
    return lines


def _reading(row: Json, language: Language) -> list[str]:
    values = row["values"]
    shown = ", ".join(f"{texts.register(value['register'], language)} {value['value']}" for value in values)
    used = ", ".join(value["consumption"] for value in values if value["consumption"] is not None)
    return [row["meter"] or row["where"], row["agreement"], row["period"], shown, used, row["text"]]


def _problems(problems: Iterable[Json], language: Language) -> Iterator[str]:
    for problem in problems:
        weight = texts.word(f"severity.{problem['severity']}", language)
        where = f"{problem['where']}: " if problem["where"] else ""
        yield f"  {where}{weight}: {problem['text']}"
        yield f"    {problem['todo']}"


def _timeline(found: Json) -> list[str]:
    happened = found.get("timeline") or []
    meters = {row["reading"]: row["meter"] or row["where"] for row in found.get("readings", ())}
    rows = [
        [
            _moment(one["at"]),
            meters.get(one["id"], one["id"]),
            f"{one['from']} -> {one['to']}".removeprefix(" -> "),
            one["actor"],
            one["reason"],
        ]
        for one in happened
    ]
    return ["", *columns(rows)] if rows else []


def _moment(text: str) -> str:
    """A UTC instant on this machine's clock."""
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}"
