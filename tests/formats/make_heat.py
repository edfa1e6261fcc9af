"""The sample archives of heat meters: every quirk by which devices and offices write them, by hand."""

import io
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import openpyxl

from gateway.mapping import Envelope

Row = Sequence[Any]
HEAD = "Номер прибора;Ввод;Дата;Время;Q, Гкал;M1, т;t1, °C;P1, МПа;Tнар, ч;Ошибки"


def text(*lines: str, head: str = HEAD) -> str:
    """A text of these lines below a header."""
    return "\r\n".join([head, *lines, ""])


def hours(serial: str, day: int, labels: Iterable[str], circuit: str = "") -> list[str]:
    """A row for each label; every value is its own."""
    return [
        f"{serial};{circuit};{day:02}.10.2026;{label};0,{day:02}{n:02};{10 + n},5;7{n % 10},{day};0,6{n:02};1;---"
        for n, label in enumerate(labels)
    ]


def days(serial: str, numbers: Iterable[int], circuit: str = "") -> list[str]:
    """A row for each day of October."""
    return [f"{serial};{circuit};{n:02}.10.2026;;1,0{n:02};24{n},5;71,{n:02};0,6;24;0" for n in numbers]


def starts() -> list[str]:
    """Hours by their beginnings."""
    return [f"{hour:02}:00" for hour in range(24)]


def ends() -> list[str]:
    """Hours by their ends."""
    return [f"{hour:02}:00" for hour in range(1, 25)]


def book(**sheets: Iterable[Row]) -> bytes:
    """A workbook of these sheets."""
    made = openpyxl.Workbook()
    made.remove(made.worksheets[0])
    for name, rows in sheets.items():
        sheet = made.create_sheet(name.replace("_", " "))
        for row in rows:
            sheet.append(list(row))
    packed = io.BytesIO()
    made.save(packed)
    return packed.getvalue()


def _two_circuits() -> bytes:
    """Days of two heat inputs, true dates and numbers, rows of integrators at the end of the month."""
    head = ["Зав. №", "Тепловой ввод", "Вид архива", "Дата", "Тепловая энергия Q, Гкал", "t1 (°C)", "t2 (°C)", "V1, м³"]
    rows: list[Row] = [["Архив за октябрь 2026"], [], head]
    for circuit in ("ТВ1", "ТВ2"):
        rows += [["00451207", circuit, "сутки", date(2026, 10, n), 1 + n / 1000, 70.5, 50.25, 240.1 + n] for n in range(1, 32)]
        rows.append(["00451207", circuit, "Итог", datetime(2026, 11, 1), 1843.7, None, None, None])  # noqa: DTZ001 - as a sheet keeps it
    rows.append(["Исполнитель: Иванов И. И."])
    return book(Сутки=rows)


def _sheet_per_meter() -> bytes:
    """No column for the meter: one sheet says it above its table, the other by its name; units stand below the words."""
    head: list[Row] = [["Дата", "Q", "M1", "P1"], [None, "ГДж", "т", "кгс/см2"]]
    values: list[Row] = [[date(2026, 10, n), 4.1868 * n, 100 + n, 6] for n in range(1, 4)]
    return book(Лист1=[["Теплосчётчик ТВ7"], ["Заводской номер:", "00123456"], *head, *values], **{"00123457": [*head, *values]})


def _stacked() -> str:
    """Reports of two meters one below another, as devices print them; the second goes on under a repeated header."""
    head = "Дата;Q, ГДж;M1, т;t1"

    def report(serial: str, *numbers: int) -> list[str]:
        rows = [f"{n:02}.10.2026;{n},5;{n};70" for n in numbers]
        return ["Отчёт о теплопотреблении;;;", f"Заводской номер: {serial};;;", head, *rows, "Итого;9;9;70", ";;;"]

    return text(*report("00100", 1, 2), *report("00200", 1, 2), head, "03.10.2026;3,5;3;70", head="Архив за октябрь;;;")


def _rolling_ends() -> bytes:
    """Date and hour in one cell: from 01:00 to 00:00 of the next day, some milliseconds off, as sheets keep them."""
    first = datetime(2026, 10, 1)  # noqa: DTZ001 - as a sheet keeps it
    moments = [first + timedelta(hours=n, milliseconds=-3) for n in range(1, 49)]
    return book(Часы=[["Прибор", "Дата, время", "Q, Гкал", "t1"], *(["77", moment, n / 100, 70] for n, moment in enumerate(moments))])


def _times() -> bytes:
    """True times in a column of their own, and a formula that no program has calculated in the row of another meter."""
    rows: list[Row] = [["Прибор", "Дата", "Время", "Q, Гкал", "t1"]]
    rows += [["A-1", date(2026, 10, 1), time(hour), 0.1 + hour / 100, -3.5] for hour in range(24)]
    rows += [["A-2", date(2026, 10, 1), time(hour), "=1+1" if hour == 5 else 0.2, 1.1 + 2.2] for hour in range(24)]
    return book(Часы=rows)


