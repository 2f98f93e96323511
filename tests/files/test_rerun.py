"""An import that is run again takes in what changed, and only that."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import SessionDeletedError, Store
from hermes_store.files import import_directory
from tests.support.contents import contents
from tests.support.import_programs import opened_files
from tests.support.processes import output, run_function
from tests.support.state_dir import MESSAGES, NEW, OLD, SPEC, StateDir, by_name, outcomes


def _run(store: Store, state: StateDir, **options: Any) -> dict[str, str]:
    return outcomes(import_directory(store, state.root, **options))


def _copy(state: StateDir, name: str, **options: Any) -> Path:
    return Path(shutil.copytree(state.root, state.root.with_name(name), **options))


# ── Nothing changed ───────────────────────────────────────────────────────────────────────────────


def _fill(state: StateDir) -> None:
    for data in (OLD, SPEC, NEW):
        state.write(f"{data['session_id']}.json", data)
    state.session("null", title=None, created_at=None, updated_at=None, messages=None)
    state.session("parent", "hi")
    state.session("child", "hi", parent_session_id="parent", project_id="unknown")
    state.write("torn.json", b'{"title": "t", "messages": ["a", "b')


def _writes(path: Path, watched: Callable[[], Any]) -> tuple[bool, Any]:
    """Whether anybody committed a change to the database while `watched` ran, and what that returned."""
    with closing(sqlite3.connect(path)) as connection:
        version = connection.execute("PRAGMA data_version").fetchone()
        result = watched()
        return connection.execute("PRAGMA data_version").fetchone() != version, result


def test_a_second_run_reports_unchanged_and_writes_nothing(
    sqlite_path: Path, sqlite_store: Store, state: StateDir
) -> None:
    _fill(state)
    wrote, first = _writes(sqlite_path, lambda: _run(sqlite_store, state))
    assert wrote
    before = contents(sqlite_store)
    wrote, second = _writes(sqlite_path, lambda: _run(sqlite_store, state))
    assert second == dict.fromkeys(first, "unchanged")
    assert not wrote
    assert contents(sqlite_store) == before


def test_a_second_run_writes_nothing_for_projects_either(
    sqlite_path: Path, sqlite_store: Store, state: StateDir
) -> None:
    state.projects([{"project_id": "p", "name": "P", "profile": "work"}, {"project_id": "q", "name": "Q"}])
    _run(sqlite_store, state)
    wrote, outcome = _writes(sqlite_path, lambda: _run(sqlite_store, state))
    assert outcome == {"#p": "unchanged", "#q": "unchanged"}
    assert not wrote


def test_a_second_run_opens_no_session_file(sqlite_path: Path, state: StateDir) -> None:
    _fill(state)
    names = sorted(path.name for path in state.sessions.iterdir())
    out = output(run_function(opened_files, sqlite_path, state.root))
    first, second = json.loads(out)
    assert set(first) >= set(names)
    assert set(second) & set(names) == set()


def test_a_file_that_was_only_touched_is_unchanged(sqlite_store: Store, state: StateDir) -> None:
    path = state.session("a", "hi")
    _run(sqlite_store, state)
    os.utime(path, (1.7e9, 1.7e9))
    assert _run(sqlite_store, state) == {"a.json": "unchanged"}
    path.write_bytes(json.dumps(json.loads(path.read_bytes())).encode())  # other blanks, the same content
    assert _run(sqlite_store, state) == {"a.json": "unchanged"}
    assert sqlite_store.sessions.get("a").revision == 1


def test_a_change_keeping_size_and_time_is_noticed(sqlite_store: Store, state: StateDir) -> None:
    path = state.session("a", "one", age=0)
    status = path.stat()
    _run(sqlite_store, state)
    path.write_bytes(path.read_bytes().replace(b'"one"', b'"two"'))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert _run(sqlite_store, state) == {"a.json": "updated"}
    assert sqlite_store.messages.read("a") == ["two"]


def test_a_change_during_an_import_is_found_later(sqlite_store: Store, state: StateDir) -> None:
    # As on a file system whose times have a grain of two seconds: it is read in one, and taken in after it.
    path = state.session("a", "one", age=1.0)
    status = path.stat()
    state.write("b.txt", b"reported as soon as it is seen, with the transaction still to come")

    def change(progress: Any) -> None:
        if progress.path == "sessions/b.txt":
            path.write_bytes(path.read_bytes().replace(b'"one"', b'"two"'))
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
            time.sleep(max(0.0, status.st_mtime + 2.01 - time.time()))

    import_directory(sqlite_store, state.root, on_progress=change)
    assert sqlite_store.messages.read("a") == ["one"]
    assert _run(sqlite_store, state)["a.json"] == "updated"


# ── One side changed, or both ─────────────────────────────────────────────────────────────────────


def test_a_changed_file_updates_an_unchanged_session(store: Store, state: StateDir) -> None:
    state.projects([{"project_id": "9a9a9a9a9a9a", "name": "P", "profile": "work"}])
    state.write("a.json", {**SPEC, **NEW, "profile": "work", "session_id": "a"})
    _run(store, state)
    changed = {**SPEC, "session_id": "a", "title": "Other", "pinned": False, "project_id": None, "one_more": [1]}
    del changed["pending_attachments"]
    changed["messages"] = [MESSAGES[1], "between", MESSAGES[0]]
    state.write("a.json", changed, age=60)
    assert _run(store, state)["a.json"] == "updated"
    record = store.sessions.get("a")
    assert (record.title, record.pinned, record.project_id, record.message_count) == ("Other", False, None, 3)
    assert record.updated_at == SPEC["updated_at"]
    assert store.messages.read("a") == changed["messages"]
    documents = store.documents.read("a")
    assert documents == {key: changed[key] for key in ("pending_user_message", "tool_calls", "one_more")}
    assert _run(store, state)["a.json"] == "unchanged"


CHANGES: dict[str, Callable[[Store], Any]] = {
    "append": lambda store: store.messages.append("a", "in the store"),
    "rename": lambda store: store.sessions.update("a", title="in the store"),
    "document": lambda store: store.documents.put("a", {"draft": "in the store"}),
    "truncate": lambda store: store.messages.truncate("a", keep=0, expected_revision=1),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_unchanged_file_leaves_a_changed_session_alone(sqlite_store: Store, state: StateDir, change: str) -> None:
    path = state.session("a", "hi")
    _run(sqlite_store, state)
    CHANGES[change](sqlite_store)
    before = contents(sqlite_store)
    for prefer in ("store", "files"):
        assert _run(sqlite_store, state, prefer=prefer) == {"a.json": "unchanged"}
        os.utime(path, (1.6e9, 1.6e9))
        assert _run(sqlite_store, state, prefer=prefer) == {"a.json": "unchanged"}
    assert contents(sqlite_store) == before


@pytest.mark.parametrize("change", CHANGES)
def test_conflicts_are_kept_and_reported_until_resolved(store: Store, state: StateDir, change: str) -> None:
    state.session("a", "hi")
    _run(store, state)
    CHANGES[change](store)
    before = contents(store)
    state.session("a", "hi", "in the file", age=60)
    for _ in range(3):
        (item,) = import_directory(store, state.root).items
        assert (item.outcome, item.id) == ("conflict", "a")
        assert "both were changed" in item.reason
        assert "the store's copy was kept" in item.reason
        assert contents(store) == before
    assert _run(store, state, prefer="files") == {"a.json": "updated"}
    assert store.messages.read("a") == ["hi", "in the file"]
    assert store.documents.read("a") == {}
    assert store.sessions.get("a").title == "Session a"
    assert _run(store, state) == {"a.json": "unchanged"}


def test_equal_changes_on_both_sides_are_no_conflict(sqlite_store: Store, state: StateDir) -> None:
    state.session("a", "hi")
    _run(sqlite_store, state)
    sqlite_store.sessions.update("a", title="Alike", updated_at=1778459001.5)
    state.session("a", "hi", title="Alike", age=60)
    assert _run(sqlite_store, state) == {"a.json": "unchanged"}
    state.session("a", "hi", "more", title="Alike", age=30)
    assert _run(sqlite_store, state) == {"a.json": "updated"}


def test_a_session_created_before_any_import_is_kept(store: Store, state: StateDir) -> None:
    store.sessions.create(session_id="a", title="Mine")
    state.session("a", "theirs")
    for _ in range(2):
        (item,) = import_directory(store, state.root).items
        assert (item.outcome, item.id) == ("conflict", "a")
        assert "not from this file" in item.reason
    assert store.sessions.get("a").title == "Mine"
    assert _run(store, state, prefer="files") == {"a.json": "updated"}
    assert store.messages.read("a") == ["theirs"]


# ── Deleted, purged, renamed ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("prefer", ["store", "files"])
@pytest.mark.parametrize("changed", [False, True], ids=["same file", "changed file"])
@pytest.mark.parametrize("elsewhere", [False, True], ids=["same place", "copy"])
def test_what_was_deleted_in_the_store_stays_deleted(
    sqlite_store: Store, state: StateDir, prefer: Any, changed: bool, elsewhere: bool
) -> None:
    for session_id in ("deleted", "purged", "renamed"):
        state.session(session_id, "hi")
    _run(sqlite_store, state)
    sqlite_store.sessions.delete("deleted")
    sqlite_store.sessions.purge("purged")
    sqlite_store.sessions.change_id("renamed", "renamed-then-purged")
    sqlite_store.sessions.purge("renamed-then-purged")
    if changed:
        for session_id in ("deleted", "purged", "renamed"):
            state.session(session_id, "hi", "again", age=60)
    root = _copy(state, "copy") if elsewhere else state.root
    items = by_name(import_directory(sqlite_store, root, prefer=prefer))
    assert {name: item.outcome.value for name, item in items.items()} == dict.fromkeys(items, "skipped")
    assert items["deleted.json"].reason == "it is deleted in the store"
    assert items["purged.json"].reason == items["renamed.json"].reason == "it was purged from the store"
    assert list(sqlite_store.sessions.iterate()) == []
    with pytest.raises(SessionDeletedError):
        sqlite_store.sessions.get("deleted")


def test_a_session_given_another_id_keeps_its_file(store: Store, state: StateDir) -> None:
    state.session("old", "hi")
    _run(store, state)
    store.sessions.change_id("old", "new")
    (item,) = import_directory(store, state.root).items
    assert (item.outcome, item.id) == ("unchanged", "new")
    (item,) = import_directory(store, _copy(state, "copy")).items
    assert item.id == "new"
    assert [record.session_id for record in store.sessions.iterate()] == ["new"]


def test_a_changed_file_updates_its_renamed_session(store: Store, state: StateDir) -> None:
    state.session("old", "hi")
    _run(store, state)
    store.sessions.change_id("old", "new")
    state.session("old", "hi", "more", age=60)
    (item,) = import_directory(store, state.root).items
    assert (item.outcome, item.id) == ("updated", "new")
    assert store.messages.read("new") == ["hi", "more"]
    assert [record.session_id for record in store.sessions.iterate()] == ["new"]


# ── Copies and backups ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("copy", [shutil.copy2, shutil.copy], ids=["with times", "without times"])
def test_a_moved_or_copied_directory_is_unchanged(sqlite_store: Store, state: StateDir, copy: Any) -> None:
    _fill(state)
    first = _run(sqlite_store, state)
    before = contents(sqlite_store)
    moved = _copy(state, "moved", copy_function=copy)
    assert outcomes(import_directory(sqlite_store, moved)) == dict.fromkeys(first, "unchanged")
    assert contents(sqlite_store) == before


def test_a_link_to_a_directory_is_that_directory(sqlite_store: Store, state: StateDir) -> None:
    state.session("a", "hi")
    _run(sqlite_store, state)
    link = state.root.with_name("link")
    link.symlink_to(state.root)
    state.session("a", "hi", "more", age=60)
    assert outcomes(import_directory(sqlite_store, link)) == {"a.json": "updated"}


def test_an_older_backup_never_overwrites_a_newer_session(sqlite_store: Store, state: StateDir) -> None:
    state.session("a", "hi")
    backup = _copy(state, "backup")
    state.session("a", "hi", "newer", age=60)
    _run(sqlite_store, state)
    before = contents(sqlite_store)
    for _ in range(2):
        assert outcomes(import_directory(sqlite_store, backup)) == {"a.json": "conflict"}
        assert _run(sqlite_store, state) == {"a.json": "unchanged"}
        assert contents(sqlite_store) == before
    state.session("a", "hi", "newer", "newest", age=30)
    assert _run(sqlite_store, state) == {"a.json": "updated"}


def test_an_old_copy_does_not_undo_later_changes(sqlite_store: Store, state: StateDir) -> None:
    state.session("a", "hi")
    _run(sqlite_store, state)
    backup = _copy(state, "backup")
    assert outcomes(import_directory(sqlite_store, backup)) == {"a.json": "unchanged"}
    state.session("a", "hi", "newer", age=60)
    _run(sqlite_store, state)
    assert outcomes(import_directory(sqlite_store, backup)) == {"a.json": "unchanged"}
    other = StateDir(state.root.with_name("other"))
    shutil.copytree(other.root, backup, dirs_exist_ok=True)
    (backup / "sessions" / "a.json").write_bytes((state.sessions / "a.json").read_bytes().replace(b"newer", b"aside"))
    assert outcomes(import_directory(sqlite_store, backup)) == {"a.json": "conflict"}
    assert sqlite_store.messages.read("a") == ["hi", "newer"]


@pytest.mark.parametrize("prefer", ["store", "files"])
def test_a_damaged_file_never_overwrites_a_good_session(sqlite_store: Store, state: StateDir, prefer: Any) -> None:
    path = state.session("a", "hi", "there", "you")
    whole = path.read_bytes()
    _run(sqlite_store, state)
    before = contents(sqlite_store)
    for size in (len(whole) - 1, len(whole) // 2, 30, 5, 0):
        state.write("a.json", whole[:size], age=60)
        for _ in range(2):
            (item,) = import_directory(sqlite_store, state.root, prefer=prefer).items
            assert item.outcome in ("conflict", "failed", "unchanged")
            assert item.outcome == "unchanged" or item.reason
            assert contents(sqlite_store) == before
    state.write("a.json", whole.replace(b'"you"', b'"all"'), age=30)
    assert _run(sqlite_store, state) == {"a.json": "updated"}


def test_a_repaired_file_replaces_its_recovered_session(sqlite_store: Store, state: StateDir) -> None:
    path = state.session("a", "hi", "there", "you")
    whole = path.read_bytes()
    state.write("a.json", whole[: whole.index(b'"you')])
    assert _run(sqlite_store, state) == {"a.json": "recovered"}
    assert sqlite_store.messages.read("a") == ["hi", "there"]
    assert _run(sqlite_store, state) == {"a.json": "unchanged"}
    state.write("a.json", whole, age=60)
    assert _run(sqlite_store, state) == {"a.json": "updated"}
    assert sqlite_store.messages.read("a") == ["hi", "there", "you"]


def test_a_session_stays_when_its_file_is_gone(sqlite_store: Store, state: StateDir) -> None:
    state.session("a", "hi").unlink()
    state.session("b", "hi")
    _run(sqlite_store, state)
    (state.sessions / "b.json").unlink()
    assert _run(sqlite_store, state) == {}
    assert sqlite_store.messages.read("b") == ["hi"]
