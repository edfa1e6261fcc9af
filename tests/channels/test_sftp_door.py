"""Who gets into the SFTP drop, what it may do there, and how many may stand at its door."""

import signal
import socket
import stat
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from gateway.postgres import Server as Postgres
from gateway.store import people
from tests.channels.sftp import QUICK, Partner, Server, running_drop, wait
from tests.conftest import case, fresh_database
from tests.running import Utility


@pytest.fixture(scope="module")
def server(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One gateway with a drop for all the tests of this file."""
    patient = msgspec.structs.replace(QUICK, incomplete_after=60.0)  # what is in the making stays as long as the tests take
    for database in fresh_database(server):
        with running_drop(database, tmp_path_factory.mktemp("drop"), sftp=patient) as running:
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


@pytest.fixture
def secretive(server: Server, company: Utility, tmp_path: Path) -> Partner:
    """One with a password."""
    return Partner(server, company, tmp_path, key=False)


def test_a_password_opens_its_login_and_nothing_else(secretive: Partner) -> None:
    secretive.put("a.json", secretive.readings())
    assert secretive.status("a.json")["status"] == "received"
    wrong = secretive.sftp("ls", password="wrong")
    stranger = secretive.sftp("ls", login="nobody.here")
    assert (wrong.returncode, stranger.returncode) == (255, 255)
    assert wrong.stderr.replace(secretive.login, "X").splitlines()[-2:] == stranger.stderr.replace("nobody.here", "X").splitlines()[-2:]
    assert secretive.utility.call("GET", "/v1/submissions", key=secretive.password).status_code == 401


def test_a_key_opens_its_login_and_nothing_else(partner: Partner, server: Server, tmp_path: Path) -> None:
    other = Partner(server, partner.utility, tmp_path)
    assert partner.sftp("ls", login=other.login).returncode == 255
    assert other.done("ls -1").split()[3:] == ["in", "out"]


def test_a_wrong_password_and_an_unknown_login_take_the_same_time(server: Server, secretive: Partner) -> None:
    import asyncio

    import asyncssh

    async def refused(login: str) -> float:
        began = time.perf_counter()
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncssh.connect(
                "127.0.0.1", server.port, username=login, password="wrong", known_hosts=None, client_keys=None, agent_path=None
            )
        return time.perf_counter() - began

    async def both() -> list[tuple[float, float]]:
        return [(await refused(secretive.login), await refused("nobody.at_all")) for _ in range(case(15, 300))]

    known, unknown = (statistics.median(times) for times in zip(*asyncio.run(both()), strict=True))
    assert abs(known - unknown) < 0.3 * max(known, unknown)


@pytest.mark.parametrize("column", ["revoked_at", "expires_at"])
def test_a_right_that_ended_closes_the_session_and_takes_nothing_more(partner: Partner, column: str) -> None:
    client = partner.listing()
    assert client.stdout
    while b"/out" not in client.stdout.readline():
        pass
    partner.server.rows(f"update credential set {column} = now() where id = %(c)s", c=partner.credential)
    (partner.drop / "in" / "late.json").write_bytes(partner.readings())
    time.sleep(0.4)
    client.communicate(b"ls /\n", timeout=10)
    assert client.returncode in (255, -signal.SIGPIPE)
    assert partner.sftp("ls").returncode == 255
    assert (partner.left(), partner.submissions()) == (["late.json"], 0)


def test_scopes_say_who_may_write_and_who_may_read(server: Server, company: Utility, tmp_path: Path) -> None:
    reader, writer = Partner(server, company, tmp_path, scopes=("read",)), Partner(server, company, tmp_path, scopes=("submit",))
    for one in (reader, writer):
        one.write("a.json", one.readings())
    assert reader.sftp("put a.json /in/a.json").returncode == 1
    writer.done("put a.json /in/a.json")
    writer.status("a.json")
    assert writer.sftp("get /out/a.json.status.json").returncode == 1
    assert writer.sftp("rm /out/a.json.status.json").returncode == 1


def test_the_drop_is_two_folders_and_another_ones_is_not_there(partner: Partner, server: Server, tmp_path: Path) -> None:
    other = Partner(server, partner.utility, tmp_path)
    other.put("theirs.json.part", b"x")
    assert partner.done("ls -1 /", "ls -1 /..", "ls -1 /in/../..").split().count("/out") == 1
    refused = [
        f"get /../{other.credential}/in/theirs.json.part",
        f"ls /../../{other.credential}",
        "get /etc/passwd",
        "get /in/../../../etc/passwd",
        "mkdir /in/folder",
        "rmdir /in",
        "rm /in",
        "rename /in /out",
        "rename /in /was",
        "put sent /here",
        "put sent /out/here",
        "put sent /in/deeper/down",
        "rename /in/mine.part /out/mine.part",
        "rename /in/mine.part /mine.part",
        "get /in/mine.part",
        "ln -s /etc/passwd /in/link.json",
        "symlink /etc/passwd /in/link.json",
        "ln /in/mine.part /in/hard.json",
        "chmod 777 /",
    ]
    partner.put("mine.part", b"x")
    for line in refused:
        run = partner.sftp(line)
        assert (run.returncode, partner.left()) == (1, ["mine.part"]) or line.startswith("chmod"), (line, run.stdout, run.stderr)
    assert sorted(path.name for path in partner.drop.iterdir()) == ["in", "out"]
    assert stat.S_IMODE(partner.drop.stat().st_mode) == 0o700


def test_rights_and_times_may_be_set_and_change_nothing_but_times(partner: Partner) -> None:
    partner.write("a.part", b"x\n")
    partner.done("put -p a.part /in/a.part", "chmod 777 /in/a.part", "chown 0 /in/a.part")
    facts = (partner.drop / "in" / "a.part").stat()
    assert (stat.S_IMODE(facts.st_mode), int(facts.st_mtime)) == (0o600, int((partner.home / "a.part").stat().st_mtime))


def test_only_files_no_shell_no_command_no_forwarding(partner: Partner) -> None:
    options = ["-F", "none", "-p", str(partner.server.port), f"-oUserKnownHostsFile={partner.home / 'known_hosts'}", "-oBatchMode=yes"]
    options += ["-oStrictHostKeyChecking=accept-new", f"-oIdentityFile={partner.home / 'key'}", "-oIdentitiesOnly=yes"]
    address = f"{partner.login}@127.0.0.1"
    http = partner.server.url.removeprefix("http://")
    for what in (["-T", address], ["-tt", address], [address, "id"], ["-W", http, address], ["-s", address, "netconf"]):
        run = subprocess.run(
            ["/usr/bin/ssh", *options, *what],
            input=b"GET / HTTP/1.0\r\n\r\n",
            capture_output=True,
            env=partner.environment(),
            timeout=20,
            check=False,
        )
        assert (run.returncode != 0, run.stdout) == (True, b""), what
    partner.write("a.json", partner.readings())
    old = ["/usr/bin/scp", "-O", "-F", "none", "-P", str(partner.server.port), *options[4:], "a.json", f"{address}:/in/a.json"]
    assert subprocess.run(old, capture_output=True, cwd=partner.home, env=partner.environment(), timeout=20, check=False).returncode != 0
    new = [word for word in old if word != "-O"]
    assert subprocess.run(new, capture_output=True, cwd=partner.home, env=partner.environment(), timeout=20, check=False).returncode == 0
    partner.status("a.json")


def test_the_host_key_is_made_once_and_can_be_pinned(server: Server, partner: Partner) -> None:
    key = server.settings.data / "sftp_host_key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    partner.done("ls")
    shown = subprocess.run(["/usr/bin/ssh-keygen", "-lf", partner.home / "known_hosts"], capture_output=True, text=True, check=True).stdout
    assert server.fingerprint in shown
    assert "ED25519" in shown


def test_a_crowd_at_the_door_does_not_keep_a_partner_out(server: Server, partner: Partner) -> None:
    crowd = [socket.create_connection(("127.0.0.1", server.port), source_address=("127.0.0.2", 0)) for _ in range(case(100, 200))]
    began = time.monotonic()
    try:
        partner.put("a.json", partner.readings())
        assert time.monotonic() - began < 5
    finally:
        for one in crowd:
            one.close()
    partner.status("a.json")


def test_one_login_has_so_many_connections_and_no_more(partner: Partner) -> None:
    from gateway.inbound.sftp.server import CONNECTIONS_OF_ONE

    clients = []
    for _ in range(CONNECTIONS_OF_ONE):
        clients.append(partner.listing())
        if len(clients) % 4 == 0:
            for one in clients[-4:]:
                assert one.stdout
                while b"/out" not in one.stdout.readline():
                    pass
    assert partner.sftp("ls").returncode == 255
    for client in clients:
        client.communicate()
    wait(lambda: partner.sftp("ls").returncode == 0, "let in again")


def test_guesses_end_the_connection(server: Server, secretive: Partner) -> None:
    import paramiko

    with socket.create_connection(("127.0.0.1", server.port)) as plain:
        transport = paramiko.Transport(plain)
        try:
            transport.start_client(timeout=10)
            guesses = 0
            while transport.is_active() and guesses < 20:
                guesses += 1
                with pytest.raises(paramiko.SSHException):
                    transport.auth_password(secretive.login, f"guess {guesses}")
            assert guesses <= 7
        finally:
            transport.close()


def test_a_login_belongs_to_one(server: Server, company: Utility, partner: Partner) -> None:
    from gateway.domain.problems import Misconfigured

    with pytest.raises(Misconfigured, match="somebody has the login"), server.owner.transaction() as connection:
        people.add_login(connection, company.id, "other", ["submit"], partner.login)
