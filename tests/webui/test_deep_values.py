"""Values nested thousands of levels deep, and keys that Python looks for itself, in a session or a project."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from hermes_store import InvalidPayloadError, Store
from hermes_store.transcripts import json_codec
from hermes_store.transcripts.copying import deep_copy, is_deeper
from hermes_store.webui import WebUIModels
from tests.support.hostile_values import deep_dict, deep_list

#: More than Python's own limit; and more than the 10,000 calls that newer ones allow their C code.
DEPTHS = [2_000, 10_500]


def same(one: Any, other: Any) -> bool:
    return json_codec.encode(one) == json_codec.encode(other)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "depth"),
    [
        *((key, DEPTHS[0]) for key in ("title", "model", "project_id", "parent_session_id", "pinned")),
        *((key, DEPTHS[1]) for key in ("x", "compression_anchor_message_key")),
    ],
)
def test_one_deep_value_breaks_no_list(models: WebUIModels, key: str, depth: int) -> None:
    models.Session(session_id="plain", title="plain", messages=[1]).save()
    deep = models.Session(session_id="deep", title="deep", messages=[1])
    setattr(deep, key, deep_list(depth))
    deep.save()
    rows = models.all_sessions()
    assert {row["session_id"] for row in rows} == {"plain", "deep"}
    json.dumps(rows)
    loaded = models.Session.load("deep")
    assert loaded is not None
    assert same(getattr(loaded, key), deep_list(depth))
    loaded.title = "again"
    loaded.save()
    json.dumps(models.all_sessions())


@pytest.mark.slow
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_session_with_deep_values_can_be_copied(models: WebUIModels, depth: int) -> None:
    models.Session(session_id="deep", title="t", messages=[deep_dict(depth)], tool_calls=[deep_list(depth)]).save()
    live = models.get_session("deep")
    assert live.messages
    made = copy.deepcopy(live)
    assert made.messages is not live.messages
    assert same(made.messages, live.messages)
    made.messages.append("more")
    made.save()
    assert len(live.messages) == 1


@pytest.mark.slow
@pytest.mark.parametrize("depth", DEPTHS)
def test_a_project_may_hold_deep_values(models: WebUIModels, depth: int) -> None:
    models.save_projects([{"project_id": "p", "name": "P", "odd": deep_dict(depth)}])
    (project,) = models.load_projects()
    project["name"] = "Q"
    models.save_projects([project])
    assert same(models.load_projects()[0]["odd"], deep_dict(depth))


@pytest.mark.parametrize("key", ["__deepcopy__", "__class__", "__reduce_ex__", "__getstate__", "__dict__", "__slots__"])
def test_keys_with_special_python_names_are_kept(models: WebUIModels, sqlite_store: Store, key: str) -> None:
    models.Session(session_id="odd", title="t", messages=[1]).save()
    sqlite_store.documents.put("odd", {key: {"kept": True}})
    live = models.get_session("odd")
    live.title = "other"
    made = copy.deepcopy(live)
    made.save()
    assert isinstance(made, models.Session)
    assert sqlite_store.documents.read("odd", key) == {key: {"kept": True}}
    assert [row["title"] for row in models.all_sessions()] == ["other"]


def test_copies_share_nothing_and_keep_circles() -> None:
    shared: list[Any] = [1]
    value = {"a": shared, "b": shared, "c": (shared, {2})}
    made = deep_copy(value)
    assert made == value
    assert made["a"] is made["b"] is not shared
    assert list(made) == list(value)
    shared.append(shared)
    circle = deep_copy(shared)
    assert circle[1] is circle is not shared
    assert is_deeper(shared, 100)
    assert not is_deeper(deep_list(100), 100)
    assert is_deeper(deep_list(101), 100)


def test_keys_that_become_the_same_text_are_refused(sqlite_store: Store) -> None:
    session_id = sqlite_store.sessions.create().session_id
    both = {"\ud83d\ude00": 1, "😀": 2}
    with pytest.raises(InvalidPayloadError, match="same text") as refused:
        sqlite_store.messages.append(session_id, {"a": [0, both]})
    assert refused.value.place == "message.a[1]"
    sqlite_store.messages.append(session_id, [{"\ud83d\ude00": 1}, {"😀": 2}])
    assert sqlite_store.messages.read(session_id) == [[{"😀": 1}, {"😀": 2}]]
