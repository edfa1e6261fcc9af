"""Files of every kind read by a mapping document, and that no table breaks its reader."""

import random
from collections.abc import Callable, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from time import process_time

import pytest

from gateway.domain.problems import Rejected
from gateway.domain.readings import MeterReading
from gateway.mapping import formats
from gateway.mapping.dbf import Field
from gateway.mapping.dbf_writer import Value, write_dbf
from gateway.mapping.mapped.table import Mapped
from gateway.settings import Limits
from tests.conftest import case
from tests.formats.read_mapped import ACROSS, HOURS, KYIV, ODD_WORDS, PLAIN, WORDY, book, decoded, mapped, rows, told, wrong
from tests.mapping.test_open_document import cell, ods, row, sheet


def test_a_dbf_is_read_by_the_names_of_its_fields() -> None:
    document = 'register = "volume"\nperiod_from = "day"\n[columns]\nmeter = ["NOM_PU"]\nday = ["DATA"]\nvalue = ["POKAZ"]\n'
    fields = [Field("NOM_PU", "C", 12), Field("DATA", "D", 8), Field("POKAZ", "N", 10, 3), Field("FIO", "C", 20)]
    records: list[list[Value]] = [
        ["0071", date(2026, 10, 25), Decimal("15.5"), "Иванов"],
        ["0072", date(2026, 10, 26), Decimal(7), "Петров"],
    ]
    body = write_dbf(fields, records, encoding="cp866")

    assert told(mapped(document), body) == [("0071", "volume", "15.500"), ("0072", "volume", "7.000")]
    assert mapped(document).sniff(body, "a.dbf")
    assert not mapped(PLAIN).sniff(body, "a.dbf")
    assert decoded(mapped(document), body)[1].readings[0].where == "record 2, field POKAZ"


@pytest.mark.parametrize("beside", ["", '[file]\nencoding = "koi8-r"\n', '[file]\nencoding = "koi8-r"\ndelimiter = ";"\n'])
def test_a_text_in_koi8_is_read(beside: str) -> None:
    body = rows("Ведомость показаний приборов учёта", "Счетчик;Показание", "Щ-1;5,5", encoding="koi8-r")
    assert mapped(PLAIN + beside).sniff(body, "a.txt")
    assert told(mapped(PLAIN + beside), body) == [("Щ-1", "A+", "5.5")]


def test_an_encoding_that_the_document_says_outranks_the_letters() -> None:
    document = 'register = "A+"\n[file]\nheader = false\nencoding = "cp866"\n[columns]\nmeter = 1\nvalue = 2\n'
    assert told(mapped(document), "Ы1;5\r\nЫ2;6\r\n".encode("cp866")) == [("Ы1", "A+", "5"), ("Ы2", "A+", "6")]


def test_a_sheet_of_opendocument_is_read() -> None:
    lines = row(cell("string", "Счетчик") + cell("string", "Показание")) + row(cell("string", "0071") + cell("float", "15.5"))
    body = ods(sheet(lines))
    assert mapped(PLAIN).sniff(body, "a.ods")
    assert told(mapped(PLAIN), body) == [("0071", "A+", "15.5")]


def test_a_page_called_xls_is_read() -> None:
    body = "<html><meta charset=utf-8><table><tr><td>Счетчик<td>Показание<tr><td>0071<td>15,5</table></html>".encode()
    assert mapped(PLAIN).sniff(body, "a.xls")
    assert told(mapped(PLAIN), body) == [("0071", "A+", "15.5")]


@pytest.mark.parametrize("body", [b"", b"{}", b"%PDF-1.4", b"\0\1\2", b"PK\x03\x04"])
def test_what_is_no_table_is_not_ours(body: bytes) -> None:
    assert not mapped(PLAIN).sniff(body, "a")


