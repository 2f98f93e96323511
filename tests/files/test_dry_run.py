"""A dry run says what a real one would do, and writes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.files import ImportReport, import_directory
from tests.support.state_dir import NEW, OLD, SPEC, StateDir, as_json, fingerprint, outcomes, session
from tests.support.tables import all_rows


def _formats(state: StateDir) -> None:
    for data in (OLD, SPEC, {**NEW, "profile": "work"}):
        state.write(f"{data['session_id']}.json", data)
    state.projects([{"project_id": "9a9a9a9a9a9a", "name": "P", "profile": "work"}])


def _damage(state: StateDir) -> None:
    state.write("torn.json", b'{"title": "t", "created_at": 5, "messages": ["a", "b')
    state.write("empty.json", b"")
    state.write("queer.json", {"title": 5, "updated_at": "never"})
    state.projects(b"[{")


def _project_of_a_profile(state: StateDir) -> None:
    state.projects([{"project_id": "p", "name": "Named by its session"}, {"project_id": "q", "name": "Nobody's"}])
    state.session("a", project_id="p", profile="work")


def _unknown_project(state: StateDir) -> None:
    state.session("a", project_id="nobodys")


def _project_of_another_profile(state: StateDir) -> None:
    state.projects([{"project_id": "p", "name": "P", "profile": "work"}])
    state.session("a", project_id="p")


def _two_files_of_one_session(state: StateDir) -> None:
    for name in ("first copy.json", "second copy.json"):
        state.write(name, session("same", name))


def _deleted_by_the_webui(state: StateDir) -> None:
    state.session("a")
    state.write("_deleted_webui_sessions.json", {"ids": ["a"]})


SCENES = [
    _formats,
    _damage,
    _project_of_a_profile,
    _unknown_project,
    _project_of_another_profile,
    _two_files_of_one_session,
    _deleted_by_the_webui,
]


def _items(report: ImportReport) -> list[dict[str, Any]]:
    return [item.model_dump() for item in report.items]


def _compare(store: Store, state: StateDir, **options: Any) -> ImportReport:
    """Import twice, the first time dry; require that nothing but the report came of that."""
    before, files = all_rows(store), fingerprint(state.root)
    dry = import_directory(store, state.root, dry_run=True, **options)
    assert all_rows(store) == before
    assert fingerprint(state.root) == files
    real = import_directory(store, state.root, **options)
    assert (dry.dry_run, real.dry_run) == (True, False)
    assert _items(dry) == _items(real)
    return real


@pytest.mark.slow
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__[1:])
def test_a_dry_run_predicts_the_real_runs_report(
    store: Store, state: StateDir, scene: Callable[[StateDir], None]
) -> None:
    scene(state)
    _compare(store, state)


@pytest.mark.parametrize("prefer", ["store", "files"])
def test_a_dry_run_reports_changes_conflicts_and_deletions(store: Store, state: StateDir, prefer: str) -> None:
    for session_id in ("same", "changed", "both", "deleted", "purged"):
        state.session(session_id, "first")
    state.projects([{"project_id": "p", "name": "P", "profile": "default"}])
    import_directory(store, state.root)
    store.messages.append("both", "here")
    store.sessions.delete("deleted")
    store.sessions.purge("purged")
    for session_id in ("changed", "both", "deleted", "purged"):
        state.session(session_id, "first", "second", age=1800)
    state.projects([{"project_id": "p", "name": "Q", "profile": "default"}])
    report = _compare(store, state, prefer=prefer)
    assert {item.id: item.outcome.value for item in report.items if item.id} == {
        "same": "unchanged",
        "changed": "updated",
        "both": {"store": "conflict", "files": "updated"}[prefer],
        "deleted": "skipped",
        "purged": "skipped",
        "p": "updated",
    }


def test_a_dry_run_finds_new_sessions_of_shares(store: Store, state: StateDir) -> None:
    state.session("first", "hi")
    path = state.root / "shares" / "token.json"
    path.parent.mkdir()
    path.write_bytes(as_json({"token": "token", "source_session_id": "later", "messages": [], "created_at": 5.0}))
    os.utime(path, (1.7e9, 1.7e9))
    assert outcomes(_compare(store, state)) == {"first.json": "imported", "shares/token.json": "skipped"}
    state.session("later", "hi")
    later = {"first.json": "unchanged", "later.json": "imported", "shares/token.json": "imported"}
    assert outcomes(_compare(store, state)) == later
    path.write_bytes(as_json({"token": "token", "source_session_id": "last", "messages": []}))
    state.session("last", "hi")
    later |= {"later.json": "unchanged", "last.json": "imported", "shares/token.json": "conflict"}
    assert outcomes(_compare(store, state)) == later


def test_a_dry_run_works_where_writing_is_forbidden(sqlite_path: Any, state: StateDir) -> None:
    _formats(state)
    with Store.open(sqlite_path, read_only=True) as store:
        report = import_directory(store, state.root, dry_run=True)
    assert {item.outcome.value for item in report.items} == {"imported"}
