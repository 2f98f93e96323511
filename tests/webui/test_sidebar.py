"""`all_sessions`: every session that is to be seen, in the WebUI's order, keys and values, and nothing that is gone."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hermes_store import Store
from hermes_store.files import import_directory
from hermes_store.webui import WebUIModels
from tests.support.state_dir import StateDir
from tests.support.statements import executed, sqlite_plan
from tests.support.webui.sessions import KEYS, said, stored
from tests.support.webui.standin import WebUI
from tests.support.webui.verbs import elsewhere

LONG_AGO = 1_700_000_000.0


def ids(models: WebUIModels) -> list[str]:
    return [row["session_id"] for row in models.all_sessions()]


def row_of(models: WebUIModels, session_id: str) -> dict[str, Any]:
    [row] = [row for row in models.all_sessions() if row["session_id"] == session_id]
    return row


def sent(rows: Any) -> Any:
    """Return rows as a browser gets them: strict JSON, in UTF-8."""
    return json.loads(json.dumps(rows, ensure_ascii=False, allow_nan=False).encode("utf-8"))


# ── Keys, values, order ──


def test_row_has_the_webui_s_keys_and_values(models: WebUIModels, webui: WebUI) -> None:
    values = {
        "title": "Grüße 🚀",
        "workspace": "/srv/app",
        "model": "m",
        "created_at": LONG_AGO,
        "updated_at": LONG_AGO + 5.5,
        "pinned": True,
        "archived": True,
        "project_id": "p1",
        "profile": "work",
        "input_tokens": 3,
        "output_tokens": 4,
        "estimated_cost": 0.25,
        "personality": "terse",
        "active_stream_id": "s1",
        "compression_anchor_visible_idx": 2,
        "compression_anchor_message_key": {"role": "user"},
    }
    webui.streams = {"s1"}
    models.save_projects([{"project_id": "p1", "name": "P", "profile": "work", "created_at": 1.0}])
    stored(models, "full", "hello", "hi", **values)
    [row] = models.all_sessions()
    assert list(row) == KEYS
    assert row == {"session_id": "full", "message_count": 2, "is_streaming": True, **values}
    session = models.get_session("full")
    assert session.compact(include_runtime=True, active_stream_ids={"s1"}) == row
    assert elsewhere("rows", webui.store) == [{**sent(row), "is_streaming": False}]


def test_pinned_sessions_come_first_then_recently_changed_ones(models: WebUIModels) -> None:
    for session_id, pinned, age in (("old", False, 9), ("kept", True, 8), ("new", False, 1), ("top", True, 7)):
        stored(models, session_id, "x", pinned=pinned, updated_at=LONG_AGO - age)
    assert ids(models) == ["top", "kept", "new", "old"]
    stored(models, "archived", "x", archived=True, updated_at=LONG_AGO)
    assert ids(models) == ["top", "kept", "archived", "new", "old"]


@pytest.mark.parametrize("profile", [None, "", "default"])
def test_a_session_without_a_profile_has_the_default(models: WebUIModels, webui: WebUI, profile: Any) -> None:
    stored(models, "stored", "x", profile=profile)
    webui.cache["unsaved"] = models.Session(session_id="unsaved", title="Unsaved", profile=profile)
    assert {row["profile"] for row in models.all_sessions()} == {"default"}


# ── Hiding ──


@pytest.mark.parametrize(
    ("values", "texts", "shown"),
    [
        ({}, [], False),
        ({"pinned": True}, [], False),
        ({"title": "Trip"}, [], True),
        ({"title": ""}, [], True),
        ({}, ["hello"], True),
        ({"active_stream_id": "live"}, [], True),
        ({"active_stream_id": "stale"}, [], False),
        ({"active_stream_id": "stale"}, ["hello"], True),
    ],
)
@pytest.mark.parametrize("kept", ["stored", "cached", "unsaved"])
def test_empty_untitled_sessions_are_hidden_after_a_minute(  # noqa: PLR0917 - the parameters are the cases
    models: WebUIModels, webui: WebUI, values: dict[str, Any], texts: list[str], shown: bool, kept: str
) -> None:
    webui.streams = {"live"}
    session = {"title": "Untitled", "messages": said(*texts), "updated_at": time.time() - 3600, **values}
    if kept == "unsaved":
        webui.cache["s1"] = models.Session(session_id="s1", **session)
    else:
        models.Session(session_id="s1", **session).save(touch_updated_at=False)
    if kept == "cached":
        models.get_session("s1")
    assert ids(models) == (["s1"] if shown else [])
    for row in models.all_sessions():
        assert row["is_streaming"] is (values.get("active_stream_id") == "live")


@pytest.mark.parametrize(("seconds", "shown"), [(0.0, True), (59.9, True), (60.1, False)])
def test_new_empty_untitled_sessions_show_for_a_minute(
    models: WebUIModels, webui: WebUI, seconds: float, shown: bool
) -> None:
    stored_one, unsaved = models.new_session(), models.Session(session_id="unsaved")
    webui.cache["unsaved"] = unsaved
    for session in (stored_one, unsaved):
        with mock.patch("hermes_store.webui.sidebar.time.time", return_value=session.updated_at + seconds):
            assert (session.session_id in ids(models)) is shown


def test_a_session_streams_while_its_stream_is_active(models: WebUIModels, webui: WebUI) -> None:
    stored(models, "s1", "x", active_stream_id="one")
    stored(models, "s2", "x")
    for streams, streaming in ((set(), []), ({"one"}, ["s1"]), ({"two"}, [])):
        webui.streams = streams
        assert [row["session_id"] for row in models.all_sessions() if row["is_streaming"]] == streaming


# ── What was not saved yet ──


def test_lists_show_unsaved_changes_of_live_sessions(models: WebUIModels, webui: WebUI) -> None:
    stored(models, "s1", "hello", title="Trip", updated_at=LONG_AGO)
    live = models.get_session("s1")
    live.title, live.pinned, live.active_stream_id = "Rome", True, "one"
    live.messages += said("more", "and more")
    webui.streams = {"one"}
    row = row_of(models, "s1")
    assert (row["title"], row["pinned"], row["active_stream_id"]) == ("Rome", True, "one")
    assert (row["is_streaming"], row["message_count"], row["updated_at"]) == (True, 3, LONG_AGO)
    assert elsewhere("rows", webui.store)[0]["title"] == "Trip"


def test_unsaved_changes_stand_beside_what_others_wrote_since(models: WebUIModels, webui: WebUI) -> None:
    stored(models, "s1", "hello", model="m1")
    live = models.get_session("s1")
    live.title = "Mine"
    live.messages += said("mine")
    elsewhere("change", webui.store, "s1", {"model": "m2"})
    elsewhere("append", webui.store, "s1", "theirs")
    row = row_of(models, "s1")
    assert (row["title"], row["model"], row["message_count"]) == ("Mine", "m2", 3)


def test_an_unchanged_cached_session_shows_what_others_wrote(models: WebUIModels, webui: WebUI) -> None:
    stored(models, "s1", "hello")
    models.get_session("s1")
    models.get_session(stored(models, "s2", "hello"), metadata_only=True)
    for session_id in ("s1", "s2"):
        elsewhere("change", webui.store, session_id, {"title": "Theirs"})
        elsewhere("append", webui.store, session_id, "theirs")
    assert [(row["title"], row["message_count"]) for row in models.all_sessions()] == [("Theirs", 2)] * 2


@pytest.mark.parametrize("change", ["title", "messages", "updated_at"])
def test_an_old_empty_session_is_shown_once_filled(models: WebUIModels, webui: WebUI, change: str) -> None:
    stored(models, "s1", title="Untitled", updated_at=LONG_AGO)
    live = models.get_session("s1")
    assert ids(models) == []
    setattr(live, change, {"title": "Trip", "messages": said("hello"), "updated_at": time.time()}[change])
    assert ids(models) == ["s1"]


@pytest.mark.parametrize("verb", ["delete", "discard"])
@pytest.mark.parametrize("changed", [False, True])
def test_a_deleted_session_is_not_listed_while_cached(
    models: WebUIModels, webui: WebUI, verb: str, changed: bool
) -> None:
    stored(models, "s1", "hello")
    live = models.get_session("s1")
    if changed:
        live.title = "Still here"
        live.messages += said("and this")
    elsewhere(verb, webui.store, "s1")
    assert "s1" in webui.cache
    assert models.all_sessions() == []


def test_a_session_that_others_renamed_is_there_once(models: WebUIModels, webui: WebUI) -> None:
    stored(models, "s1", "hello")
    models.get_session("s1").title = "Mine"
    elsewhere("rotate", webui.store, "s1", "s2")
    assert ids(models) == ["s2"]


# ── Values that no column holds ──


ODD = [
    float("nan"),
    float("inf"),
    10**400,
    "half \ud83d",
    {"a": ["\ude00", float("nan")]},
    ["x"],
    True,
    None,
    0,
    "1",
    {},
]


@pytest.fixture
def odd(tmp_path: Path, sqlite_store: Store) -> dict[str, Any]:
    """Sessions of a file store with an odd value under every key of a row in turn, taken in; by their ids."""
    state = StateDir(tmp_path / "odd")
    made = {}
    value: Any
    for key in KEYS:
        for number, value in enumerate(ODD):
            if key not in {"session_id", "message_count", "is_streaming"}:
                session_id = f"{key}-{number}"
                made[session_id] = (key, value)
                state.session(session_id, {"role": "user", "content": "x"}, **{key: value})
    report = import_directory(sqlite_store, state.root)
    assert {item.outcome.value for item in report.items} == {"imported"}
    return made


def test_rows_can_be_sent_whatever_is_in_them(models: WebUIModels, webui: WebUI, odd: dict[str, Any]) -> None:
    webui.streams = {"one", "half \ud83d"}
    rows = {row["session_id"]: row for row in sent(models.all_sessions())}
    assert rows.keys() == odd.keys()
    assert all(list(row) == KEYS for row in rows.values())
    assert rows["title-4"]["title"] == {"a": ["\ufffd", None]}
    assert rows["title-3"]["title"] == "half \ufffd"
    assert rows["project_id-9"]["project_id"] == "1"
    assert rows["estimated_cost-0"]["estimated_cost"] is None
    assert rows["estimated_cost-2"]["estimated_cost"] == 10**400
    assert rows["title-8"]["title"] == 0


def test_live_sessions_with_odd_values_break_no_list(models: WebUIModels, webui: WebUI) -> None:
    """Not even with those that cannot be stored, and that only their own save may refuse."""
    odd = [*ODD, Path("/srv"), {1, 2}, b"bytes", object()]
    for key in KEYS:
        for number, value in enumerate(odd):
            for session_id in (f"new-{key}-{number}", f"old-{key}-{number}"):
                if key in {"session_id", "message_count", "is_streaming"}:
                    continue
                live = models.Session(session_id=session_id, title="T", messages=said("x"))
                if session_id.startswith("old"):
                    live.save()
                setattr(live, key, value)
                webui.cache[session_id] = live
    rows = sent(models.all_sessions())
    assert {row["session_id"] for row in rows} == set(webui.cache)


def test_an_imported_session_names_its_missing_project(
    models: WebUIModels, tmp_path: Path, sqlite_store: Store
) -> None:
    state = StateDir(tmp_path / "foreign")
    state.session("s1", {"role": "user", "content": "x"}, project_id="elsewhere")
    import_directory(sqlite_store, state.root)
    assert row_of(models, "s1")["project_id"] == "elsewhere"


# ── What it reads ──


@pytest.mark.parametrize("count", [30, pytest.param(600, marks=pytest.mark.slow)])
def test_the_list_reads_no_messages_and_few_documents(models: WebUIModels, webui: WebUI, count: int) -> None:
    for number in range(count):
        documents = {f"x_{letter}": "y" * 3000 for letter in "abc"}
        stored(models, f"s{number}", "hello", tool_calls=[{"name": "ls"}], **documents)
    stored(models, "nan", estimated_cost=float("nan"))
    statements = executed(webui.store, models.all_sessions)
    plans = [line for statement in statements for line in sqlite_plan(webui.store, statement)]
    assert not [line for line in plans if "messages" in line or "message_blobs" in line]
    documents_read = [line for line in plans if "session_documents" in line]
    assert not [line for line in documents_read if "SCAN" in line]
    assert sorted("COVERING INDEX" in line for line in documents_read) == [False, True]  # their keys, and the payloads


# ── The whole rule, as a model ──


@dataclass
class One:
    """A session of the model."""

    title: str
    messages: int
    age: float
    pinned: bool
    archived: bool
    stream: str | None
    profile: str | None
    kept: str
    deleted: bool
    new_title: str | None
    new_messages: int

    def row(self, number: int, now: float) -> dict[str, Any] | None:
        """Return what is to be shown of it, as far as this model tells."""
        if self.deleted and self.kept != "unsaved":
            return None
        dirty = self.kept == "cached"
        title = self.new_title if dirty and self.new_title is not None else self.title
        count = self.messages + (self.new_messages if dirty else 0)
        streaming = self.stream == "live"
        if title == "Untitled" and count == 0 and self.age > 60 and not streaming:
            return None
        return {
            "session_id": f"s{number}",
            "title": title,
            "message_count": count,
            "updated_at": now - self.age - number,
            "pinned": self.pinned,
            "archived": self.archived,
            "profile": self.profile or "default",
            "active_stream_id": self.stream,
            "is_streaming": streaming,
        }


# Mostly such as decide whether a session is shown.
titles = st.sampled_from(["Untitled", "Untitled", "Untitled", "Trip", "half \ud83d"])
sessions = st.builds(
    One,
    title=titles,
    messages=st.sampled_from([0, 0, 2]),
    age=st.sampled_from([-100.0, 0.0, 3600.0, 3600.0, 3600.0]),
    pinned=st.booleans(),
    archived=st.booleans(),
    stream=st.sampled_from([None, "live", "stale"]),
    profile=st.sampled_from([None, "default", "work"]),
    kept=st.sampled_from(["stored", "cached", "cached", "metadata", "unsaved"]),
    deleted=st.sampled_from([False, False, False, True]),
    new_title=st.none() | titles,
    new_messages=st.integers(0, 2),
)


@pytest.mark.slow
@given(st.lists(sessions, max_size=8))
def test_the_list_is_what_the_rule_says(sqlite_template: Path, tmp_path: Path, made: list[One]) -> None:
    with contextlib.closing(Store.open(shutil.copy(sqlite_template, tmp_path / "m.db"), durability="normal")) as store:
        webui = WebUI(store, home=tmp_path, streams={"live"})
        models = webui.models()
        now = time.time()
        for number, one in enumerate(made):
            session = models.Session(
                session_id=f"s{number}",
                title=one.title,
                messages=said(*["x"] * one.messages),
                updated_at=now - one.age - number,
                pinned=one.pinned,
                archived=one.archived,
                active_stream_id=one.stream,
                profile=one.profile,
            )
            if one.kept == "unsaved":
                webui.cache[session.session_id] = session
                continue
            session.save(touch_updated_at=False)
            if one.kept != "stored":
                live = models.get_session(session.session_id, metadata_only=one.kept == "metadata")
                if one.kept == "cached":
                    live.title = live.title if one.new_title is None else one.new_title
                    live.messages += said(*["y"] * one.new_messages)
            if one.deleted:
                store.sessions.delete(session.session_id)
        expected = [row for number, one in enumerate(made) if (row := one.row(number, now)) is not None]
        expected.sort(key=lambda row: (row["pinned"], row["updated_at"]), reverse=True)
        for row in expected:
            row["title"] = row["title"].replace("\ud83d", "\ufffd")
        found = models.all_sessions()
        assert [{key: row[key] for key in expected[0]} for row in found] == expected if expected else found == []
        sent(found)
