"""The SOAP channel: what it takes and answers, in both versions, and that its verdicts are those of the REST API."""

import base64
import re
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import msgspec
import pytest
from lxml import etree

from gateway.inbound.soap import contract
from tests.conftest import ROOT, case
from tests.peers import PLAIN
from tests.running import Gateway, Utility
from tests.soap import MEDIA, NS, call, codes, envelope, places, plain, post, read, rows_of, status, submit

SCHEMA = etree.XMLSchema(etree.parse(ROOT / "contracts_schema" / "soap" / "metergate.xsd"))


def count(gateway: Gateway, company: Utility, table: str = "submission") -> int:
    [row] = gateway.rows(f"select count(*) as n from {table} where utility_id = %(u)s", u=company.id)
    return int(row.n)


def file_of(content: bytes, **more: str) -> str:
    told = "".join(f"<{name}>{text}</{name}>" for name, text in more.items())
    return f'<SubmitFile xmlns="{NS}"><Name>a.json</Name><Content>{base64.b64encode(content).decode()}</Content>{told}</SubmitFile>'


@pytest.mark.parametrize("version", [11, 12])
def test_readings_are_judged_in_the_answer_and_looked_at_later(gateway: Gateway, company: Utility, version: int) -> None:
    answer = post(company, submit(rows_of(company, {"1": "150", "9": "150"})), version=version)
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"{MEDIA[version]}; charset=utf-8"), answer.text
    told = read(answer)
    assert etree.QName(told).localname == "SubmitReadingsResponse"
    SCHEMA.assertValid(told)
    receipt = plain(told)
    assert (receipt["Status"], receipt["Channel"], receipt["Format"]) == (["partly_accepted"], ["soap"], ["canonical_json"])
    assert [row["Status"] for row in receipt["Reading"]] == [["queued"], ["rejected"]]
    assert receipt["Reading"][0]["Value"] == [{"Register": ["A+"], "Value": ["150"], "Previous": ["100"], "Consumption": ["50"]}]
    gateway.work()
    looked = post(company, status(receipt["Submission"][0]), version=version)
    SCHEMA.assertValid(read(looked))
    assert [row["Status"] for row in plain(read(looked))["Reading"]] == [["acknowledged"], ["rejected"]]
    assert company.look(receipt["Submission"][0])["channel"] == "soap"


@pytest.mark.parametrize("version", [11, 12])
def test_a_file_is_stored_and_its_rows_are_told_later(gateway: Gateway, company: Utility, version: int) -> None:
    body = company.body({"1": "150", "9": "1"})
    first = post(company, file_of(body, Kind="canonical_json"), version=version)
    receipt = plain(read(first))
    assert (receipt["Status"], receipt["FileName"]) == (["received"], ["a.json"])
    gateway.work()
    looked = plain(read(post(company, status(receipt["Submission"][0]), version=version)))
    assert looked["Counters"] == [{"Total": ["2"], "Accepted": ["1"], "InReview": ["0"], "Rejected": ["1"]}]
    assert looked["Reading"][1]["Where"] == ["readings[1]"], "places of a file are places of the file"


def test_the_verdicts_are_those_of_the_rest_api(gateway: Gateway, company: Utility) -> None:
    other = gateway.utility("legal_entity")
    entry = {"register": "A+", "value": "150", "previous": "99", "quality": "manual", "ratio_applied": True, "losses_applied": False}
    period, moment = company.period, f"{company.period}-20T10:00:00+03:00"
    values = ["150,5", "1.1234567", "12345678901234567", "ten", "-1", "NaN", "1e5", "", "12 000"]
    rows: list[dict[str, Any]] = [
        {"meter": f"v{n}", "period": period, "registers": [{"register": "A+", "value": value}]} for n, value in enumerate(values)
    ]
    rows += [
        {
            "meter": "f",
            "agreement": "A-1",
            "location": "A-1-object",
            "point": "A-1-f",
            "period": period,
            "at": moment,
            "registers": [entry],
        },
        {"meter": "g", "location": "elsewhere", "period": period, "registers": [entry]},
        {"meter": "h", "period": "2022-13", "registers": [entry]},
        {"meter": "i", "period": period, "at": f"{period}-20T10:00:00", "registers": [entry]},
        {"meter": "j", "period": period, "registers": [entry, entry | {"register": "A-"}, entry]},
        {"meter": "k", "period": period, "registers": [entry | {"register": "Z"}]},
        {"meter": "'<&>\"\\", "period": period, "registers": [entry]},
        {"meter": "x" * 101, "period": period, "registers": [entry]},
        {"meter": "", "period": period, "registers": [entry]},
    ]
    for one in (company, other):
        one.meters(*(str(row["meter"]) for row in rows if 0 < len(row["meter"]) < 100), agreement="A-1", last="100")
    posted = company.submit(msgspec.json.encode({"readings": rows})).json()
    answer = call(gateway.url, envelope(submit(rows), key=other.key))
    called = plain(read(answer))

    def verdict(row: dict[str, Any]) -> object:
        return row["status"], [(problem["code"], sorted(problem["values"].items())) for problem in row["problems"]], row["values"]

    looked = other.look(called["Submission"][0])
    assert [verdict(row) for row in looked["readings"]] == [verdict(row) for row in posted["readings"]]
    assert {row["status"] for row in posted["readings"]} >= {"queued", "rejected"}
    wheres = [problem["where"] for row in posted["readings"] for problem in row["problems"]]
    assert places(answer) == [_as_xpath(where) for where in wheres]


