"""`messages.changes`: what was written to a transcript since a revision."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hermes_store import InvalidInputError, SessionDeletedError, SessionNotFoundError, StaleSessionError, Store


def test_changes_have_what_was_written(store: Store, session_id: str) -> None:
    store.messages.extend(session_id, ["a", "b", "c"])
    since = store.messages.read(session_id).revision
    assert store.messages.changes(session_id, since=since).items == []
    store.messages.update(session_id, 1, "B", expected_revision=since)
    store.messages.append(session_id, "d")
    store.sessions.update(session_id, title="other")
    changes = store.messages.changes(session_id, since=since)
    assert [(one.position, one.message) for one in changes.items] == [(1, "B"), (3, "d")]
    assert (changes.message_count, changes.revision) == (4, store.sessions.get(session_id).revision)
    store.messages.truncate(session_id, keep=1, expected_revision=changes.revision)
    cut = store.messages.changes(session_id, since=changes.revision)
    assert (cut.items, cut.message_count) == ([], 1)
    assert len(store.messages.changes(session_id, since=0).items) == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_follower_has_the_same_messages(store: Store, session_id: str, seed: int) -> None:
    chance = random.Random(seed)
    followed: list[Any] = []
    since = 0
    for number in range(40):
        now = store.messages.read(session_id)
        revision = store.sessions.get(session_id).revision
        match chance.choice(["append", "update", "truncate", "replace", "undo", "title"]):
            case "append":
                store.messages.extend(session_id, [f"{number}", {"n": number}])
            case "update" if now:
                store.messages.update(session_id, chance.randrange(len(now)), number, expected_revision=revision)
            case "truncate" if now:
                store.messages.truncate(session_id, keep=chance.randrange(len(now)), expected_revision=revision)
            case "replace":
                kept = [one for one in now if chance.random() < 0.8]
                kept.insert(chance.randint(0, len(kept)), f"new {number}")
                store.messages.replace(session_id, kept, expected_revision=revision)
            case "undo" if store.messages.history(session_id) and chance.random() < 0.5:
                try:
                    store.messages.undo(session_id)
                except Exception as error:
                    assert type(error).__name__ == "UndoError"  # noqa: PT017
            case _:
                store.sessions.update(session_id, title=f"{number}")
        if chance.random() < 0.6:
            changes = store.messages.changes(session_id, since=since)
            del followed[changes.message_count :]
            for one in changes.items:
                followed[one.position : one.position + 1] = [one.message]
            since = changes.revision
            assert followed == list(store.messages.read(session_id))


def test_changes_since_no_revision_are_refused(store: Store, session_id: str) -> None:
    with pytest.raises(StaleSessionError, match="never was"):
        store.messages.changes(session_id, since=99)
    for wrong in ("1", None):
        with pytest.raises(InvalidInputError):
            store.messages.changes(session_id, since=wrong)  # type: ignore[arg-type]
    with pytest.raises(SessionNotFoundError):
        store.profile("work").messages.changes(session_id, since=0)
    store.sessions.delete(session_id)
    with pytest.raises(SessionDeletedError):
        store.messages.changes(session_id, since=0)
