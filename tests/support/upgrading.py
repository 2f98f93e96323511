"""The upgrade of a database with other migrations than the library's own."""

from __future__ import annotations

from pathlib import Path

from hermes_store.database import Database
from hermes_store.dialects import Settings

from hermes_store import migrate


def upgrade(target: str | Path, migrations: Path) -> None:
    """Upgrade as opening a store does it."""
    database = Database(target, Settings())
    try:
        migrate.upgrade(database, migrations=migrations)
    finally:
        database.close()
