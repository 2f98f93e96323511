"""A session with a draft is not blank, on every backend and whoever wrote the draft."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.files import import_directory
from hermes_store.webui import WebUIModels
from tests.support.internals import writing
from tests.support.state_dir import StateDir

OLD = time.time() - 3600
Write = Callable[[Store, Path, str, dict[str, Any]], None]

CONTENT: dict[str, dict[str, Any]] = {
    "a draft": {"composer_draft": {"text": "a letter", "files": []}},
    "a draft's files": {"composer_draft": {"text": "", "files": [{"name": "f"}]}},
    "a large draft": {"composer_draft": {"text": "x" * 5000}},
    "a pending message": {"pending_user_message": "my question"},
    "attachments": {"pending_attachments": [{"name": "f"}]},
    "tool calls": {"tool_calls": [{"name": "terminal"}]},
    "another transcript": {"context_messages": [{"role": "system"}]},
    "scenes": {"anchor_activity_scenes": {"run:1": {"scene": {}}}},
    "a goal": {"goal": {"text": "learn"}},
    "files": {"attachments": ["f"]},
    "a share": {"share_token": "tok123"},
    "a worktree": {"worktree_path": "/srv"},
}
NOTHING: dict[str, dict[str, Any]] = {
    "nothing": {},
    "empty values": {"composer_draft": {"text": "", "files": []}, "pending_user_message": None, "tool_calls": []},
    "blank text": {"pending_user_message": " \n", "composer_draft": {}},
    "settings": {"context_length": 200_000, "enabled_toolsets": ["web"], "worktree_path": None},
}


def put(store: Store, _folder: Path, session_id: str, values: dict[str, Any]) -> None:
    store.sessions.create(session_id=session_id, updated_at=OLD)
    store.documents.put(session_id, values, touch=False)


def import_file(store: Store, folder: Path, session_id: str, values: dict[str, Any]) -> None:
    state = StateDir(folder / session_id)
    state.session(session_id, title="Untitled", **values)
    import_directory(store, state.root)
    assert store.sessions.get(session_id).title == "Untitled"
    store.sessions.update(session_id, updated_at=OLD)


def save_new(store: Store, _folder: Path, session_id: str, values: dict[str, Any]) -> None:
    WebUIModels(store).Session(session_id=session_id, title="Untitled", updated_at=OLD, **values).save(False)


def save_later(store: Store, folder: Path, session_id: str, values: dict[str, Any]) -> None:
    put(store, folder, session_id, {})
    live: Any = WebUIModels(store).Session.load_metadata_only(session_id)
    for key, value in values.items():
        setattr(live, key, value)
    live.save(False)


WRITES: dict[str, Write] = {
    "documents.put": put,
    "an import": import_file,
    "a save of a new session": save_new,
    "a save of another": save_later,
}


def listed(store: Store) -> set[str]:
    return {one.session_id for one in store.sessions.list().items}


@pytest.mark.parametrize("write", WRITES)
def test_what_a_user_began_is_listed_and_kept(store: Store, tmp_path: Path, write: str) -> None:
    names = {f"kept{number}": values for number, values in enumerate(CONTENT.values())}
    blank = {f"blank{number}": values for number, values in enumerate(NOTHING.values())}
    for name, values in {**names, **blank}.items():
        WRITES[write](store, tmp_path, name, values)
    assert listed(store) == names.keys()
    assert store.sessions.count() == len(names)
    assert {row["session_id"] for row in WebUIModels(store).all_sessions()} == names.keys()
    assert set(store.sessions.delete_empty()) == blank.keys()
    assert store.sessions.delete_empty(untitled_only=False) == []


@pytest.mark.parametrize("content", CONTENT)
def test_a_session_whose_draft_is_gone_is_blank(store: Store, tmp_path: Path, content: str) -> None:
    [key] = CONTENT[content]
    for name, write in WRITES.items():
        session_id = name.replace(" ", "_").replace(".", "_")
        write(store, tmp_path, session_id, {**CONTENT[content], "other": 1})
        assert listed(store) == {session_id}
        if name == "a save of another":
            live: Any = WebUIModels(store).get_session(session_id)
            setattr(live, key, None)
            live.save(False)
        else:
            store.documents.remove(session_id, key, touch=False)
        assert listed(store) == set()
        assert store.sessions.delete_empty(untitled_only=False) == [session_id]


def test_one_draft_of_two_is_enough(store: Store, tmp_path: Path) -> None:
    put(store, tmp_path, "s", {"pending_user_message": "a", "composer_draft": {"text": "b"}})
    store.documents.put("s", {"composer_draft": {}}, touch=False)
    assert listed(store) == {"s"}
    store.documents.put("s", {"pending_user_message": ""}, touch=False)
    assert listed(store) == set()


def test_damaged_drafts_count_as_drafts(store: Store, tmp_path: Path) -> None:
    put(store, tmp_path, "s", {"composer_draft": {"text": "x" * 5000}, "pending_user_message": "a"})
    with writing(store) as connection:
        connection.exec_driver_sql("UPDATE session_documents SET payload = digest")
    store.documents.remove("s", "pending_user_message", touch=False)
    assert listed(store) == {"s"}
    assert store.sessions.delete_empty() == []


def test_blank_sessions_of_the_far_future_are_old(store: Store) -> None:
    for name, ahead in {"now": 0, "soon": 600, "far": 86_400}.items():
        store.sessions.create(session_id=name, updated_at=time.time() + ahead)
    assert listed(store) == {"now", "soon"}
    assert store.sessions.delete_empty() == ["far"]
