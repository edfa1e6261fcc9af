"""Delimited texts: every encoding and delimiter gives the same table, broken ones are refused with the line."""

from collections.abc import Sequence

import pytest

from gateway.domain.problems import Rejected
from gateway.mapping.delimited import DELIMITERS, Lines, is_delimited, read_delimited, read_text
from gateway.settings import Limits

WORDS = {"прибор", "дата", "Q", "объём"}
TEXT = "прибор;дата;Q;объём\r\n7;01.10.2026;1,5;\r\n8;02.10.2026;;№ 3\r\n"
ROWS = [["прибор", "дата", "Q", "объём"], ["7", "01.10.2026", "1,5", ""], ["8", "02.10.2026", "", "№ 3"]]


def known(rows: Sequence[Sequence[object]]) -> int:
    return max((sum(cell in WORDS for cell in row) for row in rows), default=0) // 2 * 2


def read(body: bytes, limits: Limits | None = None) -> Lines:
    return read_delimited(body, limits or Limits(), known)


def refusal(body: bytes, limits: Limits | None = None) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as refused:
        read(body, limits)
    return [(problem.code, problem.where) for problem in refused.value.problems]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251", "cp866", "koi8-r"])
@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_every_encoding_and_delimiter_gives_the_same_table(encoding: str, delimiter: str) -> None:
    text = TEXT.replace("1,5", '"1,5"').replace(";", delimiter).replace("№", "№" if encoding != "koi8-r" else "N")
    body = text.encode(encoding)
    assert is_delimited(body, known)
    assert [[str(cell).replace("N", "№") for cell in row] for row in read(body).rows] == ROWS


@pytest.mark.parametrize("mark", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_read_by_its_mark(mark: str) -> None:
    assert read("\ufeff".encode(mark) + TEXT.encode(mark)).rows == ROWS


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_line_ends_of_every_system_are_read(end: str) -> None:
    assert read(TEXT.replace("\r\n", end).encode()).rows == ROWS


def test_the_first_line_may_name_the_delimiter() -> None:
    table = read(f"sep=\t\r\n{TEXT}".replace(";", "\t").encode())
    assert table.rows == ROWS
    assert table.where(1, 2) == "line 3, column 3"
    assert table.span(2, 1, 2) == "lines 3-4, column 3"


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    body = '"прибор";"дата";Q\r\n\r\n7;"два\r\nслова";1\r\n8;;"с ""кавычками"""\r\n\r\n\r\n'.encode()
    table = read(body)
    assert table.rows == [["прибор", "дата", "Q"], ["", "", ""], ["7", "два\r\nслова", "1"], ["8", "", 'с "кавычками"']]
    assert [table.where(row, 0) for row in range(4)] == ["line 1, column 1", "line 2, column 1", "line 3, column 1", "line 5, column 1"]


def test_an_encoding_is_never_guessed() -> None:
    assert refusal("нет;таких;слов\r\nй;1;2\r\n".encode("koi8-r")) == [("header_not_found", "line 1")]
    assert refusal("й;ц;у\r\nй;1;2\r\n".encode("koi8-r")) == [("encoding_unknown", "")]
    assert refusal("Q;M1\r\nй;1\r\n".encode("cp1251")) == [("encoding_unknown", "")], "the header is the same in every encoding"
    assert refusal(b"\xef\xbb\xbf" + TEXT.encode() + b"\r\n\xff;1\r\n") == [("encoding_unknown", "line 5")]
    assert refusal("прибор;дата;Q\n7;\n".encode("cp1251") + b"\x98\n") == [("encoding_unknown", "line 3")]
    assert refusal("\ufeff".encode("utf-16-le") + TEXT.encode("utf-16-le") + b"a") == [("encoding_unknown", "line 4")]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f'{TEXT}9;"1;2\r\n10;1\r\n', "line 4"),
        (f'{TEXT}9;"1"2;3\r\n', "line 4"),
        (f"{TEXT}9;\0\r\n", "line 4"),
        (f'{TEXT}9;"{"x" * 200_000}"', "line 4"),
        (f'{TEXT}9;"{"line;" * 10 + chr(10)}' * 20_000, "line 4"),
    ],
    ids=["quote not closed", "text behind a quote", "NUL", "endless field", "endless quote"],
)
def test_a_broken_line_is_named(text: str, line: str) -> None:
    assert refusal(text.encode()) == [("csv_structure", line)]


