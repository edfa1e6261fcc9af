"""`send`, `status` and `template` against `metergate up` with a sandbox billing, every one a process of its own."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import openpyxl
import pytest

from gateway.domain.windows import period_of
from tests.cli.conftest import Command, Running, at, runner, starter
from tests.conftest import fresh_database, shared_server
from tests.peers import TOKEN, raw_peer, running_sandbox

PERIOD = period_of(datetime.now(UTC), "Europe/Moscow")


class Office(NamedTuple):
    """A running gateway and what its sender needs."""

    gateway: Running
    environment: dict[str, str]
    blind: str
    """A key that may submit and not read."""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """`metergate up` on a database with one company of three meters, connected to a sandbox."""
    folder = tmp_path_factory.mktemp("office")
    with (
        running_sandbox(folder) as sandbox,
        starter(folder) as start,
        contextmanager(fresh_database)(shared_server("embedded")) as database,
    ):
        target = f"[targets.factory.billing]\nkind = 'http_json'\nurl = '{sandbox.url}'\ntoken = '{TOKEN}'\n"
        (folder / "metergate.toml").write_text(f"data = 'data'\n[http]\nport = 0\n{target}", "utf-8")
        registry = folder / "registry.csv"
        rows = [f"77,{n},{n},A+,5,100,2022-09" for n in (101, 102)] + [f"77,103,103,A+:{zone},5,100,2022-09" for zone in ("day", "night")]
        registry.write_text("\n".join(["agreement,point,meter,register,digits,last,last_period", *rows]), "utf-8")
        command = partial(runner(folder), **at(database))
        assert command("registry", "import", registry, "--utility", "factory", "--profile", "legal_entity").returncode == 0
        key = command("partner", "add", "portal", "--utility", "factory").stdout.strip()
        blind = command("partner", "add", "blind", "--utility", "factory", "--scope", "submit").stdout.strip()
        gateway = start("up", **at(database)).listening()
        yield Office(gateway, {"METERGATE_URL": gateway.url, "METERGATE_KEY": key}, blind)
        assert gateway.stop() == 0


def readings(folder: Path, **values: str) -> Path:
    """Canonical JSON about meters `m101` and so on."""
    rows = [{"meter": name[1:], "period": PERIOD, "registers": [{"register": "A+", "value": value}]} for name, value in values.items()]
    path = folder / f"{'-'.join(values.values())}.json"
    path.write_text(json.dumps({"readings": rows}), "utf-8")
    return path


def test_good_readings_are_sent_waited_for_and_found_again(office: Office, command: Command, tmp_path: Path) -> None:
    path = readings(tmp_path, m101="150", m102="160")
    sent = command("send", path, "--wait", "--lang", "ru", **office.environment)
    assert sent.returncode == 0, sent.stderr
    assert "всего 2, принято 2" in sent.stdout
    assert "Принято биллингом" in sent.stdout
    name = sent.stdout.split()[0]
    found = command("status", name, "--json", **office.environment)
    assert found.returncode == 0
    detail = json.loads(found.stdout)
    assert [row["status"] for row in detail["readings"]] == ["acknowledged", "acknowledged"]
    assert detail["timeline"]
    shown = command("status", name, "--lang", "uk", **office.environment)
    assert "queued -> sent" in shown.stdout
    listed = command("status", **office.environment)
    assert (listed.returncode, name in listed.stdout) == (0, True)
    repeated = command("send", path, "--json", **office.environment)
    assert json.loads(repeated.stdout)["submission"] == name


def test_a_wrong_row_is_told_with_its_place_and_code_1(office: Office, command: Command, tmp_path: Path) -> None:
    sent = command("send", readings(tmp_path, m101="150", m102="123456"), "--lang", "en", **office.environment)
    assert sent.returncode == 1
    assert "readings[1].registers[0].value: Error: " in sent.stdout


def test_the_template_comes_filled_in_and_its_bad_cell_is_named(office: Office, command: Command, tmp_path: Path) -> None:
    path = tmp_path / "book.xlsx"
    made = command("template", "integral_workbook", "--agreement", "77", "--period", PERIOD, "-o", path, **office.environment)
    assert (made.returncode, made.stdout) == (0, f"{path}\n")
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    typed: tuple[int | str, ...] = (150, "16O", 170, 180)
    for row, value in enumerate(typed, 2):
        sheet.cell(row, 9).value = value
    book.save(path)
    sent = command("send", path, "--wait", "30", "--agreement", "77", **office.environment)
    assert sent.returncode == 1, sent.stderr
    assert "всего 3, принято 2, отклонено 1" in sent.stdout
    assert "!I3: " in sent.stdout
    other = command("send", path, "--agreement", "78", "--wait", **office.environment)
    assert other.returncode == 1
    assert "_meta!B3" in other.stdout


def test_the_hours_of_a_meter_are_a_template_of_their_own(office: Office, command: Command, tmp_path: Path) -> None:
    path = tmp_path / "hours.xlsx"
    asked = ("template", "interval_workbook", "--agreement", "77", "--period", PERIOD, "-o", path)
    made = command(*asked, "--meter", "101", **office.environment)
    assert (made.returncode, made.stdout) == (0, f"{path}\n")
    assert openpyxl.load_workbook(path).sheetnames == ["101", "_meta"]
    other = command(*asked, "--meter", "999", **office.environment)
    assert (other.returncode, "[meter_unknown]" in other.stderr) == (2, True)


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("broken.json", b"{", "[json_malformed]"),
        ("page.pdf", b"%PDF-1.7\n" + bytes(100), "[file_type_mismatch]"),
    ],
)
def test_what_the_door_refuses_is_code_2(office: Office, command: Command, tmp_path: Path, name: str, body: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(body)
    sent = command("send", path, **office.environment)
    assert (sent.returncode, sent.stdout) == (2, "")
    assert said in sent.stderr
    raw = command("send", path, "--json", **office.environment)
    assert (raw.returncode, json.loads(raw.stdout)["code"]) == (2, said.strip("[]"))


def test_a_wrong_key_and_a_foreign_submission_are_code_2(office: Office, command: Command) -> None:
    stranger = command("status", "--key", "mg_nobody", **office.environment)
    assert (stranger.returncode, "[unauthorized]" in stranger.stderr) == (2, True)
    absent = command("status", "sub_00000000000000000000000000000000", **office.environment)
    assert (absent.returncode, "[not_found]" in absent.stderr) == (2, True)


def test_what_is_stored_is_said_when_its_state_cannot_be_read(office: Office, command: Command, tmp_path: Path) -> None:
    path = readings(tmp_path, m101="171")
    told = office.environment | {"METERGATE_KEY": office.blind}
    sent = command("send", path, "--wait", "--json", **told)
    name = json.loads(sent.stdout)["submission"]
    assert (sent.returncode, sent.stderr) == (1, f"metergate: submission {name} is stored; its status could not be read: forbidden\n")


@pytest.mark.parametrize(("looks", "code"), [([503, 500, 200], 0), ([503] * 99, 1)])
def test_a_gateway_away_while_waited_for_is_asked_again(command: Command, tmp_path: Path, looks: list[int], code: int) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}", "utf-8")
    statuses = iter([201, *looks])

    def answer(connection: socket.socket) -> None:
        status = next(statuses)
        taken = {"submission": "sub_1", "status": "accepted", "readings": []}
        body = json.dumps(taken if status < 300 else {"code": "unavailable", "status": status}).encode()
        connection.sendall(f"HTTP/1.1 {status} So\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)

    with raw_peer(answer) as peer:
        sent = command("send", path, "--wait", "2", "--json", METERGATE_URL=peer.url, METERGATE_KEY="k")
    assert (sent.returncode, json.loads(sent.stdout)["submission"]) == (code, "sub_1")
    assert sent.stderr == ("metergate: submission sub_1 is stored; its status could not be read: unavailable\n" if code else "")
