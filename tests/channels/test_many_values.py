"""Many interval values from a file to accepted rows: how many a second, how many bytes each takes, how much memory the worker needs."""

from calendar import monthrange
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway import pipeline
from gateway.domain.supply import Line
from gateway.domain.windows import month
from gateway.mapping import Envelope
from gateway.pipeline import Post, new_entry
from gateway.store import feed, people
from tests.channels.translating import translated
from tests.conftest import Database, case
from tests.running import Gateway, Utility, running_gateway

COLUMNS = ("Q, Гкал", "M1, т", "M2, т", "V1, м3", "V2, м3", "t1, °C", "t2, °C", "tхв, °C", "P1, МПа", "P2, МПа", "Tнар, ч", "Tэп, ч")


def archive(meters: list[str], period: str, *, hourly: bool) -> Iterator[str]:
    """The lines of a file: all columns of every meter over the month."""
    first = month(period)
    yield ";".join(("Номер прибора", "Вид", "Дата", "Время", *COLUMNS))
    moments = [
        (f"{first.replace(day=day):%d.%m.%Y}", f"{hour:02}:00" if hourly else "")
        for day in range(1, monthrange(first.year, first.month)[1] + 1)
        for hour in (range(24) if hourly else (0,))
    ]
    for number, meter in enumerate(meters):
        for place, (day, clock) in enumerate(moments):
            base = (number * 7919 + place * 104_729) % 9_973
            values = (f"{base % 97}.{base % 1000:03}", *(f"{(base * column) % 89}.{(base + column) % 100:02}" for column in range(2, 13)))
            yield ";".join((meter, "час" if hourly else "сутки", day, clock, *values))


def meters_of(utility: Utility, count: int) -> list[str]:
    numbers = [f"{1_000_000 + number}" for number in range(count)]
    lines = [Line(agreement="ТЭ", point=f"P{number}", meter=number, register="heat", digits=9, decimals=3) for number in numbers]
    with utility.gateway.owner.transaction() as connection:
        feed.import_lines(connection, utility.id, "contractor_heat", lines)
    return numbers


@pytest.mark.parametrize("hourly", [True, False], ids=["hourly", "daily"])
def test_many_values_from_a_file_to_accepted_rows(
    database: Database, proof: Callable[[str, int, str], None], tmp_path: Path, *, hourly: bool
) -> None:
    with running_gateway(database.url("owner"), database.url("app"), database.url("worker"), tmp_path) as gateway:
        many_values(gateway, database, proof, hourly=hourly)


def many_values(gateway: Gateway, database: Database, proof: Callable[[str, int, str], None], *, hourly: bool) -> None:
    utility = gateway.utility("contractor_heat")
    length = monthrange(*map(int, utility.period.split("-")))[1]
    each = len(COLUMNS) * length * (24 if hourly else 1)
    wanted = case(40_000, 1_000_000) if hourly else case(4_000, 100_000)
    meters = meters_of(utility, -(-wanted // each))
    body = "\r\n".join((*archive(meters, utility.period, hourly=hourly), "")).encode("cp1251", "replace")
    with gateway.store.transaction() as connection:
        sender = people.sender_of(connection, utility.key)
    assert sender is not None
    entry = new_entry(sender, Envelope(zone=utility.profile.zone, file_name="many.csv"), body, channel="api")
    pipeline.receive(gateway.store, [Post(entry=entry, found=[], say=lambda _: b"")], translated=False)
    took = translated(database.url("worker"))
    [kept] = gateway.rows("select sum(cardinality(values)) as n, pg_total_relation_size('interval_block') as bytes from interval_block")
    states = gateway.rows("select status, count(*) as n from meter_reading group by status")
    assert [(row.status, row.n) for row in states] == [("queued", len(meters))]
    assert kept.n == len(meters) * each
    figure = (
        f"{kept.n / took.seconds:,.0f} values/s, {kept.bytes / kept.n:.1f} bytes/value, "
        f"{took.mebibytes:.0f} MiB above idle, {len(body) / 2**20:.1f} MiB"
    )
    proof(f"heat archive, {'hours' if hourly else 'days'}, {len(meters)} meters: bytes to accepted rows", int(kept.n), figure)
    assert took.mebibytes < 512
