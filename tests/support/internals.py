"""The parts of a store that have no public name. Tests that count statements or change rows reach them only here."""

from __future__ import annotations

import contextlib
import functools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hermes_store import Store, View
from hermes_store.storage.dialects.postgresql import PostgreSQL
from hermes_store.storage.dialects.sqlite import SQLiteDialect
from hermes_store.storage.dialects.sqlite_pool import ConnectionPool
from hermes_store.storage.engine import Database

if TYPE_CHECKING:
    from hermes_store.webui import WebUIModels


def database_of(store: Store) -> Database:
    return store.database


def path_of(store: Store) -> Path:
    """Return where the file of a store on SQLite is."""
    path = store.database.dialect.path
    assert path is not None
    return path


@contextlib.contextmanager
def reading(store: Store) -> Iterator[sa.Connection]:
    """Give a connection in a transaction that reads."""
    with store.database.read() as unit, _connection_of(unit) as connection:
        yield connection


@contextlib.contextmanager
def writing(store: Store) -> Iterator[sa.Connection]:
    """Give a connection in a transaction that writes, and commit what was done on it."""
    with store.database.write() as unit, _connection_of(unit) as connection:
        yield connection


@contextlib.contextmanager
def reading_in(view: View) -> Iterator[sa.Connection]:
    """Give the connection that a view reads by: inside a transaction, that of the transaction."""
    with view._transactions.read() as unit, _connection_of(unit) as connection:
        yield connection


@contextlib.contextmanager
def _connection_of(unit: Any) -> Iterator[sa.Connection]:
    """Give SQLAlchemy's connection of a unit of work, which itself begins and ends the transaction."""
    token = _raw.set(unit.raw)
    try:
        connection = _engine(unit.dialect.name).connect()
    finally:
        _raw.reset(token)
    with connection:
        yield connection


#: The driver's connection that SQLAlchemy's next one is for.
_raw: ContextVar[Any] = ContextVar("_raw")


@functools.cache
def _engine(dialect_name: str) -> sa.Engine:
    """Return an engine over the connections of units of work: one for all, which remembers the statements."""
    url = {"sqlite": "sqlite+pysqlite://", "postgresql": "postgresql+psycopg://"}[dialect_name]
    engine = sa.create_engine(url, creator=_raw.get, poolclass=sa.NullPool)
    dialect: Any = engine.dialect
    dialect.do_begin = dialect.do_commit = dialect.do_rollback = dialect.do_close = lambda _: None
    return engine


def engine_of(store: Store) -> sa.Engine:
    """Return the engine of a store on PostgreSQL, whose pool has the connections of reads and writes."""
    dialect = store.database.dialect
    assert isinstance(dialect, PostgreSQL)
    return dialect._engine


def pool_of(store: Store) -> ConnectionPool:
    """Return the connections of a store on SQLite."""
    dialect = store.database.dialect
    assert isinstance(dialect, SQLiteDialect)
    return dialect._pool


def idle_busy_timeouts(store: Store) -> set[float]:
    """Return how many seconds the connections wait that are open and not in use, on SQLite."""
    idle = [*pool_of(store)._idle]
    return {connection.execute("PRAGMA busy_timeout").fetchone()[0] / 1000 for connection in idle}


def configure_connections(store: Store, configure: Callable[[sqlite3.Connection], object]) -> None:
    """Let a store on SQLite use connections only that were passed to `configure` when they were opened."""
    dialect: Any = store.database.dialect
    original = type(dialect)._configure_connection

    def _configure(connection: sqlite3.Connection) -> None:
        original(dialect, connection)
        configure(connection)

    dialect._configure_connection = _configure
    dialect.close()  # those that are open were not


def units_of_this_thread(store: Store) -> int:
    """Return how many units of work this thread has begun and not ended."""
    inside = list(store.database._gate._inside.values())
    return sum(thread == threading.get_ident() and unit() is not None for thread, unit in inside)


def store_of(models: WebUIModels) -> Store:
    return models._store()


def lock_of(models: WebUIModels) -> threading.Lock:
    """Return the lock of the table of live sessions."""
    lock = models._cache._lock
    assert isinstance(lock, type(threading.Lock()))
    return lock
