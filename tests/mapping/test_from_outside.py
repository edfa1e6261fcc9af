"""A format that is no part of Metergate: a package of its own on the path, named in the settings by its dotted kind."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from gateway.domain.problems import Misconfigured
from gateway.mapping import Envelope, formats
from gateway.settings import Limits, load
from tests.conftest import ROOT

PACKAGE = '''
"""Readings as a village writes them: `meter=value`, a line each."""

from collections.abc import Iterator
from decimal import Decimal

from gateway.domain.problems import Problem
from gateway.domain.readings import MeterReading, Reading
from gateway.mapping import Envelope, Format


class VillageNotes(Format, frozen=True, kw_only=True):
    """`sign` stands between meter and value."""

    sign: str = "="

    def sniff(self, body: bytes, file_name: str) -> bool:
        return body.startswith(b"#village")

    def decode(self, body: bytes, envelope: Envelope) -> Iterator[MeterReading | Problem]:
        for number, line in enumerate(body.decode().splitlines()[1:], 2):
            meter, _, value = line.partition(self.sign)
            reading = Reading(register="volume", value=Decimal(value), where=f"line {number}")
            yield MeterReading(meter=meter, readings=(reading,), period=envelope.period, where=f"line {number}")
'''
SETTINGS = '[formats.notes]\nkind = "village_formats.notes"\nsign = ":"\n'


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package beside a settings file that names it."""
    (tmp_path / "village_formats").mkdir()
    (tmp_path / "village_formats" / "__init__.py").write_text('"""Formats of a village."""\n', "utf-8")
    (tmp_path / "village_formats" / "notes.py").write_text(PACKAGE, "utf-8")
    (tmp_path / "metergate.toml").write_text(SETTINGS, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_it_reads_its_own_files_by_its_own_settings(installed: Path) -> None:
    known = formats(Limits(), load(installed / "metergate.toml").formats)
    assert next(iter(known)) == "notes"
    assert known["notes"].sniff(b"#village\n7:5\n", "")
    [reading] = known["notes"].decode(b"#village\n7:5.5\n", Envelope(period="2025-10"))
    assert (reading.meter, str(reading.readings[0].value), reading.where) == ("7", "5.5", "line 2")  # type: ignore[union-attr]


def test_the_command_line_reads_them_too(installed: Path) -> None:
    (installed / "list.txt").write_bytes(b"#village\n7:5\n8:6\n")
    command = [sys.executable, "-m", "gateway", "read", str(installed / "list.txt")]
    told = {"PYTHONPATH": f"{installed}:{ROOT}", "METERGATE_CONFIG": str(installed / "metergate.toml")}
    done = subprocess.run(command, capture_output=True, text=True, env=told, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    assert [(row["point"], row["value"]) for row in rows] == [("7", "5"), ("8", "6")]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "notes"}, "`kind` must be the dotted name of a module"),
        ({"kind": "village_formats.absent"}, "No module named"),
        ({"kind": "village_formats.notes", "sign": 7}, "Expected `str`, got `int`"),
    ],
)
@pytest.mark.usefixtures("installed")
def test_what_cannot_be_built_is_named(settings: dict[str, object], said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        formats(Limits(), {"notes": settings})
