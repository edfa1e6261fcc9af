"""`doctor`: whether this installation can work, one line a question, exit code 0 when nothing is wrong."""

import argparse
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

from gateway import postgres
from gateway.cli import OK, SOME
from gateway.cli.common import columns, settings_of
from gateway.cli.database import database_url
from gateway.domain.problems import Misconfigured, Unavailable
from gateway.domain.profile import MAIL
from gateway.outbound import Target
from gateway.registry import build
from gateway.settings import Settings
from gateway.store import Store, check_schema, doubts, ledger, people, syncs
from gateway.store.audit import audit

LEAST_DISK: Final = 1024**3
"""Bytes that must be free where data is kept."""
CLOCKS: Final = 2.0
"""Seconds by which the clocks of this machine and of the database may differ."""
SERVERS: Final = range(15, 19)
PATIENCE: Final = 5.0
_PORTS: Final = {"http": 80, "https": 443, "postgresql": 5432, "postgres": 5432}


class Finding(NamedTuple):
    """One question and its answer."""

    word: Literal["ok", "note", "wrong"]
    about: str
    text: str


def doctor(args: argparse.Namespace) -> int:
    """Ask everything, print the answers, and tell by the exit code whether any is wrong."""
    findings: list[Finding] = []
    try:
        settings = settings_of(args)
    except Misconfigured as error:
        findings = [*_python(), Finding("wrong", "settings", str(error))]
    else:
        for part in (_python(), _settings(args, settings), _disk(settings), _database(settings), _targets(settings)):
            findings += part
    print("\n".join(columns(findings)))
    return SOME if any(finding.word == "wrong" for finding in findings) else OK


def _python() -> Iterator[Finding]:
    yield Finding("ok" if sys.version_info >= (3, 11) else "wrong", "python", ".".join(map(str, sys.version_info[:3])))


def _settings(args: argparse.Namespace, settings: Settings) -> Iterator[Finding]:
    path: Path = args.config or Path(os.environ.get("METERGATE_CONFIG", "metergate.toml"))
    yield Finding("ok", "settings", str(path) if path.is_file() else "no file, all defaults")
    place = _existing(settings.data)
    if os.access(place, os.W_OK):
        yield Finding("ok", "data", str(settings.data.absolute()))
    else:
        yield Finding("wrong", "data", f"{place} cannot be written to")


def _disk(settings: Settings) -> Iterator[Finding]:
    folders = [settings.data] if settings.database.url else [settings.data, postgres.default_folder(settings.data)]
    for folder in dict.fromkeys(_existing(folder) for folder in folders):
        free = shutil.disk_usage(folder).free
        yield Finding("ok" if free >= LEAST_DISK else "wrong", "disk", f"{free / 1024**3:.1f} GiB free at {folder}")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    place = folder.absolute()
    return next(one for one in (place, *place.parents) if one.exists())


def _database(settings: Settings) -> Iterator[Finding]:
    folder = postgres.default_folder(settings.data)
    if not settings.database.url and not (folder / "data").exists():
        yield Finding("note", "database", "not made yet: metergate up makes it")
        return
    try:
        with database_url(settings) as url:
            yield from _server(Store(url, role="owner", pool=1), settings)
    except (Unavailable, Misconfigured) as error:
        yield Finding("wrong", "database", str(error))


def _server(store: Store, settings: Settings) -> Iterator[Finding]:
    try:
        before = datetime.now(UTC)
        with store.transaction() as connection:
            row: Any = connection.exec_driver_sql("select clock_timestamp() as now, current_setting('server_version_num')::int as v").one()
        after = datetime.now(UTC)
        major = row.v // 10000
        kind = "external" if settings.database.url else "embedded"
        yield Finding("ok" if major in SERVERS else "wrong", "database", f"{kind} PostgreSQL {major}.{row.v % 10000}")
        apart = (row.now - before - (after - before) / 2).total_seconds()
        yield Finding("ok" if abs(apart) <= CLOCKS else "wrong", "clock", f"{apart:+.3f} s between the database and this machine")
        try:
            check_schema(store)
        except Misconfigured as error:
            yield Finding("wrong", "schema", str(error))
        else:
            yield Finding("ok", "schema", "this version's")
            yield from _strangers(store, settings)
            yield from _masters(store, settings)
            yield from _ledger(store)
    finally:
        store.close()


