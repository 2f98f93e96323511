"""The schema's revision: what a database has, what this code needs, and the way from one to the other.

Alembic takes a noticeable part of a second to import, so it is imported only when there is something to do.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text

from ..errors import SchemaNewerError, SchemaOutdatedError, SchemaVersionMissingError, UnsupportedDatabaseError
from .dialects import Dialect, Settings, Target, dialect_for
from .engine import Database
from .fork_gate import renew_after_fork
from .statement import Statement
from .unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from alembic.config import Config

logger = logging.getLogger("hermes_store")

#: The newest revision in `migrations/versions`, which a test compares with it.
HEAD: Final = "0002"
#: Alembic's table for the revision, under a name that no other program uses.
VERSION_TABLE: Final = "hermes_store_version"
#: The one that revision 0001 used: Alembic's default.
_FIRST_VERSION_TABLE: Final = "alembic_version"
#: The tables of every revision, by which a database is recognised as this library's.
_TABLES: Final = frozenset({"sessions", "messages", "message_blobs", "session_documents", "projects", "retired_ids"})

_alembic_lock = threading.Lock()
# Alembic keeps its state in module globals while a command runs.
renew_after_fork(sys.modules[__name__], "_alembic_lock", threading.Lock)


def ensure(database: Database, *, allow_upgrade: bool) -> None:
    """Find or make the database, and bring its tables to this code's revision, or raise an error that says why not.

    A database that is refused is not changed.

    Raises:
        SchemaNewerError: the database is ahead of this code.
        SchemaOutdatedError: it needs an upgrade, and `allow_upgrade` is false.
        SchemaVersionMissingError: its version table was emptied or dropped.
        UnsupportedDatabaseError: it holds tables of another program.
    """
    dialect = database.dialect
    with database.translated():
        dialect.create_if_missing(allowed=allow_upgrade)
        with dialect.connect() as connection:
            found = current_revision(connection, dialect)
        if found not in (None, HEAD) and found not in known_revisions():
            raise SchemaNewerError(dialect.display, str(found), HEAD)
        if found != HEAD and not allow_upgrade:
            raise SchemaOutdatedError(dialect.display, found, HEAD)
        dialect.configure()
        if found != HEAD:
            upgrade(dialect)
    database.schema_number = int(HEAD)


def current_revision(connection: Connection, dialect: Dialect) -> str | None:
    """Return the revision of the tables, or None where there are none yet.

    Raises:
        SchemaVersionMissingError: the tables are this library's, without a revision.
        UnsupportedDatabaseError: there are tables, but not of this library.
    """
    inspector = inspect(connection)
    tables = set(inspector.get_table_names())
    if not tables:
        return None
    ours = tables >= _TABLES
    for version_table in (VERSION_TABLE, _FIRST_VERSION_TABLE):
        if version_table in tables and (ours or version_table == VERSION_TABLE):
            found: str | None = connection.execute(text(f"SELECT version_num FROM {version_table}")).scalar()  # noqa: S608
            if found is not None:
                return found
    if ours:
        columns = {column["name"] for column in inspector.get_columns("sessions")}
        raise SchemaVersionMissingError(dialect.display, "0002" if "transcript_revision" in columns else "0001")
    raise UnsupportedDatabaseError(
        f"{dialect.display} already holds tables of something else ({', '.join(sorted(tables)[:5])}, …), and is left as "
        "it is. Give the store a database of its own."
    )


_stored: Final = Statement(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608


def stored_revision(unit: UnitOfWork) -> str | None:
    """Return the revision of the tables of an open store."""
    found: str | None = unit.value(_stored)
    return found


def upgrade(dialect: Dialect, migrations: Path | None = None) -> None:
    """Run the missing migrations, all in one transaction; other processes that want to wait, then find it done.

    A database file that already holds data is copied next to itself first.

    Args:
        dialect: the database.
        migrations: the folder with Alembic's scripts; the library's own when None.
    """
    from alembic import command  # noqa: PLC0415 - see the module's docstring
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = alembic_config(migrations)
    head = ScriptDirectory.from_config(config).get_current_head()
    with _alembic_lock, dialect.upgrade() as connection:
        found = current_revision(connection, dialect)
        if found == head:
            return
        if found is not None:
            stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S%f")
            copy = dialect.copy_before_upgrade(f"{found}-{stamp}")
            logger.info("Copied %s to %s before its upgrade.", dialect.display, copy)
        config.attributes["connection"] = connection
        config.attributes["dialect"] = dialect
        command.upgrade(config, "head")
    logger.info("Upgraded %s from revision %s to %s.", dialect.display, found, head)


def adopt_version_table(connection: Connection) -> None:
    """Give a database of revision 0001 the version table of its own."""
    tables = inspect(connection).get_table_names()
    if VERSION_TABLE in tables or _FIRST_VERSION_TABLE not in tables:
        return
    connection.execute(text(f"ALTER TABLE {_FIRST_VERSION_TABLE} RENAME TO {VERSION_TABLE}"))


def mark(connection: Connection, dialect: Dialect) -> None:
    """Note in the database itself whose it is and its schema's revision, after Alembic changed it."""
    if VERSION_TABLE in inspect(connection).get_table_names():
        revision = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608
        dialect.mark_schema(connection, int(revision or 0))


@contextlib.contextmanager
def alembic_connection(url: Target) -> Iterator[tuple[Connection, Dialect]]:
    """For `migrations/env.py`: open the database that the command line names as a store would open it."""
    database = Database(url, Settings())
    dialect = database.dialect
    try:
        with database.translated():
            dialect.create_if_missing(allowed=True)
            with dialect.connect() as connection, contextlib.suppress(SchemaVersionMissingError):
                current_revision(connection, dialect)
            dialect.configure()
            with dialect.upgrade() as connection:
                yield connection, dialect
    finally:
        database.close()


def dialect_name(target: Target) -> str:
    """Return SQLAlchemy's name for the kind of database that `target` is."""
    return dialect_for(target, Settings()).name


def known_revisions() -> set[str]:
    """Return every revision that this code has a migration for."""
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see the module's docstring

    return {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}


def alembic_config(migrations: Path | None = None) -> Config:
    """Return the configuration for Alembic's commands from Python."""
    from alembic.config import Config  # noqa: PLC0415 - see the module's docstring

    config = Config()
    config.set_main_option("script_location", str(migrations or _packaged_migrations()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _packaged_migrations() -> Path:
    """Return the folder of the library's own migrations, in a wheel or in a checkout."""
    try:
        return Path(importlib.import_module("hermes_store.migrations").__path__[0])
    except ModuleNotFoundError:  # a checkout that is on the path without being installed
        return Path(__file__).parent.parent.parent / "migrations"
