"""The parts of a heat report in XML: whose each of them is, its rows as pairs of a name and a value, and the name of each place."""

from time import thread_time
from typing import Any, Final

import msgspec
from lxml import etree

from gateway.domain.problems import Problem, Rejected
from gateway.mapping.markup import stream_untrusted
from gateway.settings import Limits

HEADS: Final = {
    "serial_number": "meter",
    "SERIAL": "meter",
    "circuit_code": "circuit",
    "SYSTEM": "circuit",
    "DTstart": "first",
    "DATAFROM": "first",
}
"""What stands above the rows of a part; the day on which they begin is read by none, the days say themselves."""
DATES: Final = {"period_start_date": "start", "period_end_date_24": "end"}
STATES: Final = {"period_start_meter_data": "start", "period_end_meter_data": "end"}
ROWS: Final = ("daily_data", "RECORD")
_TOTAL: Final = "TOTAL"
_TAGS: Final = tuple(f"{{*}}{name}" for name in (*HEADS, *DATES, *STATES, *ROWS, _TOTAL))
_PARENTS: Final = 20_000
"""So many elements may have something in them that is read: a part of a report has two or three."""
_SHOWN: Final = 40
_LONGEST: Final = 200


class Line(msgspec.Struct, frozen=True, gc=False):
    """A row of a report: its place, names and a value of each. `odd`: what stands there and is no pair of a name and a value."""

    where: str
    names: tuple[str, ...]
    values: list[str]
    odd: tuple[str, ...] = ()


Told = dict[str, tuple[str, str]]
"""Field -> text and place."""


class Part:
    """What a report says of one heat input of a meter. `rows`: of its intervals; `states`: of its integrators, at `start` and `end`.

    `daily`: its rows say that they are days.
    """

    __slots__ = ("above", "daily", "inside", "rows", "states", "told")

    def __init__(self, above: tuple[Told, ...]) -> None:
        """`above`: what is told in the elements that it stands in, the nearest first."""
        self.above, self.daily = above, False
        self.inside: object = None
        self.told: Told = {}
        self.rows: list[Line] = []
        self.states: dict[str, Line] = {}

    def find(self, field: str) -> tuple[str, str]:
        """A field's text and place as told before the rows, else in the nearest element around them; empty when told nowhere."""
        return next((told[field] for told in (self.told, *self.above) if field in told), ("", ""))


def read_parts(body: bytes, limits: Limits, until: float) -> list[Part]:
    """Every part of a report, in flat memory. Raises Rejected with the codes of XML, `too_many_readings`, `file_too_costly`.

    `until`: when this thread will have worked on the file for as long as a file may take.
    """
    found = _Parts(limits)
    for element in stream_untrusted(body, limits, _TAGS):
        if element.getparent() is not None:
            found.take(element)
        if thread_time() > until:
            raise Rejected(Problem(code="file_too_costly"))
    return found.parts


