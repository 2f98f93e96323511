"""`SessionStorage.contents`: the messages of many sessions by few statements."""

from __future__ import annotations

import logging
import sqlite3
from typing import Any

import pytest

from hermes_store import InvalidIdError, InvalidInputError, Store
from hermes_store.webui import SessionStorage
from tests.support.internals import path_of
from tests.support.statements import executed
from tests.support.webui.sessions import said


@pytest.fixture
def storage(sqlite_store: Store) -> SessionStorage:
    storage = SessionStorage(sqlite_store)
    for name, count in (("a", 3), ("b", 0), ("c", 2), ("gone", 1)):
        storage.save(name, {}, [{"content": f"{name}{number}", "odd": "\ud83d"} for number in range(count)], base=None)
    storage.delete("gone")
    return storage


def texts(found: Any) -> list[tuple[str, list[str]]]:
    return [(session_id, [message["content"] for message in messages]) for session_id, messages in found]


def test_sessions_come_in_the_order_of_their_ids(storage: SessionStorage) -> None:
    found = storage.contents(["c", "nobody", "b", "gone", "a", "c"])
    assert texts(found) == [("c", ["c0", "c1"]), ("b", []), ("a", ["a0", "a1", "a2"])]
    assert dict(storage.contents(["a"]))["a"] == storage.load("a")[0]["messages"]


def test_the_first_messages_of_each(storage: SessionStorage) -> None:
    assert texts(storage.contents(["a", "c"], first=1)) == [("a", ["a0"]), ("c", ["c0"])]
    assert texts(storage.contents(["a", "c"], first=10**18)) == texts(storage.contents(["a", "c"]))


def test_many_sessions_are_few_statements(sqlite_store: Store) -> None:
    storage = SessionStorage(sqlite_store)
    ids = [f"s{number}" for number in range(300)]
    for session_id in ids:
        storage.save(session_id, {}, said(*"abcdefghij"), base=None)
    assert len(executed(sqlite_store, lambda: list(storage.contents(ids)))) == 1 + 2
    assert len(executed(sqlite_store, lambda: list(storage.contents(ids, first=5)))) == 1 + 1
    assert len(list(storage.contents(ids))) == 300


def test_others_may_write_between_two_sessions(storage: SessionStorage, sqlite_store: Store) -> None:
    for number in range(3):
        storage.save(f"long{number}", {}, said(*"x" * 1500), base=None)
    found = storage.contents([f"long{number}" for number in range(3)])
    assert next(found)[0] == "long0"
    storage.discard("long2")
    sqlite_store.messages.append("long1", {"content": "new"})
    assert [(session_id, len(messages)) for session_id, messages in found] == [("long1", 1501), ("long2", 0)]


def test_a_damaged_message_is_left_out_and_logged(
    storage: SessionStorage, sqlite_store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    sqlite_store.close()
    connection = sqlite3.connect(path_of(sqlite_store))
    connection.execute("UPDATE message_blobs SET payload = x'7b' WHERE message_id = (SELECT min(id) FROM messages)")
    connection.commit()
    connection.close()
    with Store.open(path_of(sqlite_store)) as store, caplog.at_level(logging.WARNING):
        assert texts(SessionStorage(store).contents(["a", "c"])) == [("a", ["a1", "a2"]), ("c", ["c0", "c1"])]
    assert "Message 0 of session 'a'" in caplog.text


def test_sessions_without_the_text_are_left_out(storage: SessionStorage) -> None:
    storage.save("d", {}, [{"content": [{"text": "One"}, {"text": "Two"}]}, {"content": "A1"}], base=None)
    storage.save("e", {}, [{"content": "none of them"}], base=None)
    found = dict(storage.contents(["d", "e", "nobody"], text="one two"))
    assert found == {"d": storage.load("d")[0]["messages"]}
    assert list(storage.contents(["d", "e"], first=1, text="a1")) == []
    assert len(dict(storage.contents(["a", "d", "e"], text=" "))) == 3


@pytest.mark.parametrize("text", [1, b"a", ["a"]])
def test_the_text_is_a_text(storage: SessionStorage, text: object) -> None:
    with pytest.raises(InvalidInputError):
        storage.contents(["a"], text=text)  # type: ignore[arg-type]


@pytest.mark.parametrize("first", [0, -1, 1.5, "1", True, 2**70])
def test_first_is_a_number_of_messages(storage: SessionStorage, first: Any) -> None:
    with pytest.raises(InvalidInputError):
        storage.contents(["a"], first=first)


def test_ids_are_checked_at_once(storage: SessionStorage) -> None:
    with pytest.raises(InvalidIdError):
        storage.contents(["../a"])


def test_a_search_finds_each_session_once(sqlite_store: Store) -> None:
    storage = SessionStorage(sqlite_store)
    for name, title in {"x": "Needle", "y": "Other", "z": "Hay"}.items():
        storage.save(name, {"title": title}, [{"role": "user", "content": "needle needles"}] * 3, base=None)
    storage.save("w", {"title": "None", "profile": "work"}, [{"role": "user", "content": "a needle"}], base=None)
    sqlite_store.sessions.delete("z")
    found = storage.search("need*", limit=10)
    assert [(hit["session_id"], hit["match_type"]) for hit in found[:1]] == [("x", "title")]
    assert sorted(hit["session_id"] for hit in found) == ["w", "x", "y"]
    assert [hit["session_id"] for hit in storage.search("needle", profile="work")] == ["w"]
    assert len(storage.search("needle", limit=1)) == 1
    assert storage.search("") == []
