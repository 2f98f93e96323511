"""When there is no room, a write fails as a whole and says so; with room again the store goes on."""

from __future__ import annotations

import contextlib
import multiprocessing
import resource
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hermes_store import DatabaseError, DatabaseFullError, DatabaseUnavailableError, Store, TransactionError
from tests.support.statements import watched

LARGE = {"text": "x" * 2_000_000}


@contextlib.contextmanager
def _no_room(store: Store) -> Iterator[None]:
    """Allow the database not one page more than it has."""

    def limit(connection: sqlite3.Connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    def lift(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA max_page_count = 1073741823")

    with watched(store, limit, lift):
        yield


WRITES: dict[str, Callable[[Any, str], Any]] = {
    "append": lambda verbs, sid: verbs.messages.extend(sid, ["four", LARGE]),
    "replace": lambda verbs, sid: verbs.messages.replace(
        sid, ["one", LARGE, "three"], expected_revision=verbs.messages.read(sid).revision
    ),
    "document": lambda verbs, sid: verbs.documents.put(sid, {"draft": LARGE}),
    "session": lambda verbs, sid: [
        verbs.sessions.create(session_id=f"s{n}", compression_anchor_message_key=LARGE) for n in range(2)
    ],
}


@pytest.mark.parametrize("write", WRITES)
def test_a_write_on_a_full_disk_changes_nothing(
    sqlite_path: Path,
    session_id: str,
    write: str,
    require_sound: Callable[[Path], None],
    require_cause: Callable[[DatabaseError], None],
) -> None:
    with Store.open(sqlite_path) as store:
        before = store.sessions.get(session_id)
        with _no_room(store):
            for _ in range(2):
                with pytest.raises(DatabaseFullError, match="Nothing was written") as caught:
                    WRITES[write](store, session_id)
                require_cause(caught.value)
            assert store.messages.read(session_id) == ["one", "two", "three"]
            assert store.sessions.get(session_id) == before
            assert store.sessions.count(include_empty=True) == 1
            assert store.documents.read(session_id) == {}
        WRITES[write](store, session_id)
        assert store.sessions.get(session_id) != before or store.sessions.count(include_empty=True) == 3
    require_sound(sqlite_path)


def _change_both(store: Store, session_id: str) -> None:
    with store.transaction() as tx:
        tx.sessions.update(session_id, title="After")
        tx.messages.append(session_id, LARGE)


def test_a_transaction_without_room_is_rolled_back_entirely(
    sqlite_path: Path, session_id: str, require_sound: Callable[[Path], None]
) -> None:
    with Store.open(sqlite_path) as store:
        with _no_room(store), pytest.raises(DatabaseFullError):
            _change_both(store, session_id)
        assert store.sessions.get(session_id).title == "Before"
        _change_both(store, session_id)
        assert store.sessions.get(session_id).title == "After"
    require_sound(sqlite_path)


def _change_both_and_go_on(store: Store, session_id: str) -> None:
    with store.transaction() as tx:
        tx.sessions.update(session_id, title="After")
        with contextlib.suppress(DatabaseFullError):
            tx.messages.append(session_id, LARGE)
        tx.documents.put(session_id, {"small": 1})


def test_continuing_without_room_writes_all_or_nothing(
    sqlite_path: Path, session_id: str, require_sound: Callable[[Path], None]
) -> None:
    """SQLite may answer a full disk by rolling the whole transaction back, savepoint or not."""
    with Store.open(sqlite_path) as store:
        with _no_room(store):
            try:
                _change_both_and_go_on(store, session_id)
            except TransactionError:
                expected: tuple[str, dict[str, Any]] = ("Before", {})
            else:
                expected = ("After", {"small": 1})
        assert (store.sessions.get(session_id).title, store.documents.read(session_id)) == expected
        assert store.messages.read(session_id) == ["one", "two", "three"]
        _change_both(store, session_id)
    require_sound(sqlite_path)


def _append_with_a_file_limit(path: Path, session_id: str) -> tuple[str, str, list[Any], list[Any]]:
    """In a process of its own, whose files may not grow further for a while."""
    with Store.open(path) as store:
        sizes = [file.stat().st_size for file in path.parent.iterdir()]
        resource.setrlimit(resource.RLIMIT_FSIZE, (max(sizes) + 50_000, resource.RLIM_INFINITY))
        try:
            store.messages.append(session_id, LARGE)
        except DatabaseError as error:
            kind, cause = type(error).__name__, type(getattr(error.__cause__, "orig", error.__cause__))
        while_full = list(store.messages.read(session_id))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.messages.append(session_id, "four")
        assert issubclass(cause, sqlite3.Error)
        return kind, cause.__name__, while_full, list(store.messages.read(session_id))


def test_a_file_that_cannot_grow_fails_the_write(
    sqlite_path: Path, session_id: str, require_sound: Callable[[Path], None]
) -> None:
    """SQLite calls only ENOSPC full; the limit on a file's size is a failure of the disk to it."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        kind, _, while_full, after = pool.submit(_append_with_a_file_limit, sqlite_path, session_id).result(60)
    assert kind in (DatabaseFullError.__name__, DatabaseUnavailableError.__name__)
    assert while_full == ["one", "two", "three"]
    assert after == ["one", "two", "three", "four"]
    require_sound(sqlite_path)
