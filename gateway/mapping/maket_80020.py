"""The makets 80020 and 80040 of the ATS: one XML file holds the half-hours or hours of many points for one day, a zip many such files."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from time import thread_time
from typing import Final

import msgspec
from lxml import etree

from gateway.domain.problems import Problem, Rejected, Severity
from gateway.domain.readings import IntervalBlock, MeterReading
from gateway.domain.supply import key
from gateway.mapping import Envelope, Format, within_limit
from gateway.mapping.maket_point import BARE, CHANNELLED, Part, Points
from gateway.mapping.markup import stream_untrusted
from gateway.mapping.zip_gate import Entry, entries, kind_of, peek, unpack
from gateway.settings import Limits

CLASSES: Final = ("80020", "80040")
"""Both are one tree of elements; which of them it was makes no difference to what is measured."""
_POINTS: Final = CHANNELLED + BARE
_TAGS: Final = ("testonly", "datetime", "area", *_POINTS)
_HEAD: Final = 4096
"""So many bytes are looked at to tell what a file is."""
_SNIFFED: Final = 5
_message: Final = re.compile(rb"""<message\s[^<>]*?\bclass\s*=\s*["']80[0-9]{3}["']""").search
_day: Final = re.compile(r"((?:19|20)[0-9]{2})([0-9]{2})([0-9]{2})").fullmatch
_SHOWN: Final = 40


class Maket80020(Format, frozen=True, kw_only=True):
    """Reads one XML file or a zip of them; a mistake in a point refuses that point and no other."""

    limits: Limits = Limits()

    def sniff(self, body: bytes, file_name: str) -> bool:  # noqa: ARG002 - names are not trusted
        """Tell by the root of the file, or of the first ones of a zip, whether it is a maket of any class."""
        if not body:
            return False
        kind = kind_of(body)
        if kind != "zip":
            return kind in ("xml", "text") and _is_maket(body[:_HEAD])
        try:
            found = _files(body, self.limits)
        except Rejected:  # what is wrong with it is the door's to say, it is no maket
            return False
        return any(_is_maket(peek(body, entry, _HEAD)) for entry in found[:_SNIFFED])

    def decode(self, body: bytes, envelope: Envelope) -> Iterator[MeterReading | Problem]:
        """One MeterReading per point and month with a block for each of its channels and days.

        Raises Rejected when a document is not well-formed, of another class, a test or without its day, or when there is no point in it.
        """
        until = thread_time() + self.limits.child_seconds
        found: dict[tuple[str, str], _Gathered] = {}
        refused: list[Problem] = []
        for name, document in self._documents(body):
            try:
                _check_kind(document)
                message = Message(document, envelope, self.limits, until)
            except Rejected as refusal:
                refused += [_in_file(problem, name) for problem in refusal.problems]
                if thread_time() > until:
                    break
                continue
            for part in message.parts:
                place = (key(part.code) or f"{name}!{part.where}", f"{message.day:%Y-%m}")
                found.setdefault(place, _Gathered(message.day)).add(part, name)
        if refused:
            raise Rejected(*refused[: self.limits.file_problems])
        if not found:
            raise Rejected(Problem(code="nothing_to_take"))
        return within_limit([one.reading(envelope) for one in found.values()], self.limits)

    def _documents(self, body: bytes) -> Iterator[tuple[str, bytes]]:
        """Each document with its name in the archive; a lone one has none."""
        if kind_of(body) != "zip":
            yield "", body
            return
        for entry in _files(body, self.limits):
            if entry.size > self.limits.file_bytes:
                raise Rejected(Problem(code="file_too_large", where=entry.name, values={"limit": str(self.limits.file_bytes)}))
            yield entry.name, bytes(unpack(body, entry))


def day_of_file(body: bytes, limits: Limits) -> date | None:
    """The day that a file says it is of, that of its first document in a zip; None when it cannot be told."""
    try:
        if kind_of(body) == "zip":
            entry = next(iter(_files(body, limits)), None)
            body = bytes(unpack(body, entry)) if entry is not None and entry.size <= limits.file_bytes else b""
        first = next(stream_untrusted(body, limits, _TAGS))
        return _day_of(first) if first.tag == "datetime" else None
    except Rejected:  # told in its place already
        return None


class Message:
    """What one document says: its day and, of each point in their order, a part."""

    def __init__(self, document: bytes, envelope: Envelope, limits: Limits, until: float) -> None:
        """Read it to its end, or until it has more mistakes than are told. Raises Rejected with a place in the document.

        `until`: when this thread will have worked on the file for as long as a file may take.
        """
        self.parts: list[Part] = []
        self._envelope = envelope
        self._points: Points | None = None
        self._seen: Counter[str] = Counter()
        self._area = 1
        wrong = 0
        for element in stream_untrusted(document, limits, _TAGS):
            root = element.getroottree().getroot()
            _check_class(root)
            if element is not root:
                wrong += self._take(element, root)
            if wrong > limits.file_problems:
                break
            if thread_time() > until:
                raise Rejected(Problem(code="file_too_costly"))
        self.day = self._of_a_day().day

    def _take(self, element: "etree._Element", root: "etree._Element") -> int:
        """Take in one element; how many mistakes are in it."""
        tag, parent = str(element.tag), element.getparent()
        if tag in _POINTS:
            if parent is None or parent.tag != "area" or parent.getparent() is not root:
                raise _misplaced(element)
            self._seen[tag] += 1
            part = self._of_a_day().read(element, f"/message/area[{self._area}]/{tag}[{self._seen[tag]}]")
            self.parts.append(part)
            return sum(problem.severity is Severity.ERROR for problem in part.problems)
        if parent is root and tag == "area":
            self._area += 1
            self._seen.clear()
        elif parent is root and tag == "testonly":
            raise Rejected(Problem(code="maket_test_only", where="/message/testonly"))
        elif parent is root:
            if self._points is not None:
                raise _misplaced(element)
            self._points = Points(_day_of(element), self._envelope)
        return 0

    def _of_a_day(self) -> Points:
        if self._points is None:
            raise _no_day("")
        return self._points


class _Gathered:
    """What the documents say of one point for one month."""

    def __init__(self, day: date) -> None:
        """Begin with the first day that is told; the others are of its month."""
        self.day, self.code, self.where = day, "", ""
        self.blocks: list[IntervalBlock] = []
        self.problems: list[Problem] = []
        self.uncertain = 0
        self._days: set[tuple[str, date]] = set()
        self._told: set[tuple[str, str]] = set()

    def add(self, part: Part, name: str) -> None:
        """Take in one document's part. What is no mistake is told once, however many files say it."""
        self.code, self.where = self.code or part.code, self.where or _place(part.where, name)
        for problem in part.problems:
            same = (problem.code, problem.values.get("channel", ""))
            if problem.severity is Severity.ERROR or same not in self._told:
                self._told.add(same)
                self.problems.append(_in_file(problem, name))
        for block in part.blocks:
            where = _place(block.where, name)
            if (block.register, block.day) in self._days:
                self.problems.append(Problem(code="interval_repeated", where=where, values={"meter": part.code}))
            self._days.add((block.register, block.day))
            self.blocks.append(msgspec.structs.replace(block, where=where) if name else block)
        self.uncertain += part.uncertain

    def reading(self, envelope: Envelope) -> MeterReading:
        """All of it, beside what is told with the file."""
        period, problems = f"{self.day:%Y-%m}", list(self.problems)
        if envelope.period and envelope.period != period:
            told = {"written": period, "expected": envelope.period}
            problems.append(Problem(code="period_differs", where=self.where, values=told))
        if envelope.meter and self.code and key(envelope.meter) != key(self.code):
            told = {"written": self.code[:_SHOWN], "expected": envelope.meter[:_SHOWN]}
            problems.append(Problem(code="meter_differs", where=self.where, values=told))
        if self.uncertain:
            told = {"count": str(self.uncertain)}
            problems.append(Problem(code="maket_noncommercial", where=self.where, severity=Severity.WARNING, values=told))
        return MeterReading(
            meter=self.code,
            readings=(),
            period=period,
            where=self.where,
            problems=tuple(problems),
            blocks=tuple(sorted(self.blocks, key=_by_day)),
        )


def _by_day(block: IntervalBlock) -> date:
    return block.day


def _is_maket(head: bytes) -> bool:
    plain = head.decode("utf-16", "ignore").encode("ascii", "replace") if head[:2] in (b"\xff\xfe", b"\xfe\xff") else head
    return _message(plain) is not None


def _files(body: bytes, limits: Limits) -> list[Entry]:
    """What is no folder in an archive. Raises Rejected."""
    return [entry for entry in entries(body, limits) if not entry.name.endswith("/")]


def _check_kind(document: bytes) -> None:
    kind = kind_of(document)
    if kind not in ("xml", "text"):
        raise Rejected(Problem(code="file_type_mismatch", values={"kind": kind}))


def _check_class(root: "etree._Element") -> None:
    told = root.get("class", "").strip() if root.tag == "message" else str(root.tag)
    if root.tag != "message" or told not in CLASSES:
        raise Rejected(Problem(code="maket_class_unknown", where=f"/{str(root.tag)[:_SHOWN]}", values={"class": told[:_SHOWN]}))


def _day_of(element: "etree._Element") -> date:
    text = (element.findtext("day") or "").strip()
    found = _day(text)
    if found is None:
        raise _no_day(text)
    try:
        return date(*map(int, found.groups()))
    except ValueError as error:
        raise _no_day(text) from error


def _misplaced(element: "etree._Element") -> Rejected:
    return Rejected(Problem(code="maket_misplaced", where=f"line {element.sourceline}", values={"element": str(element.tag)[:_SHOWN]}))


def _no_day(written: str) -> Rejected:
    return Rejected(Problem(code="maket_day_invalid", where="/message/datetime/day", values={"value": written[:_SHOWN]}))


def _place(where: str, name: str) -> str:
    """A place in a document; in one of an archive its name stands before it, as a sheet's before a cell."""
    return f"{name}!{where}" if name and where else name or where


def _in_file(problem: Problem, name: str) -> Problem:
    return msgspec.structs.replace(problem, where=_place(problem.where, name)) if name else problem
