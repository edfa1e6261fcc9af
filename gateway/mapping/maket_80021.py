"""The maket 80021 of the ATS: the answer to a maket 80020, one figure for the whole of it."""

import re
from collections.abc import Iterable
from datetime import date, datetime
from enum import IntEnum
from typing import Final
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

import msgspec

from gateway.domain.problems import Problem, Rejected
from gateway.mapping.markup import parse_untrusted
from gateway.settings import Limits

CLASS: Final = "80021"
_UNKNOWN: Final = frozenset(
    {"meter_unknown", "meter_ambiguous", "register_unknown", "agreement_unknown", "location_differs", "maket_channel_unknown"}
)
"""Points and channels that the receiver does not know; their values are not taken."""
_NONCOMMERCIAL: Final = "maket_noncommercial"
_MISPLACED: Final = "maket_misplaced"
_XML: Final = "xml_"
_UNSEEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SHOWN: Final = 40


class Status(IntEnum):
    """What became of a maket 80020: the figure of `reply/@status`."""

    ACCEPTED = 0
    NONCOMMERCIAL = 1
    UNKNOWN = 2
    FORMAT = 3
    MALFORMED = 4


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. `id`: its number. `name`: of the file answered. `day`: of its data, None when not told. `archive`: it came as a zip.

    `received`: aware; None when not told.
    """

    id: str
    name: str
    status: Status
    received: datetime | None = None
    day: date | None = None
    archive: bool = False


def status_of(found: Iterable[tuple[str, bool]]) -> Status:
    """The highest figure that applies to a file, by the codes of all its problems, each with whether it refused what it is about.

    0 and 1 say that every value was taken. What stands in part is 2 or 3: the makets have no word for it.
    """
    return max((_status(code, refused=refused) for code, refused in found), default=Status.ACCEPTED)


def _status(code: str, *, refused: bool) -> Status:
    if code in _UNKNOWN:
        return Status.UNKNOWN
    if code == _NONCOMMERCIAL:
        return Status.NONCOMMERCIAL
    if refused and code.startswith(_XML):
        return Status.MALFORMED
    return Status.FORMAT if refused or code == _MISPLACED else Status.ACCEPTED


def write(reply: Reply, zone: str) -> bytes:
    """The answer in windows-1251 with CRLF; times are those of the zone."""
    received = "" if reply.received is None else f"{reply.received.astimezone(ZoneInfo(zone)):%Y%m%d%H%M%S}"
    day = "" if reply.day is None else f"{reply.day:%Y%m%d}"
    lines = (
        '<?xml version="1.0" encoding="windows-1251"?>',
        f'<message class="{CLASS}" version="1" id="{_text(reply.id)}">',
        f"<email><id/><received>{received}</received><from/><subject/></email>",
        f'<file zip="{int(reply.archive)}"><name>{_text(reply.name)}</name><date>{day}</date></file>',
        f'<reply status="{reply.status:d}"/>',
        "</message>",
        "",
    )
    return "\r\n".join(lines).encode("cp1251", "xmlcharrefreplace")


def read(body: bytes, zone: str, limits: Limits) -> Reply:
    """Read an answer. Raises Rejected for what is none, and for a figure that is none of five."""
    root = parse_untrusted(body, limits)
    told = (root.get("class") or "") if root.tag == "message" else str(root.tag)
    if root.tag != "message" or told.strip() != CLASS:
        raise Rejected(Problem(code="maket_class_unknown", where=f"/{str(root.tag)[:_SHOWN]}", values={"class": told[:_SHOWN]}))
    reply, file = root.find("reply"), root.find("file")
    figure = ("" if reply is None else reply.get("status") or "").strip()
    if figure not in {str(status.value) for status in Status}:
        raise Rejected(Problem(code="maket_reply_invalid", where="/message/reply", values={"value": figure[:_SHOWN]}))
    received, day = ((root.findtext(path) or "").strip() for path in ("email/received", "file/date"))
    return Reply(
        id=(root.get("id") or "").strip(),
        name=(root.findtext("file/name") or "").strip(),
        status=Status(int(figure)),
        received=_moment(received, zone),
        day=_day(day),
        archive=file is not None and (file.get("zip") or "").strip() == "1",
    )


def _moment(text: str, zone: str) -> datetime | None:
    """A time as the sender's clock showed it; None when it is none."""
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=ZoneInfo(zone))
    except ValueError:
        return None


def _day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=ZoneInfo("UTC")).date()
    except ValueError:
        return None


def _text(text: str) -> str:
    return escape(_UNSEEN.sub("\ufffd", text), {'"': "&quot;"})
