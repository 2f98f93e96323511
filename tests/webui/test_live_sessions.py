"""The live session: its constructor, loading, the sidebar's row, its attributes, and what a save makes of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from hermes_store.webui import LiveSession, WebUIModels
from hermes_store.webui.state import RESERVED
from tests.support.webui.sessions import said, stored
from tests.support.webui.standin import WebUI

# The WebUI's own parameters, in its order, with what each is for when it is left out (times and id apart).
DEFAULTS = {
    "session_id": ...,
    "title": "Untitled",
    "workspace": "/srv/default",
    "model": "openai/gpt-5",
    "messages": [],
    "created_at": ...,
    "updated_at": ...,
    "tool_calls": [],
    "pinned": False,
    "archived": False,
    "project_id": None,
    "profile": None,
    "input_tokens": 0,
    "output_tokens": 0,
    "estimated_cost": None,
    "personality": None,
    "active_stream_id": None,
    "pending_user_message": None,
    "pending_attachments": [],
    "pending_started_at": None,
    "compression_anchor_visible_idx": None,
    "compression_anchor_message_key": None,
}
ROW = [
    *("session_id", "title", "workspace", "model", "message_count", "created_at", "updated_at", "pinned", "archived"),
    *("project_id", "profile", "input_tokens", "output_tokens", "estimated_cost", "personality"),
    *("compression_anchor_visible_idx", "compression_anchor_message_key", "active_stream_id", "is_streaming"),
]


def again(models: WebUIModels, session: Any) -> Any:
    """Return the session as it is stored."""
    found = models.Session.load(session.session_id)
    assert found is not None
    return found


# ── The constructor ──


def test_missing_arguments_have_the_defaults_of_the_webui(models: WebUIModels) -> None:
    before = time.time()
    session = models.Session()
    made = dict(session.__dict__)
    assert {name: made[name] for name, value in DEFAULTS.items() if value is not ...} == {
        name: value for name, value in DEFAULTS.items() if value is not ...
    }
    assert made.keys() == DEFAULTS.keys()
    assert len(made["session_id"]) == 12
    assert int(made["session_id"], 16) >= 0
    assert before <= made["created_at"] == made["updated_at"] <= time.time()
    assert models.Session().session_id != session.session_id
    assert models.Session().messages is not session.messages


def test_arguments_may_be_given_by_their_place(models: WebUIModels) -> None:
    values: list[Any] = [
        "abc",
        "T",
        "/w",
        "m",
        [1],
        1.0,
        2.0,
        [2],
        True,
        True,
        "p",
        "work",
        3,
        4,
        5.0,
        "terse",
        "s",
        "hi",
        [6],
        7.0,
    ]
    values += [8, "key"]
    assert models.Session(*values).__dict__ == dict(zip(DEFAULTS, values, strict=True))


def test_the_defaults_are_asked_for_at_each_call(models: WebUIModels, webui: WebUI) -> None:
    webui.model, webui.default_workspace = "other", "/srv/other"
    session = models.Session()
    assert (session.model, session.workspace) == ("other", "/srv/other")


COERCED: list[tuple[str, Any, Any]] = [
    *((name, given, bool(given)) for name in ("pinned", "archived") for given in (1, 0, "yes", "", None)),
    *((name, None, 0) for name in ("input_tokens", "output_tokens")),
    *((name, given, []) for name in ("messages", "tool_calls", "pending_attachments") for given in (None, list[Any]())),
    ("project_id", "", None),
    ("model", None, None),
    ("workspace", None, None),
    ("created_at", 0, 0),
    ("updated_at", 0, 0),
]


@pytest.mark.parametrize(("name", "given", "expected"), COERCED)
def test_a_value_is_made_what_the_webui_expects(models: WebUIModels, name: str, given: Any, expected: Any) -> None:
    session = models.Session(**{name: given})
    assert getattr(session, name) == expected
    assert type(getattr(session, name)) is type(expected)
    session.save(touch_updated_at=False)
    assert getattr(again(models, session), name) == expected


@pytest.mark.parametrize("falsy", [None, ""])
def test_a_falsy_id_is_made_up(models: WebUIModels, falsy: Any) -> None:
    assert len(models.Session(session_id=falsy).session_id) == 12


def test_a_workspace_is_made_absolute(models: WebUIModels, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for given in ("~/real", "real", "./x/../real", "link", tmp_path / "link"):
        assert models.Session(workspace=given).workspace == str(tmp_path / "real")


def test_the_constructor_keeps_the_given_list_objects(models: WebUIModels) -> None:
    messages, calls = said("a"), [{"name": "ls"}]
    session = models.Session(messages=messages, tool_calls=calls)
    assert session.messages is messages
    assert session.tool_calls is calls


def test_an_unknown_keyword_becomes_a_stored_attribute(models: WebUIModels) -> None:
    session = models.Session(llm_title_generated=True, last_usage={"in": 1}, source_tag="cli")
    assert session.last_usage == {"in": 1}
    session.save()
    found = again(models, session)
    assert (found.llm_title_generated, found.last_usage, found.source_tag) == (True, {"in": 1}, "cli")


# ── Loading ──


@pytest.mark.parametrize("how", ["load", "load_metadata_only"])
def test_absent_bad_and_deleted_ids_load_no_session(models: WebUIModels, how: str) -> None:
    for sid in ("deleted", "purged"):
        stored(models, sid, "hello")
    models.delete_session("deleted")
    models.discard_session("purged")
    bad: list[Any] = [
        "nobody",
        "",
        None,
        5,
        b"abc",
        ["abc"],
        "../evil",
        "a b",
        "é",
        "a" * 129,
        "x\n",
        "\ud83d",
        "a.json",
    ]
    for sid in ("deleted", "purged", *bad):
        assert getattr(models.Session, how)(sid) is None


@pytest.mark.parametrize("how", ["load", "load_metadata_only"])
def test_loading_returns_an_unchanged_session_of_the_class(models: WebUIModels, how: str) -> None:
    sid = stored(models, "Mixed-Case_1", "hello")
    for kind in (models.Session, type("Subclass", (models.Session,), {})):
        session = getattr(kind, how)(sid)
        assert type(session) is kind
        assert isinstance(session, LiveSession)
        assert session.session_id == sid
        assert not session.is_new
        assert not session.is_dirty()


# ── The sidebar's row ──


def test_a_row_has_the_keys_in_webui_order(models: WebUIModels) -> None:
    session = models.Session(title="Trip", messages=said("a", "b"), active_stream_id="s1", estimated_cost=0.5)
    session.save()
    for one in (session, again(models, session), models.Session.load_metadata_only(session.session_id)):
        row = one.compact()
        assert list(row) == ROW
        assert (row["title"], row["message_count"], row["estimated_cost"]) == ("Trip", 2, 0.5)


@pytest.mark.parametrize(
    ("stream", "arguments", "streaming"),
    [
        ("s1", {}, False),
        ("s1", {"active_stream_ids": {"s1"}}, False),
        ("s1", {"include_runtime": True}, False),
        ("s1", {"include_runtime": True, "active_stream_ids": {"s2"}}, False),
        ("s1", {"include_runtime": True, "active_stream_ids": {"s1"}}, True),
        (None, {"include_runtime": True, "active_stream_ids": {None}}, False),
        ("", {"include_runtime": True, "active_stream_ids": {"s1"}}, False),
        ({"odd": 1}, {"include_runtime": True, "active_stream_ids": {"s1"}}, False),
    ],
)
def test_a_row_streams_while_its_stream_is_active(
    models: WebUIModels, stream: Any, arguments: dict[str, Any], streaming: bool
) -> None:
    assert models.Session(active_stream_id=stream).compact(**arguments)["is_streaming"] is streaming


def test_every_name_of_a_live_session_is_reserved() -> None:
    """A stored value of such a name stays in the store; as an attribute it would hide the method."""
    assert {name for name in dir(LiveSession) if not name.startswith("__")} <= RESERVED
