"""Other people's WSDLs: rpc style, attributes, whole readings in a row, schemas in files of their own; and those that are not believed."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from lxml import etree

from gateway.domain.problems import Misconfigured
from gateway.outbound import Batch, Outcome, Target
from gateway.outbound.soap import Soap
from gateway.registry import build
from tests.peers import TOKEN, raw_peer, running_sandbox
from tests.targets.conftest import batch, item, two
from tests.targets.old_program import WSDL, mapping

PAGE = Path(__file__).parents[2] / "contracts_schema" / "soap_target.md"
SCHEMA = """<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:t" xmlns:t="urn:t">
  <xsd:simpleType name="Kind"><xsd:restriction base="xsd:string"><xsd:enumeration value="E"/></xsd:restriction></xsd:simpleType>
  <xsd:complexType name="Meter"><xsd:simpleContent><xsd:extension base="xsd:string">
    <xsd:attribute name="kind" type="t:Kind" use="required"/></xsd:extension></xsd:simpleContent></xsd:complexType>
  <xsd:complexType name="Row">
    <xsd:sequence>
      <xsd:element name="meter" type="t:Meter"/>
      <xsd:element name="day" type="xsd:date"/>
      <xsd:choice><xsd:element name="t0" type="xsd:decimal"/><xsd:element name="t1" type="xsd:decimal"/></xsd:choice>
      <xsd:sequence minOccurs="0"><xsd:element name="t2" type="xsd:decimal"/></xsd:sequence>
      <xsd:element name="month" type="xsd:gYearMonth" minOccurs="0"/>
    </xsd:sequence>
    <xsd:attribute name="id" type="xsd:string" use="required"/>
    <xsd:attribute name="rev" type="xsd:int"/>
  </xsd:complexType>
  <xsd:complexType name="Rows"><xsd:sequence><xsd:element name="row" type="t:Row" maxOccurs="unbounded"/></xsd:sequence></xsd:complexType>
  <xsd:complexType name="Told"><xsd:sequence><xsd:element name="row" minOccurs="0" maxOccurs="unbounded"><xsd:complexType>
    <xsd:sequence><xsd:element name="word" type="xsd:string"/></xsd:sequence><xsd:attribute name="id" type="xsd:string"/>
  </xsd:complexType></xsd:element></xsd:sequence></xsd:complexType>
</xsd:schema>"""
RPC = """<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/" xmlns:s="http://schemas.xmlsoap.org/wsdl/soap/"
    xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:t="urn:t" targetNamespace="urn:t">
  <wsdl:types>{types}</wsdl:types>
  <wsdl:message name="I"><wsdl:part name="login" type="xsd:string"/><wsdl:part name="rows" type="t:Rows"/></wsdl:message>
  <wsdl:message name="O"><wsdl:part name="told" type="t:Told"/></wsdl:message>
  <wsdl:portType name="P"><wsdl:operation name="Put">
    <wsdl:input message="t:I"/><wsdl:output message="t:O"/></wsdl:operation></wsdl:portType>
  <wsdl:binding name="B" type="t:P"><s:binding style="rpc" transport="http://schemas.xmlsoap.org/soap/http"/>
    <wsdl:operation name="Put"><s:operation soapAction="put"/>
      <wsdl:input><s:body use="literal" namespace="urn:t"/></wsdl:input>
      <wsdl:output><s:body use="literal" namespace="urn:t"/></wsdl:output></wsdl:operation></wsdl:binding>
  <wsdl:service name="S"><wsdl:port name="P" binding="t:B"><s:address location="http://127.0.0.1:1/put"/></wsdl:port></wsdl:service>
