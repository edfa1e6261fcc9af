"""Hostile and damaged makets: read or refused with a code, in little time and memory, whatever they are."""

import gc
import random
import resource
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest

from gateway.domain.problems import Problem, Rejected
from gateway.mapping import Envelope
from gateway.mapping.maket_80020 import Maket80020
from gateway.mapping.markup import stream_untrusted
from gateway.settings import Limits
from tests.conftest import case
from tests.formats.make_maket import HOURS, SAMPLES, channel, message, one, periods, point, usage, zipped
from tests.hostile.xml import GATE, GROWING, PIECES

TAGS = ("measuringpoint", "area")
TAKEN = {"65 attributes", "depth 65", "stylesheet", "an instruction in a text"}
"""What costs nothing in a stream: it ends at libxml2's own depth, and holds little at a time."""
OTHERWISE = {"300,000 attributes": "xml_too_large", "300,000 namespaces": "xml_too_large"}
KYIV = Envelope(zone="Europe/Kyiv")


def codes(body: bytes, **limits: Any) -> set[str]:
    """The codes of everything that is found in a file."""
    try:
        things = list(Maket80020(limits=Limits(**limits)).decode(body, KYIV))
    except Rejected as refused:
        return {problem.code for problem in refused.problems}
    return {problem.code for thing in things for problem in ([thing] if isinstance(thing, Problem) else thing.problems)}


@pytest.mark.parametrize("name", sorted(GATE))
def test_what_the_gate_refuses_is_refused_piece_by_piece_too(name: str) -> None:
    make, code = GATE[name]
    made = make()
    body = made.encode("utf-8", "surrogatepass") if isinstance(made, str) else made
    began = time.monotonic()
    if name in TAKEN:
        list(stream_untrusted(body, Limits(), TAGS))
    else:
        with pytest.raises(Rejected) as refused:
            list(stream_untrusted(body, Limits(), TAGS))
        assert [problem.code for problem in refused.value.problems] == [OTHERWISE.get(name, code)]
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("place", sorted(GROWING))
def test_nothing_repeated_costs_more_than_its_size(place: str) -> None:
    for piece in PIECES:
        body = GROWING[place](case(256, 4096) * 1024, piece).encode()
        began = time.process_time()
        with suppress(Rejected):
            list(stream_untrusted(body, Limits(), (*TAGS, "a", "b")))
        assert time.process_time() - began < 1 + len(body) / 2.5e5, piece


def laughs() -> bytes:
    """The entities of a maket that laughs."""
    entities = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))
    made = one(periods(["&l9;"], HOURS)).decode("cp1251")
    return made.replace("<message", f"<!DOCTYPE message [<!ENTITY l0 '1'>{entities}]>\n<message", 1).encode("cp1251")


def many(lines: str, count: int) -> bytes:
    """A message with this so many times in its area."""
    return message().replace(b"</area>", lines.encode() * count + b"</area>")


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "billion laughs": (laughs, "xml_doctype_forbidden"),
    "points without anything": (lambda: many('<measuringpoint code="1"/>', 500_000), "too_many_problems"),
    "elements of no meaning": (lambda: many("<x/>", 4_000_000), "xml_too_large"),
    "areas of no meaning": (lambda: many("</area><area>", 1_000_000), "xml_too_large"),
    "areas of no meaning, as many as may be": (lambda: many("</area><area>", 499_000), "nothing_to_take"),
    "one point of a million periods": (lambda: message(point("1", channel("01", periods([1]) * 1_000_000))), "file_too_large"),
    "one point of 100,000 periods": (lambda: message(point("1", channel("01", periods([1]) * 100_000))), "xml_too_large"),
    "one point of 12,000 periods": (lambda: message(point("1", channel("01", periods([1]) * 12_000))), "too_many_problems"),
    "one point of 20,000 channels": (lambda: message(point("1", '<measuringchannel code="01"/>' * 20_000)), "value_missing"),
    "a code of a million letters": (lambda: message(point("1" * 1_000_000, channel("01", periods(usage())))), "code_too_long"),
    "a channel of a million letters": (lambda: message(point("1", channel("1" * 1_000_000, periods(usage())))), "maket_channel_unknown"),
    "a value of a million digits": (lambda: one(periods(["1" * 1_000_000], HOURS)), "number_too_long"),
    "a label of a million digits": (lambda: one(periods([1], [("0" * 1_000_000, "0030")])), "maket_period_invalid"),
    "points in points": (lambda: message('<measuringpoint code="1">' * 60 + "</measuringpoint>" * 60), "maket_misplaced"),
    "days one after another": (lambda: message(more="<datetime><day>20260101</day></datetime>" * 2), "maket_misplaced"),
    "a day of a million digits": (lambda: message(day="2" * 1_000_000), "maket_day_invalid"),
}
"""A maket, and a code that it gets."""


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_maket_costs_little_and_is_told(name: str) -> None:
    make, code = HOSTILE[name]
    body = make()
    began = time.monotonic()
    found = Maket80020().sniff(body, "")
    assert found
    if code == "file_too_large":
        assert len(body) > Limits().file_bytes, "the door refuses it; read all the same, it costs no more"
        assert "xml_too_large" in codes(body)
    else:
        assert code in codes(body)
    assert time.monotonic() - began < 10


