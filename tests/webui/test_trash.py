"""How long deleted sessions can be restored, and what is left of them afterwards."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from hermes_store import InvalidInputError, SessionNotFoundError, Store
from hermes_store.webui import WebUIModels
from tests.support.internals import writing
from tests.support.state_dir import StateDir
from tests.support.webui.sessions import stored, warnings_of
from tests.support.webui.trash import DAY, deleted_ago, trash


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    return sqlite_store


def delete(models: WebUIModels, *names: str) -> None:
    for name in names:
        stored(models, name, "hello")
        assert models.delete_session(name) is True


def test_a_deleted_session_is_kept_for_thirty_days(store: Store) -> None:
    models = WebUIModels(store)
    delete(models, "old", "young")
    deleted_ago(store, "old", 30.1)
    deleted_ago(store, "young", 29.9)
    delete(WebUIModels(store), "last")  # another process
    assert trash(store) == ["last", "young"]


def test_what_was_cut_goes_after_thirty_days(store: Store) -> None:
    models = WebUIModels(store)
    for name in ("old", "young"):
        revision = store.sessions.get(stored(models, name, "hello")).revision
        store.messages.clear(name, expected_revision=revision)
    with writing(store) as connection:
        then = time.time() - 31 * DAY
        connection.exec_driver_sql("UPDATE message_cuts SET cut_at = ? WHERE id = 1", (then,))
    delete(models, "other")
    assert [len(store.messages.history(name)) for name in ("old", "young")] == [0, 1]


def test_a_look_is_taken_once_an_hour(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    models = WebUIModels(store, trash_days=1)
    delete(models, "first")
    deleted_ago(store, "first", 2)
    delete(models, "second")
    assert trash(store) == ["first", "second"]
    later = time.monotonic() + 3_601
    monkeypatch.setattr(time, "monotonic", lambda: later)
    models.all_sessions()
    assert trash(store) == ["first", "second"]  # a list purges nothing
    delete(models, "third")
    assert trash(store) == ["second", "third"]


def test_zero_days_purge_at_once(store: Store) -> None:
    models = WebUIModels(store, trash_days=0)
    delete(models, "first", "second")
    assert trash(store) == []
    with pytest.raises(SessionNotFoundError):
        store.sessions.restore("second")
    stored(models, "empty")
    assert models.cleanup_sessions(zero_only=True) == 1
    assert trash(store) == []


def test_none_purges_never(store: Store) -> None:
    models = WebUIModels(store, trash_days=None)
    delete(models, "first")
    deleted_ago(store, "first", 10_000)
    delete(models, "second")
    assert trash(store) == ["first", "second"]


def test_a_delete_purges_a_hundred_at_most(store: Store) -> None:
    with store.transaction() as tx:
        for number in range(230):
            tx.sessions.delete(tx.sessions.create(session_id=f"s{number}").session_id)
    with writing(store) as connection:
        connection.exec_driver_sql("UPDATE sessions SET deleted_at = 1.0")
    models = WebUIModels(store)
    for left in (130, 30, 0):
        delete(models, f"extra{left}")
        assert len([name for name in trash(store) if name.startswith("s")]) == left


def test_a_purge_that_fails_is_logged(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    models = WebUIModels(store, trash_days=0)
    stored(models, "trip", "hello")
    with writing(store) as connection:
        connection.exec_driver_sql(
            "CREATE TEMP TRIGGER refuse BEFORE DELETE ON main.sessions BEGIN SELECT RAISE(ABORT, 'not now'); END"
        )
    assert models.delete_session("trip") is True
    assert trash(store) == ["trip"]
    [warning] = warnings_of(caplog)
    assert "not purged" in warning


@pytest.mark.parametrize("days", [-1, float("nan"), float("inf"), "30", True, [1]])
def test_what_is_no_number_of_days_is_refused(store: Store, days: Any) -> None:
    with pytest.raises(InvalidInputError, match="trash_days"):
        WebUIModels(store, trash_days=days)


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    """Two sessions in files."""
    state = StateDir(tmp_path / "state")
    for name in ("trip", "other"):
        state.session(name, "hello")
    return state


def files(state: StateDir) -> list[str]:
    return sorted(path.name for path in state.sessions.iterdir())


@pytest.mark.parametrize("remove", [True, False])
def test_files_of_purged_sessions_are_removed_if_wanted(store: Store, state: StateDir, remove: bool) -> None:
    models = WebUIModels(store, session_dir=state.sessions, remove_imported_files=remove)
    assert models.delete_session("trip") is True
    assert files(state) == ["other.json", "trip.json"]
    deleted_ago(store, "trip", 31)
    again = WebUIModels(store, session_dir=state.sessions, remove_imported_files=remove)
    assert again.delete_session("other") is True
    assert files(state) == (["other.json"] if remove else ["other.json", "trip.json"])
    assert [row["session_id"] for row in again.all_sessions()] == []


def test_a_discarded_session_takes_its_files_along(store: Store, state: StateDir) -> None:
    models = WebUIModels(store, session_dir=state.sessions, remove_imported_files=True)
    assert models.discard_session("trip") is True
    assert files(state) == ["other.json"]


def test_a_file_that_is_kept_is_logged(store: Store, state: StateDir, caplog: pytest.LogCaptureFixture) -> None:
    models = WebUIModels(store, session_dir=state.sessions, remove_imported_files=True, trash_days=0)
    models.all_sessions()
    changed = state.session("trip", "hello", "changed")
    store.messages.append("trip", "changed here, too")  # so the file is not imported again
    assert models.delete_session("trip") is True
    assert changed.exists()
    assert any(f"{changed} of a purged session was kept" in warning for warning in warnings_of(caplog))


def test_a_session_that_is_restored_meanwhile_stays(
    store: Store, state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = WebUIModels(store, session_dir=state.sessions, remove_imported_files=True, trash_days=0)
    models.all_sessions()

    def restore(*arguments: Any, **options: Any) -> list[Any]:
        store.sessions.restore("trip")
        return []

    monkeypatch.setattr("hermes_store.files.purging.remove_imported_files", restore)
    assert models.delete_session("trip") is True
    assert store.sessions.exists("trip")
