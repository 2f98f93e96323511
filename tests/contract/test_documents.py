"""Documents, on every backend: a session's other values, each written only when it changed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_store import (
    InvalidInputError,
    InvalidPayloadError,
    SessionNotFoundError,
    SessionRecord,
    StaleSessionError,
    Store,
    WriteResult,
)
from tests.support.json_values import AWKWARD_TEXTS, NOT_JSON, small_json_values, text_of, texts


@pytest.fixture
def session(store: Store) -> SessionRecord:
    """A session with two documents, last written to long ago."""
    made = store.sessions.create(title="Trip")
    store.documents.put(made.session_id, {"tool_calls": [{"name": "ls"}], "draft": "hi"})
    return store.sessions.update(made.session_id, updated_at=1000.0)


def test_documents_are_read_by_key_or_all(store: Store, session: SessionRecord) -> None:
    read = store.documents.read
    assert read(session.session_id) == {"tool_calls": [{"name": "ls"}], "draft": "hi"}
    assert read(session.session_id, "draft", "nothing") == {"draft": "hi"}
    assert read(session.session_id, "nothing") == {}
    assert read(store.sessions.create().session_id) == {}


def test_a_put_sets_only_the_named_keys(store: Store, session: SessionRecord) -> None:
    result = store.documents.put(session.session_id, {"draft": None, "new": 1})
    assert store.documents.read(session.session_id) == {"tool_calls": [{"name": "ls"}], "draft": None, "new": 1}
    after = store.sessions.get(session.session_id)
    revision = session.revision + 1
    assert result == WriteResult(changed=True, revision=revision)
    new = {"revision": revision, "fields_revision": revision, "updated_at": after.updated_at}
    assert after == session.model_copy(update=new)
    assert after.updated_at > session.updated_at


@pytest.mark.parametrize("values", [{}, {"draft": "hi"}, {"draft": "hi", "tool_calls": [{"name": "ls"}]}], ids=str)
def test_a_put_of_what_is_there_writes_nothing(store: Store, session: SessionRecord, values: dict[str, Any]) -> None:
    result = store.documents.put(session.session_id, values)
    assert result == WriteResult(changed=False, revision=session.revision)
    assert store.sessions.get(session.session_id) == session


def test_values_that_python_calls_equal_are_told_apart(store: Store, session: SessionRecord) -> None:
    for value in (1, True, 1.0, "1", [1], {"a": 1, "b": 2}, {"b": 2, "a": 1}, 0.0, -0.0, None):
        store.documents.put(session.session_id, {"draft": value})
        assert text_of(store.documents.read(session.session_id, "draft")["draft"]) == text_of(value)


def test_remove_deletes_present_keys_and_ignores_absent_ones(store: Store, session: SessionRecord) -> None:
    result = store.documents.remove(session.session_id, "draft", "nothing")
    revision = store.sessions.get(session.session_id).revision
    assert result == WriteResult(changed=True, revision=revision)
    assert revision == session.revision + 1
    assert store.documents.read(session.session_id) == {"tool_calls": [{"name": "ls"}]}
    unchanged = WriteResult(changed=False, revision=revision)
    assert store.documents.remove(session.session_id, "draft") == unchanged
    assert store.documents.remove(session.session_id) == unchanged
    assert store.sessions.get(session.session_id).revision == revision


def test_a_stale_write_of_documents_changes_nothing(store: Store, session: SessionRecord) -> None:
    stale = session.revision - 1
    with pytest.raises(StaleSessionError):
        store.documents.put(session.session_id, {"draft": "mine"}, expected_revision=stale)
    with pytest.raises(StaleSessionError):
        store.documents.remove(session.session_id, "draft", expected_revision=stale)
    assert store.documents.read(session.session_id, "draft") == {"draft": "hi"}
    revision = store.documents.put(session.session_id, {"draft": "mine"}, expected_revision=session.revision).revision
    store.documents.remove(session.session_id, "tool_calls", expected_revision=revision)
    assert store.documents.read(session.session_id) == {"draft": "mine"}


def test_values_that_are_not_json_name_their_place(store: Store, session: SessionRecord) -> None:
    for bad, place in NOT_JSON:
        with pytest.raises(InvalidPayloadError) as refused:
            store.documents.put(session.session_id, {"draft": "lost", "new": bad})
        assert refused.value.place == f"new{place}"
    assert store.documents.read(session.session_id, "draft", "new") == {"draft": "hi"}
    assert store.sessions.get(session.session_id) == session


@pytest.mark.parametrize("key", [5, None, b"draft", "x" * 501], ids=str)
def test_keys_are_text_of_at_most_500_characters(store: Store, session: SessionRecord, key: Any) -> None:
    with pytest.raises(InvalidInputError):
        store.documents.put(session.session_id, {"draft": "lost", key: 1})
    assert store.documents.read(session.session_id) == {"tool_calls": [{"name": "ls"}], "draft": "hi"}


@pytest.mark.parametrize("key", [5, b"draft"], ids=str)
def test_read_and_remove_refuse_keys_other_than_text(store: Store, session: SessionRecord, key: Any) -> None:
    for verb in (store.documents.read, store.documents.remove):
        with pytest.raises(InvalidInputError):
            verb(session.session_id, "draft", key)
    assert store.documents.read(session.session_id, "draft") == {"draft": "hi"}


@pytest.mark.parametrize("verb", ["read", "put", "remove"])
def test_documents_of_nobody_are_not_found(store: Store, verb: str) -> None:
    with pytest.raises(SessionNotFoundError):
        getattr(store.documents, verb)("nobody", *([{}] if verb == "put" else []))


def test_the_longest_keys_of_any_characters_are_kept(store: Store, session: SessionRecord) -> None:
    values: dict[str, Any] = {(text * 500)[:500]: number for number, text in enumerate(AWKWARD_TEXTS)}
    values |= {"".join(chr(0x10000 + i) for i in range(500)): "astral, and no two alike", "half \ud83d": 1}
    store.documents.put(session.session_id, values)
    assert store.documents.read(session.session_id, *values) == values
    store.documents.remove(session.session_id, *values)
    assert sorted(store.documents.read(session.session_id)) == ["draft", "tool_calls"]


@settings(max_examples=12)
@given(
    puts=st.lists(st.dictionaries(texts, small_json_values, max_size=4), max_size=3),
    removed=st.lists(texts, max_size=3),
)
def test_documents_are_a_dictionary(store: Store, puts: list[dict[str, Any]], removed: list[str]) -> None:
    session_id = store.sessions.create().session_id
    model: dict[str, Any] = {}
    for values in puts:
        store.documents.put(session_id, values)
        model |= values
    store.documents.remove(session_id, *removed)
    model = {key: value for key, value in model.items() if key not in removed}
    found = store.documents.read(session_id)
    assert {key: text_of(value) for key, value in found.items()} == {key: text_of(v) for key, v in model.items()}
