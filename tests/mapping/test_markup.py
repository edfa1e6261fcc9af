"""The gate for XML: what it reads, to the limit, and that nothing in the product parses foreign XML without it."""

import re
from collections.abc import Callable
from contextlib import suppress
from time import process_time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.domain.problems import Rejected
from gateway.inbound.soap import rows
from gateway.mapping.markup import ASIDES, MARKS, parse_untrusted
from gateway.settings import Limits
from tests.conftest import ROOT, case
from tests.hostile.xml import GROWING, PIECES
from tests.soap import NS

LIMITS = Limits()
TEXT = '<?xml version="1.0" encoding="{}"?>\n<a>Показание 1 843,7</a>'
PARSERS = re.compile(
    r"etree\.(fromstring|parse|XMLParser|iterparse|XMLPullParser|HTMLParser|XML)\b|ElementTree|minidom|xml\.sax\.parse|expat"
)
ALLOWED = {
    "gateway/mapping/markup.py": "it is the gate",
    "gateway/inbound/soap/contract.py": "parses the published contract, which is ours",
    "gateway/mapping/workbook.py": "streams parts of a package that the gate for archives has measured, with entities and DTDs off",
    "gateway/mapping/open_document.py": "the same of an OpenDocument, in a child that may be killed",
    "gateway/mapping/page_tables.py": "pages are no XML: parsed without network in a child that may be killed; XML goes through the gate",
    "gateway/mapping/package.py": "the parts of a workbook, once they have been read by the workbook's reader",
    "gateway/mapping/style_sheet.py": "parses what this process has just written",
    "gateway/mapping/marking.py": "the same",
    "gateway/outbound/soap_answer.py": "a billing's answer, whose refusal is never a sender's problem; entities and DTDs off",
    "gateway/sandbox/maket.py": "the same: the sandbox is a peer of its own",
    "gateway/sandbox/soap.py": "the sandbox is a peer of its own, which imports nothing of the product",
}
"""Who else parses XML, and why not through the gate."""


def code_of(body: bytes, **more: object) -> tuple[str, str]:
    with pytest.raises(Rejected) as refused:
        parse_untrusted(body, LIMITS, **more)  # type: ignore[arg-type]
    [problem] = refused.value.problems
    return problem.code, problem.where


@pytest.mark.parametrize(
    ("charset", "codec"),
    [("UTF-8", "utf-8"), ("utf-8", "utf-8-sig"), ("UTF-16", "utf-16"), ("windows-1251", "cp1251"), ("Windows-1251", "cp1251")],
)
def test_the_allowed_charsets_are_read_alike(charset: str, codec: str) -> None:
    assert parse_untrusted(TEXT.format(charset).encode(codec), LIMITS).text == "Показание 1 843,7"


def test_a_charset_may_be_told_by_the_transport_and_must_then_be_true() -> None:
    bare = "<a>Ж</a>"
    assert parse_untrusted(bare.encode("cp1251"), LIMITS, charset="Windows-1251").text == "Ж"
    assert code_of(TEXT.format("utf-8").encode(), charset="windows-1251")[0] == "xml_encoding"
    assert code_of(bare.encode(), charset="utf-7")[0] == "xml_encoding"


def test_the_text_of_an_element_is_all_of_its_text() -> None:
    root = parse_untrusted(b"<a>1<!-- 9 -->5<?x 9?><![CDATA[0]]>&#46;<b/>7</a>", LIMITS)
    assert (root.text, root[0].tail) == ("150.", "7")


def test_limits_hold_to_the_last_one() -> None:
    deep, wide = LIMITS.xml_depth, LIMITS.xml_attributes

    def nested(depth: int) -> bytes:
        return b"\n<a>" * depth + b"</a>" * depth

    def crowded(number: int) -> bytes:
        return b"<b>\n<a " + b" ".join(b"a%d='> < '".replace(b"<", b"&lt;") % n for n in range(number)) + b"/></b>"

    assert parse_untrusted(nested(deep), LIMITS) is not None
    assert code_of(nested(deep + 1)) == ("xml_too_deep", f"line {deep + 2}")
    assert parse_untrusted(crowded(wide), LIMITS) is not None
    assert code_of(crowded(wide + 1)) == ("xml_too_many_attributes", "line 2")
    assert parse_untrusted(b"<a>" + b"<!---->" * ASIDES + b"</a>", LIMITS) is not None
    assert code_of(b"<a>" + b"<!---->" * (ASIDES + 1) + b"</a>")[0] == "xml_too_large"
    assert code_of(b"<a>" + b"<b/>" * MARKS + b"</a>")[0] == "xml_too_large"
    assert parse_untrusted(b"<a/>", LIMITS, size=4) is not None
    assert code_of(b"<a/>", size=3)[0] == "xml_too_large"


