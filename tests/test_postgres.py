"""The embedded server: private, durable, recovered after kills, never root."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from gateway import postgres
from gateway.domain.problems import Misconfigured
from gateway.postgres import folder as folders
from gateway.postgres import tools
from tests.conftest import SERVERS

ROOT = os.geteuid() == 0


@pytest.fixture
def own_server(reachable_folder: Path) -> Iterator[postgres.Server]:
    with postgres.start(reachable_folder / "pg") as server:
        yield server


def ask(url: str, statement: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row[0]


def test_a_fresh_server_has_three_roles_without_power_and_a_checked_unicode_database(own_server: postgres.Server) -> None:
    powers = "SELECT string_agg(rolname || rolsuper || rolcreaterole || rolbypassrls || rolcreatedb, ' ' ORDER BY rolname) FROM pg_roles"
    assert ask(own_server.url(), f"{powers} WHERE rolname LIKE 'metergate_%'") == (
        "metergate_appfalsefalsefalsefalse metergate_ownerfalsefalsefalsetrue metergate_workerfalsefalsefalsefalse"
    )
    for role in ("owner", "app", "worker"):
        assert ask(own_server.url(role), "SELECT current_user::text || current_database()") == f"metergate_{role}metergate"
    assert ask(own_server.url("app"), "SELECT upper('ёж') || current_setting('data_checksums') || current_setting('fsync')") == "ЁЖonon"
    assert ask(own_server.url("app"), "SHOW server_encoding") == "UTF8"


def test_a_wrong_password_and_none_are_refused(own_server: postgres.Server) -> None:
    right = own_server.url("app")
    word = right.split(":")[2].split("@")[0]
    for url in (right.replace(word, "guess"), right.replace(f":{word}", "")):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url)


def listeners(pid: int) -> set[str]:
    """The inodes of the TCP sockets on which a process listens."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        target = str(descriptor.readlink())
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/{pid}/net/{name}").read_text("utf-8").splitlines()[1:]]
    return inodes & {row[9] for row in rows if row[3] == "0A"}


def test_nothing_listens_on_tcp_and_only_the_server_opens_its_folders(own_server: postgres.Server) -> None:
    assert own_server.pid is not None
    assert ask(own_server.url(), "SHOW listen_addresses") == ""
    assert listeners(own_server.pid) == set()
    modes = {name: stat.S_IMODE((own_server.folder / name).stat().st_mode) for name in ("data", "run", "log", "passwords.json")}
    assert modes == {"data": 0o700, "run": 0o700, "log": 0o700, "passwords.json": 0o600}


def test_the_server_never_runs_as_root(own_server: postgres.Server) -> None:
    status = Path(f"/proc/{own_server.pid}/status").read_text("utf-8")
    uids, groups = ([int(n) for n in status.split(f"{field}:\t")[1].splitlines()[0].split()] for field in ("Uid", "Groups"))
    assert (own_server.account is None) == (not ROOT)
    assert set(uids) == {own_server.account.uid if own_server.account else os.geteuid()}
    assert 0 not in uids
    assert not ROOT or 0 not in groups


