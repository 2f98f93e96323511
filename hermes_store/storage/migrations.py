"""The schema's revision: what a database has, what this code needs, and the way from one to the other.

Alembic takes a noticeable part of a second to import, so it is imported only when there is something to do.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, text

from ..errors import (
    DatabaseCorruptError,
    DatabaseLockedError,
    HermesStoreError,
    SchemaNewerError,
    SchemaOutdatedError,
    SchemaVersionMissingError,
    UnsupportedDatabaseError,
)
from . import change_rows, search_filling
from .dialects import BackupFacts, Dialect, Settings, Target, dialect_for
from .dialects.sqlite_backup import back_up
from .dialects.sqlite_file_check import require_openable
from .engine import Database
from .fork_gate import renew_after_fork
from .held_lock import HeldLock
from .schema_version import VERSION_TABLE, current_revision, settle
from .statement import Statement
from .unit_of_work import DRIVER_ERRORS, UnitOfWork, driver_error

if TYPE_CHECKING:
    from alembic.config import Config

logger = logging.getLogger("hermes_store")

#: The newest revision in `migrations/versions`, which a test compares with it.
HEAD: Final = "0012"
# Alembic keeps its state in module globals while a command runs, so threads upgrade one after the other.
_alembic_turns = HeldLock()
renew_after_fork(sys.modules[__name__], "_alembic_turns", HeldLock)
#: Seconds that a thread waits for another one's upgrade.
_LONGEST_UPGRADE: Final = 600.0


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
        is_unfinished = dialect.has_unfinished_write()
        found, is_marked = _look(dialect, allow_upgrade=allow_upgrade)
        dialect.configure()
        if is_unfinished:  # that undid the write: an upgrade, for example, whose process was killed
            found, is_marked = _look(dialect, allow_upgrade=allow_upgrade)
        if found != HEAD:
            upgrade(dialect)
        elif not is_marked and not database.settings.read_only:  # it was restored from a dump, which keeps no marks
            with dialect.upgrade() as connection:
                settle(connection, dialect, VERSION_TABLE)
    database.schema_number = int(HEAD)
    change_rows.prepare(database)
    search_filling.prepare(database, is_new=found is None)


def _look(dialect: Dialect, *, allow_upgrade: bool) -> tuple[str | None, bool]:
    """Return the state of a database that may be opened, without changing it."""
    found, is_marked = dialect.look(lambda connection: _state(connection, dialect))
    if found not in (None, HEAD) and found not in known_revisions():
        raise SchemaNewerError(dialect.display, str(found), HEAD)
    if found != HEAD and not allow_upgrade:
        raise SchemaOutdatedError(dialect.display, found, HEAD)
    return found, is_marked


def _state(connection: Connection, dialect: Dialect) -> tuple[str | None, bool]:
    """Return a database's revision, and whether it is marked as having this code's."""
    if dialect.has_revision(connection, HEAD):
        return HEAD, True
    return current_revision(connection, dialect), dialect.is_marked(connection, int(HEAD))


_stored: Final = Statement(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608


def stored_revision(unit: UnitOfWork) -> str | None:
    """Return the revision of the tables of an open store."""
    found: str | None = unit.value(_stored)
    return found


def upgrade(dialect: Dialect, migrations: Path | None = None, *, revision: str = "head", copies: bool = True) -> None:
    """Run the missing migrations, all in one transaction. Others that want to do that wait, and then find it done.

    A database file that already holds data is copied next to itself first.

    Args:
        dialect: the database.
        migrations: the folder with Alembic's scripts; the library's own when None.
        revision: the one to reach.
        copies: make a copy first, if it is a file that holds data.
    """
    from alembic import command  # noqa: PLC0415 - see the module's docstring
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = alembic_config(migrations)
    head = ScriptDirectory.from_config(config).get_current_head() if revision == "head" else revision
    found = copy = None
    try:
        with _alembic_turn(dialect):
            if dialect.look(lambda connection: current_revision(connection, dialect)) == head:
                return  # another thread did it, which may be writing now
            with dialect.upgrade() as connection:
                found = current_revision(connection, dialect)
                if found == head:
                    return
                if found is not None and copies:
                    copy = _copy(dialect, found)
                config.attributes["connection"] = connection
                config.attributes["dialect"] = dialect
                command.upgrade(config, revision)
    except BaseException:  # whatever it is: each try would leave one more copy of what did not change
        if copy is not None:
            _discard(copy, dialect, found)
        raise
    if dialect.path is not None or dialect.backup_programs:  # one in memory is gone soon
        logger.info("Upgraded %s from revision %s to %s.", dialect.display, found, head)


def _copy(dialect: Dialect, revision: str) -> Path | None:
    """Copy a database file next to itself, and return the copy; None for what is no file."""
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S%f")
    copy = dialect.copy_before_upgrade(f"{revision}-{stamp}")
    if copy is not None:
        logger.info("Copied %s to %s before its upgrade.", dialect.display, copy)
    return copy


def _discard(copy: Path, dialect: Dialect, revision: str | None) -> None:
    """Remove a copy of a database that still has this revision, if that can be done."""
    with contextlib.suppress(OSError, HermesStoreError, *DRIVER_ERRORS):  # the disk that failed may fail again
        if dialect.look(lambda connection: current_revision(connection, dialect)) == revision:
            copy.unlink(missing_ok=True)


@contextlib.contextmanager
def _alembic_turn(dialect: Dialect) -> Iterator[None]:
    with _alembic_turns.hold(_LONGEST_UPGRADE) as is_held:
        if not is_held:
            raise DatabaseLockedError(
                f"{dialect.display} needs an upgrade, and another thread of this process has been upgrading a database "
                f"for more than {_LONGEST_UPGRADE:g} s. Nothing was changed; try again."
            )
        yield


@contextlib.contextmanager
def alembic_connection(url: Target) -> Iterator[tuple[Connection, Dialect]]:
    """For `migrations/env.py`: open the database that the command line names as a store would open it."""
    database = Database(url, Settings())
    dialect = database.dialect
    try:
        with database.translated():
            dialect.create_if_missing(allowed=True)
            with contextlib.suppress(SchemaVersionMissingError):  # `alembic stamp` is the way out of that
                dialect.look(lambda connection: current_revision(connection, dialect))
            dialect.configure()
            with dialect.upgrade() as connection:
                yield connection, dialect
    finally:
        database.close()


def dialect_of(target: Target) -> Dialect:
    """For `migrations/env.py`: return the dialect of a database that is not opened."""
    return dialect_for(target, Settings())


def copy_backup(
    source: Path, target: Path, on_pages: Callable[[int, int], None], on_step: Callable[[], None]
) -> tuple[str, BackupFacts]:
    """Copy a backup to a new file, and check the copy; return the revision of its tables, and what is in it.

    Args:
        source: the backup, which stays as it is.
        target: the file, which must not exist.
        on_pages, on_step: as for `Dialect.back_up`.

    Raises:
        SchemaNewerError, SchemaVersionMissingError, UnsupportedDatabaseError: it is not one that this code can upgrade.
        DatabaseCorruptError: it is damaged.
    """
    backup = dialect_for(source, Settings(read_only=True))

    def copy(connection: Connection) -> tuple[str | None, BackupFacts | None]:
        revision = current_revision(connection, backup)
        if revision != HEAD and revision not in known_revisions():
            if revision is not None:
                raise SchemaNewerError(backup.display, revision, HEAD)
            return None, None
        target.unlink(missing_ok=True)  # `look` may call this twice
        raw: Any = connection.connection.driver_connection
        raw.execute("BEGIN")  # others may be writing to it
        try:
            return revision, back_up(raw, target, on_pages, on_step)
        finally:
            raw.execute("ROLLBACK")

    try:
        require_openable(source)
        revision, facts = backup.look(copy)
    except DRIVER_ERRORS as error:
        raise backup.translate(driver_error(error)) from error
    if revision is None or facts is None:
        raise UnsupportedDatabaseError(f"{source} has no tables. Nothing was changed; name a backup.")
    return revision, facts


def require_ours(dialect: Dialect) -> None:
    """Refuse to replace another program's file. A database that is damaged may be replaced, and one without tables.

    Raises:
        UnsupportedDatabaseError: it is another program's database, or no database at all.
    """
    with contextlib.suppress(DatabaseCorruptError, SchemaVersionMissingError):
        try:
            dialect.look(lambda connection: current_revision(connection, dialect))
        except DRIVER_ERRORS as error:
            origin = driver_error(error)
            if dialect.is_no_database(origin):  # it may have been named by mistake
                raise UnsupportedDatabaseError(
                    f"{dialect.display} is no database, or its first page is damaged. Nothing was changed; to have the "
                    "backup in its place, move it away first."
                ) from error
            raise dialect.translate(origin) from error


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
