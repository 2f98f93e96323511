"""While another process holds the file, a write waits for the busy timeout and then says so."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from hermes_store import DatabaseError, DatabaseLockedError, Store

_fork = multiprocessing.get_context("fork")


def _hold(path: Path, statements: list[str], pipe: Connection) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement).fetchall()
    pipe.send("held")
    pipe.recv()
    connection.close()


@contextmanager
def held(path: Path, *statements: str) -> Iterator[None]:
    """Another process has executed the statements, and keeps its connection until the block ends."""
    here, there = _fork.Pipe()
    holder = _fork.Process(target=_hold, args=(path, list(statements), there))
    holder.start()
    assert here.poll(30)
    assert here.recv() == "held"
    yield
    here.send("let go")
    holder.join()
    assert holder.exitcode == 0


@pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
def test_a_locked_file_refuses_writes_and_allows_reads(
    sqlite_path: Path, session_id: str, begin: str, require_cause: Callable[[DatabaseError], None]
) -> None:
    with held(sqlite_path, begin), Store.open(sqlite_path, busy_timeout=0.05) as store:
        for write in (
            lambda: store.messages.append(session_id, "four"),
            lambda: store.sessions.update(session_id, title="After"),
            lambda: store.transaction().__enter__(),
        ):
            with pytest.raises(DatabaseLockedError, match="Nothing was written; try again") as caught:
                write()
            require_cause(caught.value)
        assert store.messages.read(session_id) == ["one", "two", "three"]
        assert store.sessions.get(session_id).title == "Before"
    with Store.open(sqlite_path, busy_timeout=0.05) as store:
        store.messages.append(session_id, "four")
        assert store.messages.read(session_id) == ["one", "two", "three", "four"]


def test_the_store_writes_again_after_the_lock_ends(sqlite_path: Path, session_id: str) -> None:
    with Store.open(sqlite_path, busy_timeout=0.05) as store:
        with held(sqlite_path, "BEGIN IMMEDIATE"), pytest.raises(DatabaseLockedError):
            store.messages.append(session_id, "lost")
        assert store.messages.append(session_id, "four").first_position == 3


def test_a_write_waits_for_the_busy_timeout(sqlite_path: Path, session_id: str) -> None:
    with Store.open(sqlite_path, busy_timeout=30) as store:
        here, there = _fork.Pipe()
        holder = _fork.Process(target=_hold, args=(sqlite_path, ["BEGIN IMMEDIATE"], there))
        holder.start()
        assert here.recv() == "held"
        here.send("let go")  # it may still hold the file when the write begins
        store.messages.append(session_id, "four")
        holder.join()
        assert store.messages.count(session_id) == 4


@pytest.mark.parametrize("verb", ["open", "read"])
def test_a_file_in_exclusive_mode_is_reported_locked(
    sqlite_path: Path, session_id: str, verb: str, require_cause: Callable[[DatabaseError], None]
) -> None:
    alone = ("PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE", "UPDATE sessions SET title = title", "COMMIT")
    with held(sqlite_path, *alone), pytest.raises(DatabaseLockedError) as caught:  # noqa: PT012
        store = Store.open(sqlite_path, busy_timeout=0.05, read_only=verb == "read")
        store.messages.read(session_id)
    require_cause(caught.value)


def test_a_file_being_written_without_wal_is_locked(
    sqlite_path: Path, session_id: str, require_cause: Callable[[DatabaseError], None]
) -> None:
    with (
        held(sqlite_path, "PRAGMA journal_mode = DELETE", "BEGIN EXCLUSIVE"),
        pytest.raises(DatabaseLockedError) as caught,
    ):
        Store.open(sqlite_path, busy_timeout=0.05)
    require_cause(caught.value)
    with Store.open(sqlite_path) as store:
        assert store.info().journal_mode == "delete"
        assert store.messages.read(session_id) == ["one", "two", "three"]
