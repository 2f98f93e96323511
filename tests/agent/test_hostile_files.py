"""The agent's file with triggers that only have the agent's names, deep values, and thousands of children."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from hermes_store.agent import AgentBridge
from hermes_store.agent.lineage import markers
from hermes_store.errors import AgentSchemaError, AgentTimeoutError
from tests.support.agent.conversations import BASE
from tests.support.agent.statedb import Shape, create


@pytest.fixture
def path(tmp_path: Path) -> Path:
    place = tmp_path / "state.db"
    row = {"id": "talk", "source": "cli", "started_at": BASE, "ended_at": BASE + 1}
    other = {"id": "other", "source": "cli", "started_at": BASE, "ended_at": BASE + 1}
    message = {"role": "user", "content": "hi", "timestamp": BASE}
    create(place, Shape(version=30), [(row, [message]), (other, [message])])
    return place


def run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        for statement in statements:
            db.execute(statement)


@pytest.mark.parametrize(
    "body",
    [
        "DELETE FROM sessions;",
        "INSERT INTO messages_fts(rowid) VALUES (1); DELETE FROM sessions;",
        "/* INSERT INTO messages_fts */ delete from sessions;",
        'UPDATE OR IGNORE "sessions" SET title = NULL;',
        "REPLACE INTO state_meta VALUES ('a', 'b');",
        "SELECT 'BEGIN'; DELETE FROM [sessions];",
    ],
)
def test_a_trigger_with_a_known_name_is_read(path: Path, body: str) -> None:
    run(
        path,
        "DROP TRIGGER messages_fts_delete",
        f"CREATE TRIGGER messages_fts_delete AFTER DELETE ON messages BEGIN {body} END",
    )
    with pytest.raises(AgentSchemaError, match="messages_fts_delete"):
        AgentBridge(path).delete_session("talk")
    assert AgentBridge(path).info().sessions == 2


@pytest.mark.parametrize("deep", ["[" * 100_000 + "]" * 100_000, '{"_branched_from":' * 5_000 + "1" + "}" * 5_000])
def test_a_deep_configuration_breaks_nothing(path: Path, deep: str) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE sessions SET model_config = ? WHERE id = 'talk'", ["x_delegate_from" + deep])
        db.execute("UPDATE sessions SET model_config = ? WHERE id = 'other'", [deep])
    assert {one.session_id for one in AgentBridge(path).sessions(include=("subagent",)).items} == {"talk", "other"}
    assert markers(deep) <= {"_branched_from"}


@pytest.mark.slow
def test_thousands_of_subagents_are_deleted_in_seconds(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany(
            "INSERT INTO sessions (id, source, started_at, ended_at, parent_session_id) "
            "VALUES (?, 'subagent', 1, 2, ?)",
            [(f"s{number}", "talk" if number % 3 else f"s{max(0, number - 3)}") for number in range(12_000)],
        )
        db.execute("UPDATE sessions SET parent_session_id = 'talk' WHERE id = 's0'")
    started = time.monotonic()
    done = AgentBridge(path).delete_session("talk", dry_run=True)
    assert len(done.sessions) == 12_001
    assert time.monotonic() - started < 20  # it was not done after 40
    with pytest.raises(AgentTimeoutError):
        AgentBridge(path, deadline=0.01).delete_session("talk")
    assert len(AgentBridge(path).delete_session("talk").sessions) == 12_001
    assert AgentBridge(path).info().sessions == 1


def test_markers_are_read_from_ordinary_text() -> None:
    assert markers(json.dumps({"_delegate_from": "x", "_branched_from": ""})) == {"_delegate_from"}
