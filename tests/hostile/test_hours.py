"""Damaged tables of hours and days: read or refused with places, in little time, whatever stands in them."""

import random
import time
from collections.abc import Callable

from gateway.domain.problems import Rejected
from gateway.mapping import Envelope
from gateway.mapping.interval_workbook import IntervalWorkbook
from tests.conftest import case
from tests.formats import dirt
from tests.formats.make_interval import MIXED_TO_THE_END, TWICE, days, grid, ledger, mangled, texts, turned

WEEK = days(2026, 10, 7)
GOODS = [
    [list(row) for row in rows]
    for rows in (
        grid(WEEK),
        turned(grid(texts(WEEK))),
        grid(texts(WEEK), MIXED_TO_THE_END),
        grid(days(2026, 10, 31)[24:], TWICE),
        grid(WEEK, range(1, 25)),
        grid(WEEK, mangled()),
        [["Почасовые объёмы за Октябрь 2026 г."], [], *grid(WEEK)],
        [row[:27] for row in ledger()[:24]],
    )
]
CELLS = (
    *("", "-", "---", "н/д", "0", "1,5", "1.234.567", "-4", "18х3", "=B2", "9" * 30, "1e5", "NaN", "Итого", "Сутки", "А-", "А+", "Р+"),
    *("01.10.2026", "31.10.2026", "31.11.2026", "2026-10-05", "46296", "01.02", "за Март 2026", "ПУ 77", "Прибор учёта: 1"),
    *("0-1", "1-2", "23-24", "24-00", "2А", "2Б", "02-03*", "5:00", "0:00", "24:00", "7", "24", "25", "\u00a01\u2009000,5", "0" * 500),
)
ZONES = ("Europe/Kyiv", "Europe/Moscow", "Europe/Berlin")


def damaged(chance: random.Random) -> bytes:
    """A good table in which cells are changed, rows and columns swapped, doubled or taken out."""
    rows = [list(row) for row in chance.choice(GOODS)]
    for _ in range(chance.randrange(1, 8)):
        at, other = chance.randrange(len(rows)), chance.randrange(len(rows))
        match chance.randrange(6):
            case 0 | 1 | 2:
                place = chance.randrange(len(rows[at]) or 1)
                rows[at][place : place + 1] = [chance.choice(CELLS)]
            case 3:
                rows[at], rows[other] = rows[other], rows[at]
            case 4:
                rows.insert(at, list(rows[other]))
            case _:
                column = chance.randrange(30)
                rows = [row[:column] + row[column + chance.choice((1, 1, 2)) :] for row in rows]
    rows = [list(column) for column in zip(*rows, strict=False)] if chance.random() < 0.1 else rows
    return dirt.text(rows, "utf-8")


def test_no_damage_to_hours_and_days_is_an_error_of_ours(proof: Callable[[str, int, str], None]) -> None:
    chance = random.Random(20261126)  # noqa: S311 - no secret is made of it
    reader, size, read, slowest = IntervalWorkbook(), case(1000, 100_000), 0, 0.0
    for _ in range(size):
        body = damaged(chance)
        began = time.process_time()
        try:
            found = list(reader.decode(body, Envelope(zone=chance.choice(ZONES), meter=chance.choice(("", "7", "7")))))
        except Rejected as refused:
            found = list(refused.problems)
        else:
            read += 1
        slowest = max(slowest, time.process_time() - began)
        assert found
    assert read > size / 4
    assert slowest < 2
    proof("damaged tables of hours and days", size, f"{read} read, the rest refused with a code, at most {slowest * 1e3:.0f} ms each")
