"""An import that is killed, or that finds the disk full, leaves whole sessions; the next one does the rest."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hermes_store import DatabaseFullError, Store
from hermes_store.files import import_directory
from tests.support.contents import contents
from tests.support.import_programs import import_folder_and_be_killed
from tests.support.internals import configure_connections
from tests.support.processes import output, run_function
from tests.support.state_dir import StateDir, outcomes

pytestmark = pytest.mark.slow

FILES = 220  # more than one transaction takes in


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> StateDir:
    """A directory whose last sessions tell the profiles of projects, and are the parents of the first."""
    state = StateDir(tmp_path_factory.mktemp("source") / "webui")
    state.projects(
        [{"project_id": "late", "name": "Late"}, {"project_id": "p", "name": "P", "profile": "work", "created_at": 5.0}]
    )
    for number in range(FILES):
        messages = [{"n": n, "text": "x" * 2000, "timestamp": 1e9 + n} for n in range(1 + number % 3)]
        extra: dict[str, Any] = {
            "draft": {"n": number},
            "tool_calls": [{"n": number}],
            "parent_session_id": f"s{FILES - 1 - number:03}",
        }
        if number > FILES - 10:
            extra |= {"project_id": "late" if number % 2 else "p", "profile": "work"}
        state.session(f"s{number:03}", *messages, **extra)
    return state


@pytest.fixture(scope="module")
def uninterrupted(source: StateDir) -> dict[str, Any]:
    """What the store says after an import that nothing interrupted."""
    with Store.open(":memory:") as store:
        assert set(outcomes(import_directory(store, source.root)).values()) == {"imported"}
        return contents(store)


def _require_whole(path: Path) -> int:
    """Require that all sessions of a database file are whole, and return how many there are."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        rows = connection.execute(
            "SELECT s.session_id, s.message_count, count(m.id), count(b.message_id), "
            "(SELECT count(*) FROM session_documents d WHERE d.session_id = s.id), "
            "(SELECT group_concat(payload) FROM session_extras e WHERE e.session_id = s.id), "
            "(SELECT count(*) FROM import_items i WHERE i.session_id = s.id) "
            "FROM sessions s LEFT JOIN messages m ON m.session_id = s.id "
            "LEFT JOIN message_blobs b ON b.message_id = m.id GROUP BY s.id"
        ).fetchall()
    for session_id, message_count, messages, bodies, documents, extras, recorded in rows:
        number = int(session_id[1:])
        expected = 1 + number % 3
        assert (message_count, messages, bodies, documents, recorded) == (expected, expected, expected, 1, 1)
        assert json.loads(extras) == {"draft": {"n": number}, "tool_calls": [{"n": number}]}
    return len(rows)


@dataclass
class Cost:
    """What an import takes that nothing interrupts."""

    statements: int
    pages: int


@pytest.fixture(scope="module")
def cost(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, source: StateDir) -> Cost:
    path = shutil.copy(sqlite_template, tmp_path_factory.mktemp("cost") / "hermes.db")
    statements = int(output(run_function(import_folder_and_be_killed, path, source.root, 0)))
    with closing(sqlite3.connect(path)) as connection:
        return Cost(statements, connection.execute("PRAGMA page_count").fetchone()[0])


@pytest.mark.parametrize("share", [*(round(random.Random(seed).random(), 3) for seed in range(2)), 0.6, 0.98])
def test_a_killed_import_leaves_whole_sessions(
    sqlite_path: Path, source: StateDir, uninterrupted: dict[str, Any], cost: Cost, share: float
) -> None:
    child = run_function(import_folder_and_be_killed, sqlite_path, source.root, max(1, int(cost.statements * share)))
    assert child.returncode == -signal.SIGKILL
    there = _require_whole(sqlite_path)
    with Store.open(sqlite_path, durability="normal") as store:
        found = outcomes(import_directory(store, source.root))
        assert sum(outcome == "unchanged" for name, outcome in found.items() if name[0] == "s") == there
        assert set(found.values()) <= {"imported", "unchanged"}
        assert contents(store) == uninterrupted
        assert set(outcomes(import_directory(store, source.root)).values()) == {"unchanged"}
    assert _require_whole(sqlite_path) == FILES


def test_an_interrupted_import_of_projects_keeps_their_order(sqlite_store: Store, state: StateDir) -> None:
    state.projects([{"project_id": "first", "name": "1"}, {"project_id": "second", "name": "2", "profile": "default"}])
    state.session("a", "hi")

    def interrupt(progress: Any) -> None:
        raise KeyboardInterrupt  # with the project that names its profile taken in, and not yet the other one

    with pytest.raises(KeyboardInterrupt):
        import_directory(sqlite_store, state.root, on_progress=interrupt)
    assert [project.project_id for project in sqlite_store.projects.list().items] == ["second"]
    import_directory(sqlite_store, state.root)
    assert [project.project_id for project in sqlite_store.projects.list().items] == ["first", "second"]


def test_a_full_disk_leaves_whole_sessions(
    sqlite_path: Path, source: StateDir, uninterrupted: dict[str, Any], cost: Cost
) -> None:
    def limit(pages: int) -> Callable[[sqlite3.Connection], object]:
        return lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}")

    with Store.open(sqlite_path, durability="normal") as store:
        configure_connections(store, limit(cost.pages * 95 // 100))  # the second transaction does not fit
        with pytest.raises(DatabaseFullError, match="free some space"):
            import_directory(store, source.root)
        assert 0 < _require_whole(sqlite_path) < FILES
        configure_connections(store, limit(10**6))
        import_directory(store, source.root)
        assert contents(store) == uninterrupted
