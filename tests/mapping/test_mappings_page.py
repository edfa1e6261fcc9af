"""The page of mappings names every key and no other, and its ten minutes are what the commands really say."""

import contextlib
import io
import re
import shlex
from pathlib import Path
from typing import get_args

import pytest

from gateway.cli import main
from gateway.domain.crosswalks import COLUMNS
from gateway.domain.mappings import ENCODINGS, Applied, Control, Field, File, Mapping, ValueColumn, read_mapping
from gateway.domain.units import UNITS

PAGE = (Path(__file__).parents[2] / "contracts_schema/formats/mappings.md").read_text("utf-8")
SECTIONS = {"file", "applied", "control"}


def tables(head: str) -> set[str]:
    """The names in the first column of every table on the page whose first column is called so."""
    found: set[str] = set()
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        first, _, *rows = [line.split("|")[1].strip() for line in table.splitlines()]
        if first == head:
            found |= {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    return found


def blocks(kind: str) -> list[str]:
    """The blocks of a kind on the page."""
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize(
    ("head", "names"),
    [
        ("key", Mapping.__struct_fields__),
        ("field", get_args(Field)),
        ("key of `values`", ValueColumn.__struct_fields__),
        ("key of `file`", File.__struct_fields__),
        ("key of `applied`", Applied.__struct_fields__),
        ("key of `control`", Control.__struct_fields__),
        ("column", COLUMNS),
    ],
)
def test_the_page_names_every_key_and_no_other(head: str, names: tuple[str, ...]) -> None:
    assert tables(head) == set(names)


def test_the_page_names_every_unit_and_only_encodings_that_are_known() -> None:
    [row] = [line for line in PAGE.splitlines() if line.startswith("| `unit` | of energy")]
    assert set(re.findall(r"`([^`]+)`", row)) == {"unit", *(unit for several in UNITS.values() for unit in several)}
    [row] = [line for line in PAGE.splitlines() if line.startswith("| `encoding`")]
    assert set(re.findall(r"`([^`]+)`", row)) - {"encoding"} <= ENCODINGS


def test_the_ten_minutes_are_what_the_commands_say(tmp_path: Path) -> None:
    sample, codes = blocks("csv")
    with contextlib.chdir(tmp_path):
        Path("zarya.csv").write_bytes(sample.replace("\n", "\r\n").encode("cp1251"))
        Path("zarya_codes.csv").write_text(codes, "utf-8")

        for shown in blocks("console"):
            for command, said in re.findall(r"^\$ metergate (.*)\n((?:(?!\$ ).*\n)*)", shown, re.MULTILINE):
                out = io.StringIO()
                with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out if " accept " in command else io.StringIO()):
                    assert main(shlex.split(command)) == 0, command
                assert out.getvalue() == said
                if command.startswith("mapping infer"):
                    Path("zarya_water.toml").write_text(said, "utf-8")
    assert read_mapping((tmp_path / "partners/zarya_water/mapping.toml").read_bytes()).name == "zarya_water"
