"""The way back: what was imported is written again as it was, in files that the WebUI reads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_store import FilesError, Store
from hermes_store.files import ExportProgress, export_directory, import_directory
from tests.support.import_programs import export_small
from tests.support.json_values import same_json, small_json_values, texts
from tests.support.message_columns import users
from tests.support.paths import EXAMPLE_HOME
from tests.support.processes import output, run_function
from tests.support.state_dir import (
    MESSAGES,
    NEW,
    NEWER_KEYS,
    OLD,
    SPEC,
    StateDir,
    fingerprint,
    session,
)
from tests.support.webui import files as webui

#: What a key that the specification knows is when a file does not say it.
DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(SPEC),
    "title": "Untitled",
    "pinned": False,
    "archived": False,
    "profile": "default",
    "input_tokens": 0,
    "output_tokens": 0,
    "pending_attachments": [],
    "messages": [],
    "tool_calls": [],
}


def _is_time(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value == value and abs(value) < 1e308 and float(value) == value  # noqa: PLR0124


def _expected(data: dict[str, Any], session_id: str, exported: dict[str, Any]) -> dict[str, Any]:
    """What comes back for a file's object. The normalisations are these and no others."""
    expected = {**DEFAULTS, **data, "session_id": session_id}
    expected["messages"] = expected["messages"] or []
    if expected["profile"] in (None, ""):
        expected["profile"] = "default"
    if "message_count" in data:
        expected["message_count"] = len(expected["messages"])
    if "user_message_count" in data:
        expected["user_message_count"] = users(expected["messages"])
    if data.get("created_at") is None:
        expected["created_at"] = exported["created_at"]
    if not _is_time(data.get("updated_at")):  # it is a column that every write sets
        expected["updated_at"] = exported["updated_at"]
    if data.get("workspace") is None:
        expected["workspace"] = exported.get("workspace")
    return expected


def _require_same(sources: dict[str, dict[str, Any]], target: Path) -> None:
    assert webui.session_ids(target) == sources.keys()
    for session_id, data in sources.items():
        exported = json.loads((target / "sessions" / f"{session_id}.json").read_bytes().decode("utf-8"))
        assert _is_time(exported["created_at"] if data.get("created_at") is None else 0.0)
        assert _is_time(exported["updated_at"])
        exported.setdefault("workspace", None)
        expected = _expected(data, session_id, exported)
        assert exported.keys() == expected.keys()
        for key in expected:
            assert same_json(exported[key], expected[key]), key


def _without_times(tree: dict[str, Any]) -> dict[str, Any]:
    return {name: entry[-1] for name, entry in tree.items()}


def _there_and_back(new_store: Callable[[], Store], source: Path, folder: Path) -> Path:
    """Import, export, import that, export again; both exports are the same, byte by byte. Return the first."""
    first, second = new_store(), new_store()
    assert not import_directory(first, source).failed
    report = export_directory(first, folder / "out")
    again = import_directory(second, folder / "out")
    assert {item.outcome.value for item in again.items if not item.path.endswith("_index.json")} <= {"imported"}
    assert report.sessions == len(webui.session_ids(folder / "out"))
    assert report.messages == sum(item.messages for item in again.items)
    assert report.projects == len(webui.projects(folder / "out"))
    export_directory(second, folder / "again")
    assert _without_times(fingerprint(folder / "out")) == _without_times(fingerprint(folder / "again"))
    return folder / "out"


# ── Nothing is lost ───────────────────────────────────────────────────────────────────────────────


