"""What a save makes of a live session: what was assigned, changed deep inside, removed; and what it refuses."""

from __future__ import annotations

import copy
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import InvalidIdError, InvalidPayloadError, SessionExistsError, Store, errors
from hermes_store.maintenance import reindex
from hermes_store.webui import WebUIModels
from tests.support.internals import store_of
from tests.support.message_columns import wrong_columns
from tests.support.statements import rows_written, vm_steps
from tests.support.tables import all_rows
from tests.support.webui.sessions import said, stored
from tests.support.webui.standin import WebUI


def again(models: WebUIModels, session: Any) -> Any:
    """Return the session as it is stored."""
    found = models.Session.load(session.session_id)
    assert found is not None
    return found


CHANGES: dict[str, Any] = {
    "title": "Rome",
    "workspace": "~/not/resolved",
    "model": None,
    "pinned": True,
    "created_at": 7.5,
    "input_tokens": 5,
    "estimated_cost": 0.25,
    "personality": "",
    "active_stream_id": "s",
    "tool_calls": [{"a": 1}],
    "pending_user_message": "hi",
    "pending_attachments": [{}],
    "compression_anchor_message_key": {"role": "user"},
    "messages": said("other", "messages"),
    "brand_new": {"x": [1]},
}


def test_whatever_is_assigned_is_stored(models: WebUIModels) -> None:
    session = again(models, models.get_session(stored(models, "abc", "hello")))
    for name, value in CHANGES.items():
        setattr(session, name, value)
    session.save()
    found = again(models, session)
    assert {name: getattr(found, name) for name in CHANGES} == CHANGES


@pytest.mark.parametrize("key", ["messages", "tool_calls", "composer_draft"])
def test_each_change_in_place_is_stored(models: WebUIModels, key: str) -> None:
    record: dict[str, Any] = {"role": "user", "content": "0", "parts": [{"n": 0}]}
    session = again(models, models.get_session(stored(models, "abc", "hello", **{key: [record]})))
    live = getattr(session, key)[-1]
    for number in range(1, 5):
        session.save()  # from the second on, the very same objects are known
        live["parts"][0]["n"] = number
        session.save()
        assert getattr(again(models, session), key)[-1]["parts"] == [{"n": number}]


def test_a_save_stores_the_time_of_last_activity(models: WebUIModels) -> None:
    session = models.get_session(stored(models, "abc", "hello"))

    def saved() -> float | None:
        session.save()
        return store_of(models).sessions.get("abc").last_activity_at

    session.messages += [{"role": "user", "timestamp": 5.0}, {"role": "tool", "timestamp": 9.0}]
    assert saved() == 5.0
    session.messages.append({"role": "assistant", "_ts": 7.0})
    assert saved() == 7.0
    session.title = "Rome"
    assert saved() == 7.0
    session.messages.pop()
    assert saved() == 5.0
    session.messages[1]["role"] = "tool"
    assert saved() is None
    assert wrong_columns(store_of(models)) == []


def test_what_is_changed_deep_inside_is_stored(models: WebUIModels) -> None:
    session = models.Session(
        messages=[{"role": "user", "content": [{"type": "text", "text": "a"}]}],
        tool_calls=[{"args": {"list": [1, {"deep": 1}]}}],
        last_usage={"totals": {"in": 1}},
        compression_anchor_message_key={"at": [1]},
    )
    session.save()
    session.messages[0]["content"][0]["text"] = "b"
    session.tool_calls[0]["args"]["list"][1]["deep"] = 2
    session.last_usage["totals"]["in"] = 2
    session.compression_anchor_message_key["at"].append(2)
    assert session.is_dirty()
    session.save()
    found = again(models, session)
    assert found.messages == [{"role": "user", "content": [{"type": "text", "text": "b"}]}]
    assert found.tool_calls == [{"args": {"list": [1, {"deep": 2}]}}]
    assert found.last_usage == {"totals": {"in": 2}}
    assert found.compression_anchor_message_key == {"at": [1, 2]}


def test_a_deleted_attribute_leaves_the_store(models: WebUIModels) -> None:
    session = models.Session(title="Trip", messages=said("a"), tool_calls=[1], last_usage={"in": 1}, model="m")
    session.save()
    for name in ("title", "tool_calls", "last_usage", "model"):
        delattr(session, name)
    session.save()
    found = again(models, session)
    assert (found.title, found.tool_calls, found.model, found.messages) == ("Untitled", [], None, said("a"))
    assert not hasattr(found, "last_usage")
    with pytest.raises(AttributeError):
        del session.last_usage


def test_deleting_time_attributes_keeps_the_stored_times(models: WebUIModels) -> None:
    session = models.Session(created_at=5.0, updated_at=6.0)
    session.save(touch_updated_at=False)
    del session.updated_at, session.created_at
    session.title = "Trip"
    session.save(touch_updated_at=False)
    found = again(models, session)
    assert (found.title, found.created_at, found.updated_at) == ("Trip", 5.0, 6.0)


