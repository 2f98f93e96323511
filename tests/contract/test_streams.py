"""Streams, on every backend: one message that grows, whose last checkpoint is never lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hermes_store import (
    InvalidInputError,
    InvalidPayloadError,
    ProfileView,
    SessionDeletedError,
    SessionNotFoundError,
    StaleSessionError,
    Store,
)
from tests.support.statements import executed


def answer(text: str, **others: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **others}


def partial(text: str) -> dict[str, Any]:
    return answer(text, _partial=True)


def interrupted_stream(store: Store | ProfileView, session_id: str, callback: Callable[[], object]) -> None:
    """Write a checkpoint after somebody did something else."""
    with store.messages.stream(session_id, answer("")) as stream:
        callback()
        stream.checkpoint(answer("so far"))


def test_a_stream_writes_one_message_that_grows(store: Store, session_id: str) -> None:
    store.messages.append(session_id, "question")
    with store.messages.stream(session_id, answer("")) as stream:
        assert store.messages.read(session_id) == ["question", partial("")]
        for text in ("R", "Rome", "Rome."):
            result = stream.checkpoint(answer(text))
            assert result.changed
            assert store.messages.read(session_id) == ["question", partial(text)]
            assert store.sessions.get(session_id).revision == result.revision == stream.revision
    assert store.messages.read(session_id) == ["question", answer("Rome.")]
    assert (stream.position, store.sessions.get(session_id).message_count) == (1, 2)


def test_an_exception_leaves_the_last_checkpoint_marked(store: Store, session_id: str) -> None:
    def stop() -> None:
        with store.messages.stream(session_id, answer("")) as stream:
            stream.checkpoint(answer("so far"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stop()
    assert store.messages.read(session_id) == [partial("so far")]


def test_the_last_message_can_be_another(store: Store, session_id: str) -> None:
    with store.messages.stream(session_id, answer("")) as stream:
        stream.checkpoint(answer("so far"))
        stream.finish(answer("whole", usage={"tokens": 3}))
    assert store.messages.read(session_id) == [answer("whole", usage={"tokens": 3})]


def test_an_equal_checkpoint_writes_nothing(store: Store, session_id: str) -> None:
    with store.messages.stream(session_id, answer("")) as stream:
        first = stream.checkpoint(answer("a"))
        assert stream.checkpoint(answer("a")) == first.model_copy(update={"changed": False})


def test_others_may_write_the_rest_meanwhile(store: Store, session_id: str) -> None:
    store.messages.append(session_id, "question")
    with store.messages.stream(session_id, answer("")) as stream:
        store.messages.append(session_id, "meanwhile")
        store.sessions.update(session_id, title="Renamed", pinned=True)
        store.messages.update(session_id, 0, "asked anew", expected_revision=stream.revision)
        store.documents.put(session_id, {"draft": "x" * 3000})
        store.sessions.change_id(session_id, "elsewhere")
        stream.checkpoint(answer("so far"))
    assert store.messages.read("elsewhere") == ["asked anew", answer("so far"), "meanwhile"]


@pytest.mark.parametrize("change", ["edited", "removed", "moved"])
def test_a_message_that_others_changed_is_not_overwritten(store: Store, session_id: str, change: str) -> None:
    def interfere() -> None:
        revision = store.sessions.get(session_id).revision
        if change == "edited":
            store.messages.update(session_id, 0, "edited", expected_revision=revision)
        elif change == "removed":
            store.messages.truncate(session_id, keep=0, expected_revision=revision)
        else:
            store.messages.replace(session_id, ["before", partial("")], expected_revision=revision)

    with pytest.raises(StaleSessionError, match="others changed"):
        interrupted_stream(store, session_id, interfere)
    left = {"edited": ["edited"], "removed": [], "moved": ["before", partial("")]}
    assert store.messages.read(session_id) == left[change]


def test_a_session_that_is_gone_refuses_checkpoints(store: Store, session_id: str) -> None:
    with pytest.raises(SessionDeletedError):
        interrupted_stream(store, session_id, lambda: store.sessions.delete(session_id))
    with pytest.raises(SessionDeletedError), store.messages.stream(session_id, answer("")):
        pass
    store.sessions.restore(session_id)
    with pytest.raises(SessionNotFoundError):
        interrupted_stream(store, session_id, lambda: store.sessions.purge(session_id))


def test_a_view_streams_into_its_profile_only(store: Store, session_id: str) -> None:
    view = store.profile("work")
    with pytest.raises(SessionNotFoundError), view.messages.stream(session_id, answer("")):
        pass
    assert store.messages.read(session_id) == []
    mine = view.sessions.create().session_id
    with pytest.raises(SessionNotFoundError):
        interrupted_stream(view, mine, lambda: store.sessions.update(mine, profile="other"))
    assert store.messages.read(mine) == [partial("")]


def test_a_transaction_may_hold_a_stream(store: Store, session_id: str) -> None:
    with store.transaction() as tx, tx.messages.stream(session_id, answer("")) as stream:
        stream.checkpoint(answer("so far"))
    assert store.messages.read(session_id) == [answer("so far")]


def test_times_follow_the_message(store: Store, session_id: str) -> None:
    store.messages.append(session_id, {"timestamp": 1000.0})
    with store.messages.stream(session_id, answer("", timestamp=2000.0)) as stream:
        assert store.sessions.get(session_id).last_message_at == 2000.0
        stream.checkpoint(answer("a", timestamp=3000.0))
        assert store.sessions.get(session_id).last_message_at == 3000.0
        stream.checkpoint(answer("b"))
        assert store.sessions.get(session_id).last_message_at == 1000.0


@pytest.mark.parametrize("message", [None, "text", [], 3, {1: 2}, {"a": {1}}], ids=str)
def test_what_cannot_be_streamed_is_refused(store: Store, session_id: str, message: Any) -> None:
    with pytest.raises((InvalidInputError, InvalidPayloadError)), store.messages.stream(session_id, message):
        pass
    assert store.messages.read(session_id) == []
    with (
        pytest.raises((InvalidInputError, InvalidPayloadError)),
        store.messages.stream(session_id, answer("")) as stream,
    ):
        stream.checkpoint(message)
    assert store.messages.read(session_id) == [partial("")]


def test_a_stream_is_one_block(store: Store, session_id: str) -> None:
    stream = store.messages.stream(session_id, answer(""))
    with pytest.raises(InvalidInputError, match="inside its"):
        stream.checkpoint(answer("early"))
    with stream:
        pass
    with pytest.raises(InvalidInputError, match="one `with` block"), stream:
        pass
    assert store.messages.read(session_id) == [answer("")]


def test_checkpoints_execute_few_more_statements_than_appends(store: Store, session_id: str) -> None:
    store.messages.extend(session_id, ["a", "b"])
    with store.messages.stream(session_id, answer("")) as stream:
        of_checkpoint = executed(store, lambda: stream.checkpoint(answer("so far")))
        of_append = executed(store, lambda: store.messages.append(session_id, answer("so far")))
    # SQLite: the words that it had are taken out of the index. PostgreSQL: an append is one statement for four tables.
    assert len(of_checkpoint) <= len(of_append) + (1 if store.info().dialect == "sqlite" else 3)
