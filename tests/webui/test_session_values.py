"""Odd values on live sessions: what was assigned is what is loaded, and no list breaks by it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hermes_store.webui import WebUIModels
from hermes_store.webui.state import RESERVED
from hermes_store.webui_format.session_json import COUNTS, SESSION_KEYS
from tests.support.json_values import any_text, json_values, nested, same
from tests.support.webui.sessions import said, stored
from tests.support.webui.standin import WebUI

NAN, INF = float("nan"), float("inf")
HALF = "half \ud83d"


def saved(models: WebUIModels, **values: Any) -> Any:
    """Save a new session with these attributes, and return it as it is loaded."""
    session = models.Session()
    for name, value in values.items():
        setattr(session, name, value)
    session.save()
    found = models.Session.load(session.session_id)
    assert found is not None
    return found


def short(value: Any) -> str:
    """What a value is called in a test's name."""
    return json.dumps(value, default=str)[:30] if not isinstance(value, list) or len(value) != 1 else "nested"


ODD: list[tuple[str, Any]] = [
    ("title", HALF),
    ("title", "nul \x00 inside"),
    ("title", "x" * 10_000),
    ("title", ""),
    ("title", {"not": ["text"]}),
    ("title", 5),
    ("title", None),
    ("workspace", HALF),
    ("workspace", "/" + "w" * 5000),
    ("workspace", 5),
    ("model", {"name": "m"}),
    ("model", HALF),
    ("personality", HALF),
    ("active_stream_id", HALF),
    ("active_stream_id", {"odd": 1}),
    ("pinned", 1),
    ("archived", "yes"),
    ("estimated_cost", NAN),
    ("estimated_cost", INF),
    ("estimated_cost", -INF),
    ("estimated_cost", 2**53 + 1),
    ("estimated_cost", 10**400),
    ("estimated_cost", "0.5"),
    ("input_tokens", 2**63),
    ("input_tokens", -(2**70)),
    ("output_tokens", NAN),
    ("output_tokens", 1.5),
    ("output_tokens", True),
    ("created_at", 0),
    ("created_at", -1.5),
    ("created_at", "2024-01-01T00:00:00Z"),
    ("created_at", NAN),
    ("pending_started_at", INF),
    ("compression_anchor_visible_idx", 2**64),
    ("compression_anchor_message_key", {"deep": [HALF, NAN]}),
    ("compression_anchor_message_key", ["x" * 5000]),
    ("project_id", "names-none"),
    ("project_id", {"odd": 1}),
    ("profile", "p" * 300),
    ("profile", ["work"]),
    ("profile", HALF),
    ("parent_session_id", "names-none"),
    ("parent_session_id", 5),
    ("source_tag", "telegram"),
    ("source_tag", ["odd"]),
    ("raw_source", "s" * 300),
    ("pending_user_message", HALF),
    ("pending_user_message", {"odd": 1}),
    ("pending_attachments", {}),
    ("tool_calls", [{HALF: NAN, "huge": 10**4000}]),
    ("tool_calls", None),
    ("tool_calls", nested("both", 3000)),
    ("message_count", "believed by nobody"),
    ("user_message_count", "believed by nobody"),
    ("llm_title_generated", True),
    ("last_usage", {"in": NAN}),
    ("is_cli_session", False),
    ("_cli_origin", "cli"),
    (HALF, HALF),
    ("two words", 1),
    ("é", {"": None}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value"), ODD, ids=short)
@pytest.mark.parametrize("new", [True, False], ids=["new", "known"])
def test_an_odd_value_is_loaded_as_assigned(models: WebUIModels, name: str, value: Any, new: bool) -> None:
    session = models.Session(messages=said("a", "b"))
    if not new:
        session.save()
    setattr(session, name, value)
    session.save()
    session.save(touch_updated_at=False)
    assert not session.is_dirty()
    expected = {"message_count": 2, "user_message_count": 1}.get(name, value)  # these are counted
    for how in (models.Session.load, models.Session.load_metadata_only):
        found = how(session.session_id)
        kept = getattr(found, name)
        assert same(kept, expected) or (type(value) is int and kept == expected)  # a time of 0 comes as 0.0
        assert not found.is_dirty()
        assert found.messages == said("a", "b")
    # It is known for what it is: a change of something else does not meet it as somebody's.
    session.something_else = True
    session.save()
    assert same(getattr(models.Session.load(session.session_id), name), kept)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "value"), [odd for odd in ODD if odd[0] in SESSION_KEYS], ids=short)