@pytest.mark.parametrize(
    ("text", "limits", "where"),
    [
        (TEXT, Limits(sheet_rows=2), ""),
        (TEXT, Limits(sheet_columns=3), ""),
        (TEXT, Limits(sheet_cells=11), ""),
        (f"{TEXT}\n9;{'x' * 40}\n", Limits(cell_characters=39), "line 5"),
        (TEXT + ";" * 4_000_001, Limits(), ""),
        (TEXT + "\n" * 900_000, Limits(), ""),
        (TEXT + "9" + ";" * 1_000, Limits(), ""),
    ],
    ids=["rows", "columns", "cells", "field", "a million columns", "a million lines", "one wide line"],
)
def test_a_table_over_the_limits_is_refused(text: str, limits: Limits, where: str) -> None:
    assert refusal(text.encode(), limits) == [("csv_too_large", where)]


def test_a_text_over_the_limit_of_files_is_refused() -> None:
    assert refusal(TEXT.encode(), Limits(file_bytes=10)) == [("file_too_large", "")]


def test_what_has_no_known_header_is_not_ours() -> None:
    assert refusal(b"a;b\nc;d\n") == [("header_not_found", "line 1")]
    for body in (
        b"",
        b"a;b\n",
        b'{"readings": []}',
        b"PK\3\4",
        b"%PDF-1.7",
        b"\xff\xfe\0\0",
        b"\xff\xfea",
        "нет;таких;слов\n".encode("koi8-r"),
    ):
        assert not is_delimited(body, known)


def test_letters_decide_where_the_header_is_the_same_in_every_encoding() -> None:
    text = "Q;M1\r\nНовосадовая улица;1\r\n"
    for encoding in ("cp1251", "cp866", "koi8-r"):
        assert read_delimited(text.encode(encoding), Limits(), lambda rows: rows[0][0] == "Q").rows[1][0] == "Новосадовая улица"


def test_ukrainian_letters_tell_kin_apart_when_the_header_is_known() -> None:
    for encoding in ("koi8-u", "cp1125", "cp1251"):
        body = "прибор;дата;Q\r\nЛічильник Ґедзя;;\r\n".encode(encoding)
        assert read(body).rows[1][0] == "Лічильник Ґедзя"


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251", "cp866", "koi8-r"])
def test_a_text_without_known_words_is_cut_where_its_rows_are_even(encoding: str, delimiter: str) -> None:
    rows = [["90034", "Дроздова Анна", "ул. Садовая 5"], ["90035", "Пащенко Илья", "бульвар Энгельса"]] * 3
    body = "".join(delimiter.join(row) + "\r\n" for row in rows).encode(encoding)
    assert read_text(body, Limits()).rows == rows


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("1,5;2,5\n3,5;4,5\n", [["1,5", "2,5"], ["3,5", "4,5"]]),
        ("1,5\t2,5\n3\t4,5\n", [["1,5", "2,5"], ["3", "4,5"]]),
        ("title\n\na,b,c\n1,2,3\n4,5,6\n", [["title", "", ""], ["", "", ""], ["a", "b", "c"], ["1", "2", "3"], ["4", "5", "6"]]),
        ("one\ntwo\n", [["one"], ["two"]]),
        ("1;7;1,5\n1;8;2,5\n=2;4,0\n", [["1", "7", "1,5"], ["1", "8", "2,5"], ["=2", "4,0", ""]]),
        ("sep=|\n1|2;3\n", [["1", "2;3"]]),
        ("", []),
    ],
)
def test_a_delimiter_is_told_by_even_rows(text: str, rows: list[list[str]]) -> None:
    assert read_text(text.encode(), Limits()).rows == rows


def test_what_a_profile_tells_is_not_asked_of_the_file() -> None:
    assert read_text(b"\xc8\xc2;1,2\n", Limits(), "cp1251", ",").rows == [["ИВ;1", "2"]]
    assert read_text(b'"a;b\n"c";d\n', Limits(), quote="").rows == [['"a', "b"], ['"c"', "d"]]
    assert read_text(b"'a;b';c\n", Limits(), quote="'").rows == [["a;b", "c"]]
    assert read_text(b"\xef\xbb\xbf1;2\n", Limits(), "cp1251").rows == [["1", "2"]]


def test_a_text_whose_encoding_is_not_sure_is_asked_about() -> None:
    for body in (b"\xc8\xc2;1\n", b"\xef\xbb\xbf\xff;1\n"):
        with pytest.raises(Rejected, match="encoding_unknown"):
            read_text(body, Limits())
    with pytest.raises(Rejected, match="csv_structure at line 2"):
        read_text(b"1;2\n\0;3\n", Limits(), "cp1251")
    with pytest.raises(Rejected, match="file_too_large"):
        read_text(b"1;2\n", Limits(file_bytes=1))
