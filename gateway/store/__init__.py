"""All state, in PostgreSQL: tables, queries by noun, the delivery ledger. Here: the connection, its roles and its migrations."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from gateway.domain.problems import Misconfigured, Unavailable

Role = Literal["owner", "app", "worker"]
PERSISTENCE: Final = 3600.0
"""Seconds for which `insist` goes on; by then the lease is long over and another worker has reaped the batch."""

T = TypeVar("T")
__all__ = ["Connection", "Role", "Store", "check_schema", "migrate"]


class Store:
    """A pool of connections to one database in one role. `utility` transactions of the app role see that utility only."""

    def __init__(self, url: str, *, role: Role = "app", pool: int = 8) -> None:
        """Connect lazily to `url` (libpq form) and take on the role at once; an account of its own for the role works alike."""
        self.url = url
        self.role = role
        self.engine: Engine = create_engine(
            _driver_url(url), pool_size=pool, max_overflow=2, pool_timeout=10, connect_args=_ARGUMENTS, hide_parameters=True
        )
        self._era = 0
        event.listen(self.engine, "connect", self._connected)
        event.listen(self.engine, "checkin", self._returned)
        if role != "owner":
            event.listen(self.engine, "connect", _taking(f"metergate_{role}"))

    @contextmanager
    def transaction(self, utility: int | None = None, *, snapshot: bool = False) -> Iterator[Connection]:
        """A transaction, of one utility where one is named. Raises Unavailable when PostgreSQL cannot be reached or went away.

        With `snapshot` it only reads, and every statement of it sees the same moment.
        After Unavailable with `sent` the outcome of the commit is not known.
        """
        began = False
        try:
            with self.engine.begin() as connection:
                began = True
                if snapshot:
                    connection.exec_driver_sql("set transaction isolation level repeatable read, read only")
                if utility is not None:
                    connection.exec_driver_sql("select set_config('metergate.utility', %(u)s, true)", {"u": str(utility)})
                yield connection
        except DBAPIError as error:
            if error.connection_invalidated or not began or _lost(error):
                self.close()
                raise Unavailable(f"PostgreSQL: {str(error.orig).strip()}", sent=began) from error
            raise

    def insist(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in a transaction, again and again while PostgreSQL is away; for what must be written and cannot be asked for twice."""
        for attempt in Retrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_exponential_jitter(multiplier=0.1, max=5),
            stop=stop_after_delay(PERSISTENCE),
            reraise=True,
        ):
            with attempt, self.transaction() as connection:
                return work(connection)
        raise Unavailable("PostgreSQL: no attempt was made", sent=False)

    def close(self) -> None:
        """Close every connection of the pool; one that is still in use is closed when it comes back."""
        self._era += 1
        self.engine.dispose()

    def _connected(self, _: Any, record: ConnectionPoolEntry) -> None:
        record.info["era"] = self._era

    def _returned(self, connection: Any, record: ConnectionPoolEntry) -> None:
        if connection is not None and record.info.get("era") != self._era:
            connection.close()


_ARGUMENTS: Final = {
    "connect_timeout": 10,
    "options": "-c statement_timeout=60s -c lock_timeout=30s -c idle_in_transaction_session_timeout=120s -c timezone=UTC",
    "application_name": "metergate",
    "prepare_threshold": 3,
}


def migrate(url: str) -> None:
    """Bring the database to this code's schema, forward only, one migrator at a time. Raises Misconfigured when it is newer."""
    engine = create_engine(_driver_url(url), connect_args={"connect_timeout": 10}, hide_parameters=True)
    try:
        with engine.connect() as connection:
            current = _schema(connection)
        if current != head():
            from gateway.store.migrating import upgrade  # noqa: PLC0415 - Alembic is slow to import and rarely wanted

            upgrade(engine)
    finally:
        engine.dispose()


def check_schema(store: Store) -> None:
    """Refuse to work on a schema that is not this code's. Raises Misconfigured saying which way it differs."""
    with store.transaction() as connection:
        current = _schema(connection)
    if current != head():
        raise Misconfigured(f"the database has schema {current}, this code wants {head()}: run metergate db migrate, or the newer code")


@cache
def head() -> str:
    """The revision of this code's schema: the number that the last migration's file begins with."""
    return max(path.name[:4] for path in (files(__name__) / "migrations" / "versions").iterdir() if path.name.endswith(".sql"))


def _schema(connection: Connection) -> str:
    """The revision that a database has come to, `none` while it is empty."""
    there = connection.exec_driver_sql("select to_regclass('alembic_version') is not null").scalar_one()
    current = connection.exec_driver_sql("select version_num from alembic_version").scalar_one_or_none() if there else None
    return str(current or "none")


def _driver_url(url: str) -> str:
    return "postgresql+psycopg://" + url.partition("://")[2]


def _taking(role: str) -> Any:
    def take(connection: Any, _entry: ConnectionPoolEntry) -> None:
        """A login account of the role's own already is what it must be; the owner's account steps down to the role."""
        with connection.cursor() as cursor:
            cursor.execute("select current_user = %s", (role,))
            if not cursor.fetchone()[0]:
                cursor.execute(f'set role "{role}"')
        connection.commit()

    return take


def _lost(error: DBAPIError) -> bool:
    """Connection lost (08), server shutting down (57P), out of resources (53), deadlock (40): time heals it, we are not wrong."""
    return str(getattr(error.orig, "sqlstate", None) or "")[:3] in ("57P", "080", "533", "40P", "400")
