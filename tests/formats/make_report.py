"""The sample heat reports in XML: what meters of a utility say of a month, by hand, each small enough to be read."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gateway.mapping import Envelope

MONTH: Final = "2026-10"
Pairs = dict[str, object]


def day(number: int, **more: object) -> Pairs:
    """The pairs of a day; every value is its own."""
    pairs: Pairs = {
        "Q": f"{number}.25",
        "M1": f"{number}0.5",
        "M2": f"{number}0.4",
        "t1": f"71.{number}",
        "P1": "0.61",
        "Tnar": 24,
        "Terr": 0,
    }
    return {**pairs, "date": f"{MONTH}-{number:02}", "Error": "", **more}


def row(pairs: Pairs | str, tag: str = "daily_data") -> str:
    """A row as such reports write it: pairs in one text."""
    text = pairs if isinstance(pairs, str) else "|".join(f"{name}={value}" for name, value in pairs.items())
    return f"<{tag}>{text}</{tag}>\n"


def rows(*days: Pairs | str) -> str:
    """The list of days."""
    return f"<daily_data_list>\n{''.join(map(row, days))}</daily_data_list>\n"


def states(start: Pairs | str, end: Pairs | str, first: str = f"{MONTH}-01T00:00", last: str = f"{MONTH}-31T24:00") -> str:
    """What integrators showed at both ends of the period."""
    begin, close = row(start, "period_start_meter_data"), row(end, "period_end_meter_data")
    return f"<period_start_date>{first}</period_start_date>\n{begin}<period_end_date_24>{last}</period_end_date_24>\n{close}"


def head(serial: str, circuit: str = "1") -> str:
    """What stands above the days."""
    return (
        f"<DTstart>{MONTH}-01</DTstart><DTend>{MONTH}-31</DTend><circuit_code>{circuit}</circuit_code>\n"
        f"<address_full>Снежная ул., д. 7</address_full><model>ВКТ-7</model><serial_number>{serial}</serial_number>\n"
    )


def report(*parts: str, charset: str = "windows-1251", tag: str = "report") -> bytes:
    """A report of these parts."""
    text = f'<?xml version="1.0" encoding="{charset}"?>\n<{tag}>\n{"".join(parts)}</{tag}>\n'
    return text.encode({"windows-1251": "cp1251"}.get(charset, charset))


def meter(serial: str, *days: Pairs | str, circuit: str = "1", more: str = "") -> str:
    """One meter with one heat input, in an element of its own."""
    return f"<meter>\n{head(serial, circuit)}{rows(*days)}{more}</meter>\n"


def nested(serial: str, **circuits: str) -> str:
    """One meter whose number stands once, above all of its heat inputs."""
    inner = "".join(f"<circuit><circuit_code>{code[1:]}</circuit_code>\n{part}</circuit>\n" for code, part in circuits.items())
    return f"<meter><model>ТВ7</model><serial_number>{serial}</serial_number>\n{inner}</meter>\n"


def records(names: Sequence[str], lines: Iterable[Sequence[object]], totals: Iterable[Sequence[object]] = ()) -> str:
    """The other kind of report: every value an element."""
    caps = "".join(f"<PARAMETER><ID>{name}</ID><TOTAL>{int(name == 'Q')}</TOTAL></PARAMETER>" for name in names)

    def one(tag: str, values: Sequence[object]) -> str:
        inner = "".join(f"<{name}>{value}</{name}>" for name, value in zip(names, values, strict=True))
        return f"<{tag}>{inner}</{tag}>\n"

    told = "".join(one("RECORD", line) for line in lines)
    summed = "".join(one("TOTAL", line) for line in totals)
    return (
        f"<SERIAL>00777</SERIAL><DATAFROM>01.{MONTH[5:]}.2026</DATAFROM><DATATO>03.{MONTH[5:]}.2026</DATATO><SYSTEM>ТС 2</SYSTEM>\n"
        f"<RECORDS_CAP>{caps}</RECORDS_CAP>\n<RECORDS>\n{told}</RECORDS>\n<TOTALS>\n{summed}</TOTALS>\n"
    )


_WHOLE = states("QAgg=1000.500|M1Agg=5000.1|TnarAgg=7000", "QAgg=1006.000|M1Agg=5060.1|TnarAgg=7072")
_DAYS = [day(number) for number in (1, 2, 3)]
_BAD = (
    meter("100", *_DAYS),
    meter(
        "200",
        day(1, Q="1,2O4"),
        day(2, date="2026-10-32"),
        "Q=3.25|71.5|M1=30.5|=7|date=2026-10-03",
        day(4, Error="Z"),
        day(5, q="5.5"),
        more=states("QAgg=x", "QAgg=1006|M1Agg=1_0", last="31 числа"),
    ),
    meter("300", day(1), day(1)),
    meter("", day(1)),
    meter("400", day(1), circuit="ГВС"),
    meter("500", *_DAYS, circuit="ТВ2"),
)

SAMPLES: dict[str, Callable[[], bytes]] = {
    "one_meter.xml": lambda: report(head("01284918"), rows(*_DAYS), _WHOLE),
    "whole_month_utf8.xml": lambda: report(
        head("5", "ТВ1"), rows(*(day(n, tCW="8.1", Error="U,g") for n in range(1, 32))), charset="utf-8"
    ),
    "utf16.xml": lambda: report(head("5"), rows(*_DAYS), charset="utf-16"),
    "circuits_in_a_meter.xml": lambda: report(
        nested("00451207", _1=rows(*_DAYS) + _WHOLE, _2=rows(*_DAYS)), nested("00451208", _1=rows(*_DAYS))
    ),
    "several_wrong.xml": lambda: report(*_BAD),
    "nothing_known_of_the_second.xml": lambda: report(
        meter("100", *_DAYS), f"<meter><circuit><circuit_code>1</circuit_code>{rows(*_DAYS)}</circuit></meter>\n"
    ),
    "no_values.xml": lambda: report(meter("100", *(day(n, Q="", M1="---", t1="н/д") for n in (1, 2, 3)))),
    "units_and_names.xml": lambda: report(
        meter("100", "Q, ГДж=4.1868|P1 (кгс/см2)=6|Mpodpit=1.5|Vutechka=2|date=01.10.2026", "Mpodpit=1|date=02.10.2026|Q, ГДж=1")
    ),
    "namespace.xml": lambda: report(head("7"), rows(*_DAYS)).replace(b"<report>", b'<report xmlns="urn:report">'),
    "records.xml": lambda: report(
        records(
            ("Time", "Q", "G1", "T1", "Thv", "Tnar"),
            [(f"{n:02}.10.2026", f"{n},5", f"{n}0,25", "70,5", "-", 24) for n in (1, 2, 3)],
            [("01.10.2026", "100,5", "-", "-", "-", "-"), ("03.10.2026", "107", "-", "-", "-", "-")],
        )
    ),
    "refused_names.xml": lambda: report(meter("100", "A=1|date=2026-10-01|B=2")),
    "refused_unit.xml": lambda: report(meter("100", "Q, кварт=1|date=2026-10-01")),
    "refused_empty.xml": lambda: report(head("1"), rows()),
    "refused_cut.xml": lambda: report(meter("100", *_DAYS))[:-20],
    "refused_doctype.xml": lambda: report(head("1"), rows(*_DAYS)).replace(b"<report>", b"<!DOCTYPE report>\n<report>", 1),
    "refused_charset.xml": lambda: report(head("1"), rows(*_DAYS), charset="utf-8").replace(b"<model>", b"<model>\xff", 1),
}


def envelope(name: str) -> Envelope:  # noqa: ARG001 - as every maker of samples
    """What the channel tells beside a sample."""
    return Envelope(zone="Europe/Moscow")
