"""A crosswalk: a partner's codes beside ours, a small CSV that a mapping names."""

import csv
from collections.abc import Iterator
from typing import Final

import msgspec

from gateway.domain.problems import Misconfigured
from gateway.domain.readings import INTERVALS, REGISTERS
from gateway.domain.supply import key

COLUMNS: Final = ("code", "meter", "point", "agreement", "register")
"""The columns. A row with a `register` says what the partner calls one of our registers, one with nothing but an `agreement` what he calls
that, every other one whose a code is."""


class Link(msgspec.Struct, frozen=True):
    """One row: what a partner's code means in our words, empty where it says nothing. `line`: where it stands."""

    line: int
    code: str
    meter: str = ""
    point: str = ""
    agreement: str = ""
    register: str = ""

    @property
    def of_agreement(self) -> bool:
        """Whether it says how the partner numbers an agreement."""
        return bool(self.agreement) and not (self.meter or self.point or self.register)


class Crosswalk(msgspec.Struct, frozen=True):
    """The rows of a crosswalk; `name` is that of its document."""

    name: str
    links: tuple[Link, ...]


def read_crosswalk(document: bytes, name: str = "") -> Crosswalk:
    """Read a crosswalk. Raises Misconfigured with its first fault."""
    found = crosswalk_faults(document)
    if found:
        raise Misconfigured(f"crosswalk: {found[0]}")
    return Crosswalk(name, tuple(_links(document)))


def crosswalk_faults(document: bytes) -> list[str]:
    """Everything that is wrong with a crosswalk, each with its line."""
    try:
        links = list(_links(document))
    except UnicodeDecodeError as error:
        return [f"not UTF-8: byte {error.start} is no part of a letter"]
    except ValueError as error:
        return [str(error)]
    seen: dict[tuple[str, bool], int] = {}
    faults = []
    for link in links:
        if not link.code:
            faults.append(f"line {link.line}: there is no code")
        elif (first := seen.setdefault((key(link.code), link.of_agreement), link.line)) != link.line:
            faults.append(f"line {link.line}: the code {link.code!r} stands in line {first} already")
        if link.register and link.register not in REGISTERS and link.register not in INTERVALS:
            faults.append(f"line {link.line}: there is no register {link.register!r}")
        if not (link.register or link.meter or link.point or link.agreement):
            faults.append(f"line {link.line}: the code {link.code!r} names no meter, point, agreement or register")
    return faults


def _links(document: bytes) -> Iterator[Link]:
    """The rows below the header. Raises ValueError for a wrong header or row, UnicodeDecodeError for another encoding."""
    lines = document.decode("utf-8-sig").splitlines()
    reader = csv.reader(lines, delimiter=max(";\t,", key=(lines or [""])[0].count), strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        strange = sorted(set(names) - set(COLUMNS))
        if strange or "code" not in names or len(set(names)) < len(names):
            raise ValueError(f"line 1: the columns must be among {', '.join(COLUMNS)}, with `code`; there are {', '.join(names)[:100]}")
        for cells in reader:
            if any(map(str.strip, cells)):
                if len(cells) != len(names):
                    raise ValueError(f"line {reader.line_num}: {len(cells)} cells and not {len(names)}")
                yield Link(reader.line_num, **dict(zip(names, map(str.strip, cells), strict=True)))
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error
