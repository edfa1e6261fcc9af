"""Tables of dBase: what was written is read again exactly, what real programs leave in them is told, and nothing brings the reader down."""

import re
import struct
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.problems import Misconfigured, Problem, Rejected
from gateway.mapping.dbf import FIELD, HEADER, Field, Records, read_dbf
from gateway.mapping.dbf_writer import Value, write_dbf
from gateway.settings import Limits
from tests.conftest import SAMPLES

LIMITS = Limits()
FIELDS = [
    Field("LS", "C", 12),
    Field("FIO", "C", 30),
    Field("SUMMA", "N", 10, 2),
    Field("DATA", "D", 8),
    Field("LGOTA", "L", 1),
]
ROWS: list[list[Value]] = [
    ["00123", "Дроздова Анна", Decimal("1250.5"), date(2026, 10, 1), True],
    ["00124", "Пащенко Илья", Decimal(-3), None, False],
    ["00125", "", None, date(1999, 12, 31), None],
]
READ = [
    ["LS", "FIO", "SUMMA", "DATA", "LGOTA"],
    ["00123", "Дроздова Анна", "1250.50", date(2026, 10, 1), True],
    ["00124", "Пащенко Илья", "-3.00", "", False],
    ["00125", "", "", date(1999, 12, 31), ""],
]
START = 32 + 5 * 32 + 1
LENGTH = 62


def table(encoding: str = "cp866") -> bytearray:
    return bytearray(write_dbf(FIELDS, ROWS, encoding))


def raw(fields: list[tuple[bytes, bytes, int, int]], records: list[bytes], version: int = 3, driver: int = 0, fox: int = 0) -> bytes:
    """A file of whatever fields and records."""
    start, length = 33 + 32 * len(fields) + fox, 1 + sum(field[2] for field in fields)
    head = HEADER.pack(version, 126, 10, 1, len(records), start, length, 0, driver)
    described = b"".join(FIELD.pack(name, kind, width, decimals, 0) for name, kind, width, decimals in fields)
    return head + described + b"\r" + bytes(fox) + b"".join(records) + b"\x1a"


def told(found: Records) -> list[tuple[str, str]]:
    return [(problem.code, problem.where) for problem in found.problems]


def refusal(body: bytes, limits: Limits = LIMITS, encoding: str = "") -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as refused:
        read_dbf(body, limits, encoding)
    return [(problem.code, problem.where) for problem in refused.value.problems]


@pytest.mark.parametrize("encoding", ["cp866", "cp1251", "koi8-r", "utf-8"])
def test_what_was_written_is_read_again(encoding: str) -> None:
    found = read_dbf(bytes(table(encoding)), LIMITS)
    assert found.rows == READ
    assert found.encoding == encoding
    assert found.fields == tuple(FIELDS)
    assert not found.problems
    assert found.where(1, 2) == "record 1, field SUMMA"
    assert found.where(0, 2) == "field SUMMA"
    assert found.span(2, 1, 3) == "records 1-3, field SUMMA"


TEXTS = st.text(st.characters(codec="cp866", categories=("L", "N", "P", "Zs")), max_size=20).map(str.rstrip)
NUMBERS = st.decimals(min_value=-99_999, max_value=999_999, places=2).map(lambda value: value or Decimal(0))
DAYS = st.dates(min_value=date(1, 1, 2))
LINES = st.lists(st.tuples(TEXTS, st.none() | NUMBERS, st.none() | DAYS, st.none() | st.booleans()), max_size=8)


@given(LINES)
def test_every_table_comes_back_as_it_was(lines: list[tuple[str, Decimal | None, date | None, bool | None]]) -> None:
    fields = [Field("ИМЯ", "C", 20), Field("СУММА", "N", 9, 2), Field("ДАТА", "D", 8), Field("ДА", "L", 1)]
    first = read_dbf(write_dbf(fields, lines), LIMITS, "cp866")
    again = read_dbf(write_dbf(first.fields, [list(row) for row in first.rows[1:]]), LIMITS, "cp866")
    found = [(row[0], Decimal(str(row[1])) if row[1] else None, row[2] or None, None if row[3] == "" else row[3]) for row in first.rows[1:]]
    assert found == lines
    assert again == first


