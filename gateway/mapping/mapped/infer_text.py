"""A proposal as a person reads it: the mapping document with the reason of each key beside it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from gateway.domain.mappings import Mapping as Document
from gateway.mapping.mapped.infer_roles import Choice, Question

_PLAIN = (
    "name",
    "title",
    "layout",
    "across",
    "register",
    "unit",
    "step",
    "label",
    "period_from",
    "zone_name",
    "crosswalk",
    "crosswalk_only",
    "passed",
)
_WIDE = 46


def grade(sure: float) -> str:
    """How sure in one word."""
    return "high" if sure >= 0.85 else "medium" if sure >= 0.6 else "low"


def comment(text: str) -> str:
    """A text as one line of comment, without what no comment may hold."""
    return "# " + "".join(char if char.isprintable() else " " for char in text)


def written(document: Document, choices: Mapping[str, Choice], questions: Sequence[Question], head: Sequence[str] = ()) -> str:
    """The document as TOML with comments; questions stand before the key that they are about, or at the top."""
    asked: dict[str, list[str]] = {}
    for question in questions:
        asked.setdefault(question.key, []).append(question.text)
    lines = [comment(line) for line in head]
    body = list(_lines(document, choices, asked))
    lines += [comment(f"QUESTION ({key}): {text}") for key, several in asked.items() for text in several]
    return "\n".join([*lines, *([""] if lines else []), *body, ""])


def _lines(document: Document, choices: Mapping[str, Choice], asked: dict[str, list[str]]) -> Iterator[str]:
    told = msgspec.to_builtins(document)
    usual = msgspec.to_builtins(Document(name="x", title="", columns={"value": 1}, register="A+"))
    usual["layout"] = ""
    usual["register"] = ""
    for key in _PLAIN:
        if told[key] != usual[key]:
            yield from _line(key, told[key], key, choices, asked)
    yield from _table("file", told["file"], usual["file"], choices, asked)
    yield from _table("columns", told["columns"], {}, choices, asked)
    for place, column in enumerate(told["values"], 1):
        yield ""
        yield from _questions(f"values.{place}", asked)
        if place == 1:
            yield from _questions("values", asked)
        why = choices.get(f"values.{place}")
        yield f"[[values]]{_because(why, 10)}"
        for key, value in column.items():
            if value not in ("", False):
                yield f"{key} = {_value(value)}"
    yield from _table("applied", told["applied"], usual["applied"], choices, asked)
    for key in ("quantities", "zones", "kinds"):
        if told[key]:
            yield from _table(key, told[key], {}, choices, asked)
    if told["control"] is not None:
        yield from _table("control", told["control"], {"mark": "=", "count": 1, "sums": {}, "needed": True}, choices, asked, always=True)


def _table(
    name: str,
    told: dict[str, Any],
    usual: dict[str, Any],
    choices: Mapping[str, Choice],
    asked: dict[str, list[str]],
    *,
    always: bool = False,
) -> Iterator[str]:
    shown = {key: value for key, value in told.items() if key not in usual or value != usual[key]}
    if not shown and not always:
        return
    yield ""
    yield from _questions(name, asked)
    head = f"[{name}]"
    yield head + _because(choices.get(name), len(head))
    for key, value in shown.items():
        yield from _line(_key(key), value, f"{name}.{key}", choices, asked)


def _line(key: str, value: Any, path: str, choices: Mapping[str, Choice], asked: dict[str, list[str]]) -> Iterator[str]:
    yield from _questions(path, asked)
    told = f"{key} = {_value(value)}"
    yield told + _because(choices.get(path), len(told))


def _questions(path: str, asked: dict[str, list[str]]) -> Iterator[str]:
    yield from (comment(f"QUESTION: {text}") for text in asked.pop(path, ()))


def _because(choice: Choice | None, width: int) -> str:
    return "" if choice is None else f"{' ' * max(2, _WIDE - width)}{comment(f'{grade(choice.sure)}: {choice.why}')}"


def _key(name: str) -> str:
    return name if name.isascii() and name.replace("_", "").replace("-", "").isalnum() else _value(name)


def _value(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value(one)}" for key, one in value.items()) + "}"
    return f"[{', '.join(map(_value, value))}]"