def test_an_odd_value_breaks_no_list(models: WebUIModels, webui: WebUI, name: str, value: Any) -> None:
    webui.streams = {"s1"}
    stored(models, "other", "hello")
    session = models.get_session(stored(models, "odd", "hello"))
    setattr(session, name, value)
    for _ in ("not saved yet", "saved"):
        assert {row["session_id"] for row in models.all_sessions()} == {"odd", "other"}
        session.compact(include_runtime=True, active_stream_ids=webui.streams)
        session.save()
        webui.cache.clear()
    assert {row["session_id"] for row in models.all_sessions()} == {"odd", "other"}


@pytest.mark.parametrize(
    "message",
    [
        None,
        5,
        "text",
        [],
        {"role": 5},
        {"role": HALF, "content": HALF},
        {"timestamp": NAN},
        {"n": 2**70},
        {HALF: [-0.0]},
    ],
    ids=short,
)
def test_an_odd_message_is_loaded_as_it_was(models: WebUIModels, message: Any) -> None:
    found = saved(models, messages=[message, "next", message])
    assert same(found.messages, [message, "next", message])
    assert not found.is_dirty()
    found.messages.append(message)
    found.save()
    assert same(models.Session.load(found.session_id).messages, [message, "next", message, message])


@pytest.mark.parametrize(
    ("name", "value", "change"),
    [
        ("estimated_cost", -0.0, 1.0),
        ("tool_calls", ["\ud83d\ude00"], [1]),
        ("messages", ["\ud83d\ude00"], ["\ud83d\ude00", 1]),
    ],
    ids=["a zero below zero", "two halves in a document", "two halves in a message"],
)
def test_a_value_loaded_as_its_equal_is_unchanged(models: WebUIModels, name: str, value: Any, change: Any) -> None:
    """Two halves of a character, side by side, are that character in JSON; neither object changed anything by it."""
    session = models.Session(title="Trip", **{name: value})
    session.save()
    other = models.Session.load(session.session_id)
    assert not other.is_dirty()
    other.title = "Rome"
    other.save()
    setattr(session, name, change)
    session.save()
    found = models.Session.load(session.session_id)
    assert (found.title, json.dumps(getattr(found, name))) == ("Rome", json.dumps(change))


attributes = st.dictionaries(
    (st.sampled_from(sorted(SESSION_KEYS)) | any_text).filter(
        lambda name: (
            name not in {"session_id", "messages", "updated_at", *COUNTS, *RESERVED}
            and not name.startswith("__")
            and json.loads(json.dumps(name)) == name
        )
    ),
    json_values,
    max_size=5,
)


@pytest.mark.slow
@given(attributes, st.lists(json_values, max_size=4))
@example({"title": [HALF], HALF: NAN}, [None, HALF])
def test_any_values_are_loaded_as_they_were_assigned(
    models: WebUIModels, values: dict[str, Any], messages: list[Any]
) -> None:
    found = saved(models, messages=messages, **values)
    assert same(found.messages, messages)
    assert not found.is_dirty()
    for name, value in values.items():
        kept = getattr(found, name)
        # A column of numbers keeps the number, not whether it was written 1 or 1.0 (-0.0, 1e3); none is the default.
        numeric = isinstance(value, int | float) and not isinstance(value, bool) and kept == value
        empty = value in ("", None) and kept in ("default", None, "", found.created_at)
        assert same(kept, value) or numeric or empty, name


