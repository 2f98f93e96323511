"""Every file of a state directory is taken in, or it is said why not; none is harmed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hermes_store import FilesError, InvalidInputError, Store
from hermes_store.files import ImportProgress, import_directory
from tests.support.json_values import nested_arrays
from tests.support.state_dir import MESSAGES, NEW, OLD, SPEC, StateDir, by_name, fingerprint, outcomes
from tests.support.upgrading import rows

#: In the columns of the list; all else is in documents.
COLUMNS = {key for key in SPEC if key not in {"messages", "tool_calls", "pending_user_message", "pending_attachments"}}


@pytest.mark.slow
@pytest.mark.parametrize("data", [OLD, SPEC, NEW], ids=["v0.1.0", "specification", "newest"])
def test_every_format_is_imported_without_notes(store: Store, state: StateDir, data: dict[str, Any]) -> None:
    profile = data.get("profile", "default")
    state.projects([{"project_id": "9a9a9a9a9a9a", "name": "P", "profile": profile, "created_at": 1.0}])
    state.write(f"{data['session_id']}.json", data)
    (item, _) = import_directory(store, state.root).items
    assert (item.outcome, item.id, item.messages) == ("imported", data["session_id"], 2)
    assert (item.reason, item.notes) == ("", [])
    record = store.sessions.get(data["session_id"]).model_dump()
    assert {key: record[key] for key in COLUMNS & data.keys()} == {key: data[key] for key in COLUMNS & data.keys()}
    assert store.messages.read(data["session_id"]) == data["messages"]
    others = {
        key: value for key, value in data.items() if key not in COLUMNS and key not in {"messages"} and value != []
    }
    assert store.documents.read(data["session_id"]) == others


def test_the_source_and_last_message_time_are_found(sqlite_store: Store, state: StateDir) -> None:
    tool = {"role": "tool", "timestamp": 1778458299.0}
    state.session("a", *MESSAGES, tool, {"no": "time"}, raw_source="telegram", session_source="messaging")
    import_directory(sqlite_store, state.root)
    record = sqlite_store.sessions.get("a")
    assert (record.source, record.last_message_at, record.message_count) == ("telegram", 1778458299.0, 4)
    assert record.last_activity_at == 1778458283.5


def test_a_message_may_be_any_json_value(store: Store, state: StateDir) -> None:
    text = (
        b'{"session_id": "a", "title": "t", "created_at": 1, "updated_at": 2, "messages": [null, true, 0, -0.0, 1e400,'
        b' NaN, 123456789012345678901234567890, "", "lone \\ud83d", "nul \\u0000", [], [[{}]], {}, {"": {"role": 5}},'
        b' {"role": ["list"], "timestamp": "never", "content": null}, ' + nested_arrays(3000) + b"]}"
    )
    state.write("a.json", text)
    assert outcomes(import_directory(store, state.root)) == {"a.json": "imported"}
    messages = store.messages.read("a")
    assert json.dumps(messages[:-1]) == json.dumps(
        json.loads(text.replace(b", " + nested_arrays(3000), b""))["messages"]
    )
    depth, value = 0, messages[-1]
    while value:
        depth, value = depth + 1, value[0]
    assert depth + 1 == 3000


NOT_SESSIONS = {
    "_index.tmp.12.34": "unfinished write",
    "a.bak": "not a JSON file",
    "a.json.bak.tmp.1": "unfinished write",
    "a.tmp.4242.140000": "unfinished write",
    "notes.txt": "not a JSON file",
    "UPPER.JSON": "not a JSON file",
    "queue.json": "not a regular file",
}


def test_folders_next_to_the_sessions_are_named(sqlite_store: Store, state: StateDir) -> None:
    state.session("a", "hi")
    (state.root / "media_snapshots").mkdir()
    (state.root / "media_snapshots" / "picture").write_bytes(b"")
    (state.root / "attachments").write_bytes(b"a file")
    for _ in range(2):
        items = {item.path: item for item in import_directory(sqlite_store, state.root).items}
        assert items.keys() == {"sessions/a.json", "media_snapshots"}
        assert (items["media_snapshots"].outcome, items["media_snapshots"].reason) == (
            "skipped",
            "a folder of 1 file: pictures, which messages refer to",
        )
    assert "media_snapshots" in {record.path for record in sqlite_store.imports.records()}


def test_files_without_a_session_are_skipped_with_reasons(sqlite_store: Store, state: StateDir) -> None:
    state.session("a", "hi")
    for name in NOT_SESSIONS:
        state.write(name, SPEC)
    (state.sessions / "queue.json").unlink()
    os.mkfifo(state.sessions / "queue.json")  # opening it would wait for ever
    for folder in ("_run_journal", "folder.json"):
        (state.sessions / folder).mkdir()
        (state.sessions / folder / "b.json").write_bytes(b"{}")
    (state.sessions / "link-to-folder").symlink_to(state.sessions / "_run_journal")
    items = by_name(import_directory(sqlite_store, state.root))
    assert items.pop("a.json").outcome == "imported"
    folders = {name: items.pop(name).reason for name in ("_run_journal", "folder.json", "link-to-folder")}
    assert folders == {
        "_run_journal": "a folder of 1 file: the WebUI's records of runs",
        "folder.json": "a folder of 1 file: no sessions of hermes-webui",
        "link-to-folder": "a folder of 1 file: no sessions of hermes-webui",
    }
    assert items.keys() == NOT_SESSIONS.keys()
    for name, item in items.items():
        assert (item.outcome, item.id) == ("skipped", None)
        assert NOT_SESSIONS[name] in item.reason
    assert [record.session_id for record in sqlite_store.sessions.iterate()] == ["a"]


def test_link_is_followed_and_a_broken_one_reported(sqlite_store: Store, state: StateDir) -> None:
    elsewhere = state.root / "elsewhere"
    elsewhere.write_text(json.dumps({**OLD, "session_id": "linked"}))
    (state.sessions / "linked.json").symlink_to(elsewhere)
    (state.sessions / "nowhere.json").symlink_to(state.root / "missing")
    items = by_name(import_directory(sqlite_store, state.root))
    assert items["linked.json"].outcome == "imported"
    assert items["nowhere.json"].outcome == "failed"
    assert "cannot be read: No such file" in items["nowhere.json"].reason


def test_a_link_to_itself_stops_no_other_file(sqlite_store: Store, state: StateDir) -> None:
    state.session("a")
    (state.sessions / "circle.json").symlink_to(state.sessions / "circle.json")
    assert outcomes(import_directory(sqlite_store, state.root)) == {"a.json": "imported", "circle.json": "failed"}


def test_file_name_that_is_not_utf8_is_ordinary(store: Store, state: StateDir) -> None:
    path = os.path.join(os.fsencode(state.sessions), b"caf\xe9.json")  # noqa: PTH118 - a Path cannot say it
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(json.dumps({**OLD, "session_id": "cafe"}).encode())
    (item,) = import_directory(store, state.root).items
    assert (item.outcome, item.id) == ("imported", "cafe")
    (again,) = import_directory(store, state.root).items
    assert (again.outcome, again.id) == ("unchanged", "cafe")


# ── Lists of deleted sessions ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("as_file", [lambda ids: {"version": 1, "ids": ids}, list], ids=["object", "list"])
def test_empty_sessions_deleted_by_the_webui_are_skipped(sqlite_store: Store, state: StateDir, as_file: Any) -> None:
    for session_id in ("kept", "deleted", "pruned"):
        state.session(session_id)
    state.write("torn.json", b'{"session_id": "torn"')
    state.write("_deleted_webui_sessions.json", as_file(["deleted", 5, None, "torn"]))
    state.write("_pruned_webui_orphans.json", as_file(["pruned"]))
    items = by_name(import_directory(sqlite_store, state.root))
    assert items["deleted.json"].reason.startswith("it was deleted (listed in _deleted_webui_sessions.json)")
    assert items["pruned.json"].reason.startswith("it was deleted (listed in _pruned_webui_orphans.json)")
    assert items["torn.json"].reason.startswith("it was deleted (listed in _deleted_webui_sessions.json)")
    assert {items[f"{name}.json"].outcome for name in ("deleted", "pruned", "torn")} == {"skipped"}
    assert [record.session_id for record in sqlite_store.sessions.iterate(include_empty=True)] == ["kept"]


@pytest.mark.parametrize("name", ["_deleted_webui_sessions.json", "_pruned_webui_orphans.json"])
def test_a_file_with_messages_overrides_a_deletion_list(sqlite_store: Store, state: StateDir, name: str) -> None:
    state.session("a", "hi")
    state.write("b.json", (state.sessions / "a.json").read_bytes()[:-20])
    state.write(name, {"version": 1, "ids": ["a", "b"]})
    items = by_name(import_directory(sqlite_store, state.root))
    assert (items["a.json"].outcome, items["b.json"].outcome) == ("imported", "recovered")
    for key in ("a.json", "b.json"):
        assert any(f"listed in {name} as deleted" in note for note in items[key].notes)
    assert outcomes(import_directory(sqlite_store, state.root))["a.json"] == "unchanged"
    sqlite_store.sessions.delete("a")
    assert by_name(import_directory(sqlite_store, state.root))["a.json"].outcome == "skipped"


# ── Content decides ───────────────────────────────────────────────────────────────────────────────

LIKE_OTHER_FILES = ["_x", "_anything", "sessions", "session_1", "session_20260401", "_deletedz", "_pruned", "projects"]


@pytest.mark.parametrize("damaged", [False, True])
def test_a_session_is_recognised_by_its_content(sqlite_store: Store, state: StateDir, damaged: bool) -> None:
    for name in LIKE_OTHER_FILES:
        path = state.session(name, "hi", ids=["a"])
        if damaged:
            state.write(path.name, path.read_bytes()[:-25])
    state.session("a", "hi")
    items = by_name(import_directory(sqlite_store, state.root))
    assert items.pop("a.json").outcome == "imported"
    assert {item.outcome.value for item in items.values()} == {"recovered" if damaged else "imported"}
    assert {record.session_id for record in sqlite_store.sessions.iterate()} == {*LIKE_OTHER_FILES, "a"}


OTHER_FILES: dict[str, Any] = {
    "_index.json": ([{"session_id": "a", "title": "t", "message_count": 1}], "WebUI's own"),
    "_other.json": ({"version": 2}, "WebUI's own"),
    "_deleted_webui_sessions.json": ({"version": 1, "ids": ["gone"]}, "WebUI's own"),
    "sessions.json": ({"agent:main:cli": {"session_key": "k", "session_id": "a"}}, "agent's"),
    "session_20260401.json": (
        {
            "session_id": "20260401",
            "model": "m",
            "session_start": "2026-04-01T10:00:00",
            "messages": [{"role": "user"}],
        },
        "agent's",
    ),
}


def test_other_files_are_skipped_with_their_owner_named(sqlite_store: Store, state: StateDir) -> None:
    for name, (content, _) in OTHER_FILES.items():
        state.write(name, content)
    items = by_name(import_directory(sqlite_store, state.root))
    for name, (_, whose) in OTHER_FILES.items():
        assert (items[name].outcome, items[name].id) == ("skipped", None)
        assert whose in items[name].reason
    assert sqlite_store.sessions.count(include_empty=True) == 0


@pytest.mark.parametrize("damage", [b'{"version": 1, "ids": ["de', b"\xff\xfe{", b"5", b'{"ids": {}}'])
def test_a_damaged_list_of_deleted_sessions_is_reported(sqlite_store: Store, state: StateDir, damage: bytes) -> None:
    state.session("a")
    state.write("_deleted_webui_sessions.json", damage)
    report = import_directory(sqlite_store, state.root)
    (failed,) = report.failed
    assert "_deleted_webui_sessions.json" in failed.reason
    assert "some may come back" in failed.reason
    assert by_name(report)["a.json"].outcome == "imported"


@pytest.mark.parametrize("damaged", ["_deleted_webui_sessions.json", "_pruned_webui_orphans.json"])
def test_a_damaged_deletion_list_leaves_the_other_valid(sqlite_store: Store, state: StateDir, damaged: str) -> None:
    for name in ("_deleted_webui_sessions.json", "_pruned_webui_orphans.json"):
        state.write(name, {"ids": ["gone"]})
    state.write(damaged, b'{"ids": [')
    state.session("gone")
    report = import_directory(sqlite_store, state.root)
    assert by_name(report)["gone.json"].outcome == "skipped"
    assert len(report.failed) == 1


# ── Where ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_hermes_home_is_entered_without_agent_sessions(sqlite_store: Store, tmp_path: Path) -> None:
    home = tmp_path / "home"
    state = StateDir(home / "webui")
    state.session("webui")
    (home / "sessions").mkdir()
    (home / "sessions" / "agent.json").write_text(json.dumps(OLD))
    report = import_directory(sqlite_store, home)
    assert outcomes(report) == {"webui.json": "imported"}
    assert report.source == str(state.root)


def test_the_sessions_folder_itself_may_be_named(sqlite_store: Store, state: StateDir) -> None:
    state.projects([])
    state.session("a")
    assert import_directory(sqlite_store, str(state.sessions)).source == str(state.root)


@pytest.mark.parametrize("make", [lambda path: None, Path.mkdir, Path.touch], ids=["nothing", "empty", "a file"])
def test_a_path_without_a_state_directory_is_refused(sqlite_store: Store, tmp_path: Path, make: Any) -> None:
    make(tmp_path / "here")
    with pytest.raises(FilesError, match=r"here is no state directory"):
        import_directory(sqlite_store, tmp_path / "here")


def test_the_home_of_an_unknown_user_is_refused(sqlite_store: Store) -> None:
    with pytest.raises(FilesError):
        import_directory(sqlite_store, "~no-such-user/webui")


def test_a_preference_that_there_is_not_is_refused(sqlite_store: Store, state: StateDir) -> None:
    with pytest.raises(InvalidInputError, match="prefer"):
        import_directory(sqlite_store, state.root, prefer="newest")  # type: ignore[arg-type]


def test_an_empty_state_directory_is_imported_as_nothing(sqlite_store: Store, state: StateDir) -> None:
    assert import_directory(sqlite_store, state.root).items == []


# ── Names ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "inner", "expected"),
    [
        ("one", "two", "one"),
        ("one", None, "one"),
        ("one", 5, "one"),
        ("one", "../../etc/passwd", "one"),
        ("with space", "inner", "inner"),
        ("dot.ted", "inner", "inner"),
        ("x" * 129, "inner", "inner"),
        ("übung", "inner", "inner"),
        ("with space", "taken", None),
        ("with space", "in valid", None),
        ("with space", None, None),
        ("with space", ["list"], None),
        ("", "in/valid", None),
    ],
)
def test_file_name_is_the_id_and_differences_noted(
    sqlite_store: Store, state: StateDir, name: str, inner: Any, expected: str | None
) -> None:
    state.session("taken", "of another file")
    state.write(f"{name}.json", {**OLD, "session_id": inner})
    item = by_name(import_directory(sqlite_store, state.root))[f"{name}.json"]
    assert item.outcome == "imported"
    assert any("name" in note for note in item.notes)
    assert item.id == (expected or item.id)
    assert item.id not in (None, "taken")
    assert sqlite_store.messages.read(item.id) == OLD["messages"]
    assert sqlite_store.messages.read("taken") == ["of another file"]
    again = by_name(import_directory(sqlite_store, state.root))[f"{name}.json"]
    assert (again.outcome, again.id) == ("unchanged", item.id)


@pytest.mark.parametrize("key", ["session_id", "compression_anchor_message_key", "title", "tool_calls", "unknown"])
def test_a_value_nested_however_deep_stops_nothing(sqlite_store: Store, state: StateDir, key: str) -> None:
    state.write(
        "deep.json", b'{"title": "t", "created_at": 1, "updated_at": 2, "%s": %s}' % (key.encode(), nested_arrays(1900))
    )
    state.session("a")
    assert outcomes(import_directory(sqlite_store, state.root)) == {"a.json": "imported", "deep.json": "imported"}
    moved = state.root.rename(state.root.with_name("moved"))
    assert outcomes(import_directory(sqlite_store, moved)) == {"a.json": "unchanged", "deep.json": "unchanged"}


# ── The source is only read ───────────────────────────────────────────────────────────────────────


def _mixture(state: StateDir) -> None:
    for data in (OLD, SPEC, NEW):
        state.write(f"{data['session_id']}.json", data)
    state.projects([{"project_id": "9a9a9a9a9a9a", "name": "P", "profile": "work"}, {"project_id": "e", "name": ""}, 5])
    state.session("null", title=None, workspace=None, messages=None, created_at=None, updated_at=None)
    state.session("parent", "hi")
    state.session("child", "hi", parent_session_id="parent")
    state.session("deleted")
    state.write("_deleted_webui_sessions.json", {"ids": ["deleted"]})
    state.session("wrong", "hi", title=["a", "list"], estimated_cost=float("nan"), created_at="long ago", pinned="yes")
    whole = (state.sessions / "wrong.json").read_bytes()
    state.write("torn.json", whole[:-60])
    state.write("backed.json", whole[:100])
    state.write("backed.json.bak", whole)
    state.write("empty.json", b"")
    state.write("list.json", [])
    state.write("latin.json", '{"title": "é"}'.encode("latin-1"))
    state.write("bad name.json", OLD)
    state.write("notes.txt", b"hello")
    (state.sessions / "nowhere.json").symlink_to("missing")


EXPECTED_OF_MIXTURE = {
    "01d000000001.json": "imported",
    "5bec00000001.json": "imported",
    "0e0000000001.json": "imported",
    "null.json": "imported",
    "parent.json": "imported",
    "child.json": "imported",
    "deleted.json": "skipped",
    "_deleted_webui_sessions.json": "skipped",
    "wrong.json": "imported",
    "torn.json": "recovered",
    "backed.json": "recovered",
    "backed.json.bak": "unchanged",
    "empty.json": "failed",
    "list.json": "failed",
    "latin.json": "recovered",
    "bad name.json": "imported",
    "notes.txt": "skipped",
    "nowhere.json": "failed",
    "#9a9a9a9a9a9a": "imported",
    "#e": "imported",
    "[2]": "failed",
}


def test_each_file_has_one_outcome_and_is_unchanged(store: Store, state: StateDir) -> None:
    _mixture(state)
    before = fingerprint(state.root)
    report = import_directory(store, state.root)
    assert outcomes(report) == EXPECTED_OF_MIXTURE
    assert {item.kind.value for item in report.items if item.path.startswith("sessions/")} == {"session"}
    assert {item.kind.value for item in report.items if item.path.startswith("projects.json")} == {"project"}
    assert sum(report.counts.values()) == len(report.items)
    assert {item.path for item in report.failed} == {i.path for i in report.items if i.outcome == "failed"}
    for item in report.items:
        assert bool(item.reason) == (item.outcome not in ("imported", "updated", "unchanged")), item
    import_directory(store, state.root)
    assert fingerprint(state.root) == before


def test_the_files_that_changed_last_come_first(sqlite_store: Store, state: StateDir) -> None:
    for name, age in (("a", 3600.0), ("b", 60.0), ("c", 86_400.0)):
        state.session(name, "hi", age=age)
    calls: list[ImportProgress] = []
    report = import_directory(sqlite_store, state.root, on_progress=calls.append)
    assert [call.path for call in calls] == ["sessions/b.json", "sessions/a.json", "sessions/c.json"]
    assert [item.path for item in report.items] == ["sessions/a.json", "sessions/b.json", "sessions/c.json"]


def test_progress_counts_every_file_and_matches_the_report(sqlite_store: Store, state: StateDir) -> None:
    _mixture(state)
    for number in range(300):  # more than one transaction takes in
        state.session(f"s{number}", "hi")
    calls: list[ImportProgress] = []
    report = import_directory(sqlite_store, state.root, on_progress=calls.append)
    files = [item for item in report.items if item.path.startswith("sessions/")]
    assert len(files) == len(list(state.sessions.iterdir()))
    assert [call.done for call in calls] == [*range(1, len(files) + 1)]
    assert {call.total for call in calls} == {len(files)}
    assert sorted(call.path for call in calls) == sorted(item.path for item in files)
    for call in calls:
        assert sum(call.counts.values()) == call.done
    last = calls[-1].counts
    assert last == {outcome: sum(item.outcome == outcome for item in files) for outcome in last}
    assert sum(last.values()) == len(files)


def test_a_session_kept_at_a_compression_counts_once(store: Store, state: StateDir) -> None:
    state.session("old", "a", "b", input_tokens=100, cache_read_tokens=40)
    import_directory(store, state.root)
    [total] = store.usage.totals()
    assert (total.input_tokens, total.cache_read_tokens) == (100, 40)
    state.session("old", "a", "b", input_tokens=100, cache_read_tokens=40, pre_compression_snapshot=True, age=60.0)
    state.session("new", "summary", input_tokens=130, cache_read_tokens=50, parent_session_id="old")
    import_directory(store, state.root)
    [total] = store.usage.totals("session")
    assert (total.session, total.input_tokens, total.cache_read_tokens) == ("new", 130, 50)
    assert store.sessions.get("old").input_tokens == 100


def test_tokens_of_caches_count_once(store: Store, state: StateDir) -> None:
    state.session("a", "x", model="m", input_tokens=100, cache_read_tokens=40, cache_write_tokens=7, age=90.0)
    state.session("b", "x", cache_read_tokens=5)
    state.session("odd", "x", cache_read_tokens="many", cache_write_tokens=-3)
    for _ in range(2):
        import_directory(store, state.root)
    state.session("a", "x", "y", model="m", input_tokens=120, cache_read_tokens=55, cache_write_tokens=2, age=60.0)
    import_directory(store, state.root)
    names = ("model", "input_tokens", "cache_read_tokens", "cache_write_tokens")
    rows = [tuple(getattr(one, name) for name in names) for one in store.usage.list("a").items]
    assert sorted(rows) == [("m", 20, 15, 0), ("m", 100, 40, 7)]
    [total] = store.usage.totals()
    assert (total.input_tokens, total.cache_read_tokens, total.cache_write_tokens, total.records) == (120, 60, 7, 3)
    assert store.documents.read("a")["cache_write_tokens"] == 2


def test_a_large_import_updates_postgresqls_table_statistics(postgres_url: str, state: StateDir) -> None:
    for number in range(120):
        state.session(f"s{number:03}", "hello")
    with Store.open(postgres_url) as store:
        import_directory(store, state.root)
        assert rows(postgres_url, "SELECT reltuples FROM pg_class WHERE oid = 'sessions'::regclass") == [(120.0,)]
