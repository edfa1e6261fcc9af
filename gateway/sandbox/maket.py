"""The sandbox billing by makets: reads a maket 80020, one day of many points, and answers it with one figure, a maket 80021."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from typing import Final
from xml.sax.saxutils import escape

import msgspec
from lxml import etree

from gateway.sandbox.wire import Item, Outcome, Result, Value

CHANNELS: Final = {"01": ("A+", "kWh"), "02": ("A-", "kWh"), "03": ("R+", "kvarh"), "04": ("R-", "kvarh")}
POINTS: Final = ("measuringpoint", "accountpoint", "deliverypoint", "deliverygroup", "peretok")
_NUMBER: Final = re.compile(r"[0-9]{1,20}([.,][0-9]{1,10})?")
_DAY: Final = re.compile(r"20[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])")


class Figure(IntEnum):
    """What became of a maket."""

    ACCEPTED = 0
    NONCOMMERCIAL = 1
    UNKNOWN = 2
    FORMAT = 3
    MALFORMED = 4


class Turned(Exception):  # noqa: N818 - says what happened
    """A maket is turned away, whatever its points are."""

    def __init__(self, figure: Figure) -> None:
        """Keep the figure."""
        super().__init__(figure.name)
        self.figure = figure


class Maket(msgspec.Struct, frozen=True):
    """A maket as this billing takes it: a row for each point, its code as the meter. `uncertain`: some values are not for settlement."""

    day: str
    items: tuple[Item, ...]
    uncertain: bool


def read(body: bytes, name: str, agreements: Mapping[str, str]) -> Maket:
    """Read a maket in a file of this name; `agreements`: code of a point -> whose it is. Raises Turned."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise Turned(Figure.MALFORMED) from error
    day = (root.findtext("datetime/day") or "").strip()
    points = [point for area in root.iterfind("area") for point in area if point.tag in POINTS]
    if root.get("class") not in ("80020", "80040") or not _DAY.fullmatch(day) or not points:
        raise Turned(Figure.FORMAT)
    codes = [point.get("code") or f"{point.get('codefrom')}>{point.get('codeto')}" for point in points]
    if agreements and not set(codes) <= set(agreements):
        raise Turned(Figure.UNKNOWN)
    keys = (root.findtext("comment") or "").split()
    named = keys if len(keys) == len(points) else [f"{name}:{number}" for number in range(len(points))]
    sender = (root.findtext("sender/inn") or "").strip() or "sender"
    items = tuple(
        Item(
            key=f"{key}/{day}",
            agreement=agreements.get(code, sender),
            point="",
            meter=code,
            period=f"{day[:4]}-{day[4:6]}",
            at=datetime(int(day[:4]), int(day[4:6]), 1, tzinfo=UTC),
            revision=0,
            values=_values(point),
        )
        for point, code, key in zip(points, codes, named, strict=True)
    )
    return Maket(day, items, any(value.get("status") == "1" for value in root.iter("value")))


def judged(items: tuple[Item, ...], judge: Callable[[Item], Result | None], refused: tuple[str, ...]) -> Outcome | None:
    """What an order or a list of meters says of a whole maket; None when nothing is said against any point."""
    said = {result.outcome for item in items if (result := judge(item))}
    if Outcome.LATER in said:
        return Outcome.LATER
    return Outcome.REFUSED if said or any(item.meter in refused for item in items) else None


def reply(name: str, day: str, figure: Figure) -> bytes:
    """The maket 80021 for a file of this name."""
    now = datetime.now(UTC)
    lines = (
        '<?xml version="1.0" encoding="windows-1251"?>',
        f'<message class="80021" version="1" id="{now.timestamp() * 1000:.0f}">',
        f"<email><id/><received>{now:%Y%m%d%H%M%S}</received><from/><subject/></email>",
        f'<file zip="0"><name>{escape(name)}</name><date>{day}</date></file>',
        f'<reply status="{figure:d}"/>',
        "</message>",
        "",
    )
    return "\r\n".join(lines).encode("cp1251", "xmlcharrefreplace")


def _values(point: "etree._Element") -> tuple[Value, ...]:
    """The amounts of a point's day, by channel. Raises Turned."""
    channels = list(point.iterfind("measuringchannel"))
    parts = [(channel.get("code") or "", channel) for channel in channels] if channels else [("01", point)]
    if not all(code in CHANNELS for code, _ in parts):
        raise Turned(Figure.UNKNOWN)
    return tuple(
        Value(register=CHANNELS[code][0], value=total, unit=CHANNELS[code][1], consumption=total)
        for code, channel in parts
        for total in [format(sum((_amount(value) for value in channel.iterfind("period/value")), Decimal(0)), "f")]
    )


def _amount(value: "etree._Element") -> Decimal:
    text = (value.text or "").strip()
    if not text and value.get("status") == "1":
        return Decimal(0)
    if not _NUMBER.fullmatch(text):
        raise Turned(Figure.FORMAT)
    return Decimal(text.replace(",", "."))
