"""Whether a file is all there: told by its own structure, since no event tells the end of an upload (a killed client closes too)."""

import re
import struct
from collections.abc import Callable, Iterator
from typing import Final

from gateway.domain.problems import Problem
from gateway.mapping.any_table import is_page
from gateway.mapping.zip_gate import Kind, kind_of

_END_OF_ZIP: Final = b"PK\x05\x06"
_HEADER: Final = 512
_SMALLEST_DBF: Final = 33
_LAST_SECTOR: Final = 0xFFFFFFFA
_PIECE: Final = 262_144
"""Bytes of JSON looked at in one go: nobody else in this process has to wait for more than that."""
_ESCAPED: Final = re.compile(rb"\\.", re.DOTALL)
_ROOT: Final = re.compile(rb"""(?:<\?.*?\?>|<!--.*?-->|[^<])*+<([^\s<>/!?"'=]+)""", re.DOTALL)
_AFTER: Final = re.compile(rb"\s*>(?:\s|<!--.*?-->|<\?.*?\?>)*+", re.DOTALL)
_LINE_ENDS: Final = (b"\n", b"\r", b"\n\x1a", b"\n\0", b"\r\0")
"""The last two in UTF-16."""
_HEAD: Final = 65_536
"""Within so many bytes the root of an XML file begins."""
_TAIL: Final = 4_096
_WORDS: Final = bytes(sorted(set(range(256)) - set(b'"{}[]')))


def missing(body: bytes) -> Problem | None:
    """What is said of a file that has waited for its end in vain; None when nothing is missing."""
    return None if whole(body) else Problem(code="file_incomplete", values={"size": str(len(body))})


def whole(body: bytes) -> bool:
    """Tell whether nothing is missing at the end of a file.

    A zip (xlsx, ods) ends with its directory; a DBF is as long as its header says; a compound file (xls) reaches the end of every sector
    its tables count; JSON closes its last bracket, XML its root, a page with tables its end; any other text ends its last line. What is
    empty or of a kind nobody takes counts as whole: the door refuses it.
    """
    kind = kind_of(body) if body else "binary"
    if kind == "text" and not body[:_HEAD].lstrip().startswith(b"<"):
        return body.endswith(_LINE_ENDS)
    judge = _JUDGES.get(kind)
    return judge is None or judge(body)


def _zip_is_whole(body: bytes) -> bool:
    at = body.rfind(_END_OF_ZIP, max(0, len(body) - 65_557))
    return at >= 0 and len(body) >= at + 22 and len(body) == at + 22 + int.from_bytes(body[at + 20 : at + 22], "little")


def _dbf_is_whole(body: bytes) -> bool:
    """As long as its header says; a header that lies is believed when the mark of the end stands there."""
    if len(body) < _SMALLEST_DBF:
        return False
    rows, head, width = struct.unpack_from("<IHH", body, 4)
    return len(body) >= head + rows * width or body.endswith(b"\x1a")


def _compound_is_whole(body: bytes) -> bool:
    """[MS-CFB] 2.2-2.5: the allocation tables say which sectors are used, and the header where the tables are."""
    if len(body) < _HEADER:
        return False
    size: int = 1 << struct.unpack_from("<H", body, 30)[0]
    if size not in (512, 4096):
        return True  # no such file: its reader says so
    slots, last = size // 4, 0
    try:
        for number, sector in enumerate(_tables(body, size)):
            table = body[(sector + 1) * size : (sector + 2) * size]
            if len(table) < size:
                return False
            used = (len(table.rstrip(b"\xff")) + 3) // 4  # what is free is four bytes of FF
            last = number * slots + used - 1 if used else last
    except struct.error:
        return False
    return len(body) >= (last + 2) * size


def _tables(body: bytes, size: int) -> Iterator[int]:
    """The sectors of the allocation table: the first 109 stand in the header, more in a chain of sectors.

    Raises struct.error when the file is too short for what it says.
    """
    count, at, chain = struct.unpack_from("<L", body, 44)[0], struct.unpack_from("<L", body, 68)[0], struct.unpack_from("<L", body, 72)[0]
    if count > len(body) // size:
        raise struct.error("more tables than sectors")
    told = list(struct.unpack_from("<109L", body, 76))
    for _ in range(min(chain, len(body) // size + 1)):
        if len(told) >= count or at > _LAST_SECTOR:
            break
        *more, at = struct.unpack_from(f"<{size // 4}L", body, (at + 1) * size)
        told += more
    yield from (sector for sector in told[:count] if sector <= _LAST_SECTOR)


def _xml_is_whole(body: bytes) -> bool:
    """The last tag closes the root. A document type is refused by its reader, whatever follows it."""
    root = _ROOT.match(body[:_HEAD])
    if root is None:
        return b"<!DOCTYPE" in body[:_HEAD]
    closing = b"</" + root[1]
    at = body.rfind(closing)
    return at >= 0 and _AFTER.fullmatch(body, at + len(closing)) is not None


def _page_is_whole(body: bytes) -> bool:
    """A page with tables in it closes at its end; any other is nobody's."""
    return not is_page(body) or body[-_TAIL:].rstrip().lower().endswith((b"</html>", b"</table>"))


def _json_is_whole(body: bytes) -> bool:
    """The brackets outside of strings close exactly at the end; what is wrong inside is its reader's to say."""
    text = body.rstrip()
    if not text.endswith((b"}", b"]")):
        return False
    opened = closed = 0
    inside, cut = False, b""
    for at in range(0, len(text), _PIECE):
        piece = _ESCAPED.sub(b"", cut + text[at : at + _PIECE])
        cut = b"\\" if piece.endswith(b"\\") else b""
        strings = piece.translate(None, _WORDS).split(b'"')
        bare = b"".join(strings[inside::2])
        opened += bare.count(b"{") + bare.count(b"[")
        closed += bare.count(b"}") + bare.count(b"]")
        inside ^= len(strings) % 2 == 0
    return not inside and opened <= closed


_JUDGES: Final[dict[Kind, Callable[[bytes], bool]]] = {
    "xlsx": _zip_is_whole,
    "ods": _zip_is_whole,
    "zip": _zip_is_whole,
    "dbf": _dbf_is_whole,
    "xls": _compound_is_whole,
    "json": _json_is_whole,
    "html": _page_is_whole,
    "xml": _xml_is_whole,
    "text": _xml_is_whole,
}
"""A text comes here only when it begins as XML does."""
