"""Every sample file gives what stands beside it, and what is published is what the code says."""

from pathlib import Path

import pytest

from gateway.mapping.canonical_json import schema, values
from tests.formats.make import PUBLISHED, expected, outcome, published, samples


@pytest.mark.parametrize("path", samples(), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_sample_gives_what_is_expected(path: Path) -> None:
    envelope, found = expected(path)
    assert outcome(path, path.read_bytes(), envelope) == found


def test_there_are_samples() -> None:
    assert len(samples()) >= 14


def test_the_schema_is_published_as_it_is() -> None:
    assert (PUBLISHED / "meter_readings.schema.json").read_text("utf-8") == published(schema()), "run python -m tests.formats.make keep"


def test_the_values_are_published_as_they_are() -> None:
    assert (PUBLISHED / "values.json").read_text("utf-8") == published(values()), "run python -m tests.formats.make keep"
