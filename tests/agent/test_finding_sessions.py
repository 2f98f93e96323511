"""The agent's sessions of a range of times, and those whose ids begin with a text."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import InvalidInputError, Store
from hermes_store.agent import AgentBridge
from hermes_store.agent.combined_listing import list_combined

BEGIN = 1_786_000_000.0


@pytest.fixture
def bridge(tmp_path: Path) -> AgentBridge:
    """Thirty sessions, one each second."""
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE sessions (id TEXT PRIMARY KEY, source TEXT, started_at REAL, title TEXT)")
        db.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, session_id, role, content, timestamp)")
        for number in range(30):
            row = (f"a{number:02}", "cli" if number else "subagent", BEGIN, "Titled")
            db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", row)
            db.execute("INSERT INTO messages VALUES (NULL, ?, 'user', 'x', ?)", (row[0], BEGIN + number))
    return AgentBridge(path)


@pytest.mark.parametrize("limit", [1, 4, 1000])
@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ({"since": BEGIN + 25}, range(29, 24, -1)),
        ({"until": BEGIN + 4}, range(3, 0, -1)),
        ({"since": BEGIN + 10.5, "until": BEGIN + 14}, range(13, 10, -1)),
        ({"since": BEGIN + 20, "until": BEGIN + 20}, []),
        ({"since": BEGIN + 99}, []),
    ],
    ids=str,
)
def test_a_range_of_times_has_its_pages(bridge: AgentBridge, times: dict[str, Any], expected: Any, limit: int) -> None:
    found: list[str] = []
    after = None
    while True:
        page = bridge.sessions(limit=limit, after=after, **times)
        found += [session.session_id for session in page.items]
        after = page.next
        if after is None:
            break
    assert found == [f"a{number:02}" for number in expected]


def test_a_range_of_times_narrows_a_combined_list(bridge: AgentBridge, sqlite_store: Store) -> None:
    for number in range(30):
        sqlite_store.sessions.create(session_id=f"s{number:02}", title="T", updated_at=BEGIN + number + 0.5)
    for limit in (3, 50):
        found: list[str] = []
        after = None
        while True:
            how: dict[str, Any] = {"since": BEGIN + 5, "until": BEGIN + 8}
            page = list_combined(sqlite_store, bridge, limit=limit, after=after, **how)
            found += [row.session_id for row in page.items]
            after = page.next
            if after is None:
                break
        assert found == ["s07", "a07", "s06", "a06", "s05", "a05"]


def test_ids_are_found_by_how_they_begin(bridge: AgentBridge) -> None:
    assert bridge.find("a0") == [f"a0{number}" for number in range(10)]  # the subagent among them
    assert bridge.find("a0", limit=2) == ["a00", "a01"]
    assert bridge.find("a29") == ["a29"]
    for none in ("b", "", "A", "a%", "\ud83d", "\0", "a" * 10_000):
        assert bridge.find(none) == []


def test_many_conversations_are_found_in_one_read(bridge: AgentBridge) -> None:
    found = bridge.get_many(["a29", "nobody", "a03", "a29"])
    assert found == {"a29": bridge.session("a29"), "a03": bridge.session("a03")}
    assert bridge.get_many([]) == {}
    many = bridge.get_many(f"a{number:02}" for number in range(2_000))
    assert {session_id: one.message_count for session_id, one in many.items()} == {
        session_id: bridge.session(session_id).message_count for session_id in many
    }
    with pytest.raises(InvalidInputError):
        bridge.get_many("a29")


@pytest.mark.parametrize("wanted", [{"since": float("nan")}, {"until": "today"}, {"since": True}], ids=str)
def test_a_time_that_is_none_is_refused(bridge: AgentBridge, wanted: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match="A time is"):
        bridge.sessions(**wanted)


def test_a_limit_that_is_none_is_refused(bridge: AgentBridge) -> None:
    with pytest.raises(InvalidInputError, match="from 1 to 1000"):
        bridge.find("a", limit=0)