def test_a_folder_that_the_account_cannot_reach_is_refused_with_advice(reachable_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private = reachable_folder / "private"
    private.mkdir(mode=0o700)
    if ROOT:
        with pytest.raises(Misconfigured, match="/var/lib/metergate"):
            postgres.start(private / "pg")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert postgres.default_folder(private).parent == Path("/var/lib/metergate")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert postgres.default_folder(private) == private / "postgres"
    with pytest.raises(Misconfigured, match="Only root"):
        postgres.start(private / "pg", account="daemon")


@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_a_restart_keeps_what_was_committed_and_nothing_else(own_server: postgres.Server, mode: postgres.Mode) -> None:
    with closing(psycopg.connect(own_server.url(), autocommit=True)) as kept, closing(psycopg.connect(own_server.url())) as lost:
        kept.execute("CREATE TABLE reading (value numeric)")
        kept.execute("INSERT INTO reading VALUES (1.5)")
        lost.execute("INSERT INTO reading VALUES (9)")
        before = own_server.pid
        own_server.restart(mode)
    assert own_server.pid not in {None, before}
    assert ask(own_server.url(), "SELECT string_agg(value::text, ',') FROM reading") == "1.5"


def test_a_killed_postmaster_is_started_again_over_its_stale_pid_file(own_server: postgres.Server) -> None:
    folder, killed = own_server.folder, own_server.pid
    assert killed is not None
    with closing(psycopg.connect(own_server.url(), autocommit=True)) as connection:
        connection.execute("CREATE TABLE reading AS SELECT 7 AS value")
    os.kill(killed, signal.SIGKILL)
    while own_server.pid is not None:
        time.sleep(0.01)
    own_server.leave()
    assert (folder / "data" / "postmaster.pid").exists()
    with postgres.start(folder) as again:
        assert again.pid not in {None, killed}
        assert ask(again.url(), "SELECT value FROM reading") == 7


def test_a_pid_file_that_names_a_stranger_does_not_hold_the_server_back(own_server: postgres.Server) -> None:
    folder = own_server.folder
    text = (folder / "data" / "postmaster.pid").read_text("utf-8")
    own_server.stop()
    (folder / "data" / "postmaster.pid").write_text(text.replace(text.splitlines()[0], str(os.getpid()), 1), "utf-8")
    with postgres.start(folder) as again:
        assert again.pid not in {None, os.getpid()}


def test_a_second_start_is_a_handle_that_does_not_stop_the_server(own_server: postgres.Server) -> None:
    with postgres.start(own_server.folder) as second:
        assert (own_server.owned, second.owned) == (True, False)
        assert second.url("worker") == own_server.url("worker")
    assert ask(own_server.url(), "SELECT 1") == 1
    own_server.stop()
    assert own_server.pid is None


def test_the_next_start_adopts_what_a_dead_owner_left_running(own_server: postgres.Server) -> None:
    before = own_server.pid
    own_server.leave()
    with postgres.start(own_server.folder) as heir:
        assert (heir.owned, heir.pid) == (True, before)
    assert own_server.pid is None


STARTER = """
import sys
from pathlib import Path
from gateway import postgres
server = postgres.start(Path(sys.argv[1]))
print(server.owned, server.pid, flush=True)
sys.stdin.read()
server.stop()
"""


def starter(folder: Path) -> subprocess.Popen[str]:
    """Another process that starts the folder's server, says what it got and waits for its input to end."""
    command = [sys.executable, "-c", STARTER, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("moment", [0.2, 0.4, 0.6, 0.8])
def test_a_start_killed_half_way_is_made_again(reachable_folder: Path, moment: float) -> None:
    with starter(reachable_folder / "pg") as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(moment)
        process.kill()
    with postgres.start(reachable_folder / "pg") as server:
        assert ask(server.url("app"), "SELECT 1") == 1


def test_of_processes_that_start_at_once_one_owns_and_all_have_the_same_server(reachable_folder: Path) -> None:
    processes = [starter(reachable_folder / "pg") for _ in range(3)]
    said = [process.stdout.readline().split() for process in processes if process.stdout]
    for process in processes:
        process.communicate("")
    assert sorted(owned for owned, _ in said) == ["False", "False", "True"]
    assert len({pid for _, pid in said}) == 1


@pytest.mark.parametrize(
    ("name", "text", "advice"),
    [("data/PG_VERSION", "17\n", "made by PostgreSQL 17 and this is 18"), ("passwords.json", None, "bring it back")],
)
def test_a_folder_that_cannot_be_served_is_refused(own_server: postgres.Server, name: str, text: str | None, advice: str) -> None:
    own_server.stop()
    (own_server.folder / name).unlink() if text is None else (own_server.folder / name).write_text(text, "utf-8")
    with pytest.raises(Misconfigured, match=advice):
        postgres.start(own_server.folder)


def test_a_server_that_cannot_start_says_why(own_server: postgres.Server) -> None:
    own_server.stop()
    with pytest.raises(Misconfigured, match="invalid value for parameter"):
        postgres.start(own_server.folder, settings={"max_connections": "many"})
    with postgres.start(own_server.folder, settings={"max_connections": "11"}) as again:
        assert ask(again.url(), "SHOW max_connections") == "11"


def test_a_long_path_gets_a_short_private_socket_folder_that_is_kept(reachable_folder: Path) -> None:
    deep = reachable_folder / ("d" * 60) / ("e" * 60) / "пг"
    with postgres.start(deep) as server:
        place = Path((deep / "socket").read_text("utf-8"))
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        assert ask(server.url("app"), "SELECT 1") == 1
    with postgres.start(deep):
        assert Path((deep / "socket").read_text("utf-8")) == place
    shutil.rmtree(place)
    with postgres.start(deep) as server:
        assert ask(server.url("app"), "SELECT 1") == 1
        shutil.rmtree((deep / "socket").read_text("utf-8"))


def test_a_large_log_is_put_aside_and_three_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "LOG_SIZE", 3)
    log = tmp_path / "postgres.log"
    for number in range(6):
        log.write_text(f"run {number}", "utf-8")
        folders.rotate(log)
    kept = {path.name: path.read_text("utf-8") for path in tmp_path.iterdir()}
    assert kept == {"postgres.log.1": "run 5", "postgres.log.2": "run 4", "postgres.log.3": "run 3"}


def test_a_statement_that_fails_leaves_no_data_in_the_log(own_server: postgres.Server) -> None:
    with psycopg.connect(own_server.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE person (name text PRIMARY KEY)")
        connection.execute("INSERT INTO person VALUES ('Ivanova')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO person VALUES ('Ivanova')")
    log = (own_server.folder / "log" / "postgres.log").read_text("utf-8")
    assert "duplicate key" in log
    assert "Ivanova" not in log


@pytest.mark.parametrize("kind", sorted(SERVERS))
def test_a_dump_restores_what_was_there_with_owners_grants_and_policies(reachable_folder: Path, kind: str) -> None:
    with postgres.start(reachable_folder / "pg", binaries=SERVERS[kind]) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE reading AS SELECT 'счётчик' AS meter, 123456789012.123456::numeric AS value")
            connection.execute("GRANT SELECT ON reading TO metergate_app")
            connection.execute("ALTER TABLE reading ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY")
            connection.execute("CREATE POLICY nobody ON reading USING (false)")
        file = reachable_folder / "all.dump"
        postgres.dump(server.url("superuser"), file, server.binaries)
        server.create_database("other")
        for _ in range(2):
            postgres.restore(server.url("superuser", "other"), file, server.binaries)
        assert ask(server.url("superuser", "other"), "SELECT meter || value FROM reading") == "счётчик123456789012.123456"
        assert (
            ask(server.url("superuser", "other"), "SELECT tableowner::text FROM pg_tables WHERE tablename = 'reading'") == "metergate_owner"
        )
        assert ask(server.url("app", "other"), "SELECT count(*) FROM reading") == 0
        with pytest.raises(Misconfigured, match="pg_dump failed"):
            postgres.dump(server.url("owner"), file, server.binaries)
        server.drop_database("other")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url("owner", "other"))


def test_psql_speaks_to_the_server_and_keeps_the_password_from_the_command_line(
    own_server: postgres.Server, capfd: pytest.CaptureFixture[str]
) -> None:
    assert postgres.psql(own_server.url("worker"), ["-Atc", "SELECT current_user", "-c", r"\! tr '\0' ' ' </proc/$PPID/cmdline"]) == 0
    said = capfd.readouterr().out
    assert said.startswith("metergate_worker\n")
    assert own_server.url("worker").split(":")[2].split("@")[0] not in said


def test_binaries_in_a_private_folder_are_copied_to_where_the_account_reads_them(
    reachable_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = reachable_folder / "home"
    package = postgres.wheel_binaries().parents[1]
    for part in package.parent.glob(f"{package.name}*"):
        shutil.copytree(part, private / part.name, symlinks=True)
    private.chmod(0o700)
    monkeypatch.setattr(tools, "SYSTEM_FOLDER", reachable_folder / "system")
    with postgres.start(reachable_folder / "pg", binaries=private / package.name / "pginstall" / "bin") as server:
        assert ask(server.url(), "SELECT 1") == 1
        assert server.binaries.is_relative_to(reachable_folder / "system" if ROOT else private)
