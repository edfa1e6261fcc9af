"""XML and JSON read by a mapping: rows at a path, cells in them and around them, each problem at its own place."""

import json
import random
import re
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from gateway.domain.mappings import read_mapping
from gateway.domain.problems import Misconfigured, Rejected
from gateway.mapping.mapped.elements import read_elements
from gateway.mapping.mapped.partner import Codes
from gateway.mapping.mapped.table import Mapped
from gateway.mapping.mapped.writer import Writer
from gateway.settings import Limits
from tests.conftest import case
from tests.formats.dirt import zipped
from tests.formats.read_mapped import decoded, mapped, wrong

PAGE = Path("contracts_schema/formats/mappings.md").read_text("utf-8")
REPORT = re.findall(r"^```xml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[0]
DOCUMENT = next(one for one in re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE) if "portal_xml" in one)
JSON_DOCUMENT = """
register = "volume"
[file]
rows = "flats/meters"
[columns]
meter = ["no"]
value = ["value/now"]
previous = ["value/before"]
agreement = ["flats/account"]
period = ["period"]
"""
FLATS = {
    "period": "2026-10",
    "flats": [
        {"account": "0012345", "meters": [{"no": "Щ-17", "value": {"now": 103.250, "before": "100,5"}}, {"no": 18, "value": {"now": 90}}]},
        {"account": "0012346", "meters": []},
        {
            "account": "0012347",
            "meters": [{"no": "Щ-19", "value": {"now": None}}, {"value": {"now": 5}}, {"no": "Щ-20", "value": {"now": True}}],
        },
    ],
}


def portal() -> Mapped:
    return Mapped(mapping=read_mapping(DOCUMENT.encode()))


def test_rows_of_xml_are_read_with_what_stands_around_them() -> None:
    found = decoded(portal(), REPORT.encode())
    assert [(one.meter, one.agreement, one.period, [str(reading.value) for reading in one.readings]) for one in found] == [
        ("Щ-17", "0012345", "2026-10", ["103.25"]),
        ("Щ-18", "0012345", "2026-10", ["90"]),
    ]
    assert found[1].where == "/report/flat[1]/meter[2]/@no"
    assert found[1].readings[0].where == "/report/flat[1]/meter[2]/value"
    assert decoded(portal(), zipped("a.xml", REPORT.encode())) == found


def test_what_is_wrong_in_xml_is_told_by_its_path() -> None:
    body = REPORT.replace("103,25", "1O3").replace('no="Щ-18" ', "").encode()
    assert wrong(portal(), body) == [
        ("not_a_number", "/report/flat[1]/meter[1]/value"),
        ("meter_missing", "/report/flat[1]/meter[2]/@no"),
    ]


def test_rows_of_json_are_read_the_same_way() -> None:
    body = json.dumps(FLATS).replace("103.25", "103.250").encode()
    found = decoded(mapped(JSON_DOCUMENT), body)
    assert [(one.meter, one.agreement, one.period) for one in found] == [
        ("Щ-17", "0012345", "2026-10"),
        ("18", "0012345", "2026-10"),
        ("", "0012347", "2026-10"),
        ("Щ-20", "0012347", "2026-10"),
    ]
    assert [(reading.value, reading.previous) for reading in found[0].readings] == [(Decimal("103.250"), Decimal("100.5"))]
    assert wrong(mapped(JSON_DOCUMENT), body) == [
        ("meter_missing", "flats[2].meters[1].no"),
        ("not_a_number", "flats[2].meters[2].value.now"),
    ]


def test_a_list_may_be_the_file_and_values_repeat() -> None:
    document = '[file]\nrows = "."\n[columns]\nmeter = ["id"]\n[[values]]\ncolumn = ["v"]\nregister = "A+:day"\n'
    document += '[[values]]\ncolumn = ["v[2]"]\nregister = "A+:night"\n'
    [one, two] = decoded(mapped(document), b'[{"id": "1", "v": [5, 6]}, {"id": "2", "v": [7]}]')
    assert [str(reading.value) for reading in one.readings] == ["5", "6"]
    assert (two.readings[0].where, len(two.readings)) == ("[1].v", 1)
    text = '[file]\nrows = "r"\n[columns]\nmeter = ["@m"]\nvalue = ["text()"]\n'
    assert decoded(mapped(f'register = "A+"\n{text}'), b'<a><r m="1">5</r></a>')[0].readings[0].value == 5


