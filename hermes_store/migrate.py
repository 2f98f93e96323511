"""The schema's revision: what a database has, what this code needs, and the way from one to the other.

Alembic takes a noticeable part of a second to import, so it is imported only when there is something to do.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text

from .database import Database
from .dialects import Settings
from .errors import SchemaNewerError, SchemaOutdatedError, UnsupportedDatabaseError

if TYPE_CHECKING:
    from alembic.config import Config

logger = logging.getLogger("hermes_store")

#: The newest revision in `migrations/versions`, which a test compares with it.
HEAD: Final = "0001"

# Alembic keeps its state in module globals while a command runs.
_alembic_lock = threading.Lock()


def _renew_lock() -> None:
    """In a forked child: whoever upgraded at that moment is not here to release it."""
    global _alembic_lock  # noqa: PLW0603
    _alembic_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def ensure(database: Database, *, allow_upgrade: bool) -> None:
    """Find or make the database, and bring its tables to this code's revision, or say why that cannot be.

    A database that is refused is not changed.

    Raises:
        SchemaNewerError: the database is ahead of this code.
        SchemaOutdatedError: it is behind, and `allow_upgrade` is false.
        UnsupportedDatabaseError: it holds tables of somebody else.
    """
    database.prepare(create=allow_upgrade)
    with database.read() as connection:
        found = current_revision(connection, database.backend.display)
    if found not in (None, HEAD) and found not in known_revisions():
        raise SchemaNewerError(database.backend.display, str(found), HEAD)
    if found != HEAD and not allow_upgrade:
        raise SchemaOutdatedError(database.backend.display, found, HEAD)
    database.settle()
    if found != HEAD:
        upgrade(database)


def current_revision(connection: Connection, display: str = "The database") -> str | None:
    """Return the revision of the tables, or None where there are none yet.

    Raises:
        UnsupportedDatabaseError: there are tables, but not of this library.
    """
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if tables:
        raise UnsupportedDatabaseError(
            f"{display} already holds tables of something else ({', '.join(sorted(tables)[:5])}, …), and is left as it "
            "is. Give the store a database of its own."
        )
    return None


def upgrade(database: Database, migrations: Path | None = None) -> None:
    """Run the missing migrations, all in one transaction; other processes that want to wait, then find it done.

    A database file that already holds data is copied beside itself first.

    Args:
        migrations: the folder with Alembic's scripts; the library's own unless told otherwise.
    """
    from alembic import command  # noqa: PLC0415 - see the module's docstring
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = alembic_config(migrations)
    head = ScriptDirectory.from_config(config).get_current_head()
    with _alembic_lock, upgrade_connection(database) as connection:
        found = current_revision(connection, database.backend.display)
        if found == head:
            return
        if found is not None:
            stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S%f")
            copy = database.backend.back_up(database.engine, f"{found}-{stamp}")
            logger.info("Copied %s to %s before its upgrade.", database.backend.display, copy)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    logger.info("Upgraded %s from revision %s to %s.", database.backend.display, found, head)


@contextlib.contextmanager
def upgrade_connection(database: Database) -> Iterator[Connection]:
    """Give a connection on which the schema may be changed, in a transaction, by nobody else meanwhile."""
    with (
        database.translated(),
        database.backend.write_lock,
        database.backend.schema_upgrade(database.engine) as connection,
    ):
        yield connection


@contextlib.contextmanager
def alembic_connection(url: str) -> Iterator[Connection]:
    """For `migrations/env.py`: open the database that the command line names as a store would open it."""
    database = Database(url, Settings())
    try:
        database.prepare(create=True)
        with database.read() as connection:
            current_revision(connection, database.backend.display)
        database.settle()
        with upgrade_connection(database) as connection:
            yield connection
    finally:
        database.close()


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
        return Path(__file__).parent.parent / "migrations"
