"""The import log says how each session came into the store, also long after the import."""

from __future__ import annotations

import json

import pytest

from hermes_store import SessionNotFoundError, Store
from hermes_store.files import import_directory
from tests.support.state_dir import StateDir


def _outcomes(store: Store) -> dict[str, tuple[str, str | None]]:
    records = store.imports.records()
    return {record.path.removeprefix("sessions/"): (record.outcome.value, record.session_id) for record in records}


def test_a_recovered_session_can_be_told_from_others(store: Store, state: StateDir) -> None:
    state.session("whole", "hi")
    torn = state.session("torn", "hi", "there").read_bytes()
    state.write("torn.json", torn[: torn.index(b"there")])
    state.session("odd", "hi", title=["list"])
    import_directory(store, state.root)
    for path in state.sessions.iterdir():
        path.touch()
    import_directory(store, state.root)  # it is unchanged now, and what was missing is still missing
    records = {record.path.removeprefix("sessions/"): record for record in store.imports.records()}
    assert {name: record.outcome.value for name, record in records.items()} == {
        "whole.json": "imported",
        "torn.json": "recovered",
        "odd.json": "imported",
    }
    assert "1 whole message was read" in records["torn.json"].reason
    assert records["torn.json"].session_id == "torn"
    assert "title is" in records["odd.json"].notes[0]


def test_a_repaired_file_is_logged_as_updated(sqlite_store: Store, state: StateDir) -> None:
    whole = state.session("a", "hi", "there").read_bytes()
    state.write("a.json", whole[:-60])
    import_directory(sqlite_store, state.root)
    state.write("a.json", whole, age=60)
    import_directory(sqlite_store, state.root)
    (record,) = sqlite_store.imports.records()
    assert (record.outcome, record.reason) == ("updated", "")


def test_a_newer_whole_file_clears_the_recovered_mark(store: Store, state: StateDir) -> None:
    torn = b'{"session_id": "a", "title": "T", "messages": [{"role": "user"}, {"ro'
    state.write("a.json", torn)
    state.session("b", {"role": "user"})
    import_directory(store, state.root)
    assert {one.session_id: one.recovered for one in store.sessions.list().items} == {"a": True, "b": False}
    store.sessions.update("b", title="Renamed")
    store.sessions.change_id("a", "renamed")
    import_directory(store, state.root)
    assert store.sessions.get("renamed").recovered
    state.session("a", {"role": "user"}, {"role": "assistant"}, age=60)
    state.session("b", {"role": "user"}, {"role": "assistant"}, age=60)
    import_directory(store, state.root, prefer="files")
    assert not store.sessions.get("renamed").recovered
    assert not store.sessions.get("b").recovered


def test_an_equal_whole_file_clears_the_recovered_mark(sqlite_store: Store, state: StateDir) -> None:
    whole = {"session_id": "a", "title": "T", "created_at": 1.0, "updated_at": 2.0, "messages": [{"role": "user"}]}
    state.write("a.json", json.dumps(whole).encode() + b"garbage")
    import_directory(sqlite_store, state.root)
    assert sqlite_store.sessions.get("a").recovered
    state.write("a.json", json.dumps(whole).encode(), age=60)
    import_directory(sqlite_store, state.root)
    assert not sqlite_store.sessions.get("a").recovered


def test_files_that_became_no_session_are_logged(store: Store, state: StateDir) -> None:
    state.write("bad.json", b"no JSON")
    state.write("notes.txt", b"notes")
    state.session("other", {"role": "user"})
    (state.sessions / "folder").mkdir()
    store.sessions.create(session_id="other", title="Mine")
    import_directory(store, state.root)
    found = {
        record.path.removeprefix("sessions/"): (record.outcome.value, record.session_id)
        for record in store.imports.records()
    }
    assert found == {
        "bad.json": ("failed", None),
        "notes.txt": ("skipped", None),
        "folder": ("skipped", None),
        "other.json": ("conflict", "other"),
    }
    assert all(record.reason for record in store.imports.records())
    (state.sessions / "notes.txt").unlink()
    state.session("bad", {"role": "user"})
    import_directory(store, state.root)
    found = {
        record.path.removeprefix("sessions/"): (record.outcome.value, record.session_id)
        for record in store.imports.records()
    }
    assert found == {
        "bad.json": ("imported", "bad"),
        "folder": ("skipped", None),
        "other.json": ("conflict", "other"),
    }


def test_projects_that_failed_are_in_the_log(store: Store, state: StateDir) -> None:
    store.projects.create(project_id="a1", name="Mine")
    state.projects([{"project_id": "a1", "name": "Theirs"}, "no project", {"project_id": "b2", "name": "B"}])
    import_directory(store, state.root)
    found = {record.path: record for record in store.imports.records()}
    assert {path: record.outcome.value for path, record in found.items()} == {
        "projects.json#a1": "conflict",
        "projects.json#b2": "imported",
        "projects.json[1]": "failed",
    }
    assert {record.kind.value for record in found.values()} == {"project"}
    assert found["projects.json#a1"].reason
    state.projects([{"project_id": "a1", "name": "Theirs"}])
    import_directory(store, state.root, prefer="files")
    assert {record.path: record.outcome.value for record in store.imports.records()} == {
        "projects.json#a1": "imported",
        "projects.json#b2": "imported",
    }


def test_records_of_one_session(store: Store, state: StateDir) -> None:
    state.write("a.json", b'{"session_id": "a", "title": "T", "messages": [{"role": "user"}, {"ro')
    state.session("b", {"role": "user"})
    import_directory(store, state.root)
    (record,) = store.imports.of_session("a")
    assert (record.path, record.session_id, record.outcome.value) == ("sessions/a.json", "a", "recovered")
    store.sessions.create(session_id="other")
    assert store.imports.of_session("other") == []
    with pytest.raises(SessionNotFoundError):
        store.imports.of_session("missing")


def test_a_profile_sees_records_of_its_sessions(store: Store, state: StateDir) -> None:
    state.session("a", {"role": "user"}, profile="work")
    state.session("b", {"role": "user"}, profile="home")
    state.write("bad.json", b"no JSON")
    import_directory(store, state.root)
    work = store.profile("work").imports
    assert [record.session_id for record in work.records()] == ["a"]
    with pytest.raises(SessionNotFoundError):
        work.of_session("b")


def test_records_of_one_directory(store: Store, state: StateDir) -> None:
    state.session("a", {"role": "user"})
    import_directory(store, state.root)
    (record,) = store.imports.records()
    assert store.imports.records(origin=record.origin) == [record]
    assert store.imports.records(origin="/elsewhere") == []
