"""Imports of large sessions that are stopped or killed between their parts: the next one removes what is left over."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.files import import_directory
from hermes_store.storage import staged_rows
from tests.support.contents import contents
from tests.support.import_programs import import_folder_and_be_killed
from tests.support.internals import database_of, writing
from tests.support.parts import before_parts, orphans, shrink_parts, staged_ids
from tests.support.processes import run_function
from tests.support.state_dir import StateDir


def talk(count: int, *, version: int = 0, size: int = 50) -> list[dict[str, Any]]:
    return [{"role": "user", "n": number, "version": version, "text": "x" * size} for number in range(count)]


@pytest.fixture
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_parts(monkeypatch)


class _StopError(BaseException):
    """Ends an import at one of its transactions."""


def _stop_before(number: int, run: Callable[[], object]) -> bool:
    """Run an import and stop it before its n-th transaction; return whether it had that many."""
    count = 0

    def stop() -> None:
        nonlocal count
        count += 1
        if count == number:
            raise _StopError

    try:
        with before_parts(stop):
            run()
    except _StopError:
        return True
    return False


#: A session before and after its file was changed.
CHANGES = {
    "all changed": (talk(25), talk(25, version=1)),
    "grown from nothing": ([], talk(25)),
    "cut": (talk(45), talk(2)),
}


@pytest.mark.slow
@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize("name", CHANGES)
def test_an_import_stopped_at_any_transaction_is_completed(
    new_store: Callable[[], Store], state: StateDir, name: str
) -> None:
    before, after = CHANGES[name]
    state.session("small", *talk(2))
    stops = 0
    for number in range(1, 100):
        store = new_store()
        state.session("big", *before)
        import_directory(store, state.root)
        state.session("big", *after, age=1800.0)
        is_stopped = _stop_before(number, lambda store=store: import_directory(store, state.root))
        assert store.messages.read("big") in (before, after)
        stops += is_stopped and bool(staged_ids(store))
        import_directory(store, state.root)
        assert store.messages.read("big") == after
        assert (staged_ids(store), orphans(store)) == ([], 0)
        store.close()
        if not is_stopped:
            break
    assert stops > 3


@pytest.mark.usefixtures("_small_parts")
def test_new_session_stopped_anywhere_is_absent_or_whole(new_store: Callable[[], Store], state: StateDir) -> None:
    state.session("big", *talk(25))
    whole = new_store()
    import_directory(whole, state.root)
    for number in range(1, 100):
        store = new_store()
        is_stopped = _stop_before(number, lambda store=store: import_directory(store, state.root))
        assert contents(store) in ({"projects": {}}, contents(whole))
        import_directory(store, state.root)
        assert contents(store) == contents(whole)
        assert (staged_ids(store), orphans(store)) == ([], 0)
        store.close()
        if not is_stopped:
            return
    raise AssertionError("it has too many transactions")


#: Where an import is killed: before which statement, and whether the session is there by then.
KILLS = {
    "new, in the second part": (False, "INSERT INTO message_blobs", 2_500),
    "changed, in the third part": (True, "INSERT INTO message_blobs", 4_500),
    # SQLite tells of the statement once for each row.
    "changed, when the old messages are removed": (True, "DELETE FROM messages", 2_500),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLS)
def test_an_import_killed_in_a_session_is_completed(sqlite_path: Path, state: StateDir, name: str) -> None:
    exists, words, number = KILLS[name]
    before, after = talk(5_000, size=300), talk(5_000, version=1, size=300)
    state.session("big", *before)
    if exists:
        with Store.open(sqlite_path, durability="normal") as store:
            import_directory(store, state.root)
        state.session("big", *after, age=1800.0)
    killed = run_function(import_folder_and_be_killed, sqlite_path, state.root, number, words)
    assert killed.returncode == -signal.SIGKILL
    with Store.open(sqlite_path, durability="normal") as store:
        assert len(staged_ids(store)) == 1
        assert 0 < orphans(store) < 5_000
        assert [row.message_count for row in store.sessions.list().items] == [5_000] * exists
        if exists:
            assert store.messages.read("big") == (before if words.startswith("INSERT") else after)
        import_directory(store, state.root)
        assert store.messages.read("big") == (after if exists else before)
        assert (staged_ids(store), orphans(store)) == ([], 0)


@pytest.mark.usefixtures("_small_parts")
def test_what_another_program_is_writing_is_not_removed(
    sqlite_store: Store, sqlite_path: Path, state: StateDir
) -> None:
    """Also by imports that begin meanwhile."""
    begins = 0

    def import_too() -> None:
        nonlocal begins
        begins += 1
        if begins == 4:
            before = staged_ids(sqlite_store)
            assert len(before) == 1
            other.sessions.create(title="x")
            empty = StateDir(state.root.with_name("other"))
            import_directory(other, empty.root)
            assert staged_ids(sqlite_store) == before

    with Store.open(sqlite_path, durability="normal") as other:
        state.session("big", *talk(60))
        with before_parts(import_too):
            import_directory(sqlite_store, state.root)
    assert sqlite_store.messages.count("big") == 60


@pytest.mark.parametrize("owner", ["this process", "a running process", "another machine"])
def test_staged_rows_untouched_for_long_are_removed(sqlite_store: Store, state: StateDir, owner: str) -> None:
    host = "0123456789ab" if owner == "another machine" else staged_rows._host()
    process = os.getppid() if owner == "a running process" else os.getpid()
    alive = staged_rows.Owner()
    with database_of(sqlite_store).write() as unit:
        row_id = staged_rows.add(unit, alive)
    with writing(sqlite_store) as connection:
        staged_id = f" staged/{host}/{process}/{alive._name}/1-0"
        connection.exec_driver_sql("UPDATE sessions SET session_id = ? WHERE id = ?", (staged_id, row_id))
    import_directory(sqlite_store, state.root)
    assert len(staged_ids(sqlite_store)) == 1
    with writing(sqlite_store) as connection:
        connection.exec_driver_sql("UPDATE sessions SET updated_at = updated_at - 4000")
    import_directory(sqlite_store, state.root)
    assert staged_ids(sqlite_store) == []
