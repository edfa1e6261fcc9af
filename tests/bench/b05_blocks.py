"""B5: interval blocks into PostgreSQL by the product's own way, compared and with a history, beside a COPY of ready bytes."""

import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import cache

import psycopg

from gateway.domain.readings import IntervalBlock, Step, written
from gateway.store import Store, intervals
from gateway.store.intake import new_id
from gateway.store.intervals import Brought, literal
from tests.bench import ground
from tests.bench.row import RUNS, Row, faster, limit, rounds

METERS = 1390
FIRST = date(2026, 1, 1)
VALUES = [Decimal(number % 9_973 * 25).scaleb(-2) for number in range(48_000)]
"""Consumption in quarters of a unit; a value of three decimals takes a byte more on disk."""
HOURLY = METERS * 30 * 24
"""Values of one run: a month of hours of each meter."""
DAILY_METERS = 2800
DAILY = DAILY_METERS * 12 * 30
"""Values of one run: a year of days of each meter, taken as months of 30."""


def some(start: int, count: int) -> tuple[Decimal, ...]:
    """Values, each run of them another."""
    at = start % (len(VALUES) - count)
    return tuple(VALUES[at : at + count])


@cache
def hourly() -> tuple[tuple[IntervalBlock, ...], ...]:
    """By meter, 30 days of 24 hours."""
    return tuple(
        tuple(
            IntervalBlock(
                register="A+", step=Step.HOUR, day=FIRST + timedelta(days=day), written=written(some((meter * 30 + day) * 24, 24))
            )
            for day in range(30)
        )
        for meter in range(METERS)
    )


@cache
def daily() -> tuple[tuple[IntervalBlock, ...], ...]:
    """By meter, 12 months of 30 days."""
    return tuple(
        tuple(
            IntervalBlock(
                register="A+", step=Step.DAY, day=FIRST.replace(month=month), written=written(some((meter * 12 + month) * 30, 30))
            )
            for month in range(1, 13)
        )
        for meter in range(DAILY_METERS)
    )


def run() -> list[Row]:
    """New blocks, the same again, all of them changed; then what a value takes on disk."""
    database = ground.fresh("b05", ground.registry())
    url = ground.server().url("owner", database)
    store = Store(ground.server().url("worker", database), role="worker", pool=1)
    with store.transaction() as connection:
        utility = int(connection.exec_driver_sql("select id from utility").scalar_one())
        meters = [row.id for row in connection.exec_driver_sql("select id from meter order by id limit 3000")]
    found = []
    for name, blocks, count in (("hours in days", hourly(), HOURLY), ("days in months", daily(), DAILY)):
        found += _lines(store, url, utility, meters, name, blocks, count)
    store.close()
    return found


def _lines(
    store: Store, url: str, utility: int, meters: Sequence[int], name: str, blocks: Sequence[tuple[IntervalBlock, ...]], count: int
) -> list[Row]:
    ready = "".join(
        f"{utility}\t{number}\t{block.day}\t1\t{literal(block)}\t\\N\n" for number, own in enumerate(blocks, 1) for block in own
    ).encode()
    changed = tuple(tuple(_other(block) for block in own) for own in blocks)

    def ours(what: Sequence[tuple[IntervalBlock, ...]], *, cleared: bool) -> Callable[[], float]:
        def once() -> float:
            if cleared:
                _clear(url)
            return count / _bring(store, utility, meters, what)

        return once

    def copied() -> float:
        with psycopg.connect(url) as connection:
            connection.execute("truncate interval_block")
            connection.commit()
            began = time.perf_counter()
            with connection.cursor() as cursor, cursor.copy("copy interval_block from stdin") as copy:
                copy.write(ready)
            connection.commit()
            return count / (time.perf_counter() - began)

    rates = rounds({"new": ours(blocks, cleared=True), "copy": copied})
    _clear(url)
    _bring(store, utility, meters, blocks)
    size = ground.count("b05", "select pg_total_relation_size('interval_block')") / count
    again = rounds({"again": ours(blocks, cleared=False)})
    turns = iter([changed, blocks] * RUNS)
    change = rounds({"changed": lambda: count / _bring(store, utility, meters, next(turns))})
    return [
        faster("B5", f"{count:,} values, {name}, new", rates["new"], rates["copy"], unit="values/s", peer="ready COPY", goal=0.7),
        faster("B5", f"{name}, the same again", again["again"], rates["copy"], unit="values/s", peer="ready COPY"),
        faster("B5", f"{name}, all changed, with history", change["changed"], rates["copy"], unit="values/s", peer="ready COPY"),
        limit("B5", f"{name}, on disk", size, unit="bytes/value", goal=16.0 + 1e-9),
    ]


def _other(block: IntervalBlock) -> IntervalBlock:
    values = (block.values[0] + 1 if block.values[0] is not None else None, *block.values[1:])
    return IntervalBlock(register=block.register, step=block.step, day=block.day, written=written(values))


def _bring(store: Store, utility: int, meters: Sequence[int], blocks: Sequence[tuple[IntervalBlock, ...]]) -> float:
    began = time.perf_counter()
    with store.transaction() as connection:
        brought = [
            Brought(new_id(), meters[n], own, keep=False, period=(own[0].day, own[-1].day), counted=frozenset({"A+"}))
            for n, own in enumerate(blocks)
        ]
        compared = intervals.compare(connection, utility, brought)
        intervals.merge(connection, utility, compared, {one.reading for one in brought})
    return time.perf_counter() - began


def _clear(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("truncate interval_block, interval_history, interval_source")
