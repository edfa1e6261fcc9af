"""Whether a file is all there is told from the file: every cut of a whole one is seen, and the whole one is let through."""

import io
import json
import struct
import time
from collections.abc import Callable

import openpyxl
import pytest
import xlwt

from gateway.inbound.drop import names
from gateway.inbound.drop.whole import missing, whole
from tests.conftest import case


def xlsx() -> bytes:
    """A small workbook."""
    book, packed = openpyxl.Workbook(), io.BytesIO()
    book.worksheets[0]["A1"] = "x"
    book.save(packed)
    return packed.getvalue()


def xls(rows: int = 3) -> bytes:
    """The same in the old format."""
    book, packed = xlwt.Workbook(), io.BytesIO()
    sheet = book.add_sheet("x")
    for row in range(rows):
        for column in range(50):
            sheet.write(row, column, row * column + 0.5)
    book.save(packed)
    return bytes(packed.getvalue())


def long_compound() -> bytes:
    """A compound file of so many sectors that not all its tables stand in the header: 120 tables of 128 sectors of 512 bytes."""
    tables, size = 120, 512
    sectors = tables * 128
    header = struct.pack(
        "<8s16x2HHHH6xLLLL4xLLLL", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 62, 3, 0xFFFE, 9, 6, 0, tables, 0, 0, 4096, 0, 0, tables
    )
    header = header[:72] + struct.pack("<L", 1) + struct.pack("<109L", *range(109))
    more = struct.pack("<128L", *range(109, tables), *[0xFFFFFFFF] * (127 - tables + 109), 0xFFFFFFFE)
    return header + b"\1\0\0\0" * (128 * tables) + more + bytes(size * (sectors - tables - 1))


MADE: dict[str, Callable[[], bytes]] = {
    "xlsx": xlsx,
    "xls": xls,
    "json": lambda: json.dumps({"readings": [{"meter": 'a"}]\\', "note": "}"}]}, indent=1).encode(),
    "xml": lambda: b'<?xml version="1.0"?>\r\n<!--App=<message>--><message class="80020"><day>1</day><a/></message >',
    "xml without a declaration": lambda: b"<message><a>1</a><!-- 2 --></message>",
    "csv": lambda: "прибор;показание\r\n20300109;150\r\n".encode("cp1251"),
}


@pytest.mark.parametrize("kind", sorted(MADE))
def test_no_cut_of_a_file_is_taken_for_the_whole(kind: str) -> None:
    body = MADE[kind]()
    assert whole(body)
    ends = range(1, len(body)) if len(body) < 2000 else range(16, len(body), case(97, 1))
    taken = [end for end in ends if whole(body[:end])]
    if kind == "csv":
        assert all(body[end - 1 : end] in b"\r\n" for end in taken)  # a line's end is all that a text shows
    else:
        assert taken == []


def test_a_long_compound_file_is_whole_only_at_its_end() -> None:
    body = long_compound()
    assert whole(body)
    assert not any(whole(body[: len(body) - cut]) for cut in (1, 512, 4096, 300_000, len(body) // 2, len(body) - 600))


@pytest.mark.parametrize("body", [b"", b"%PDF-1.4", b"<html>", b"MZ\x90", b"<?xml version='1.0'?><!DOCTYPE a>", b"\0\1\2", xlsx() + b""])
def test_what_is_refused_anyway_waits_for_nothing(body: bytes) -> None:
    assert missing(body) is None


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1,2",
        b'{"a": "}',
        b'{"a": "]}',
        b"a;b\n1;2",
        b"<html><table><tr><td>1</td></tr>",
        b"<?xml version='1.0'?>",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
    ],
)
def test_what_lacks_its_end_waits(body: bytes) -> None:
    assert missing(body) is not None or body.startswith(b"\xd0")


def compound(size: int) -> bytes:
    """A compound file whose chain of tables goes round for ever, as full of free sectors as can be."""
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(22) + struct.pack("<H", 9) + bytes(12)
    head += struct.pack("<L20xLL", size // 512, 0, 0xFFFFFFF0) + struct.pack("<109L", *[0] * 109)
    return head + (struct.pack("<128L", *[0] * 128) + b"\xff" * 512 * 3) * (size // 2048)


GROWING: dict[str, tuple[Callable[[bytes], object], Callable[[int], bytes]]] = {
    "quotes behind backslashes": (whole, lambda size: b"{" + b'"\\' * (size // 2) + b"}"),
    "quotes": (whole, lambda size: b"{" + b'"' * size + b"}"),
    "backslashes in a string": (whole, lambda size: b'{"' + b"\\" * size + b"}"),
    "a string without an end": (whole, lambda size: b'["' + b"a" * size + b"]"),
    "brackets": (whole, lambda size: b"[" * size + b"]"),
    "blanks": (whole, lambda size: b"[" + b" " * size + b"x"),
    "tags": (whole, lambda size: b"<a>" * (size // 3)),
    "comments": (whole, lambda size: b"<a></a>" + b"<!--" * (size // 4)),
    "comments before": (whole, lambda size: b"<!--" * (size // 4) + b"<a>"),
    "ends of a zip": (whole, lambda size: b"PK\x03\x04" + b"PK\x05\x06" * (size // 4)),
    "tables in a ring": (whole, compound),
    "backslashes in a name": (lambda name: names.original(name.decode()), lambda size: b"\\" * size),
    "escapes in a name": (lambda name: names.original(name.decode()), lambda size: b"\\x" * (size // 2)),
    "bytes in a name": (names.stored, lambda size: b"\xff" * (size // 4)),
}


@pytest.mark.parametrize("kind", sorted(GROWING))
def test_no_text_costs_more_than_its_size(kind: str) -> None:
    """Eight times as much takes about eight times as long; 64 times as long would be what grows with the square."""
    judge, made = GROWING[kind]

    def least(size: int) -> float:
        body, times = made(size), []
        for _ in range(3):
            began = time.process_time()
            judge(body)
            times.append(time.process_time() - began)
        return min(times)

    assert least(160_000) < 40 * max(least(20_000), 0.0005)


@pytest.mark.parametrize("body", [b'{"a": 1}"}', b'{"a": "\\"}', b'{"a": "\\\\\\"}', b'["]'])
def test_a_string_without_its_end_is_not_whole(body: bytes) -> None:
    assert not whole(body)


def test_a_string_is_followed_over_the_pieces_that_are_looked_at() -> None:
    """An escape, a string and an object each lie across the end of a piece at some length of what stands before them."""
    for before in range(262_120, 262_150):
        body = b'{"' + b"a" * before + b'\\"}": {"b": "\\\\"}}'
        assert whole(body)
        assert not any(whole(body[:-cut]) for cut in range(1, 14))
