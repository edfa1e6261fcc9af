"""The sample tables that are read by a mapping, which stands beside each as a document: long tables, control rows, hidden sheets."""

import io
from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import openpyxl

from gateway.mapping import Envelope
from tests.formats import dirt

POINTS: Final = ("131150001113003", "131150001113004", "Тп-17 ф.2")
FEBRUARY: Final = date(2021, 2, 1)


def book(rows: list[list[Any]], *, hidden: dict[str, list[list[Any]]] | None = None) -> bytes:
    """A workbook of one sheet that is shown, and of others that are not."""
    made = openpyxl.Workbook()
    made.worksheets[0].title = "Лист1"
    for row in rows:
        made.worksheets[0].append(row)
    for name, lines in (hidden or {}).items():
        sheet = made.create_sheet(name)
        sheet.sheet_state = "hidden"
        for line in lines:
            sheet.append(line)
    packed = io.BytesIO()
    made.save(packed)
    return packed.getvalue()


def long_table() -> bytes:
    """As a supplier sends it: moments whose date part drifts, hour 24 under the date it ends, a row of ids above, phantom cells."""
    rows: list[list[Any]] = [["Договор 90034", None, 70001, 70002, 70003], ["Дата", "Время", *POINTS]]
    for number in range(72):
        day, hour = FEBRUARY + timedelta(days=number // 24), number % 24
        drifted = datetime.combine(day - timedelta(days=number // 30), time((hour + 1) % 24))
        rows.append([day, drifted, *(number / 8 + column for column in range(len(POINTS)))])
    rows[5][3], rows[6][3], rows[7][4] = 0.12000000000000001, "16 528,0", "н/д"
    return dirt.phantom_rows(dirt.phantom_columns(dirt.sized(book(rows), "A1:IS746"), "IS"), (75, 76, 746))


def water_ledger() -> bytes:
    """The first day a text, the others formulas of it; a dial and its differences side by side."""
    rows: list[list[Any]] = [["Посуточная ведомость, водосчётчик 25-418013"], ["Дата", "Час", "Показания, м3", "Расход за час, м3"]]
    dial, formulas = 1000.0, {}
    for number in range(48):
        day, used = date(2025, 4, 1 + number // 24), (number % 24) / 4
        dial += used
        rows.append([f"{day:%d.%m.%Y}" if not number else day, f"{number % 24}-{number % 24 + 1}", dial, used])
        if number:
            formulas[f"A{number + 3}"] = f"A{number + 2}" if number % 24 else f"A{number + 2}+1"
    return dirt.calculated(book(rows), formulas)


def register(control: str, *rows: str) -> bytes:
    """A register of a settlement centre: no header, fields in an order that was agreed, a control row at its end."""
    lines = (
        "24-10-2026;0012345;0087123;103,25",
        "24-10-2026;0012346;0087124;90,00",
        "25-10-2026;0012347;0087125;17,50",
        *rows,
        control,
    )
    return "".join(f"{line}\r\n" for line in lines).encode("cp866")


def half_hours(day: date, labels: Iterable[str], first: int = 1) -> bytes:
    """A day of half-hours of two meters, one after the other."""
    lines = [
        f"{meter};{day:%d.%m.%Y};{label};{n * times}"
        for meter, times in (("0071", 1), ("0072", 2))
        for n, label in enumerate(labels, first)
    ]
    return "".join(f"{line}\r\n" for line in ("Счётчик;Дата;Время;Расход, кВт·ч", *lines)).encode("cp1251")


STARTS: Final = [f"{n // 2:02}:{n % 2 * 30:02}" for n in range(48)]
ENDS: Final = [*STARTS[1:], "24:00"]
RANGES: Final = [f"{start}-{end}" for start, end in zip(STARTS, ENDS, strict=True)]
HIDDEN: Final[list[list[Any]]] = [["Счетчик", "Показание"], ["0087123", 103.25], ["0087124", 90]]

SAMPLES: Final[dict[str, Callable[[], bytes]]] = {
    "long_table.xlsx": long_table,
    "water_ledger.xlsx": water_ledger,
    "control_row_true.txt": lambda: register("=3;210,75"),
    "control_row_of_another_sum.txt": lambda: register("=3;210,76"),
    "control_row_of_another_count.txt": lambda: register("=4;210,75"),
    "control_row_cut_off.txt": lambda: register("26-10-2026;0012348;0087126;1,00"),
    "half_hours_by_their_beginnings.csv": lambda: half_hours(date(2026, 10, 1), STARTS),
    "half_hours_by_their_ends.csv": lambda: half_hours(date(2026, 10, 1), [*STARTS[1:], "00:00"]),
    "half_hours_as_ranges.csv": lambda: half_hours(date(2026, 10, 1), RANGES),
    "half_hours_kyiv_autumn.csv": lambda: half_hours(date(2026, 10, 25), [*STARTS[:8], "03:00", "03:30", *STARTS[8:]]),
    "half_hours_kyiv_spring.csv": lambda: half_hours(date(2026, 3, 29), [*STARTS[:6], *STARTS[8:]]),
    "half_hours_kyiv_spring_with_the_hour_that_was_not.csv": lambda: half_hours(date(2026, 3, 29), STARTS),
    "half_hours_with_an_hour_among_them.csv": lambda: half_hours(date(2026, 10, 1), [*RANGES[:46], "23:00-24:00"]),
    "hidden_sheet_asked_for.xlsx": lambda: book([["Счетчик", "Показание"], ["1", 1]], hidden={"Накопление": HIDDEN}),
}
"""Name of the sample -> what writes it; the mapping of `a_b.xlsx` is `a_b.toml`, or that of the longest beginning of its name."""


def envelope(name: str) -> Envelope:
    """What the channel tells beside a sample."""
    if name.startswith("water"):
        return Envelope(zone="Europe/Samara", meter="25-418013")
    if "kyiv" in name:
        return Envelope(zone="Europe/Kyiv")
    return Envelope(zone="Europe/Moscow", period="2026-10" if "sheet" in name else "")
