"""The mark of a database into which another one is being copied, and how far that is.

While it has the mark, its revision is one that no version of this library opens: see `schema_version.COPYING`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import bindparam, text

from ..errors import CopyError
from .copied_tables import SEEDED
from .dialects import Dialect
from .schema import metadata
from .schema_version import COPY_TABLE, COPYING, VERSION_TABLE, current_revision, table_names
from .statement import Statement
from .unit_of_work import UnitOfWork

_set_revision: Final = f"UPDATE {VERSION_TABLE} SET version_num = "  # noqa: S608
_progress: Final = Statement(text(f"SELECT progress FROM {COPY_TABLE}"))  # noqa: S608
_set_progress: Final = Statement(
    text(f"UPDATE {COPY_TABLE} SET progress = :progress WHERE token = :token").bindparams(  # noqa: S608
        bindparam("progress", required=True), bindparam("token", required=True)
    )
)


def begin(dialect: Dialect) -> str:
    """Mark an empty database, or take over one with the mark, and return what identifies this copy.

    Args:
        dialect: of a database with the newest tables, or with the mark.

    Raises:
        CopyError: something is in it.
    """
    token = uuid.uuid4().hex
    with dialect.upgrade() as connection:
        if COPY_TABLE in table_names(connection):
            connection.execute(text(f"UPDATE {COPY_TABLE} SET token = :token"), {"token": token})  # noqa: S608
            return token
        current_revision(connection, dialect)
        for name in metadata.tables.keys() - SEEDED:
            if connection.execute(text(f"SELECT 1 FROM {name} LIMIT 1")).first() is not None:  # noqa: S608
                raise CopyError(
                    f"{dialect.display} is not empty (table {name} has rows), and was left as it is. Name a new "
                    "database."
                )
        connection.execute(text(f"CREATE TABLE {COPY_TABLE} (token TEXT NOT NULL, progress TEXT NOT NULL)"))
        connection.execute(text(f"INSERT INTO {COPY_TABLE} VALUES (:token, '{{}}')"), {"token": token})  # noqa: S608
        for statement in (f"{_set_revision}'{COPYING}'", *dialect.marks(int(COPYING))):
            connection.exec_driver_sql(statement)
    return token


def finish(dialect: Dialect, token: str, revision: str) -> None:
    """Remove the mark: from now on the database is a store.

    Args:
        token: what `begin` returned.
        revision: of the tables.

    Raises:
        CopyError: another process goes on with the copy.
    """
    with dialect.upgrade() as connection:
        found = None
        if COPY_TABLE in table_names(connection):
            found = connection.execute(text(f"SELECT token FROM {COPY_TABLE}")).scalar()  # noqa: S608
        if found != token:
            raise _taken(dialect)
        for statement in (f"DROP TABLE {COPY_TABLE}", f"{_set_revision}'{revision}'", *dialect.marks(int(revision))):
            connection.exec_driver_sql(statement)


def progress(unit: UnitOfWork) -> dict[str, Any]:
    """Return what `set_progress` noted last; empty at the beginning."""
    found: dict[str, Any] = json.loads(unit.value(_progress))
    return found


def set_progress(unit: UnitOfWork, token: str, value: Mapping[str, Any]) -> None:
    """Note how far the copy is, in the transaction that takes it there.

    Raises:
        CopyError: another process goes on with the copy.
    """
    if not unit.execute(_set_progress, {"progress": json.dumps(value), "token": token}):
        raise _taken(unit.dialect)


def _taken(dialect: Dialect) -> CopyError:
    return CopyError(f"Another process goes on with the copy to {dialect.display}. This one ended; nothing is lost.")
