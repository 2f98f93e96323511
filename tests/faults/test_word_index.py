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


def test_a_damaged_word_count_is_found_and_repaired(sqlite_path: Path) -> None:
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
        with pytest.raises(DatabaseCorruptError, match="Do the same again"):
            sqlite_store.messages.extend("a", TALK)
    assert sqlite_store.sessions.get("a") == before
    assert sqlite_store.messages.read("a") == []
    sqlite_store.messages.extend("a", TALK)
    assert verify(sqlite_store).ok


def levels(path: Path, table: str, *, add: int = 0) -> int:
    """Return how many levels an FTS5 table has, after adding empty ones before them."""
    with closing(sqlite3.connect(path)) as connection:
        (record,) = connection.execute(f"SELECT block FROM {table}_data WHERE id = 10").fetchone()
        size = 2 if record[4] >= 0x80 else 1
        count = (record[4] & 0x7F) << 7 | record[5] if size == 2 else record[4]
        if add:
            counts = 4 + size + 1 + next(n for n, byte in enumerate(record[5 + size :], 1) if byte < 0x80)
            number = bytes([(count + add) >> 7 | 0x80, (count + add) & 0x7F])
            changed = record[:4] + number + record[4 + size : counts] + bytes(2 * add) + record[counts:]
            connection.execute(f"UPDATE {table}_data SET block = ? WHERE id = 10", (changed,))
            connection.commit()
        return count + add


def test_very_many_purges_leave_the_index_whole(sqlite_path: Path) -> None:
    with Store.open(sqlite_path) as store:
        store.sessions.create(session_id="a", title="Trip")
        store.messages.extend("a", TALK * 10)
    with closing(sqlite3.connect(sqlite_path)) as connection:
        for row_id in range(1_000, 3_100):  # what each purge does, without the sessions
            connection.execute("INSERT INTO message_search (rowid, words) VALUES (?, 'gone')", (row_id,))
            connection.execute(
                "INSERT INTO message_search (message_search, rowid, words) VALUES ('delete', ?, 'gone')", (row_id,)
            )
            sqlite_words.erase(connection)
        connection.commit()
    assert levels(sqlite_path, "message_search") <= 501
    with Store.open(sqlite_path) as store:
        assert set(places(store, "needle")) == scanned(store, "needle")
        assert verify(store).ok


@pytest.mark.skipif(
    sqlite3.sqlite_version_info >= (3, 50), reason="this SQLite makes no such index, and finds one at the commit"
)
@pytest.mark.parametrize("table", ["message_search", "title_search"])
def test_writes_repair_an_index_with_too_many_levels(sqlite_path: Path, table: str) -> None:
    with Store.open(sqlite_path) as store:
        store.sessions.create(session_id="a", title="Trip")
        store.messages.extend("a", TALK * 20)
        reindex(store)
    assert levels(sqlite_path, table, add=2_100) > 2_100
    with Store.open(sqlite_path) as store:
        store.sessions.update("a", title="Journey")
        store.messages.extend("a", TALK)
        assert not store.search("needle").is_indexed  # it was emptied
        assert set(places(store, "needle")) == scanned(store, "needle")
        store.sessions.purge(store.sessions.fork("a").session_id)
    with Store.open(sqlite_path) as store:  # which fills it
        assert store.search("needle").is_indexed
        assert set(places(store, "needle")) == scanned(store, "needle")
        assert len(places(store, "needle")) == len(TALK) * 21
        assert [row.title for row in store.sessions.list().items] == ["Journey"]
        assert verify(store).ok
    assert levels(sqlite_path, table) < 10


def test_too_many_levels_are_made_anew_by_reindex(sqlite_path: Path) -> None:
    with Store.open(sqlite_path) as store:
        store.sessions.create(session_id="a", title="Trip")
        store.messages.extend("a", TALK * 20)
    levels(sqlite_path, "message_search", add=2_100)
    with Store.open(sqlite_path) as store:
        reindex(store)
        assert set(places(store, "needle")) == scanned(store, "needle")
        assert verify(store).ok


@pytest.mark.parametrize("damage", [cleared, ghost, other_words])
def test_a_wrong_index_is_found_and_made_anew(sqlite_path: Path, damage: Damage) -> None:
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


def test_a_large_index_keeps_purged_words_until_compacted(sqlite_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:

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


def test_a_large_compacted_index_is_not_written_anew(sqlite_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(sqlite_path, durability="normal") as store:
        store.sessions.create(session_id="a")
        store.messages.extend("a", ["hay hay hay"] * 5_000)  # one word on many pages
        for session_id in ("b", "c"):
            store.sessions.create(session_id=session_id)
            store.messages.append(session_id, "hay")
        compact(store)
        assert store.sessions.purge("b").erased
        monkeypatch.setattr(sqlite_words, "_MOST_PAGES", 4)
        assert not store.sessions.purge("c").erased
