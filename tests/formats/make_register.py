"""The sample registers of readings: one text in every encoding, tables of dBase as programs leave them, rows as people spoil them."""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from typing import Final

from gateway.mapping import Envelope
from gateway.mapping.dbf import Field
from gateway.mapping.dbf_writer import Value, write_dbf

HEAD: Final = "Лицевой счет;ФИО;Номер ПУ;Услуга;Дата снятия;Предыдущее показание;Показание"
ROWS: Final = (
    "0012345;Щербакова Жанна Юрьевна;0087123;холодная вода;24.10.2026;100,5;103,25",
    "0012346;Ёлкин Фёдор Ильич;0087124;горячая вода;24.10.2026;88;90",
    "0012347;Цой Эльвира;13 300963;холодная вода;25.10.2026;1 200;1 210,125",
)
FIELDS: Final = (
    Field("ЛС", "C", 10),
    Field("ФИО", "C", 24),
    Field("ПУ", "C", 12),
    Field("УСЛУГА", "C", 14),
    Field("ДАТА", "D", 8),
    Field("ПОКАЗАНИЕ", "N", 9, 3),
)
RECORDS: Final[Sequence[Sequence[Value]]] = (
    ["0012345", "Щербакова Жанна", "0087123", "холодная вода", date(2026, 10, 24), Decimal("103.25")],
    ["0012346", "Ёлкин Фёдор", "0087124", "горячая вода", date(2026, 10, 24), Decimal(90)],
    ["0012347", "Цой Эльвира", "13 300963", "холодная вода", date(2026, 10, 25), Decimal("1210.125")],
    ["0012348", "Пащенко Илья", "0087126", "холодная вода", None, Decimal(7)],
)
START: Final = 32 + 32 * len(FIELDS) + 1
LENGTH: Final = 1 + sum(field.width for field in FIELDS)


def text(*rows: str, head: str = HEAD, end: str = "\r\n") -> str:
    """A text of these rows below a header."""
    return end.join([head, *rows, ""])


def table(encoding: str = "cp866", driver: int | None = None) -> bytearray:
    """A DBF of the records; `driver`: what its header says of its encoding, else the truth."""
    body = bytearray(write_dbf(FIELDS, RECORDS, encoding))
    if driver is not None:
        body[29] = driver
    return body


def as_left_by_programs() -> bytes:
    """A deleted record, a number that did not fit, a header that counts one record too many, no end mark."""
    body = table()
    body[START] = ord("*")
    end = START + 2 * LENGTH
    body[end - 9 : end] = b"*" * 9
    body[4:8] = (len(RECORDS) + 1).to_bytes(4, "little")
    return bytes(body.removesuffix(b"\x1a"))


def spoilt(*rows: str) -> str:
    """A good register and these rows."""
    return text(*ROWS, *rows)


SAMPLES: Final[dict[str, Callable[[], bytes]]] = {
    "in_cp1251.csv": lambda: text(*ROWS).encode("cp1251"),
    "in_cp866.csv": lambda: text(*ROWS).encode("cp866"),
    "in_koi8_r.csv": lambda: text(*ROWS).encode("koi8-r"),
    "in_utf8.csv": lambda: text(*ROWS, end="\n").encode(),
    "in_utf8_with_its_mark.csv": lambda: text(*ROWS).encode("utf-8-sig"),
    "in_utf16_with_tabs.txt": lambda: text(*ROWS).replace(";", "\t").encode("utf-16"),
    "encoding_not_sure.csv": lambda: "meter;note;reading\r\n1;ок;5\r\n".encode("cp1251"),
    "quoted.csv": lambda: text('"0012345";"ООО ""Заря""; магазин";"0087123";"холодная вода";24.10.2026;"100,5";"103,25"').encode("cp1251"),
    "delimiter_in_a_name.csv": lambda: spoilt("0012348;Ким; Вера;0087126;холодная вода;25.10.2026;1;2").encode("cp1251"),
    "quote_in_a_name.csv": lambda: spoilt('0012348;"Заря" ООО;0087126;холодная вода;25.10.2026;1;2').encode("cp1251"),
    "totals_and_signature.csv": lambda: spoilt("Итого;;;;;;1403,375", "", "Исполнитель: Петрова;;;;;;").encode("cp1251"),
    "wrong_rows.csv": lambda: spoilt(
        "0012348;Ким;0087126;холодная вода;31.02.2026;1;2",
        "0012349;Ли;0087127;холодная вода;25.10.2026;1;1.234.567",
        "0012350;Цой;0087128;нечто;25.10.2026;1;12",
        "0012351;Пак;;холодная вода;25.10.2026;1;13",
        "0012352;Тен;0087130;холодная вода;25.10.2026;н/д;-",
        "0012345;Щербакова Жанна Юрьевна;0087123;холодная вода;24.10.2026;100,5;104",
    ).encode("cp1251"),
    "driver_26.dbf": lambda: bytes(table("cp866", 0x26)),
    "driver_65.dbf": lambda: bytes(table("cp866", 0x65)),
    "driver_c9.dbf": lambda: bytes(table("cp1251", 0xC9)),
    "driver_0.dbf": lambda: bytes(table("cp1251", 0)),
    "driver_lies.dbf": lambda: bytes(table("cp866", 0xC9)),
    "driver_f0_names_in_utf8.dbf": lambda: bytes(_in_utf8()),
    "as_left_by_programs.dbf": as_left_by_programs,
    "last_record_cut.dbf": lambda: bytes(table()[:-20]),
    "more_behind_its_end.dbf": lambda: bytes(table()) + b"Rest of a longer file" * 3,
    "header_too_short.dbf": lambda: b"\x03\x7e\x0a",
}
"""Name of the sample -> what writes it."""


def _in_utf8() -> bytearray:
    """Names of fields of 10 bytes, which are five Cyrillic letters, and a driver that nobody knows."""
    fields: Sequence[Field] = (Field("ЛС", "C", 10), Field("ПУ", "C", 12), Field("ВОДА", "C", 30), Field("VALUE", "N", 9, 3))
    rows: list[list[Value]] = [[row[0], row[2], row[3], row[5]] for row in RECORDS]
    body = bytearray(write_dbf(fields, rows, "utf-8"))
    body[29] = 0xF0
    return body


def envelope(name: str) -> Envelope:  # noqa: ARG001 - as every maker of samples
    """What the channel tells beside a sample."""
    return Envelope(zone="Europe/Moscow")
