"""Upgrades with other migrations than the library's own, and how far a database is."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import sqlalchemy as sa

from hermes_store.storage import migrations
from hermes_store.storage.dialects import Settings
from hermes_store.storage.engine import Database

#: The id of the migration that will be made next.
NEXT: Final = f"{int(migrations.HEAD) + 1:04}"


def upgrade(target: str | Path, folder: Path) -> None:
    """Upgrade as opening a store does it, with the migrations of a folder."""
    database = Database(target, Settings())
    try:
        migrations.upgrade(database.dialect, migrations=folder)
    finally:
        database.close()


def engine_for(target: str | Path) -> sa.Engine:
    """Return an engine for a path or a URL, which keeps no connections."""
    url = str(target)
    return sa.create_engine(url if "://" in url else f"sqlite:///{url}", poolclass=sa.NullPool)


def execute(target: str | Path, *statements: str) -> None:
    """Run statements on a database, past the library, in one transaction."""
    with engine_for(target).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def rows(target: str | Path, query: str) -> list[tuple[object, ...]]:
    """Return what a query finds."""
    with engine_for(target).connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]
