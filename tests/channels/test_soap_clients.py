"""SOAP stacks that are not ours: zeep, strict, and PHP's, each in SOAP 1.1 and 1.2, do all three operations from the WSDL alone."""

import json
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import zeep
from zeep.exceptions import Fault

from tests.running import Gateway, Utility

PHP = Path("/usr/bin/php")
CLIENT = Path(__file__).with_name("soap_client.php")
PORTS = ("Soap11", "Soap12")


@pytest.fixture(scope="module")
def client(gateway: Gateway) -> zeep.Client:
    """A client made from the served contract."""
    settings = zeep.Settings(strict=True, forbid_dtd=True, forbid_entities=True)
    connect: Any = zeep.Client
    made: zeep.Client = connect(f"{gateway.url}/soap?wsdl", settings=settings)
    return made


@pytest.mark.parametrize("port", PORTS)
def test_zeep_does_all_three(gateway: Gateway, company: Utility, client: zeep.Client, port: str) -> None:
    service, header = client.bind("Metergate", port), {"ApiKey": company.key, "Language": "en"}
    register = {"Code": "A+", "Value": "150.25"}
    rows = [{"Meter": meter, "Period": company.period, "Register": [register]} for meter in ("1", "9")]
    receipt = service.SubmitReadings(MessageID="z-1", Reading=rows, _soapheaders=header)
    assert (receipt.Status, receipt.Counters.Accepted) == ("partly_accepted", 1)
    assert receipt.Reading[0].Value[0].Consumption == Decimal("50.25")
    assert [(problem.Code, problem.Where) for problem in receipt.Reading[1].Problem] == [
        ("meter_unknown", "/Envelope/Body/SubmitReadings/Reading[2]")
    ]
    file = service.SubmitFile(Name="a.json", Content=company.body({"2": "150"}), Kind="canonical_json", _soapheaders=header)
    assert file.Status == "received"
    gateway.work()
    looked = service.GetStatus(Submission=file.Submission, _soapheaders=header)
    assert (looked.Status, [row.Status for row in looked.Reading]) == ("accepted", ["acknowledged"])
    with pytest.raises(Fault) as refused:
        service.GetStatus(Submission="sub_1", _soapheaders=header)
    assert refused.value.message == "Nothing was found."
    assert refused.value.code == ("soap:Client" if port == "Soap11" else "soap:Sender")


if PHP.exists():

    @pytest.fixture
    def php() -> Iterator[subprocess.Popen[str]]:
        """PHP's client in a process of its own."""
        with subprocess.Popen([PHP, CLIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            yield process
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)

    @pytest.mark.parametrize("version", [1, 2])
    def test_php_does_all_three(gateway: Gateway, company: Utility, php: subprocess.Popen[str], version: int) -> None:
        def ask(operation: str, **arguments: object) -> dict[str, Any]:
            assert php.stdin is not None
            assert php.stdout is not None
            told = {"wsdl": f"{gateway.url}/soap?wsdl", "key": company.key, "version": version, "operation": operation}
            php.stdin.write(json.dumps(told | {"arguments": arguments}) + "\n")
            php.stdin.flush()
            return dict(json.loads(php.stdout.readline()))

        rows = [{"Meter": meter, "Period": company.period, "Register": [{"Code": "A+", "Value": "150,25"}]} for meter in ("1", "9")]
        said = ask("SubmitReadings", MessageID="p-1", Reading=rows)
        media = "text/xml" if version == 1 else "application/soap+xml"
        assert f"Content-Type: {media}" in said["sent"]
        receipt = said["answer"]
        assert (receipt["Status"], receipt["Reading"][0]["Value"][0]["Consumption"]) == ("partly_accepted", "50.25")
        assert receipt["Reading"][1]["Problem"][0]["Where"] == "/Envelope/Body/SubmitReadings/Reading[2]"
        assert ask("SubmitReadings", MessageID="p-1", Reading=rows)["answer"] == receipt
        file = ask("SubmitFile", Name="a.json", Content=company.body({"2": "150"}).decode(), Kind="canonical_json")["answer"]
        assert file["Status"] == "received"
        gateway.work()
        looked = ask("GetStatus", Submission=file["Submission"])["answer"]
        assert (looked["Status"], looked["Reading"][0]["Status"]) == ("accepted", "acknowledged")
        fault = ask("SubmitReadings", MessageID="p-1", Reading=rows[:1])["fault"]
        assert (fault["code"], fault["problems"]["Code"]) == ("soap:Client" if version == 1 else "soap:Sender", "idempotency_key_reused")