</wsdl:definitions>"""
IMPORT = '<xsd:schema xmlns:xsd="http://www.w3.org/2001/XMLSchema"><xsd:import namespace="urn:t" schemaLocation="{}"/></xsd:schema>'
ROW: dict[str, str] = mapping()["row"]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"wsdl": "nowhere.wsdl"}, "wsdl: nowhere.wsdl cannot be read"),
    ({"operation": "Import"}, "operation: no 'Import' in the WSDL, which has ImportReadings, FindReadings"),
    ({"service": "Other"}, "service: no 'Other' in the WSDL, which has Billing"),
    ({"port": "Soap13"}, "port: no 'Soap13' in the WSDL, which has Soap11, Soap12"),
    ({"rows": "Readings/Row"}, "rows: no 'Row' in Readings, which has Reading"),
    ({"rows": "Readings", "row": {"Reading/Number": "key"}}, "rows: Readings may stand there only once"),
    ({"row": ROW | {"Serial": "meter"}}, "row: no 'Serial' in Reading, which has Number, Contract"),
    ({"row": ROW | {"Meter": "serial"}}, "row: Meter: 'serial' is none of key, agreement"),
    ({"row": ROW | {"Value": "meter"}}, "row: Value: meter cannot be written as Amount"),
    ({"row": ROW | {"Correction": "value"}}, "row: Correction: value cannot be written as int"),
    ({"row": {name: field for name, field in ROW.items() if name != "Meter"}}, "row: Readings/Reading/Meter is required by the WSDL"),
    ({"row": ROW | {"Number": "meter"}}, "row: nothing carries the key"),
    ({"row": ROW | {"Value": "value.A+"}}, "row: value: where a row is a value, the field alone is wanted"),
    ({"per": "reading"}, "row: register: where a row is a reading"),
    ({"constants": {}}, "constants: Source is required by the WSDL"),
    ({"constants": {"Source": "x", "Origin": "y"}}, "constants: no 'Origin' in ImportReadings, which has Source, Readings"),
    ({"constants": {"Source": "x", "Readings": "y"}}, "constants: Readings holds no text of its own"),
    ({"answers": "Result"}, "answers: no 'Result' in ImportReadingsResponse, which has Results"),
    ({"answer_key": "Key"}, "answer_key: no 'Key' in Result, which has Number, Status, Document, Reason"),
    ({"answer_outcome": ""}, "answers, answer_key, answer_outcome: none of them may be empty"),
    ({"reason": "Why"}, "reason: no 'Why' in Result"),
    ({"taken": []}, "taken, refused, later, pending: each word in one of them"),
    ({"refused": ["OK"]}, "taken, refused, later, pending: each word in one of them"),
    ({"ask_operation": "Find"}, "ask_operation: no 'Find' in the WSDL"),
    ({"ask_keys": "Numbers"}, "ask_keys: nothing in Numbers may stand there more than once"),
    ({"ask_unknown": []}, "ask_operation, ask_keys, ask_taken, ask_unknown: all of them or none"),
    ({"ask_answer_key": "Key"}, "ask_answer_key: no 'Key' in Result"),
    ({"zone": "Mars"}, "zone: no 'Mars'"),
    ({"url": "ftp://billing"}, "url: an http or https address is wanted"),
    ({"url": "http://user:swordfish@billing/soap"}, "url: no user, password"),
    ({"user": "u"}, "token, user, password"),
    ({"user_in_header": True}, "user_in_header: there is no user"),
    ({"codes": {"A+": "1", "A-": "1"}}, "codes: two registers share a code"),
    ({"timeout": 0}, "timeout and answer_bytes"),
    ({"operatoin": "x"}, "operatoin"),
]


def legacy(wsdl: Path, url: str, **more: Any) -> Target:
    """A target of the rpc service."""
    told: dict[str, Any] = {
        "kind": "soap",
        "wsdl": str(wsdl),
        "url": url,
        "operation": "Put",
        "rows": "rows/row",
        "per": "reading",
        "row": {
            "@id": "key",
            "@rev": "revision",
            "meter": "meter",
            "day": "at",
            "month": "period",
            "t1": "value.A+:day",
            "t2": "value.A+:night",
        },
        "constants": {"login": "us & them", "rows/row/meter/@kind": "E"},
        "answers": "told/row",
        "answer_key": "@id",
        "answer_outcome": "word",
        "taken": ["yes"],
        "refused": ["no"],
    }
    return build(Target, told | more)


def test_a_whole_reading_may_be_one_row_with_attributes_in_an_rpc_call(tmp_path: Path) -> None:
    (tmp_path / "types.xsd").write_text(SCHEMA, "utf-8")
    (tmp_path / "legacy.wsdl").write_text(RPC.format(types=IMPORT.format("types.xsd")), "utf-8")
    body = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><t:PutResponse xmlns:t="urn:t">'
        '<told><row id="k1"><word>yes</word></row></told></t:PutResponse></e:Body></e:Envelope>'
    )
    with raw_peer(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()) as peer:
        target = legacy(tmp_path / "legacy.wsdl", peer.url, zone="Asia/Vladivostok")
        receipt = target.deliver(batch("b", two("k1"), item(2, key="k2")))
        head, _, sent = peer.requests[0].partition(b"\r\n\r\n")

    assert [(one.key, one.outcome) for one in receipt.answers] == [("k1", Outcome.TAKEN), ("k2", Outcome.REFUSED)]
    assert receipt.answers[1].reason == "register: the mapping has no place for A+"
    assert b'SOAPAction: "put"' in head
    [put] = etree.fromstring(sent)[0]
    assert put.tag == "{urn:t}Put"
    [row] = put.findall("rows/row")
    assert (row.get("id"), row.get("rev"), len(row.attrib)) == ("k1", str(two("k1").revision), 2)
    expected = {"meter": "№ 7-ж", "day": "2025-10-25", "t1": "10.5", "t2": "-0.25", "month": "2025-10"}
    assert {str(cell.tag): cell.text for cell in row} == expected
    assert row.find("meter[@kind='E']") is not None
    assert put.findtext("login") == "us & them"


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"constants": {"login": "x"}}, "rows/row/meter/@kind is required by the WSDL"),
        ({"row": {"meter": "key"}}, "@id is required by the WSDL"),
        ({"row": {"@id": "key", "day": "meter", "meter": "meter"}}, "row: day: meter cannot be written as date"),
        ({"row": {"@id": "key", "@serial": "meter"}}, "row: no '@serial' in row, which has meter, day, t0, t1, t2, month, @id, @rev"),
    ],
)
def test_mistakes_are_named_in_such_a_wsdl_too(tmp_path: Path, settings: dict[str, Any], what: str) -> None:
    (tmp_path / "legacy.wsdl").write_text(RPC.format(types=SCHEMA), "utf-8")

    with pytest.raises(Misconfigured, match=re.escape(what)):
        legacy(tmp_path / "legacy.wsdl", "http://127.0.0.1:1", **settings)


@pytest.mark.parametrize("how", ["import", "document type", "entity", "no wsdl", "half"])
def test_a_wsdl_that_is_not_believed(tmp_path: Path, how: str) -> None:
    with raw_peer(b"") as peer:
        texts = {
            "import": RPC.format(types=IMPORT.format(f"{peer.url}/types.xsd")),
            "document type": f'<!DOCTYPE x SYSTEM "{peer.url}/x.dtd">' + RPC.format(types=SCHEMA),
            "entity": '<!DOCTYPE x [<!ENTITY a "b">]>' + RPC.format(types=SCHEMA.replace("Kind", "&a;")),
            "no wsdl": "<html/>",
            "half": RPC.format(types=SCHEMA)[:900],
        }
        (tmp_path / "legacy.wsdl").write_text(texts[how], "utf-8")

        with pytest.raises(Misconfigured, match="wsdl"):
            legacy(tmp_path / "legacy.wsdl", "http://127.0.0.1:1")

        assert peer.requests == []


def test_the_settings_on_the_page_work(tmp_path: Path) -> None:
    [example] = [
        block for block in re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL) if "[targets" in block
    ]
    told = msgspec.toml.decode(example)["targets"]["UTILITY"]["billing"]
    accounts = [{"name": "old", "token": TOKEN, "keys": False}]
    with running_sandbox(tmp_path, accounts=accounts) as program:
        target = build(Target, told | {"wsdl": str(WSDL), "url": f"{program.url}/soap", "token": TOKEN})
        [answer] = target.deliver(Batch(id="b", items=(two("k1"),))).answers
        assert (answer.outcome, target.guarantee) == (Outcome.TAKEN, "B")
        assert [value.register for value in program.rows()[0].item.values] == ["T1", "T2"]


def test_every_setting_stands_on_the_page() -> None:
    told = set(re.findall(r"`([a-z_]+)`|^([a-z_]+) =|`([a-z_]+) =", PAGE.read_text("utf-8"), re.MULTILINE))

    assert {field for field in Soap.__struct_fields__ if not any(field in names for names in told)} == set()


@pytest.mark.parametrize(("settings", "what"), WRONG, ids=[what[:40] for _, what in WRONG])
def test_everything_wrong_is_found_when_it_is_built(settings: dict[str, Any], what: str) -> None:
    with raw_peer(b"") as peer, pytest.raises(Misconfigured) as wrong:
        build(Target, mapping(peer.url) | settings)

    assert what in str(wrong.value)
    assert TOKEN not in str(wrong.value)
    assert "swordfish" not in str(wrong.value)
    assert peer.requests == []
