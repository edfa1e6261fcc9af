"""Reads master data from a view in the billing's own database (contracts_schema/sql_staging.md); it takes no readings."""

import csv
import socket
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime
from datetime import time as clock_time
from decimal import Decimal
from functools import cached_property
from time import monotonic
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Engine, ExceptionContext, NullPool, column, create_engine, event, literal_column, make_url, select, table
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, InternalError, NotSupportedError, ProgrammingError, SQLAlchemyError

from gateway.domain.problems import Misconfigured, Unavailable
from gateway.mapping.registry_rows import COLUMNS
from gateway.outbound import Target

_ROWS: Final = 2000
"""Rows fetched at once and in memory at most."""
_PATIENT: Final = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""psycopg's own: a server that is gone is noticed in half a minute."""
_WRONG: Final = (ProgrammingError, DataError, InternalError, NotSupportedError)
"""A view that is not there, is not ours to read, cannot be computed or would write: time mends none of these."""


class SqlStaging(Target, frozen=True, kw_only=True, dict=True):
    """A view of the billing's database, one row a register.

    `url`: as SQLAlchemy has it, `postgresql://login:secret@host/database`. `view`: its name, with a schema or without. `columns`: a column
    of the feed -> the view's; without any the view's columns have the feed's names.
    """

    url: str
    view: str
    columns: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ValueError naming the setting that cannot be; a secret is not shown."""
        if not self.view:
            raise ValueError("view: its name is wanted")
        if strange := sorted(self.columns.keys() - set(COLUMNS)):
            raise ValueError(f"columns: {', '.join(strange)}: none of a feed's; they are {', '.join(COLUMNS)}")
        try:
            _ = self._engine
        except (ArgumentError, ValueError) as error:
            raise ValueError("url: a URL of a database and its login is wanted, of a kind whose driver is installed") from error

    def __repr__(self) -> str:
        url = self._engine.url
        return f"SqlStaging({url.host}/{url.database}, {self.view})"

    def master(self) -> Generator[bytes, None, None]:
        """The rows of the view, by a cursor of the server in a transaction that may only read."""
        with self._connection() as connection:
            schema, _, name = self.view.rpartition(".")
            named: list[Any] = [column(theirs).label(ours) for ours, theirs in self.columns.items()] or [literal_column("*")]
            writer = csv.writer(_Line())
            with connection.execute(select(*named).select_from(table(name, schema=schema or None))) as found:
                yield _bytes(writer, [name.lower() for name in found.keys()])  # noqa: SIM118 - the names of a result's columns
                for rows in found.partitions(_ROWS):
                    yield b"".join([_bytes(writer, map(_cell, row)) for row in rows])

    @cached_property
    def _engine(self) -> Engine:
        url = make_url(self.url)
        ours = url.drivername in ("postgresql", "postgres", "postgresql+psycopg")
        url = url.set(drivername="postgresql+psycopg") if ours else url
        engine = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=_PATIENT if ours else {})
        event.listen(engine, "handle_error", _let_go)
        return engine

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """A connection for one fetch, which ends when its time is over; whatever goes wrong is one of the three errors."""
        late = monotonic() + self.master_timeout
        try:
            with self._engine.connect() as connection, _cut_off(connection, late):
                if connection.dialect.name == "postgresql":
                    connection.exec_driver_sql("set transaction isolation level repeatable read, read only")
                    connection.exec_driver_sql(f"set local statement_timeout = {int(self.master_timeout * 1000)}")
                yield connection.execution_options(stream_results=True, max_row_buffer=_ROWS)
        except DBAPIError as error:
            why = str(error.orig).strip().partition("\n")[0]
            if monotonic() >= late:
                why = f"not done within {self.master_timeout:g} s"
            elif isinstance(error, _WRONG):
                raise Misconfigured(f"{self}: {why}") from error
            raise Unavailable(f"{self}: {why}", sent=False) from error
        except SQLAlchemyError as error:
            raise Misconfigured(f"{self}: {error}") from error


@contextmanager
def _cut_off(connection: Connection, late: float) -> Iterator[None]:
    """Shut the connection's socket when its time is over, under whatever waits for it; a driver that shows no socket has its own times."""
    driver: Any = connection.connection.driver_connection
    if not hasattr(driver, "fileno"):
        yield
        return
    with socket.socket(fileno=driver.fileno()) as wire:
        clock = threading.Timer(max(late - monotonic(), 0.0), _cut, (wire,))
        clock.daemon = True
        clock.start()
        try:
            yield
        finally:
            clock.cancel()
            wire.detach()


def _let_go(context: ExceptionContext) -> None:
    """Close the cursor that failed: SQLAlchemy forgets it when its connection is lost."""
    cursor = getattr(context.execution_context, "cursor", None)
    if cursor is not None:
        cursor.close()


def _cut(wire: socket.socket) -> None:
    with suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)


class _Line:
    """What `csv` writes to: the line itself comes back from each call."""

    def write(self, text: str) -> str:
        """The text."""
        return text


def _bytes(writer: Any, cells: Any) -> bytes:
    return str(writer.writerow(cells)).encode()


def _cell(value: Any) -> str:
    """A value of a database as it stands in a feed's cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        value = Decimal(repr(value))
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime) and value.time() == clock_time():
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)
