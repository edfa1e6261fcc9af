"""Whatever a file in the drop is called, its name is a label: it is taken, told under that very name, and nothing is outside the store."""

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inbound.drop import names
from gateway.postgres import Server as Postgres
from tests.channels.sftp import Partner, Server, running_drop, wait
from tests.conftest import fresh_database

RTL = "\u202e"
NAMES = [
    b"-rf",
    b"CON",
    b"NUL.json",
    b"a b;c|d&e$(id)`id`.json",
    "показания за январь.json".encode(),
    "показания.json".encode("cp1251"),
    f"evil{RTL}nosj.exe".encode(),
    unicodedata.normalize("NFC", "й.json").encode(),
    unicodedata.normalize("NFD", "й.json").encode(),
    b"Twin.json",
    b"twin.json",
    b"new\nline.json",
    b"tab\tand\x7fcontrol\x01.json",
    b"back\\slash.json",
    b"\\xff.json",
    b"\xff.json",
    b"%s%n%00.json",
    b"..json",
    b"x" * 243,
    b"x" * 255,
    "ё".encode() * 127,
    b"a.status.json",
    b"~",
    b"\"quoted'.json",
]


@pytest.fixture(scope="module")
def server(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One gateway with a drop for all the tests of this file."""
    for database in fresh_database(server):
        with running_drop(database, tmp_path_factory.mktemp("drop")) as running:
            yield running


@pytest.fixture
def partner(server: Server, tmp_path: Path) -> Partner:
    """A contractor with a key."""
    utility = server.utility("legal_entity")
    utility.meters("1")
    return Partner(server, utility, tmp_path)


def test_every_name_is_taken_and_told_under_itself(partner: Partner, server: Server) -> None:
    """Sent by paramiko, which sends any bytes as they are."""
    import paramiko

    transport = paramiko.Transport(("127.0.0.1", server.port))
    try:
        transport.start_client()
        transport.auth_publickey(partner.login, paramiko.Ed25519Key.from_private_key_file(str(partner.home / "key")))
        client = paramiko.SFTPClient.from_transport(transport)
        assert client is not None
        for number, name in enumerate(NAMES):
            with client.open(b"/in/" + name, "wb") as file:
                file.write(partner.readings(str(150 + number)))
        for name in (b"/in/" + b"x" * 256, b"/in/nul\0.json", b"/in/../../up.json", b"/../in/a/b.json", b"/in/.", b"/in/.."):
            with pytest.raises(OSError):  # noqa: PT011 - which one is the library's choice
                client.open(name, "wb").close()
    finally:
        transport.close()
    dotted = {name for name in NAMES if names.in_the_making(name)}
    wait(lambda: set(map(os.fsencode, partner.left())) == dotted, "all but the hidden one taken")
    expected = {names.beside(name, names.STATUS) for name in NAMES if name not in dotted}
    assert {os.fsencode(path.name) for path in (partner.drop / "out").iterdir()} == expected
    assert all(len(name) <= 255 for name in expected)
    rows = server.rows(
        "select name, file_name from drop_file join submission on id = submission_id where drop_file.credential_id = %(c)s",
        c=partner.credential,
    )
    assert {names.original(row.name) for row in rows} == {name for name in NAMES if name not in dotted}
    assert all(row.file_name.isprintable() for row in rows)
    assert "показания.json" in {row.file_name for row in rows}
    outside = {path.relative_to(server.settings.data).parts[0] for path in server.settings.data.rglob("*")}
    assert outside <= {"sftp", "sftp_host_key", "billing"}


@given(st.binary(min_size=1, max_size=255))
def test_stored_names_are_told_apart_and_come_back(name: bytes) -> None:
    stored = names.stored(name)
    stored.encode("utf-8")
    assert names.original(stored) == name
    beside = names.beside(name, names.STATUS)
    assert len(beside) <= 255
    assert beside.endswith(b".status.json")


@pytest.mark.parametrize(
    ("name", "making"),
    [
        (b"a.part", True),
        (b"a.PART", True),
        (b".a", True),
        (b"a.filepart", True),
        (b"a.tmp", True),
        (b"a.uploading", True),
        (b"a.part.csv", False),
        (b"part", False),
    ],
)
def test_some_names_are_in_the_making(name: bytes, making: bool) -> None:  # noqa: FBT001 - a row of the table
    assert names.in_the_making(name) is making
