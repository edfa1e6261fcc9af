"""Whatever a stranger writes is read in time that grows with its length: twice the text, about twice the time."""

import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from gateway.mapping import crosswalk, heat_columns, hour_grid, json_gate, moments, sheet_owner, sheet_parts, tables
from gateway.mapping.cells import Cell, _objection
from gateway.mapping.heat_columns import Words, _unit
from gateway.mapping.heat_rows import _circuit_of, _first_word
from gateway.mapping.hours import _numbers, _range
from gateway.mapping.mapped.shipped import shipped
from gateway.mapping.marked_workbook import _WORDS
from gateway.mapping.marking import _AT, _BOX, _CELL
from gateway.mapping.tables import Table
from gateway.mapping.workbook import _DIMENSION, _REF, _TAG, _VALUE, _cells
from gateway.outbound import calls, text_file
from gateway.outbound.text_file import Layout, Unbelievable

ACKNOWLEDGEMENT = Layout(
    encoding="utf-8",
    delimiter=";",
    decimal=",",
    columns={name: name for name in ("key", "register", "value")},
    header=False,
    control=True,
    codes={},
    words=text_file.WORDS,
    zone="Europe/Kyiv",
)


def refused(read: Callable[[bytes], object]) -> Callable[[bytes], None]:
    """The same for a reader that must refuse."""

    def run(body: bytes) -> None:
        with pytest.raises(Unbelievable):
            read(body)

    return run


def named(name: str) -> str:
    return sheet_owner.named(Table(name, False, 0, 0, [], []))


def grid(text: str) -> object:
    """A sheet whose every row could be its header."""
    row: list[Cell] = [text, *(f"{hour}-{hour + 1}" for hour in range(24))]
    return hour_grid.find(Table("1", False, 0, 0, [row] * 100, []))


def all_of(find: Callable[[Any], Iterable[object]]) -> Callable[[bytes], int]:
    """All that it finds, one by one."""
    return lambda text: sum(1 for _ in find(text))


