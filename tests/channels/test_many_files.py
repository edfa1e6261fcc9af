"""Many files of interval values by a mapping, one after the other into one store: does the cost of a value stay the same?"""

from calendar import monthrange
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from gateway import pipeline, profiles
from gateway.demo.invented import any_day
from gateway.domain.supply import Line
from gateway.domain.windows import month
from gateway.mapping import Envelope
from gateway.pipeline import Post, new_entry
from gateway.store import feed, people
from tests.channels.translating import translated
from tests.conftest import Database, case
from tests.running import Gateway, Utility, running_gateway

METERS = 100
MAPPING = """
name = "hours_across"
title = "Hours down, a meter in each column"
layout = "series"
across = true
register = "A+"
[columns]
day = ["Дата"]
clock = ["Час"]
"""


@pytest.mark.parametrize("wanted", [case(20_000, 100_000), case(80_000, 1_000_000), case(160_000, 10_000_000)], ids=["few", "more", "many"])
def test_the_cost_of_a_value_stays_the_same(
    database: Database, proof: Callable[[str, int, str], None], tmp_path: Path, wanted: int
) -> None:
    with running_gateway(database.url("owner"), database.url("app"), database.url("worker"), tmp_path) as gateway:
        utility = gateway.utility("legal_entity")
        learn(utility)
        last = month(utility.period)
        each = METERS * 24 * days_of(last)
        files = -(-wanted // each)
        for number in range(files):
            post(gateway, utility, number, last)
        took = translated(database.url("worker"))
        [kept] = gateway.rows("select sum(cardinality(values)) as n, pg_total_relation_size('interval_block') as bytes from interval_block")
        states = gateway.rows("select status, count(*) as n from meter_reading group by status")
        assert [(row.status, row.n) for row in states] == [("queued", files * METERS)]
        assert kept.n == files * each
        figure = f"{kept.n / took.seconds:,.0f} values/s, {kept.bytes / kept.n:.1f} bytes/value, {took.mebibytes:.0f} MiB above idle"
        proof(f"hours of {METERS} meters a file by a mapping, {files} files: bytes to accepted rows", int(kept.n), figure)
        assert took.mebibytes < 256


def days_of(first: date) -> int:
    return monthrange(first.year, first.month)[1]


def learn(utility: Utility) -> None:
    """The mapping, and a profile that lets it in."""
    document = any_day(profiles.shipped()["legal_entity"]).decode().replace('formats = ["canonical_json"', 'formats = ["hours_across"')
    with utility.gateway.owner.transaction() as connection:
        people.save_document(connection, utility.id, "mapping", "hours_across", MAPPING.encode(), "test")
        people.save_document(connection, utility.id, "profile", "legal_entity", document.encode(), "test")


def post(gateway: Gateway, utility: Utility, number: int, first: date) -> None:
    """A file of the month for meters that no other file has."""
    meters = [f"{1_000_000 + number * METERS + place}" for place in range(METERS)]
    lines = [Line(agreement="A-1", point=f"P{meter}", meter=meter, register="A+", digits=9, decimals=3) for meter in meters]
    rows = [";".join(("Дата", "Час", *meters))]
    for day in range(1, days_of(first) + 1):
        for hour in range(1, 25):
            base = (number * 7919 + day * 104_729 + hour * 31) % 9_973
            values = (f"{(base * (place + 3)) % 89}.{(base + place) % 1000:03}" for place in range(METERS))
            rows.append(";".join((f"{first.replace(day=day):%d.%m.%Y}", f"{hour:02}:00", *values)))
    body = "\r\n".join((*rows, "")).encode()
    with gateway.owner.transaction() as connection:
        feed.import_lines(connection, utility.id, "legal_entity", lines)
        sender = people.sender_of(connection, utility.key)
    assert sender is not None
    envelope = Envelope(zone=utility.profile.zone, kind="hours_across", period=utility.period, file_name=f"{number}.csv")
    entry = new_entry(sender, envelope, body, channel="api")
    pipeline.receive(gateway.store, [Post(entry=entry, found=[], say=lambda _: b"")], translated=False)
