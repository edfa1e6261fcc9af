"""What the demo's senders do, over the published API and nothing else: post canonical JSON, fill a workbook in, look what became of it."""

import io
from collections.abc import Sequence
from typing import Any, Final

import httpx
import msgspec
import openpyxl

from gateway.demo.invented import Metered
from gateway.demo.stage import Failed

BY_WORKBOOK: Final = ("legal_entity",)
"""Utilities whose senders fill in the workbook; the others post JSON."""

Json = dict[str, Any]


class Partner:
    """One utility's sender, with its key and language."""

    def __init__(self, client: httpx.Client, utility: str, key: str, language: str, period: str) -> None:
        """Remember who it is; nothing is sent yet."""
        self.utility = utility
        self.period = period
        self._client = client
        self._headers = {"Authorization": f"Bearer {key}", "Accept-Language": language}

    @property
    def ways(self) -> tuple[str, str]:
        """The format and the channel it sends by."""
        return ("integral_workbook", "POST /v1/files") if self.utility in BY_WORKBOOK else ("canonical_json", "POST /v1/readings")

    def send(self, meters: Sequence[Metered]) -> str:
        """Send what was read and return the submission's name."""
        receipt = self._workbook(meters) if self.utility in BY_WORKBOOK else self._json(meters)
        return str(receipt["submission"])

    def look(self, submission: str) -> Json:
        """One submission with its rows."""
        return self._answer(self._client.get(f"/v1/submissions/{submission}", headers=self._headers))

    def _json(self, meters: Sequence[Metered]) -> Json:
        body = msgspec.json.encode({"readings": [_row(meter, self.period) for meter in meters]})
        headers = self._headers | {"Content-Type": "application/json", "Idempotency-Key": f"demo-{self.utility}"}
        return self._answer(self._client.post("/v1/readings", content=body, headers=headers))

    def _workbook(self, meters: Sequence[Metered]) -> Json:
        agreement = meters[0].agreement
        empty = self._client.get(
            "/v1/templates/integral_workbook", params={"agreement": agreement, "period": self.period}, headers=self._headers
        )
        if empty.status_code != 200:
            raise Failed(f"{self.utility}: no template: {empty.text}")
        name = f"{agreement}_{self.period}.xlsx"
        return self._answer(
            self._client.post(
                "/v1/files", files={"file": (name, filled(empty.content, meters))}, data={"agreement": agreement}, headers=self._headers
            )
        )

    def _answer(self, answer: httpx.Response) -> Json:
        if not answer.is_success:
            raise Failed(
                f"{self.utility}: {answer.request.method} {answer.request.url.path} was answered {answer.status_code}: {answer.text}"
            )
        return msgspec.json.decode(answer.content, type=Json)


def _row(meter: Metered, period: str) -> Json:
    registers: list[Json] = []
    for dial in meter.dials:
        told = {"register": dial.register, "value": dial.sent}
        if meter.previous and dial is meter.dials[0]:
            told["previous"] = meter.previous
        registers.append(told)
    return {"meter": meter.serial, "agreement": meter.agreement, "period": period, "registers": registers}


def filled(template: bytes, meters: Sequence[Metered]) -> bytes:
    """A template with its last column filled in as a person would, row by row in the template's order: numbers, and what is no number."""
    book = openpyxl.load_workbook(io.BytesIO(template))
    sheet = book.worksheets[0]
    for serial, values in _typed(meters).items():
        rows = [row for row in range(2, sheet.max_row + 1) if str(sheet.cell(row, METER).value) == serial]
        if len(rows) != len(values):
            raise Failed(f"the template has {len(rows)} rows of meter {serial}, {len(values)} were expected")
        for row, value in zip(rows, values, strict=True):
            if value:
                sheet.cell(row, CURRENT).value = int(value) if value.isascii() and value.isdigit() else value
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


METER: Final = 4
CURRENT: Final = 9
"""Columns of the template: «Номер ПУ» and «Текущие показания»."""


def _typed(meters: Sequence[Metered]) -> dict[str, list[str]]:
    return {meter.serial: [dial.sent for dial in meter.dials] for meter in meters}
