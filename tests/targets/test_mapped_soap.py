"""SOAP by a mapping: a billing gets its own codes, words and units, each as its WSDL wants them, and its answers settle every reading."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from lxml import etree

from gateway.domain.problems import Misconfigured
from gateway.outbound import Item, Outcome, Target
from gateway.registry import build
from tests.peers import TOKEN, raw_peer, running_sandbox
from tests.targets.conftest import batch, item, two
from tests.targets.old_program import mapping
from tests.targets.test_soap_contract import PAGE, RPC, SCHEMA, legacy

TAKEN, REFUSED, UNKNOWN = Outcome.TAKEN, Outcome.REFUSED, Outcome.UNKNOWN
[BLOCK] = re.findall(r"^```mapping\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
ROWS = f"\n{BLOCK}"
"""The document on the page."""
HOURS = """
name = "hours"
title = "Hours"
layout = "series"
register = "A+"
columns = {row_key = ["id"], day = ["day"], value = ["value"]}
"""
CODES = "code;meter;point;agreement;register\nЛК-7;№ 7-ж;;;\nТ1;;;;A+:day\nТ2;;;;A+:night\nД-17;;;ЛС-17;\n13;;P-3;;\n"
WHOLE = """
name = "billing_meters"
title = "A row for each meter"
period_from = "day"
[columns]
row_key = ["@id"]
meter = ["meter"]
day = ["day"]
[[values]]
column = ["t1"]
register = "A+:day"
unit = "MWh"
[[values]]
column = ["t2"]
register = "A+:night"
"""
WORDS = """
name = "billing_words"
title = "Quantities and zones in words"
zone_name = "Asia/Vladivostok"
[columns]
row_key = ["@id"]
meter = ["meter"]
day = ["day"]
clock = ["clock"]
quantity = ["what/kind"]
zone = ["what/zone"]
value = ["amount"]
[quantities]
"A+" = ["активная", "ЭЭ"]
[zones]
night = ["ночь"]
"""
WORDED = """
      <xsd:element name="meter" type="t:Meter"/>
      <xsd:element name="day" type="xsd:dateTime"/>
      <xsd:element name="clock" type="xsd:time"/>
      <xsd:element name="what"><xsd:complexType><xsd:sequence>
        <xsd:element name="kind" type="xsd:string"/><xsd:element name="zone" type="xsd:string" minOccurs="0"/>
      </xsd:sequence></xsd:complexType></xsd:element>
      <xsd:element name="amount" type="xsd:decimal"/>
