"""Archives of heat meters as readers write them: every meter's month of days or hours, whose heat adds up to what was asked for."""

import io
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate, pairwise
from typing import Final, Literal

import msgspec
from openpyxl import Workbook

from gateway.demo.invented import pick
from gateway.domain.readings import Step
from gateway.domain.windows import month, shift
from gateway.mapping.moments import hours

HEAD: Final = (
    "Номер прибора",
    "Ввод",
    "Вид",
    "Дата",
    "Время",
    "Q, Гкал",
    "M1, т",
    "M2, т",
    "V1, м3",
    "V2, м3",
    "t1, °C",
    "t2, °C",
    "tхв, °C",
    "P1, МПа",
    "P2, МПа",
    "Tнар, ч",
    "Tэп, ч",
    "Ошибки",
)
_QUANTITIES: Final = 5
"""Place of the first quantity among the columns."""


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """One meter. `heat`: Gcal of the month, one for each heat input; `shown`: what its integrators showed when the month began.

    `mistake`: what stands in the place of the heat of the tenth day (or hour) of its first input, empty for a good meter.
    """

    serial: str
    heat: tuple[Decimal, ...]
    shown: tuple[Decimal, ...] = ()
    mistake: str = ""


Line = list[str | Decimal]


def archive(
    meters: Sequence[Archived],
    period: str,
    zone: str,
    *,
    step: Step = Step.DAY,
    kind: Literal["csv", "xlsx"] = "csv",
    encoding: str = "cp1251",
) -> bytes:
    """The file of a month (`YYYY-MM`). Where a meter's integrators are given, a row with their state at the month's end follows."""
    lines = [line for meter in meters for line in _meter(meter, month(period), zone, step)]
    return _csv(lines, encoding) if kind == "csv" else _xlsx(lines)


def split(total: Decimal, weights: Sequence[int]) -> list[Decimal]:
    """Parts of a total in proportion to the weights, with four decimals or as many as it has; together they are exactly the total."""
    unit = Decimal(1).scaleb(min(-4, int(total.as_tuple().exponent)))
    whole, sum_ = int(total / unit), sum(weights)
    edges = [whole * reached // sum_ for reached in accumulate(weights, initial=0)]
    return [(end - start) * unit for start, end in pairwise(edges)]


def _meter(meter: Archived, first: date, zone: str, step: Step) -> Iterator[Line]:
    days = [first + timedelta(days=number) for number in range((shift(first, 1) - first).days)]
    word = "час" if step is Step.HOUR else "сутки"
    moments = [(day, hour) for day in days for hour in ([f"{hour:02}:00" for hour in hours(day, zone)] if step is Step.HOUR else [""])]
    for circuit, heat in enumerate(meter.heat, 1):
        told = (meter.serial, str(circuit) if len(meter.heat) > 1 else "", word)
        parts = split(heat, [pick(80, 120, meter.serial, circuit, number) for number in range(len(moments))])
        for number, ((day, hour), part) in enumerate(zip(moments, parts, strict=True), 1):
            line = [*told, f"{day:%d.%m.%Y}", hour, part, *_beside(meter.serial, circuit, number, part, step)]
            if meter.mistake and (circuit, number) == (1, 10):
                line[_QUANTITIES] = meter.mistake
            yield line
    for circuit, (heat, shown) in enumerate(zip(meter.heat, meter.shown, strict=False), 1):
        yield [meter.serial, str(circuit) if len(meter.heat) > 1 else "", "интегратор", f"{days[-1]:%d.%m.%Y}", "24:00", shown + heat]


def _beside(serial: str, circuit: int, number: int, heat: Decimal, step: Step) -> Line:
    """What the meter measured beside the heat, in the order of the columns."""

    def about(low: int, high: int, name: str, decimals: int) -> Decimal:
        return Decimal(pick(low, high, serial, circuit, number, name)).scaleb(-decimals)

    supply, back = about(6800, 7900, "t1", 2), about(4600, 5400, "t2", 2)
    mass = (heat * 1000 / (supply - back)).quantize(Decimal("0.01"))
    returned = (mass * about(9970, 9999, "M2", 4)).quantize(Decimal("0.01"))
    volumes = [(flow * Decimal("1.02")).quantize(Decimal("0.01")) for flow in (mass, returned)]
    pressures = [about(580, 640, "P1", 3), about(380, 430, "P2", 3)]
    run = Decimal(1 if step is Step.HOUR else 24)
    return [mass, returned, *volumes, supply, back, about(480, 620, "tcw", 2), *pressures, run, Decimal(0), "---"]


def _csv(lines: list[Line], encoding: str) -> bytes:
    """Semicolons and decimal commas, as offices in Russia save them."""
    rows = [
        ";".join(HEAD),
        *(";".join(cell if isinstance(cell, str) else f"{cell:f}".replace(".", ",") for cell in line) for line in lines),
    ]
    return "\r\n".join([*rows, ""]).encode(encoding, "replace")


def _xlsx(lines: list[Line]) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Архив")
    for line in [list(HEAD), *lines]:
        sheet.append(line)
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()
