"""The interval workbook of the legal-entity manual, 5.3.1: hours along one edge, the days of a month along the other, a sheet per meter."""

from collections.abc import Iterator
from itertools import chain
from typing import Final

from gateway.domain.problems import Problem
from gateway.domain.readings import MeterReading
from gateway.domain.supply import Meter
from gateway.mapping import Envelope, Format
from gateway.mapping.any_table import read_any
from gateway.mapping.crosswalk import told
from gateway.mapping.dbf import apart
from gateway.mapping.hour_grid import TEMPLATE, is_hourly
from gateway.mapping.hour_sheets import hour_sheets
from gateway.settings import Limits
from gateway.texts import Language

VERSION: Final = "1"


class IntervalWorkbook(Format, frozen=True, kw_only=True):
    """Reads workbooks and pages, 24 x 28..31 or 31 x 24; the meter is told beside, by a hidden sheet, a cell or a sheet's name."""

    limits: Limits = Limits()

    def sniff(self, body: bytes, file_name: str) -> bool:  # noqa: ARG002 - names are not trusted
        """Tell whether this is a workbook of hours and days."""
        return is_hourly(body, self.limits)

    def decode(self, body: bytes, envelope: Envelope) -> Iterator[MeterReading | Problem]:
        """One MeterReading per meter and month, with a block for every day that is not left empty.

        Raises Rejected when there is no table of hours and days, no value, no meter told, or the template is another's.
        """
        tables = read_any(body, self.limits)
        written = told(tables, template=TEMPLATE, version=VERSION, agreement=envelope.agreement)
        return chain(apart(tables), hour_sheets(tables, envelope, written, self.limits))


def template(meter: Meter, *, period: str, zone: str, language: Language) -> bytes:
    """The workbook of a meter for a period, to be filled in by people. `zone` tells which days have 23 or 25 hours."""
    from gateway.mapping.interval_template import write  # noqa: PLC0415 - the writer of workbooks is slow to import and wanted only here

    return write(meter, template=TEMPLATE, version=VERSION, period=period, zone=zone, language=language)
