"""The sample makets 80020 and 80040: every quirk that systems of metering really write, each small enough to be read."""

import io
import zipfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final

from gateway.mapping import Envelope

Period = str
Values = Iterable[object]
HALVES: Final = tuple((f"{half // 2:02}{half % 2 * 30:02}", f"{(half + 1) // 2 % 24:02}{(half + 1) % 2 * 30:02}") for half in range(48))
HOURS: Final = tuple((f"{hour:02}00", f"{(hour + 1) % 24:02}00") for hour in range(24))
EMPTY: Final = '<value status="1"></value>'
ZONES: Final = {"kyiv": "Europe/Kyiv", "moscow": "Europe/Moscow"}


def period(start: str, end: str, value: object, more: str = "") -> Period:
    """One period; a value that is no tag is put into one."""
    inner = value if str(value).startswith("<") else f"<value>{value}</value>"
    return f'<period start="{start}" end="{end}"{more}>{inner}</period>'


def periods(values: Values, labels: Sequence[tuple[str, str]] = HALVES) -> list[Period]:
    """Periods in a row."""
    return [period(*edges, value) for edges, value in zip(labels, values, strict=False)]


def usage(count: int = 48, first: int = 100) -> list[object]:
    """Values that differ."""
    return [first + 7 * number % 41 for number in range(count)]


def channel(code: str, lines: Iterable[Period], desc: str = "счетчик, акт. прием") -> str:
    """A channel of these periods."""
    body = "\r\n".join(lines)
    return f'<measuringchannel code="{code}" desc="{desc}">\r\n{body}\r\n</measuringchannel>\r\n'


def point(code: str, *inner: str, tag: str = "measuringpoint", more: str = "") -> str:
    """A point of any kind."""
    return f'<{tag} code="{code}" name="ПС &quot;Северная&quot;, ф. 12"{more}>\r\n{"".join(inner)}</{tag}>\r\n'


def message(
    *points: str, day: str = "20260214", flag: str = "0", class_: str = "80020", charset: str = "windows-1251", more: str = ""
) -> bytes:
    """A message of one area."""
    text = (
        f'<?xml version="1.0" encoding="{charset}"?>\r\n<message class="{class_}" version="2" number="4218">\r\n{more}'
        f"<datetime><timestamp>20260215030800</timestamp><daylightsavingtime>{flag}</daylightsavingtime><day>{day}</day></datetime>\r\n"
        "<sender><name>ООО &quot;Сеть&quot;</name><inn>5001001234</inn></sender>\r\n"
        f'<area timezone="1"><name>Площадка</name><inn>1300001301</inn>\r\n{"".join(points)}</area>\r\n</message>\r\n'
    )
    return text.encode("cp1251" if charset == "windows-1251" else charset)


def zipped(**documents: bytes) -> bytes:
    """A zip of these documents."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for name, document in documents.items():
            made.writestr(zipfile.ZipInfo(f"{name}.xml", (2026, 3, 1, 0, 0, 0)), document, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def one(lines: Iterable[Period], **more: str) -> bytes:
    """A message of one point with one channel."""
    return message(point("131150001113003", channel("01", lines)), **more)


def several_channels() -> bytes:
    """Half-hours and hours side by side; descriptions that say anything; one that is none of four."""
    return message(
        point(
            "131150001113003",
            channel("01", periods(usage())),
            channel("02", periods([0] * 48), "счетчик, акт. прием"),
            channel("03", periods(usage(24), HOURS), "реак. прием"),
            channel("04", periods(["0,5", "1.250", *["3"] * 46]), "реакт. отдача"),
            channel("05", periods(usage()), "акт. прием"),
            more=' serial="01284918"',
        )
    )


def kinds_of_points() -> bytes:
    """All five, in two areas."""
    first = message(
        point("70001", channel("01", periods(usage(24), HOURS)), tag="accountpoint"),
        point("70002", channel("02", periods(usage(24), HOURS)), tag="deliverypoint"),
        point("PSAMARA1", "".join(periods(usage(24), HOURS)), tag="deliverygroup"),
        class_="80040",
    )
    flow = "".join(periods(usage(24, 5), HOURS))
    more = f'<area><name/><inn/><peretok codefrom="SAMARA" codeto="ORENB" name="переток">{flow}</peretok></area>'
    return first.replace(b"</message>", more.encode("cp1251") + b"</message>")


def mid_day() -> bytes:
    """46 half-hours from 01:00 on; 12 hours from noon on."""
    return message(
        point("1", channel("01", periods(usage(46), HALVES[2:])), channel("03", periods(usage(12), HOURS[12:]))),
    )


def statuses() -> bytes:
    """No value, values for nobody's settlement, values of a group, and a status that nobody has heard of."""
    values: list[object] = [
        EMPTY,
        '<value status="1">17</value>',
        '<value status="0">18</value>',
        '<value extendedstatus="1114" param1="PSAMARA1">19</value>',
        '<value exstendedstatus="1114" status="0" errofmeasuring="0.2">20</value>',
        '<value status="3">21</value>',
        *usage(18),
    ]
    return message(point("1", channel("01", periods(values, HOURS))), point("2", channel("01", periods([EMPTY] * 24, HOURS))))


