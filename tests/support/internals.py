"""The parts of a store that have no public name. Tests that count statements or change rows reach them only here."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from hermes_store import Store
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


def reading(store: Store) -> contextlib.AbstractContextManager[sa.Connection]:
    return store.database.dialect.connect()


@contextlib.contextmanager
def writing(store: Store) -> Iterator[sa.Connection]:
    """Give a connection, and commit what was done on it."""
    with store.database.dialect.connect() as connection:
        yield connection
        connection.commit()


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
