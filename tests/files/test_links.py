"""Sessions point to projects and parents that may come later than they do."""

from __future__ import annotations

import pytest

from hermes_store import Store
from hermes_store.files import import_directory
from tests.support.state_dir import StateDir, outcomes


def test_a_project_that_comes_later_gets_its_sessions(store: Store, state: StateDir) -> None:
    state.session("a", "hi", project_id="p")
    import_directory(store, state.root)
    state.projects([{"project_id": "p", "name": "Late", "profile": "default"}])
    assert outcomes(import_directory(store, state.root)) == {"#p": "imported", "a.json": "unchanged"}
    assert store.sessions.get("a").project_id == "p"
    assert store.documents.read("a") == {}
    state.session("a", "hi", "more", project_id="p", age=60)
    assert outcomes(import_directory(store, state.root)) == {"#p": "unchanged", "a.json": "updated"}
    assert store.sessions.get("a").project_id == "p"


def test_a_parent_that_comes_later_gets_its_child(store: Store, state: StateDir) -> None:
    state.session("child", "hi", parent_session_id="parent")
    import_directory(store, state.root)
    assert store.sessions.get("child").parent_id is None
    state.session("parent", "hi")
    assert outcomes(import_directory(store, state.root)) == {"child.json": "unchanged", "parent.json": "imported"}
    assert store.sessions.get("child").parent_id == "parent"
    state.session("child", "hi", "more", parent_session_id="parent", age=60)
    assert outcomes(import_directory(store, state.root)) == {"child.json": "updated", "parent.json": "unchanged"}
    assert store.sessions.get("child").parent_id == "parent"


def test_a_link_that_the_file_dropped_is_removed(store: Store, state: StateDir) -> None:
    state.projects([{"project_id": "p", "name": "P", "profile": "default"}])
    state.session("parent", "hi")
    state.session("child", "hi", parent_session_id="parent", project_id="p")
    import_directory(store, state.root)
    assert store.sessions.get("child").parent_id == "parent"
    state.session("child", "hi", age=60)
    assert outcomes(import_directory(store, state.root))["child.json"] == "updated"
    record = store.sessions.get("child")
    assert (record.parent_id, record.project_id) == (None, None)


@pytest.mark.parametrize("name", [None, "", "../x", 5, ["parent"], "other", "child"])
def test_an_unusable_parent_id_links_nothing(sqlite_store: Store, state: StateDir, name: object) -> None:
    state.session("other", "hi", profile="work")
    state.session("child", "hi", parent_session_id=name)
    assert set(outcomes(import_directory(sqlite_store, state.root)).values()) == {"imported"}
    assert sqlite_store.sessions.get("child").parent_id is None
    assert sqlite_store.documents.read("child") == {"parent_session_id": name}


def test_parents_that_name_each_other_form_no_cycle(sqlite_store: Store, state: StateDir) -> None:
    names = ["a", "b", "c"]
    for name, parent in zip(names, ["b", "c", "a"], strict=True):
        state.session(name, "hi", parent_session_id=parent)
    import_directory(sqlite_store, state.root)
    for name in names:
        line = [name]
        while (following := sqlite_store.sessions.get(line[-1]).parent_id) is not None:
            assert following not in line
            line.append(following)


def test_renamed_parent_is_found_by_its_old_id(sqlite_store: Store, state: StateDir) -> None:
    state.session("parent", "hi")
    import_directory(sqlite_store, state.root)
    sqlite_store.sessions.change_id("parent", "renamed")
    state.session("child", "hi", parent_session_id="parent")
    import_directory(sqlite_store, state.root)
    assert sqlite_store.sessions.get("child").parent_id == "renamed"
