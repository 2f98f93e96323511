"""What differs between databases. No other package asks which one it is.

A `Dialect` makes connections and units of work, translates the driver's errors, guards an upgrade of the schema, and
describes what is open. `dialect_for` finds the one for a path or a URL.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from ...errors import InvalidInputError, UnsupportedDatabaseError, shown
from .base import Dialect, Durability, Factory, Settings, Target
from .sqlite import SQLiteFile, SQLiteMemory

__all__ = ["Dialect", "Durability", "Settings", "Target", "dialect_for", "register"]

_factories: Final[dict[str, Factory]] = {}


def register(*schemes: str, factory: Factory) -> None:
    """Let database URLs that begin with one of these schemes be opened by a dialect."""
    for scheme in schemes:
        _factories[scheme] = factory


def dialect_for(target: Target, settings: Settings) -> Dialect:
    """Return the dialect of a path, of ``:memory:`` or of a database URL.

    Raises:
        UnsupportedDatabaseError: no dialect is registered for the URL.
    """
    if isinstance(target, str) and target == ":memory:":
        return SQLiteMemory(settings)
    if isinstance(target, os.PathLike) or (isinstance(target, str) and "://" not in target):
        return SQLiteFile(settings, Path(os.fsdecode(target)))
    if not isinstance(target, str | URL):
        raise InvalidInputError(f"A store is opened by a path or a URL, not by {shown(target)}.")
    try:
        url = make_url(target)
    except ArgumentError as error:
        raise UnsupportedDatabaseError(f"This is not a database URL ({error}).") from error
    factory = _factories.get(url.drivername)
    if factory is None:
        raise UnsupportedDatabaseError(
            f"{url.drivername!r} is not supported. Use a path or sqlite:///… for a file, or postgresql://… for a "
            "server."
        )
    return factory(url, settings)


def _sqlite(url: URL, settings: Settings) -> Dialect:
    if url.host:  # sqlite://name.db
        raise UnsupportedDatabaseError(
            f"The URL of a file has three slashes, or four for an absolute path: sqlite:///{url.host}. Nothing was "
            "opened."
        )
    if url.database in (None, "", ":memory:"):
        return SQLiteMemory(settings)
    return SQLiteFile(settings, Path(url.database or ""), dict(url.query))


def _postgresql(url: URL, settings: Settings) -> Dialect:
    from .postgresql import PostgreSQL  # noqa: PLC0415 - most stores are SQLite's, and need not wait for it

    return PostgreSQL(settings, url.set(drivername="postgresql+psycopg"))


register("sqlite", "sqlite+pysqlite", factory=_sqlite)
register("postgresql", "postgres", "postgresql+psycopg", factory=_postgresql)