def _strangers(store: Store, settings: Settings) -> Iterator[Finding]:
    """Sections of the settings whose utility or name the database does not know, and what it knows that has no section."""
    with store.transaction() as connection:
        utilities = {row.code: row.id for row in connection.exec_driver_sql("select id, code from utility")}
        known = {code: {one.target for one in people.profiles(connection, id_).values()} for code, id_ in utilities.items()}
        for one in ledger.connected(connection):
            known[one.utility].add(one.name)
    for utility, sections in settings.targets.items():
        for name in sections:
            if utility not in known:
                yield Finding("wrong", f"target {utility}.{name}", f"the database knows no utility {utility!r}")
            elif name not in known[utility] and name != MAIL and not sections[name].get("master_profile"):
                named = ", ".join(sorted(known[utility])) or "none"
                yield Finding("wrong", f"target {utility}.{name}", f"no profile of the utility names this target, they name: {named}")
    if any(settings.targets.values()):
        for utility, names in known.items():
            for name in sorted(names - settings.targets.get(utility, {}).keys()):
                yield Finding("wrong", f"target {utility}.{name}", "not in the settings: its deliveries wait")


def _masters(store: Store, settings: Settings) -> Iterator[Finding]:
    """How the last fetch of master data ended, of each target that is asked for it, and since when nothing good came."""
    for utility, sections in settings.targets.items():
        for name in (name for name, section in sections.items() if section.get("master_every")):
            about = f"master {utility}.{name}"
            with store.transaction() as connection:
                last, good = syncs.last_of(connection, utility, name)
            fresh = "never synced" if good is None else f"last synced at {good:%Y-%m-%d %H:%M:%S}Z"
            if last is None or not last.outcome:
                yield Finding("note", about, f"{fresh}; {'a worker fetches it' if last is None else 'it is being fetched'}")
            elif last.outcome in syncs.GOOD:
                left = last.told.get("left", 0)
                yield Finding("ok", about, f"{fresh}, {last.outcome}{f', {left} agreements left as they were' if left else ''}")
            else:
                yield Finding("wrong", about, f"{fresh}; {last.outcome}: {last.told.get('why', 'its process ended')}")


def _ledger(store: Store) -> Iterator[Finding]:
    """What the audit of lanes, batches, deliveries, readings and submissions finds, and how much waits for a person."""
    with store.transaction() as connection:
        broken = audit(connection)
        undecided = len(doubts.waiting(connection))
    for one in broken:
        yield Finding("wrong", "ledger", f"{one.rule}: {one.count} rows, such as {one.example}")
    if not broken:
        yield Finding("ok", "ledger", "the audit finds nothing")
    if undecided:
        yield Finding("note", "ledger", f"{undecided} deliveries wait for a person: metergate doubt list")


def _targets(settings: Settings) -> Iterator[Finding]:
    if not any(settings.targets.values()):
        yield Finding("note", "targets", "none in the settings: readings are written to files in the data folder")
    for utility, sections in settings.targets.items():
        for name, section in sections.items():
            about = f"target {utility}.{name}"
            try:
                build(Target, section).close()
                yield Finding("ok", about, _reached(section))
            except (Misconfigured, OSError) as error:
                yield Finding("wrong", about, str(error))


def _reached(section: dict[str, Any]) -> str:
    """How a target was found: a connection for an address, else only its settings. Raises OSError."""
    parts = urlsplit(str(section.get("url", "")))
    if not parts.hostname:
        return f"{section.get('kind')}: the settings are right"
    port = parts.port or _PORTS.get(parts.scheme.partition("+")[0])
    if port is None:
        return f"{section.get('kind')}: the settings are right"
    with socket.create_connection((parts.hostname, port), PATIENCE):
        return f"{parts.scheme}://{parts.hostname}:{port} answers"
