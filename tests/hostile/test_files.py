"""A hostile file costs at most ten seconds and 512 MiB, is refused with its code and place, and the next good one is served at once."""

import threading
import time

import pytest

from gateway.domain.problems import Rejected
from gateway.mapping.child import children
from gateway.mapping.tables import read_tables
from gateway.settings import Limits
from tests.hostile.files import ARCHIVES, FAKES, MEBIBYTE, WORKBOOKS, Hostile, good, sheet, workbook

LIMITS = Limits()
ALL = ARCHIVES | WORKBOOKS | FAKES


def refusal(body: bytes, limits: Limits = LIMITS) -> tuple[str, str]:
    with pytest.raises(Rejected) as refused:
        read_tables(body, limits)
    [problem] = refused.value.problems
    return problem.code, problem.where


@pytest.mark.parametrize("hostile", ALL.values(), ids=ALL)
def test_is_refused_with_its_code_and_place_and_the_next_file_is_served(hostile: Hostile) -> None:
    body = hostile.make()
    started = time.monotonic()
    found = refusal(body)
    refused = time.monotonic()
    [table] = read_tables(good(), LIMITS)
    served = time.monotonic()
    assert found == (hostile.code, hostile.where)
    assert table.rows == [[1.0]]
    assert refused - started < 10
    assert served - refused < 1
    assert children.peak < 512 * MEBIBYTE


def test_a_child_that_takes_too_long_is_killed_and_replaced() -> None:
    rows = "".join(f'<row r="{row}"><c r="A{row}" t="inlineStr"><is><t>{row}</t></is></c></row>' for row in range(1, 150_001))
    body = workbook(sheet(rows))
    read_tables(good(), LIMITS)
    assert refusal(body, Limits(child_seconds=0.05)) == ("file_too_costly", "")
    started = time.monotonic()
    assert len(read_tables(good(), LIMITS)) == 1
    assert time.monotonic() - started < 1
    assert len(read_tables(body, LIMITS)[0].rows) == 150_000


def test_a_child_that_wants_too_much_memory_is_refused() -> None:
    rows = "".join(f'<row r="{row}"><c r="A{row}"><v>{row}</v></c></row>' for row in range(1, 150_001))
    assert refusal(workbook(sheet(rows)), Limits(child_memory=40 * MEBIBYTE)) == ("file_too_costly", "")
    assert len(read_tables(good(), LIMITS)) == 1


def test_each_thread_has_a_child_of_its_own() -> None:
    body = good()
    served: list[object] = []

    def read() -> None:
        served.extend(read_tables(body, LIMITS)[0].rows for _ in range(20))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert served == [[[1.0]]] * 80