ARCHIVE = Words(shipped("heat_archive"))
CASES: dict[str, tuple[int, Callable[[Any], object], Callable[[int], str | bytes]]] = {
    "number, digits": (100_000, moments.read_clock, lambda n: "1:00:00." + "0" * n + "x"),
    "number, groups": (100_000, lambda text: heat_columns.read_values([text]), lambda n: "1" + " 111" * n + "x"),
    "number, minus behind": (50_000, lambda text: heat_columns.read_values([text]), lambda n: "1 " * n + "x"),
    "number, long": (100_000, _objection, lambda n: "1" * n + "x"),
    "faults": (50_000, lambda text: heat_columns.read_faults([text]), lambda n: "U " * n + "x"),
    "unit behind blanks": (20_000, _unit, lambda n: "a" + " " * n + "," + " " * n + "("),
    "unit behind commas": (50_000, _unit, lambda n: "a," * n + "("),
    "unit behind letters": (100_000, _unit, lambda n: "a" * n + "," + "b" * n + "))"),
    "header words": (20_000, ARCHIVE.named, lambda n: "a" + " " * n + "," + " " * n + "("),
    "words folded": (100_000, crosswalk.fold, lambda n: "-" * n + " " * n + "x"),
    "first word": (100_000, _first_word, lambda n: "-" * n),
    "heat input": (100_000, _circuit_of, lambda n: " x" * n),
    "day and what follows it": (20_000, moments.read_day, lambda n: "01.02.2021" + "T" * n + "x\nx"),
    "day and blanks": (50_000, moments.read_day, lambda n: "01.02.2021" + " \n" * n + "x\nx"),
    "month by name": (100_000, moments.read_day, lambda n: "a" * n + " " * n + "2021" + " " * n + "x"),
    "hours, range": (100_000, _range, lambda n: "1" + " " * n + "-" + " " * n + "x"),
    "hours, day": (100_000, _numbers, lambda n: "1.1.2021" + " " * n + "x"),
    "sheet of long heads": (10_000, grid, lambda n: "x" * n),
    "sheet's name, blanks": (50_000, named, lambda n: "1" + " " * n + "x"),
    "sheet's name, number": (50_000, named, lambda n: "№" + " " * n + "x" * n),
    "column's letters": (100_000, tables.number_of, lambda n: "A" * n),
    "word of a text file, letters": (50_000, _WORDS, lambda n: "a" * n + "\t"),
    "word of a text file, digits": (50_000, _WORDS, lambda n: "1" * n + "a" * n + "\t"),
    "text in a part": (100_000, sheet_parts.written, lambda n: "_x" * n + "_"),
    "tags, unclosed": (20_000, all_of(_TAG.finditer), lambda n: b"<c " * n),
    "values, unclosed": (20_000, _VALUE.search, lambda n: b"<v " * n),
    "values, in one tag": (50_000, _VALUE.search, lambda n: b"<v " * n + b">"),
    "cells, unclosed": (5_000, all_of(lambda part: _cells(bytearray(part))), lambda n: b"<c><v>" * n),
    "cells, closed at the end": (5_000, all_of(lambda part: _cells(bytearray(part))), lambda n: b"<c>1" * n + b"</c>"),
    "attributes": (20_000, _REF.search, lambda n: b" r" + b" " * n + b" r=" * n),
    "dimension": (10_000, _DIMENSION.search, lambda n: b"<dimension" * n),
    "boxes, unclosed": (10_000, lambda text: _BOX.sub(b"", text), lambda n: b"<v:shape " * n),
    "box, long": (100_000, lambda text: _BOX.sub(b"", text), lambda n: b"<v:shape " + b"x" * n),
    "places of boxes": (50_000, _AT.findall, lambda n: b"<x:Row>" + b" " * n + b"1" * n),
    "cells counted": (100_000, all_of(_CELL.finditer), lambda n: b"<" + b"a" * n + b"<a:" * n),
    "JSON, strings": (50_000, lambda body: json_gate.check_depth(body, 1), lambda n: b"[]" * n + b'"\\' * n),
    "JSON, escapes": (20_000, json_gate.check_encoding, lambda n: b"\\ud83d\\ude00" * n),
    "JSON, a long key over many values": (
        20_000,
        json_gate.check_syntax,
        lambda n: b'{"' + b"k" * 10 * n + b'":[' + b"1," * n + b"1]}",
    ),
    "acknowledgement, empty lines": (100_000, refused(ACKNOWLEDGEMENT.read), lambda n: b"\n" * n + b"x"),
    "acknowledgement, delimiters": (100_000, refused(ACKNOWLEDGEMENT.read), lambda n: b";" * n + b"\n=1;1"),
    "Retry-After": (100_000, calls.retry_after, lambda n: "1" * n + " " * n),
}


def spent(run: Callable[[Any], object], text: str | bytes) -> float:
    """The processor's time, the best of three: others work on the same machine."""
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        run(text)
        best = min(best, time.process_time() - started)
    return best


@pytest.mark.parametrize("name", CASES)
def test_twice_the_text_takes_about_twice_the_time(name: str) -> None:
    size, run, hostile = CASES[name]
    once, twice = spent(run, hostile(size)), spent(run, hostile(2 * size))
    assert twice < 3.5 * max(once, 0.005), f"{size}: {once:.4f} s, twice as much: {twice:.4f} s"
    assert twice < 1


def test_no_more_of_a_row_is_looked_at_than_a_header_may_have() -> None:
    header: list[Cell] = ["Дата", "Номер прибора", "Q, Гкал"]
    noise: list[Cell] = [f"a{' ' * 40},{' ' * 40}({number}" for number in range(1000)]
    assert ARCHIVE.known([[*noise[:100], *header]]) == ARCHIVE.known([["", *header]]) == 3
    assert ARCHIVE.known([[*[""] * 900, *header]]) == 3
    assert ARCHIVE.known([[*noise, *header]]) == 0


def test_words_and_units_are_told_apart_as_ever() -> None:
    rows: list[list[Cell]] = [
        ["Дата", "Прибор", words] for words in ("Q, Гкал", "Q(Гкал)", "Q [Гкал]", "Q Гкал", "Q ,\n Гкал ", "Q,( Гкал )")
    ]
    tables = [Table("1", False, 0, 0, [row, ["", "", ""]], []) for row in rows]
    units = [header.columns["heat"].unit for table in tables if (header := ARCHIVE.find(table)) is not None]
    assert len(units) == len(rows)
    assert units[0]
    assert set(units) == {units[0]}
