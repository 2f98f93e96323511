"""How many messages of a session are the user's: a column that every write of messages keeps, on every backend."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_store import InvalidInputError, Store
from hermes_store.maintenance import verify
from hermes_store.webui import SessionStorage
from tests.support.internals import writing
from tests.support.message_columns import users, wrong_columns
from tests.support.statements import executed

USER = {"role": "user", "content": "hi"}
OTHER = {"role": "assistant", "content": "ho"}
#: None of them has the role "user", whatever it looks like.
NO_USERS: list[Any] = [
    *({"role": "User"}, {"role": "user "}, {"role": ["user"]}, {"role": "user" * 20}, {"role": None}, {}),
    *("user", ["user"], None, 1, {"content": USER}, {"role": "\ud83d"}),
]


def counted(store: Store, session_id: str) -> int:
    """Return the count of a session, which is that of its messages wherever it is shown."""
    record = store.sessions.get(session_id)
    assert record.user_message_count == users(store.messages.read(session_id))
    assert record in store.sessions.list(include_empty=True).items
    (row,) = SessionStorage(store).rows(["user_message_count"], where={"session_id": session_id})
    assert row == {"user_message_count": record.user_message_count}
    return record.user_message_count


def now(store: Store, session_id: str) -> int:
    return store.sessions.get(session_id).revision


def test_only_the_role_user_counts(store: Store, session_id: str) -> None:
    store.messages.extend(session_id, [USER, *NO_USERS, USER])
    assert counted(store, session_id) == 2
    made = store.sessions.create_from_json({"session_id": "made", "messages": [USER, *NO_USERS]})
    assert (made.user_message_count, counted(store, "made")) == (1, 1)


def test_the_count_follows_every_write_of_messages(store: Store, session_id: str) -> None:
    messages = store.messages
    assert counted(store, session_id) == 0
    messages.append(session_id, USER)
    messages.append(session_id, OTHER)
    messages.extend(session_id, [USER, OTHER, USER])
    assert counted(store, session_id) == 3
    messages.update(session_id, 0, {**USER, "content": "hello"}, expected_revision=now(store, session_id))
    assert counted(store, session_id) == 3
    messages.update(session_id, 0, OTHER, expected_revision=now(store, session_id))
    assert counted(store, session_id) == 2
    messages.update(session_id, 1, USER, expected_revision=now(store, session_id))
    assert counted(store, session_id) == 3
    messages.truncate(session_id, keep=3, expected_revision=now(store, session_id))
    assert counted(store, session_id) == 2
    messages.undo(session_id)
    assert counted(store, session_id) == 3
    messages.undo(session_id)
    assert counted(store, session_id) == 2
    messages.replace(session_id, [USER, *messages.read(session_id)], expected_revision=now(store, session_id))
    assert counted(store, session_id) == 3
    messages.clear(session_id, expected_revision=now(store, session_id))
    assert counted(store, session_id) == 0
    messages.undo(session_id)
    assert (counted(store, session_id), verify(store).ok) == (3, True)


def test_checkpoints_of_a_stream_count_their_role(store: Store, session_id: str) -> None:
    with store.messages.stream(session_id, OTHER) as stream:
        assert counted(store, session_id) == 0
        stream.checkpoint(USER)
        assert counted(store, session_id) == 1
        stream.checkpoint({**USER, "content": "hello"})
        assert counted(store, session_id) == 1
        stream.checkpoint({**OTHER, "content": "hello"})
        assert counted(store, session_id) == 0
    with store.messages.stream(session_id, USER) as stream:
        store.messages.append(session_id, USER)
    assert counted(store, session_id) == 2


def test_copies_count_the_messages_that_they_have(store: Store, session_id: str) -> None:
    store.messages.extend(session_id, [USER, OTHER, USER, USER])
    at_first = now(store, session_id)
    store.messages.truncate(session_id, keep=1, expected_revision=at_first)
    forks = [store.sessions.fork(session_id), store.sessions.fork(session_id, at=0)]
    forks += [store.sessions.fork(session_id, revision=at_first, at=count) for count in (3, 4)]
    assert [counted(store, one.session_id) for one in forks] == [1, 0, 2, 3]
    assert [one.user_message_count for one in forks] == [1, 0, 2, 3]
    assert counted(store, store.sessions.duplicate(session_id).session_id) == 1
    SessionStorage(store).copy_as(session_id, "copy")
    assert counted(store, "copy") == 1


def test_saves_count_what_they_leave(store: Store) -> None:
    storage = SessionStorage(store)
    token, _ = storage.save("s", {"title": "Trip"}, [USER, OTHER], base=None)
    assert counted(store, "s") == 1
    token, _ = storage.append("s", [USER, OTHER], base=token)
    assert counted(store, "s") == 2
    values, token = storage.load("s")
    messages = values.pop("messages")
    for edited in (
        [*messages, USER],
        [OTHER, *messages],
        [{**USER, "content": "edited"}, *messages[1:], OTHER],
        [USER],
        [OTHER, USER, USER],
        [],
    ):
        token, _ = storage.save("s", values, edited, base=token)
        assert counted(store, "s") == users(edited)


def test_saves_of_two_versions_count_both(store: Store) -> None:
    storage = SessionStorage(store)
    storage.save("s", {}, [USER, OTHER], base=None)
    (values, one), (_, other) = storage.load("s"), storage.load("s")
    storage.save("s", values, [*values["messages"], USER], base=one)
    storage.save("s", values, [{**USER, "content": "edited"}, OTHER, OTHER, USER], base=other)
    assert (counted(store, "s"), wrong_columns(store)) == (3, [])


def test_other_writes_leave_the_count(store: Store, session_id: str) -> None:
    store.messages.extend(session_id, [USER, OTHER])
    store.sessions.update(session_id, title="Rome")
    store.documents.put(session_id, {"draft": 1})
    store.sessions.delete(session_id)
    assert store.sessions.list_deleted().items[0].user_message_count == 1
    store.sessions.restore(session_id)
    store.sessions.change_id(session_id, "renamed")
    assert counted(store, "renamed") == 1
    with pytest.raises(InvalidInputError, match="user_message_count"):
        store.sessions.update("renamed", user_message_count=5)  # type: ignore[call-arg]


def test_a_value_of_the_counts_name_is_counted(store: Store) -> None:
    storage = SessionStorage(store)
    storage.save("s", {"user_message_count": 9}, [USER, OTHER], base=None)
    _, token = storage.load("s")
    storage.append("s", [USER], base=token)
    assert (counted(store, "s"), storage.load("s")[0]["user_message_count"]) == (2, 2)
    assert store.sessions.as_json("s")["user_message_count"] == 2
    assert "user_message_count" not in store.sessions.as_json(store.sessions.create().session_id)
    rows = storage.rows(["session_id"], where={"user_message_count": 2})
    assert rows == [{"session_id": "s"}]


def test_a_lost_message_is_counted_when_rewritten(sqlite_store: Store) -> None:
    store = sqlite_store
    store.sessions.create(session_id="s")
    store.messages.extend("s", [USER, OTHER, USER])
    with writing(store) as connection:
        connection.exec_driver_sql("DELETE FROM messages WHERE position = 2")
    for message, count in ((OTHER, 1), (USER, 2)):
        store.messages.update("s", 2, message, expected_revision=now(store, "s"))
        assert counted(store, "s") == count


def test_an_append_reads_no_message_to_count(store: Store, session_id: str) -> None:
    store.messages.extend(session_id, [USER] * 3)
    for write in (lambda: store.messages.append(session_id, USER), lambda: store.messages.extend(session_id, [USER])):
        assert not any(text.startswith("SELECT") and "FROM messages" in text for text, _ in executed(store, write))