def test_the_example_home_goes_there_and_back(new_store: Callable[[], Store], tmp_path: Path) -> None:
    before = fingerprint(EXAMPLE_HOME / "webui")
    out = _there_and_back(new_store, EXAMPLE_HOME, tmp_path)
    sources = {}
    for path in (EXAMPLE_HOME / "webui" / "sessions").glob("[!_]*.json"):
        if path.stem == "7e52c0a9d4f1":  # the torn one
            assert len(webui.load(out, path.stem)["messages"]) == 9
            (out / "sessions" / path.name).unlink()
        else:
            sources[path.stem] = json.loads(path.read_bytes())
    _require_same(sources, out)
    assert fingerprint(EXAMPLE_HOME / "webui") == before
    projects = json.loads((EXAMPLE_HOME / "webui" / "projects.json").read_bytes())
    assert webui.projects(out) == [{"profile": "default", **project} for project in projects]


@pytest.mark.parametrize("data", [OLD, SPEC, NEW, session("a", "half \ud83d", float("nan"), title="\udc00", x=10**400)])
def test_every_format_goes_there_and_back(
    new_store: Callable[[], Store], state: StateDir, tmp_path: Path, data: dict[str, Any]
) -> None:
    state.write(f"{data['session_id']}.json", data)
    _require_same({data["session_id"]: data}, _there_and_back(new_store, state.root, tmp_path))


_keys = st.sampled_from([*SPEC, *NEWER_KEYS, "source_tag", "raw_source", "id", "revision", "parent_id"]) | texts
_sessions = st.tuples(
    st.dictionaries(_keys.map(lambda key: json.loads(json.dumps(key))), small_json_values, max_size=12),
    st.none() | st.lists(small_json_values, max_size=4),
).map(lambda parts: {"title": "t", **parts[0], "messages": parts[1]})