@pytest.mark.parametrize(
    ("driver", "encoding", "profile", "read_as"),
    [
        (0x26, "cp866", "", "cp866"),
        (0x65, "cp866", "cp1251", "cp866"),
        (0xC9, "cp1251", "", "cp1251"),
        (0xC9, "cp866", "", "cp866"),
        (0x65, "cp1251", "cp1251", "cp1251"),
        (0x00, "cp1251", "", "cp1251"),
        (0x03, "koi8-r", "", "koi8-r"),
        (0xF0, "utf-8", "", "utf-8"),
        (0x57, "cp1251", "cp1251", "cp1251"),
    ],
)
def test_a_driver_is_believed_until_the_letters_say_otherwise(driver: int, encoding: str, profile: str, read_as: str) -> None:
    body = table(encoding)
    body[29] = driver
    found = read_dbf(bytes(body), LIMITS, profile)
    assert (found.encoding, found.rows) == (read_as, READ)


def test_names_of_fields_are_in_the_encoding_of_the_texts() -> None:
    name = "ПОСТАВЩИК".encode()[:11]
    [head, row] = read_dbf(raw([(name, b"C", 20, 0)], [b" " + "Горводоканал".encode()[:20]], driver=0xF0), LIMITS).rows
    assert (head, row) == (["ПОСТА"], ["Горводокан"])


def test_an_encoding_that_nothing_tells_is_asked_for() -> None:
    body = raw([(b"FIO", b"C", 3, 0)], [b" \xc8\xc2 "])
    assert refusal(body) == [("encoding_unknown", "")]
    assert read_dbf(body, LIMITS, "cp1251").rows[1] == ["ИВ"]


def test_a_byte_that_the_encoding_lacks_is_told_with_its_place() -> None:
    found = read_dbf(raw([(b"FIO", b"C", 10, 0)], [b" " + "Дроздова".encode("cp1251") + b"\x98 "], driver=0xC9), LIMITS)
    assert told(found) == [("encoding_unknown", "record 1, field FIO")]


def test_deleted_records_are_passed_over_and_counted() -> None:
    body = table()
    body[START + LENGTH] = ord("*")
    found = read_dbf(bytes(body), LIMITS)
    assert (found.rows, found.deleted) == ([READ[0], READ[1], READ[3]], 1)
    assert found.where(2, 0) == "record 3, field LS"


def test_a_number_that_did_not_fit_is_no_value() -> None:
    body = table()
    body[START + LENGTH + 43 : START + LENGTH + 53] = b"*" * 10
    found = read_dbf(bytes(body), LIMITS)
    assert found.rows[2][2] == ""
    assert found.problems == [Problem(code="dbf_overflow", where="record 2, field SUMMA", values={"value": "*" * 10})]


def test_places_count_the_deleted_records() -> None:
    records = [b" 1", b"*2", b" *", b"*4"] * 300
    found = read_dbf(raw([(b"A", b"N", 1, 0)], records), LIMITS)
    assert [problem.where for problem in found.problems] == [f"record {number}, field A" for number in range(3, 1200, 4)]
    assert (len(found.rows), found.deleted) == (601, 600)


def test_what_the_profile_tells_may_have_many_names() -> None:
    body = raw([(b"FIO", b"C", 3, 0)], [b" \xc8\xc2 "])
    assert read_dbf(body, LIMITS, "windows-1251").encoding == "cp1251"
    for told in ("utf-16", "base64", "klingon"):
        assert refusal(body, encoding=told) == [("encoding_unknown", "")]


