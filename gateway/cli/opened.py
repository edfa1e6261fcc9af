"""The database as verbs open it that look at all utilities, or act for one."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.cli.common import settings_of
from gateway.cli.database import database_url
from gateway.store import Store, check_schema


@contextmanager
def store_of(args: argparse.Namespace) -> Iterator[Store]:
    """A store of the owner's role. Raises Misconfigured when the schema is not this version's."""
    with database_url(settings_of(args)) as url:
        store = Store(url, role="owner", pool=1)
        try:
            check_schema(store)
            yield store
        finally:
            store.close()
