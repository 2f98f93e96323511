"""`SessionStorage.rows` on every backend: any keys of all sessions, by two queries."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_store import InvalidInputError, Store
from hermes_store.webui import SessionStorage
from hermes_store.webui_format.key_order import in_order
from hermes_store.webui_format.session_json import COUNTS, SESSION_KEYS
from tests.support.statements import executed
from tests.support.webui.sessions import said

#: Half of a character.
LONE = "\ud83d"
#: Values that a session has in the row, in the small documents, in a document of its own.
VALUES: dict[str, Any] = {
    "title": "Trip",
    "pinned": True,
    "composer_draft": {"text": "t"},
    "context_messages": ["x" * 3000],
    "workspace": None,
}


@pytest.fixture
def storage(store: Store) -> SessionStorage:
    storage = SessionStorage(store)
    for number, name in enumerate(("old", "middle", "new")):
        storage.save(name, {"title": name, "updated_at": 1000.0 + number}, base=None, touch=False)
    return storage


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["session_id"] for row in rows]


def test_the_last_changed_is_first(storage: SessionStorage) -> None:
    assert ids(storage.rows(["session_id"])) == ["new", "middle", "old"]
    assert ids(storage.rows(["session_id"], order="updated")) == ["new", "middle", "old"]
    _, token = storage.load_metadata("old")
    storage.save("old", {"pinned": True}, base=token, only={"pinned"})
    assert ids(storage.rows(["session_id"]))[0] == "old"


def test_the_last_active_is_first(storage: SessionStorage) -> None:
    _, token = storage.load_metadata("old")
    token, _ = storage.append("old", [{"role": "user", "timestamp": 2000.0}], base=token)
    storage.append("old", [{"role": "tool", "timestamp": 3000.0}], base=token)
    values, token = storage.load("middle")
    storage.save("middle", values, [{"role": "assistant", "timestamp": 1500.0}], base=token)
    rows = storage.rows(["session_id", "last_activity_at"], order="activity")
    assert {row["session_id"]: row["last_activity_at"] for row in rows} == {
        "old": 2000.0,
        "middle": 1500.0,
        "new": None,
    }
    assert ids(rows) == ["old", "middle", "new"]


def test_a_row_has_what_a_loaded_session_has(storage: SessionStorage) -> None:
    storage.save("s", {**VALUES, "source_tag": "cli", "project_id": "nowhere"}, said("a", "b"), base=None)
    loaded, token = storage.load("s")
    keys = [key for key in [*loaded, "x_unknown", *COUNTS, "revision"] if key != "messages"]
    (row,) = storage.rows(keys, where={"session_id": "s"})
    del loaded["messages"]
    counts = {"message_count": 2, "user_message_count": 1}
    assert row == {**loaded, "x_unknown": None, **counts, "revision": token.revision}
    assert list(row) == keys


@pytest.mark.parametrize(
    "values",
    [
        {"title": {"odd": 1}, "estimated_cost": float("inf"), "pinned": "yes"},
        {"title": LONE, "model": "\0", "personality": "\x10"},
        {"raw_source": "telegram", "source_tag": None},
        {"source_tag": "cli"},
        {"parent_session_id": None, "project_id": ""},
        {"tool_calls": [1], "pending_attachments": ["a"], "message_count": 7, "user_message_count": "many"},
        {"compression_anchor_message_key": {"role": "user"}, "created_at": None},
    ],
)
def test_odd_values_are_those_of_a_loaded_session(storage: SessionStorage, values: dict[str, Any]) -> None:
    storage.save("s", values, base=None)
    loaded, _ = storage.load("s")
    wanted = [key for key in loaded if key != "messages"]
    (row,) = storage.rows(wanted, where={"session_id": "s"})
    assert row == {key: loaded[key] for key in wanted}


def test_every_known_key_can_be_asked(storage: SessionStorage) -> None:
    keys = [key for key in in_order(dict.fromkeys(SESSION_KEYS)) if key != "messages"]
    for row in storage.rows(keys):
        assert row["tool_calls"] == []
        row["tool_calls"].append(1)  # each row has lists of its own
        assert list(row) == keys


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ({"title": "old"}, ["old"]),
        ({"title": ["old", "new"]}, ["new", "old"]),
        ({"title": {"odd": 1}}, ["odd"]),
        ({"title": [{"odd": 1}, "old"]}, ["old", "odd"]),
        ({"title": [["odd"], {"odd": 1}, None, 1]}, ["odd"]),
        ({"pinned": True}, ["odd"]),
        ({"pinned": 1}, ["odd"]),
        ({"pinned": [True, False]}, ["new", "middle", "old", "odd"]),
        ({"parent_session_id": "old"}, ["odd"]),
        ({"parent_session_id": None}, ["new", "middle", "old"]),
        ({"project_id": "nowhere"}, ["odd"]),
        ({"project_id": ["nowhere", None]}, ["new", "middle", "old", "odd"]),
        ({"worktree_path": "/srv"}, ["odd"]),
        ({"worktree_path": None, "title": ["new", "odd"]}, ["new"]),
        ({"updated_at": 1001.0}, ["middle"]),
        ({"session_id": []}, []),
        ({"x_unknown": 1}, []),
        ({"message_count": 0, "pinned": False}, ["new", "middle", "old"]),
    ],
)
def test_conditions_name_values_of_any_key(storage: SessionStorage, where: dict[str, Any], found: list[str]) -> None:
    odd = {"title": {"odd": 1}, "pinned": True, "parent_session_id": "old", "project_id": "nowhere"}
    storage.save("odd", {**odd, "worktree_path": "/srv", "updated_at": 1.0}, ["x"], base=None, touch=False)
    assert ids(storage.rows(["session_id"], where=where)) == found
    assert storage.rows([], where=where) == [{}] * len(found)


def test_profiles_are_walls(storage: SessionStorage) -> None:
    for name, profile in (("a", "work"), ("b", "home")):
        storage.save(name, {"profile": profile}, base=None)
    assert ids(storage.rows(["session_id"], profile="work")) == ["a"]
    assert ids(storage.rows(["session_id"], profile=("work", "home"), where={"title": "Untitled"})) == ["b", "a"]
    assert storage.rows(["session_id"], profile=[]) == []


def test_deleted_sessions_are_in_no_row(storage: SessionStorage) -> None:
    storage.delete("middle")
    storage.discard("old")
    assert ids(storage.rows(["session_id"])) == ["new"]


def test_rows_take_two_queries_at_most(storage: SessionStorage, store: Store) -> None:
    def statements(*keys: str, **arguments: Any) -> int:
        return len(executed(store, lambda: storage.rows(keys, **arguments)))

    before = statements("session_id", "title", *VALUES, "source_tag")
    for number in range(40):
        storage.save(f"more{number}", {**VALUES, "parent_session_id": "old"}, base=None)
    assert statements("session_id", "title", *VALUES, "source_tag") == before == 2
    assert statements("session_id", where={"worktree_path": None}, profile=["default"]) == 2
    assert statements("session_id", *COUNTS, "last_message_at", "revision", "updated_at") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"keys": "title"},
        {"keys": ["messages"]},
        {"keys": [1]},
        {"keys": ["title"], "where": ["title"]},
        {"keys": ["title"], "where": {"messages": 1}},
        {"keys": ["title"], "where": {"title": b"Trip"}},
        {"keys": ["title"], "order": "title"},
        {"keys": ["title"], "order": None},
        {"keys": ["title"], "profile": [1]},
    ],
)
def test_wrong_arguments_are_refused(storage: SessionStorage, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        storage.rows(**arguments)