def test_a_day_of_last_change_that_is_none_is_passed_over() -> None:
    body = table()
    body[1:4] = b"\xff\xff\xff"
    assert read_dbf(bytes(body), LIMITS).rows == READ


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"     12.50", "12.50"),
        (b"12        ", "12"),
        (b"       .50", "0.50"),
        (b"      -.50", "-0.50"),
        (b"       12.", "12"),
        (b" 1.5E+003 ", "1500"),
        (b"1E99999999", "1E99999999"),
        (b"0000000000", "0000000000"),
        (b"     1,50 ", "1,50"),
        (b"abc       ", "abc"),
        (b"\0\0\0\0\0\0\0\0\0\0", ""),
        (b"          ", ""),
    ],
)
@pytest.mark.parametrize("kind", [b"N", b"F"])
def test_numbers_stay_exact_texts(written: bytes, read: str, kind: bytes) -> None:
    found = read_dbf(raw([(b"SUMMA", kind, 10, 2)], [b" " + written]), LIMITS)
    assert found.rows[1] == [read]
    assert not found.problems


@pytest.mark.parametrize(
    ("kind", "written", "read"),
    [
        (b"D", b"20261001", date(2026, 10, 1)),
        (b"D", b"        ", ""),
        (b"D", b"00000000", ""),
        (b"D", b"20260230", "20260230"),
        (b"D", b"NotAYear", "NotAYear"),
        (b"D", b"2026W011", "2026W011"),
        (b"L", b"t", True),
        (b"L", b"N", False),
        (b"L", b"?", ""),
        (b"L", b" ", ""),
        (b"L", b"#", "#"),
        (b"C", b" 7 \0\xff\xff", " 7"),
    ],
)
def test_days_marks_and_texts(kind: bytes, written: bytes, read: object) -> None:
    assert read_dbf(raw([(b"A", kind, len(written), 0)], [b" " + written]), LIMITS, "cp866").rows[1] == [read]


def test_a_text_longer_than_255_bytes_is_described_as_clipper_does() -> None:
    head = bytearray(raw([(b"NOTE", b"C", 44, 1)], []))
    head[4:12] = struct.pack("<L2H", 1, 65, 301)
    assert read_dbf(bytes(head[:65]) + b" " + b"x" * 300, LIMITS).rows[1] == ["x" * 300]


def test_whole_numbers_money_and_moments_of_foxpro_are_read_and_the_rest_is_told() -> None:
    fields = [(b"N", b"I", 4, 0), (b"SUM", b"Y", 8, 4), (b"AT", b"T", 8, 0), (b"NOTE", b"M", 4, 0), (b"X", b"B", 8, 2)]
    record = b" " + struct.pack("<iq2i4sd", -7, 12_345_678_901, 2_461_315, 3_600_000, b"\1\0\0\0", 1.5)
    blank = b" " + struct.pack("<iq2i4sd", 0, 0, 0, 0, bytes(4), 0.0)
    deleted = b"*" + record[1:]
    found = read_dbf(raw(fields, [record, deleted, blank], version=0x30, fox=263), LIMITS)
    at = datetime.fromisoformat("2026-10-01T01:00")
    assert found.rows[1:] == [["-7", "1234567.8901", at, "", ""], ["0", "0.0000", "", "", ""]]
    assert told(found) == [("dbf_field_unreadable", "field NOTE"), ("dbf_field_unreadable", "field X")]
    assert told(read_dbf(raw(fields[:1], [record[:5]], version=0x83), LIMITS)) == [("dbf_field_unreadable", "field N")]


def test_a_name_that_occurs_twice_is_told_apart_by_its_position() -> None:
    found = read_dbf(raw([(b"A", b"C", 1, 0), (b"A", b"N", 1, 0)], [b" x*"]), LIMITS)
    assert told(found) == [("dbf_overflow", "record 1, field A (2)")]


def test_a_header_that_miscounts_is_told_and_every_whole_record_is_read() -> None:
    for count, problems in ((7, [("dbf_records_differ", "")]), (2, [("dbf_records_differ", "")]), (0, [("dbf_records_differ", "")])):
        body = table()
        body[4] = count
        found = read_dbf(bytes(body), LIMITS)
        assert (found.rows, told(found)) == (READ, problems)