def wrong_periods() -> bytes:
    """Each of another kind; the second point is as it must be."""
    lines = periods(usage())
    lines[3] = period("0130", "0230", 1)
    lines[5] = period("0230", "9999", 1)
    lines[6], lines[7] = lines[7], lines[6]
    lines[9] = lines[8]
    lines[11] = period("0530", "0600", "")
    lines[12] = period("0600", "0630", "-4")
    lines[13] = period("0630", "0700", "1O")
    lines[14] = period("0700", "0730", "<value>1</value><value>2</value>")
    lines[15] = '<period start="0730" end="0800"/>'
    return message(point("1", channel("01", lines), channel("02", periods(usage()))), point("2", channel("01", periods(usage()))))


def told_twice() -> bytes:
    """A point in two places, a channel in two places, a point without a code, one without periods."""
    lines = periods(usage(24), HOURS)
    return message(
        point("1", channel("01", lines)),
        point("2", channel("01", lines), channel("01", lines)),
        point("", channel("01", lines)),
        point("3", channel("01", [])),
        point("4", "".join(lines)),
        point("1", channel("01", lines)),
    )


def autumn(marked: str = ' summer="1"') -> list[Period]:
    """The 25 hours of Kyiv's day of 26 October 2025."""
    lines = periods(usage(24), HOURS)
    return [*lines[:3], period("0300", "0400", 7, marked), *lines[3:]]


def autumn_halves() -> list[Period]:
    """Its 50 half-hours, all of those in summer time marked."""
    before = [period(*edges, n, ' summer="1"') for n, edges in enumerate(HALVES[:8])]
    return [*before, *periods(usage(42), HALVES[6:])]


def spring(value: object) -> bytes:
    """24 hours of a day that has 23: Kyiv left out 03-04 on 30 March 2025."""
    values = usage(24)
    values[3] = value
    return one(periods(values, HOURS), day="20250330", flag="2")


def as_other_makers_write() -> bytes:
    """Oracle's and Alpha's habits: a comment about the program, the day first, codes before names, spare blanks."""
    made = one(periods(usage(24), HOURS)).decode("cp1251")
    app = "<!--App=АльфаЦЕНТР макет 80020;version=2.12.11;round=с переходящим остатком;hash=0a1b-->"
    made = made.replace("\r\n<message", f"\r\n{app}\r\n<message", 1)
    stamp, flag, day = "<timestamp>20260215030800</timestamp>", "<daylightsavingtime>0</daylightsavingtime>", "<day>20260214</day>"
    made = made.replace(f"{stamp}{flag}{day}", f"{day}{flag}{stamp}").replace("<datetime>", "<comment>месяц</comment>\r\n<datetime>")
    made = made.replace("<name>ООО &quot;Сеть&quot;</name><inn>5001001234</inn>", "<inn>5001001234</inn><name>ООО &quot;Сеть&quot;</name>")
    return made.replace('<area timezone="1">', "<area >").replace("<value>", "<value >").encode("cp1251")


