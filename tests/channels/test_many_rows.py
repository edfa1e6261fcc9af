"""A large integral workbook from its bytes to judged rows, all rules on: how long it takes, and how much of that the rules take."""

import cProfile
import io
import pstats
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import openpyxl

from gateway import pipeline
from gateway.domain.rules import check
from gateway.domain.supply import Line
from gateway.mapping import Envelope, formats
from gateway.mapping.integral_template import template
from gateway.pipeline import Post, new_entry
from gateway.store import feed, people, supply
from gateway.worker import Worker
from tests.conftest import Database, case
from tests.running import Utility, running_gateway

NUMBER = "78010000002778"


def meters(utility: Utility, count: int) -> None:
    """Meters of one agreement, believed for two months, so that every rule has something to look at."""
    before = utility.before
    lines = [
        Line(agreement=NUMBER, point=f"P{n}", meter=f"{1_000_000 + n}", register="A+", digits=6, last=Decimal(1000), last_period=before)
        for n in range(count)
    ]
    with utility.gateway.owner.transaction() as connection:
        feed.import_lines(connection, utility.id, utility.profile.name, lines)
    utility.gateway.rows(
        "update register set before = 900, before_at = now() - interval '60 days', last_at = now() - interval '30 days', daily = 3 "
        "where utility_id = %(u)s",
        u=utility.id,
    )


def filled(utility: Utility) -> bytes:
    """The template of the agreement with a present value for each meter; one in a hundred has gone backwards, one in fifty too far."""
    with utility.gateway.store.transaction() as connection:
        known = [one.meter for one in supply.meters_of(connection, utility.id, NUMBER)]
    book = openpyxl.load_workbook(io.BytesIO(template(known, agreement=NUMBER, period=utility.period, language="ru")))
    sheet = book.worksheets[0]
    for number, row in enumerate(sheet.iter_rows(min_row=2, max_row=len(known) + 1), 1):
        row[8].value = 900 if number % 100 == 0 else 9000 if number % 50 == 0 else 1100 + number % 7
    packed = io.BytesIO()
    book.save(packed)
    return packed.getvalue()


def test_a_large_integral_workbook_is_judged_by_all_rules(
    database: Database, proof: Callable[[str, int, str], None], tmp_path: Path
) -> None:
    with running_gateway(database.url("owner"), database.url("app"), database.url("worker"), tmp_path) as gateway:
        utility, count = gateway.utility("legal_entity"), case(300, 10_000)
        meters(utility, count)
        body = filled(utility)
        with gateway.store.transaction() as connection:
            sender = people.sender_of(connection, utility.key)
        assert sender is not None
        entry = new_entry(sender, Envelope(zone=utility.profile.zone, file_name="many.xlsx"), body, channel="api")
        pipeline.receive(gateway.store, [Post(entry=entry, found=[], say=lambda _: b"")], translated=False)
        worker = Worker(gateway.store, gateway.settings, formats(gateway.settings.limits), name="many")
        profiler = cProfile.Profile()
        if case(1, 0):
            profiler.enable()
        began = time.perf_counter()
        assert worker.translate_one()
        took = time.perf_counter() - began
        profiler.disable()
        [row] = gateway.rows("select total, accepted, in_review, rejected from submission where id = %(id)s", id=entry.id)
        assert (row.total, row.in_review) == (count, 2 * (count // 100))
        proof(
            f"integral workbook of {count} meters: bytes to judged rows",
            count,
            f"{took:.1f} s, {len(body) / 2**20:.1f} MiB{share(profiler)}",
        )


def share(profiler: cProfile.Profile) -> str:
    """How much of a profiled run the rules took."""
    found = pstats.Stats(profiler).stats if profiler.getstats() else {}  # type: ignore[attr-defined]
    rules = sum(entry[3] for key, entry in found.items() if key[2] == check.__name__)
    whole = max((entry[3] for entry in found.values()), default=0)
    return f", rules {100 * rules / whole:.0f} %" if whole else ""
