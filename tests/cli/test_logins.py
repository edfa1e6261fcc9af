"""`partner add --sftp`: logins of the drop, by password and by key, on a real database."""

import base64
import subprocess
from pathlib import Path

import pytest

from gateway.store import Store, drops, people
from tests.cli.conftest import Command
from tests.conftest import Database

NEW = ("--utility", "city_heat", "--profile", "contractor_heat")


def key_file(folder: Path, *options: str) -> Path:
    """A fresh public key."""
    private = folder / "key"
    subprocess.run(["/usr/bin/ssh-keygen", "-q", "-N", "", "-f", private, *(options or ("-t", "ed25519"))], check=True)
    return private.with_suffix(".pub")


def known(database: Database, name: str) -> drops.Login | None:
    """What a login is."""
    store = Store(database.url("worker"), role="worker", pool=1)
    try:
        with store.transaction() as connection:
            return drops.login(connection, name)
    finally:
        store.close()


def test_a_login_with_a_password(on_database: Command, database: Database) -> None:
    made = on_database("partner", "add", "teplo", *NEW, "--sftp")
    assert made.returncode == 0
    assert "login city_heat.teplo" in made.stderr
    login = known(database, "city_heat.teplo")
    assert login is not None
    assert (login.kind, login.secret_hash, login.sender.scopes) == ("sftp", people.digest(made.stdout.strip()), ("submit", "read"))
    again = on_database("partner", "add", "teplo", *NEW, "--sftp")
    assert (again.returncode, again.stdout) == (2, "")
    assert "somebody has the login" in again.stderr


def test_a_login_with_a_key(on_database: Command, database: Database, tmp_path: Path) -> None:
    path = key_file(tmp_path)
    made = on_database("partner", "add", "Подрядчик", *NEW, "--sftp", "teplo-1", "--ssh-key", path, "--scope", "submit")
    assert (made.returncode, made.stdout) == (0, "teplo-1\n")
    login = known(database, "teplo-1")
    public = base64.b64decode(path.read_text().split()[1])
    assert login is not None
    assert (login.kind, login.secret_hash, login.sender.principal) == ("ssh_key", people.key_digest("teplo-1", public), "Подрядчик")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--sftp",), "give one of Latin letters"),
        (("--sftp", "../up"), "cannot be a login"),
        (("--ssh-key", "KEY"), "give --sftp too"),
        (("--sftp", "x", "--ssh-key", "SECRET"), "this is a private key"),
        (("--sftp", "x", "--ssh-key", "RSA"), "an RSA key of less than 2048 bits is too weak"),
        (("--sftp", "x", "--ssh-key", "TEXT"), "one line is wanted"),
        (("--sftp", "x", "--ssh-key", "CUT"), "the key is damaged"),
    ],
)
def test_what_can_be_no_login_is_said(on_database: Command, tmp_path: Path, more: tuple[str, ...], said: str) -> None:
    good = key_file(tmp_path)
    (tmp_path / "rsa").mkdir()
    files = {"KEY": good, "SECRET": good.with_suffix(""), "TEXT": tmp_path / "text", "CUT": tmp_path / "cut"}
    if "RSA" in more:
        files["RSA"] = key_file(tmp_path / "rsa", "-t", "rsa", "-b", "1024")
    files["TEXT"].write_text("hello\n")
    files["CUT"].write_text(good.read_text()[:40] + "\n")
    done = on_database("partner", "add", "Подрядчик", *NEW, *(files.get(word, word) for word in more))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
