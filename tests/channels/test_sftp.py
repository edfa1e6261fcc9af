"""The SFTP drop with the stock OpenSSH client: what is put into `in` is taken whole or not at all, and `out` tells what became of it."""

import io
import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import openpyxl
import pytest

from gateway.domain.problems import Problem
from gateway.domain.status import ReadingStatus
from gateway.postgres import Server as Postgres
from gateway.settings import Limits
from gateway.store import readings
from tests.channels.sftp import Partner, Server, running_drop, wait
from tests.conftest import case, fresh_database
from tests.running import Utility

Record = Callable[[str, int, str], None]


@pytest.fixture(scope="module")
def server(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One gateway with a drop for all the tests of this file."""
    for database in fresh_database(server):
        with running_drop(database, tmp_path_factory.mktemp("drop"), limits=Limits(file_bytes=3_000_000)) as running:
            yield running


@pytest.fixture
def company(server: Server) -> Utility:
    """A utility of one test."""
    made = server.utility("legal_entity")
    made.meters("1", "2", "3")
    return made


@pytest.fixture
def partner(server: Server, company: Utility, tmp_path: Path) -> Partner:
    """A contractor of that utility with a key."""
    return Partner(server, company, tmp_path)


def book(utility: Utility, *values: int | str) -> bytes:
    """The integral workbook of A-1 with these values."""
    asked = {"agreement": "A-1", "period": utility.period}
    filled = openpyxl.load_workbook(io.BytesIO(utility.call("GET", "/v1/templates/integral_workbook", params=asked).content))
    for row, value in enumerate(values, 2):
        filled.worksheets[0][f"I{row}"] = value
    packed = io.BytesIO()
    filled.save(packed)
    return packed.getvalue()


def refused_by_billing(partner: Partner, reading: str) -> None:
    """What the line writes when billing refuses a reading."""
    id_, problem = uuid.UUID(hex=reading.removeprefix("rdg_")), Problem(code="refused_by_billing", values={"reason": "closed"})
    with partner.server.store.transaction() as connection:
        readings.move(connection, ReadingStatus.REJECTED, [(id_, "refused_by_billing")], actor="target")
        readings.object_to(connection, partner.utility.id, {id_: problem})


def test_a_status_goes_from_received_to_billed(partner: Partner) -> None:
    partner.put("january.json", partner.readings())
    told = partner.status("january.json")
    assert (told["channel"], told["file_name"], told["status"]) == ("sftp", "january.json", "received")
    wait(lambda: not partner.left(), "the source removed")
    partner.server.work()
    told = partner.status("january.json", lambda told: told["status"] == "accepted" and told["readings"][0]["status"] == "acknowledged")
    reading = told["readings"][0]["reading"]
    assert partner.utility.settle(partner.utility.word(reading)).status_code == 200
    told = partner.status("january.json", lambda told: bool(told["readings"][0]["status"] == "billed"))
    assert [line["to"] for line in told["timeline"] if line["entity"] == "meter_reading"][-1] == "billed"
    closed = wait(
        lambda: partner.server.rows("select from drop_file where credential_id = %(c)s and closed", c=partner.credential), "closed"
    )
    assert (len(closed), partner.submissions()) == (1, 1)
    assert partner.done("ls -1 /out").split() == ["sftp>", "ls", "-1", "/out", "/out/january.json.status.json"]
    partner.done("get /out/january.json.status.json mine", "rm /out/january.json.status.json")
    assert json.loads((partner.home / "mine").read_bytes()) == told
    assert partner.done("ls -1 /out").split()[4:] == []


def test_the_words_are_those_of_the_utility(partner: Partner, server: Server, tmp_path: Path) -> None:
    partner.put("a.json", partner.readings())
    assert partner.status("a.json")["text"] == "Получено"
    other = server.utility("consumer_ua")
    ukrainian = Partner(server, other, tmp_path)
    ukrainian.put("a.json", b'{"readings": [\n')
    assert "Надішліть увесь файл" in ukrainian.status("a.json")["problems"][0]["todo"]


def test_the_same_bytes_are_the_first_submission_under_any_name(partner: Partner) -> None:
    partner.put("a.json", partner.readings())
    first = partner.status("a.json")["submission"]
    wait(lambda: not partner.left(), "taken")
    partner.done("rm /out/a.json.status.json")
    partner.put("a.json", partner.readings())
    partner.put("renamed.json", partner.readings())
    assert {partner.status(name)["submission"] for name in ("a.json", "renamed.json")} == {first}
    wait(lambda: not partner.left(), "taken")
    partner.server.work()
    assert partner.status("renamed.json", lambda told: told["status"] == "accepted")["submission"] == first
    assert partner.submissions() == 1


def test_other_bytes_under_the_same_name_are_a_new_submission_that_owns_the_name(partner: Partner) -> None:
    partner.put("a.json", partner.readings("150"))
    first = partner.status("a.json")["submission"]
    partner.server.work()
    partner.status("a.json", lambda told: told["status"] == "accepted")
    partner.put("a.json", partner.readings("160"))
    second = partner.status("a.json", lambda told: bool(told["submission"] != first))
    partner.server.work()
    told = partner.status("a.json", lambda told: told["status"] == "accepted" and told["readings"][0]["status"] == "acknowledged")
    assert (told["submission"], told["readings"][0]["revision"]) == (second["submission"], 1)
    [old] = partner.server.rows("select status from meter_reading where submission_id = %(s)s", s=first.removeprefix("sub_"))
    assert old.status == "superseded"
    partner.put("a.json", partner.readings("150"))
    back = partner.status("a.json", lambda told: told["submission"] not in (first, second["submission"]))
    partner.server.work()
    told = partner.status("a.json", lambda told: bool(told["readings"]) and told["readings"][0]["status"] == "acknowledged")
    assert (told["submission"], told["readings"][0]["revision"]) == (back["submission"], 2), "the first value again is the newest word"
    assert partner.submissions() == 3


def test_problems_come_in_the_senders_own_workbook_and_go_with_the_corrected_one(partner: Partner) -> None:
    partner.put("report.xlsx", book(partner.utility, 150, "1OO", 90))
    partner.status("report.xlsx")
    partner.server.work()
    told = partner.status("report.xlsx", lambda told: bool(told["status"] != "received"))
    assert told["status"] in ("partly_accepted", "rejected", "in_review")
    marked = partner.drop / "out" / "report.xlsx.problems.xlsx"
    wait(marked.exists, "marked")
    partner.done("get /out/report.xlsx.problems.xlsx mine.xlsx")
    sheet = openpyxl.load_workbook(partner.home / "mine.xlsx").worksheets[0]
    assert (sheet["I3"].value, sheet["I3"].comment is None, sheet["D2"].comment) == ("1OO", False, None)
    refused_by_billing(partner, next(row["reading"] for row in told["readings"] if row["status"] != "rejected"))
    wait(lambda: openpyxl.load_workbook(marked).worksheets[0]["D2"].comment, "billing's word in the workbook")
    partner.put("report.xlsx", book(partner.utility, 150, 160, 170))
    partner.status("report.xlsx", lambda new: bool(new["submission"] != told["submission"]))
    partner.server.work()
    partner.status("report.xlsx", lambda told: told["status"] == "accepted")
    assert not marked.exists()


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("scan.pdf", b"%PDF-1.7\n", "file_type_mismatch"),
        ("empty.csv", b"", "file_empty"),
        ("bomb.xlsx", b"PK\x05\x06" + bytes(16) + b"\0\0", None),
        ("page.html", b"<html>", "file_type_mismatch"),
    ],
)
def test_what_the_door_refuses_is_told_and_removed(partner: Partner, name: str, body: bytes, code: str | None) -> None:
    partner.put(name, body)
    told = partner.status(name)
    assert (told["status"], told["submission"], told["readings"]) == ("rejected", "", [])
    assert code in (None, told["problems"][0]["code"])
    wait(lambda: not partner.left(), "removed")
    partner.put(name, partner.readings())
    told = partner.status(name, lambda told: bool(told["submission"]))
    assert (told["status"], partner.submissions()) == ("received", 1)


def test_a_refused_file_takes_the_name_from_the_one_before(partner: Partner) -> None:
    partner.put("a.json", partner.readings())
    partner.status("a.json")
    partner.put("a.json", b"%PDF-1.7\n")
    partner.status("a.json", lambda told: told["status"] == "rejected")
    partner.server.work()
    time.sleep(0.3)
    assert partner.status("a.json")["status"] == "rejected"


def test_a_file_beyond_the_limit_fails_at_the_client_and_frees_the_disk(partner: Partner) -> None:
    partner.write("huge.json", bytes(3_100_000))
    run = partner.sftp("put huge.json /in/huge.json")
    assert run.returncode == 1
    assert "write remote" in run.stderr
    assert (partner.left(), list((partner.server.folder / ".aside").iterdir())) == ([], [])
    run = partner.sftp("put huge.json /in/huge.json.part")
    assert (run.returncode, partner.left()) == (1, [])


def test_uploads_killed_half_way_leave_nothing(partner: Partner, proof: Record) -> None:
    n = case(20, 1000)
    partner.write("large.csv", b"meter;value\n" * 100_000)
    aside = partner.server.folder / ".aside"
    for begun in range(0, n, 5):
        clients = [
            subprocess.Popen(
                partner.command("-l", "400"),
                stdin=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=partner.environment(),
                cwd=partner.home,
                start_new_session=True,
            )
            for _ in range(5)
        ]
        for number, client in enumerate(clients):
            assert client.stdin
            client.stdin.write(f"put large.csv /in/half-{begun + number}.csv\n".encode())
            client.stdin.flush()
        wait(lambda: sum(path.stat().st_size > 0 for path in aside.iterdir()) == 5, "five uploads under way")
        for number, client in enumerate(clients):
            if number % 2:
                os.killpg(client.pid, signal.SIGKILL)
            else:
                client.kill()
        for client in clients:
            client.communicate()
        wait(lambda: not list(aside.iterdir()), "swept")
        assert partner.left() == []
    assert partner.submissions() == 0
    assert list((partner.drop / "out").iterdir()) == []
    proof("uploads over SFTP killed half-way by kill -9 of the OpenSSH client", n, "processed 0, left behind 0")


@pytest.mark.parametrize("rename", ["rename", "rename -l"])
@pytest.mark.parametrize("making", ["x.json.part", "x.json.filepart", ".x.json", "x.TMP", "x.uploading"])
def test_what_is_in_the_making_is_taken_when_it_is_renamed(partner: Partner, rename: str, making: str) -> None:
    partner.put(making, partner.readings())
    time.sleep(0.4)
    assert (partner.left(), partner.submissions()) == ([making], 0)
    partner.done(f"{rename} /in/{making} /in/x.json")
    partner.status("x.json")
    wait(lambda: not partner.left(), "taken")
    assert partner.submissions() == 1


def test_an_upload_in_the_making_can_be_gone_on_with(partner: Partner) -> None:
    body = partner.readings()
    padded = body[:-1] + b" " * 600_000 + body[-1:]
    partner.write("x.json", padded)
    client = subprocess.Popen(partner.command("-l", "800"), stdin=subprocess.PIPE, env=partner.environment(), cwd=partner.home, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)  # fmt: skip  # noqa: E501
    assert client.stdin
    client.stdin.write(b"put x.json /in/x.json.part\n")
    client.stdin.flush()
    wait(lambda: any(path.stat().st_size for path in (partner.server.folder / ".aside").iterdir()), "under way")
    client.kill()
    client.communicate()
    wait(partner.left, "kept as far as it came")
    assert 0 < (partner.drop / "in" / "x.json.part").stat().st_size < len(padded)
    partner.done("reput x.json /in/x.json.part", "rename /in/x.json.part /in/x.json")
    partner.status("x.json")
    [row] = partner.server.rows(
        "select body from submission join claim using (utility_id, sha256) where credential_id = %(c)s", c=partner.credential
    )
    assert bytes(row.body) == padded


def test_a_file_without_its_end_waits_is_told_so_and_is_taken_when_it_has_come(partner: Partner) -> None:
    whole = b"meter;value\n1;150\n"
    partner.put("a.csv", whole[:-4])
    told = partner.status("a.csv")
    assert ([problem["code"] for problem in told["problems"]], told["submission"]) == (["file_incomplete"], "")
    assert (partner.left(), partner.submissions()) == (["a.csv"], 0)
    partner.write("a.csv", whole)
    partner.done("reput a.csv /in/a.csv")
    partner.status("a.csv", lambda told: bool(told["submission"]))
    wait(lambda: not partner.left(), "taken")
    assert partner.submissions() == 1


def test_bytes_that_change_under_the_reader_are_never_mixed(partner: Partner) -> None:
    """As behind a real sshd, which writes in place: each submission is one of the versions, whole."""
    partner.done("ls /in")
    path, versions = partner.drop / "in" / "a.json", [partner.readings(str(value)) for value in range(150, 150 + case(40, 1000))]
    for body in versions:
        with path.open("wb", buffering=0) as file:
            for start in range(0, len(body), 20):
                file.write(body[start : start + 20])
        if len(body) % 3 == 0:
            time.sleep(0.01)
    wait(lambda: not partner.left(), "the last one taken")
    kept = partner.server.rows(
        "select body from submission join claim using (utility_id, sha256) where credential_id = %(c)s", c=partner.credential
    )
    assert {bytes(row.body) for row in kept} <= set(versions)
    assert versions[-1] in {bytes(row.body) for row in kept}


def test_a_writer_who_still_holds_the_file_is_waited_for(partner: Partner) -> None:
    partner.done("ls /in")
    body = partner.readings()
    with (partner.drop / "in" / "a.json").open("wb", buffering=0) as file:
        file.write(body)
        time.sleep(0.5)
        assert (partner.left(), partner.submissions()) == (["a.json"], 0)
    wait(lambda: not partner.left(), "taken")
    assert partner.submissions() == 1


def test_links_pipes_and_folders_are_left_alone(partner: Partner, tmp_path: Path) -> None:
    partner.done("ls /in")
    inbox, secret = partner.drop / "in", tmp_path / "secret.json"
    secret.write_bytes(partner.readings())
    (inbox / "soft.json").symlink_to(secret)
    (inbox / "hard.json").hardlink_to(secret)
    (inbox / "folder.json").mkdir()
    os.mkfifo(inbox / "pipe.json")
    time.sleep(0.5)
    assert (partner.submissions(), len(partner.left())) == (0, 4)
    assert partner.done("ls -1 /in").split()[4:] == []
    for name in ("soft.json", "hard.json", "pipe.json"):
        assert partner.sftp(f"put sent /in/{name}").returncode == 1
    secret.unlink()
    partner.status("hard.json")
    assert partner.submissions() == 1


def test_what_cannot_be_told_is_kept_and_told_later(partner: Partner) -> None:
    partner.done("ls /out")
    wall = partner.drop / "out" / "a.json.status.json"
    wall.mkdir()
    (wall / "x").touch()
    partner.put("a.json", partner.readings())
    wait(lambda: partner.server.rows("select from drop_file where credential_id = %(c)s", c=partner.credential), "kept")
    partner.server.work()
    assert partner.left() == ["a.json"]
    (wall / "x").unlink()
    wall.rmdir()
    partner.status("a.json", lambda told: told["status"] == "accepted")
    wait(lambda: not partner.left(), "removed")
    assert partner.submissions() == 1


def test_the_database_is_away_for_a_while(partner: Partner) -> None:
    partner.put("a.json", partner.readings("150"))
    partner.status("a.json")
    partner.server.rows(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    )
    partner.put("b.json", partner.readings("151"))
    partner.status("b.json")
    assert partner.submissions() == 2


def test_many_files_of_one_do_not_hold_up_another(partner: Partner, server: Server, tmp_path: Path) -> None:
    other, n = Partner(server, partner.utility, tmp_path), case(300, 5000)
    partner.done("ls /in")
    for number in range(n):
        (partner.drop / "in" / f"{number}.json").write_bytes(partner.readings(f"{150 + number}"))
    other.put("one.json", other.readings("149", "2"))
    other.status("one.json")
    assert len(partner.left()) > 0
    wait(lambda: not partner.left(), "all taken", 120)
    assert (partner.submissions(), len(list((partner.drop / "out").iterdir()))) == (n, n)