# ── Names that a live session uses itself ──


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_stored_values_with_reserved_names_survive(models: WebUIModels, webui: WebUI, name: str) -> None:
    sid = stored(models, "abc", "hello")
    webui.store.documents.put(sid, {name: {"of": "a newer version"}})
    for how in (models.Session.load, models.Session.load_metadata_only):
        session = how(sid)
        assert name not in session.__dict__
        session.title += "!"
        session.messages.append("more")
        session.save()
        session.save()
    assert webui.store.documents.read(sid, name) == {name: {"of": "a newer version"}}
    assert models.Session.load(sid).title == "Trip!!"


@pytest.mark.parametrize("name", ["session_id", "messages"])
def test_a_document_cannot_replace_the_id_or_messages(models: WebUIModels, webui: WebUI, name: str) -> None:
    sid = stored(models, "abc", "hello")
    webui.store.documents.put(sid, {name: "an impostor"})
    for how in (models.Session.load, models.Session.load_metadata_only):
        session = how(sid)
        assert (session.session_id, session.messages) == (sid, said("hello"))
        session.save()
    assert models.Session.load(sid).messages == said("hello")


# ── Other rows that a session names ──


@pytest.fixture
def projects(webui: WebUI) -> None:
    """Project `home` of the default profile, and `desk` of the profile `work`."""
    webui.store.projects.create(project_id="home", name="Home")
    webui.store.projects.create(project_id="desk", name="Desk", profile="work")


def shown(models: WebUIModels, webui: WebUI, session: Any) -> tuple[Any, Any]:
    """Return the project that the session says, and the one whose lists show it."""
    found = models.Session.load(session.session_id)
    assert found is not None
    return found.project_id, webui.store.sessions.get(session.session_id).project_id


@pytest.mark.usefixtures("projects")
def test_project_is_the_profile_s_or_a_name(models: WebUIModels, webui: WebUI) -> None:
    session = models.Session(title="Trip", project_id="desk")
    session.save()
    assert shown(models, webui, session) == ("desk", None)
    session.profile = "work"
    session.save()
    assert shown(models, webui, session) == ("desk", "desk")
    session.profile = "default"
    session.save()
    assert shown(models, webui, session) == ("desk", None)
    session.project_id = "home"
    session.save()
    assert shown(models, webui, session) == ("home", "home")
    session.project_id = ""
    session.save()
    assert shown(models, webui, session) == (None, None)


def test_parent_is_the_profile_s_or_a_name(models: WebUIModels, webui: WebUI) -> None:
    for sid in ("parent", "child"):
        stored(models, sid, "hello")
    parent, child = models.get_session("parent"), models.get_session("child")

    def parents() -> tuple[Any, Any]:
        return models.Session.load("child").parent_session_id, webui.store.sessions.get("child").parent_id

    child.parent_session_id = "parent"
    child.save()
    assert parents() == ("parent", "parent")
    child.profile = "work"
    child.save()
    assert parents() == ("parent", None)
    child.profile = "default"
    child.save()
    assert parents() == ("parent", "parent")
    parent.parent_session_id = "child"  # a circle is no line of descent, and is kept as what was said
    parent.save()
    assert models.Session.load("parent").parent_session_id == "child"
    assert webui.store.sessions.get("parent").parent_id is None
    # A parent that moves away leaves its child the name.
    parent.profile = "work"
    parent.save()
    assert webui.store.sessions.get("child").parent_id is None


def test_the_source_is_a_column_and_is_kept(models: WebUIModels, webui: WebUI) -> None:
    sid = webui.store.sessions.create(title="Trip", source="cli").session_id
    session = models.get_session(sid)
    assert session.source_tag == "cli"
    session.raw_source = "telegram"
    session.save()
    found = models.Session.load(sid)
    assert (found.source_tag, found.raw_source, webui.store.sessions.get(sid).source) == ("cli", "telegram", "cli")
    del session.source_tag
    session.save()
    assert not hasattr(models.Session.load(sid), "source_tag")
    assert webui.store.sessions.get(sid).source == "telegram"
