"""Small tables as partners send them, each of a shape of its own, and what a reader of each must find in it."""

import io
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple

import openpyxl


class Partner(NamedTuple):
    """A file, and what is read from it: meter, agreement, period or day, register, value in the register's unit. `asks`: keys in doubt."""

    name: str
    body: bytes
    reads: list[tuple[str, str, str, str, str]]
    asks: frozenset[str] = frozenset()
    kind: str = "mapping"


def sheet(rows: list[list[Any]], *, title: str = "Лист1", merged: tuple[str, ...] = ()) -> bytes:
    """A workbook of one sheet; texts that begin with `=` are texts."""
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.title = title
    for number, row in enumerate(rows, 1):
        for place, value in enumerate(row, 1):
            if value is not None:
                cell = page.cell(number, place, value)
                if isinstance(value, str):
                    cell.data_type = "s"
    for span in merged:
        page.merge_cells(span)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def text(rows: list[str], encoding: str = "cp1251") -> bytes:
    """A text of these lines."""
    return "\r\n".join([*rows, ""]).encode(encoding)


def water_cp1251() -> Partner:
    """A managing company's list with totals and a comma for decimals."""
    return Partner(
        "pokazaniya_okt.csv",
        text(
            [
                "ООО УК «Заря». Показания приборов учёта холодной воды за октябрь 2026",
                "",
                "№ п/п;Лицевой счёт;Адрес;Заводской № счётчика;Дата снятия;Предыдущие показания;Текущие показания, м3;Расход, м3",
                "1;0012345;ул. Мира, 1-1;0087123;24.10.2026;100,5;103,25;2,75",
                "2;0012346;ул. Мира, 1-2;0087124;24.10.2026;88;90;2",
                "3;0012347;ул. Мира, 1-3;0087125;25.10.2026;15,125;17,5;2,375",
                "4;0012348;ул. Мира, 1-4;0087126;25.10.2026;1 200,5;1 210;9,5",
                "Итого;;;;;;;16,625",
            ]
        ),
        [
            ("0087123", "0012345", "2026-10", "volume", "103.25"),
            ("0087124", "0012346", "2026-10", "volume", "90"),
            ("0087125", "0012347", "2026-10", "volume", "17.5"),
            ("0087126", "0012348", "2026-10", "volume", "1210"),
        ],
    )


def electricity_two_zones() -> Partner:
    """A header over two rows with merged cells: a reading by day and one by night."""
    rows: list[list[Any]] = [
        ["Ведомость съёма показаний", None, None, None, None],
        ["Договор", "№ прибора учёта", "Показания, кВт*ч", None, "Период"],
        [None, None, "День", "Ночь", None],
        ["А-17", "41230011", 1500.5, 700, "10.2026"],
        ["А-17", "41230012", 2500, 1700.25, "10.2026"],
        ["Б-3", "41230013", 12, 3, "10.2026"],
    ]
    return Partner(
        "Ведомость.xlsx",
        sheet(rows, merged=("A2:A3", "B2:B3", "C2:D2", "E2:E3")),
        [
            ("41230011", "А-17", "2026-10", "A+:day", "1500.5"),
            ("41230011", "А-17", "2026-10", "A+:night", "700"),
            ("41230012", "А-17", "2026-10", "A+:day", "2500"),
            ("41230012", "А-17", "2026-10", "A+:night", "1700.25"),
            ("41230013", "Б-3", "2026-10", "A+:day", "12"),
            ("41230013", "Б-3", "2026-10", "A+:night", "3"),
        ],
    )


def ukrainian_quantities() -> Partner:
    """A Ukrainian list: what is measured and the zone stand in the rows."""
    return Partner(
        "pokazy.csv",
        text(
            [
                "Особовий рахунок;Номер лічильника;Вид енергії;Зона доби;Дата зняття;Попередній показник;Поточний показник",
                "500100;0001771;Активна;день;31.10.2026;100;150",
                "500100;0001771;Активна;ніч;31.10.2026;50;61",
                "500100;0001771;Реактивна;;31.10.2026;5;6,5",
                "500200;0001772;Активна;день;31.10.2026;1000;1100",
                "500200;0001772;Активна;ніч;31.10.2026;900;911",
            ]
        ),
        [
            ("0001771", "500100", "2026-10", "A+:day", "150"),
            ("0001771", "500100", "2026-10", "A+:night", "61"),
            ("0001771", "500100", "2026-10", "R+", "6.5"),
            ("0001772", "500200", "2026-10", "A+:day", "1100"),
            ("0001772", "500200", "2026-10", "A+:night", "911"),
        ],
        kind="readings_register",
    )