"""
WRONG = "mapping: Value: meter cannot be written as Amount"
CONSTANTS = {"Source": "Metergate", "Readings/Reading/Correction": "0", "Readings/Reading/Unit": "MWh"}


def documents(folder: Path, document: str, codes: str = CODES) -> dict[str, Any]:
    """The settings that name both, instead of those of a flat row."""
    (folder / "rows.toml").write_text(document, "utf-8")
    (folder / "codes.csv").write_text(codes, "utf-8")
    return {"row": {}, "mapping": str(folder / "rows.toml"), "crosswalk": str(folder / "codes.csv")}


def sent(folder: Path, document: str, schema: str, *items: Item, codes: str = CODES) -> tuple[list[etree._Element], list[tuple[str, str]]]:
    """The rows on the wire of a target of the rpc service, and what was refused before."""
    (folder / "legacy.wsdl").write_text(RPC.format(types=schema), "utf-8")
    told = "".join(f'<row id="{one.key}"><word>yes</word></row>' for one in items[:1])
    body = (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><t:PutResponse xmlns:t="urn:t">'
        f"<told>{told}</told></t:PutResponse></e:Body></e:Envelope>"
    )
    with raw_peer(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()) as peer:
        target = legacy(folder / "legacy.wsdl", peer.url, per="value", **documents(folder, document, codes))
        receipt = target.deliver(batch("b", *items))
        [put] = etree.fromstring(peer.requests[0].partition(b"\r\n\r\n")[2])[0]
    return put.findall("rows/row"), [(one.key, one.reason) for one in receipt.answers if one.outcome is REFUSED]


def test_a_billing_gets_its_own_codes_and_mwh_and_its_answers_settle_each_reading(tmp_path: Path) -> None:
    settings = documents(tmp_path, ROWS) | {"codes": {}, "constants": CONSTANTS}
    accounts = [{"name": "old", "token": TOKEN, "keys": False, "refuse_meters": ["00000009"]}]
    with running_sandbox(tmp_path, accounts=accounts) as program:
        target = build(Target, mapping(f"{program.url}/soap", **settings))
        items = two("k1", agreement="ЛС-17"), item(1, key="k2"), item(9, key="k9"), item(3, key="k3", meter="3")

        answers = target.deliver(batch("b1", *items)).answers
        asked = target.ask(batch("b2", *items, item(5, key="k5")), {"k1": "b1"}).answers
        took = {entry.item.key: entry.item for entry in program.rows()}

    assert [(one.key, one.outcome, one.reason) for one in answers] == [
        ("k1", TAKEN, ""),
        ("k2", TAKEN, ""),
        ("k9", REFUSED, "meter_refused"),
        ("k3", TAKEN, ""),
    ]
    assert [one.outcome for one in asked] == [TAKEN, TAKEN, REFUSED, TAKEN, UNKNOWN]
    assert asked[0].reference == answers[0].reference != ""
    first, second, third = took["k1"], took["k2"], took["k3"]
    assert (first.agreement, first.point, first.meter, first.period) == ("Д-17", "", "ЛК-7", "2025-10")
    told = [(value.register, value.value, value.unit, value.previous) for value in first.values]
    assert told == [("Т1", "0.0105", "MWh", None), ("Т2", "-0.00025", "MWh", None)]
    assert (second.agreement, second.point, second.meter, second.at.isoformat()) == (
        "A-100",
        "P-1",
        "00000001",
        "2025-10-25T12:00:00+00:00",
    )
    assert [(value.register, value.value, value.previous) for value in second.values] == [("A+", "1.8437", "1.7232")]
    assert (third.point, third.meter) == ("13", "")


def test_where_only_the_partners_codes_will_do_a_reading_without_one_is_refused_and_stops_no_other(tmp_path: Path) -> None:
    document = ROWS.replace("[columns]", "crosswalk_only = true\n[columns]")
    with running_sandbox(tmp_path, accounts=[{"name": "old", "token": TOKEN, "keys": False}]) as program:
        target = build(Target, mapping(f"{program.url}/soap", **documents(tmp_path, document), constants=CONSTANTS))
        water = msgspec.structs.replace(two("k2"), values=(msgspec.structs.replace(two("k").values[0], register="volume", unit="m3"),))

        answers = target.deliver(batch("b1", item(1, key="k1"), two("k3"), water)).answers

    assert [(one.outcome, one.reason) for one in answers] == [
        (REFUSED, "meter_unwritable: 00000001"),
        (TAKEN, ""),
        (REFUSED, "register_unwritable: volume"),
    ]


def test_a_whole_reading_in_a_row_by_attributes_dates_and_a_unit_for_each_column(tmp_path: Path) -> None:
    november = msgspec.structs.replace(two("k4"), period="2025-11")
    rows, refused = sent(tmp_path, WHOLE, SCHEMA, two("k1"), item(2, key="k2"), november)

    assert refused == [("k2", "register_unwritable: A+"), ("k4", "period_unwritable: 2025-11")]
    assert [(row.get("id"), {str(cell.tag): cell.text for cell in row}) for row in rows] == [
        ("k1", {"meter": "ЛК-7", "day": "2025-10-25", "t1": "0.0105", "t2": "-0.25"})
    ]


def test_words_for_quantities_and_zones_and_instants_in_the_zone_of_the_document(tmp_path: Path) -> None:
    schema = re.sub(
        r"(?s)(?<=<xsd:sequence>\n)      <xsd:element name=\"meter\".*?(?=    </xsd:sequence>)", WORDED.lstrip("\n"), SCHEMA, count=1
    )
    night = two("k1").values[1]
    both = msgspec.structs.replace(two("k1"), values=(msgspec.structs.replace(night, register="A+"), night))

    rows, refused = sent(tmp_path, WORDS, schema, both, two("k2"), codes="code;meter\n<7>;№ 7-ж\n")

    assert refused == [("k2", "register_unwritable: A+:day")]
    told = [{name: row.findtext(name) for name in ("meter", "day", "clock", "what/kind", "what/zone", "amount")} for row in rows]
    own = {"meter": "<7>", "day": "2025-10-25T22:00:00+10:00", "clock": "22:00:00", "what/kind": "активная", "amount": "-0.25"}
    assert told == [own | {"what/zone": None}, own | {"what/zone": "ночь"}]


@pytest.mark.parametrize(
    ("settings", "document", "codes", "said"),
    [
        ({"row": {"Number": "key"}}, ROWS, CODES, "row: it stands in the `mapping` already"),
        ({"codes": {"A+": "1"}}, ROWS, CODES, "codes: it stands in the `mapping` already"),
        ({"per": "reading"}, ROWS, CODES, "per: it stands in the `mapping` already"),
        ({"mapping": ""}, ROWS, CODES, "crosswalk: it is read with a `mapping`"),
        ({"mapping": "", "crosswalk": ""}, ROWS, CODES, "row: nothing carries the key"),
        ({"mapping": "nowhere.toml"}, ROWS, CODES, "mapping: [Errno 2] No such file"),
        ({}, f"x = 1{ROWS}", CODES, "mapping: Object contains unknown field `x`"),
        ({}, ROWS, "code;meter\n7;\n", "crosswalk: line 2: the code '7' names no meter, point, agreement or register"),
        ({}, ROWS.replace("row_key", "clock"), CODES, "has no column `row_key`"),
        ({}, ROWS.replace('["Meter"]', "4"), CODES, "meter: the path of an element is wanted, not the number 4"),
        ({}, ROWS.replace('"Meter"', '"Place"'), CODES, "'Place' is both"),
        ({}, ROWS.replace('"Meter"', '"Serial"'), CODES, "mapping: no 'Serial' in Reading, which has Number, Contract"),
        ({}, ROWS.replace('meter = ["Meter"]', 'meter = ["Value"]').replace('value = ["Value"]', 'value = ["Meter"]'), CODES, WRONG),
        ({}, ROWS.replace('day = ["Taken"]', 'clock = ["Taken"]'), CODES, "mapping: Taken: clock cannot be written as dateTime"),
        ({}, ROWS.replace('period = ["Month"]\n', ""), CODES, "mapping: Readings/Reading/Month is required by the WSDL"),
        ({"constants": {"Source": "x"}}, ROWS, CODES, "mapping: Readings/Reading/Correction is required by the WSDL"),
        ({}, ROWS.replace('meter = ["Meter"]', 'meter = ["Meter"]\nlocation = ["State"]'), CODES, "location: no reading on its way"),
        ({}, ROWS + "[control]", CODES, "control: a call has no control row"),
        ({}, HOURS, CODES, "rows of time are only read"),
        ({"crosswalk": ""}, ROWS.replace("[columns]", "crosswalk_only = true\n[columns]"), CODES, "crosswalk: "),
    ],
)
def test_documents_that_cannot_be_used_are_named_at_the_start(
    tmp_path: Path, settings: dict[str, Any], document: str, codes: str, said: str
) -> None:
    known = documents(tmp_path, document, codes) | {"constants": CONSTANTS}

    with raw_peer(b"") as peer, pytest.raises(Misconfigured) as wrong:
        build(Target, mapping(peer.url) | known | settings)

    assert said in str(wrong.value)
    assert peer.requests == []
