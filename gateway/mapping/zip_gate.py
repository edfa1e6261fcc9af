"""The gate before any archive: what kind of file it really is, and whether its central directory may be believed."""

import stat
import struct
import zlib
from typing import Final, Literal

import msgspec

from gateway.domain.problems import Problem, Rejected
from gateway.settings import Limits

Kind = Literal["xlsx", "xls", "ods", "dbf", "zip", "json", "xml", "html", "pdf", "program", "text", "binary"]

_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_MAGIC: Final[tuple[tuple[bytes, Kind], ...]] = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "xls"),
    (b"%PDF", "pdf"),
    (b"MZ", "program"),
    (b"\x7fELF", "program"),
    (b"<?xml", "xml"),
    (b"<!doctype html", "html"),
    (b"<html", "html"),
    (b"{", "json"),
    (b"[", "json"),
)
_SPREADSHEET: Final = b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet"
_DBF: Final = struct.Struct("<Bx2B4x2H31xc")
_DBF_VERSIONS: Final = frozenset({0x03, 0x30, 0x31, 0x32, 0x43, 0x63, 0x83, 0x8B, 0x8E, 0xCB, 0xF5, 0xFB})
_DBF_FIELDS: Final = 32
_DBF_HEADERS: Final = (0, 1, 2, 8)
"""What the length of a header leaves when divided by 32: nothing or a mark behind its fields, Clipper's two bytes, FoxPro's 264."""
_PIECE: Final = 16_384
_CONTROLS: Final = frozenset(range(32)) - frozenset(b"\t\r\n\f\x1a")


class Entry(msgspec.Struct, frozen=True):
    """One file of an archive: its name and where its bytes lie."""

    name: str
    start: int
    packed: int
    size: int
    deflated: bool
    crc: int


