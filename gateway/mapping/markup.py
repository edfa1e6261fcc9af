"""The one gate for untrusted XML: size, charset, DOCTYPE, attributes and depth are judged before anyone looks at the content."""

import codecs
import re
from collections.abc import Callable, Collection, Iterator
from functools import cache
from typing import Any, Final

from lxml import etree

from gateway.domain.problems import Problem, Rejected
from gateway.settings import Limits

MARKS: Final = 2_000_000
"""How many tags and quotes a document may hold: each may cost a node of 120 bytes, whatever the size of the document."""
ASIDES: Final = 1_000
"""How many comments and instructions it may hold; they say nothing to anybody here."""
SECTIONS: Final = 100_000
"""How many CDATA sections it may hold: some programs write every text in one."""

AT_ONCE: Final = 100_000
"""How many of both may stand between one element that is handed out and the next, where a document is read piece by piece."""

HANDED_OUT: Final = 500_000
"""How many elements one document may hold that are handed out."""

_CHARSETS: Final = {"utf-8": "utf-8", "utf8": "utf-8", "windows-1251": "cp1251", "cp1251": "cp1251", "utf-16": "utf-16"}
_BOMS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_DECLARED: Final = re.compile(r"""<\?xml\s[^>]*?\sencoding\s*=\s*["']([^"']*)["']""").match
_DECLARATION: Final = re.compile(rb"<\?xml\s").match
_BLANKS: Final = re.compile(rb"\s*+")
_ASIDE: Final = re.compile(rb"<!--|<\?|<!\[CDATA\[")
_ENDS: Final = {b"<!--": b"-->", b"<?": b"?>", b"<![CDATA[": b"]]>"}
_TOO_LARGE: Final = frozenset({45, 110, 114})
"""libxml2's own limits: a comment, a name, anything else of more than 10,000,000 bytes."""
_DEEPEST: Final = 256
"""Where libxml2 itself stops reading."""
_PIECE: Final = 65_536
_PARSER: Final[dict[str, Any]] = {
    "encoding": "utf-8",
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "remove_comments": True,
    "remove_pis": True,
}


def parse_untrusted(
    body: bytes, limits: Limits, *, size: int | None = None, charset: str = "", forbid: Collection[str] = ()
) -> "etree._Element":
    """Parse a document that a stranger sent; its comments and instructions are gone, so an element's text is all of its text.

    `size`: most bytes, those of a file unless told. `charset`: what the transport says of it, empty when it says nothing. `forbid`: what
    refuses a document beside a DOCTYPE, `instruction`. Raises Rejected with one problem that names the line.
    """
    most = limits.file_bytes if size is None else size
    if len(body) > most:
        raise _too_large("bytes", most)
    text = _as_utf8(body, charset.strip().lower())
    _check_marks(text, limits.xml_attributes, forbid)
    root = _parsed(text, limits.xml_depth)
    _refuse_dtd(root)
    for deep in _deeper_than(limits.xml_depth)(root):
        raise _too_deep(limits.xml_depth, f"line {deep.sourceline}")
    return root


def stream_untrusted(body: bytes, limits: Limits, tags: Collection[str]) -> "Iterator[etree._Element]":
    """Parse such a document in flat memory: hand out each element of these tags once it is whole, and last the root.

    What was handed out is emptied as soon as the next one is asked for, and what stands before it is gone. It is as deep as libxml2
    allows and holds as many elements as its size allows, AT_ONCE at a time. Raises Rejected with one problem that names the line, at
    any time: nothing of a document may be believed before its end.
    """
    if len(body) > limits.file_bytes:
        raise _too_large("bytes", limits.file_bytes)
    text, charset = _ascii_like(body)
    _check_prolog(text)
    parser = etree.XMLPullParser(events=("end",), tag=tuple(tags), **_PARSER)
    held = handed = 0
    try:
        for piece in _pieces(text, charset):
            held += piece.count(b"<") + piece.count(b'"') + piece.count(b"'")
            if held > AT_ONCE:
                raise _too_large("elements and attributes", AT_ONCE)
            parser.feed(piece)
            ended: Any = parser.read_events()
            for _, element in ended:
                yield element
                _forget(element)
                held, handed = 0, handed + 1
            if handed > HANDED_OUT:
                raise _too_large("elements", HANDED_OUT)
        root = parser.close()
    except etree.XMLSyntaxError as error:
        raise _malformed(error, limits.xml_depth) from error
    _refuse_dtd(root)
    yield root


