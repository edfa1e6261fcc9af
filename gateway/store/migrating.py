"""Moves a database to this code's schema by Alembic; imported only when there is something to move: that costs a tenth of a second."""

from importlib.resources import files
from typing import Final

import alembic.command
import alembic.config
import alembic.script
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, text

from gateway.domain.problems import Misconfigured

_LOCK: Final = 7_302_211


def upgrade(engine: Engine) -> None:
    """Run what is missing, one migrator at a time. Raises Misconfigured when the database is newer than this code."""
    with engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:key)"), {"key": _LOCK})
        connection.commit()
        if _current(connection) not in _known():
            raise Misconfigured(f"the database has schema {_current(connection)}, newer than this code: install the newer Metergate")
        config = _config()
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "head")
        connection.commit()


def _config() -> alembic.config.Config:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(files("gateway.store") / "migrations").replace("%", "%%"))
    return config


def _current(connection: Connection) -> str | None:
    current = MigrationContext.configure(connection).get_current_revision()
    connection.commit()
    return current


def _known() -> set[str | None]:
    return {None} | {script.revision for script in alembic.script.ScriptDirectory.from_config(_config()).walk_revisions()}
