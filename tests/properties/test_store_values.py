"""What went into a store comes out of it: messages and documents of any value, under any key."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_store import InvalidPayloadError, Store
from tests.support.json_values import any_text, json_values, nested, same


@pytest.mark.slow
@given(messages=st.lists(json_values, min_size=1, max_size=5), more=json_values)
def test_messages_of_any_value_are_read_as_appended(store: Store, messages: list[Any], more: Any) -> None:
    session_id = store.sessions.create().session_id
    store.messages.extend(session_id, messages)
    store.messages.append(session_id, more)
    expected = [*messages, more]
    assert same(list(store.messages.read(session_id)), expected)
    assert same(store.messages.tail(session_id).items, expected)


@pytest.mark.slow
@given(values=st.dictionaries(any_text.filter(lambda key: len(key) <= 500), json_values, max_size=4))
def test_documents_are_read_as_they_were_put(store: Store, values: dict[str, Any]) -> None:
    session_id = store.sessions.create().session_id
    revision = store.documents.put(session_id, values).revision
    found = store.documents.read(session_id)
    assert found.keys() == values.keys()
    assert all(same(found[key], value) for key, value in values.items())
    assert store.documents.put(session_id, values).revision == revision, "what is the same is not written"
    for key, value in values.items():
        assert same(store.documents.read(session_id, key), {key: value})


@pytest.mark.slow
@given(before=st.lists(json_values, max_size=5), after=st.lists(json_values, max_size=5))
def test_a_replaced_transcript_is_read_as_given(store: Store, before: list[Any], after: list[Any]) -> None:
    session_id = store.sessions.create().session_id
    revision = store.messages.extend(session_id, before).revision
    store.messages.replace(session_id, after, expected_revision=revision)
    assert same(list(store.messages.read(session_id)), after)
    assert store.sessions.get(session_id).message_count == len(after)


@given(title=any_text, profile=any_text.filter(bool), name=any_text.filter(bool))
def test_text_of_any_characters_is_kept_and_found(store: Store, title: str, profile: str, name: str) -> None:
    session = store.sessions.create(title=title[:500], profile=profile[:255], workspace=title)
    assert store.sessions.get(session.session_id) == session
    assert (session.title, session.profile, session.workspace) == (title[:500], profile[:255], title)
    found = store.sessions.list(profile=profile[:255], include_empty=True, limit=1000).items
    assert {record.profile for record in found} == {profile[:255]}
    project = store.projects.create(name=name[:128], profile=profile[:255])
    assert store.projects.get(project.project_id).name == name[:128]


@pytest.mark.slow
def test_very_deep_messages_and_documents_are_kept(store: Store) -> None:
    session_id = store.sessions.create().session_id
    deep = nested("both", 30_000)
    store.messages.extend(session_id, [{"role": "user"}, deep, {"role": "assistant"}])
    store.documents.put(session_id, {"draft": deep})
    first, found, last = store.messages.read(session_id)
    are_same = same(found, deep), same(store.documents.read(session_id)["draft"], deep)
    assert are_same == (True, True)
    assert (first, last) == ({"role": "user"}, {"role": "assistant"})


def test_a_message_that_is_not_json_refuses_all(store: Store) -> None:
    session_id = store.sessions.create().session_id
    with pytest.raises(InvalidPayloadError) as caught:
        store.messages.extend(session_id, [{"fine": 1}, {"args": [{"data": b"\x00"}]}])
    assert caught.value.place == "message 1.args[0].data"
    with pytest.raises(InvalidPayloadError) as caught:
        store.documents.put(session_id, {"fine": 1, "draft": {"when": {1, 2}}})
    assert caught.value.place == "draft.when"
    assert store.messages.read(session_id) == []
    assert store.documents.read(session_id) == {}


def test_an_appended_message_can_always_be_read_again(store: Store) -> None:
    """Python refuses to read integers of more than 4,300 digits, and writes them all the same."""
    session_id = store.sessions.create().session_id
    store.messages.extend(session_id, ["before"])
    with pytest.raises(InvalidPayloadError):
        store.messages.extend(session_id, [10**5_000])
    assert store.messages.read(session_id) == ["before"]
