"""What the tests of targets share: batches, a sandbox, and every kind of target with a way to see its effects."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from gateway.outbound import Batch, Item, Target, Value
from gateway.registry import build
from tests.peers import TOKEN, Sandbox, running_sandbox

KINDS = ("http_json", "files")
"""Kinds of class A, which promise one effect whatever is repeated."""
ASKED = ("maket_80020", "sftp_file", "soap")
"""Kinds that may be of class B or C; each is tried in a file of its own."""
SOURCES = ("sql_staging",)
"""Kinds that take no readings and give master data."""


def item(number: int, *, key: str = "", meter: str = "", consumption: str = "120.5", revision: int = 1) -> Item:
    """One reading of an invented meter."""
    return Item(
        key=key or f"key-{number}",
        agreement="A-100",
        point=f"P-{number}",
        meter=meter or f"{number:08}",
        period="2025-10",
        at=datetime(2025, 10, 25, 12, tzinfo=UTC),
        revision=revision,
        values=(Value(register="A+", value=Decimal("1843.7"), unit="kWh", previous=Decimal("1723.2"), consumption=Decimal(consumption)),),
    )


def two(key: str, agreement: str = "A-100", meter: str = "№ 7-ж") -> Item:
    """A reading of two registers."""
    values = (Value(register="A+:day", value=Decimal("10.5"), unit="kWh"), Value(register="A+:night", value=Decimal("-0.25"), unit="kWh"))
    one = item(1)
    return Item(key=key, agreement=agreement, point="", meter=meter, period=one.period, at=one.at, revision=0, values=values)


def batch(name: str, *items: Item) -> Batch:
    """A batch of these items, of three when none are given."""
    return Batch(id=name, items=items or tuple(item(number) for number in range(3)))


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox billing with one account."""
    with running_sandbox(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def idle(lasting: Sandbox) -> Iterator[Sandbox]:
    """A sandbox billing for tests that have no effect there, so that they can share it."""
    lasting.control("up")
    yield lasting
    assert lasting.effects() == {}


class Bench(NamedTuple):
    """A target of some kind, and how often each key had an effect beyond it."""

    target: Target
    effects: Callable[[], dict[str, int]]


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    """Every kind of target in turn, against the real thing."""
    if request.param == "files":
        folder = tmp_path / "drop"
        folder.mkdir()
        return Bench(build(Target, {"kind": "files", "folder": str(folder)}), lambda: in_files(folder))
    running: Sandbox = request.getfixturevalue("sandbox")
    return Bench(build(Target, {"kind": "http_json", "url": running.url, "token": TOKEN, "timeout": 10.0}), running.effects)


def in_files(folder: Path) -> dict[str, int]:
    """The number of files each key is in."""
    return dict(Counter(row["key"] for file in folder.glob("*.json") for row in msgspec.json.decode(file.read_bytes())["items"]))
