"""``projects.json`` in all the shapes that it was ever found in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.files import export_directory, import_directory
from tests.support.json_values import nested_arrays
from tests.support.state_dir import StateDir, by_name, outcomes
from tests.support.webui import files as webui

PLAIN = {"project_id": "p", "name": "Plain", "color": "#7aa2f7", "created_at": 1777316700.5, "profile": "default"}


def _listed(store: Store, profile: str | None = None) -> list[str]:
    return [project.project_id for project in store.projects.list(profile=profile).items]


def test_a_project_is_imported_with_all_values(store: Store, state: StateDir, tmp_path: Path) -> None:
    full = {**PLAIN, "name": "Ünter 🚀 \ud83d", "profile": "work", "system": True, "later": {"deep": [None, 2**70]}}
    state.projects([full])
    (item,) = import_directory(store, state.root).items
    assert (item.path, item.outcome, item.id, item.notes) == ("projects.json#p", "imported", "p", [])
    project = store.projects.get("p")
    assert project.model_dump() == {
        **{key: full[key] for key in PLAIN},
        "position": 0,
        "extra": {"system": True, "later": {"deep": [None, 2**70]}},
        "session_count": 0,
    }
    export_directory(store, tmp_path / "out")
    assert webui.projects(tmp_path / "out") == [full]


def test_imported_projects_come_last_in_file_order(store: Store, state: StateDir) -> None:
    store.projects.create(name="Mine", project_id="mine")
    state.projects([{**PLAIN, "project_id": name} for name in ("c", "a", "b")])
    import_directory(store, state.root)
    assert _listed(store) == ["mine", "c", "a", "b"]


def test_an_export_keeps_the_order_across_profiles(store: Store, state: StateDir, tmp_path: Path) -> None:
    projects = [{**PLAIN, "project_id": name, "profile": profile} for name, profile in zip("cab", "xyx", strict=True)]
    state.projects(projects)
    import_directory(store, state.root)
    export_directory(store, tmp_path / "out")
    assert webui.projects(tmp_path / "out") == projects


# ── Profiles ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("profile", [None, "", 5, ["work"], "x" * 256])
def test_the_newest_session_gives_a_project_its_profile(store: Store, state: StateDir, profile: Any) -> None:
    state.projects([{**PLAIN, "profile": profile}, {**PLAIN, "project_id": "alone", "profile": profile}])
    state.session("a", "of none", profile="other")
    state.session("b", "hi", project_id="p", profile="work", age=60.0)
    state.session("c", "hi", project_id="p", profile="third", age=3600.0)
    items = by_name(import_directory(store, state.root))
    assert (store.projects.get("p").profile, store.projects.get("alone").profile) == ("work", "default")
    assert "it is in 'work'" in items["#p"].notes[-1]
    assert (store.sessions.get("b").project_id, store.sessions.get("c").project_id) == ("p", None)
    assert "its project p is not there (in profile 'third')" in items["c.json"].notes[0]


def test_a_project_keeps_its_own_profile(sqlite_store: Store, state: StateDir) -> None:
    state.projects([PLAIN])
    state.session("a", "hi", project_id="p", profile="work")
    import_directory(sqlite_store, state.root)
    assert sqlite_store.projects.get("p").profile == "default"
    assert sqlite_store.sessions.get("a").project_id is None


# ── Odd values ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize(
    "value", [None, True, 0, -1.5, 10**400, float("nan"), "", "x" * 200, "\ud83d" * 128, [], {"a": 1}]
)
@pytest.mark.parametrize("key", ["project_id", "name", "color", "created_at"])
def test_project_value_that_does_not_fit_is_kept(
    sqlite_store: Store, state: StateDir, tmp_path: Path, key: str, value: Any
) -> None:
    state.projects([{**PLAIN, key: value}])
    (item,) = import_directory(sqlite_store, state.root).items
    assert item.outcome == "imported"
    project = sqlite_store.projects.get(item.id or "")
    assert 1 <= len(project.name) <= 128
    assert project.color is None or project.color.startswith("#")
    assert isinstance(project.created_at, float)
    kept = {**project.model_dump(), **project.extra}
    assert json.dumps(kept[key]) == json.dumps(value) or kept[key] == value
    assert item.notes or value is None or kept[key] == getattr(project, key)
    export_directory(sqlite_store, tmp_path / "out")
    (exported,) = webui.projects(tmp_path / "out")
    assert json.dumps(exported[key]) == json.dumps(value) or exported[key] == value
    assert outcomes(import_directory(sqlite_store, state.root)) == {f"#{item.id}": "unchanged"}


def test_invalid_and_repeated_project_entries_are_reported(sqlite_store: Store, state: StateDir) -> None:
    state.projects([5, PLAIN, None, {**PLAIN, "name": "Again"}, {"name": "No id"}, {}, ["list"]])
    report = import_directory(sqlite_store, state.root)
    found = [(item.outcome.value, item.reason) for item in report.items]
    assert [outcome for outcome, _ in found] == [
        *("failed", "imported", "failed", "skipped", "failed"),
        *("imported", "imported"),  # without a profile: taken in last
    ]
    assert found[0][1] == "entry 0 is no project but 5"
    assert "names it twice" in found[3][1]
    assert sqlite_store.projects.get("p").name == "Plain"
    assert {project.name for project in sqlite_store.projects.list().items} == {"Plain", "No id", "Untitled"}


def test_an_invalid_project_entry_has_no_id(sqlite_store: Store, state: StateDir) -> None:
    state.projects([5, {**PLAIN, "project_id": "0"}])
    failed, imported = import_directory(sqlite_store, state.root).items
    assert (failed.outcome, failed.id) == ("failed", None)
    assert (imported.outcome, imported.id) == ("imported", "0")
    assert failed.path != imported.path


def test_a_name_nested_however_deep_stops_nothing(sqlite_store: Store, state: StateDir) -> None:
    state.session("a", "hi")
    state.projects(b'[{"project_id": "p", "name": ' + nested_arrays(3000) + b"}]")
    assert outcomes(import_directory(sqlite_store, state.root)) == {"#p": "imported", "a.json": "imported"}


@pytest.mark.parametrize("content", [b"", b'[{"name": "x"', b"\xff\xfe[", b"{}", b"5", b"null"])
def test_a_damaged_file_does_not_stop_the_sessions(sqlite_store: Store, state: StateDir, content: bytes) -> None:
    state.session("a", "hi", project_id="p")
    state.projects(content)
    report = import_directory(sqlite_store, state.root)
    (failed,) = report.failed
    assert (failed.path, failed.id) == ("projects.json", None)
    assert failed.reason
    assert by_name(report)["a.json"].outcome == "imported"
    state.projects([PLAIN])
    import_directory(sqlite_store, state.root)
    assert sqlite_store.sessions.get("a").project_id == "p"


# ── Again ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_project_deleted_in_the_store_stays_deleted(store: Store, state: StateDir) -> None:
    state.projects([PLAIN, {**PLAIN, "project_id": "q", "profile": None}])
    state.session("a", "hi", project_id="p")
    import_directory(store, state.root)
    store.projects.delete("p")
    store.projects.delete("q")
    for name in ("Plain", "Changed in the file"):
        state.projects([{**PLAIN, "name": name}, {**PLAIN, "project_id": "q", "name": name, "profile": None}])
        items = by_name(import_directory(store, state.root))
        assert {items["#p"].outcome.value, items["#q"].outcome.value} == {"skipped"}
        assert items["#p"].reason == items["#q"].reason == "it is deleted in the store"
        assert _listed(store) == []
    assert store.sessions.get("a").project_id is None


def test_a_change_in_the_file_alone_is_imported(store: Store, state: StateDir) -> None:
    state.projects([PLAIN, {**PLAIN, "project_id": "q", "profile": None, "color": "red"}])
    import_directory(store, state.root)
    changed = {**PLAIN, "name": "New", "color": "#fff", "more": 1}
    state.projects([changed, {**PLAIN, "project_id": "q", "profile": None, "color": "#000"}])
    assert outcomes(import_directory(store, state.root)) == {"#p": "updated", "#q": "updated"}
    project = store.projects.get("p")
    assert (project.name, project.color, project.extra) == ("New", "#fff", {"more": 1})
    assert (store.projects.get("q").color, store.projects.get("q").extra) == ("#000", {})
    assert outcomes(import_directory(store, state.root)) == {"#p": "unchanged", "#q": "unchanged"}


def test_a_change_in_the_store_alone_stays(sqlite_store: Store, state: StateDir) -> None:
    state.projects([PLAIN])
    import_directory(sqlite_store, state.root)
    sqlite_store.projects.rename("p", "Mine")
    for _ in range(2):
        assert outcomes(import_directory(sqlite_store, state.root)) == {"#p": "unchanged"}
        assert sqlite_store.projects.get("p").name == "Mine"


def test_conflicts_are_kept_and_reported_each_time(store: Store, state: StateDir) -> None:
    state.projects([PLAIN])
    import_directory(store, state.root)
    store.projects.rename("p", "Mine")
    state.projects([{**PLAIN, "name": "Theirs"}])
    for _ in range(2):
        (item,) = import_directory(store, state.root).items
        assert (item.outcome, store.projects.get("p").name) == ("conflict", "Mine")
        assert "was kept" in item.reason
    store.projects.rename("p", "Theirs")
    assert outcomes(import_directory(store, state.root)) == {"#p": "unchanged"}


def test_a_project_created_before_any_import_is_kept(sqlite_store: Store, state: StateDir) -> None:
    sqlite_store.projects.create(name="Mine", project_id="p")
    state.projects([PLAIN])
    (item,) = import_directory(sqlite_store, state.root).items
    assert (item.outcome, item.reason) == ("conflict", "the store's is not from this file; the store's was kept")
    assert sqlite_store.projects.get("p").name == "Mine"
