"""A session that moves to another profile leaves no link across the wall, whoever moves it, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.files import Outcome, import_directory
from hermes_store.webui import WebUIModels
from tests.support.internals import reading
from tests.support.state_dir import StateDir

_ACROSS = """
    SELECT s.session_id, 'parent', p.session_id FROM sessions s JOIN sessions p ON p.id = s.parent_id
    WHERE p.profile <> s.profile
    UNION ALL
    SELECT s.session_id, 'project', p.project_id FROM sessions s JOIN projects p ON p.id = s.project_id
    WHERE p.profile <> s.profile
"""


def across(store: Store) -> list[tuple[Any, ...]]:
    """Return the links from a row of one profile to a row of another."""
    with reading(store) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(_ACROSS)]


def _update(store: Store, _: StateDir, session_id: str) -> None:
    store.sessions.update(session_id, profile="work")


def _save(store: Store, _: StateDir, session_id: str) -> None:
    live: Any = WebUIModels(store).get_session(session_id)
    live.profile = "work"
    live.save()


def _save_metadata(store: Store, _: StateDir, session_id: str) -> None:
    live: Any = WebUIModels(store).get_session(session_id, metadata_only=True)
    live.profile = "work"
    live.save()


def _import(store: Store, state: StateDir, session_id: str) -> None:
    state.session(session_id, "hi", profile="work", **PARENTS.get(session_id, {}), project_id="p", age=60)
    assert import_directory(store, state.root).counts[Outcome.UPDATED] == 1


MOVES: dict[str, Callable[[Store, StateDir, str], None]] = {
    "update": _update,
    "a save of the WebUI": _save,
    "a save of metadata": _save_metadata,
    "an import": _import,
}
#: The sessions: a line of three, and a child that is deleted.
PARENTS: dict[str, dict[str, Any]] = {
    "middle": {"parent_session_id": "top"},
    "bottom": {"parent_session_id": "middle"},
    "gone": {"parent_session_id": "middle"},
}


@pytest.fixture
def state(store: Store, tmp_path: Path) -> StateDir:
    """Linked sessions of one profile, from files."""
    state = StateDir(tmp_path / "state")
    state.projects([{"project_id": "p", "name": "P", "profile": "default"}])
    for session_id in ("top", "middle", "bottom", "gone"):
        state.session(session_id, "hi", project_id="p", **PARENTS.get(session_id, {}))
    import_directory(store, state.root)
    assert store.sessions.get("bottom").parent_id == "middle"
    store.sessions.delete("gone")
    return state


@pytest.mark.slow
@pytest.mark.parametrize("session_id", ["top", "middle", "bottom"])
@pytest.mark.parametrize("name", MOVES)
def test_a_move_leaves_no_link_across_profiles(store: Store, state: StateDir, name: str, session_id: str) -> None:
    MOVES[name](store, state, session_id)
    store.sessions.restore("gone")
    assert across(store) == []
    moved = store.sessions.get(session_id)
    assert (moved.profile, moved.project_id, moved.parent_id) == ("work", None, None)
    for other in {"top", "middle", "bottom", "gone"} - {session_id}:
        assert store.sessions.get(other).project_id == "p"


@pytest.mark.parametrize("name", MOVES)
def test_another_import_makes_no_link_across_profiles(store: Store, state: StateDir, name: str) -> None:
    MOVES[name](store, state, "middle")
    state.session("bottom", "hi", "more", parent_session_id="middle", project_id="p", age=30)
    import_directory(store, state.root, prefer="files")
    assert across(store) == []
    assert store.profile("default").sessions.get("bottom").parent_id is None


def test_an_import_links_a_session_that_moved_back(store: Store, state: StateDir) -> None:
    _import(store, state, "middle")
    state.session("middle", "hi", parent_session_id="top", project_id="p", age=30)
    import_directory(store, state.root)
    assert across(store) == []
    assert (store.sessions.get("middle").parent_id, store.sessions.get("middle").project_id) == ("top", "p")
    assert store.sessions.get("bottom").parent_id == "middle"


def test_a_move_accepts_links_of_the_new_profile(store: Store, state: StateDir) -> None:
    store.projects.create(name="W", project_id="w", profile="work")
    store.sessions.create(session_id="theirs", profile="work")
    moved = store.sessions.update("middle", profile="work", parent_id="theirs", project_id="w")
    assert (moved.parent_id, moved.project_id, across(store)) == ("theirs", "w", [])
