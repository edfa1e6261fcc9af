"""What the child looks for in an .xls beside its values: cells that hold an error, which calamine passes over in silence."""

import re
import struct
from collections.abc import Iterator, Sequence
from typing import Final

from gateway.domain.problems import Problem
from gateway.mapping.tables import letters

_NAMES: Final = tuple(name.encode("utf-16-le") + b"\0\0" for name in ("Workbook", "Book", "WORKBOOK", "BOOK"))
_END: Final = 0xFFFFFFFA
_MINI: Final = 4_096
_ERRORS: Final = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}
_seen: Final = re.compile(
    rb"\x02.[\x00\x07\x0f\x17\x1d\x24\x2a].{3}\xff\xff|\x05\x02\x08\x00.{6}[\x00\x07\x0f\x17\x1d\x24\x2a]\x01", re.DOTALL
).search
_BOF, _EOF, _SHEET, _FORMULA, _ERROR = 0x0809, 0x000A, 0x0085, 0x0006, 0x0205


def errors(body: bytes, names: Sequence[str], most: int) -> dict[str, list[Problem]]:
    """The cells with an error by the name of their sheet, at most so many. `names`: those of the worksheets, in their order.

    A container that is not as [MS-CFB] has it gives nothing: calamine has read it and is believed.
    """
    found: dict[str, list[Problem]] = {name: [] for name in names}
    try:
        stream = _stream(body)
        if not _seen(stream):
            return {}
        starts = [start for start, kind in _sheets(stream) if kind == 0]
        for name, start in zip(names, starts, strict=False):
            for row, column, code in _cells(stream, start):
                if code in _ERRORS and len(found[name]) < most:
                    where = f"{name}!{letters(column)}{row + 1}"[:100]
                    found[name].append(Problem(code="cell_error", where=where, values={"value": _ERRORS[code]}))
    except struct.error:
        return {}
    return found


def _stream(body: bytes) -> bytes:
    """The workbook's stream, [MS-CFB] 2.2 to 2.6: sectors in the order of their chains. Raises struct.error where there is none."""
    size: int = 1 << min(struct.unpack_from("<H", body, 30)[0], 12)
    tables, directory = struct.unpack_from("<2L", body, 44)
    first_mini, more = struct.unpack_from("<L", body, 60)[0], struct.unpack_from("<L", body, 68)[0]
    told = list(struct.unpack_from("<109L", body, 76))
    while more < _END and len(told) < tables:
        *next_told, more = struct.unpack_from(f"<{size // 4}L", body, (more + 1) * size)
        told += next_told
    table = b"".join(body[(sector + 1) * size : (sector + 2) * size] for sector in told[: min(tables, len(body) // size)])
    chains = struct.unpack(f"<{len(table) // 4}L", table[: len(table) // 4 * 4])
    entries = _chained(body, directory, chains, size, size)
    place = next((at for at in range(0, len(entries), 128) if entries.startswith(_NAMES, at)), None)
    if place is None:
        raise struct.error("no workbook")
    start, length = struct.unpack_from("<2L", entries, place + 116)
    if length >= _MINI:
        return _chained(body, start, chains, size, size)[:length]
    inner = _chained(body, struct.unpack_from("<L", entries, 116)[0], chains, size, size)
    minis = _chained(body, first_mini, chains, size, size)
    return _chained(inner, start, struct.unpack(f"<{len(minis) // 4}L", minis), 64, 0)[:length]


def _chained(body: bytes, first: int, chains: Sequence[int], size: int, before: int) -> bytes:
    """The sectors of one chain; a chain that bites its tail ends with the file."""
    parts: list[bytes] = []
    while first < len(chains) and len(parts) <= len(chains):
        parts.append(body[before + first * size : before + (first + 1) * size])
        first = chains[first]
    return b"".join(parts)


def _records(stream: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Each record from there on: its kind and where its content begins."""
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<2H", stream, at)
        yield kind, at + 4
        at += 4 + length


def _sheets(stream: bytes) -> Iterator[tuple[int, int]]:
    """Where each sheet begins, and of what kind it is, [MS-XLS] 2.4.28."""
    for kind, at in _records(stream, 0):
        if kind == _SHEET:
            start, _, what = struct.unpack_from("<L2B", stream, at)
            yield start, what
        if kind == _EOF:
            return


def _cells(stream: bytes, start: int) -> Iterator[tuple[int, int, int]]:
    """The cells of a sheet that hold an error: row, column, code. What is embedded in the sheet is passed over."""
    depth = 0
    for kind, at in _records(stream, start):
        depth += (kind == _BOF) - (kind == _EOF)
        if depth <= 0:
            return
        if depth == 1 and kind in (_FORMULA, _ERROR):
            row, column = struct.unpack_from("<2H", stream, at)
            if kind == _ERROR and stream[at + 7 : at + 8] == b"\1":
                yield row, column, stream[at + 6]
            elif kind == _FORMULA and stream[at + 6 : at + 7] == b"\2" and stream[at + 12 : at + 14] == b"\xff\xff":
                yield row, column, stream[at + 8]
