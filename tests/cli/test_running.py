"""What keeps running: it says where it listens, works beside others, refuses a port in use, leaves cleanly; and `db` and `doctor`."""

import json
import re
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.postgres import Server, default_folder
from tests.cli.conftest import Command, Start, at
from tests.conftest import Database
from tests.peers import PLAIN, refused_url, until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_says_where_it_listens_and_leaves_cleanly(start_installed: Start, database: Database, number: int) -> None:
    running = start_installed("up", "--port", "0", **at(database)).listening()
    assert httpx.get(f"{running.url}/health/ready", verify=PLAIN).json() == {"status": "ready"}
    assert running.stop(number) == 0
    first, second = running.log.read_text("utf-8").splitlines()
    assert first == f"metergate listening on {running.url}"
    assert re.fullmatch(rf"metergate status page on {running.url}/\?token=[\w-]{{43}}", second)


def test_serve_and_worker_run_apart(start_installed: Start, database: Database) -> None:
    serving = start_installed("serve", "--port", "0", **at(database)).listening()
    working = start_installed("worker", "-v", **at(database))
    until(lambda: "metergate worker started" in working.log.read_text("utf-8"))
    assert httpx.get(f"{serving.url}/health/live", verify=PLAIN).status_code == 200
    assert (serving.stop(), working.stop()) == (0, 0)


@pytest.fixture
def data(reachable_folder: Path) -> Iterator[Path]:
    """A data folder; as root its database lies elsewhere and goes with it."""
    yield reachable_folder / "data"
    shutil.rmtree(default_folder(reachable_folder / "data"), ignore_errors=True)


def test_up_makes_its_own_database_and_another_command_uses_it_meanwhile(start: Start, command: Command, data: Path) -> None:
    running = start("up", "--port", "0", "--data", data).listening()
    asked = command("db", "psql", "--data", data, "--", "-Atc", "select count(*) from utility")
    assert (asked.returncode, asked.stdout) == (0, "0\n")
    assert running.stop() == 0
    assert not (default_folder(data) / "data" / "postmaster.pid").exists()


def test_a_port_in_use_is_a_message(command: Command, database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        done = command("up", "--port", door.getsockname()[1], **at(database))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "cannot listen on 127.0.0.1:" in done.stderr


@pytest.mark.parametrize("verb", ["serve", "worker"])
def test_a_database_without_schema_is_a_message(command: Command, server: Server, verb: str) -> None:
    name = f"bare_{verb}"
    server.create_database(name)
    try:
        done = command(verb, METERGATE_DATABASE_URL=server.url("owner", name))
    finally:
        server.drop_database(name)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("metergate: the database has schema none")


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
@pytest.mark.parametrize("verb", ["up", "serve", "sandbox"])
def test_a_port_that_cannot_be_is_a_message(command: Command, verb: str, port: str) -> None:
    done = command(verb, f"--port={port}")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert f"'{port}' is not a port" in done.stderr


def test_the_sandbox_refuses_such_a_port_in_its_file_too(command: Command, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("port = 70000", "utf-8")
    done = command("sandbox", "--config", "s.toml")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr


def test_the_sandbox_takes_its_options(start_installed: Start) -> None:
    running = start_installed(
        "sandbox", "--port", "0", "--journal", "j", "--account", "water:secret", "--control-token", "steer"
    ).listening()
    assert httpx.get(f"{running.url}/control", headers={"Authorization": "Bearer steer"}, verify=PLAIN).json() == []
    assert running.stop() == 0


def test_a_dump_brings_everything_back(on_database: Command, tmp_path: Path) -> None:
    key = on_database("partner", "add", "x", "--utility", "city_water", "--profile", "water").stdout
    assert key
    path = tmp_path / "all.dump"
    assert on_database("db", "dump", path).returncode == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert on_database("db", "psql", "--", "-qc", "delete from credential; delete from document").returncode == 0
    assert on_database("db", "restore", path).returncode == 0
    counted = on_database("db", "psql", "--", "-Atc", "select count(*) from credential")
    assert counted.stdout == "1\n"
    assert on_database("db", "migrate").returncode == 0


def test_a_file_that_is_no_dump_changes_nothing(on_database: Command, tmp_path: Path) -> None:
    path = tmp_path / "no.dump"
    path.write_bytes(b"no dump")
    done = on_database("db", "restore", path)
    assert (done.returncode, "pg_restore failed" in done.stderr) == (2, True)


def test_the_doctor_finds_all_well(on_database: Command) -> None:
    done = on_database("doctor")
    assert done.returncode == 0, done.stdout
    about = {line.split()[1]: line.split()[0] for line in done.stdout.splitlines()}
    well = ("python", "settings", "data", "disk", "database", "clock", "schema", "ledger")
    assert about == dict.fromkeys(well, "ok") | {"targets": "note"}


def test_the_doctor_names_what_is_wrong(command: Command, database: Database, tmp_path: Path) -> None:
    away = refused_url()
    (tmp_path / "metergate.toml").write_text(
        f"[database]\nurl = {json.dumps(database.server.url('owner', 'postgres'))}\n"
        f"[targets.factory.billing]\nkind = 'http_json'\nurl = '{away}'\ntoken = 't'\n[targets.factory.other]\nkind = 'carrier_pigeon'\n",
        "utf-8",
    )
    done = command("doctor")
    assert done.returncode == 1
    wrong = [line.split(maxsplit=1)[1] for line in done.stdout.splitlines() if line.startswith("wrong")]
    assert [line[:8] for line in wrong] == ["schema  ", "target f", "target f"], wrong


def test_the_doctor_tells_targets_that_the_database_does_not_know(on_database: Command, tmp_path: Path) -> None:
    assert on_database("partner", "add", "x", "--utility", "city", "--profile", "water").returncode == 0
    section = "kind = 'files'\nfolder = '.'\n"
    (tmp_path / "metergate.toml").write_text(f"[targets.city.biling]\n{section}[targets.ctiy.billing]\n{section}", "utf-8")
    done = on_database("doctor")
    assert done.returncode == 1
    wrong = [" ".join(line.split()[1:3]) for line in done.stdout.splitlines() if line.startswith("wrong")]
    assert wrong == ["target city.biling", "target ctiy.billing", "target city.billing"], done.stdout


def test_the_doctor_tells_an_absent_database(command: Command) -> None:
    done = command("doctor", METERGATE_DATABASE_URL="postgresql://nobody@127.0.0.1:9/metergate")
    assert (done.returncode, "wrong  database" in done.stdout) == (1, True)
