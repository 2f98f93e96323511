"""The parts of a store that have no public name. Tests that count statements or change rows reach them only here."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from hermes_store import Store
from hermes_store.storage.engine import Database

if TYPE_CHECKING:
    from hermes_store.webui import WebUIModels


def database_of(store: Store) -> Database:
    return store.database


def engine_of(store: Store) -> sa.Engine:
    """Return the engine, whose events are those of reads and writes."""
    return store.database.engine


def writer_of(store: Store) -> sa.Engine:
    """Return the engine that writes."""
    return store.database._writer


def path_of(store: Store) -> Path:
    """Return where the file of a store on SQLite is."""
    path = store.database.path
    assert path is not None
    return path


def reading(store: Store) -> contextlib.AbstractContextManager[sa.Connection]:
    return store.database.read()


def writing(store: Store) -> contextlib.AbstractContextManager[sa.Connection]:
    return store.database.write()


def units_of_this_thread(store: Store) -> int:
    """Return how many units of work this thread has begun and not ended."""
    inside = list(store.database._gate._inside.values())
    return sum(thread == threading.get_ident() and unit() is not None for thread, unit in inside)


def store_of(models: WebUIModels) -> Store:
    return models._store()
