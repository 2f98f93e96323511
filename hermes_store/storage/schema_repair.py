"""The schema that a database has to have, and putting it back."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from . import migrations
from .dialects import Dialect, SchemaFacts, SchemaItem, Settings, dialect_for
from .dialects.sqlite_schema_text import known_items


def facts(dialect: Dialect) -> SchemaFacts | None:
    """Return what is damaged in the schema of a database; None where nothing but the server can damage it.

    Raises:
        DatabaseError: it cannot be read.
    """
    return None if dialect.path is None else dialect.schema_facts(_known())


def repair(dialect: Dialect, copy: Path) -> SchemaFacts | None:
    """Put the schema back where it is damaged, if nothing of it is lost; as `facts`.

    Args:
        copy: where to copy the database to before it is changed; it must not exist.
    """
    return dialect.repair_schema(_known(), copy)


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
