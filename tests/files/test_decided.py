"""What was decided about a file is known to the next import, which looks at the folder and writes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.files import ImportReport, import_directory, parsing, reading
from tests.support.state_dir import StateDir
from tests.support.statements import commits, executed

MESSAGE = {"role": "user", "content": "hi"}


@pytest.fixture
def state(sqlite_store: Store, state: StateDir) -> StateDir:
    """A folder of which an import made something else of nearly every file, and that import is done."""
    state.projects([{"project_id": "p", "name": "P"}, {"project_id": "p", "name": "twice"}, "no project"])
    state.session("good", MESSAGE)
    state.session("in project", MESSAGE, project_id="p")
    state.session("orphan", MESSAGE, parent_session_id="nowhere")
    state.session("homeless", MESSAGE, project_id="nowhere")
    state.session("conflict", MESSAGE)
    state.session("trash", MESSAGE)
    state.write("failed.json", b"no JSON at all")
    state.write("torn.json", b'{"session_id": "torn", "messages": [{"role": "user"}, {"ro')
    state.write("notes.txt", b"notes")
    state.write("gone.json", {"session_id": "gone", "messages": []})
    state.write("_deleted_webui_sessions.json", {"version": 1, "ids": ["gone"]})
    (state.sessions / "nowhere.json").symlink_to(state.root / "missing")
    (state.sessions / "folder").mkdir()
    sqlite_store.sessions.create(session_id="conflict", title="Another")
    sqlite_store.sessions.create(session_id="trash")
    sqlite_store.sessions.delete("trash")
    import_directory(sqlite_store, state.root)
    return state


def outcomes(report: ImportReport) -> dict[str, str]:
    return {item.path.removeprefix("sessions/"): item.outcome.value for item in report.items}


def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the session files that are read from now on."""
    read: list[str] = []
    original = reading.read_session

    def noted(path: Path, **arguments: Any) -> Any:
        read.append(path.name)
        return original(path, **arguments)

    monkeypatch.setattr(parsing, "read_session", noted)
    return read


