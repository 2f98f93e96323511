"""`save(only=…)` of a live session: what is named is written, and nothing else is looked at."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_store import InvalidInputError, StaleSessionError
from hermes_store.webui import WebUIModels, session
from tests.support.encodings import encoded_by
from tests.support.webui.sessions import contents, said


@pytest.fixture
def live(models: WebUIModels) -> Any:
    live = models.Session(session_id="trip", title="Trip", messages=said("a", "b"), input_tokens=1, draft={"text": ""})
    live.save()
    return live


def stored(models: WebUIModels) -> Any:
    return models.Session.load("trip")


def test_the_next_save_writes_what_was_not_named(models: WebUIModels, live: Any) -> None:
    live.title, live.draft["text"] = "Rome", "Hello"
    live.messages += said("c")
    live.save(only={"draft"})
    assert (stored(models).title, stored(models).draft, len(stored(models).messages)) == ("Trip", {"text": "Hello"}, 2)
    assert live.is_dirty()
    live.save()
    assert (stored(models).title, stored(models).draft, len(stored(models).messages)) == ("Rome", {"text": "Hello"}, 3)
    assert not live.is_dirty()


def test_messages_are_written_if_they_are_named(models: WebUIModels, live: Any) -> None:
    live.title = "Rome"
    live.messages += said("c")
    live.save(only=["messages"])
    assert (stored(models).title, len(stored(models).messages)) == ("Trip", 3)
    live.save(only=["title"])
    assert not live.is_dirty()


@pytest.mark.parametrize("touch", [True, False])
def test_the_time_is_set_as_by_any_save(models: WebUIModels, live: Any, touch: bool) -> None:
    before = live.updated_at
    live.draft["text"] = "Hello"
    live.save(touch, only=["draft"])
    assert (live.updated_at > before) is touch
    assert stored(models).updated_at == live.updated_at
    assert not live.is_dirty()


def test_a_value_that_was_removed_is_removed(models: WebUIModels, live: Any) -> None:
    del live.draft
    live.save(only=["draft", "never_there"])
    assert "draft" not in vars(stored(models))
    assert not live.is_dirty()


def test_a_part_of_metadata_is_saved(models: WebUIModels, live: Any) -> None:
    metadata = models.Session.load_metadata_only("trip")
    assert metadata is not None
    metadata.draft = {"text": "Hello"}
    metadata.pinned = True
    metadata.save(only=["draft"])
    assert "messages" not in vars(metadata)
    assert (stored(models).draft, stored(models).pinned) == ({"text": "Hello"}, False)
    assert len(metadata.messages) == 2
    metadata.save()
    assert stored(models).pinned is True


def test_partial_and_full_saves_merge_what_others_wrote(models: WebUIModels, live: Any) -> None:
    other = stored(models)
    other.input_tokens += 10
    other.title = "Rome"
    other.messages += said("c")
    other.save()
    live.input_tokens += 100
    live.messages += said("d")
    live.save(only=["input_tokens"])
    assert stored(models).input_tokens == live.input_tokens == 111
    assert [message["content"] for message in stored(models).messages] == ["a", "b", "c"]
    live.save()
    assert stored(models).input_tokens == live.input_tokens == 111
    assert live.title == "Rome"
    assert [message["content"] for message in live.messages] == ["a", "b", "c", "d"]
    assert stored(models).messages == live.messages


def test_a_stream_that_others_began_is_left_alone(models: WebUIModels, live: Any) -> None:
    other = stored(models)
    other.active_stream_id, other.pending_user_message = "stream", "question"
    other.save()
    live.pending_user_message = None
    live.pending_attachments = ["x"]
    live.save(only=["pending_user_message", "pending_attachments"])
    assert (stored(models).active_stream_id, stored(models).pending_user_message) == ("stream", "question")
    assert stored(models).pending_attachments == live.pending_attachments == []


def test_messages_that_both_edited_are_still_a_conflict(models: WebUIModels, live: Any) -> None:
    other = stored(models)
    other.messages[0]["content"], live.messages[0]["content"] = "theirs", "mine"
    other.save()
    live.draft["text"] = "Hello"
    live.save(only=["draft"])
    for only in (["messages"], None):
        with pytest.raises(StaleSessionError, match="Message 0 "):
            live.save(only=only)
    assert stored(models).draft == {"text": "Hello"}


def test_a_refused_session_stays_refused(models: WebUIModels, live: Any) -> None:
    cached = models.get_session("trip")
    other = stored(models)
    other.messages[0]["content"], cached.messages[0]["content"] = "theirs", "mine"
    other.save()
    with pytest.raises(StaleSessionError):
        cached.save()
    cached.save(only=["draft"])
    assert models.get_session("trip") is not cached
    assert not live.is_new


def test_an_interrupted_partial_save_is_not_counted_twice(
    models: WebUIModels, live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    live.input_tokens += 10
    live.title = "Rome"
    with monkeypatch.context() as patch:
        patch.setattr(session, "adopt_fields", interrupt)
        with pytest.raises(KeyboardInterrupt):
            live.save(only=["input_tokens"])
    live.input_tokens += 100
    live.save(only=["input_tokens"])
    assert stored(models).input_tokens == live.input_tokens == 111
    live.save()
    assert (stored(models).input_tokens, stored(models).title) == (111, "Rome")
    assert not live.is_dirty()


def test_a_new_session_is_saved_whole(models: WebUIModels) -> None:
    new = models.Session(session_id="new", title="New", messages=said("a"))
    new.save(only=["draft"])
    assert contents(models, "new") == ["a"]
    assert not new.is_dirty()


def test_nothing_else_is_looked_at(models: WebUIModels, live: Any) -> None:
    live.messages += [{"no": {"JSON"}}]
    live.tool_calls = [object()]
    live.draft["text"] = "Hello"
    assert len(encoded_by(lambda: live.save(only=["draft"]))) < 10
    assert stored(models).draft == {"text": "Hello"}


@pytest.mark.parametrize("only", ["draft", 1, [1], ["x" * 1000], [None]])
def test_what_is_no_key_is_refused(live: Any, only: Any) -> None:
    with pytest.raises(InvalidInputError):
        live.save(only=only)