def kind_of(body: bytes) -> Kind:
    """Tell what a file is by its bytes alone. Raises Rejected for an empty one."""
    if not body:
        raise Rejected(Problem(code="file_empty"))
    if body[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        if body[30 : 30 + len(_SPREADSHEET)] == _SPREADSHEET:
            return "ods"
        ends = body[:4096] + body[-65_536:]
        return "xlsx" if b"xl/" in ends or b"[Content_Types].xml" in ends else "zip"
    if body[:2] in (b"\xff\xfe", b"\xfe\xff"):  # UTF-16: what spreadsheets save as «Unicode text»
        return "text"
    head = body[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for magic, kind in _MAGIC:
        if head.startswith(magic.lower()):
            return kind
    if not _CONTROLS.isdisjoint(head) or not head:
        return "dbf" if _is_dbf(body) else "binary"
    return "text"


def _is_dbf(body: bytes) -> bool:
    """A version of dBase III to FoxPro; a day of the last change, or as long a header as its fields make; a first field or none."""
    if len(body) < _DBF.size:
        return False
    version, month, day, header, length, kind = _DBF.unpack_from(body)
    dated = month <= 12 and day <= 31
    named = body[_DBF_FIELDS] == 13 or kind.isalnum() or kind in b"@+"
    return version in _DBF_VERSIONS and (dated or header % 32 in _DBF_HEADERS) and header > _DBF_FIELDS and length > 0 and named


def entries(body: bytes, limits: Limits) -> tuple[Entry, ...]:
    """Read the central directory and check it against the archive itself. Raises Rejected."""
    count, size, start = _end(body)
    if count > limits.archive_entries:
        raise _refused("archive_entries", limit=str(limits.archive_entries))
    found: list[Entry] = []
    names: set[str] = set()
    at = start
    for _ in range(count):
        if at + _ENTRY.size > start + size:
            raise _refused("archive_corrupt")
        entry, at = _entry(body, at, start)
        if entry.name.casefold() in names:
            raise _refused("archive_duplicate", entry.name, name=entry.name)
        names.add(entry.name.casefold())
        found.append(entry)
    if at != start + size:
        raise _refused("archive_corrupt")
    _check_sizes(body, found, limits)
    return tuple(found)


def unpack(body: bytes, entry: Entry) -> bytearray:
    """The content of one entry, never more than it declared. Raises Rejected when its size or checksum is a lie."""
    content = bytearray()
    if not entry.deflated:
        content += body[entry.start : entry.start + entry.packed]
    else:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for start in range(entry.start, entry.start + entry.packed, _PIECE):
                content += inflater.decompress(body[start : min(start + _PIECE, entry.start + entry.packed)])
                if len(content) > entry.size:
                    break
            content += inflater.flush()
        except zlib.error as error:
            raise _refused("archive_corrupt", entry.name) from error
    if len(content) != entry.size or zlib.crc32(content) != entry.crc:
        raise _refused("archive_corrupt", entry.name)
    return content


def peek(body: bytes, entry: Entry, size: int) -> bytes:
    """The first bytes of an entry, to tell what it is; they may be a lie as its name may be."""
    if not entry.deflated:
        return body[entry.start : entry.start + min(size, entry.packed)]
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(body[entry.start : entry.start + entry.packed], size)
    except zlib.error:
        return b""


def _refused(code: str, where: str = "", **values: str) -> Rejected:
    return Rejected(Problem(code=code, where=where[:100], values=values))


def _end(body: bytes) -> tuple[int, int, int]:
    """Number of entries, size and start of the central directory; no byte may stand before the archive or after it."""
    at = body.rfind(b"PK\x05\x06", max(0, len(body) - 65_557))
    if at < 0 or at + _END.size > len(body):
        raise _refused("archive_corrupt")
    _, disk, first_disk, here, count, size, start, comment = _END.unpack_from(body, at)
    if at + _END.size + comment != len(body) or disk or first_disk or here != count:
        raise _refused("archive_corrupt")
    end = at
    if at >= _LOCATOR.size and body[at - _LOCATOR.size : at - _LOCATOR.size + 4] == b"PK\x06\x07":
        _, _, end, _ = _LOCATOR.unpack_from(body, at - _LOCATOR.size)
        if end + _END64.size > at or body[end : end + 4] != b"PK\x06\x06":
            raise _refused("archive_corrupt")
        big = _END64.unpack_from(body, end)
        told = ((count, 0xFFFF, big[7]), (size, 0xFFFFFFFF, big[8]), (start, 0xFFFFFFFF, big[9]))
        if any(small not in (mark, large) for small, mark, large in told):
            raise _refused("archive_corrupt")
        count, size, start = big[7:]
    if start + size != end or not (body.startswith(b"PK\x03\x04") or count == 0):
        raise _refused("archive_corrupt")
    return count, size, start


def _entry(body: bytes, at: int, directory: int) -> tuple[Entry, int]:
    signature, made_by, _, flags, method, _, _, crc, *sizes = _ENTRY.unpack_from(body, at)
    packed, size, name_length, extra_length, comment_length, disk, _, attributes, start = sizes
    if signature != b"PK\x01\x02" or disk not in (0, 0xFFFF):
        raise _refused("archive_corrupt")
    raw = body[at + _ENTRY.size : at + _ENTRY.size + name_length]
    extra = body[at + _ENTRY.size + name_length : at + _ENTRY.size + name_length + extra_length]
    name = _name(raw, utf8=bool(flags & 0x800))
    size, packed, start = _large(extra, name, size, packed, start)
    if flags & 0x2041:
        raise _refused("archive_encrypted", name)
    if made_by >> 8 == 3 and stat.S_IFMT(attributes >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused("archive_symlink", name, name=name)
    if method not in (0, 8) or (method == 0 and size != packed) or start + _LOCAL.size > directory:
        raise _refused("archive_corrupt", name)
    local = _LOCAL.unpack_from(body, start)
    data = start + _LOCAL.size + local[9] + local[10]
    same_name = body[start + _LOCAL.size : start + _LOCAL.size + local[9]] == raw
    if local[0] != b"PK\x03\x04" or local[3] != method or local[2] & 0x2041 or not same_name or data + packed > directory:
        raise _refused("archive_corrupt", name)
    after = at + _ENTRY.size + name_length + extra_length + comment_length
    return Entry(name, data, packed, size, method == 8, crc), after


def _name(raw: bytes, *, utf8: bool) -> str:
    try:
        name = raw.decode("utf-8" if utf8 else "cp866" if not raw.isascii() else "ascii")
    except UnicodeDecodeError as error:
        raise _refused("archive_corrupt") from error
    parts = name.replace("\\", "/").split("/")
    if not name or not name.isprintable() or parts[0] == "" or ".." in parts or parts[0][1:2] == ":":
        shown = name[:100].encode("unicode_escape").decode("ascii") if not name.isprintable() else name[:100]
        raise _refused("archive_path", shown, name=shown)
    return name


def _large(extra: bytes, name: str, size: int, packed: int, start: int) -> tuple[int, int, int]:
    """Sizes and place from the zip64 field, each only where the small one says that it stands there."""
    wanted = [value == 0xFFFFFFFF for value in (size, packed, start)]
    if not any(wanted):
        return size, packed, start
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1 and length >= 8 * sum(wanted) and at + 4 + length <= len(extra):
            large = iter(struct.unpack_from(f"<{sum(wanted)}Q", extra, at + 4))
            size, packed, start = (next(large) if want else value for want, value in zip(wanted, (size, packed, start), strict=True))
            return size, packed, start
        at += 4 + length
    raise _refused("archive_corrupt", name)


def _check_sizes(body: bytes, found: list[Entry], limits: Limits) -> None:
    end = 0
    for entry in sorted(found, key=lambda one: one.start):
        if entry.start < end:
            raise _refused("archive_overlap", entry.name)
        end = entry.start + max(entry.packed, 1 if entry.size else 0)
    total = sum(entry.size for entry in found)
    if total > limits.archive_bytes:
        raise _refused("archive_too_large", limit=str(limits.archive_bytes))
    for entry in found:
        if entry.size > 1_048_576 and entry.size > entry.packed * limits.archive_ratio:
            raise _refused("archive_ratio", entry.name, limit=str(limits.archive_ratio))
    if total > 1_048_576 and total > len(body) * limits.archive_ratio:
        raise _refused("archive_ratio", limit=str(limits.archive_ratio))
