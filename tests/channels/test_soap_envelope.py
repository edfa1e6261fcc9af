"""SOAP itself: versions, envelopes, faults and their statuses, and HTTP that lies (reliability S01, S03)."""

import socket
from urllib.parse import urlsplit

import httpx
import pytest
from lxml import etree

from tests.conftest import ROOT
from tests.running import Gateway, Utility
from tests.soap import ENVELOPES, NS, call, codes, envelope, post, read, rows_of, status, submit

SCHEMA = etree.XMLSchema(etree.parse(ROOT / "contracts_schema" / "soap" / "metergate.xsd"))


def test_faults_have_the_shape_and_the_status_of_their_version(company: Utility) -> None:
    old, new = post(company, status("sub_1")), post(company, status("sub_1"), version=12)
    assert (old.status_code, new.status_code) == (500, 400)
    fault = read(old)
    assert [etree.QName(part).text for part in fault] == ["faultcode", "faultstring", "detail"]
    assert fault.findtext("faultcode") == "soap:Client"
    problems = fault.find("detail")
    assert problems is not None
    SCHEMA.assertValid(problems[0])
    fault, soap = read(new), f"{{{ENVELOPES[12]}}}"
    assert [part.tag for part in fault] == [f"{soap}Code", f"{soap}Reason", f"{soap}Detail"]
    assert fault.findtext(f"{soap}Code/{soap}Value") == "soap:Sender"
    assert fault.findtext(f"{soap}Code/{soap}Subcode/{soap}Value") == "m:not_found"
    assert {part.get("{http://www.w3.org/XML/1998/namespace}lang") for part in fault.iter(f"{soap}Text")} == {"en"}


@pytest.mark.parametrize("version", [11, 12])
def test_s01_envelopes_that_are_none(company: Utility, version: int) -> None:
    body, space = status("sub_1"), ENVELOPES[version]
    good = envelope(body, key=company.key, version=version).decode()
    must = '<x:Security xmlns:x="urn:x" e:mustUnderstand="{}" {}/>'
    other = 'e:actor="urn:x"' if version == 11 else 'e:role="urn:x"'
    wrong = 500 if version == 11 else 400
    cases: dict[str, tuple[str, int, list[str]]] = {
        "empty": ("", 400, ["xml_malformed"]),
        "cut": (good[:-20], 400, ["xml_malformed"]),
        "another root": ("<a/>", wrong if version == 11 else 400, ["soap_envelope_invalid"]),
        "another version": (good.replace(space, "urn:soap:3"), 500, ["soap_version_mismatch"]),
        "no body": (f'<e:Envelope xmlns:e="{space}"/>', wrong, ["soap_envelope_invalid"]),
        "empty body": (good.replace(body, ""), wrong, ["soap_envelope_invalid"]),
        "two in a body": (good.replace(body, body * 2), wrong, ["soap_envelope_invalid"]),
        "two bodies": (good.replace("</e:Envelope>", f"<e:Body>{body}</e:Body></e:Envelope>"), wrong, ["soap_envelope_invalid"]),
        "two keys": (good.replace("</e:Header>", f'<ApiKey xmlns="{NS}">x</ApiKey></e:Header>'), wrong, ["soap_envelope_invalid"]),
        "must": (good.replace("</e:Header>", f"{must.format(1, '')}</e:Header>"), 500, ["soap_not_understood"]),
        "may": (good.replace("</e:Header>", f"{must.format(0, '')}</e:Header>"), wrong, ["not_found"]),
        "not ours": (good.replace("</e:Header>", f"{must.format(1, other)}</e:Header>"), wrong, ["not_found"]),
        "operation": (good.replace("GetStatus", "DropTables"), wrong, ["soap_operation_unknown"]),
        "namespace": (good.replace(f'<GetStatus xmlns="{NS}"', '<GetStatus xmlns="urn:x"'), wrong, ["soap_operation_unknown"]),
    }
    for name, (sent, code, found) in cases.items():
        answer = call(company.gateway.url, sent.encode(), version)
        assert (name, answer.status_code, codes(answer)) == (name, code, found)
    told = read(call(company.gateway.url, cases["must"][0].encode(), version))
    assert "MustUnderstand" in etree.tostring(told).decode()
    if version == 12:
        assert "NotUnderstood" in call(company.gateway.url, cases["must"][0].encode(), version).text
        assert "SupportedEnvelope" in call(company.gateway.url, cases["another version"][0].encode(), version).text


@pytest.mark.parametrize("version", [11, 12])
def test_the_action_may_only_agree_with_the_body(company: Utility, version: int) -> None:
    def ask(action: str) -> httpx.Response:
        message = envelope(status("sub_1"), key=company.key, version=version)
        if version == 11:
            return call(company.gateway.url, message, 11, SOAPAction=action)
        return call(company.gateway.url, message, 12, Content_Type=f"application/soap+xml; charset=utf-8; action={action}")

    assert [codes(ask(action)) for action in ('""', f'"{NS}:GetStatus"')] == [["not_found"]] * 2
    assert [codes(ask(f'"{action}"')) for action in (f"{NS}:SubmitReadings", "GetStatus", "x")] == [["soap_action_mismatch"]] * 3


@pytest.mark.parametrize(("media", "status_code"), [("application/json", 415), ("multipart/related; boundary=x", 415), ("", 415)])
def test_another_type_of_content_is_refused(company: Utility, media: str, status_code: int) -> None:
    answer = call(company.gateway.url, envelope(status("sub_1"), key=company.key), Content_Type=media)
    assert (answer.status_code, codes(answer)) == (status_code, ["soap_content_type"])


def test_s03_requests_that_lie_about_their_length(gateway: Gateway, company: Utility) -> None:
    at, body = urlsplit(gateway.url), envelope(submit(rows_of(company, {"1": "150"})), key=company.key)
    head = b"POST /soap HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n"
    for lie in (
        head + b"Content-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<a/>x\r\n0\r\n\r\n",
        head + b"Content-Length: %d\r\n\r\n" % (len(body) - 20) + body,
        head + b"Content-Length: minus\r\n\r\n" + body,
        head.replace(b"\r\n", b"\n") + b"Content-Length: 4\n\n<a/>",
        head + b"Content-Length: %d\r\n\r\n" % (len(body) + 20) + body,
    ):
        with socket.create_connection((str(at.hostname), at.port or 80), timeout=5) as connection:
            connection.sendall(lie)
            connection.shutdown(socket.SHUT_WR)
            said = b"".join(iter(lambda: connection.recv(65536), b""))
        assert not said.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202", b"HTTP/1.1 503")), said[:200]
    assert company.call("GET", "/v1/submissions").json()["submissions"] == []
    assert post(company, submit(rows_of(company, {"1": "150"}))).status_code == 200
