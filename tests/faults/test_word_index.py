"""An index of words that does not fit the messages keeps nobody from writing, and is noticed and made anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hermes_store import DatabaseCorruptError, Store
from hermes_store.maintenance import FindingKind, compact, reindex, repair, salvage, verify
from hermes_store.storage.dialects import sqlite_words
from hermes_store.storage.dialects.sqlite_unit import SQLiteUnitOfWork
from tests.support.file_text import files_with
from tests.support.search_oracle import places, scanned

pytestmark = pytest.mark.usefixtures("few_pending")

TALK = [f"needle {number} {'hay ' * 20}" for number in range(20)]
Damage = Callable[[sqlite3.Connection], object]


def cleared(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO message_search (message_search) VALUES ('delete-all')")


def ghost(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO message_search (rowid, words, wholes) VALUES (99, 'needle', '')")


def other_words(connection: sqlite3.Connection) -> None:
    cleared(connection)
    for number in range(1, len(TALK) + 1):
        connection.execute("INSERT INTO message_search (rowid, words, wholes) VALUES (?, 'other', '')", (number,))


def test_a_count_that_is_text_is_found_and_made_anew(sqlite_path: Path) -> None:
    with Store.open(sqlite_path) as store:
        store.sessions.create(session_id="a", title="Trip")
        store.messages.extend("a", TALK)
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as connection:
        connection.execute("UPDATE message_search_data SET block = 'text' WHERE id = 1")
    with Store.open(sqlite_path) as store:
        assert [finding.kind for finding in verify(store).findings] == [FindingKind.SEARCH]
    assert [one.what for one in repair(sqlite_path).repaired] != []
    with Store.open(sqlite_path) as store:
        assert verify(store).ok
        assert set(places(store, "needle")) == scanned(store, "needle")


def test_a_transaction_that_sqlite_ended_writes_nothing(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sqlite_store.sessions.create(session_id="a", title="Trip")
    before = sqlite_store.sessions.get("a")

    def end(_: object, unit: SQLiteUnitOfWork, documents: object) -> None:
        unit.raw.rollback()
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorname = "SQLITE_CORRUPT_VTAB"
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_words.SQLiteWordIndex, "add_messages", end)
        with pytest.raises(DatabaseCorruptError):
            sqlite_store.messages.extend("a", TALK)
    assert sqlite_store.sessions.get("a") == before
    assert sqlite_store.messages.read("a") == []
    sqlite_store.messages.extend("a", TALK)
    assert verify(sqlite_store).ok


@pytest.mark.parametrize("damage", [cleared, ghost, other_words])
def test_an_index_that_does_not_fit_is_found_and_made_anew(sqlite_path: Path, damage: Damage) -> None:
    with Store.open(sqlite_path) as store:
        store.sessions.create(session_id="a", title="Trip")
        store.messages.extend("a", TALK)
        assert verify(store).ok
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as connection:
        damage(connection)
    with Store.open(sqlite_path) as store:
        assert FindingKind.SEARCH in {finding.kind for finding in verify(store).findings}
        assert set(places(store, "needle")) <= scanned(store, "needle")
        now = store.messages.update("a", 3, "changed", expected_revision=store.sessions.get("a").revision).revision
        store.messages.append("a", "needle")
        store.messages.truncate("a", keep=0, expected_revision=now + 1)
        assert set(places(store, "needle")) == set()
        store.messages.extend("a", TALK)
        reindex(store)
        assert set(places(store, "needle")) == scanned(store, "needle")
        assert verify(store).ok


def test_a_large_index_keeps_purged_words_until_it_is_compacted(
    sqlite_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    monkeypatch.setattr(sqlite_words, "_MOST_PAGES", 0)
    with Store.open(sqlite_path) as store:
        store.sessions.create(session_id="a", title="Sesame")
        store.messages.extend("a", ["the sesame word", "open", "up"])
        assert not store.sessions.purge("a").erased
        assert files_with(sqlite_path, "sesame") != []
        assert compact(store).erased
        assert files_with(sqlite_path, "sesame") == []


def test_a_repair_makes_the_index_anew(sqlite_path: Path) -> None:
    with Store.open(sqlite_path) as store:
        store.sessions.create(session_id="a", title="Trip")
        store.messages.extend("a", TALK)
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as connection:
        cleared(connection)
    found = repair(sqlite_path, dry_run=True).repaired
    assert all("index of words" in one.what for one in found)
    assert found
    assert [one.what for one in repair(sqlite_path).repaired] != []
    with Store.open(sqlite_path, read_only=True) as store:
        assert verify(store).ok
        assert set(places(store, "needle")) == scanned(store, "needle")
    assert repair(sqlite_path).repaired == []


def test_what_was_salvaged_is_searched(sqlite_path: Path, tmp_path: Path) -> None:
    with Store.open(sqlite_path) as store:
        store.sessions.create(session_id="a", title="Trip")
        store.messages.extend("a", TALK)
    salvage(sqlite_path, tmp_path / "new.db")
    with Store.open(tmp_path / "new.db") as store:
        assert store.search("needle").is_indexed
        assert len(places(store, "needle")) == len(TALK)
        assert set(places(store, "needle")) == scanned(store, "needle")
        assert verify(store).ok
