"""Hostile and damaged heat reports: read or refused with a code, in little time and memory, whatever they are."""

import gc
import random
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from gateway.domain.problems import Problem, Rejected
from gateway.mapping import Envelope
from gateway.mapping.heat_report import HeatReport
from gateway.settings import Limits
from tests.conftest import case
from tests.formats.make_report import SAMPLES, head, meter, report, rows

KYIV = Envelope(zone="Europe/Kyiv")
ROW = "Q=1|date=2026-10-01"


def found(body: bytes, **limits: Any) -> list[Problem]:
    """Everything that is said of a file."""
    try:
        things = list(HeatReport(limits=Limits(**limits)).decode(body, KYIV))
    except Rejected as refused:
        return list(refused.problems)
    return [problem for thing in things for problem in ([thing] if isinstance(thing, Problem) else thing.problems)]


def laughs() -> bytes:
    """The entities of a report that laughs."""
    entities = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))
    doctype = f"<!DOCTYPE report [<!ENTITY l0 '1'>{entities}]>\n<report>".encode()
    return report(meter("1", f"Q=&l9;|{ROW}")).replace(b"<report>", doctype, 1)


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "billion laughs": (laughs, "xml_doctype_forbidden"),
    "rows of nothing": (lambda: report("<daily_data_list>", "<daily_data/>" * 490_000, "</daily_data_list>"), "xml_too_large"),
    "rows without a number": (lambda: report(rows(*[f"Q=x|{ROW}"] * 100_000)), "too_many_problems"),
    "rows that are one day": (lambda: report(meter("1", *[ROW] * 100_000)), "too_many_problems"),
    "rows that are no pairs": (lambda: report(meter("1", *["x|" * 100] * 10_000)), "too_many_problems"),
    "a row of a million pairs": (lambda: report(meter("1", "Q=1|" * 1_000_000 + ROW)), "too_many_problems"),
    "a row of a million names": (lambda: report(meter("1", "|".join(f"a{n}=1" for n in range(1_000_000)))), "xml_too_large"),
    "a row of 100,000 elements": (lambda: report("<RECORD>", "<Q>1</Q>" * 100_000, "</RECORD>", rows()), "xml_too_large"),
    "wrong cells": (lambda: report(meter("1", *["Q=x|M1=x|M2=x|V1=x|V2=x|t1=x|t2=x|P1=x|P2=x"] * 50_000)), "too_many_problems"),
    "meters without rows": (lambda: report("<m><serial_number>1</serial_number></m>" * 400_000, rows()), "too_many_readings"),
    "meters with a row": (lambda: report(*(meter(str(n), ROW) for n in range(15_000))), "too_many_readings"),
    "elements of no meaning": (lambda: report(rows(ROW), "<x/>" * 4_000_000), "xml_too_large"),
    "lists in lists": (
        lambda: report(head("1"), "<daily_data_list>" * 200, *["<daily_data/>"], "</daily_data_list>" * 200),
        "column_missing",
    ),
    "a value of a million letters": (lambda: report(meter("1", f"Q={'x' * 1_000_000}|date=2026-10-01")), "not_a_number"),
    "a value of a million digits": (lambda: report(meter("1", f"Q={'1' * 1_000_000}|date=2026-10-01")), "number_too_long"),
    "a name of a million letters": (lambda: report(meter("1", f"{'x' * 1_000_000}=1|{ROW}")), "column_unknown"),
    "a pair of a million letters": (lambda: report(meter("1", f"{'x' * 1_000_000}|{ROW}")), "report_pair_invalid"),
    "a date of a million letters": (lambda: report(meter("1", f"Q=1|date={'2' * 1_000_000}")), "moment_invalid"),
    "a number of a million letters": (lambda: report(meter("1" * 1_000_000, ROW)), "code_too_long"),
    "a circuit of a million letters": (lambda: report(meter("1", ROW, circuit="x" * 1_000_000)), "circuit_unknown"),
    "an element's name of 40,000 letters": (
        lambda: report(meter("1", "Q=x|date=2026-10-01")).replace(b"meter>", b"m" * 40_000 + b">"),
        "not_a_number",
    ),
}
"""A report, and a code that it gets."""


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_a_hostile_report_costs_little_and_is_told(name: str) -> None:
    make, code = HOSTILE[name]
    body = make()
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    HeatReport().sniff(body, "")
    told = found(body)
    assert time.monotonic() - began < 10
    assert code in {problem.code for problem in told}
    assert all(len(one.where) < 300 and all(len(value) < 300 for value in one.values.values()) for one in told)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 512 * 1024