def _as_xpath(where: str) -> str:
    names = {"readings": "Reading", "registers": "Register", "register": "Code"}
    steps = re.findall(r"([a-z]+)(?:\[(\d+)\])?", where)
    return "/Envelope/Body/SubmitReadings/" + "/".join(
        names.get(name, name.capitalize()) + (f"[{int(n) + 1}]" if n else "") for name, n in steps
    )


def test_the_same_rows_are_the_same_bytes_whatever_the_writing(company: Utility) -> None:
    rows = rows_of(company, {"1": "150", "2": "160"})
    first = post(company, submit(rows))
    prefixed = (
        f'<q:SubmitReadings xmlns:q="{NS}">\n'
        + "".join(
            f"<q:Reading>\n<q:Meter> {row['meter']} </q:Meter><!-- x --><q:Period><![CDATA[{row['period']}]]></q:Period>"
            "<q:Register><q:Code>A&#43;</q:Code>"
            f"<q:Value>1<!-- y -->{row['registers'][0]['value'][1:]}</q:Value></q:Register></q:Reading>\n"
            for row in rows
        )
        + "</q:SubmitReadings>"
    )
    again = post(company, prefixed, version=12)
    assert plain(read(again))["Submission"] == plain(read(first))["Submission"]
    assert plain(read(again))["Sha256"] == plain(read(first))["Sha256"]


def test_the_same_message_id_gets_the_same_bytes_and_another_content_a_fault(gateway: Gateway, company: Utility) -> None:
    body = submit(rows_of(company, {"1": "150"}), "m-1")
    first = post(company, body)
    gateway.work()
    again = post(company, body, Accept_Language="uk")
    assert (again.status_code, again.content) == (200, first.content)
    other = post(company, submit(rows_of(company, {"1": "151"}), "m-1"))
    assert (other.status_code, codes(other)) == (500, ["idempotency_key_reused"])
    file = post(company, file_of(company.body({"1": "152"})).replace("<Name>", "<MessageID>m-1</MessageID><Name>"))
    assert codes(file) == ["idempotency_key_reused"]
    assert company.submit(company.body({"1": "153"}), Idempotency_Key="m-1").status_code == 202, "keys of another channel are other keys"
    assert count(gateway, company) == 2


def test_a_new_message_id_for_what_was_met_before_gets_the_first_receipt_ever_after(gateway: Gateway, company: Utility) -> None:
    rows = rows_of(company, {"1": "150"})
    first, named = post(company, submit(rows)), post(company, submit(rows, "m-2"))
    assert plain(read(named))["Submission"] == plain(read(first))["Submission"]
    gateway.work()
    assert post(company, submit(rows, "m-2")).content == named.content
    assert count(gateway, company) == 1