def english_tabs() -> Partner:
    """A tab-separated English list in MWh."""
    return Partner(
        "reads.txt",
        text(
            [
                "Account\tMeter serial\tRead date\tPrevious reading\tCurrent reading (MWh)",
                "C-100\tEM00901\t2026-10-31\t1.1\t1.25",
                "C-101\tEM00902\t2026-10-31\t2\t2.5",
                "C-102\tEM00903\t2026-10-31\t10.001\t10.5",
            ],
            "utf-8",
        ),
        [
            ("EM00901", "C-100", "2026-10", "A+", "1250"),
            ("EM00902", "C-101", "2026-10", "A+", "2500"),
            ("EM00903", "C-102", "2026-10", "A+", "10500"),
        ],
    )


def bank_control() -> Partner:
    """A register of a settlement centre in CP866 with a control row."""
    return Partner(
        "reestr.txt",
        text(
            [
                "Код абонента;Счетчик;Период;Показание горячей воды",
                "000123;7001;1026;15,5",
                "000124;7002;1026;100",
                "000125;7003;1026;7,25",
                "=3;;;122,75",
            ],
            "cp866",
        ),
        [
            ("7001", "000123", "2026-10", "volume", "15.5"),
            ("7002", "000124", "2026-10", "volume", "100"),
            ("7003", "000125", "2026-10", "volume", "7.25"),
        ],
    )


