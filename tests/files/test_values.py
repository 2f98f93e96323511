"""Values that the WebUI never meant to write: taken in all the same, kept as they are, and noted."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from hermes_store import Store
from hermes_store.files import export_directory, import_directory
from hermes_store.records import ParentKind, SessionRecord
from hermes_store.webui import WebUIModels
from tests.support.state_dir import SPEC, StateDir, by_name, session

ODD_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    2**53 + 1,
    2**70,
    10**400,
    1.5,
    -0.0,
    float("nan"),
    float("-inf"),
    "",
    "text",
    "lone \ud83d",
    "nul \x00",
    "2026-04-01T10:11:12Z",
    "x" * 5000,
    [],
    ["a", None],
    {},
    {"text": {"deep": ["\udc00"]}},
    ["long"] * 2000,
]


def _shown(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _fits(record: SessionRecord) -> bool:
    """Whether each field has the type that the record promises."""
    hints = {name: hint for name, hint in get_type_hints(SessionRecord).items() if name in SessionRecord.model_fields}
    kinds = {None, *get_args(ParentKind)}
    assert record.parent_kind in kinds
    del hints["parent_kind"]
    return all(hint is Any or isinstance(getattr(record, name), get_args(hint) or hint) for name, hint in hints.items())


@pytest.mark.slow
@pytest.mark.parametrize("key", [key for key in SPEC if key not in ("session_id", "messages")])
def test_every_key_keeps_a_value_of_any_type(sqlite_store: Store, state: StateDir, key: str) -> None:
    for number, value in enumerate(ODD_VALUES):
        state.session(f"s{number}", "hi", **{key: value})
    items = by_name(import_directory(sqlite_store, state.root))
    for number, value in enumerate(ODD_VALUES):
        item, record = items[f"s{number}.json"], sqlite_store.sessions.get(f"s{number}")
        assert (item.outcome, record.message_count, _fits(record)) == ("imported", 1, True)
        documents = sqlite_store.documents.read(f"s{number}")
        column = getattr(record, key, [] if key != "pending_user_message" else None)
        if key == "profile" and value in (None, ""):
            assert record.profile == "default"
            continue
        if key in ("created_at", "updated_at") and (value is None or key not in documents):
            assert column == value or any(f"{key} is" in note or "it has no time" in note for note in item.notes)
        else:
            kept = documents.get(key, column)
            assert _shown(kept) == _shown(value) or (kept == value and isinstance(kept, float))
    assert len(sqlite_store.sessions.list(limit=1000).items) == len(ODD_VALUES)


def test_odd_values_in_every_key_are_kept_everywhere(store: Store, state: StateDir) -> None:
    for number, value in enumerate(ODD_VALUES):
        everywhere = dict.fromkeys(SPEC, value) | {"messages": [value, {"role": value, "timestamp": value}]}
        state.write(f"s{number}.json", everywhere)
    report = import_directory(store, state.root)
    assert {item.outcome.value for item in report.items} == {"imported"}
    for number, value in enumerate(ODD_VALUES):
        assert _fits(store.sessions.get(f"s{number}"))
        messages = store.messages.read(f"s{number}")
        assert _shown(messages) == _shown([value, {"role": value, "timestamp": value}])
    assert store.sessions.count(include_empty=True) == len(ODD_VALUES)


@pytest.mark.parametrize("messages", [True, 5, "text", {}, {"0": "a"}])
def test_messages_that_are_no_list_are_refused(sqlite_store: Store, state: StateDir, messages: Any) -> None:
    state.session("a", messages=messages)
    (item,) = import_directory(sqlite_store, state.root).items
    assert item.outcome == "failed"
    assert "its messages are a JSON" in item.reason
    assert not sqlite_store.sessions.exists("a")


@pytest.mark.parametrize("content", [[], "text", 5, None, {}, {"id": 1}], ids=repr)
def test_json_that_is_no_session_gives_reasons(sqlite_store: Store, state: StateDir, content: Any) -> None:
    state.write("a.json", content)
    (item,) = import_directory(sqlite_store, state.root).items
    assert item.outcome == "failed"
    assert item.reason.startswith("it is no session")


@pytest.mark.parametrize("missing", [None, "absent"])
def test_what_is_null_or_absent_gets_its_default(sqlite_store: Store, state: StateDir, missing: str | None) -> None:
    data = session("a", {"timestamp": 5.5}, {"timestamp": 7.5}, profile=None, project_id=None, input_tokens=None)
    for key in ("created_at", "updated_at", "title", "workspace", "model", "tool_calls"):
        data[key] = None
        if missing == "absent":
            del data[key]
    state.write("a.json", data)
    (item,) = import_directory(sqlite_store, state.root).items
    record = sqlite_store.sessions.get("a")
    assert (record.title, record.profile, record.workspace, record.model) == ("Untitled", "default", None, None)
    assert (record.project_id, record.input_tokens, record.estimated_cost) == (None, 0, None)
    assert (record.created_at, record.updated_at) == (5.5, 7.5)
    assert sum("it has no time" in note for note in item.notes) == 2


def test_a_session_without_any_time_gets_its_files(sqlite_store: Store, state: StateDir) -> None:
    path = state.write("a.json", {"session_id": "a", "title": "t", "messages": []})
    import_directory(sqlite_store, state.root)
    record = sqlite_store.sessions.get("a")
    assert record.created_at == record.updated_at == path.stat().st_mtime_ns / 1e9


def test_long_titles_are_listed_cut_and_stored_whole(store: Store, state: StateDir) -> None:
    titles = {"fits": "t" * 500, "long": "ü" * 501, "awkward": "\ud83d\x00" * 5000}
    for session_id, title in titles.items():
        state.session(session_id, title=title)
    items = by_name(import_directory(store, state.root))
    assert items["fits.json"].notes == []
    for session_id, title in titles.items():
        assert store.sessions.get(session_id).title == title[:500]
        assert store.documents.read(session_id).get("title", title) == title
    assert "title has 501 characters, of which lists show 500" in items["long.json"].notes[0]
    assert "title" in store.documents.read("long")


@pytest.mark.parametrize("profile", ["default", "work"])
def test_a_session_keeps_a_missing_project_s_name(sqlite_store: Store, state: StateDir, profile: str) -> None:
    state.projects([{"project_id": "theirs", "name": "Theirs", "profile": "another", "created_at": 1.0}])
    state.session("unknown", project_id="nobodys", profile=profile)
    state.session("foreign", project_id="theirs", profile=profile)
    items = by_name(import_directory(sqlite_store, state.root))
    for session_id, project_id in (("unknown", "nobodys"), ("foreign", "theirs")):
        item = items[f"{session_id}.json"]
        assert (item.outcome, len(item.notes)) == ("imported", 1)
        assert f"its project {project_id} is not there" in item.notes[0]
        assert sqlite_store.sessions.get(session_id).project_id is None
        assert sqlite_store.documents.read(session_id) == {"project_id": project_id}


def test_a_key_of_any_text_is_kept(store: Store, state: StateDir) -> None:
    keys = ["", "é" * 500, "\ud83d" * 500, "nul \x00", "'; --", "revision", "id", "parent_id", "__proto__"]
    fields: dict[str, Any] = {key: [key] for key in keys}
    state.session("a", **fields)
    import_directory(store, state.root)
    assert store.documents.read("a") == {key: [key] for key in keys}


# ── Times and drafts ──────────────────────────────────────────────────────────────────────────────


def test_times_in_milliseconds_are_taken_as_such(sqlite_store: Store, state: StateDir, tmp_path: Path) -> None:
    created, updated, sent = 1778458282125, 1778459001500, 1778458283500
    state.session("a", {"role": "user", "timestamp": sent}, created_at=created, updated_at=updated)
    (item,) = import_directory(sqlite_store, state.root).items
    record = sqlite_store.sessions.get("a")
    times = (record.created_at, record.updated_at, record.last_message_at)
    assert times == (1778458282.125, 1778459001.5, 1778458283.5)
    assert len(item.notes) == 2
    [row] = WebUIModels(sqlite_store).all_sessions()
    assert row["updated_at"] == 1778459001.5
    export_directory(sqlite_store, tmp_path / "out")
    exported = json.loads((tmp_path / "out" / "sessions" / "a.json").read_bytes())
    assert (exported["created_at"], exported["updated_at"]) == (created, updated)
    assert exported["messages"] == [{"role": "user", "timestamp": sent}]


@pytest.mark.parametrize("original", [1778459001500, "2026-05-11T00:23:21.500Z", 1778459001500.0])
@pytest.mark.parametrize(
    "write",
    [
        lambda store: store.messages.append("a", "x"),
        lambda store: store.sessions.update("a", updated_at=5.0),
        lambda store: WebUIModels(store).get_session("a").save(),
    ],
)
def test_original_change_times_are_exported_until_a_write(
    sqlite_store: Store, state: StateDir, tmp_path: Path, original: Any, write: Callable[[Store], object]
) -> None:
    state.session("a", "hi", updated_at=original)
    import_directory(sqlite_store, state.root)
    for path in state.sessions.iterdir():
        path.touch()
    assert import_directory(sqlite_store, state.root).counts == {"unchanged": 1}
    export_directory(sqlite_store, tmp_path / "before")
    assert json.loads((tmp_path / "before" / "sessions" / "a.json").read_bytes())["updated_at"] == original
    write(sqlite_store)
    export_directory(sqlite_store, tmp_path / "after")
    exported = json.loads((tmp_path / "after" / "sessions" / "a.json").read_bytes())
    assert exported["updated_at"] == sqlite_store.sessions.get("a").updated_at != 1778459001.5


def test_exported_keys_are_in_the_webuis_order(sqlite_store: Store, state: StateDir, tmp_path: Path) -> None:
    unknown = {"last_usage": 1, "platform": "x"}
    data = {key: {"of": key} for key in KEYS} | {"session_id": "a", "message_count": 1, "messages": ["hi"]} | unknown
    data |= {"parent_session_id": "b", "project_id": "p", "tool_calls": [1], "title": "T", "profile": "default"}
    state.write("a.json", data)
    import_directory(sqlite_store, state.root)
    export_directory(sqlite_store, tmp_path / "out")
    exported = json.loads((tmp_path / "out" / "sessions" / "a.json").read_bytes())
    assert list(exported) == [*KEYS, *unknown]
    times = dict.fromkeys(("created_at", "updated_at"))  # which an object cannot be
    assert exported | times == data | times


#: The keys of a file of hermes-webui, in its order.
KEYS = [
    *("session_id", "title", "workspace", "created_workspace", "model", "model_provider", "created_at", "updated_at"),
    *("pinned", "archived", "project_id", "profile", "input_tokens", "output_tokens", "estimated_cost"),
    *("cache_read_tokens", "personality", "active_stream_id", "pending_user_message", "pending_attachments"),
    *("pending_started_at", "compression_anchor_visible_idx", "compression_anchor_message_key", "context_length"),
    *("llm_title_generated", "manual_title", "parent_session_id", "is_cli_session", "source_tag", "composer_draft"),
    *("share_token", "message_count", "anchor_scene_index", "messages", "tool_calls", "context_messages"),
]


def test_a_time_in_the_far_future_is_ignored(sqlite_store: Store, state: StateDir) -> None:
    state.session("a", {"timestamp": 1778458283}, {"timestamp": 9e9}, created_at=9e9, updated_at=9e9)
    import_directory(sqlite_store, state.root)
    record = sqlite_store.sessions.get("a")
    assert record.created_at == record.updated_at == record.last_message_at == 1778458283
    assert sqlite_store.documents.read("a") == {"created_at": 9e9}


DRAFTS: dict[str, dict[str, Any]] = {
    "pending": {"pending_user_message": "my  first\nquestion"},
    "draft": {"composer_draft": {"text": "my first question", "files": []}},
}


@pytest.mark.parametrize("kind", DRAFTS)
def test_a_draft_only_session_is_listed_and_kept(
    sqlite_store: Store, state: StateDir, tmp_path: Path, kind: str
) -> None:
    state.session("a", title="Untitled", **DRAFTS[kind])
    state.session("blank", title="Untitled", composer_draft={"text": " ", "files": []})
    import_directory(sqlite_store, state.root)
    (record,) = sqlite_store.sessions.list().items
    assert (record.session_id, record.title) == ("a", "Untitled")
    assert sqlite_store.sessions.delete_empty() == ["blank"]
    for path in state.sessions.iterdir():
        path.touch()
    assert {item.outcome.value for item in import_directory(sqlite_store, state.root).items} == {"unchanged", "skipped"}
    export_directory(sqlite_store, tmp_path / "out")
    exported = json.loads((tmp_path / "out" / "sessions" / "a.json").read_bytes())
    assert exported["title"] == "Untitled"
    assert {key: exported[key] for key in DRAFTS[kind]} == DRAFTS[kind]
