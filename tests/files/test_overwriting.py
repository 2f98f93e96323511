"""What an import writes over a session that was imported before, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_store import Store
from hermes_store.files import import_directory
from tests.support.state_dir import StateDir, outcomes

LARGE = "x" * 5000


def _revisions(store: Store, session_id: str) -> tuple[int, int, int]:
    record = store.sessions.get(session_id)
    return record.revision, record.transcript_revision, record.fields_revision


def test_another_title_is_no_change_of_the_transcript(store: Store, state: StateDir) -> None:
    state.session("a", "hi")
    import_directory(store, state.root)
    transcript = store.messages.read("a")
    state.session("a", "hi", title="Other", age=60)
    assert outcomes(import_directory(store, state.root)) == {"a.json": "updated"}
    assert _revisions(store, "a") == (2, 1, 2)
    store.messages.replace("a", ["hi", "there"], expected_revision=transcript.revision)
    assert store.messages.read("a") == ["hi", "there"]


def test_another_message_is_a_change_of_the_transcript(store: Store, state: StateDir) -> None:
    state.session("a", "hi")
    import_directory(store, state.root)
    state.session("a", "hi", "more", age=60)
    import_directory(store, state.root)
    assert _revisions(store, "a") == (2, 2, 2)


@pytest.mark.parametrize("before", [{}, {"key": "small"}, {"key": LARGE}, {"title": ["odd"]}], ids=str)
@pytest.mark.parametrize("after", [{}, {"key": "other"}, {"key": LARGE + "y"}, {"title": ["odder"]}], ids=str)
def test_documents_of_any_size_give_way_to_any(
    sqlite_store: Store, state: StateDir, before: dict[str, Any], after: dict[str, Any]
) -> None:
    state.session("a", "hi", **before)
    import_directory(sqlite_store, state.root)
    assert sqlite_store.documents.read("a") == before
    state.session("a", "hi", "more", **after, age=60)
    assert outcomes(import_directory(sqlite_store, state.root)) == {"a.json": "updated"}
    assert sqlite_store.documents.read("a") == after


def test_a_link_changes_neither_time_nor_transcript(store: Store, state: StateDir) -> None:
    state.session("child", "hi", parent_session_id="parent")
    import_directory(store, state.root)
    before = store.sessions.get("child")
    state.session("parent", "hi")
    import_directory(store, state.root)
    after = store.sessions.get("child")
    assert (before.parent_id, after.parent_id) == (None, "parent")
    assert after.updated_at == before.updated_at
    assert _revisions(store, "child") == (2, 1, 2)


def test_forks_leave_a_parent_that_changes_profile(store: Store, state: StateDir) -> None:
    state.session("parent", "hi")
    state.session("child", "hi", parent_session_id="parent")
    import_directory(store, state.root)
    assert store.sessions.get("child").parent_id == "parent"
    state.session("parent", "hi", profile="work", age=60)
    assert outcomes(import_directory(store, state.root)) == {"child.json": "unchanged", "parent.json": "updated"}
    assert store.sessions.get("child").parent_id is None
    state.session("child", "hi", profile="work", parent_session_id="parent", age=60)
    assert outcomes(import_directory(store, state.root)) == {"child.json": "updated", "parent.json": "unchanged"}
    assert store.sessions.get("child").parent_id == "parent"
