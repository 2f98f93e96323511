"""What was written last is pending: it is not in SQLite's index of words yet, and is found all the same."""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hermes_store import Store
from hermes_store.maintenance import reindex, verify
from hermes_store.storage import search_rows, search_state
from hermes_store.storage.schema_version import VERSION_TABLE
from hermes_store.storage.search_state import MOST_PENDING, MOST_PENDING_BYTES
from tests.support.internals import database_of
from tests.support.processes import alembic, output
from tests.support.search_oracle import places, scanned


def indexed(store: Store) -> tuple[int, int]:
    """Return how many messages and titles the index has."""
    with database_of(store).read() as unit:
        return search_rows.counts(unit)


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    sqlite_store.sessions.create(session_id="a", title="Trip")
    return sqlite_store


def test_pending_messages_are_found(store: Store, sqlite_path: Path) -> None:
    for number in range(MOST_PENDING):
        store.messages.append("a", f"needle {number}")
    assert indexed(store) == (0, 0)
    with Store.open(sqlite_path, read_only=True) as reader:
        assert set(places(reader, "needle")) == scanned(store, "needle")
        assert places(reader, "trip") == [("a", None)]
        assert reader.search("needle").is_indexed
    assert verify(store).ok


def test_the_index_gets_all_when_they_are_many(store: Store) -> None:
    for number in range(MOST_PENDING + 1):
        store.messages.append("a", f"needle {number}")
    assert indexed(store) == (MOST_PENDING + 1, 0)
    store.messages.append("a", "needle")
    assert indexed(store) == (MOST_PENDING + 1, 0)
    assert set(places(store, "needle", limit=100)) == scanned(store, "needle")
    for number in range(MOST_PENDING):
        store.sessions.create(title=f"Journey {number}")
    assert indexed(store) == (MOST_PENDING + 1, MOST_PENDING + 1)
    assert set(places(store, "journey", limit=100)) == scanned(store, "journey")
    assert verify(store).ok


def test_the_index_gets_all_when_they_are_large(store: Store) -> None:
    for _ in range(2):
        store.messages.append("a", "needle " * (MOST_PENDING_BYTES // 14))
    store.messages.append("a", "needle")
    assert indexed(store)[0] in (2, 3)
    store.sessions.fork("a")
    assert indexed(store)[0] > 3
    assert set(places(store, "needle")) == scanned(store, "needle")
    assert verify(store).ok


def test_pending_messages_change_without_the_index(store: Store) -> None:
    revision = store.messages.extend("a", [f"needle {number}" for number in range(9)]).revision
    revision = store.messages.update("a", 3, "changed", expected_revision=revision).revision
    store.messages.truncate("a", keep=5, expected_revision=revision)
    store.sessions.update("a", title="Journey")
    assert indexed(store) == (0, 0)
    for words in ("needle", "changed", "journey", "trip"):
        assert set(places(store, words)) == scanned(store, words)
    assert verify(store).ok


def test_the_index_loses_only_what_it_has(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.messages.extend("a", ["old"] * MOST_PENDING)
    with database_of(store).write() as unit:  # as an upgrade leaves it: nothing is in it yet
        search_state.begin_anew(unit)
    store.messages.extend("a", ["needle"] * (MOST_PENDING + 8))
    revision = store.messages.extend("a", ["new"] * 4).revision
    assert indexed(store)[0] == MOST_PENDING + 8
    store.messages.truncate("a", keep=MOST_PENDING * 2, expected_revision=revision)
    assert indexed(store)[0] == MOST_PENDING
    revision = store.sessions.get("a").revision
    store.messages.truncate("a", keep=MOST_PENDING - 1, expected_revision=revision)
    assert indexed(store)[0] == 0
    assert not caplog.records


def test_what_was_rolled_back_is_pending_again(store: Store) -> None:
    store.messages.append("a", "needle")
    with contextlib.suppress(KeyError), store.transaction() as tx:
        tx.messages.extend("a", ["needle"] * MOST_PENDING * 4)
        raise KeyError
    assert indexed(store) == (0, 0)
    for _ in range(MOST_PENDING):
        store.messages.append("a", "needle")
    assert indexed(store)[0] >= MOST_PENDING
    assert set(places(store, "needle", limit=100)) == scanned(store, "needle")
    assert verify(store).ok


def test_several_writers_share_what_is_pending(store: Store, sqlite_path: Path) -> None:
    with Store.open(sqlite_path) as other:
        for number in range(MOST_PENDING * 3):
            (store, other)[number % 2].messages.append("a", f"needle {number}")
        reindex(other)
        for number in range(MOST_PENDING * 3):
            (store, other)[number % 2].messages.append("a", f"needle {number}")
    assert indexed(store)[0] > MOST_PENDING * 5
    assert set(places(store, "needle", limit=1000)) == scanned(store, "needle")
    assert verify(store).ok


def test_an_index_of_revision_0009_is_kept(store: Store, sqlite_path: Path) -> None:
    store.messages.extend("a", ["needle"] * MOST_PENDING)
    reindex(store)
    store.close()
    output(alembic("-x", f"url={sqlite_path}", "downgrade", "0010"))
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as connection:
        connection.execute("ALTER TABLE search_state DROP COLUMN pending_titles_from")
        connection.execute("ALTER TABLE search_state DROP COLUMN pending_from")
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '0009'")
        connection.execute("PRAGMA user_version = 9")
    with Store.open(sqlite_path) as upgraded:
        assert indexed(upgraded) == (MOST_PENDING, 1)
        upgraded.messages.append("a", "needle")
        assert set(places(upgraded, "needle", limit=100)) == scanned(upgraded, "needle")
        assert verify(upgraded).ok
