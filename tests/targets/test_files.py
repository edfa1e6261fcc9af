"""The folder target: what a person and a program find in it, and what crashes and full disks leave of it."""

import csv
import resource
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from gateway.domain.problems import Misconfigured, Unavailable
from gateway.outbound import Batch
from gateway.outbound.files import KEPT, Files
from tests.targets.conftest import batch, in_files, item


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "drop"
    made.mkdir()
    return made


def test_the_table_opens_in_a_spreadsheet_of_a_local_office(folder: Path) -> None:
    Files(folder=str(folder)).deliver(batch("b1", item(1)))

    content = (folder / "b1.csv").read_bytes()

    assert content.startswith(b"\xef\xbb\xbfkey;agreement;point;meter;period;at;revision;register;value;unit;previous;consumption;")
    assert content.endswith(b"key-1;A-100;P-1;00000001;2025-10;2025-10-25T12:00:00+00:00;1;A+;1843,7;kWh;1723,2;120,5;valid;0;0\r\n")


def test_the_json_is_exact(folder: Path) -> None:
    Files(folder=str(folder)).deliver(batch("b1", item(1, consumption="0.123456789012345678901234567890")))

    (row,) = msgspec.json.decode((folder / "b1.json").read_bytes())["items"]

    assert row["values"][0]["consumption"] == "0.123456789012345678901234567890"


@pytest.mark.parametrize("evil", ["=1+1", "+7", "-7", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
def test_no_cell_is_a_formula(folder: Path, evil: str) -> None:
    Files(folder=str(folder)).deliver(batch("b1", item(1, meter=evil, consumption="-5.5")))

    with (folder / "b1.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file, delimiter=";")

    assert row["meter"] == f"'{evil}"
    assert row["consumption"] == "-5,5"


def test_a_key_is_written_once_also_when_the_files_were_carried_away(folder: Path) -> None:
    Files(folder=str(folder)).deliver(batch("b1", item(1)))
    for file in folder.glob("b1.*"):
        file.unlink()

    receipt = Files(folder=str(folder)).deliver(batch("b2", item(1), item(2)))

    assert [answer.reference for answer in receipt.answers] == ["b1", "b2"]
    assert in_files(folder) == {"key-2": 1}


@pytest.mark.parametrize("bad", ["../b1", "b/1", ".hidden", "", "b 1", "b\n"])
def test_a_batch_that_cannot_be_a_file_name_is_not_written(folder: Path, bad: str) -> None:
    with pytest.raises(Misconfigured):
        Files(folder=str(folder)).deliver(Batch(id=bad, items=(item(1),)))

    assert list(folder.iterdir()) == []


def test_a_folder_that_is_not_there_is_the_operators(folder: Path) -> None:
    folder.rmdir()

    with pytest.raises(Misconfigured):
        Files(folder=str(folder)).deliver(batch("b1"))


def test_a_full_disk_passes_and_leaves_nothing_half(folder: Path) -> None:
    target = Files(folder=str(folder))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(Unavailable) as full:
            target.deliver(Batch(id="b1", items=tuple(item(number) for number in range(100))))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)

    assert not full.value.sent
    assert in_files(folder) == {}
    target.deliver(Batch(id="b2", items=tuple(item(number) for number in range(100))))
    assert len(in_files(folder)) == 100


CRASH = """
import os, sys
from gateway.outbound import files
from tests.targets.conftest import batch, item
kill = lambda *_: os.kill(os.getpid(), 9)
setattr(files._Memory, sys.argv[2], kill)
files.Files(folder=sys.argv[1]).deliver(batch("b1", item(1), item(2)))
"""


@pytest.mark.parametrize("step", ["put_aside", "promise", "publish"])
@pytest.mark.parametrize("carried", [False, True], ids=["in place", "carried away"])
def test_a_crash_between_any_two_steps_is_one_effect(folder: Path, step: str, *, carried: bool) -> None:
    crashed = subprocess.run([sys.executable, "-c", CRASH, str(folder), step], check=False, cwd=Path(__file__).parents[2])
    assert crashed.returncode == -signal.SIGKILL
    seen = in_files(folder)
    if carried:
        for file in folder.glob("*.*"):
            if file.name != KEPT:
                file.unlink()

    Files(folder=str(folder)).deliver(batch("b2", item(2), item(1)))

    later = in_files(folder)
    assert {key: seen.get(key, 0) * carried + later.get(key, 0) for key in ("key-1", "key-2")} == {"key-1": 1, "key-2": 1}
    assert sorted(file.name for file in (folder / KEPT).iterdir()) == ["keys.jsonl"]