def month() -> bytes:
    """Three days of February and one of March."""
    days = ("20260227", "20260228", "20260301", "20260226")
    return zipped(**{f"80020_5001001234_{day}_{n}": one(periods(usage(24, 10 * n), HOURS), day=day) for n, day in enumerate(days)})


SAMPLES: Final[dict[str, Callable[[], bytes]]] = {
    "several_channels.xml": several_channels,
    "kinds_of_points_80040.xml": kinds_of_points,
    "from_mid_day.xml": mid_day,
    "statuses.xml": statuses,
    "wrong_periods.xml": wrong_periods,
    "told_twice.xml": told_twice,
    "utf8_2400_and_blanks.xml": lambda: one(
        [line.replace('0000">', '2400" >').replace('="0100', '=" 0100 ') for line in periods(usage(24), HOURS)], charset="utf-8"
    ),
    "utf16.xml": lambda: one(periods(usage(24), HOURS), charset="utf-16"),
    "always_summer_moscow.xml": lambda: one([line.replace(" end", ' summer="1" end') for line in periods(usage(24), HOURS)], flag="1"),
    "kyiv_autumn_hours.xml": lambda: one(autumn(), day="20251026", flag="2"),
    "kyiv_autumn_unmarked.xml": lambda: one(autumn(""), day="20251026", flag="2"),
    "kyiv_autumn_half_hours.xml": lambda: one(autumn_halves(), day="20251026", flag="2"),
    "kyiv_autumn_24_hours.xml": lambda: one(periods(usage(24), HOURS), day="20251026", flag="2"),
    "kyiv_spring_zero.xml": partial(spring, "0"),
    "kyiv_spring_value.xml": partial(spring, "12"),
    "kyiv_spring_nothing.xml": partial(spring, EMPTY),
    "kyiv_spring_23_hours.xml": lambda: one(periods([*usage(3), *usage(20, 7)], [*HOURS[:3], *HOURS[4:]]), day="20250330", flag="2"),
    "as_other_makers_write.xml": as_other_makers_write,
    "80020_5001001234_20190101_1.xml": lambda: one(periods(usage(24), HOURS), day="20210320"),
    "one_in_a_zip.zip": lambda: zipped(a=one(periods(usage(24), HOURS))),
    "moscow_2014_25_hours.xml": lambda: one(
        [*periods(usage(1), HOURS), period("0100", "0200", 9, ' summer="1"'), *periods(usage(23), HOURS[1:])], day="20141026", flag="2"
    ),
    "days_of_two_months.zip": month,
    "a_day_twice.zip": lambda: zipped(a=one(periods(usage(24), HOURS)), b=one(periods(usage(24), HOURS))),
    "one_broken_of_two.zip": lambda: zipped(a=one(periods(usage(24), HOURS)), b=one(periods(usage(24), HOURS))[:-20]),
    "not_a_maket_inside.zip": lambda: zipped(a=one(periods(usage(24), HOURS)), b=b"%PDF-1.7"),
    "another_period.xml": lambda: one(periods(usage(24), HOURS)),
    "class_80030.xml": lambda: message(class_="80030"),
    "another_root.xml": lambda: b'<?xml version="1.0"?>\n<report class="80020"/>',
    "test_only.xml": lambda: one(periods(usage(24), HOURS), more="<testonly/>"),
    "no_such_day.xml": lambda: one(periods(usage(24), HOURS), day="20260230"),
    "no_points.xml": message,
    "point_outside.xml": lambda: message().replace(b"</message>", b'\n<measuringpoint code="1"/></message>'),
    "doctype.xml": lambda: b'<?xml version="1.0"?><!DOCTYPE message [<!ENTITY a "1">]><message class="80020">&a;</message>',
    "cut.xml": lambda: one(periods(usage(24), HOURS))[:-30],
    "not_in_its_charset.xml": lambda: one(periods(usage(24), HOURS)).replace(b"windows-1251", b"utf-8"),
}
"""Name of the sample -> what writes it."""


def envelope(name: str) -> Envelope:
    """What is told beside a sample: its zone is in its name."""
    zone = next((zone for word, zone in ZONES.items() if word in name), "Europe/Moscow")
    if name == "another_period.xml":
        return Envelope(zone=zone, meter="1", period="2026-03")
    return Envelope(zone=zone)
