"""A sender over REST: posts JSON, downloads a template and uploads it filled in, looks what became of it."""

from collections.abc import Sequence

import httpx
import msgspec

from gateway.demo import sendings
from gateway.demo.invented import Metered
from gateway.demo.sendings import Sending
from gateway.demo.stage import Failed, Json


class Portal:
    """One utility's portal, with its key and language."""

    def __init__(self, client: httpx.Client, key: str, language: str, period: str) -> None:
        """Remember who it is; nothing is sent yet."""
        self.period = period
        self._client = client
        self._headers = {"Authorization": f"Bearer {key}", "Accept-Language": language}
        self._submission = ""

    def send(self, sending: Sending, meters: Sequence[Metered]) -> None:
        """Send what was read."""
        answer = self._json(meters) if sending.format == "canonical_json" else self._workbook(sending, meters)
        self._submission = str(answer["submission"])

    def look(self) -> Json:
        """The submission with its rows."""
        return self._answer(self._client.get(f"/v1/submissions/{self._submission}", headers=self._headers))

    def _json(self, meters: Sequence[Metered]) -> Json:
        body = msgspec.json.encode({"readings": [row(meter, self.period) for meter in meters]})
        headers = self._headers | {"Content-Type": "application/json", "Idempotency-Key": f"demo-{meters[0].agreement.encode().hex()}"}
        return self._answer(self._client.post("/v1/readings", content=body, headers=headers))

    def _workbook(self, sending: Sending, meters: Sequence[Metered]) -> Json:
        agreement = meters[0].agreement
        if sending.format == "interval_workbook":
            content = sendings.hourly(meters, self.period)
        else:
            told = {"agreement": agreement, "period": self.period}
            empty = self._client.get("/v1/templates/integral_workbook", params=told, headers=self._headers)
            if empty.status_code != 200:
                raise Failed(f"{sending.utility}: no template: {empty.text}")
            content = sendings.integral(empty.content, meters)
        file = (f"{agreement}_{sending.format}_{self.period}.xlsx", content)
        return self._answer(self._client.post("/v1/files", files={"file": file}, data={"agreement": agreement}, headers=self._headers))

    def _answer(self, answer: httpx.Response) -> Json:
        if not answer.is_success:
            raise Failed(f"{answer.request.method} {answer.request.url.path} was answered {answer.status_code}: {answer.text}")
        return msgspec.json.decode(answer.content, type=Json)


def row(meter: Metered, period: str) -> Json:
    """One meter as canonical JSON says it."""
    registers: list[Json] = []
    for dial in meter.dials:
        told = {"register": dial.register, "value": dial.sent}
        if meter.previous and dial is meter.dials[0]:
            told["previous"] = meter.previous
        registers.append(told)
    return {"meter": meter.serial, "agreement": meter.agreement, "period": period, "registers": registers}