def test_a_save_without_touching_keeps_time_and_revision(models: WebUIModels, webui: WebUI) -> None:
    session = models.Session(updated_at=5.0, messages=said("a"))
    session.save(touch_updated_at=False)
    rows = all_rows(webui.store)
    session.save(touch_updated_at=False)
    again(models, session).save(touch_updated_at=False, skip_index=True)
    assert all_rows(webui.store) == rows
    session.title = "Rome"
    session.save(touch_updated_at=False)
    assert session.updated_at == again(models, session).updated_at == 5.0
    before = time.time()
    session.save()
    assert before <= session.updated_at == again(models, session).updated_at <= time.time()


# What is done to a session of 500 messages, and how many rows that writes: the session's, those that differ,
# and those that keep what was there: one for each message, and the cut's, twice.
COSTS: dict[str, tuple[Callable[[Any], object], int]] = {
    "nothing": (lambda session: None, 1),
    "a rename": (lambda session: setattr(session, "title", "Rome"), 1),
    "an appended message": (lambda session: session.messages.append("more"), 3),
    "a message edited inside": (lambda session: session.messages[250].update(content="x"), 3 + 3),
    "the last three removed": (lambda session: session.messages.__delitem__(slice(497, None)), 1 + 3 + 3 + 5),
    "a document edited inside": (lambda session: session.x_usage.update(deep=1), 2),
    "a document and two columns": (lambda session: session.__dict__.update(tool_calls=[2], pinned=True, model="m"), 2),
}


@pytest.mark.parametrize("name", COSTS)
def test_a_save_writes_the_rows_that_differ(models: WebUIModels, webui: WebUI, name: str) -> None:
    change, rows = COSTS[name]
    sid = stored(models, "long", *map(str, range(500)), tool_calls=[1], x_usage={"in": 1})
    session = models.get_session(sid)
    change(session)
    assert rows_written(webui.store, session.save) == rows
    assert rows_written(webui.store, lambda: session.save(touch_updated_at=False)) == 0
    assert models.Session.load(sid).__dict__ == session.__dict__


def test_a_save_costs_the_same_among_many_sessions(models: WebUIModels, webui: WebUI) -> None:
    session = models.Session(messages=said("a"))
    session.save()

    def rename() -> None:
        session.title += "!"
        session.save(touch_updated_at=False)

    reindex(webui.store)  # the title is in the index of words, as it is among many
    steps = vm_steps(webui.store, rename)
    for number in range(300):
        webui.store.sessions.create(title=f"Other {number}", updated_at=float(number))
    # Indexes grow by a level now and then; what reads them all would take thousands.
    assert vm_steps(webui.store, rename) <= steps + 20


def test_a_copy_is_a_session_of_its_own(models: WebUIModels) -> None:
    session = models.Session(title="Trip", messages=said("a"), tool_calls=[1], last_usage={"in": 1})
    session.save()
    deep, shallow = copy.deepcopy(session), copy.copy(session)
    assert shallow.messages is session.messages
    deep.messages[0]["content"] = "b"
    assert session.messages == said("a")
    deep.save()
    assert again(models, session).messages == said("b")
    # What a copy reads later, the other has not thereby removed.
    partial = models.Session.load_metadata_only(session.session_id)
    for make in (copy.copy, copy.deepcopy):
        assert make(partial).tool_calls == [1]
    partial.title = "Rome"
    partial.save()
    found = again(models, session)
    assert (found.title, found.tool_calls, found.last_usage) == ("Rome", [1], {"in": 1})


def test_a_live_session_cannot_be_pickled(models: WebUIModels) -> None:
    session = models.Session(title="Trip")
    with pytest.raises(pickle.PicklingError):
        pickle.dumps(session)
    session.save()
    assert again(models, session).title == "Trip"


# ── Ids ──


@pytest.mark.parametrize("sid", ["../evil", "a/b", "a b", "é", "x" * 129, "a\x00", "a.b", 5, ["abc"]])
def test_an_id_is_checked_when_it_is_saved(models: WebUIModels, webui: WebUI, sid: Any) -> None:
    new = models.Session(session_id=sid)
    known = models.Session(title="Trip")
    known.save()
    known.session_id, former = sid, known.session_id
    rows = all_rows(webui.store)
    for session in (new, known):
        with pytest.raises(InvalidIdError):
            session.save()
    assert all_rows(webui.store) == rows
    known.session_id = former
    known.title = "Rome"
    known.save()
    assert again(models, known).title == "Rome"