def _autumn() -> str:
    """Ukrainian words, and a day of 25 hours in which 03:00 comes twice."""
    labels = [*starts()[:4], "03:00", *starts()[4:]]
    return text(
        *(f"55;{date(2026, 10, 25):%d.%m.%Y};{label};0,{n:02};5{n % 10},1" for n, label in enumerate(labels)),
        head="Лічильник;Дата;Година;Теплова енергія, Гкал;t1, °C",
    )


_KINDS = text(
    *(f"8;сутки;{n:02}.10.2026;;1,5;70" for n in (1, 2, 3)),
    "8;мес;10.2026;;46,5;70",
    "8;час;01.10.2026;00:00;0,06;70",
    "8;Итого;;;46,5;70",
    head="Прибор;Вид;Дата;Час;Q, Гкал;t1",
)
_QUIRKS = text(
    '12 300;;01.10.2026;;1 000,5;"1 234,5";12,3-;---;24;',
    "12 300;;02.10.2026;;н/д;-;3,5-;0,6;-;U,g,G",
    "12 300;;03.10.2026;; 2,5 ;;-7,25;;24;UED",
    "12 300;;04.10.2026;;0,000;–;0;0,6;24;Е",  # a Cyrillic letter of the shape of E
    "12 300;;06.10.2026;;0;1;2;0,6;24;24",
)
_UNITS = text(
    "9;01.10.2026;4,1868;100;1000;5,1;60;1000,000;1004,187",
    "9;02.10.2026;1;-;2;6;1440;1004,187;1005,187",
    head="Прибор;Дата;Q, ГДж;Масса M1, кг;V1, л;Давление P1 (кгс/см2);Tнар, мин;Qнач, ГДж;Qкон, ГДж",
)
_BAD = text(
    *days("100", range(1, 4)),
    "200;;01.10.2026;;4,8х2;1;70;0,6;24;0",
    "200;;31.09.2026;;1;1;70;0,6;24;Z",
    "200;;02.10.2026;;1;1;70;0,6;24;0",
    "200;;02.10.2026;;1;1;70;0,6;24;0",
    *days("300", range(1, 4)),
    "400;9;01.10.2026;;1;1;70;0,6;24;0",
    ";;01.10.2026;;1;1;70;0,6;24;0",
)
_POINTS = "\n".join(
    [
        "meter,kind,date,Q (Gcal),M1 (t),t1 (degC),P1 (bar),comment,faults",
        *(f'"A,{m}",day,2026-10-{n:02},{n}.25,10.5,70.5,6.1,"line one\nline two",' for m in (1, 2) for n in range(1, 4)),
        "",
    ]
)

SAMPLES: dict[str, Callable[[], bytes]] = {
    "hourly_cp1251.csv": lambda: text(*hours("01284918", 1, starts()), *hours("13 300963", 1, starts())).encode("cp1251"),
    "hourly_cp866.csv": lambda: text(*hours("1", 1, starts())).encode("cp866"),
    "hourly_ends_utf8.csv": lambda: text(*hours("1", 1, ends()[:7] + ends()[9:]), *hours("1", 2, ends())).encode("utf-8-sig"),
    "hourly_ranges_utf16.csv": lambda: text(*hours("1", 1, [f"{n:02}-{n + 1:02}" for n in range(24)])).replace(";", "\t").encode("utf-16"),
    "hourly_unclear.csv": lambda: text(*hours("1", 1, starts()[8:12]), *hours("2", 1, [*starts(), "24:00"])).encode(),
    "hourly_autumn.csv": lambda: _autumn().encode(),
    "hourly_rolling.xlsx": _rolling_ends,
    "hourly_times.xlsx": _times,
    "daily_out_of_order.csv": ("sep=;\r\n" + text(*days("1", (3, 1, 31)), "Всего;;;;9;;;;;", *days("1", (2, 1), "2"))).encode,
    "daily_points.csv": _POINTS.encode,
    "kinds.csv": lambda: _KINDS.encode("cp1251"),
    "quirks.csv": _QUIRKS.encode,
    "units.csv": lambda: _UNITS.encode("cp1251"),
    "several_wrong.csv": _BAD.encode,
    "two_circuits.xlsx": _two_circuits,
    "sheet_per_meter.xlsx": _sheet_per_meter,
    "stacked_reports.csv": lambda: _stacked().encode("cp1251"),
    "refused_columns.csv": lambda: text("1;2;3;4", head="Прибор;Q, кварт;M1, т;Q").encode(),
    "daily_koi8.csv": lambda: text(*days("1", range(1, 3))).encode("koi8-r"),
    "refused_encoding.csv": lambda: "meter;date;Q (Gcal);t1;note\r\n1;01.10.2026;1.5;70;ок\r\n".encode("cp1251"),
    "refused_quote.csv": lambda: text(*days("1", (1, 2)), '1;;03.10.2026;;"1,5;70').encode(),
    "refused_words.csv": "имя;возраст\r\nИван;40\r\n".encode,
}


def envelope(name: str) -> Envelope:
    """What the channel tells beside a sample."""
    return Envelope(zone="Europe/Kyiv" if "autumn" in name else "Asia/Irkutsk")
