"""The maket 80020 as it is read: the quick way is the slow way, documents in pieces are whole documents, memory stays flat."""

import subprocess
import sys
from collections.abc import Sequence
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from gateway.domain.problems import Problem, Rejected
from gateway.domain.readings import MeterReading, Quality, Step
from gateway.mapping import Envelope, formats
from gateway.mapping.maket_80020 import Maket80020, day_of_file
from gateway.mapping.maket_day import day_of, minute
from gateway.mapping.maket_point import Part, Points
from gateway.mapping.markup import AT_ONCE, stream_untrusted
from gateway.settings import Limits
from tests.conftest import ROOT, case
from tests.formats.make_maket import HALVES, HOURS, SAMPLES, channel, message, one, period, periods, point, usage, zipped

MOSCOW = Envelope(zone="Europe/Moscow")
KYIV = Envelope(zone="Europe/Kyiv")
SPRING, AUTUMN = date(2025, 3, 30), date(2025, 10, 26)


def read(body: bytes, envelope: Envelope = MOSCOW, **limits: int) -> list[MeterReading]:
    found = list(Maket80020(limits=Limits(**limits)).decode(body, envelope))
    assert not any(isinstance(thing, Problem) for thing in found)
    return [thing for thing in found if isinstance(thing, MeterReading)]


def refusal(body: bytes, envelope: Envelope = MOSCOW, **limits: int) -> list[tuple[str, str]]:
    with pytest.raises(Rejected) as refused:
        read(body, envelope, **limits)
    return [(problem.code, problem.where) for problem in refused.value.problems]


def told(reading: MeterReading) -> list[tuple[str, str]]:
    return [(problem.code, problem.where.rpartition("/")[2]) for problem in reading.problems]


VALUE = st.one_of(
    st.decimals(0, 10**15, allow_nan=False, allow_infinity=False, places=3).map(lambda value: f"<value>{value:f}</value>"),
    st.sampled_from(
        ["0", "00", "0.0", "0,50", "007", "1,5", " 12 ", "", "-1", "1.2345678", "1e3", "٣", "1 000", "12<!-- -->3", "<![CDATA[45]]>"]
    ).map(lambda text: f"<value>{text}</value>"),
    st.sampled_from(
        [
            '<value status="0">7</value>',
            '<value status="1">7</value>',
            '<value status="1"/>',
            '<value extendedstatus="1114">7</value>',
            "<value>1</value><value>2</value>",
            "<value><b/>3</value>",
            "",
            "<val>3</val>",
        ]
    ),
)
PLAIN = st.integers(0, 10**6).map(lambda value: f"<value>{value}</value>")


@st.composite
def channels(draw: st.DrawFn) -> list[str]:
    """A day of plain values, of which a few may be anything, with a few periods or labels spoilt."""
    labels = draw(st.sampled_from([HALVES, HOURS]))
    values: list[str] = draw(st.lists(PLAIN, min_size=len(labels), max_size=len(labels)))
    for place in draw(st.lists(st.integers(0, len(labels) - 1), max_size=3)):
        values[place] = draw(VALUE)
    lines = [period(*edges, value) if value else period(*edges, "<!-- -->") for edges, value in zip(labels, values, strict=True)]
    for place in draw(st.lists(st.integers(0, len(lines) - 1), max_size=2)):
        lines[place] = draw(
            st.sampled_from(
                [
                    "",
                    lines[place] * 2,
                    lines[place].replace("start=", "begin="),
                    lines[place].replace("start=", "x='1' start="),
                    lines[place].replace(" end", ' summer="1" end'),
                    lines[place].replace("</period>", "<note/></period>"),
                    lines[place].replace('="0', '=" 0'),
                    lines[place].replace('0000">', '2400">'),
                    lines[place].replace("period", "Period"),
                    lines[place] + "text",
                ]
            )
        )
    return lines


def parts(body: bytes, *, quick: bool, zone: str = "Europe/Moscow", day: date = date(2026, 2, 14)) -> list[Part]:
    points = Points(day, Envelope(zone=zone))
    if not quick:
        points.regular = []
    return [points.read(element, "/p") for element in stream_untrusted(body, Limits(), ("measuringpoint",)) if element.tag != "message"]


@given(st.lists(channels(), min_size=1, max_size=2))
def test_a_day_read_at_one_look_is_the_day_read_period_by_period(lines: Sequence[Sequence[str]]) -> None:
    body = message(point("1", *(channel(f"0{n}", one) for n, one in enumerate(lines, 1))), charset="utf-8")
    assert parts(body, quick=True) == parts(body, quick=False)


@pytest.mark.parametrize("labels", [HALVES, HOURS])
def test_a_plain_day_is_read_at_one_look(labels: Sequence[tuple[str, str]]) -> None:
    """Else the test above would compare nothing."""
    points = Points(date(2026, 2, 14), MOSCOW)
    [holder] = etree.fromstring(channel("01", periods(usage(len(labels)), labels))).iter("measuringchannel")
    text = etree.tostring(holder, with_tail=False)
    assert sum(regular(text) is not None for _, regular in points.regular) == 1