def _forget(element: "etree._Element") -> None:
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _ascii_like(body: bytes) -> tuple[bytes, str]:
    """The document in a charset in which markup is ASCII, and that charset: `utf-8` or `cp1251`; nothing is decoded that need not be."""
    start, charset, names = _charset_of(body, "")
    if charset != "utf-16":
        return body[start:] if start else body, charset
    try:
        return bytes(body).decode("utf-16").encode(), "utf-8"
    except UnicodeError as error:
        raise _undecodable(error, names, body) from error


def _pieces(text: bytes, charset: str) -> Iterator[bytes]:
    """The document in UTF-8, a piece at a time. Raises Rejected for bytes that are not in its charset."""
    decoder = codecs.getincrementaldecoder(charset)()
    for at in range(0, len(text), _PIECE):
        piece = bytes(text[at : at + _PIECE])
        held = decoder.getstate()[0]
        if not held and piece.isascii():
            yield piece
            continue
        try:
            yield decoder.decode(piece, final=at + _PIECE >= len(text)).encode()
        except UnicodeDecodeError as error:
            raise _encoding(charset, _line(text, at - len(held) + error.start)) from error


def _as_utf8(body: bytes, told: str) -> bytes:
    """The same document in UTF-8. Raises Rejected for another charset than the allowed ones, and for bytes that are not in it."""
    start, charset, names = _charset_of(body, told)
    try:
        if charset == "utf-16":
            return body.decode("utf-16").encode()
        bare = body[start:]
        if charset == "utf-8" and not bare.isascii():
            bare.decode()
        elif charset == "cp1251":
            return bare.decode("cp1251").encode()
    except UnicodeError as error:
        raise _undecodable(error, names, body) from error
    return bare


def _charset_of(body: bytes, told: str) -> tuple[int, str, list[str]]:
    """How long the byte order mark is, which charset all that speak of one mean, and what they call it. Raises Rejected."""
    mark, by_mark = next(((mark, name) for mark, name in _BOMS if body.startswith(mark)), (b"", ""))
    names: list[str] = []
    try:
        head = body[:512].decode("utf-16", "ignore") if by_mark == "utf-16" else body[len(mark) : 512].decode("latin-1")
        found = _DECLARED(head)
        names = [name for name in (by_mark, told, found[1].lower() if found else "") if name]
        charset = _agreed(names)
    except UnicodeError as error:
        raise _undecodable(error, names, body) from error
    if charset == "utf-16" and not by_mark:
        raise _encoding("UTF-16 without a byte order mark")
    return len(mark), charset, names


def _undecodable(error: UnicodeError, names: list[str], body: bytes) -> Rejected:
    place = error.start if isinstance(error, UnicodeDecodeError) else 0
    return _encoding(", ".join(names) or "utf-8", _line(body, place))


def _agreed(names: list[str]) -> str:
    """The one charset that byte order mark, transport and declaration speak of."""
    known = {_CHARSETS.get(name.removesuffix("le").removesuffix("be") if name.startswith("utf-16") else name, "") for name in names}
    if len(known) > 1 or "" in known:
        raise _encoding(", ".join(names)[:100])
    return known.pop() if known else "utf-8"


def _check_marks(text: bytes, attributes: int, forbid: Collection[str]) -> None:
    """Count what costs memory, and look for a DOCTYPE, while all is bytes. Raises Rejected."""
    quotes = text.count(b'"') + text.count(b"'")
    if text.count(b"<") + quotes > MARKS:
        raise _too_large("elements and attributes", MARKS)
    _check_prolog(text)
    if "instruction" in forbid and text.count(b"<?") > (_DECLARATION(text) is not None):
        for place in _instructions(text):
            raise Rejected(Problem(code="xml_instruction_forbidden", where=_line(text, place)))
    if quotes > 2 * attributes and (crowd := _crowded(attributes).search(text)):
        raise Rejected(Problem(code="xml_too_many_attributes", where=_line(text, crowd.start()), values={"limit": str(attributes)}))


