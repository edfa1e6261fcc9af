"""What the demo sends: six sendings of five utilities, by three channels, into three kinds of billing."""

import io
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Final

import msgspec
import openpyxl

from gateway.demo.archives import Archived, archive, split
from gateway.demo.invented import HOURLY, Metered, pick
from gateway.domain.windows import month, shift

Channel = str
REST, FILES, SFTP, SOAP = "REST, JSON", "REST, file", "SFTP", "SOAP"


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """One thing sent: whose, in which format, by which channel, about which of the utility's meters."""

    utility: str
    format: str
    channel: Channel
    of: Callable[[Sequence[Metered]], list[Metered]]


def _all(meters: Sequence[Metered]) -> list[Metered]:
    return list(meters)


def _read(meters: Sequence[Metered]) -> list[Metered]:
    """Those whose dials are handed in."""
    return [meter for meter in meters if any(dial.sent for dial in meter.dials)]


def _hourly(meters: Sequence[Metered]) -> list[Metered]:
    """Those that hand in hours."""
    return list(meters[HOURLY:])


SENDINGS: Final = (
    Sending(utility="contractor_heat", format="heat_archive", channel=SFTP, of=_all),
    Sending(utility="household", format="canonical_json", channel=SOAP, of=_all),
    Sending(utility="legal_entity", format="integral_workbook", channel=FILES, of=_read),
    Sending(utility="legal_entity", format="interval_workbook", channel=FILES, of=_hourly),
    Sending(utility="consumer_ua", format="canonical_json", channel=REST, of=_all),
    Sending(utility="water", format="canonical_json", channel=REST, of=_all),
)

METER: Final = 4
CURRENT: Final = 9
"""Columns of the integral template: «Номер ПУ» and «Текущие показания»."""


def heat(meters: Sequence[Metered], period: str, zone: str) -> bytes:
    """The contractor's file: every meter's days, and the damaged cell."""
    archived = []
    for meter in meters:
        [dial] = meter.dials
        used = Decimal(dial.sent) - dial.last
        archived.append(Archived(serial=meter.serial, heat=(used,), mistake="1,2O4" if meter.mistake else ""))
    return archive(archived, period, zone)


def integral(template: bytes, meters: Sequence[Metered]) -> bytes:
    """A template with its last column filled in as a person would, row by row in the template's order: numbers, and what is no number."""
    book = openpyxl.load_workbook(io.BytesIO(template))
    sheet = book.worksheets[0]
    for meter in meters:
        rows = [row for row in range(2, sheet.max_row + 1) if str(sheet.cell(row, METER).value) == meter.serial]
        for row, dial in zip(rows, meter.dials, strict=True):
            if dial.sent:
                sheet.cell(row, CURRENT).value = int(dial.sent) if dial.sent.isascii() and dial.sent.isdigit() else dial.sent
    return _packed(book)


def hourly(meters: Sequence[Metered], period: str) -> bytes:
    """A sheet for every meter, hours down and days across, as the legal-entity manual draws it, and the cell with two numbers."""
    first = month(period)
    days = [first + timedelta(days=number) for number in range((shift(first, 1) - first).days)]
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for meter in meters:
        sheet = book.create_sheet(meter.serial)
        sheet.append(["Время", *(f"{day:%d.%m.%Y}" for day in days)])
        values = split(Decimal(pick(9_000, 41_000, meter.serial)) / 10, [pick(60, 140, meter.serial, n) for n in range(24 * len(days))])
        for hour in range(24):
            sheet.append([f"{hour:02}-{hour + 1:02}", *(float(values[hour * len(days) + day]) for day in range(len(days)))])
        if meter.mistake:
            sheet["K8"] = "12,4 13,1"
    return _packed(book)


def _packed(book: openpyxl.Workbook) -> bytes:
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()
