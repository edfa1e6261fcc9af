"""XML and JSON as a table: what stands at a path is a row, what stands in it and around it are its cells."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from gateway.domain.problems import Problem, Rejected
from gateway.mapping.cells import Cell
from gateway.mapping.json_gate import check_depth, check_encoding, check_syntax
from gateway.mapping.markup import parse_untrusted
from gateway.mapping.tables import Table
from gateway.mapping.zip_gate import kind_of
from gateway.settings import Limits

_HEAD: Final = 65_536
_MARKS: Final = b"\xef\xbb\xbf\xff\xfe \t\r\n"
_LONGEST: Final = 200
"""No name of a column is longer."""
_OWN: Final = "text()"
"""The name of what an element holds beside its attributes, and of a value that is a row itself."""


class Level(msgspec.Struct, frozen=True, gc=False):
    """A row or what it stands in: its name, its place and its cells by their paths below it, `@unit`, `current/value`, `zone[2]`."""

    name: str
    path: str
    cells: dict[str, Cell]


Row = tuple[Level, ...]
"""A row and what it stands in, the nearest first."""


class Tree(Table, frozen=True, array_like=True):
    """Rows of a tree. `paths`: the places of each row and of what it stands in, the nearest first; `below`: of each column, in which of
    them it is and its path there; `sign`: between two steps of a place.
    """

    paths: list[tuple[str, ...]]
    below: list[tuple[int, str]]
    sign: str

    def where(self, row: int, column: int) -> str:
        """The place of a cell: `/report/meter[2]/reading[1]/@value`, `meters[1].readings[0].value`."""
        level, name = self.below[column] if column < len(self.below) else (0, "")
        path = self.paths[min(row, len(self.paths) - 1)][level]
        return path + self.sign * bool(path and name) + name.replace("/", self.sign)

    def span(self, column: int, first: int, last: int) -> str:
        """The places of a run of cells of one column."""
        begin, end = self.where(first, column), self.where(last, column)
        return begin if begin == end else f"{begin} … {end}"


def is_tree(body: bytes, rows: str) -> bool:
    """Whether a file may hold such rows: XML or JSON in whose beginning their name stands, where that is in ASCII."""
    head = body[:_HEAD].replace(b"\0", b"")
    last = rows.rpartition("/")[2].strip(".")
    return (kind_of(body) == "json" or _begun(body)) and (not last.isascii() or last.encode() in head)


def _begun(body: bytes) -> bool:
    """Whether a file begins as XML does."""
    return body[:_HEAD].replace(b"\0", b"").lstrip(_MARKS).startswith(b"<")


def read_elements(body: bytes, limits: Limits, rows: str) -> Tree:
    """The rows at a path below the root, `readings/reading`; `.` are the members of a JSON list.

    Names are local ones, without namespaces. Raises Rejected with the codes of XML and JSON, `file_type_mismatch` for neither, and
    `too_many_readings` for more rows or cells than a sheet may have.
    """
    if len(body) > limits.file_bytes:
        raise Rejected(Problem(code="file_too_large", values={"limit": str(limits.file_bytes)}))
    steps = [step for step in rows.split("/") if step not in ("", ".")]
    kind = kind_of(body)
    if kind == "json":
        return _table(_branches(_loaded(body, limits), steps, limits), rows, ".", limits)
    if kind not in ("xml", "text"):
        raise Rejected(Problem(code="file_type_mismatch", values={"kind": kind}))
    if kind == "text" and not _begun(body):
        raise Rejected(Problem(code="file_type_mismatch", values={"kind": kind}))
    root = parse_untrusted(body, limits)
    top = Level(_local(root), f"/{_local(root)}", _held(root, steps[:1], limits))
    return _table(_elements(root, (top,), steps, limits), f"{top.path}/{rows}", "/", limits)


def _table(found: Iterable[Row], header: str, sign: str, limits: Limits) -> Tree:
    rows: list[Row] = []
    slots: dict[tuple[int, str], None] = {}
    for row in found:
        rows.append(row)
        slots.update(((level, name), None) for level, one in enumerate(row) for name in one.cells)
        if len(rows) > limits.sheet_rows or len(slots) > limits.sheet_columns or len(rows) * len(slots) > limits.sheet_cells:
            raise Rejected(Problem(code="too_many_readings", values={"limit": str(limits.sheet_rows)}))
    below = sorted(slots, key=lambda slot: slot[0])
    above = {level: one.name for row in rows[:1] for level, one in enumerate(row) if level}
    names: list[Cell] = [f"{above[level]}/{name}" if above.get(level) else name for level, name in below]
    depth = len(rows[0]) if rows else 1
    cells = [[row[level].cells.get(name, "") for level, name in below] for row in rows]
    return Tree("", False, 0, 0, [names, *cells], [], [(header,) * depth, *(tuple(one.path for one in row) for row in rows)], below, sign)


def _elements(element: Any, above: Row, steps: Sequence[str], limits: Limits) -> Iterator[Row]:
    """The rows below an element."""
    step, rest = steps[0] if steps else "", steps[1:]
    for number, child in enumerate((child for child in element if _local(child) == step), 1):
        one = Level(step, f"{above[0].path}/{step}[{number}]", _held(child, rest[:1], limits))
        if rest:
            yield from _elements(child, (one, *above), rest, limits)
        else:
            yield (one, *above)


def _held(element: Any, but: Sequence[str], limits: Limits) -> dict[str, Cell]:
    """The attributes and texts of an element and of all in it, but for the elements in which rows are looked for."""
    found: dict[str, Cell] = {}
    waiting: list[tuple[Any, str]] = [(element, "")]
    while waiting:
        one, path = waiting.pop()
        counts: Counter[str] = Counter()
        cells: list[tuple[str, str]] = []
        for attribute, value in one.attrib.items():
            name = f"@{_bare(attribute)}"
            counts[name] += 1
            cells.append((f"{path}{_nth(name, counts[name])}", value))
        inner: list[tuple[Any, str]] = []
        for child in one:
            name = _local(child)
            counts[name] += 1
            if name not in but or one is not element:
                inner.append((child, f"{path}{_nth(name, counts[name])}/"))
        text = "".join([one.text or "", *(child.tail or "" for child in one)]).strip()
        if text:
            cells.append((path.removesuffix("/") or _OWN, text))
        found |= {name: value for name, value in cells if len(name) <= _LONGEST}
        if len(found) > limits.sheet_columns:
            raise Rejected(Problem(code="too_many_readings", values={"limit": str(limits.sheet_columns)}))
        waiting += reversed(inner)
    return found


def _nth(name: str, count: int) -> str:
    return f"{name}[{count}]" if count > 1 else name


def _local(element: Any) -> str:
    return _bare(element.tag)


def _bare(name: str) -> str:
    return name.rpartition("}")[2]


def _loaded(body: bytes, limits: Limits) -> object:
    """What a JSON says, its numbers as they are written. Raises Rejected."""
    check_encoding(body)
    check_depth(body, limits.json_depth)
    return check_syntax(body)


def _branches(tree: object, steps: Sequence[str], limits: Limits) -> Iterator[Row]:
    """The rows below the root."""
    tops = [(f"[{index}]", one) for index, one in enumerate(tree)] if isinstance(tree, list) else [("", tree)]
    for path, one in tops:
        top = Level("", path, _values(one, steps[:1], limits))
        if steps:
            yield from _members(one, (top,), steps, limits)
        elif isinstance(tree, list):
            yield (top,)


def _members(parent: object, above: Row, steps: Sequence[str], limits: Limits) -> Iterator[Row]:
    step, rest = steps[0], steps[1:]
    found = parent.get(step) if isinstance(parent, dict) else None
    path = f"{above[0].path}.{step}".removeprefix(".")
    for place, member in [(f"{path}[{index}]", one) for index, one in enumerate(found)] if isinstance(found, list) else [(path, found)]:
        if member is None:
            continue
        one = Level(step, place, _values(member, rest[:1], limits))
        if rest:
            yield from _members(member, (one, *above), rest, limits)
        else:
            yield (one, *above)


def _values(member: object, but: Sequence[str], limits: Limits) -> dict[str, Cell]:
    """The values of an object and of all in it, but for the members in which rows are looked for."""
    found: dict[str, Cell] = {}
    waiting: list[tuple[object, str]] = [(member, "")]
    while waiting:
        one, path = waiting.pop()
        if isinstance(one, dict):
            inner = [(value, f"{path}/{name}".removeprefix("/")) for name, value in one.items() if name not in but or one is not member]
            waiting += reversed(inner)
        elif isinstance(one, list):
            waiting += reversed([(value, f"{path}[{number}]" if number > 1 else path) for number, value in enumerate(one, 1)])
        elif isinstance(one, (str, bool)) and len(path) <= _LONGEST:
            found[path or _OWN] = one
        if len(found) > limits.sheet_columns:
            raise Rejected(Problem(code="too_many_readings", values={"limit": str(limits.sheet_columns)}))
    return found
