"""Importing many conversations: in pieces, with bounded memory, and to be gone on with when it was interrupted."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import agentdb
import pytest
from agent_contents import BASE
from agentdb import AgentDb, require_equal

from hermes_store import Store
from hermes_store.agent.attach import AgentFile
from hermes_store.reports import ImportProgress, Outcome


@pytest.fixture
def agent(state_db: Callable[..., Path]) -> AgentDb:
    """The agent's file."""
    return AgentDb(state_db())


def _generate(agent: AgentDb, sessions: int, size: int) -> None:
    with closing(sqlite3.connect(agent.path)) as db, db:
        db.execute("DELETE FROM messages")
        db.execute("DELETE FROM sessions")
        db.executemany(
            "INSERT INTO sessions (id, source, started_at, ended_at, title) VALUES (?, 'cli', ?, ?, ?)",
            [(f"g{number:04}", BASE + number, BASE + number, f"Number {number}") for number in range(sessions)],
        )
        db.executemany(
            "INSERT INTO messages (session_id, role, content, reasoning, timestamp) VALUES (?, 'user', ?, ?, ?)",
            [(f"g{n:04}", f"{n} {k}", "x" * size, BASE + n + k / 10) for n in range(sessions) for k in range(3)],
        )


def test_many_sessions_are_read_in_a_few_looks_with_progress(
    sqlite_store: Store, agent: AgentDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    _generate(agent, 300, 20)
    looks = 0
    read = AgentFile.read

    def counted(self: AgentFile, work: Any) -> Any:
        nonlocal looks
        looks += 1
        return read(self, work)

    monkeypatch.setattr(AgentFile, "read", counted)
    told: list[ImportProgress] = []
    report = sqlite_store.agent(agent.path).import_sessions(on_progress=told.append)
    assert looks < 20
    assert [(progress.done, progress.total) for progress in told] == [(n, 300) for n in range(1, 301)]
    assert [progress.path for progress in told] == [f"g{n:04}" for n in reversed(range(300))]
    assert told[-1].counts == report.counts == {Outcome.IMPORTED: 300}
    assert sqlite_store.sessions.count() == 300
    require_equal(sqlite_store, agent, "g0123")


def test_the_memory_of_an_import_does_not_grow_with_the_file(
    sqlite_template: Path, state_db: Callable[..., Path], tmp_path: Path
) -> None:
    peaks = []
    for sessions in (50, 50, 150):  # the first brings in what is made once
        agent = AgentDb(state_db(name=f"{len(peaks)}/state.db"))
        _generate(agent, sessions, 10_000)
        path = shutil.copy(sqlite_template, tmp_path / f"{len(peaks)}.db")
        with Store.open(path, durability="normal") as store:
            tracemalloc.start()
            store.agent(agent.path).import_sessions()
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            assert store.sessions.count() == sessions
    assert peaks[2] < 1.5 * peaks[1], peaks


@pytest.mark.parametrize("statement", [37, 203, 411])
def test_an_import_that_is_killed_is_finished_by_the_next(sqlite_path: Path, agent: AgentDb, statement: int) -> None:
    _generate(agent, 60, 20)
    program = [sys.executable, agentdb.__file__, sqlite_path, agent.path, str(statement)]
    killed = subprocess.run(program, check=False)
    assert killed.returncode == -signal.SIGKILL
    with Store.open(sqlite_path, durability="normal") as store:
        there = store.sessions.list(limit=1000).items
        assert 0 < len(there) < 60
        assert {row.message_count for row in there} == {3}
        report = store.agent(agent.path).import_sessions()
        assert report.counts == {Outcome.IMPORTED: 60 - len(there), Outcome.UNCHANGED: len(there)}
        for number in range(0, 60, 7):
            require_equal(store, agent, f"g{number:04}")


def test_an_import_that_the_caller_stops_keeps_what_was_taken_in(sqlite_store: Store, agent: AgentDb) -> None:
    def stop(progress: ImportProgress) -> None:
        if progress.done == 3:
            raise KeyboardInterrupt

    bridge = sqlite_store.agent(agent.path)
    with pytest.raises(KeyboardInterrupt):
        bridge.import_sessions(on_progress=stop)
    assert sqlite_store.sessions.count() == 3
    assert bridge.import_sessions().counts[Outcome.UNCHANGED] == 3