def test_a_second_import_reads_and_writes_nothing(
    sqlite_store: Store, sqlite_path: Path, state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = import_directory(sqlite_store, state.root, dry_run=True)
    expected = {"conflict", "failed", "skipped", "unchanged"}
    assert {item.outcome.value for item in first.items} == expected
    read = reads(monkeypatch)
    log = sqlite_path.with_name(f"{sqlite_path.name}-wal")
    before = (sqlite_path.read_bytes(), log.read_bytes())
    reports: list[ImportReport] = []
    assert commits(sqlite_store, lambda: reports.append(import_directory(sqlite_store, state.root))) == 0
    assert read == []
    assert (sqlite_path.read_bytes(), log.read_bytes()) == before
    [report] = reports
    assert report.items == first.items


def changed_in_the_store(store: Store, state: StateDir) -> dict[str, str]:
    store.sessions.update("conflict", title="Session conflict", workspace="/home/u", model="m")
    return {}


def restored(store: Store, state: StateDir) -> dict[str, str]:
    store.sessions.restore("trash")
    return {"trash.json": "conflict"}


def purged(store: Store, state: StateDir) -> dict[str, str]:
    store.sessions.purge("conflict")
    return {"conflict.json": "skipped"}


def mended(store: Store, state: StateDir) -> dict[str, str]:
    state.session("failed", MESSAGE)
    return {"failed.json": "imported"}


def off_the_list(store: Store, state: StateDir) -> dict[str, str]:
    state.write("_deleted_webui_sessions.json", {"version": 1, "ids": []})
    return {"gone.json": "imported"}


def linked(store: Store, state: StateDir) -> dict[str, str]:
    (state.root / "missing").write_bytes(b'{"messages": [1]}')
    return {"nowhere.json": "imported"}


def backed_up(store: Store, state: StateDir) -> dict[str, str]:
    state.write("failed.json.bak", {"session_id": "failed", "messages": [MESSAGE]})
    return {"failed.json": "recovered", "failed.json.bak": "unchanged"}


CHANGES: list[Callable[[Store, StateDir], dict[str, str]]] = [
    *(changed_in_the_store, restored, purged, mended, off_the_list, linked, backed_up),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_changed_is_decided_anew(
    sqlite_store: Store, state: StateDir, change: Callable[[Store, StateDir], dict[str, str]]
) -> None:
    before = outcomes(import_directory(sqlite_store, state.root))
    expected = change(sqlite_store, state)
    assert {**before, **expected} == outcomes(import_directory(sqlite_store, state.root))


def test_other_arguments_are_decided_anew(sqlite_store: Store, state: StateDir) -> None:
    report = outcomes(import_directory(sqlite_store, state.root, prefer="files"))
    assert report["conflict.json"] == "updated"
    state.session("large", "x" * 5000)
    assert outcomes(import_directory(sqlite_store, state.root, max_file_size=1000))["large.json"] == "failed"
    assert outcomes(import_directory(sqlite_store, state.root))["large.json"] == "imported"


def test_other_rules_are_decided_anew(sqlite_store: Store, state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hermes_store.files.decided.RULES", 10**6)
    read = reads(monkeypatch)
    import_directory(sqlite_store, state.root)
    assert {"failed.json", "conflict.json"} <= set(read)
    read.clear()
    import_directory(sqlite_store, state.root)
    assert read == []


def test_a_file_rewritten_at_once_is_read_again(
    sqlite_store: Store, state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = state.sessions / "failed.json"
    path.write_bytes(b"no JSON now...")
    import_directory(sqlite_store, state.root)
    status = path.stat()
    path.write_bytes(b'{"messages":1}')
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    read = reads(monkeypatch)
    import_directory(sqlite_store, state.root)
    assert "failed.json" in read


def test_a_changed_file_with_equal_time_is_reread(sqlite_store: Store, state: StateDir) -> None:
    path = state.sessions / "good.json"
    status = path.stat()
    changed = path.read_bytes().replace(b'"hi"', b'"ho"')
    path.write_bytes(changed)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert outcomes(import_directory(sqlite_store, state.root))["good.json"] == "updated"
    assert sqlite_store.messages.read("good") == [{"role": "user", "content": "ho"}]


def test_a_file_of_the_future_is_read_once(
    sqlite_store: Store, state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = 4e9
    for name in ("good.json", "failed.json"):
        os.utime(state.sessions / name, (ahead, ahead))
    # Its other time, which no program can set, is that of now.
    monkeypatch.setattr("hermes_store.files.directory._RACY_NS", -(10**12))
    import_directory(sqlite_store, state.root)
    read = reads(monkeypatch)
    assert commits(sqlite_store, lambda: import_directory(sqlite_store, state.root)) == 0
    assert read == []


def test_links_to_nowhere_cost_few_statements(sqlite_store: Store, state: StateDir) -> None:
    for number in range(50):
        state.session(f"a{number}", MESSAGE, parent_session_id=f"n{number}", project_id=f"n{number}")
    import_directory(sqlite_store, state.root)
    few = len(executed(sqlite_store, lambda: import_directory(sqlite_store, state.root)))
    for number in range(50):
        state.session(f"b{number}", MESSAGE, parent_session_id=f"m{number}", project_id=f"m{number}")
    import_directory(sqlite_store, state.root)
    assert len(executed(sqlite_store, lambda: import_directory(sqlite_store, state.root))) == few


def test_parents_and_projects_that_come_later_are_linked(sqlite_store: Store, state: StateDir) -> None:
    state.session("nowhere", MESSAGE)
    state.projects([{"project_id": "nowhere", "name": "N"}])
    import_directory(sqlite_store, state.root)
    assert sqlite_store.sessions.get("orphan").parent_id == "nowhere"
    assert sqlite_store.sessions.get("homeless").project_id == "nowhere"