@pytest.mark.parametrize(
    ("zone", "day", "hours"), [("Europe/Kyiv", SPRING, 23), ("Europe/Kyiv", AUTUMN, 25), ("Europe/Moscow", AUTUMN, 24)]
)
def test_a_day_has_the_periods_of_its_zone(zone: str, day: date, hours: int) -> None:
    for step, each in ((Step.HOUR, 1), (Step.HALF_HOUR, 2)):
        known = day_of(zone, day, step)
        assert len(known.slots) == hours * each
        assert len(known.absent) == (each if hours == 23 else 0)
        assert sum(len(places) - 1 for places in known.places.values()) == (each if hours == 25 else 0)
        assert known.regular == (hours == 24)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("0000", 0), ("0030", 30), ("2330", 1410), ("2400", 1440), (" 0100 ", 60), ("2430", None), ("0060", None), ("", None), ("1", None)],
)
def test_a_label_is_four_digits(text: str, minutes: int | None) -> None:
    assert minute(text) == minutes


def test_the_flag_never_shifts_the_zone() -> None:
    assert read(one(periods(usage()), flag="0")) == read(one(periods(usage()), flag="1")) == read(one(periods(usage()), flag="2"))


@pytest.mark.parametrize(("labels", "first", "count"), [(HALVES, 23, 25), (HALVES, 2, 46), (HOURS, 23, 1), (HALVES, 0, 1)])
def test_a_block_is_a_whole_day_whatever_stands_in_it(labels: Sequence[tuple[str, str]], first: int, count: int) -> None:
    [reading] = read(one(periods(usage(count), labels[first:])))
    [block] = reading.blocks
    assert (block.count, block.missing, reading.problems) == (len(labels), len(labels) - count, ())
    assert [place for place, value in enumerate(block.values) if value is not None] == list(range(first, first + count))


def test_the_second_of_two_hours_may_be_there_alone() -> None:
    lines = periods(usage(24), HOURS)
    [reading] = read(one(lines, day="20251026"), KYIV)
    assert reading.blocks[0].values[3] is None
    lines[3] = period("0300", "0400", 9, ' summer="1"')
    [reading] = read(one(lines, day="20251026"), KYIV)
    assert reading.blocks[0].written.split(",")[3:5] == ["9", ""]


def test_a_third_hour_is_one_too_many() -> None:
    lines = periods(usage(24), HOURS)
    [reading] = read(one([*lines[:4], lines[3], lines[3], *lines[4:]], day="20251026"), KYIV)
    assert told(reading) == [("maket_period_unordered", "period[6]")]
    [reading] = read(one([*lines[:4], lines[3], *lines[4:]]))
    assert told(reading) == [("maket_period_unordered", "period[5]")]


def test_the_hour_that_spring_leaves_out_may_hold_nothing_or_0() -> None:
    lines = periods(usage(24), HOURS)
    for value, problems in [("0", []), ("0,000", []), ('<value status="1"/>', []), ("1", ["hour_nonexistent"]), ("x", ["not_a_number"])]:
        lines[3] = period("0300", "0400", value)
        [reading] = read(one(lines, day="20250330"), KYIV)
        assert [code for code, _ in told(reading)] == problems
        assert [block.count for block in reading.blocks] == ([] if problems else [23])


def test_values_that_settle_nothing_are_kept_with_their_mark_and_counted() -> None:
    values = ['<value status="1">5</value>', '<value status="1" extendedstatus="1114">6</value>', *usage(22)]
    [reading] = read(one(periods(values, HOURS)))
    assert reading.blocks[0].quality[:3] == (Quality.NONCOMMERCIAL, Quality.NONCOMMERCIAL, Quality.VALID)
    [hint] = reading.problems
    assert (hint.code, hint.values) == ("maket_noncommercial", {"count": "2"})


def test_all_problems_of_a_file_are_told_at_once_up_to_a_limit() -> None:
    bad = point("1", channel("01", periods(["x"] * 24, HOURS)))
    body = message(*(bad.replace('code="1"', f'code="{n}"', 1) for n in range(3)))
    assert sum(len(reading.problems) for reading in read(body)) == 72
    assert [code for code, _ in refusal(body, file_problems=50)] == ["not_a_number"] * 50 + ["too_many_problems"]


def test_a_warning_is_told_once_for_a_month() -> None:
    days = {f"d{n:02}": message(point("1", channel("01", periods(usage())), channel("07", [])), day=f"202602{n:02}") for n in range(1, 29)}
    [reading] = read(zipped(**days))
    assert (len(reading.blocks), [code for code, _ in told(reading)]) == (28, ["maket_channel_unknown"])


def test_every_broken_file_of_a_zip_is_told() -> None:
    good = one(periods(usage()))
    assert refusal(zipped(a=good, b=good[:-9], c=b"", d=good.replace(b"80020", b"80030"))) == [
        ("xml_malformed", "b.xml!line 59"),
        ("file_empty", "c.xml"),
        ("maket_class_unknown", "d.xml!/message"),
    ]
    assert refusal(zipped(a=good), file_bytes=1000) == [("file_too_large", "a.xml")]
    assert refusal(zipped()) == [("nothing_to_take", "")]