def test_a_refusal_names_the_line() -> None:
    assert code_of(b"<a>\n<b>\n</a>") == ("xml_malformed", "line 3")
    assert code_of(b"<?xml version='1.0'?>\n\n<!DOCTYPE a>\n<a/>") == ("xml_doctype_forbidden", "line 3")
    assert code_of("<a>\nЖ\n".encode() + b"\xff</a>") == ("xml_encoding", "line 3")
    assert code_of(b"<a>\n<?x?></a>", forbid=("instruction",)) == ("xml_instruction_forbidden", "line 2")


@pytest.mark.parametrize("text", ["<!DOCTYPE a>", "<?x?>", '<a b="1">' * 100])
def test_words_in_comments_and_cdata_are_only_words(text: str) -> None:
    body = f"<?xml version='1.0'?><!--{text}--><a><![CDATA[{text}]]></a>"
    assert parse_untrusted(body.encode(), LIMITS, forbid=("instruction",)).text == text


MEASURABLE = 0.01
"""Seconds from which on a time is compared with another."""


def spent(body: bytes) -> float:
    """Seconds of this process's CPU that the gate takes for a document: the least of three, or of one when there is little to measure."""

    def once() -> float:
        began = process_time()
        with suppress(Rejected):
            parse_untrusted(body, LIMITS, size=LIMITS.soap_bytes, forbid=("instruction",))
        return process_time() - began

    first = once()
    return first if first < MEASURABLE else min(first, once(), once())


def measured_again(make: Callable[[int, str], str], piece: str, size: int) -> float:
    """The ratio on a machine that was busy with something else: the least of three."""
    small, large = make(size // 2, piece).encode(), make(size, piece).encode()
    return min(spent(large) / spent(small) for _ in range(3))


@pytest.mark.parametrize("place", GROWING)
def test_twice_the_size_takes_about_twice_the_time(place: str, proof: Callable[[str, int, str], None]) -> None:
    """Of every piece, repeated; what is refused at once at any size is passed over."""
    largest, ratios = case(1, 16) * 1024 * 1024, [0.0]
    for piece in PIECES:
        size, took = 32 * 1024, 0.0
        while size <= largest:
            before, took = took, spent(GROWING[place](size, piece).encode())
            assert took < 0.2 + size / 1e6, (piece, size)
            if before >= MEASURABLE:
                ratio = took / before if took < 3 * before else measured_again(GROWING[place], piece, size)
                assert ratio < 3.5, (piece, size, before, took)
                ratios.append(ratio)
                break
            size *= 2
    proof(f"XML that grows {place}", len(PIECES), f"{len(ratios) - 1} measurable, twice the size takes at most {max(ratios):.1f} times")


def test_nothing_in_the_product_parses_foreign_xml_but_the_gate() -> None:
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "gateway").rglob("*.py") if PARSERS.search(path.read_text("utf-8"))}
    assert found - ALLOWED.keys() == set()
    assert not any(re.search(r"recover=True|huge_tree=True", path.read_text("utf-8")) for path in (ROOT / "gateway").rglob("*.py"))


ORDER = ("Meter", "Agreement", "Location", "Point", "Period", "At", "Code", "Value", "Previous", "RatioApplied")
FIELD = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="\ufffe\uffff"), max_size=8)
ROW = st.fixed_dictionaries(
    {"Meter": FIELD}, optional={"Agreement": FIELD, "Location": FIELD, "Point": FIELD, "Period": FIELD, "At": FIELD}
)
ENTRY = st.fixed_dictionaries({"Code": FIELD, "Value": FIELD}, optional={"Previous": FIELD, "RatioApplied": st.sampled_from(["true", "0"])})


@given(st.lists(st.tuples(ROW, st.lists(ENTRY, min_size=1, max_size=2)), min_size=1, max_size=4), st.booleans())
def test_reading_in_columns_is_reading_row_by_row(found: list[tuple[dict[str, str], list[dict[str, str]]]], uniform: bool) -> None:  # noqa: FBT001 - hypothesis gives it by place
    told = [found[0]] * 3 if uniform else found
    message = etree.Element(f"{{{NS}}}SubmitReadings")
    for row, entries in told:
        reading = etree.SubElement(message, f"{{{NS}}}Reading")
        for name in filter(row.__contains__, ORDER):
            etree.SubElement(reading, f"{{{NS}}}{name}").text = row[name]
        for entry in entries:
            register = etree.SubElement(reading, f"{{{NS}}}Register")
            for name in filter(entry.__contains__, ORDER):
                etree.SubElement(register, f"{{{NS}}}{name}").text = entry[name]
    read = parse_untrusted(etree.tostring(message, encoding="utf-8"), LIMITS)
    columns = rows._in_columns(read)  # noqa: SLF001 - the quick way is compared with the slow one
    assert columns is None or columns == msgspec.json.encode({"readings": list(rows._row_by_row(read))})  # noqa: SLF001
