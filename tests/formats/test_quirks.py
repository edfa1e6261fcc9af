"""The page of quirks names nothing that does not exist, and leaves out no sample of mappings and registers."""

import re

from tests.formats.make import HERE, samples

ROOT = HERE.parents[1]
PAGE = (ROOT / "docs" / "quirks.md").read_text("utf-8")
NAMED = set(re.findall(r"`([a-z0-9_]+/[^`\s]+)`", PAGE)) - {"tests/formats", "tests/formats/test_quirks.py"}
WHOLE = ("mapping", "readings_register")


def test_every_file_and_test_that_the_page_names_exists() -> None:
    tests = {name for name in NAMED if "::" in name}
    files = NAMED - tests
    assert files <= {f"{path.parent.name}/{path.name}" for path in samples()}
    for name in tests:
        path, _, function = name.partition("::")
        assert f"def {function}(" in (ROOT / path).read_text("utf-8"), name
    assert len(files) > 100


def test_no_sample_made_for_a_quirk_is_left_out() -> None:
    made = {f"{path.parent.name}/{path.name}" for path in samples() if path.parent.name in WHOLE}
    assert made <= NAMED
