"""A list is written for the schema that the file had the last time, and notices when it has another one."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hermes_store.agent import AgentBridge
from hermes_store.agent.agent_file import AgentFile
from hermes_store.errors import AgentNotADatabaseError, AgentSchemaError
from tests.support.agent.connections import steps, watched
from tests.support.agent.statedb import Shape

StateDb = Callable[..., Path]
ALL = ("webui", "cron", "tool", "subagent", "archived", "hidden", "empty")


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        for statement in statements:
            db.execute(statement)


def drop_indexes(path: Path) -> None:
    """Drop the indexes on the tables that lists read."""
    with closing(sqlite3.connect(path)) as db, db:
        names = db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "
            "AND tbl_name IN ('sessions', 'messages')"
        ).fetchall()
        for (name,) in names:
            db.execute(f"DROP INDEX {name}")


def fill(path: Path, sessions: int, messages: int) -> None:
    """Add sessions that were active after all others."""
    with closing(sqlite3.connect(path)) as db, db:
        rows = [(f"s{number}", "cli", float(number)) for number in range(sessions)]
        db.executemany("INSERT INTO sessions (id, source, started_at) VALUES (?, ?, ?)", rows)
        db.executemany(
            "INSERT INTO messages (session_id, role, content, timestamp) VALUES (?, 'user', 'x', ?)",
            ((f"s{number % sessions}", 1.9e9 + number) for number in range(messages)),
        )


def reads(bridge: AgentBridge) -> list[object]:
    page = bridge.sessions(limit=3)
    return [
        page.items,
        bridge.sessions(limit=3, after=page.next).items,
        bridge.sessions(limit=200, include=ALL).items,
        bridge.session("story-c"),
        bridge.messages("login", limit=2).items,
    ]


def test_a_list_after_the_first_takes_one_statement(state_db: StateDb) -> None:
    path = state_db()
    fill(path, 100, 200)
    bridge = AgentBridge(path)
    bridge.sessions(limit=50)
    statements: list[str] = []
    with watched(before=lambda _connection, sql, _parameters: statements.append(sql)):
        assert len(bridge.sessions(limit=50).items) == 50
    assert len(statements) == 1


CHANGES: dict[str, Callable[[Path], object]] = {
    "indexes dropped": drop_indexes,
    "column renamed": lambda path: change(path, "ALTER TABLE sessions RENAME COLUMN title TO heading"),
    "column added": lambda path: change(path, "ALTER TABLE sessions ADD COLUMN mood TEXT DEFAULT 'calm'"),
    "message column renamed": lambda path: change(path, "ALTER TABLE messages RENAME COLUMN active TO live"),
    "index added": lambda path: change(path, "CREATE INDEX one_more ON sessions (title)"),
    "key lost": lambda path: change(
        path,
        "CREATE TABLE other AS SELECT * FROM messages",
        "DROP TABLE messages",
        "ALTER TABLE other RENAME TO messages",
    ),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_changed_schema_is_noticed_by_every_read(state_db: StateDb, tmp_path: Path, kind: str) -> None:
    path = state_db()
    bridge = AgentBridge(path)
    reads(bridge)
    CHANGES[kind](path)
    unknown = Path(shutil.copy(path, tmp_path / "unknown.db"))
    assert reads(bridge) == reads(AgentBridge(unknown))
    assert reads(bridge) == reads(AgentBridge(unknown)), "when it is known again"


@pytest.mark.parametrize("first", ["sessions", "session", "messages", "info"])
def test_the_first_query_notices_a_changed_schema(state_db: StateDb, first: str) -> None:
    path = state_db()
    bridge = AgentBridge(path)
    reads(bridge)
    change(path, "ALTER TABLE messages RENAME TO elsewhere", "CREATE VIEW messages AS SELECT * FROM elsewhere")
    arguments = ("story-c",) if first in ("session", "messages") else ()
    with pytest.raises(AgentSchemaError, match="no table 'messages'"):
        getattr(bridge, first)(*arguments)


def test_a_read_of_the_schema_alone_confirms_it(state_db: StateDb) -> None:
    path = state_db()
    file = AgentFile(path=path)
    assert "mood" not in file.read(lambda snapshot: snapshot.schema.sessions)
    change(path, "ALTER TABLE sessions ADD COLUMN mood TEXT")
    assert "mood" in file.read(lambda snapshot: snapshot.schema.sessions)


@pytest.mark.parametrize("versions", [(30, 4), (4, 30), (30, 16)], ids=str)
def test_another_version_in_its_place_is_noticed(state_db: StateDb, tmp_path: Path, versions: tuple[int, int]) -> None:
    before, after = versions
    path = state_db(Shape(before, "delete"))
    bridge = AgentBridge(path)
    reads(bridge)
    other = state_db(Shape(after, "delete"), "other.db")
    unknown = Path(shutil.copy(other, tmp_path / "unknown.db"))
    other.replace(path)
    assert reads(bridge) == reads(AgentBridge(unknown))


def test_a_file_that_is_no_database_is_noticed(state_db: StateDb) -> None:
    path = state_db(Shape(30, "delete"))
    bridge = AgentBridge(path)
    bridge.sessions()
    path.write_bytes(b"no database" * 1_000)
    with pytest.raises(AgentNotADatabaseError):
        bridge.sessions()


def test_a_dropped_index_costs_no_scan_per_session(state_db: StateDb) -> None:
    """The statement that was written for the index would scan all messages for each session."""
    path = state_db()
    sessions, messages = 300, 6_000
    fill(path, sessions, messages)
    bridge = AgentBridge(path)
    bridge.sessions()
    drop_indexes(path)
    assert steps(bridge.sessions) * 100 < messages * 300
    page = bridge.sessions()
    assert page.items[0].session_id == f"s{sessions - 1}"