def test_a_missing_end_and_whatever_stands_behind_it_change_nothing() -> None:
    body = bytes(table())
    for other in (body[:-1], body + b"\x1a\x1a", body + bytes(100), body + b"left over from a longer file" * 9):
        assert (read_dbf(other, LIMITS).rows, read_dbf(other, LIMITS).problems) == (READ, [])


def test_a_record_that_is_cut_off_is_told() -> None:
    body = bytes(table())
    for size in (2, 20, LENGTH):
        found = read_dbf(body[:-size], LIMITS)
        assert (found.rows, told(found)) == (READ[:-1], [("dbf_record_cut", "record 3")])
    found = read_dbf(body[: START + LENGTH + 9], LIMITS)
    assert (found.rows, told(found)) == (READ[:2], [("dbf_records_differ", ""), ("dbf_record_cut", "record 2")])


def test_a_header_that_lies_about_its_length_is_told() -> None:
    for start in (START - 30, START + 5, 60_000):
        body = table()
        body[8:10] = struct.pack("<H", start)
        found = read_dbf(bytes(body), LIMITS)
        assert (found.rows, told(found)) == (READ, [("dbf_header_differs", "")])


def test_a_header_without_an_end_of_fields_is_read() -> None:
    body = raw([(b"A", b"C", 2, 0)], [b" ab"])
    cut = bytearray(body.replace(b"\r", b"", 1))
    cut[8] = 64
    assert read_dbf(bytes(cut), LIMITS).rows == [["A"], ["ab"]]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (raw([], [b" "] * 20), "field 1"),
        (raw([(b"A", b"C", 0, 0)], [b" "]), "field 1"),
        (raw([(b"", b"C", 1, 0)], [b" x"]), "field 1"),
        (raw([(b"A", b"C", 1, 0), (b"B", b"\xff", 1, 0)], [b" xy"]), "field 2"),
        (bytes(table()[:100]), "field 3"),
        (bytes(table()[: START - 1]), "field 6"),
        (bytes(table()[:10] + struct.pack("<H", 50) + table()[12:]), "field 3"),
        (bytes(table()[: START + LENGTH] + b"#" + table()[START + LENGTH + 1 :]), "record 2"),
    ],
    ids=["no fields", "no width", "no name", "no kind", "cut in a field", "cut before the records", "fields too wide", "no flag"],
)
def test_a_table_that_is_none_is_refused_with_the_place(body: bytes, where: str) -> None:
    assert refusal(body) == [("dbf_structure", where)]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (Limits(file_bytes=100), "file_too_large"),
        (Limits(sheet_rows=3), "csv_too_large"),
        (Limits(sheet_columns=4), "csv_too_large"),
        (Limits(sheet_cells=19), "csv_too_large"),
    ],
)
def test_a_table_over_the_limits_is_refused(limits: Limits, code: str) -> None:
    assert refusal(bytes(table()), limits) == [(code, "")]


def test_problems_are_told_up_to_their_limit() -> None:
    body = raw([(b"A", b"N", 1, 0)], [b" *"] * 50)
    assert len(read_dbf(body, Limits(file_problems=7)).problems) == 7