@pytest.mark.slow
@settings(max_examples=15)
@given(objects=st.lists(_sessions, min_size=1, max_size=6))
def test_any_json_in_any_key_is_exported_unchanged(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, objects: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    state = StateDir(folder / "webui")
    sources = {f"s{number}": data for number, data in enumerate(objects)}
    for session_id, data in sources.items():
        state.write(f"{session_id}.json", data)
    stores = [Store.open(shutil.copy(sqlite_template, folder / name), durability="normal") for name in ("1.db", "2.db")]
    waiting = iter(stores)
    try:
        _require_same(sources, _there_and_back(lambda: next(waiting), state.root, folder))
    finally:
        for store in stores:
            store.close()


def test_ids_named_like_other_files_are_exported_unchanged(new_store: Callable[[], Store], tmp_path: Path) -> None:
    ids = {"_x", "sessions", "session_1", "_index", "_INDEX", "_deletedz", "_pruned", "projects", "_", "-", "usual"}
    first, second = new_store(), new_store()
    for session_id in ids:
        first.sessions.create(session_id=session_id, title="t")
        first.messages.append(session_id, {"role": "user", "content": session_id})
        first.documents.put(session_id, {"ids": ["usual"]})
    export_directory(first, tmp_path / "out")
    report = import_directory(second, tmp_path / "out")
    assert {item.path for item in report.items if item.outcome != "imported"} == {"sessions/_index.json"}
    assert all(item.notes == [] for item in report.items)
    assert {record.session_id for record in second.sessions.iterate()} == ids
    for session_id in ids:
        assert second.messages.read(session_id) == first.messages.read(session_id)
    export_directory(second, tmp_path / "again")
    assert _without_times(fingerprint(tmp_path / "out")) == _without_times(fingerprint(tmp_path / "again"))


# ── The WebUI reads it ────────────────────────────────────────────────────────────────────────────


def test_the_webui_loads_all_sessions_and_their_list(store: Store, state: StateDir, tmp_path: Path) -> None:
    for data in (OLD, SPEC, NEW):
        state.write(f"{data['session_id']}.json", data)
    state.session("blank", title="Untitled")
    state.session("half", "lone \ud83d", title="lone \udc00")
    state.session("deleted", "hi")
    state.projects([{"project_id": "9a9a9a9a9a9a", "name": "Ünter 🚀", "color": "#7aa2f7", "profile": "work"}])
    import_directory(store, state.root)
    store.sessions.delete("deleted")
    export_directory(store, tmp_path / "out")
    ids = {"01d000000001", "5bec00000001", "0e0000000001", "blank", "half"}
    assert webui.session_ids(tmp_path / "out") == ids
    loaded = {session_id: webui.load(tmp_path / "out", session_id) for session_id in ids}
    assert loaded["half"]["messages"] == ["lone \ud83d"]
    rows = {row["session_id"]: row for row in webui.index(tmp_path / "out")}
    assert rows.keys() == ids
    for session_id, row in rows.items():
        assert row["message_count"] == len(loaded[session_id]["messages"])
        assert row["is_streaming"] is False
        assert {key: row[key] for key in row.keys() & DEFAULTS.keys()} == {
            key: loaded[session_id][key] for key in row.keys() & DEFAULTS.keys()
        }
    assert [project["name"] for project in webui.projects(tmp_path / "out")] == ["Ünter 🚀"]


def test_session_without_a_workspace_loads_in_the_webui(sqlite_store: Store, tmp_path: Path) -> None:
    session_id = sqlite_store.sessions.create(title="Made here").session_id
    export_directory(sqlite_store, tmp_path / "out")
    assert webui.load(tmp_path / "out", session_id)["title"] == "Made here"


def test_the_index_is_sorted_by_the_last_writes(sqlite_store: Store, tmp_path: Path) -> None:
    for number, pinned in enumerate([True, False, True, False]):
        sqlite_store.sessions.create(session_id=f"s{number}", workspace="/", updated_at=1e9 + number, pinned=pinned)
    export_directory(sqlite_store, tmp_path / "out")
    assert [row["session_id"] for row in webui.index(tmp_path / "out")] == ["s3", "s2", "s1", "s0"]


def test_files_are_utf8_unless_surrogates_force_ascii(sqlite_store: Store, state: StateDir, tmp_path: Path) -> None:
    state.session("plain", *MESSAGES)
    state.session("half", "lone \ud83d", "测试")
    import_directory(sqlite_store, state.root)
    export_directory(sqlite_store, tmp_path / "out")
    plain, half = ((tmp_path / "out" / "sessions" / f"{name}.json").read_bytes() for name in ("plain", "half"))
    assert "你好 🚀" in plain.decode("utf-8")
    assert half.isascii()
    assert json.loads(half)["messages"] == ["lone \ud83d", "测试"]
    for path in (tmp_path / "out").rglob("*.json"):
        path.read_bytes().decode("utf-8")


def test_renamed_and_changed_sessions_are_exported_as_now(store: Store, state: StateDir, tmp_path: Path) -> None:
    counts = {"message_count": 1, "user_message_count": 9}
    state.session("a", "hi", title=["odd"], parent_session_id="b", project_id="gone", **counts)
    state.session("b", "hi")
    import_directory(store, state.root)
    store.sessions.update("a", title="Plain", parent_id=None, project_id=None)
    store.messages.append("a", {"role": "user"})
    store.sessions.change_id("a", "new")
    export_directory(store, tmp_path / "out")
    data = webui.load(tmp_path / "out", "new")
    assert (data["title"], data["project_id"]) == ("Plain", None)
    assert (data["message_count"], data["user_message_count"]) == (2, 1)
    assert "parent_session_id" not in data
    assert webui.session_ids(tmp_path / "out") == {"new", "b"}


# ── While others work ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_session_written_during_an_export_is_included(sqlite_store: Store, tmp_path: Path) -> None:
    with sqlite_store.transaction() as tx:
        ids = [tx.sessions.create(workspace="/", title="t", updated_at=1e9 + n).session_id for n in range(503)]

    def write(progress: ExportProgress) -> None:
        if progress.done == 1:
            sqlite_store.sessions.update(ids[0], title="Moved to the front of the list")

    report = export_directory(sqlite_store, tmp_path / "out", on_progress=write)
    assert webui.session_ids(tmp_path / "out") == set(ids)
    assert report.sessions == len(ids)


def test_a_session_renamed_during_an_export_is_exported(sqlite_store: Store, tmp_path: Path) -> None:
    for number in range(3):
        sqlite_store.sessions.create(session_id=f"s{number}", workspace="/", updated_at=1e9 - number)

    def rename(progress: ExportProgress) -> None:
        if progress.done == 1:
            sqlite_store.sessions.change_id("s2", "renamed")

    export_directory(sqlite_store, tmp_path / "out", on_progress=rename)
    assert webui.session_ids(tmp_path / "out") == {"s0", "s1", "renamed"}


def test_progress_counts_each_session_once(sqlite_store: Store, tmp_path: Path) -> None:
    ids = {sqlite_store.sessions.create().session_id for _ in range(5)}
    calls: list[ExportProgress] = []
    export_directory(sqlite_store, tmp_path / "out", on_progress=calls.append)
    assert [(call.done, call.total) for call in calls] == [(number, 5) for number in range(1, 6)]
    assert {call.session_id for call in calls} == ids


# ── Where it cannot be written ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["projects.json", "sessions/a.json", "sessions/_index.json", "shares/t.json"])
def test_exporting_over_existing_sessions_or_projects_is_refused(
    sqlite_store: Store, tmp_path: Path, name: str
) -> None:
    sqlite_store.sessions.create()
    target = tmp_path / "out"
    (target / "sessions").mkdir(parents=True)
    (target / "shares").mkdir()
    (target / name).write_bytes(b"[]")
    before = fingerprint(target)
    with pytest.raises(FilesError, match=r"has sessions, projects or shares already. Nothing was written"):
        export_directory(sqlite_store, target)
    assert fingerprint(target) == before


def test_exporting_into_a_hermes_home_is_refused(sqlite_store: Store, tmp_path: Path) -> None:
    sqlite_store.sessions.create()
    home = tmp_path / "home"
    (home / "sessions").mkdir(parents=True)
    (home / "state.db").write_bytes(b"")
    before = fingerprint(home)
    with pytest.raises(FilesError, match=r"is a Hermes home.*Nothing was written"):
        export_directory(sqlite_store, home)
    assert fingerprint(home) == before
    assert export_directory(sqlite_store, home / "written-again").sessions == 1


def test_a_place_with_something_else_is_fine(sqlite_store: Store, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "settings.json").write_bytes(b"{}")
    session_id = sqlite_store.sessions.create().session_id
    assert export_directory(sqlite_store, str(tmp_path / "out")).sessions == 1
    assert webui.session_ids(tmp_path / "out") == {session_id}


@pytest.mark.parametrize("target", ["file", "file/below", "x" * 300], ids=["a file", "below a file", "too long a name"])
def test_an_unwritable_place_is_named_in_the_error(sqlite_store: Store, tmp_path: Path, target: str) -> None:
    (tmp_path / "file").write_bytes(b"here")
    sqlite_store.sessions.create()
    with pytest.raises(FilesError, match="cannot be written"):
        export_directory(sqlite_store, tmp_path / target)
    assert (tmp_path / "file").read_bytes() == b"here"


def test_full_disk_is_an_error_without_partial_files(sqlite_path: Path, tmp_path: Path) -> None:
    with Store.open(sqlite_path, durability="normal") as store:
        for number in range(3):
            store.sessions.create(session_id=f"s{number}", workspace="/", updated_at=1e9 - number)
        store.messages.append("s1", "x" * 2_000_000)
    out = output(run_function(export_small, sqlite_path, tmp_path / "out", 1_500_000))
    name, message = json.loads(out)
    assert name == "FilesError"
    assert "cannot be written" in message
    for session_id in webui.session_ids(tmp_path / "out"):
        webui.load(tmp_path / "out", session_id)
    with Store.open(sqlite_path) as store:
        assert store.messages.count("s1") == 1
