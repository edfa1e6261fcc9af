"""What one partner cannot do: fill the disk, hold a connection for nothing, keep the others waiting, get its names into the log."""

import errno
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko
import pytest

from gateway import profiles
from gateway.inbound.drop import folders
from gateway.inbound.drop.unfinished import forget
from gateway.inbound.sftp.room import Room
from gateway.inbound.sftp.view import View
from gateway.postgres import Server as Postgres
from gateway.settings import Sftp
from gateway.store import people
from tests.channels.sftp import Partner, Server, running_drop, wait
from tests.conftest import fresh_database
from tests.running import Utility

SMALL = Sftp(
    port=0, stable=0.1, scan=0.05, refresh=0.05, incomplete_after=0.3, idle=1.0, partner_bytes=1_000_000, partner_files=5
)  # what is in the making goes after 2.1 s


@pytest.fixture(scope="module")
def server(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One gateway with a small drop for all the tests of this file."""
    for database in fresh_database(server):
        with running_drop(database, tmp_path_factory.mktemp("drop"), sftp=SMALL) as running:
            yield running


@pytest.fixture
def company(server: Server) -> Utility:
    """A utility of one test."""
    made = server.utility("legal_entity")
    made.meters("1")
    return made


@pytest.fixture
def partner(server: Server, company: Utility, tmp_path: Path) -> Partner:
    """A contractor of that utility with a key."""
    return Partner(server, company, tmp_path)


@contextmanager
def session(partner: Partner) -> Iterator[paramiko.SFTPClient]:
    """A session of a client that sends single requests."""
    transport = paramiko.Transport(("127.0.0.1", partner.server.port))
    try:
        transport.start_client()
        transport.auth_publickey(partner.login, paramiko.Ed25519Key.from_private_key_file(str(partner.home / "key")))
        client = paramiko.SFTPClient.from_transport(transport)
        assert client is not None
        yield client
    finally:
        transport.close()


def send(client: paramiko.SFTPClient, path: str, body: bytes) -> None:
    """Write a file, and hear of every piece how that went."""
    with client.open(path, "wb") as file:
        file.write(body)


def test_every_request_shows_that_somebody_is_there(partner: Partner) -> None:
    with session(partner) as client:
        send(client, "/in/a.part", b"x")
        requests: list[Callable[[], object]] = [
            lambda: client.stat("/in"),
            lambda: client.utime("/in/a.part", None),
            lambda: client.posix_rename("/in/a.part", "/in/a.part"),
        ]
        for request in requests:
            for _ in range(3):
                time.sleep(0.35)
                request()
        channel = client.get_channel()
        assert channel is not None
        wait(lambda: channel.closed, "closed when nothing is asked any more", 5)


def test_a_drop_that_is_full_takes_nothing_more_until_there_is_room(partner: Partner) -> None:
    half = b"{" + b" " * 600_000
    with session(partner) as client:
        send(client, "/in/a.json", half)
        with pytest.raises(OSError, match="Quota exceeded: at most 1000000 bytes and 5 files"):
            send(client, "/in/b.json", half)
        assert (partner.left(), list((partner.server.folder / ".aside").iterdir())) == (["a.json"], [])
        client.remove("/in/a.json")
        send(client, "/in/b.json", half)
    partner.write("sent", half)
    run = partner.sftp("put sent /in/c.json")
    assert (run.returncode, "write remote" in run.stderr, partner.left()) == (1, True, ["b.json"])


def test_a_drop_holds_so_many_files_and_no_more(partner: Partner) -> None:
    with session(partner) as client:
        for number in range(5):
            send(client, f"/in/{number}.json", b"{")
        with pytest.raises(OSError, match="Quota exceeded"):
            send(client, "/in/5.json", b"{")
        assert len(partner.left()) == 5
        send(client, "/in/4.json", partner.readings())
        wait(lambda: "4.json" not in client.listdir("/in"), "taken")
        wait(lambda: _sent(client, "/in/5.json", b"{"), "room for another")


def _sent(client: paramiko.SFTPClient, path: str, body: bytes) -> bool:
    try:
        send(client, path, body)
    except OSError:
        return False
    return True


def test_all_sessions_of_a_login_share_its_room(tmp_path: Path) -> None:
    room = Room(1_000_000, 3)
    with folders.opened(tmp_path, 1) as drop:
        one, two = (View(drop, room, 900_000, may_write=True, may_read=True) for _ in range(2))
        asked = {"create": True, "new": False, "keep": False, "append": False}
        first, second = one.open_in(b"/in/a", **asked), two.open_in(b"/in/b", **asked)
        assert first.write(599_999, b"x") == 1
        with pytest.raises(OSError, match="Quota exceeded") as full:
            second.write(599_999, b"x")
        assert full.value.errno == errno.EDQUOT
        first.cut(100_000)
        third = two.open_in(b"/in/c", **asked)
        third.write(800_000, b"x")
        first.finish()
        third.abandon(lost=False)
        with pytest.raises(OSError, match="Not all of it"):
            second.finish()
        assert (room.making, room.writing, room.lying, room.files) == (0, 0, 100_000, 1)
        os.truncate(tmp_path / "1" / "in" / "a", 0)
        assert os.listdir(tmp_path / "1" / "in") == ["a"]  # noqa: PTH208 - the name is all
        with pytest.raises(OSError, match="File too large"):
            one.open_in(b"/in/d", **asked).write(900_000, b"x")


def test_an_upload_that_nobody_goes_on_with_is_removed(partner: Partner, tmp_path: Path) -> None:
    with folders.opened(tmp_path, 1) as drop:
        inbox = tmp_path / "1" / "in"
        for name in ("old.part", ".old", "ready.json"):
            (inbox / name).touch()
        (inbox / "folder.part").mkdir()
        (inbox / "link.part").symlink_to("old.part")
        assert forget(drop, 60.0) == 0
        time.sleep(0.1)
        (inbox / "new.part").touch()
        assert forget(drop, 0.08) == 2
        assert sorted(path.name for path in inbox.iterdir()) == ["folder.part", "link.part", "new.part", "ready.json"]
    partner.put("a.json.part", b"{")
    assert partner.left() == ["a.json.part"]
    wait(lambda: not partner.left(), "swept")


def test_who_cannot_be_told_keeps_nobody_waiting(
    partner: Partner, server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The rulebook of a utility is gone for a while, so that nothing can be told of its files."""
    partner.put("a.json", partner.readings())
    broken = partner.status("a.json")["submission"]
    server.work()
    partner.status("a.json", lambda told: bool(told["readings"] and told["readings"][0]["status"] == "acknowledged"))
    server.rows("delete from document where utility_id = %(u)s", u=partner.utility.id)
    server.rows(
        "insert into event (utility_id, entity, entity_id, to_state, reason) values (%(u)s, 'submission', %(s)s, 'accepted', 'seen later')",
        u=partner.utility.id,
        s=broken.removeprefix("sub_"),
    )
    wait(lambda: _said(caplog, "drop.not_told"), "what went wrong is logged")
    other = Partner(server, server.utility("legal_entity"), tmp_path)
    other.utility.meters("1")
    other.put("a.json", other.readings())
    other.status("a.json")
    server.work()
    other.status("a.json", lambda told: told["status"] == "accepted")
    assert "seen later" not in (partner.drop / "out" / "a.json.status.json").read_text("utf-8")
    with server.owner.transaction() as connection:
        people.save_document(connection, partner.utility.id, "profile", "legal_entity", profiles.shipped()["legal_entity"], "test")
    partner.status("a.json", lambda told: "seen later" in json.dumps(told))
    assert {facts["submission"] for facts in _said(caplog, "drop.not_told")} == {uuid.UUID(hex=broken.removeprefix("sub_"))}


def test_names_of_files_never_reach_a_log(partner: Partner, server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    taken, refused, half, walled, making, asked, meter = canaries = [f"canary{n:02}" for n in range(7)]
    other = Partner(server, partner.utility, tmp_path)
    with session(other) as client:
        wall = other.drop / "out" / f"{walled}.json.status.json"
        assert client.listdir("/out") == []
        wall.mkdir()
        (wall / "x").touch()
        send(client, f"/in/{taken}.json", other.readings())
        send(client, f"/in/{walled}.json", other.readings("151", meter))
        send(client, f"/in/{refused}.pdf", b"%PDF")
        send(client, f"/in/{half}.json", b"{")
        send(client, f"/in/{making}.part", b"{")
        for path in (f"/{asked}", f"/out/{asked}", f"/in/{asked}/{asked}"):
            with pytest.raises(OSError):  # noqa: PT011 - which one is the library's choice
                client.open(path)
    for name in (f"{taken}.json", f"{refused}.pdf", f"{half}.json"):
        other.status(name)
    server.work()
    other.status(f"{taken}.json", lambda told: told["status"] == "accepted")
    wait(lambda: _said(caplog, "drop.not_told"), "the wall was met")
    wait(lambda: f"{making}.part" not in other.left(), "given up")
    (wall / "x").unlink()
    wall.rmdir()
    other.status(f"{walled}.json")
    ours = [record for record in caplog.records if not record.name.startswith("paramiko")]
    for secret in canaries:
        assert [record for record in ours if secret in f"{record.getMessage()} {record.__dict__.get('facts')} {record.exc_text}"] == []
    assert {"drop.told", "drop.removed", "drop.not_told", "drop.given_up"} <= {record.message for record in ours}


def _said(caplog: pytest.LogCaptureFixture, message: str) -> list[dict[str, object]]:
    return [record.__dict__["facts"] for record in list(caplog.records) if record.getMessage() == message]