@pytest.mark.parametrize(
    ("body", "day"),
    [
        (one(periods(usage())), date(2026, 2, 14)),
        (zipped(a=one(periods(usage()), day="20260201"), b=one(periods(usage()))), date(2026, 2, 1)),
        (one(periods(usage()), day="20260230"), None),
        (one(periods(usage()), more="<testonly/>"), None),
        (b"<message", None),
        (b"<message/>", None),
        (b"", None),
        (zipped(), None),
    ],
)
def test_a_file_says_its_day(body: bytes, day: date | None) -> None:
    assert day_of_file(body, Limits()) == day


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_its_own_files_are_known_by_their_bytes(name: str) -> None:
    kinds = [kind for kind, format_ in formats(Limits()).items() if format_.sniff(SAMPLES[name](), name)]
    assert kinds == ([] if name == "another_root.xml" else ["maket_80020"])


@pytest.mark.parametrize(
    "body", [b"", b"PK\x05\x06" + bytes(18), b"PK\x03\x04rubbish", b"<message>", b"<html class='80020'/>", b"a;b\n", b"{}"]
)
def test_other_files_are_not_its_own(body: bytes) -> None:
    assert not Maket80020().sniff(body, "80020_1_20260214_1.xml")


@given(st.integers(65_400, 65_600), st.sampled_from(["utf-8", "windows-1251", "utf-16"]))
def test_a_document_in_pieces_is_the_document(before: int, charset: str) -> None:
    """A letter, a tag and a value lie across the end of a piece."""
    text = f'<?xml version="1.0" encoding="{charset}"?><a>{"Ж" * 40}{" " * before}<b c="Ю">{"Щ" * 80}</b><b>2</b>\n</a>'
    body = text.encode("cp1251" if charset == "windows-1251" else charset)
    found = [(element.tag, element.get("c"), element.text) for element in stream_untrusted(body, Limits(), ("b",))]
    assert found[:-1] == [("b", "Ю", "Щ" * 80), ("b", None, "2")]


@pytest.mark.parametrize(
    ("body", "code", "where"),
    [
        (b"<a><b/>" * 3, "xml_malformed", "line 1"),
        (b"", "xml_malformed", "line 1"),
        (b'<?xml version="1.0" encoding="koi8-r"?><a/>', "xml_encoding", "line 1"),
        (b"<a>\n\xff</a>", "xml_encoding", "line 2"),
        (b"<a>\n" + b" " * 65_532 + b"\n\xd0</a>", "xml_encoding", "line 3"),
        ("<a/>".encode("utf-16-le"), "xml_encoding", "line 1"),
        (b"<!-- --><!DOCTYPE a><a/>", "xml_doctype_forbidden", "line 1"),
        (b"<a>" + b"<c/>" * (AT_ONCE + 20_000) + b"<b/></a>", "xml_too_large", ""),
        (b"<a " + b"".join(b"a%d='' " % n for n in range(AT_ONCE)) + b"/>", "xml_too_large", ""),
        (b"<a>" + b"<!---->" * 2000 + b"</a>", "xml_too_large", ""),
        (b"<a>" * 300 + b"</a>" * 300, "xml_too_deep", "line 1"),
        (b"<a>" + b"x" * 11_000_000 + b"</a>", "xml_too_large", "line 1"),
    ],
    ids=[
        "end",
        "nothing",
        "charset",
        "byte",
        "byte at the end of a piece",
        "no mark",
        "doctype",
        "elements",
        "attributes",
        "comments",
        "depth",
        "text",
    ],
)
def test_a_stream_is_refused_as_a_document_is(body: bytes, code: str, where: str) -> None:
    with pytest.raises(Rejected) as refused:
        list(stream_untrusted(body, Limits(), ("b",)))
    [problem] = refused.value.problems
    assert (problem.code, problem.where) == (code, where)


FLAT = """
from gateway.mapping import Envelope
from gateway.mapping.maket_80020 import Maket80020, day_of_file
from gateway.settings import Limits
from tests.formats.make_maket import channel, message, periods, point, usage

def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) // 1024

points = [point(str(n), channel("01", periods(usage())), channel("03", periods(usage()))) for n in range({points})]
body = message(*points)
del points
read = Maket80020(limits=Limits(file_bytes=len(body)))
list(read.decode(message(point("1", channel("01", periods(usage())))), Envelope(zone="Europe/Moscow")))
before = peak()
print(len(body) // 2**20, len(list(read.decode(body, Envelope(zone="Europe/Moscow")))), peak() - before)
"""


def test_a_large_file_is_read_in_little_memory() -> None:
    """The tree of it would take twenty times its size."""
    done = subprocess.run(
        [sys.executable, "-c", FLAT.format(points=case(2000, 8000))], cwd=ROOT, capture_output=True, text=True, check=True
    )
    size, count, grown = map(int, done.stdout.split())
    assert count == case(2000, 8000)
    assert size > 10
    assert grown < 60