def hours_across() -> Partner:
    """Hours down the rows, meters across: the header names their codes; midnight is the hour 24 of the day that it ends."""
    start = datetime(2026, 10, 1)  # noqa: DTZ001 - a sheet's dates know no zone
    rows: list[list[Any]] = [
        ["Почасовые объёмы потребления электроэнергии, кВт·ч"],
        ["Дата", "Время", "131150001113003", "131150001113004"],
    ]
    for hour in range(48):
        day = start + timedelta(days=hour // 24)
        rows.append([day.date(), time((hour + 1) % 24), 1 + hour / 10, 2])
    return Partner(
        "часы.xlsx", sheet(rows), [("131150001113003", "", "2026-10", "A+", "160.8"), ("131150001113004", "", "2026-10", "A+", "96")]
    )


def whole_stamps() -> Partner:
    """The same with hours that are whole dates with a time, as formulas leave them: midnight is a date alone."""
    start = datetime(2026, 2, 1)  # noqa: DTZ001 - a sheet's dates know no zone
    rows: list[list[Any]] = [["Почасовой расход, кВт·ч"], ["Прибор", "Дата", "Время", "Расход, кВт·ч"]]
    for hour in range(48):
        day = start + timedelta(days=hour // 24)
        rows.append(["013117", day.date(), datetime.combine(start.date(), time((hour + 1) % 24)), 0.5])
    return Partner("февраль.xlsx", sheet(rows), [("013117", "", "2026-02", "A+", "24")])


def half_hours() -> Partner:
    """Half-hours as ranges, a row each."""
    labels = [f"{n // 2}:{n % 2 * 30:02}-{(n + 1) // 2}:{(n + 1) % 2 * 30:02}" for n in range(48)]
    rows = ["Прибор учёта;Дата;Интервал;Потребление, кВт·ч", *(f"0045;05.10.2026;{label};0,5" for label in labels)]
    return Partner("получасовки.csv", text(rows), [("0045", "", "2026-10", "A+", "24")])


def daily_heat() -> Partner:
    """Daily amounts of several meters, one row a day."""
    rows: list[list[Any]] = [["Прибор", "День", "Расход воды, л"]]
    for meter in ("0101", "0102"):
        rows += [[meter, date(2026, 10, day), 1000 + day] for day in range(1, 11)]
    return Partner("суточные.xlsx", sheet(rows), [("0101", "", "2026-10", "volume", "10.055"), ("0102", "", "2026-10", "volume", "10.055")])


def no_header() -> Partner:
    """No row of names: only the cells tell."""
    return Partner(
        "export.csv",
        text(
            [
                "000511;0077001;25.10.2026;ХВС;15,5",
                "000512;0077002;25.10.2026;ХВС;21,75",
                "000513;0077003;25.10.2026;ГВС;3,125",
                "000514;0077004;26.10.2026;ХВС;44",
            ]
        ),
        [
            ("0077001", "000511", "2026-10", "volume", "15.5"),
            ("0077002", "000512", "2026-10", "volume", "21.75"),
            ("0077003", "000513", "2026-10", "volume", "3.125"),
            ("0077004", "000514", "2026-10", "volume", "44"),
        ],
        frozenset({"columns.meter", "columns.agreement", "columns.value", "file.encoding"}),
    )


def no_header_but_a_control_row() -> Partner:
    """Four fields and a row of two that counts them; every row has one decimal comma."""
    return Partner(
        "20261101.txt",
        text(["24.10.2026;0012345;0087123;103,25", "24.10.2026;0012346;0087124;90,00", "25.10.2026;0012347;0087125;17,50", "=3;210,75"]),
        [
            ("0087123", "0012345", "2026-10", "volume", "103.25"),
            ("0087124", "0012346", "2026-10", "volume", "90.00"),
            ("0087125", "0012347", "2026-10", "volume", "17.50"),
        ],
        frozenset({"columns.meter", "columns.agreement", "columns.value", "register"}),
    )


def units_below() -> Partner:
    """Units in a row of their own and columns numbered below."""
    rows: list[list[Any]] = [
        ["Реестр показаний теплосчётчиков", None, None, None],
        ["Договор", "Теплосчётчик", "Показание", "Дата показания"],
        [None, None, "ГДж", None],
        [1, 2, 3, 4],
        ["Т-1", "01230077", 4186.8, date(2026, 10, 30)],
        ["Т-2", "01230078", 8373.6, date(2026, 10, 30)],
        ["Т-3", "01230079", 41.868, date(2026, 10, 30)],
        ["Исполнитель: Петрова", None, None, None],
    ]
    return Partner(
        "тепло.xlsx",
        sheet(rows),
        [
            ("01230077", "Т-1", "2026-10", "heat", "1000"),
            ("01230078", "Т-2", "2026-10", "heat", "2000"),
            ("01230079", "Т-3", "2026-10", "heat", "10"),
        ],
    )


def energy_and_power() -> Partner:
    """Four registers of a point side by side, told by signs, points by EIC."""
    return Partner(
        "points.csv",
        text(
            [
                "EIC код точки;А+, кВт·год;А-, кВт·год;Р+, квар·год;Р-, квар·год;Місяць",
                "62Z0000000000017;100;0;5;1;жовтень 2026",
                "62Z0000000000025;200,5;1;6;0;жовтень 2026",
            ],
            "utf-8",
        ),
        [
            ("62Z0000000000017", "", "2026-10", "A+", "100"),
            ("62Z0000000000017", "", "2026-10", "A-", "0"),
            ("62Z0000000000017", "", "2026-10", "R+", "5"),
            ("62Z0000000000017", "", "2026-10", "R-", "1"),
            ("62Z0000000000025", "", "2026-10", "A+", "200.5"),
            ("62Z0000000000025", "", "2026-10", "A-", "1"),
            ("62Z0000000000025", "", "2026-10", "R+", "6"),
            ("62Z0000000000025", "", "2026-10", "R-", "0"),
        ],
    )


def nothing_said() -> Partner:
    """Nothing says what is measured: it is asked."""
    return Partner(
        "list.csv",
        text(["Счетчик;Показание", "00017;5", "00018;6", "00019;7"]),
        [("00017", "", "", "volume", "5"), ("00018", "", "", "volume", "6"), ("00019", "", "", "volume", "7")],
        frozenset({"register"}),
    )


def unlike_twins() -> Partner:
    """Two columns of numbers whose headers say nothing: a third is their difference."""
    return Partner(
        "svet.csv",
        text(
            [
                "Показания ЭЭ",
                "Прибор;Столбец1;Столбец2;Разница",
                "Э0001;100;150;50",
                "Э0002;200;200;0",
                "Э0003;300;333;33",
                "Э0004;10;400;390",
            ]
        ),
        [("Э0001", "", "", "A+", "150"), ("Э0002", "", "", "A+", "200"), ("Э0003", "", "", "A+", "333"), ("Э0004", "", "", "A+", "400")],
    )


def plain_register() -> Partner:
    """What the shipped register reads as it is."""
    return Partner(
        "реестр.csv",
        text(
            [
                "Лицевой счет;Номер ПУ;Ресурс;Дата;Показание",
                "01;0123;ХВС;25.10.2026;15,5",
                "02;0124;ХВС;25.10.2026;16,5",
                "03;0125;ГВС;25.10.2026;17,5",
            ],
            "utf-8",
        ),
        [
            ("0123", "01", "2026-10", "volume", "15.5"),
            ("0124", "02", "2026-10", "volume", "16.5"),
            ("0125", "03", "2026-10", "volume", "17.5"),
        ],
        kind="readings_register",
    )


def tariffs_in_rows() -> Partner:
    """A tariff beside each reading and nothing about energy: only electricity has zones."""
    return Partner(
        "тарифы.csv",
        text(
            [
                "Абонентский номер;Зав. № ПУ;Тариф;Показание на конец месяца;Месяц",
                "770001;011071;Т1;15077;2026-10",
                "770001;011071;Т2;7011;2026-10",
                "770002;011072;Т1;333;2026-10",
                "770002;011072;Т2;111;2026-10",
            ],
            "utf-8",
        ),
        [
            ("011071", "770001", "2026-10", "A+:day", "15077"),
            ("011071", "770001", "2026-10", "A+:night", "7011"),
            ("011072", "770002", "2026-10", "A+:day", "333"),
            ("011072", "770002", "2026-10", "A+:night", "111"),
        ],
    )


PARTNERS = (
    water_cp1251,
    electricity_two_zones,
    ukrainian_quantities,
    english_tabs,
    bank_control,
    hours_across,
    whole_stamps,
    half_hours,
    daily_heat,
    no_header,
    no_header_but_a_control_row,
    units_below,
    energy_and_power,
    nothing_said,
    unlike_twins,
    plain_register,
    tariffs_in_rows,
)
