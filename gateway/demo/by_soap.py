"""A sender over SOAP: a partner's program made from the gateway's own WSDL."""

from collections.abc import Sequence
from typing import Any

import zeep
from zeep.exceptions import Error

from gateway.demo.by_rest import row
from gateway.demo.invented import Metered
from gateway.demo.sendings import Sending
from gateway.demo.stage import Failed, Json


class Program:
    """One partner's program; `url`: the gateway, whose WSDL tells the rest."""

    def __init__(self, url: str, key: str, language: str, period: str) -> None:
        """Read the contract. Raises Failed."""
        self.period = period
        self._key, self._submission = key, ""
        transport = zeep.Transport(operation_timeout=30)  # type: ignore[no-untyped-call]
        transport.session.trust_env = False
        transport.session.headers["Accept-Language"] = language
        settings = zeep.Settings(strict=True, forbid_dtd=True, forbid_entities=True)
        try:
            self._service: Any = zeep.Client(f"{url}/soap?wsdl", settings=settings, transport=transport).service  # type: ignore[no-untyped-call]
        except (Error, OSError) as error:
            raise Failed(f"{url}/soap?wsdl: {error}") from error

    def send(self, sending: Sending, meters: Sequence[Metered]) -> None:
        """Submit the readings."""
        readings = [_reading(row(meter, self.period)) for meter in meters]
        receipt = self._call("SubmitReadings", MessageID=f"demo-{sending.utility}", Reading=readings)
        self._submission = receipt.Submission

    def look(self) -> Json:
        """The submission with its rows, under the names that the API has for them."""
        receipt = self._call("GetStatus", Submission=self._submission)
        counters = receipt.Counters
        told = {"total": counters.Total, "accepted": counters.Accepted, "in_review": counters.InReview, "rejected": counters.Rejected}
        rows = [
            {
                "reading": one.Id,
                "meter": one.Meter,
                "status": one.Status,
                "text": one.Text,
                "where": one.Where,
                "problems": [{"severity": problem.Severity, "where": problem.Where, "text": problem.Text} for problem in one.Problem],
            }
            for one in receipt.Reading
        ]
        return {"text": receipt.Text, "counters": told, "readings": rows}

    def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            return self._service[operation](_soapheaders={"ApiKey": self._key}, **arguments)
        except (Error, OSError) as error:
            raise Failed(f"{operation}: {error}") from error


def _reading(told: Json) -> Json:
    registers = [{"Code": one["register"], "Value": one["value"]} for one in told["registers"]]
    return {"Meter": told["meter"], "Agreement": told["agreement"], "Period": told["period"], "Register": registers}
