"""What makes rows of a registry say each of their codes."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial

from gateway.domain.coverage import Expected, within
from gateway.domain.problems import Rejected
from gateway.domain.supply import Line
from gateway.mapping.history_rows import history_rows
from gateway.mapping.registry_rows import csv_rows
from gateway.pipeline import recalling
from gateway.store import Store, feed, people
from tests.conftest import fresh_database, shared_server
from tests.samples.api import asked

HEAD = "agreement;point;meter;register;digits;last;last_period"
CONTRADICTIONS = ("registry_contradicts", "registry_id_taken", "registry_twice", "registry_encoding", "registry_media", "profile_unknown")


def read(*lines: str) -> Callable[[], Iterable[str]]:
    """The codes that reading these lines yields."""

    def codes() -> Iterable[str]:
        try:
            return [problem.code for row in csv_rows(f"{line}\n" for line in lines) for problem in row.problems]
        except Rejected as refused:
            return [problem.code for problem in refused.problems]

    return codes


def wide() -> Iterable[str]:
    """More registers than are shown at once."""
    one = Expected(agreement="1", party="", location="", point="1", point_name="", meter="1", register="A+", status=None, reading=None)
    try:
        within([one] * 3, 2)
    except Rejected as refused:
        return [problem.code for problem in refused.problems]
    return []


def told_twice() -> Iterable[str]:
    """A day of a register that stands in a history twice."""
    found: list[str] = []
    for database in fresh_database(shared_server("embedded")):
        store = Store(database.url(), role="owner", pool=1)
        with store.transaction() as connection:
            utility = people.ensure_utility(connection, "city")
            people.ship(connection, utility, "water", "test")
            feed.import_lines(connection, utility, "water", [Line(agreement="1", point="1", meter="1", register="volume", digits=5)])
            rows = history_rows(["agreement;meter;register;date;value", *["1;1;volume;2024-01-31;5"] * 2])
            found = [problem.code for problem in recalling.bring(connection, utility, rows, datetime.now(UTC)).problems]
        store.close()
    return found


SAMPLES: dict[str, Callable[[], Iterable[str]]] = {
    "coverage_too_wide": wide,
    "history_twice": told_twice,
    "registry_cell": read(HEAD, "1;1;1;A*;6;;"),
    "registry_cell_empty": read(HEAD, ";1;1;A+;6;;"),
    "registry_cells": read(HEAD, "1;1"),
    "eic_invalid": read(f"{HEAD};point_ids", "1;1;1;A+;6;;;eic=62Z0000000000001"),
    "registry_column": read(f"{HEAD};colour"),
    "registry_incomplete": read(HEAD, "1;1;1;A+;6;5;"),
    "registry_unreadable": read(HEAD, '1;"1"1;1;A+;6;;'),
    **{code: partial(asked, code) for code in CONTRADICTIONS},
}