def test_twins_of_one_message_id_at_once_are_one_submission(gateway: Gateway, company: Utility) -> None:
    size = case(16, 50)
    barrier, body = Barrier(size), submit(rows_of(company, {"1": "150"}), "twin")

    def one(_: int) -> httpx.Response:
        barrier.wait()
        return post(company, body)

    with ThreadPoolExecutor(size) as pool:
        answers = list(pool.map(one, range(size)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert (count(gateway, company), count(gateway, company, "meter_reading")) == (1, 1)


def test_more_than_the_door_takes_is_taken_like_a_file(gateway: Gateway, company: Utility) -> None:
    body = submit(rows_of(company, {str(n): "150" for n in range(1, 1002)}), "large")
    answer = post(company, body)
    receipt = plain(read(answer))
    assert (receipt["Status"], receipt["Format"]) == (["received"], ["canonical_json"])
    assert "Reading" not in receipt
    assert post(company, body).content == answer.content
    gateway.work()
    told = plain(read(post(company, status(receipt["Submission"][0]))))
    assert told["Counters"] == [{"Total": ["1001"], "Accepted": ["3"], "InReview": ["0"], "Rejected": ["998"]}]
    assert told["Reading"][1000]["Problem"][0]["Where"] == ["/Envelope/Body/SubmitReadings/Reading[1001]"]


def test_more_than_a_message_may_hold_is_refused(gateway: Gateway, company: Utility) -> None:
    answer = post(company, submit(rows_of(company, {str(n): "1" for n in range(10_001)})), version=12)
    assert (answer.status_code, codes(answer)) == (400, ["too_many_readings"])
    assert count(gateway, company) == 0


def test_every_breach_of_the_schema_is_told_at_once_with_its_place_and_line(gateway: Gateway, company: Utility) -> None:
    good = "<Register><Code>A+</Code><Value>1</Value></Register>"
    body = (
        f'<SubmitReadings xmlns="{NS}"><MessageID>a b</MessageID>\n<Reading><Meter>1</Meter>{good}</Reading>\n'
        f"<Reading><Meter>2</Meter><At>soon</At>{good}\n<Register><Code>A+</Code><Value>1</Value><Quality>fine</Quality></Register></Reading>\n"
        f"<Reading><Number>3</Number>{good}</Reading>\n<Reading><Meter>4</Meter></Reading></SubmitReadings>"
    )
    answer = post(company, body)
    base = "/Envelope/Body/SubmitReadings"
    assert (answer.status_code, set(codes(answer))) == (500, {"xml_schema"})
    assert places(answer) == [
        f"{base}/MessageID",
        f"{base}/Reading[2]/At",
        f"{base}/Reading[2]/Register[2]/Quality",
        f"{base}/Reading[3]/Number",
        f"{base}/Reading[4]",
    ]
    facts = [fact.text for fact in read(answer).iter(f"{{{NS}}}Fact") if fact.get("Name") == "line"]
    assert facts == ["1", "3", "4", "5", "6"]
    assert count(gateway, company) == 0


def test_a_large_message_is_held_to_the_schema_in_pieces_with_the_same_places(company: Utility) -> None:
    rows = rows_of(company, {str(n): "1" for n in range(4_000)})
    whole = submit(rows)
    assert post(company, whole).status_code == 200
    broken = whole.replace("<Meter>3333</Meter>", "<Meter>3333</Meter><Foo/>").replace("<Meter>7</Meter>", "<Meter/><Meter/>")
    assert places(post(company, broken)) == [f"/Envelope/Body/SubmitReadings/{end}" for end in ("Reading[8]/Meter", "Reading[3334]/Foo")]
    head, _, tail = whole.partition("<Reading><Meter>200<")
    stray = post(company, f"{head}<MessageID>m</MessageID><Reading><Meter>200<{tail}")
    assert places(stray)[0] == "/Envelope/Body/SubmitReadings/MessageID"


@pytest.mark.parametrize(
    ("fields", "place", "code"),
    [
        ({"Period": "2022-13"}, "Period", "period_invalid"),
        ({"Kind": "papyrus"}, "Kind", "format_unknown"),
        ({"Agreement": "x" * 101}, "Agreement", "code_too_long"),
    ],
)
def test_what_is_said_beside_a_file_is_judged_as_over_rest(company: Utility, fields: dict[str, str], place: str, code: str) -> None:
    answer = post(company, file_of(b"{}", **fields))
    assert (codes(answer), places(answer)) == ([code], [f"/Envelope/Body/SubmitFile/{place}"])


@pytest.mark.parametrize(("content", "code"), [(b"", "file_empty"), (b"%PDF-1.4", "file_type_mismatch"), (b"PK\x03\x04rubbish", "")])
def test_what_a_file_is_is_judged_at_the_door(gateway: Gateway, company: Utility, content: bytes, code: str) -> None:
    found = codes(post(company, file_of(content)))
    assert found == [code] if code else found
    assert company.upload(content, "a.json").json()["code"] in found
    assert count(gateway, company) == 0


def test_foreign_absent_and_impossible_submissions_are_one_fault(gateway: Gateway, company: Utility) -> None:
    other = gateway.utility("legal_entity")
    other.meters("1")
    foreign = plain(read(post(other, submit(rows_of(other, {"1": "150"})))))["Submission"][0]
    answers = [post(company, status(one)) for one in (foreign, f"sub_{'0' * 32}", "sub_1", "' or 1=1", "")]
    assert {answer.content for answer in answers} == {answers[0].content}
    assert codes(answers[0]) == ["not_found"]
    second = post(
        company, status(plain(read(post(company, submit(rows_of(company, {"1": "150"})))))["Submission"][0]), key=company.partner()
    )
    assert second.content == answers[0].content


def test_who_may_not_is_told_so(gateway: Gateway, company: Utility) -> None:
    body = submit(rows_of(company, {"1": "150"}))
    revoked = company.partner(name="gone")
    assert post(company, body, key=revoked).status_code == 200
    company.revoke(revoked)
    bare = call(gateway.url, envelope(body))
    refused = [
        bare,
        post(company, body, key="mg_wrong"),
        post(company, body, key=revoked),
        post(company, body, Authorization="Bearer other"),
    ]
    assert [codes(answer) for answer in refused] == [["unauthorized"]] * 4
    assert call(gateway.url, envelope(body), Authorization=f"Bearer {company.key}").status_code == 200
    assert codes(post(company, body, key=company.partner("read"))) == ["forbidden"]
    assert codes(post(company, status("sub_1"), key=company.partner("submit"))) == ["forbidden"]


def test_a_fault_speaks_the_language_asked_for(company: Utility) -> None:
    told = {language: post(company, status("sub_1"), Accept_Language=language) for language in ("ru", "uk", "en")}
    assert [told[language].text.split("<faultstring>")[1][:4] for language in told] == [
        "Ничё"[:2] + "чего"[:2],
        "Ніч"[:3] + "о",
        "Noth",
    ] or told
    header = f'<Language xmlns="{NS}">uk</Language>'
    asked = call(company.gateway.url, envelope(status("sub_1"), key=company.key, header=header), Accept_Language="en")
    assert asked.content == told["uk"].content
    assert len({answer.content for answer in told.values()}) == 3


def test_the_contract_is_served_with_the_address_it_was_asked_at(gateway: Gateway) -> None:
    wsdl, xsd = httpx.get(f"{gateway.url}/soap?wsdl", verify=PLAIN), httpx.get(f"{gateway.url}/soap?xsd", verify=PLAIN)
    assert (wsdl.headers["content-type"], wsdl.text.count(f'location="{gateway.url}/soap"')) == ("text/xml; charset=utf-8", 2)
    assert f'schemaLocation="{gateway.url}/soap?xsd"' in wsdl.text
    assert xsd.content == (ROOT / "contracts_schema" / "soap" / "metergate.xsd").read_bytes()
    strange = httpx.get(f"{gateway.url}/soap?WSDL", headers={"Host": 'a"><x'}, verify=PLAIN)
    assert strange.status_code == 400 or etree.fromstring(strange.content) is not None
    assert httpx.get(f"{gateway.url}/soap", verify=PLAIN).status_code == 404
    assert httpx.put(f"{gateway.url}/soap", verify=PLAIN).status_code == 405


def test_the_contract_lists_what_the_code_knows() -> None:
    from gateway.domain.readings import Quality

    xsd = etree.fromstring(contract.document("metergate.xsd"))
    listed = xsd.xpath("//*[@name='Quality' and local-name()='simpleType']//@value")
    assert listed == list(Quality)
    wsdl = etree.fromstring(contract.wsdl("http://x/soap"))
    actions = wsdl.xpath("//@soapAction")
    assert actions == [contract.action(name) for name in contract.OPERATIONS] * 2


def test_an_installed_wheel_holds_the_contract(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        for name in ("metergate.wsdl", "metergate.xsd"):
            assert packed.read(f"gateway/inbound/soap/contracts/{name}") == contract.document(name)