def _check_prolog(text: bytes) -> None:
    """Count what says nothing, and refuse a DOCTYPE. Raises Rejected."""
    if b"\0" in text[:4]:
        raise _encoding("NUL")
    asides = text.count(b"<!--") + text.count(b"<?")
    if asides > ASIDES:
        raise _too_large("comments and instructions", ASIDES)
    if text.count(b"<![CDATA[") > SECTIONS:
        raise _too_large("CDATA sections", SECTIONS)
    end = _past_prolog(text)
    if text.startswith(b"<!DOCTYPE", end):
        raise Rejected(Problem(code="xml_doctype_forbidden", where=_line(text, end)))


def _refuse_dtd(root: "etree._Element") -> None:
    if root.getroottree().docinfo.internalDTD is not None:
        raise Rejected(Problem(code="xml_doctype_forbidden"))


def _past_prolog(text: bytes) -> int:
    """Where the first thing stands that is no blank, comment or instruction."""
    end = 0
    while True:
        blanks = _BLANKS.match(text, end)
        place = blanks.end() if blanks else end
        aside = _ASIDE.match(text, place)
        end = _end_of(aside, text) if aside and aside[0] != b"<![CDATA[" else -1
        if end < 0:
            return place


def _instructions(text: bytes) -> Iterator[int]:
    """Where instructions stand that are in no comment and no CDATA, and are no XML declaration; one look at each byte."""
    aside = _ASIDE.search(text)
    while aside:
        if aside[0] == b"<?" and not _DECLARATION(text, aside.start()):
            yield aside.start()
        end = _end_of(aside, text)
        aside = _ASIDE.search(text, end) if end >= 0 else None


def _end_of(aside: re.Match[bytes], text: bytes) -> int:
    """Behind what closes a comment, an instruction or CDATA; -1 when nothing does."""
    closing = _ENDS[aside[0]]
    found = text.find(closing, aside.end())
    return found + len(closing) if found >= 0 else -1


def _parsed(text: bytes, depth: int) -> "etree._Element":
    try:
        return etree.fromstring(text, etree.XMLParser(**_PARSER))
    except etree.XMLSyntaxError as error:
        raise _malformed(error, depth) from error


def _malformed(error: etree.XMLSyntaxError, depth: int) -> Rejected:
    line = f"line {error.lineno or 1}"
    if "Excessive depth" in str(error):
        return _too_deep(min(depth, _DEEPEST), line)
    if getattr(error, "code", 0) in _TOO_LARGE:
        return _too_large("one text or name", 10_000_000, line)
    reason = (error.msg or "").partition(", line ")[0].strip()[:200]
    return Rejected(Problem(code="xml_malformed", where=line, values={"reason": reason}))


@cache
def _deeper_than(depth: int) -> "Callable[[etree._Element], list[Any]]":
    """The first element that lies deeper than that, in a list."""
    found: Callable[[etree._Element], list[Any]] = etree.XPath(f"({'/*' * (min(depth, _DEEPEST) + 1)})[1]")  # type: ignore[assignment]
    return found


@cache
def _crowded(attributes: int) -> re.Pattern[bytes]:
    """A tag with more attributes than that; `<` never stands within a tag of well-formed XML."""
    return re.compile(rb"""<[^\s<>/!?"'=](?:[^<>"']*+(?:"[^"<]*+"|'[^'<]*+')){%d}""" % (attributes + 1))


def _line(text: bytes, place: int) -> str:
    lines = text.count(b"\n", 0, place) + 1
    return f"line {lines}"


def _encoding(reason: str, where: str = "line 1") -> Rejected:
    return Rejected(Problem(code="xml_encoding", where=where, values={"reason": reason}))


def _too_large(reason: str, limit: int, where: str = "") -> Rejected:
    return Rejected(Problem(code="xml_too_large", where=where, values={"reason": reason, "limit": str(limit)}))


def _too_deep(limit: int, where: str = "") -> Rejected:
    return Rejected(Problem(code="xml_too_deep", where=where, values={"limit": str(limit)}))
