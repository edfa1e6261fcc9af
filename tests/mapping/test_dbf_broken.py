"""Broken tables of dBase by the thousand: each is read or refused, with places, at once and in little memory."""

import random
import re
import time
import tracemalloc
from collections.abc import Callable

from gateway.domain.problems import Rejected
from gateway.mapping.dbf import read_dbf
from gateway.settings import Limits
from tests.conftest import case
from tests.mapping.test_dbf import raw, table

LIMITS = Limits()


def test_whatever_is_broken_is_read_or_refused(proof: Callable[[str, int, str], None]) -> None:
    chance = random.Random(27)  # noqa: S311 - seeded on purpose
    good = [
        bytes(table()),
        bytes(table("utf-8")),
        raw([(b"N", b"I", 4, 0), (b"S", b"C", 3, 0)], [b" \1\0\0\0abc"] * 5, version=0x30, fox=263),
    ]
    began, slowest = time.monotonic(), 0.0
    runs = case(1000, 100_000)
    for _ in range(runs):
        body = bytearray(chance.choice(good))
        for _ in range(chance.randint(1, 6)):
            match chance.randrange(4):
                case 0:
                    body[chance.randrange(len(body))] = chance.randrange(256)
                case 1:
                    body[chance.randrange(min(80, len(body)))] = chance.choice((0, 1, 13, 32, 42, 127, 255))
                case 2:
                    del body[chance.randrange(len(body)) :]
                case _:
                    at = chance.randrange(len(body))
                    body[at:at] = chance.randbytes(chance.randrange(1, 40))
            body = body or bytearray(b"\3")
        before = time.monotonic()
        try:
            found = read_dbf(bytes(body), LIMITS)
            assert len(found.rows) * len(found.rows[0]) <= 8 * len(body)
            assert all(problem.where == "" or re.match(r"(field|record \d+)", problem.where) for problem in found.problems)
        except Rejected:
            pass
        slowest = max(slowest, time.monotonic() - before)
    assert slowest < 1
    proof(
        "broken DBF tables read or refused",
        runs,
        f"none crashed, the slowest took {slowest * 1e3:.0f} ms of {time.monotonic() - began:.0f} s",
    )


def test_a_table_at_its_limits_costs_little_more_than_its_cells() -> None:
    body = raw([(b"A", b"C", 200, 0)], [b" " + b"x" * 200] * 20_000)
    tracemalloc.start()
    rows = len(read_dbf(body, LIMITS).rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == 20_001
    assert peak < 3 * len(body)
