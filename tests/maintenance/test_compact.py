"""Compacting gives space back, leaves no removed text, and changes nothing when it cannot be done."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from hermes_store import (
    DatabaseFullError,
    DatabaseLockedError,
    DatabaseReadOnlyError,
    DatabaseUnavailableError,
    Store,
    TransactionError,
    UnsupportedDatabaseError,
    View,
)
from hermes_store.maintenance import compact, verify
from hermes_store.storage.search_filling import rebuild
from tests.support.file_text import files_with
from tests.support.internals import database_of
from tests.support.paired_writer import require_pairs, writer_of
from tests.support.processes import start_function

SECRET = "sesame"


@pytest.fixture(params=["wal", "delete"])
def store(request: pytest.FixtureRequest, sqlite_path: Path) -> Iterator[Store]:
    """A store from which a program without `secure_delete` removed most of the data."""
    with Store.open(sqlite_path, durability="normal", journal_mode=request.param, busy_timeout=0.3) as store:
        store.sessions.create(session_id="s")
        store.messages.extend("s", ["hi", "ho"])
        store.sessions.create(session_id="gone")
        store.messages.extend("gone", [f"{SECRET} " * 500] * 300)
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("DELETE FROM sessions WHERE session_id = 'gone'")
    with Store.open(sqlite_path, durability="normal", busy_timeout=0.3) as store:
        rebuild(database_of(store))  # the other program left the words in the index
    with Store.open(sqlite_path, durability="normal", busy_timeout=0.3) as store:
        yield store


def test_compact_frees_space_and_erases_removed_text(store: Store, sqlite_path: Path) -> None:
    assert files_with(sqlite_path, SECRET) == [sqlite_path.name]
    before = sqlite_path.stat().st_size
    report = compact(store)
    assert files_with(sqlite_path, SECRET) == []
    assert (report.size_before, report.size_after) == (before, sqlite_path.stat().st_size)
    assert report.freed_bytes > 1_000_000
    assert report.erased
    assert store.messages.read("s") == ["hi", "ho"]
    assert verify(store).ok
    assert compact(store).freed_bytes == 0


def test_a_store_goes_on_as_before(store: Store) -> None:
    mode = store.info().journal_mode
    compact(store)
    store.messages.append("s", "hey")
    with store.database.read() as unit:
        temporary: Any = unit
        assert temporary.raw.execute("PRAGMA temp_store").fetchone() == (2,)
    assert store.info().journal_mode == mode


def hold(path: str) -> None:
    """Read in a transaction until the input ends."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sessions").fetchall()
        print("reading", flush=True)
        sys.stdin.readline()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the system does not tell who has a file open")
def test_who_uses_the_database_is_named(store: Store, sqlite_path: Path) -> None:
    before = sqlite_path.stat().st_size
    store.messages.append("s", "in the log")
    reader = start_function(hold, sqlite_path)
    try:
        assert reader.stdout.readline() == "reading\n"
        if store.info().journal_mode == "wal":
            store.messages.append("s", "in the log")  # what the reader does not see
        with pytest.raises(DatabaseLockedError, match=rf"{reader.pid} \(.*\).* it open\. Nothing was changed"):
            compact(store)
    finally:
        reader.communicate("\n")
    assert sqlite_path.stat().st_size >= before
    assert compact(store).freed_bytes > 0


@pytest.mark.slow
def test_writers_wait_and_go_on(sqlite_path: Path) -> None:
    with Store.open(sqlite_path, busy_timeout=60) as store, writer_of(sqlite_path) as writer:
        for _ in range(5):
            writer.start_more()
            compact(store)
            writer.wait()
        require_pairs(store, writer.done)
        assert verify(store).ok


def test_others_write_while_it_waits(sqlite_path: Path) -> None:
    written = 0

    def write() -> None:
        nonlocal written
        with closing(sqlite3.connect(sqlite_path, timeout=0)) as connection, connection:
            written += connection.execute("UPDATE sessions SET title = title || '!'").rowcount

    with Store.open(sqlite_path, durability="normal", busy_timeout=0.3) as store:
        store.sessions.create(session_id="s")
        with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sessions").fetchall()
            store.sessions.update("s", title="in the log")
            with pytest.raises(DatabaseLockedError, match="was being used by others"):
                compact(store, on_progress=write)  # before each pause between two attempts
        assert written
        assert store.sessions.get("s").title == "in the log" + "!" * written


class _Usage(NamedTuple):
    free: int


def test_too_little_space_is_found_before(store: Store, sqlite_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sqlite_path.stat().st_size
    monkeypatch.setattr(shutil, "disk_usage", lambda _: _Usage(before // 2))
    with pytest.raises(DatabaseFullError, match=r"takes [\d,]+ bytes on the disk of .*SQLITE_TMPDIR"):
        compact(store)
    assert sqlite_path.stat().st_size == before


def test_a_folder_for_temporary_files_is_needed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(DatabaseUnavailableError, match="SQLITE_TMPDIR"):
        compact(store)


def test_an_interrupted_compaction_changes_nothing(
    store: Store, sqlite_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hermes_store.storage.dialects.sqlite_integrity._STEPS", 5)
    before = sqlite_path.stat().st_size

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compact(store, on_progress=interrupt)
    assert sqlite_path.stat().st_size == before
    assert store.messages.read("s") == ["hi", "ho"]
    monkeypatch.undo()
    assert compact(store).freed_bytes > 0


def test_a_reader_that_begins_meanwhile_keeps_old_text(sqlite_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hermes_store.storage.dialects.sqlite_integrity._STEPS", 5)
    with Store.open(sqlite_path, busy_timeout=0.1) as store, contextlib.ExitStack() as reading:
        store.sessions.create(session_id="s")
        reader = reading.enter_context(Store.open(sqlite_path))
        begun: list[View] = []

        def begin() -> None:
            if not begun:
                begun.append(reading.enter_context(reader.snapshot()))
                begun[0].sessions.list()

        assert not compact(store, on_progress=begin).erased
        reading.close()
        assert compact(store).erased


def test_a_store_for_reading_is_refused(sqlite_path: Path) -> None:
    with Store.open(sqlite_path, read_only=True) as store, pytest.raises(DatabaseReadOnlyError):
        compact(store)


def test_a_compaction_inside_a_transaction_is_refused(sqlite_store: Store) -> None:
    with sqlite_store.transaction(), pytest.raises(TransactionError):
        compact(sqlite_store)


def test_a_database_in_memory_is_compacted() -> None:
    with Store.open(":memory:") as store:
        session_id = store.sessions.create().session_id
        store.messages.extend(session_id, ["x" * 10_000] * 100)
        store.sessions.purge(session_id)
        assert compact(store).freed_bytes > 0
        assert verify(store).ok


def test_a_postgresql_database_is_not_compacted(postgres_url: str) -> None:
    with Store.open(postgres_url) as store, pytest.raises(UnsupportedDatabaseError, match="vacuumdb"):
        compact(store)
