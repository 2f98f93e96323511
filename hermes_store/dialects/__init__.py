"""What differs between SQLite and PostgreSQL, and nothing of it anywhere else.

A `Backend` makes the engine, says which execution options a read and a write transaction begin with,
tells driver errors apart, guards a schema upgrade, and describes what is open.
"""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from ..errors import UnsupportedDatabaseError
from .backend import DRIVER_ERRORS, Backend, Durability, Settings, Target
from .postgresql import PostgreSQL
from .sqlite import SQLiteFile, SQLiteMemory, forget_locks

__all__ = ["DRIVER_ERRORS", "Backend", "Durability", "Settings", "Target", "backend_for", "forget_locks"]


def backend_for(target: Target, settings: Settings) -> Backend:
    """Return the backend of a path, of ``:memory:`` or of a database URL.

    Raises:
        UnsupportedDatabaseError: the URL is not one of SQLite's or PostgreSQL's.
    """
    if isinstance(target, str) and target == ":memory:":
        return SQLiteMemory(settings)
    if isinstance(target, os.PathLike) or (isinstance(target, str) and "://" not in target):
        return SQLiteFile(settings, Path(os.fsdecode(target)))
    try:
        url = make_url(target)
    except ArgumentError as error:
        raise UnsupportedDatabaseError(f"This is not a database URL ({error}).") from error
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        if url.database in (None, "", ":memory:"):
            return SQLiteMemory(settings)
        return SQLiteFile(settings, Path(url.database or ""), dict(url.query))
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return PostgreSQL(settings, url.set(drivername="postgresql+psycopg"))
    raise UnsupportedDatabaseError(
        f"{url.drivername!r} is not supported. Use a path or sqlite:///… for a file, or postgresql://… for a server."
    )
