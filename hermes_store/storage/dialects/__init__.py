"""What differs between databases. No other package asks which one it is.

A `Dialect` makes connections and units of work, translates the driver's errors, guards an upgrade of the schema, and
describes what is open. `dialect_for` finds the one for a path or a URL.
"""

from __future__ import annotations

import contextlib
import re
from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from ...errors import UnsupportedDatabaseError
from ...paths import path_of
from ...quoting import quoted, text_of
from ...targets import shown
from .base import Dialect, Durability, Factory, JournalMode, Settings, Target
from .facts import BackupFacts, SchemaFacts, SchemaItem
from .sqlite_file import SQLiteFile
from .sqlite_memory import SQLiteMemory
from .sqlite_parameters import check_parameters

__all__ = [
    "BackupFacts",
    "Dialect",
    "Durability",
    "JournalMode",
    "SQLiteFile",
    "SchemaFacts",
    "SchemaItem",
    "Settings",
    "Target",
    "dialect_for",
    "register",
]

_factories: Final[dict[str, Factory]] = {}


def register(*schemes: str, factory: Factory) -> None:
    """Register a dialect for the database URLs that begin with one of some schemes."""
    for scheme in schemes:
        _factories[scheme] = factory


def dialect_for(target: Target, settings: Settings) -> Dialect:
    """Return the dialect of a path, of ``:memory:`` or of a database URL.

    Raises:
        UnsupportedDatabaseError: no dialect is registered for the URL.
    """
    text = text_of(target)
    if text == ":memory:":
        return SQLiteMemory(settings)
    if not isinstance(target, URL) and not (text is not None and "://" in text):
        path = path_of(target, "database")
        scheme, colon, _ = str(path).partition(":")
        if colon and scheme.lower() in _factories:
            raise UnsupportedDatabaseError(f"A URL has slashes after its scheme: {scheme}://…. Nothing was opened.")
        return SQLiteFile(settings, path)
    url = target if isinstance(target, URL) else _parse(str(text))
    factory = _factories.get(url.drivername)
    if factory is None:
        raise UnsupportedDatabaseError(
            f"{quoted(url.drivername)} is not supported. Use a path or sqlite:///… for a file, or postgresql://… for a "
            "server."
        )
    return factory(url, settings)


#: A URL with several hosts, which SQLAlchemy's own syntax does not have.
_SEVERAL_HOSTS: Final = re.compile(r"([\w+]+://(?:[^@]*@)?)([^/?@]*,[^/?@]*)((?:[/?].*)?)", re.DOTALL)


_HOST: Final = re.compile(r"[\w.:%~-]*")


def _parse(target: str) -> URL:
    several = _SEVERAL_HOSTS.fullmatch(target)
    # The error that SQLAlchemy raises may quote a password, and so may not even be the cause of ours.
    with contextlib.suppress(ArgumentError, ValueError):
        url = make_url(target if several is None else several[1] + several[3])
        # Otherwise it has an @ too much, and a part of the password would be taken for the host, and shown.
        if _HOST.fullmatch(url.host or "") and "@" not in (url.database or ""):
            return url if several is None else url.update_query_pairs([("host", one) for one in several[2].split(",")])
    raise UnsupportedDatabaseError(
        f"{shown(target)} cannot be parsed as a URL: scheme://user:password@host:port/database, with a number as the "
        "port, and with %40, %3A and %2F for @, : and / in a user or password. Nothing was opened."
    )


def _sqlite(url: URL, settings: Settings) -> Dialect:
    if url.host or url.username or url.password or url.port:  # sqlite://name.db
        raise UnsupportedDatabaseError(
            "The URL of a file has three slashes, sqlite:///name.db, or four for an absolute path. Nothing was opened."
        )
    check_parameters(url.query)
    if url.database in (None, "", ":memory:"):
        return SQLiteMemory(settings)
    return SQLiteFile(settings, path_of(url.database or "", "database"), dict(url.query))


def _postgresql(url: URL, settings: Settings) -> Dialect:
    from .postgresql import PostgreSQL  # noqa: PLC0415 - most stores are SQLite's, and need not wait for it

    return PostgreSQL(settings, url.set(drivername="postgresql+psycopg"))


register("sqlite", "sqlite+pysqlite", factory=_sqlite)
register("postgresql", "postgres", "postgresql+psycopg", factory=_postgresql)