def test_the_register_is_read_with_as_few_columns_as_it_has() -> None:
    known = formats(Limits())["readings_register"]
    body = rows("Лицевой счет;Номер ПУ;Дата;Показание", "01;0123;25.10.2026;15,5")

    assert known.sniff(body, "a.csv")
    [one] = [thing for thing in known.decode(body, KYIV) if isinstance(thing, MeterReading)]
    assert (one.agreement, one.meter, one.period, one.readings[0].register) == ("01", "0123", "2026-10", "volume")


def test_a_unit_that_a_row_of_the_register_says_is_never_taken_for_another() -> None:
    known = formats(Limits())["readings_register"]
    lines = ("1;ЭЭ;5;МВт·ч", "2;ЭЭ;5;кВт·ч", "3;тепло;5;ГДж", "4;ХВС;5;м3", "5;ХВС;5;шт", "6;ХВС;5;")
    assert wrong(known, rows("№ ПУ;Услуга;Показание;Ед. изм.", *lines)) == [
        ("unit_differs", "line 2, column 4"),
        ("unit_differs", "line 4, column 4"),
    ]
    assert wrong(known, rows("№ ПУ;Услуга;Показание, Гкал", "1;ЭЭ;5", "2;тепло;5")) == [("unit_differs", "line 2, column 3")]


@pytest.mark.parametrize("written", ["102026", "202610", "1026", "10.2026"])
def test_a_month_in_digits_is_a_month_and_no_number_of_a_day(written: str) -> None:
    known = formats(Limits())["readings_register"]
    numbers = [int(written)] if len(written) == len("102026") else []
    bodies = [
        rows("№ ПУ;Период;Показание", f"1;{written};5"),
        *(book(("а", [["№ ПУ", "Период", "Показание"], ["1", n, 5]])) for n in numbers),
    ]
    assert [one.period for body in bodies for one in decoded(known, body)] == ["2026-10"] * len(bodies)


ODD: list[object] = [*ODD_WORDS, 0.1 + 0.2, -1, 10**20, True, None, date(2026, 3, 29), time(23), timedelta(hours=30)]
HALVES = f'step = "PT30M"\n{HOURS}'
SEVEN = 7
"""So many of the words are names of columns."""


def is_read(format_: Mapped, body: bytes) -> bool:
    """Whether a file is read; else it is refused with a reason, and nothing else may happen."""
    try:
        return bool(list(format_.decode(body, KYIV)))
    except Rejected as refused:
        return not refused.problems


def test_no_table_breaks_the_reader(proof: Callable[[str, int, str], None]) -> None:
    chance = random.Random(7)  # noqa: S311 - the same tables each time
    documents = [mapped(text) for text in (PLAIN, PLAIN + "[control]\nneeded = false\n", WORDY, HOURS, ACROSS, HALVES)]
    size, read, slowest = case(1000, 100_000), 0, 0.0
    for number in range(size):
        head = chance.sample(ODD_WORDS[:SEVEN], chance.randint(2, SEVEN))
        lines = [head, *([str(chance.choice(ODD)) for _ in head] for _ in range(chance.randint(0, 8)))]
        if number % 3 == 0:
            chance.shuffle(lines)
        body = rows(*(";".join(line) for line in lines))
        format_ = chance.choice(documents)
        began = process_time()
        format_.sniff(body, "x")
        read += is_read(format_, body)
        slowest = max(slowest, process_time() - began)
    assert read > size / 10
    assert slowest < 2
    proof("odd tables read by mappings", size, f"{read} read, the rest refused with a code, at most {slowest * 1e3:.0f} ms each")


def test_no_sheet_breaks_the_reader() -> None:
    chance = random.Random(8)  # noqa: S311 - the same sheets each time
    documents = [mapped(text) for text in (PLAIN, WORDY, HOURS, ACROSS)]
    read = 0
    for _ in range(case(30, 1000)):
        head: list[object] = [*chance.sample(ODD_WORDS[:SEVEN], chance.randint(2, SEVEN))]
        lines: list[Sequence[object]] = [head, *([chance.choice(ODD) for _ in head] for _ in range(chance.randint(0, 8)))]
        read += sum(is_read(format_, book(("Лист1", lines))) for format_ in documents)
    assert read