def test_a_file_is_known_by_its_rows_and_columns() -> None:
    assert portal().sniff(REPORT.encode(), "")
    assert not portal().sniff(REPORT.replace("meter", "point").encode(), "")
    assert not portal().sniff(REPORT.replace("<value", "<amount").replace("</value", "</amount").encode(), "")
    assert not portal().sniff("Счетчик;Показание\r\n1;5\r\n".encode(), "")
    assert mapped(JSON_DOCUMENT).sniff(json.dumps(FLATS).encode(), "")
    assert not mapped(JSON_DOCUMENT).sniff(b'{"flats": 5, "meters": [', "")


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (b"<report/>", ["header_not_found"]),
        (b"<report><flat>", ["xml_malformed"]),
        (b"<!DOCTYPE a><report/>", ["xml_doctype_forbidden"]),
        (b'{"flat": {"meter": {"no": 1, "no": 2}}}', ["json_duplicate_key"]),
        (b'{"flat": [', ["json_malformed"]),
        (b"[" * 40, ["json_too_deep"]),
        (b"%PDF-1.7 x", ["file_type_mismatch"]),
        (b'<report><flat account="1"><meter no="1"/></flat></report>', ["column_missing"]),
    ],
)
def test_what_cannot_be_read_is_refused_whole(body: bytes, codes: list[str]) -> None:
    with pytest.raises(Rejected) as refused:
        decoded(portal(), body)
    assert [problem.code for problem in refused.value.problems][:1] == codes


def test_a_file_of_more_cells_than_a_sheet_is_refused() -> None:
    rows = "".join(f"<r x{n}='1'/>" for n in range(50))
    many = f"<a>{rows}</a>".encode()
    for limits in (Limits(sheet_rows=49), Limits(sheet_columns=49), Limits(sheet_cells=2499)):
        with pytest.raises(Rejected) as refused:
            read_elements(many, limits, "r")
        assert refused.value.problems[0].code == "too_many_readings"
    assert len(read_elements(many, Limits(), "r").rows) == 51
    wide = b'{"r": [{"x": [' + b",".join([b"1"] * 2000) + b"]}]}"
    with pytest.raises(Rejected):
        read_elements(wide, Limits(), "r")


def test_attributes_of_two_namespaces_are_two_and_other_texts_are_no_xml() -> None:
    text = '[file]\nrows = "r"\n[columns]\nmeter = ["@m"]\nvalue = ["@v"]\n'
    body = b'<a xmlns:x="urn:x" xmlns:y="urn:y"><r m="1" x:v="5" y:v="6"/></a>'
    assert wrong(mapped(f'register = "A+"\n{text}'), body) == [("column_repeated", "/a/r/@v[2]")]
    assert wrong(portal(), '{"flat": []}'.encode("utf-16")) == [("file_type_mismatch", "")]


@pytest.mark.parametrize("keys", ['layout = "matrix"\nregister = "A+"\n[file]\nrows = "r"\n', '[file]\nrows = "r"\nheader = false\n'])
def test_documents_that_contradict_themselves(keys: str) -> None:
    with pytest.raises(Misconfigured, match="rows"):
        mapped(keys if "matrix" in keys else f'register = "A+"\n{keys}[columns]\nmeter = 1\nvalue = 2\n')
    with pytest.raises(Misconfigured, match="only read"):
        Writer(read_mapping(DOCUMENT.encode()), Codes(), "UTC")


SIGNS = b'0159<>/="{}[],: ax\x00\xd0'


def is_read(format_: Mapped, body: bytes) -> bool:
    """Whether a file is read, with a place for each reading; else it is refused with a reason, and nothing else may happen."""
    try:
        return all(one.where for one in decoded(format_, body))
    except Rejected as refused:
        return not refused.problems


def test_no_damage_breaks_it(proof: Callable[[str, int, str], None]) -> None:
    """A few bytes of a whole file lost or put in its place; half of the files is XML, half JSON."""
    pick = random.Random(20)  # noqa: S311 - damage, no secrets
    size = case(1000, 100_000)
    wholes = ((portal(), REPORT.encode()), (mapped(JSON_DOCUMENT), json.dumps(FLATS).encode()))
    read, slowest = 0, 0.0
    for number in range(size):
        format_, whole = wholes[number % 2]
        begin, lost = pick.randrange(len(whole)), pick.randrange(4)
        body = whole[:begin] + bytes(pick.choices(SIGNS, k=pick.randrange(4))) + whole[begin + lost :]
        began = time.process_time()
        format_.sniff(body, "")
        read += is_read(format_, body)
        slowest = max(slowest, time.process_time() - began)
    proof("damaged XML and JSON read by mappings", size, f"{read} read, the rest refused with a code, at most {slowest * 1e3:.0f} ms each")
    assert read > size / 10
    assert slowest < 1


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ("<value>1</value><value>2</value>", "/report/flat/meter/value[2]"),
        ('<value now="1"/><value now="2"/>', "/report/flat/meter/value[2]/@now"),
    ],
)
def test_a_second_value_of_a_row_is_never_lost_in_silence(values: str, where: str) -> None:
    document = DOCUMENT.replace('["value"]', '["value", "value/@now"]')
    body = f'<report period="2026-10"><flat account="1"><meter no="7">{values}</meter></flat></report>'.encode()
    assert wrong(Mapped(mapping=read_mapping(document.encode())), body) == [("column_repeated", where)]


def test_a_text_beside_elements_is_read() -> None:
    body = '<report period="2026-10"><flat account="1"><meter no="7"><value>103<unit>м3</unit></value></meter></flat></report>'.encode()
    assert [str(one.value) for found in decoded(portal(), body) for one in found.readings] == ["103"]
