"""The parts of a store that have no public name. Tests that count statements or change rows reach them only here."""

from __future__ import annotations

import contextlib
from pathlib import Path

import sqlalchemy as sa

from hermes_store import Store
from hermes_store.database import Database
from hermes_store.webui import WebUIModels


def database_of(store: Store) -> Database:
    return store._database


def engine_of(store: Store) -> sa.Engine:
    """Return the engine, whose events are those of reads and writes."""
    return store._database.engine


def writer_of(store: Store) -> sa.Engine:
    """Return the engine that writes."""
    return store._database._writer


def path_of(store: Store) -> Path:
    """Return where the file of a store on SQLite is."""
    path = store._database.path
    assert path is not None
    return path


def reading(store: Store) -> contextlib.AbstractContextManager[sa.Connection]:
    return store._database.read()


def writing(store: Store) -> contextlib.AbstractContextManager[sa.Connection]:
    return store._database.write()


def store_of(models: WebUIModels) -> Store:
    return models._store()
