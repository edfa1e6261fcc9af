"""A new data folder: its roles, passwords, database and settings."""

import json
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from gateway.domain.problems import Misconfigured
from gateway.postgres.account import Account
from gateway.postgres.folder import make_private, write_private
from gateway.postgres.tools import run, version

Role = Literal["superuser", "owner", "app", "worker"]

ROLES: Mapping[Role, str] = MappingProxyType(
    {"superuser": "postgres", "owner": "metergate_owner", "app": "metergate_app", "worker": "metergate_worker"}
)
SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        "shared_buffers": "128MB",
        "max_wal_size": "1GB",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "idle_in_transaction_session_timeout": "60s",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %u@%d ",
        # A statement, its parameters and the DETAIL of an error may hold personal data: none of them is logged.
        "log_min_error_statement": "panic",
        "log_parameter_max_length_on_error": "0",
        "log_error_verbosity": "terse",
    }
)


def create(folder: Path, binaries: Path, account: Account | None) -> None:
    """Makes the cluster, roles and database beside, and moves it into place when it is whole."""
    word = folder / "password.new"
    for left_over in (word, folder / "passwords.json"):
        left_over.unlink(missing_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="data.new-", dir=folder))
    make_private(fresh, account)
    passwords = {role: secrets.token_urlsafe(24) for role in ROLES}
    write_private(folder / "passwords.json", json.dumps(passwords), None)
    write_private(word, passwords["superuser"], account)
    locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if version(binaries) >= 17 else ["--locale=C.UTF-8"]
    auth = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={word}"]
    run([binaries / "initdb", "-D", fresh, *auth, "--data-checksums", "--encoding=UTF8", *locale], account, folder)
    word.unlink()
    with (fresh / "postgresql.conf").open("a", encoding="utf-8") as conf:
        conf.write("\ninclude_if_exists 'metergate.conf'\n")
    statements = [
        f"CREATE ROLE {ROLES['owner']} LOGIN CREATEDB PASSWORD '{passwords['owner']}'",
        *(f"CREATE ROLE {ROLES[role]} LOGIN PASSWORD '{passwords[role]}'" for role in ("app", "worker")),
        f"GRANT {ROLES['app']}, {ROLES['worker']} TO {ROLES['owner']}",
        f"CREATE DATABASE metergate OWNER {ROLES['owner']}",
    ]
    single: list[str | Path] = [
        binaries / "postgres",
        "--single",
        "-D",
        fresh,
        "-c",
        "exit_on_error=on",
        "-c",
        "log_min_messages=error",
        "postgres",
    ]
    run(single, account, folder, text=";\n".join(statements) + ";\n")
    fresh.rename(folder / "data")


def sweep(folder: Path) -> None:
    """Removes what a killed start left behind; its orphaned initdb may still be writing there, hence a new name each time."""
    for left_over in folder.glob("data.new*"):
        shutil.rmtree(left_over, ignore_errors=True)


def check(folder: Path, binaries: Path) -> None:
    """Refuses a data folder that these binaries cannot serve."""
    made_by, served_by = int((folder / "data" / "PG_VERSION").read_text("utf-8")), version(binaries)
    if made_by != served_by:
        raise Misconfigured(
            f"{folder / 'data'} was made by PostgreSQL {made_by} and this is {served_by}: dump it with the old one (metergate db dump), "
            f"move the folder away, start, and bring the data back (metergate db restore)"
        )
    if not (folder / "passwords.json").exists():
        raise Misconfigured(f"{folder}/passwords.json is missing and without it nobody can log in: bring it back from a copy")


def write_settings(folder: Path, account: Account | None, settings: Mapping[str, str]) -> None:
    """Writes the file that the server reads at its next start, over the one from before."""
    socket = (folder / "socket").read_text("utf-8")
    wanted = {**SETTINGS, "unix_socket_directories": f'"{socket}"', **settings}
    quoted = {key: value.replace("'", "''") for key, value in wanted.items()}
    write_private(folder / "data" / "metergate.conf", "".join(f"{key} = '{value}'\n" for key, value in quoted.items()), account)
