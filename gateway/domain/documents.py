"""The documents of a utility by kind: read, every fault of one found at once, and what one version says otherwise than another."""

import re
import tomllib
from collections.abc import Mapping as Table
from datetime import date, datetime, time
from typing import Any, Final

import msgspec

from gateway.domain.calendars import Calendar, read_calendar
from gateway.domain.crosswalks import Crosswalk, crosswalk_faults, read_crosswalk
from gateway.domain.mappings import Mapping, read_mapping
from gateway.domain.profile import SERVICES, Profile, read_profile

Document = Profile | Calendar | Mapping | Crosswalk
KINDS: Final = {"calendar": ".toml", "crosswalk": ".csv", "mapping": ".toml", "profile": ".toml"}
"""Every kind of document with the ending of its file, in the order in which they are told: what others name comes first."""
_TYPES: Final = {"calendar": Calendar, "mapping": Mapping, "profile": Profile}
"""The kinds that are TOML."""

_STAND_INS: Final[dict[str, dict[str, Any]]] = {
    "calendar": {"name": "x"},
    "profile": {
        "name": "x",
        "title": "",
        "manual": "",
        "zone": "UTC",
        "language": "en",
        "services": list(SERVICES),
        "linking": "manager",
        "window": {"kind": "month_end"},
        "reading": {},
    },
    "mapping": {"name": "x", "title": "", "columns": {"value": 1}, "register": "A+"},
}
"""What stands in for a key that is missing or wrong, so that the rest of the document is looked at too."""
_PLACE: Final = re.compile(r" - at `(?:key in )?\$((?:\.\w+)*)")
_KEY: Final = re.compile(r"(unknown|required) field `([^`]*)`")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


class Changed(msgspec.Struct, frozen=True):
    """One key that two versions of a document say otherwise, dotted; `was`, `now`: None where a version does not say it."""

    key: str
    was: str | None
    now: str | None


def read(kind: str, name: str, body: bytes) -> Document:
    """Read a document of a kind; `name` is that of one that does not say its own. Raises Misconfigured naming its first fault."""
    match kind:
        case "profile":
            return read_profile(body)
        case "mapping":
            return read_mapping(body)
        case "crosswalk":
            return read_crosswalk(body, name)
    return read_calendar(body)


def faults(kind: str, body: bytes) -> list[str]:
    """Everything that is wrong with a document, each with its line or with the path of its key; none when it may be used."""
    if kind == "crosswalk":
        return crosswalk_faults(body)
    try:
        table = tomllib.loads(body.decode())
    except UnicodeDecodeError as error:
        return [f"not UTF-8: byte {error.start} is no part of a letter"]
    except tomllib.TOMLDecodeError as error:
        return [str(error)]
    found = [f"key `{name}` is missing" for name in _STAND_INS[kind] if name not in table]
    table = _STAND_INS[kind] | table
    while said := _first(kind, table):
        found.append(said)
        if not _put_right(kind, table, said):
            break
    return found


def _first(kind: str, table: Table[str, Any]) -> str:
    """The first fault that a table still has, empty when it has none."""
    try:
        msgspec.convert(table, _TYPES[kind], builtin_types=(datetime, date, time))
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _put_right(kind: str, table: dict[str, Any], said: str) -> bool:
    """Take out what a message is about, and let a stand-in take its place; False when it cannot be found."""
    place, key = _PLACE.search(said), _KEY.search(said)
    path = place[1].split(".")[1:] if place else []
    if key is not None and key[1] == "unknown":
        path.append(key[2])
    elif not path:
        path = [said.partition(":")[0]]  # what a document says of itself begins with its key
    inside: Any = table
    for name in path[:-1]:
        inside = inside[name]
    if path[-1] not in inside:
        return False
    del inside[path[-1]]
    for name, stand_in in _STAND_INS[kind].items():
        table.setdefault(name, stand_in)
    return True


def changes(was: Document, now: Document) -> list[Changed]:
    """What a version says otherwise than the one before it, key by key; what is left out counts as its default."""
    before, after = _flat(was), _flat(now)
    return [_changed(key, before.get(key), after.get(key)) for key in sorted(before | after) if before.get(key) != after.get(key)]


def _flat(document: Document) -> dict[str, Any]:
    """A document as dotted keys; a list counts as the set of what is in it."""

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for name, below in value.items():
                told = name if _BARE.fullmatch(name) else f'"{name}"'
                walk(below, f"{path}.{told}" if path else told)
        else:
            found[path] = frozenset(map(str, value)) if isinstance(value, list | tuple) else _text(value)

    found: dict[str, Any] = {}
    if isinstance(document, Crosswalk):
        return {link.code: " ".join(filter(None, (link.meter, link.point, link.agreement, link.register))) for link in document.links}
    walk(msgspec.to_builtins(document), "")
    return found


def _changed(key: str, was: Any, now: Any) -> Changed:
    if isinstance(was, frozenset) and isinstance(now, frozenset):
        return Changed(key, _list(was - now), _list(now - was))
    return Changed(key, _list(was), _list(now))


def _list(value: Any) -> str | None:
    if isinstance(value, frozenset):
        return ", ".join(sorted(value)) or None
    return None if value is None else str(value)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
