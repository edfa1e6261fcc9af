"""SubmitReadings as canonical JSON, in which its readings are kept and by which they are judged; and the places of that JSON as XPaths."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from lxml import etree

from gateway.inbound.soap.contract import NAMESPACE

_NAMES: Final = {"m": NAMESPACE}
_TAG: Final = f"{{{NAMESPACE}}}"
_BLANKS: Final = " \t\r\n"
_FIELDS: Final = {
    "Meter": "meter",
    "Agreement": "agreement",
    "Location": "location",
    "Point": "point",
    "Period": "period",
    "At": "at",
}
_ENTRY: Final = {
    "Code": "register",
    "Value": "value",
    "Previous": "previous",
    "Quality": "quality",
    "RatioApplied": "ratio_applied",
    "LossesApplied": "losses_applied",
}
_FLAGS: Final = ("ratio_applied", "losses_applied")
_TRUE: Final = ("true", "1")


Find = Callable[..., Any]


def _texts(path: str) -> Find:
    return etree.XPath(f"m:Reading/{path}/text()", namespaces=_NAMES, smart_strings=False)


_lines: Final = msgspec.json.Encoder()
_count: Final[Find] = etree.XPath("count(m:Reading)", namespaces=_NAMES)
_counts: Final[Find] = etree.XPath("count(m:Reading/*) + count(m:Reading/m:Register/*)", namespaces=_NAMES)
_registers: Final[Find] = etree.XPath("count(m:Reading/m:Register)", namespaces=_NAMES)
_columns: Final = {key: _texts(f"m:{name}") for name, key in _FIELDS.items()}
_register_columns: Final = {key: _texts(f"m:Register/m:{name}") for name, key in _ENTRY.items()}


def many(operation: "etree._Element") -> int:
    """How many readings a message holds."""
    return int(_count(operation))


def canonical(operation: "etree._Element") -> bytes:
    """The readings of a message that keeps the schema, as canonical JSON: the same readings are the same bytes."""
    return _in_columns(operation) or msgspec.json.encode({"readings": list(_row_by_row(operation))})


def _in_columns(operation: "etree._Element") -> bytes | None:
    """The quick way of a message whose readings all have the same fields, each filled, and one register; None for any other."""
    size = many(operation)
    columns = {key: texts for key, find in _columns.items() if (texts := find(operation))}
    entries = {key: texts for key, find in _register_columns.items() if (texts := find(operation))}
    both = columns | entries
    elements = size * (len(both) + 1)
    if _registers(operation) != size or _counts(operation) != elements or any(len(texts) != size for texts in both.values()):
        return None
    told, entry = (",".join(f'"{key}":%b' for key in keys) for keys in (columns, entries))
    row = f'{{{told},"registers":[{{{entry}}}]}}'.encode()
    cells = zip(*(_written(key, texts) for key, texts in both.items()), strict=True)
    return b'{"readings":[' + b",".join([row % filled for filled in cells]) + b"]}"


def _written(key: str, texts: list[str]) -> list[bytes]:
    """A column's texts as JSON, one by one."""
    bare = [text.strip(_BLANKS) for text in texts]
    if key in _FLAGS:
        return [b"true" if text in _TRUE else b"false" for text in bare]
    return _lines.encode_lines(bare).split(b"\n")[:-1]


def _row_by_row(operation: "etree._Element") -> Iterator[dict[str, Any]]:
    for reading in operation.iterchildren(f"{_TAG}Reading"):
        row: dict[str, Any] = {}
        registers: list[dict[str, Any]] = []
        for field in reading:
            name = field.tag.removeprefix(_TAG)
            if name == "Register":
                entry: dict[str, Any] = {_ENTRY[part.tag.removeprefix(_TAG)]: _text(part) for part in field}
                registers.append(entry | {flag: entry[flag] in _TRUE for flag in _FLAGS if flag in entry})
            else:
                row[_FIELDS[name]] = _text(field)
        row["registers"] = registers
        yield row


def _text(element: "etree._Element") -> str:
    return (element.text or "").strip(_BLANKS)


_WORDS: Final = {key: name for name, key in (_FIELDS | _ENTRY).items()} | {"readings": "Reading", "registers": "Register", "kind": "Kind"}
_PLACE: Final = re.compile(r"([a-z_]+)(?:\[([0-9]+)\])?(?:\.|$)")


def xpath(where: str, operation: str) -> str:
    """A place of canonical JSON or of an envelope as a place of the message it came in; any other place, such as a cell, as it is."""
    steps = _PLACE.findall(where)
    if not steps or any(name not in _WORDS for name, _ in steps) or len(_PLACE.sub("", where)) > 0:
        return where
    path = "/".join(_WORDS[name] + (f"[{int(index) + 1}]" if index else "") for name, index in steps)
    return f"/Envelope/Body/{operation}/{path}"
