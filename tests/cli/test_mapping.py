"""`metergate mapping`: from a sample to a document, tried, accepted, and held to what it read."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.formats.make_partner import nothing_said, water_cp1251


@pytest.fixture
def proposed(command: Command, tmp_path: Path) -> Path:
    """A sample beside the mapping that was proposed for it."""
    (tmp_path / "list.csv").write_bytes(water_cp1251().body)
    done = command("mapping", "infer", "list.csv", "--name", "partner_water")
    assert (done.returncode, done.stdout.partition("\n")[0]) == (0, "# Proposed from list.csv: 4 values read, 0 problems.")
    assert "list.csv: text, cp1251, ;" in done.stderr
    (tmp_path / "water.toml").write_text(done.stdout, "utf-8")
    return tmp_path


def test_what_is_proposed_reads_the_sample(command: Command, proposed: Path) -> None:
    done = command("mapping", "try", "list.csv", "--mapping", "water.toml", "--lang", "en")

    head, first, *rest = done.stdout.splitlines()
    assert (done.returncode, head.split()) == (0, ["place", "meter", "register", "value", "period", "read", "at"])
    assert first.split("  ") == [*first.split("  ")]
    assert first == "line 4, column 7  0087123  Volume    103.25 m³  2026-10  2026-10-24"
    assert len(rest) == 3
    assert proposed.exists()


def test_a_question_is_exit_1_and_stands_on_stderr(command: Command, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(nothing_said().body)

    done = command("mapping", "infer", "list.csv")

    assert done.returncode == 1
    assert "question: register: what is measured" in done.stderr
    assert "# QUESTION: what is measured" in done.stdout


def test_wrong_cells_are_told_with_what_to_do(command: Command, proposed: Path) -> None:
    (proposed / "wrong.csv").write_bytes(water_cp1251().body.replace(b"17,5;", b"17,5x;"))

    done = command("mapping", "try", "wrong.csv", "--mapping", "water.toml", "--lang", "en")

    assert done.returncode == 1
    assert next(line for line in done.stdout.splitlines() if line.endswith("[not_a_number]")).startswith("Error: line 6, column 7: ")


def test_an_accepted_sample_is_held_to_what_was_read(command: Command, proposed: Path) -> None:
    accept = ("mapping", "accept", "list.csv", "--mapping", "water.toml", "--into", "accepted")
    assert command(*accept, "--zone", "Europe/Samara").returncode == 0
    home = proposed / "accepted/partner_water"
    assert {path.name for path in home.iterdir()} == {"sample.csv", "mapping.toml", "beside.json", "expected.jsonl"}
    assert (home / "sample.csv").read_bytes() == water_cp1251().body
    lines = [json.loads(line) for line in (home / "expected.jsonl").read_text("utf-8").splitlines()]
    assert [line["reading"]["readings"][0]["value"] for line in lines] == ["103.25", "90", "17.5", "1210"]

    same = command("mapping", "test", "accepted", METERGATE_ZONE="Asia/Tokyo")
    assert (same.returncode, same.stdout) == (0, "same  partner_water\n")

    document = (home / "mapping.toml").read_text("utf-8")
    (home / "mapping.toml").write_text(document.replace('period_from = "day"', 'period_from = "before"', 1), "utf-8")
    differs = command("mapping", "test", "accepted")
    assert differs.returncode == 1
    assert differs.stdout.splitlines()[:2] == ["differs  partner_water", '  line 1, reading.period: was "2026-10", is "2026-09"']


def test_another_sample_needs_a_name_of_its_own(command: Command, proposed: Path) -> None:
    accept = ("--mapping", "water.toml", "--into", "accepted")
    assert command("mapping", "accept", "list.csv", *accept).returncode == 0
    (proposed / "more.csv").write_bytes(water_cp1251().body.replace(b"103,25", b"104,25"))

    refused = command("mapping", "accept", "more.csv", *accept)
    assert (refused.returncode, "holds another sample" in refused.stderr) == (2, True)

    assert command("mapping", "accept", "more.csv", *accept, "--name", "november").returncode == 0
    assert command("mapping", "test", "accepted").stdout == "same  november\nsame  partner_water\n"


def test_a_crosswalk_goes_with_its_sample(command: Command, proposed: Path) -> None:
    document = (proposed / "water.toml").read_text("utf-8").replace("[file]", 'crosswalk = "codes"\n\n[file]', 1)
    (proposed / "water.toml").write_text(document, "utf-8")
    (proposed / "codes.csv").write_text("code;meter\n0087123;77\n", "utf-8")

    assert "--crosswalk" in command("mapping", "try", "list.csv", "--mapping", "water.toml").stderr
    told = ("list.csv", "--mapping", "water.toml", "--crosswalk", "codes.csv")
    assert "  77  " in command("mapping", "try", *told).stdout
    assert command("mapping", "accept", *told, "--into", "accepted").returncode == 0
    assert command("mapping", "test", "accepted").returncode == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("infer", "absent.csv"), "absent.csv: No such file or directory"),
        (("test", "."), "there is no accepted sample in it"),
        (("try", "list.csv", "--mapping", "list.csv"), "mapping: "),
    ],
)
def test_a_mistake_is_a_message_and_exit_2(command: Command, proposed: Path, args: tuple[str, ...], said: str) -> None:
    done = command("mapping", *args)
    assert (done.returncode, said in done.stderr, "Traceback" in done.stderr) == (2, True, False)
    assert proposed.exists()
