"""What the tests of faults share: other processes, and the looks at a database from outside."""

from __future__ import annotations

import hashlib
import multiprocessing
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from hermes_store import DatabaseError, Store
from tests.support.processes import become_nobody


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"))


@pytest.fixture
def digest_of() -> Callable[[Path], str]:
    """Of a closed database's bytes. (Never of an open one's: that would drop SQLite's locks.)"""
    return lambda path: hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def session_id(sqlite_path: Path) -> str:
    """A session with three messages in the database at `sqlite_path`."""
    with Store.open(sqlite_path, durability="normal") as store:
        session_id = store.sessions.create(title="Before").session_id
        store.messages.extend(session_id, ["one", "two", "three"])
    return session_id


@pytest.fixture
def require_sound() -> Callable[[Path], None]:
    """Look at a database file as SQLite and the schema see it: nothing is broken, nothing half there."""

    def check(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            bodiless = "SELECT count(*) FROM messages WHERE id NOT IN (SELECT message_id FROM message_blobs)"
            assert connection.execute(bodiless).fetchone() == (0,)
            counted = connection.execute(
                "SELECT s.message_count, count(m.id), min(m.position), max(m.position) "
                "FROM sessions s LEFT JOIN messages m ON m.session_id = s.id GROUP BY s.id"
            ).fetchall()
        for message_count, rows, first, last in counted:
            assert (rows, first, last) == (message_count, *((0, rows - 1) if rows else (None, None)))

    return check


@pytest.fixture
def require_cause() -> Callable[[DatabaseError], None]:
    """An error of the database has the driver's own as its cause, directly or as SQLAlchemy wraps it."""

    def check(error: DatabaseError) -> None:
        cause = error.__cause__
        assert isinstance(cause.orig if isinstance(cause, DBAPIError) else cause, Exception)
        assert isinstance(cause, DBAPIError | sqlite3.Error | OSError)

    return check


@pytest.fixture
def as_ordinary_user() -> Iterator[Callable[..., Any]]:
    """Call a function in a process that has no special rights, and return its result."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork"), become_nobody) as pool:
        yield lambda function, *arguments: pool.submit(function, *arguments).result(timeout=60)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that every user can enter, and none but its owner write to."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)