def test_what_takes_too_long_is_given_up() -> None:
    assert [problem.code for problem in found(report(meter("1", *[ROW] * 5_000)), child_seconds=0.005)] == ["file_too_costly"]


PARTS = (
    *(b"<", b">", b"&", b"|", b"=", b"Q=", b"</daily_data>", b"<daily_data>", b"<daily_data_list>", b"</daily_data_list>", b"<RECORD>"),
    *(
        b"<serial_number>7</serial_number>",
        b"<circuit_code>2</circuit_code>",
        b"</meter>",
        b"<meter>",
        b"<TOTALS><TOTAL><Q>1</Q></TOTAL></TOTALS>",
    ),
    *(b"QAgg=1", b"date=2026-10-05", b"2026", b"24:00", b"-", b",", b"9" * 20, b"<![CDATA[", b"]]>", b"<!--", b"-->", b"\0", b"\xff", b""),
)
LINES = (
    *(b"<daily_data>Q=1|date=2026-10-09</daily_data>", b"<daily_data/>", b"<serial_number>9</serial_number>", b"<meter/>", b"<TOTAL/>"),
    *(b"<daily_data>M1=-0,0|t1=12,3-|date=2026-10-10|Error=U,g</daily_data>", b"<daily_data><Q>1</Q></daily_data>", b"<SYSTEM>9</SYSTEM>"),
    *(b"<period_end_meter_data>QAgg=5|Q=6</period_end_meter_data>", b"<period_end_date_24>2026-10-31T24:00</period_end_date_24>"),
)


def damaged(chance: random.Random, good: bytes) -> bytes:
    """The same with whole lines of it swapped, which leaves it well-formed, or a few pieces replaced, taken out or doubled."""
    lines = good.split(b"\n")
    inner = [place for place, line in enumerate(lines) if line.startswith((b"<daily_data>", b"<period", b"<RECORD>", b"<TOTAL>"))]
    if inner and chance.random() < 0.7:
        for _ in range(chance.randrange(1, 5)):
            one, other = chance.choice(inner), chance.choice(inner)
            piece = chance.choice((b"Q", b"=", b"|", b"1", b"date"))
            lines[one] = chance.choice((b"", lines[other], lines[one] * 2, lines[one].replace(piece, b"0"), chance.choice(LINES)))
        return b"\n".join(lines)
    body = bytearray(good)
    for _ in range(chance.randrange(1, 5)):
        place = chance.randrange(len(body))
        end = min(len(body), place + chance.choice((0, 1, 4, 30, 200)))
        body[place:end] = chance.choice((chance.choice(PARTS), bytes(body[place:end]) * 2, chance.randbytes(2)))
    return bytes(body)


def test_random_damage_is_refused_or_read_and_nothing_else(proof: Callable[[str, int, str], None]) -> None:
    chance = random.Random(20261126)  # noqa: S311 - no secret is made of it
    goods = [make() for make in SAMPLES.values()]
    size, taken, longest = case(1000, 100_000), 0, 0.0
    reader = HeatReport()
    for _ in range(size):
        body = damaged(chance, chance.choice(goods))
        began = time.process_time()
        reader.sniff(body, "")
        with suppress(Rejected):
            taken += sum(1 for _ in reader.decode(body, KYIV))
        longest = max(longest, time.process_time() - began)
    assert taken > size / 4
    assert longest < 2
    proof(
        "damaged heat reports",
        size,
        f"{taken} meters and hints still read, the rest refused with a code, at most {longest * 1e3:.0f} ms each",
    )
