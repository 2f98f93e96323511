"""Purging deleted sessions together with their files, on each kind of database."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_store import InvalidInputError, Store
from hermes_store.files import import_directory, purge_deleted_with_files, purging, remove_imported_files
from tests.support.state_dir import StateDir


def test_deleted_sessions_are_purged_with_their_files(store: Store, state: StateDir) -> None:
    names = [f"s{number}" for number in range(25)]
    for name in (*names, "live"):
        state.session(name, "hello")
    import_directory(store, state.root)
    for name in names:
        store.sessions.delete(name)
    assert purge_deleted_with_files(store, older_than=60).files == []
    done = purge_deleted_with_files(store, older_than=0, limit=23)
    assert (done.sessions.session_ids, done.sessions.messages) == (names[:23], 23)
    assert [item.outcome for item in done.files] == ["removed"] * 23
    assert purge_deleted_with_files(store, older_than=0, profile="work").sessions.session_ids == []
    assert purge_deleted_with_files(store, older_than=0).sessions.session_ids == names[23:]
    assert [path.name for path in state.sessions.iterdir()] == ["live.json"]
    assert [session.session_id for session in store.sessions.list().items] == ["live"]


def test_two_processes_may_purge_the_same_sessions(
    store: Store, state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        state.session(name, "hello")
    import_directory(store, state.root)
    for name in ("one", "two"):
        store.sessions.delete(name)

    def purge_both_first(*arguments: Any, **options: Any) -> Any:
        store.sessions.purge_deleted(older_than=0)
        return remove_imported_files(*arguments, **options)

    monkeypatch.setattr(purging, "remove_imported_files", purge_both_first)
    assert purge_deleted_with_files(store, older_than=0).sessions.session_ids == []


@pytest.mark.parametrize("arguments", [{"older_than": "x"}, {"older_than": 0, "limit": 0}])
def test_wrong_arguments_are_refused(store: Store, arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        purge_deleted_with_files(store, **arguments)  # type: ignore[arg-type]
