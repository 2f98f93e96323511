"""The schema that a database has to have, and putting it back."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from ..errors import (
    DatabaseCorruptError,
    HermesStoreError,
    SchemaNewerError,
    SchemaOutdatedError,
    SchemaVersionMissingError,
    UnsupportedDatabaseError,
)
from . import migrations
from .dialects import Dialect, SchemaFacts, SchemaItem, Settings, dialect_for
from .dialects.base import logger
from .dialects.sqlite_schema_text import known_items
from .engine import Database
from .schema import metadata
from .schema_version import VERSION_TABLE

#: Of `TABLES` at revision `migrations.HEAD`, from `Dialect.schema_digest`. A test says the new one after a migration.
HEAD_DIGEST: Final = "d97d8188184ca9c0260cfa8752d857ab"
#: The tables of this library, but for those of the index of words, whose text depends on the version of SQLite.
TABLES: Final = frozenset({*metadata.tables, VERSION_TABLE, "sqlite_sequence"})
#: What a damaged schema makes of a database of this library.
_DAMAGE: Final = (DatabaseCorruptError, SchemaOutdatedError, SchemaVersionMissingError, UnsupportedDatabaseError)


def facts(dialect: Dialect) -> SchemaFacts | None:
    """Return what is damaged in the schema of a database; None where nothing but the server can damage it.

    Raises:
        DatabaseError: it cannot be read.
        SchemaNewerError: a newer version of this library upgraded it.
    """
    return _of_known(dialect, dialect.schema_facts(_known()))


def repair(dialect: Dialect, copy: Path) -> SchemaFacts | None:
    """Put the schema back where it is damaged, if nothing of it is lost; as `facts`.

    Args:
        copy: where to copy the database to before it is changed; it must not exist.
    """
    return _of_known(dialect, dialect.repair_schema(_known(), copy))


def _of_known(dialect: Dialect, found: SchemaFacts | None) -> SchemaFacts | None:
    if found is not None and found.revision not in _known():
        raise SchemaNewerError(dialect.display, found.revision, migrations.HEAD)
    return found


def ensure_readable(database: Database) -> None:
    """Find a database that is opened for reading; as `migrations.ensure`.

    One whose schema is damaged is read from a private copy in which it is put right, if nothing of it is lost.
    """
    if database.dialect.path is None:
        migrations.ensure(database, allow_upgrade=False)
        return
    problem: HermesStoreError | None = None
    try:
        migrations.ensure(database, allow_upgrade=False)
        with database.read() as unit:
            if unit.dialect.schema_digest(unit, TABLES) == HEAD_DIGEST:
                return
    except _DAMAGE as error:
        problem = error
    try:
        copy = database.dialect.repaired_copy(_known())
    except HermesStoreError as error:
        raise problem or error from error
    if copy is None:
        if problem is not None:
            raise problem
        return
    database.dialect.close()
    database.dialect = copy
    migrations.ensure(database, allow_upgrade=False)
    logger.warning(
        "The schema of %s is damaged. A copy is read in which it is put right; the file stays as it is. "
        "`hermes-store repair` puts it right in the file.",
        copy.display,
    )


@functools.cache
def _known() -> dict[str, list[SchemaItem]]:
    """Return the schema of each revision, as the migrations make it."""
    dialect = dialect_for(":memory:", Settings())
    known: dict[str, list[SchemaItem]] = {}
    try:
        for revision in sorted(migrations.known_revisions()):
            migrations.upgrade(dialect, revision=revision)
            known[revision] = dialect.look(_items)
    finally:
        dialect.close()
    return known


def _items(connection: Connection) -> list[SchemaItem]:
    raw: Any = connection.connection.driver_connection
    return known_items(raw)