class _Parts:
    """Puts elements into parts, in the order in which they end.

    A part has one list of rows. What stands above rows belongs to those that follow, and what is told in an element around them counts
    where nothing nearer tells it: so a meter's number stands once above all of its heat inputs, and never reaches into the next meter.
    """

    def __init__(self, limits: Limits) -> None:
        self.parts: list[Part] = []
        self._limits, self._rows = limits, 0
        self._places = _Places()
        self._scopes: dict[Any, Told] = {}

    def take(self, element: "etree._Element") -> None:
        """Take in one element."""
        name, parent = _local(element), element.getparent()
        where = self._places.of(element)
        if name in HEADS:
            self._head(HEADS[name], (_text(element), where), element)
        elif name in ROWS:
            part = self._part(element, fresh=bool(self.parts) and self.parts[-1].inside not in (None, parent))
            if part.inside is None:
                part.inside, part.above, part.daily = parent, self._above(element), name == "daily_data"
            part.rows.append(_line(element, where))
            self._rows += 1
            if self._rows > self._limits.sheet_rows:
                raise Rejected(Problem(code="xml_too_large", values={"reason": "rows", "limit": str(self._limits.sheet_rows)}))
        elif name in STATES:
            self._state(STATES[name], _line(element, where), element)
        elif name in DATES:
            part = self._part(element, fresh=bool(self.parts) and DATES[name] in self.parts[-1].told)
            part.told[DATES[name]] = _text(element), where
        elif parent is not None and _local(parent) == "TOTALS":
            first = "start" not in self.parts[-1].states if self.parts else True
            self._state("start" if first else "end", _line(element, where), element)

    def _head(self, field: str, told: tuple[str, str], element: "etree._Element") -> None:
        last = self.parts[-1] if self.parts else None
        part = self._part(element, fresh=last is not None and (field in last.told or bool(last.rows or last.states)))
        part.told[field] = told
        parent = element.getparent()
        if field in self._scopes.setdefault(parent, {}):
            self._scopes[parent] = {}
        self._scopes[parent][field] = told

    def _state(self, edge: str, line: Line, element: "etree._Element") -> None:
        self._part(element, fresh=bool(self.parts) and edge in self.parts[-1].states).states[edge] = line

    def _part(self, element: "etree._Element", *, fresh: bool) -> Part:
        if fresh or not self.parts:
            self.parts.append(Part(self._above(element)))
        return self.parts[-1]

    def _above(self, element: "etree._Element") -> tuple[Told, ...]:
        return tuple(self._scopes[around] for around in element.iterancestors() if around in self._scopes)


class _Places:
    """Names the place of elements that are handed out in order, of a document that is taken away piece by piece."""

    def __init__(self) -> None:
        self._names: dict[Any, str] = {}
        self._seen: dict[Any, tuple[object, dict[str, int]]] = {}

    def of(self, element: "etree._Element") -> str:
        """An XPath; the line where that is longer than people read."""
        parent = element.getparent()
        if parent is None:
            return f"/{_local(element)}"
        if parent not in self._names:
            if len(self._names) == _PARENTS:
                raise Rejected(Problem(code="too_many_readings", where=f"line {element.sourceline}", values={"limit": str(_PARENTS)}))
            self._names[parent] = self.of(parent)
        place = f"{self._names[parent]}/{_local(element)}[{self._number(element, parent)}]"
        return place if len(place) <= _LONGEST else f"line {element.sourceline}"

    def _number(self, element: "etree._Element", parent: "etree._Element") -> int:
        """The number of an element among those of its name; those up to the last one that was asked for are counted already."""
        last, counts = self._seen.get(parent, (None, {}))
        one: etree._Element | None = element
        while one is not None and one is not last:
            name = _local(one)
            counts[name] = counts.get(name, 0) + 1
            one = one.getprevious()
        self._seen[parent] = element, counts
        return counts[_local(element)]


def _line(element: "etree._Element", where: str) -> Line:
    """The pairs of a row: each an element of its own, or all in one text: `Q=1.5|M1=20|date=2020-04-01`."""
    if len(element):
        return Line(where, tuple([_local(child) for child in element]), [_text(child) for child in element])
    pieces = [piece.partition("=") for piece in (element.text or "").split("|")]
    names = tuple([name.strip() for name, _, _ in pieces])
    if all(names) and all(between for _, between, _ in pieces):
        return Line(where, names, [value.strip() for _, _, value in pieces])
    good = [(name, value.strip()) for name, (_, between, value) in zip(names, pieces, strict=True) if name and between]
    odd = [piece for name, piece in zip(names, pieces, strict=True) if not (name and piece[1]) and "".join(piece).strip()]
    return Line(where, tuple([name for name, _ in good]), [value for _, value in good], tuple("".join(one).strip()[:_SHOWN] for one in odd))


def _text(element: "etree._Element") -> str:
    return (element.text or "").strip() if not len(element) else "".join(map(str, element.itertext())).strip()


def _local(element: "etree._Element") -> str:
    tag = str(element.tag)
    return tag if len(tag) < _SHOWN and tag[0] != "{" else tag.rpartition("}")[2][:_SHOWN]
