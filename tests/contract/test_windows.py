"""Windows, on every backend: the last messages of some roles, with all others between them and after them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_store import InvalidInputError, MessageWindow, SessionNotFoundError, Store
from tests.support.statements import vm_steps

VISIBLE = ("user", "assistant")


def said(roles: str) -> list[Any]:
    """Return a message for each letter: u(ser), a(ssistant), t(ool), or one without a role."""
    names = {"u": "user", "a": "assistant", "t": "tool"}
    return [{"role": names[role], "n": n} if role in names else [n] for n, role in enumerate(roles)]


def expected(messages: list[Any], visible: int, stop: int) -> tuple[int, list[Any]]:
    """Return what a window is, by looking at each message."""
    start, left = stop, visible
    while start > 0 and left > 0:
        start -= 1
        left -= isinstance(messages[start], dict) and messages[start]["role"] in VISIBLE
    return (start if left == 0 else 0), messages[start if left == 0 else 0 : stop]


def as_pair(window: MessageWindow) -> tuple[int, list[Any]]:
    return window.first_position, window.items


@pytest.mark.parametrize("roles", ["", "u", "t", "ttt", "utatat", "uttttattt?u", "??u?a??"])
def test_a_window_has_so_many_visible_messages(store: Store, session_id: str, roles: str) -> None:
    messages = said(roles)
    store.messages.extend(session_id, messages)
    for visible in (1, 2, 3, 30):
        for before in (None, *range(len(messages) + 2)):
            window = store.messages.window(session_id, visible=visible, before=before)
            stop = len(messages) if before is None else min(before, len(messages))
            assert as_pair(window) == expected(messages, visible, stop)
            assert (window.stop_position, window.message_count) == (stop, len(messages))
            assert window.revision == store.sessions.get(session_id).revision


@settings(max_examples=15)
@given(st.text("uat?", max_size=40), st.integers(1, 5))
def test_windows_one_after_another_are_the_transcript(sqlite_store: Store, roles: str, visible: int) -> None:
    session_id = sqlite_store.sessions.create().session_id
    messages = said(roles)
    sqlite_store.messages.extend(session_id, messages)
    read: list[Any] = []
    before: int | None = None
    while before != 0:
        window = sqlite_store.messages.window(session_id, visible=visible, before=before)
        read[:0] = window.items
        assert before is None or window.first_position < before
        before = window.first_position
    assert read == messages


def test_other_roles_can_count(store: Store, session_id: str) -> None:
    store.messages.extend(session_id, said("utatau"))
    assert store.messages.window(session_id, visible=1, roles=["tool"]).first_position == 3
    assert store.messages.window(session_id, visible=1, roles=[]).first_position == 0


@pytest.mark.parametrize(
    "arguments",
    [
        {"visible": 0},
        {"visible": 1001},
        {"visible": "3"},
        {"before": -1},
        {"before": "3"},
        {"before": True},
        {"roles": "user"},
        {"roles": [1]},
        {"roles": None},
    ],
    ids=str,
)
def test_what_cannot_be_a_window_is_refused(store: Store, session_id: str, arguments: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"visible|before|role"):
        store.messages.window(session_id, **arguments)


def test_a_window_of_no_session_is_an_error(store: Store) -> None:
    with pytest.raises(SessionNotFoundError):
        store.messages.window("nowhere")


def test_a_window_costs_no_more_in_long_transcripts(sqlite_store: Store) -> None:
    short, long = (sqlite_store.sessions.create(session_id=name).session_id for name in ("short", "long"))
    sqlite_store.messages.extend(short, said("uttat" * 20))
    sqlite_store.messages.extend(long, said("uttat" * 2000))
    costs = [vm_steps(sqlite_store, lambda name=name: sqlite_store.messages.window(name)) for name in (short, long)]
    assert costs[1] <= 1.1 * costs[0]