def test_what_takes_too_long_is_given_up() -> None:
    body = message(*[point(str(n), channel("01", periods(['<value status="1">1</value>'] * 48))) for n in range(200)])
    assert codes(body, child_seconds=0.01) == {"file_too_costly"}
    with pytest.raises(Rejected) as refused:
        list(Maket80020(limits=Limits(child_seconds=0.01)).decode(zipped(a=body, b=body, c=body), KYIV))
    assert [(problem.code, problem.where) for problem in refused.value.problems] == [("file_too_costly", "a.xml")]


def test_no_problem_is_longer_than_a_person_reads() -> None:
    for name in (
        "a code of a million letters",
        "a channel of a million letters",
        "a label of a million digits",
        "a day of a million digits",
    ):
        try:
            found = list(Maket80020().decode(HOSTILE[name][0](), KYIV))
            problems = [problem for thing in found if not isinstance(thing, Problem) for problem in thing.problems]
        except Rejected as refused:
            problems = list(refused.problems)
        assert problems
        assert all(len(problem.where) < 300 and all(len(value) < 300 for value in problem.values.values()) for problem in problems)


PARTS = (
    *(b"<", b">", b"&", b'"', b"</period>", b"<value>", b"</value>", b'<value status="1"/>', b"<period>", b"<measuringchannel>"),
    *(b"</measuringpoint>", b"<measuringpoint code='7'>", b"<area>", b"</area>", b"<datetime>", b"<day>20260101</day>", b"<testonly/>"),
    *(b' summer="1"', b' status="2"', b"0300", b"2400", b"-", b",", b"9" * 20, b"<![CDATA[", b"]]>", b"<!--", b"-->", b"\0", b"\xff", b""),
)


LINES = (
    *(b'<period start="0000" end="0000"><value>1</value></period>', b"<period/>", b"<value>7</value>", b"<area/>", b"<testonly/>"),
    *(b'<period start="0300" end="0400" summer="1"><value>-0,0</value></period>', b"<note>&#48;</note>", b"</area><area>"),
)


def damaged(chance: random.Random, good: bytes) -> bytes:
    """The same with a few pieces replaced, taken out or doubled, or with whole lines of it swapped, which leaves it well-formed."""
    lines = good.split(b"\r\n")
    inner = [place for place, line in enumerate(lines) if line.startswith((b"<period", b"<datetime"))]
    if inner and chance.random() < 0.6:
        for _ in range(chance.randrange(1, 5)):
            one, other = chance.choice(inner), chance.choice(inner)
            lines[one] = chance.choice((b"", lines[other], lines[one] * 2, lines[one].replace(b"0", b"1"), chance.choice(LINES)))
        return b"\r\n".join(lines)
    body = bytearray(good)
    for _ in range(chance.randrange(1, 5)):
        place = chance.randrange(len(body) + 1)
        end = min(len(body), place + chance.choice((0, 1, 4, 30, 200)))
        body[place:end] = chance.choice((chance.choice(PARTS), bytes(body[place:end]) * 2, chance.randbytes(2)))
    return bytes(body)


def rezipped(chance: random.Random, good: bytes) -> bytes:
    """A zip whose files are damaged, not the zip."""
    packed = BytesIO()
    with zipfile.ZipFile(BytesIO(good)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for name in old.namelist():
            content = old.read(name)
            made.writestr(name, damaged(chance, content) if chance.random() < 0.3 else content)
    return packed.getvalue()


def test_random_damage_is_refused_or_read_and_nothing_else(proof: Callable[[str, int, str], None]) -> None:
    chance = random.Random(20261126)  # noqa: S311 - no secret is made of it
    goods = [(name, make()) for name, make in SAMPLES.items()]
    size, taken, longest = case(1000, 100_000), 0, 0.0
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reader = Maket80020()
    for _ in range(size):
        name, good = chance.choice(goods)
        body = rezipped(chance, good) if name.endswith(".zip") and chance.random() < 0.7 else damaged(chance, good)
        began = time.process_time()
        reader.sniff(body, name)
        with suppress(Rejected):
            taken += sum(1 for _ in reader.decode(body, KYIV))
        longest = max(longest, time.process_time() - began)
    assert taken > size / 4
    assert longest < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
    proof("damaged makets 80020", size, f"{taken} points still read, the rest refused with a code, at most {longest * 1e3:.0f} ms each")