def test_what_is_no_dbf_is_not_read_as_one() -> None:
    for body in (b"0123;456\n" * 9, b"cLIENT;SUM\n" * 9, b"\x03" + bytes(99), b"{}"):
        assert refusal(body) == [("file_type_mismatch", "")]


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        (Field("A", "C", 3), "1234", "dbf_value_too_long"),
        (Field("A", "C", 3), "Ґ", "dbf_value_foreign"),
        (Field("A", "C", 3), "a\0b", "dbf_value_foreign"),
        (Field("A", "C", 3), 12, "dbf_value_kind"),
        (Field("A", "N", 5, 2), Decimal("100.00"), "dbf_value_too_long"),
        (Field("A", "N", 5, 2), Decimal("1.005"), "dbf_value_too_long"),
        (Field("A", "N", 5, 2), Decimal("NaN"), "number_not_finite"),
        (Field("A", "N", 5, 2), 1.5, "dbf_value_kind"),
        (Field("A", "N", 5, 2), True, "dbf_value_kind"),
        (Field("A", "N", 5, 2), "abc", "dbf_value_kind"),
        (Field("A", "D", 8), "20261001", "dbf_value_kind"),
        (Field("A", "D", 8), datetime.fromisoformat("2026-10-01T12:00"), "dbf_value_kind"),
        (Field("A", "L", 1), "T", "dbf_value_kind"),
    ],
)
def test_a_value_that_does_not_fit_is_told_and_never_cut(field: Field, value: Value, code: str) -> None:
    with pytest.raises(Rejected) as refused:
        write_dbf([field, Field("B", "C", 1)], [[None, "x"], [value, "y"], [value, "toolong"]])
    places = [(problem.code, problem.where) for problem in refused.value.problems]
    assert places == [(code, "record 2, field A"), (code, "record 3, field A"), ("dbf_value_too_long", "record 3, field B")]


@pytest.mark.parametrize(
    ("field", "encoding"),
    [
        (Field("A", "C", 255), "cp866"),
        (Field("A", "C", 0), "cp866"),
        (Field("A", "N", 5, 4), "cp866"),
        (Field("A", "D", 7), "cp866"),
        (Field("A", "M", 10), "cp866"),
        (Field("ELEVENCHARS", "C", 1), "cp866"),
        (Field("", "C", 1), "cp866"),
        (Field("Ґ", "C", 1), "cp866"),
        (Field("A", "C", 1), "cp9999"),
    ],
)
def test_a_field_that_no_table_has_is_the_operators_mistake(field: Field, encoding: str) -> None:
    with pytest.raises(Misconfigured):
        write_dbf([field], [], encoding)


def test_a_table_has_names_that_differ() -> None:
    for fields in ([], [Field("A", "C", 1), Field("a", "C", 1)], [Field(f"F{number}", "C", 1) for number in range(129)]):
        with pytest.raises(Misconfigured):
            write_dbf(fields, [])


def test_the_header_tells_the_day_and_the_driver() -> None:
    assert write_dbf(FIELDS, [], day=date(2026, 11, 26))[:4] == bytes([3, 126, 11, 26])
    assert [write_dbf(FIELDS, [], encoding)[29] for encoding in ("cp866", "cp1251", "utf-8")] == [0x65, 0xC9, 0]


if SAMPLES is not None:
    REAL = SAMPLES / "dbf"
    FILES = sorted(REAL.glob("*_summary.txt"))

    @pytest.mark.parametrize("summary", FILES, ids=lambda path: path.name)
    def test_real_tables_have_the_fields_and_records_that_others_found(summary: Path) -> None:
        text = summary.read_text("utf-8")
        found = read_dbf((summary.parent / summary.name.replace("_summary.txt", ".dbf")).read_bytes(), LIMITS)
        fields = re.findall(r"^(\S+)\s+([A-Z])\s+(\d+)\s+(\d+)\s*$", text, re.MULTILINE)
        assert [(one.name, one.kind, str(one.width), str(one.decimals)) for one in found.fields] == fields
        assert len(found.rows) - 1 + found.deleted == int(re.findall(r"^Records: (\d+)$", text, re.MULTILINE)[0])
        assert not found.problems
        assert re.findall(r"^Encoding: (\S+)$", text, re.MULTILINE) in ([], [found.encoding])

    def test_the_invalid_day_of_a_real_table_stays_a_text() -> None:
        found = read_dbf((REAL / "invalid_value.dbf").read_bytes(), LIMITS)
        assert found.rows == [["NAME", "BIRTHDATE"], ["Alice", "NotAYear"], ["Bob", date(1980, 11, 12)]]
        assert found.deleted == 1
