"""What a thread changes in a live session while its save adopts what others wrote."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from hermes_store import StaleSessionError, Store
from tests.support.statements import before_each
from tests.support.threads import in_a_thread
from tests.support.webui.sessions import said


def save_while(store: Store, session: Any, change: Callable[[], object]) -> None:
    """Save a session while another thread changes it, when all is written."""
    done: list[Any] = []

    def once() -> None:
        if not done:
            done.append(in_a_thread(change))

    with before_each(store, "commit", once):
        session.save()
    assert not isinstance(done[0], Exception)


def test_what_is_counted_during_a_save_is_counted(sqlite_store: Store, pair: Any, stored_of: Any) -> None:
    sessions = pair(input_tokens=1)
    sessions.first.input_tokens += 10
    sessions.first.save()
    save_while(sqlite_store, sessions.second, lambda: setattr(sessions.second, "input_tokens", 101))
    assert sessions.second.input_tokens == 111
    sessions.second.save()
    assert stored_of(sessions).input_tokens == 111


def test_values_assigned_during_a_save_are_merged_afterwards(sqlite_store: Store, pair: Any, stored_of: Any) -> None:
    sessions = pair(title="Untitled", last_usage={"in": 1})
    sessions.first.title, sessions.first.last_usage = "Rome", {"in": 2}
    del sessions.first.__dict__["model"]
    sessions.first.save()

    def change() -> None:
        sessions.second.title = "a"  # which a program made
        sessions.second.last_usage["out"] = 3

    save_while(sqlite_store, sessions.second, change)
    assert (sessions.second.title, sessions.second.last_usage) == ("a", {"in": 1, "out": 3})
    sessions.second.save()
    assert (sessions.second.title, stored_of(sessions).title) == ("Rome", "Rome")
    assert stored_of(sessions).last_usage == {"in": 1, "out": 3}
    assert not sessions.second.is_dirty()


def test_tool_calls_added_during_a_save_are_kept(sqlite_store: Store, pair: Any, stored_of: Any) -> None:
    sessions = pair()
    for number, session in enumerate(sessions):
        session.messages += said(f"of {number}")
        session.tool_calls.append({"name": f"of {number}", "assistant_msg_idx": 2})
    sessions.first.save()

    def change() -> None:
        sessions.second.messages += said("late")
        sessions.second.tool_calls.append({"name": "late", "assistant_msg_idx": 3})

    save_while(sqlite_store, sessions.second, change)
    sessions.second.save()
    found = stored_of(sessions)
    assert [message["content"] for message in found.messages[2:]] == ["of 0", "of 1", "late"]
    assert [(call["name"], call["assistant_msg_idx"]) for call in found.tool_calls] == [
        ("of 0", 2),
        ("of 1", 3),
        ("late", 4),
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda session: setattr(session, "messages", session.messages[:1]), ["a", "of 0"]),
        (lambda session: session.messages.__delitem__(1), ["a", "of 0", "of 1"]),
        (lambda session: session.messages.insert(0, {"content": "new"}), ["new", "a", "b", "of 0", "of 1"]),
    ],
)
def test_removals_and_insertions_during_a_save_are_kept(
    sqlite_store: Store, pair: Any, stored_of: Any, change: Any, expected: list[str]
) -> None:
    sessions = pair()
    for number, session in enumerate(sessions):
        session.messages += said(f"of {number}")
    sessions.first.save()
    save_while(sqlite_store, sessions.second, partial(change, sessions.second))
    sessions.second.save()
    for session in (sessions.second, stored_of(sessions)):
        assert [message["content"] for message in session.messages] == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda session: session.messages[1].update(content="mine"),
        lambda session: session.messages.__setitem__(1, {"role": "assistant", "content": "mine"}),
        lambda session: session.messages[1].update(content={1, 2}),
    ],
    ids=["in place", "replaced", "no JSON"],
)
def test_a_conflicting_edit_during_a_save_is_refused(
    sqlite_store: Store, pair: Any, stored_of: Any, change: Any
) -> None:
    sessions = pair()
    sessions.first.messages[1]["content"] = "theirs"
    sessions.first.save()
    sessions.second.messages += said("c")
    save_while(sqlite_store, sessions.second, partial(change, sessions.second))
    if sessions.second.messages[1]["content"] == {1, 2}:
        sessions.second.messages[1]["content"] = "mine"
    assert sessions.second.messages[1]["content"] == "mine"
    with pytest.raises(StaleSessionError, match="Message 1 "):
        sessions.second.save()
    assert [message["content"] for message in stored_of(sessions).messages] == ["a", "theirs", "c"]


def test_a_merge_keeps_the_message_objects_of_threads(pair: Any, stored_of: Any) -> None:
    """A streaming thread goes on with the message that it appended."""
    sessions = pair()
    held = {"role": "assistant", "content": "I"}
    sessions.second.messages.append(held)
    sessions.second.save()
    sessions.first.messages += said("of the first")
    sessions.first.save()
    sessions.second.save()
    held["content"] += " see"
    sessions.second.save()
    assert "I see" in [message["content"] for message in stored_of(sessions).messages]