@pytest.mark.parametrize("how", ["load", "load_metadata_only"])
def test_saving_under_another_id_makes_a_copy(models: WebUIModels, how: str) -> None:
    sid = stored(models, "first", "hello", tool_calls=[1], x_usage={"in": 1}, project_id="nowhere")
    session = getattr(models.Session, how)(sid)
    session.session_id = "second"
    session.title = "Copy"
    session.save(touch_updated_at=False)
    first, second = models.Session.load("first"), again(models, session)
    assert (first.title, second.title) == ("Trip", "Copy")
    ids = {"session_id", "title"}
    assert {k: v for k, v in first.__dict__.items() if k not in ids} == {
        k: v for k, v in second.__dict__.items() if k not in ids
    }
    session.messages.append("of the copy alone")
    session.save()
    assert (len(models.Session.load("first").messages), len(models.Session.load("second").messages)) == (1, 2)


@pytest.mark.parametrize("how", ["load", "load_metadata_only"])
def test_a_rotation_to_a_taken_id_is_refused(models: WebUIModels, how: str) -> None:
    stored(models, "taken", "other")
    session = getattr(models.Session, how)(stored(models, "first", "hello", tool_calls=[1], x_usage={"in": 1}))
    session.session_id = "taken"
    session.title = "Rome"
    with pytest.raises(SessionExistsError):
        session.save()
    with pytest.raises(SessionExistsError):
        models.Session(session_id="taken").save()
    session.session_id = "first"
    session.messages.append("more")
    session.save()
    found = again(models, session)
    assert (found.title, found.messages[1:], found.tool_calls, found.x_usage) == ("Rome", ["more"], [1], {"in": 1})
    assert models.Session.load("taken").title == "Trip"


def test_get_session_returns_the_original_after_a_copy(models: WebUIModels) -> None:
    session = models.get_session(stored(models, "first", "hello"))
    session.session_id = "second"
    session.save()
    assert models.get_session("first").session_id == "first"


# ── Refusals ──


@pytest.mark.parametrize(
    ("name", "value", "place"),
    [
        ("last_usage", {"deep": [{"set": {1}}]}, r"last_usage\.deep\[0\]\.set"),
        ("title", b"bytes", "bytes"),
        ("tool_calls", [object()], r"tool_calls\[0\]"),
        ("workspace", Path("/srv"), "Path"),
        ("brand_new", {1: "no text"}, "brand_new"),
        ("messages", ["fine", {"content": 1j}], r"message 1\.content"),
        ("messages", {"role": "user"}, "dict"),
        ("messages", None, "NoneType"),
        ("messages", "text", "str"),
    ],
)
def test_a_save_with_an_invalid_value_changes_nothing(
    models: WebUIModels, webui: WebUI, name: str, value: Any, place: str
) -> None:
    session = models.get_session(stored(models, "abc", "hello"))
    rows, former = all_rows(webui.store), getattr(session, name, None)
    setattr(session, name, value)
    session.personality = "kept"
    with pytest.raises(InvalidPayloadError, match=place):
        session.save()
    assert all_rows(webui.store) == rows
    assert session.is_dirty()
    assert len(models.all_sessions()) == 1
    setattr(session, name, former)
    session.save()
    assert again(models, session).personality == "kept"


def test_a_list_that_contains_itself_is_refused(models: WebUIModels) -> None:
    session = models.Session()
    session.tool_calls.append(session.tool_calls)
    with pytest.raises(InvalidPayloadError, match="contains itself"):
        session.save()


@pytest.mark.parametrize("new", [True, False])
def test_a_name_that_is_too_long_is_refused(models: WebUIModels, new: bool) -> None:
    session = models.Session()
    if not new:
        session.save()
    setattr(session, "k" * 501, 1)
    with pytest.raises(errors.InvalidInputError):
        session.save()
    delattr(session, "k" * 501)
    setattr(session, "k" * 500, 1)
    session.save()
    assert getattr(again(models, session), "k" * 500) == 1


def test_a_save_the_database_refused_can_be_repeated(models: WebUIModels, sqlite_path: Path) -> None:
    """Read-only first, writable then: the object is as it was."""
    sid = stored(models, "abc", "hello")
    with Store.open(sqlite_path, read_only=True) as reading:
        both = [WebUIModels(lambda: current[0]) for _ in range(2)]
        current = [reading]
        changed, new = both[0].Session.load(sid), both[1].Session(session_id="new", messages=said("a"))
        changed.messages.append("more")
        for session in (changed, new):
            state = copy.deepcopy(dict(session.__dict__))
            with pytest.raises(errors.DatabaseReadOnlyError):
                session.save()
            assert session.__dict__ == state
    with Store.open(sqlite_path) as writing:
        current[0] = writing
        for session in (changed, new):
            session.save()
        assert writing.messages.read(sid) == [*said("hello"), "more"]
        assert writing.messages.read("new") == said("a")
