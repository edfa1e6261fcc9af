"""`db psql | dump | restore | migrate`: the operator's hands on the database, embedded or external."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway import postgres
from gateway.cli import OK
from gateway.cli.common import settings_of
from gateway.domain.problems import Misconfigured
from gateway.settings import Settings


@contextmanager
def database_url(settings: Settings, role: postgres.Role = "owner") -> Iterator[str]:
    """Where the database is for a role of the embedded server, which is started when it does not run; an external one by its only URL."""
    if settings.database.url:
        yield settings.database.url
    else:
        with postgres.start(postgres.default_folder(settings.data)) as server:
            yield server.url(role)


def psql(args: argparse.Namespace) -> int:
    """Open psql on this terminal and return its exit code."""
    with database_url(settings_of(args), "superuser") as url:
        return postgres.psql(url, args.arguments)


def dump(args: argparse.Namespace) -> int:
    """Write a dump beside and move it into place when it is whole."""
    path: Path = args.file.absolute()
    if not path.parent.is_dir():
        raise Misconfigured(f"{path.parent}: there is no such folder")
    fresh = path.with_name(f".{path.name}.part")
    try:
        with database_url(settings_of(args), "superuser") as url:
            postgres.dump(url, fresh)
        fresh.chmod(0o600)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    print(f"{args.file}: {path.stat().st_size} bytes")
    return OK


def restore(args: argparse.Namespace) -> int:
    """Replace what the database holds by a dump, all or nothing."""
    path: Path = args.file.absolute()
    if not path.is_file():
        raise Misconfigured(f"{path}: there is no such file")
    with database_url(settings_of(args), "superuser") as url:
        postgres.restore(url, path)
    print(f"restored from {args.file}")
    return OK


def migrate(args: argparse.Namespace) -> int:
    """Bring the schema to this version."""
    from gateway.store import Store, check_schema
    from gateway.store import migrate as bring

    with database_url(settings_of(args)) as url:
        bring(url)
        store = Store(url, role="owner", pool=1)
        check_schema(store)
        store.close()
    print("the schema is this version's")
    return OK
