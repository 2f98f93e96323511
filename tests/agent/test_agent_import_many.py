"""Importing many conversations: in pieces, with bounded memory, and to be gone on with when it was interrupted."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.agent import AgentBridge, bridge, conversation
from hermes_store.agent.agent_file import AgentFile
from hermes_store.outcomes import Outcome
from hermes_store.reports import ImportProgress
from tests.support.agent.agentdb import AgentDb, require_equal
from tests.support.agent.conversations import BASE
from tests.support.import_programs import import_agent_and_be_killed
from tests.support.processes import run_function

pytestmark = pytest.mark.slow


@pytest.fixture
def agent(state_db: Callable[..., Path]) -> AgentDb:
    """The agent's file."""
    return AgentDb(state_db())


def _generate(agent: AgentDb, sessions: int, size: int, messages: int = 3) -> None:
    with closing(sqlite3.connect(agent.path)) as db, db:
        db.execute("DELETE FROM messages")
        db.execute("DELETE FROM sessions")
        db.executemany(
            "INSERT INTO sessions (id, source, started_at, ended_at, title) VALUES (?, 'cli', ?, ?, ?)",
            [(f"g{number:04}", BASE + number, BASE + number, f"Number {number}") for number in range(sessions)],
        )
        db.executemany(
            "INSERT INTO messages (session_id, role, content, reasoning, timestamp) VALUES (?, 'user', ?, ?, ?)",
            [
                (f"g{n:04}", f"{n} {k}", "x" * size, BASE + n + k / 1e5)
                for n in range(sessions)
                for k in range(messages)
            ],
        )


def test_many_sessions_take_few_reads_and_report_progress(
    sqlite_store: Store, agent: AgentDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    _generate(agent, 300, 20)
    looks = 0
    read = AgentFile.read

    def counted(self: AgentFile, callback: Any) -> Any:
        nonlocal looks
        looks += 1
        return read(self, callback)

    monkeypatch.setattr(AgentFile, "read", counted)
    told: list[ImportProgress] = []
    report = AgentBridge(agent.path, store=sqlite_store).import_sessions(on_progress=told.append)
    assert looks < 20
    assert [(progress.done, progress.total) for progress in told] == [(n, 300) for n in range(1, 301)]
    assert [progress.path for progress in told] == [f"g{n:04}" for n in reversed(range(300))]
    assert told[-1].counts == report.counts == {Outcome.IMPORTED: 300}
    assert sqlite_store.sessions.count() == 300
    require_equal(sqlite_store, agent, "g0123")


def test_import_batches_are_bounded_by_messages_and_bytes(
    sqlite_store: Store, agent: AgentDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    _generate(agent, 40, 20)
    agent.say("g0007", *["more"] * 50)
    monkeypatch.setattr(conversation, "_MESSAGES", 10)
    batches: list[list[conversation.Conversation]] = []
    read = conversation.read_batch

    def kept(*arguments: Any, **more: Any) -> Any:
        found = read(*arguments, **more)
        batches.append(found[0])
        return found

    monkeypatch.setattr(bridge, "read_batch", kept)
    report = AgentBridge(agent.path, store=sqlite_store).import_sessions()
    assert report.counts == {Outcome.IMPORTED: 40}
    sizes = [[len(one.messages) for one in batch] for batch in batches]
    assert sorted(map(sum, sizes)) == [*[9] * 13, 53]
    batches.clear()
    monkeypatch.setattr(conversation, "_BYTES", 1)
    assert AgentBridge(agent.path, store=sqlite_store).import_sessions().counts == {Outcome.UNCHANGED: 40}
    assert [len(batch) for batch in batches] == [1] * 40


def _peak(template: Path, agent: AgentDb) -> int:
    """Return the greatest memory that an import into a fresh store takes."""
    path = shutil.copy(template, agent.path.with_name("hermes.db"))
    with Store.open(path, durability="normal") as store:
        tracemalloc.start()
        try:
            AgentBridge(agent.path, store=store).import_sessions()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            assert store.sessions.count() > 0


def test_import_memory_does_not_grow_with_the_file(sqlite_template: Path, state_db: Callable[..., Path]) -> None:
    peaks: list[int] = []
    for sessions in (50, 50, 150):  # the first brings in what is made once
        agent = AgentDb(state_db(name=f"{len(peaks)}/state.db"))
        _generate(agent, sessions, 10_000)
        peaks.append(_peak(sqlite_template, agent))
    assert peaks[2] < 1.5 * peaks[1], peaks


def test_import_memory_does_not_grow_with_large_messages(sqlite_template: Path, state_db: Callable[..., Path]) -> None:
    agent = AgentDb(state_db())
    _generate(agent, 30, 1_000_000)
    assert agent.path.stat().st_size > 90e6
    assert _peak(sqlite_template, agent) < 35e6


def test_a_long_conversation_is_in_memory_only_once(sqlite_template: Path, state_db: Callable[..., Path]) -> None:
    agent = AgentDb(state_db())
    _generate(agent, 1, 2_000, messages=15_000)
    written = 15_000 * 2_150  # the bodies' bytes
    assert _peak(sqlite_template, agent) < 1.5 * written


@pytest.mark.parametrize("statement", [2011, 2517, 3019])
def test_a_killed_import_is_finished_by_the_next(sqlite_path: Path, agent: AgentDb, statement: int) -> None:
    _generate(agent, 160, 20)  # fifty are read at once, and written in one transaction
    killed = run_function(import_agent_and_be_killed, sqlite_path, agent.path, statement)
    assert killed.returncode == -signal.SIGKILL
    with Store.open(sqlite_path, durability="normal") as store:
        there = store.sessions.list(limit=1000).items
        assert 0 < len(there) < 160
        assert {row.message_count for row in there} == {3}
        report = AgentBridge(agent.path, store=store).import_sessions()
        assert report.counts == {Outcome.IMPORTED: 160 - len(there), Outcome.UNCHANGED: len(there)}
        for number in range(0, 160, 17):
            require_equal(store, agent, f"g{number:04}")


@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_an_import_killed_in_a_conversation_writes_none(sqlite_path: Path, agent: AgentDb, chunk: int) -> None:
    _generate(agent, 1, 20, messages=2_500)
    killed = run_function(import_agent_and_be_killed, sqlite_path, agent.path, chunk, "INSERT INTO message_blobs")
    assert killed.returncode == -signal.SIGKILL
    with Store.open(sqlite_path, durability="normal") as store:
        assert store.sessions.list(include_empty=True).items == []
        assert AgentBridge(agent.path, store=store).import_sessions().counts == {Outcome.IMPORTED: 1}
        require_equal(store, agent, "g0000")


def test_a_stopped_import_keeps_the_sessions_already_imported(sqlite_store: Store, agent: AgentDb) -> None:
    def stop(progress: ImportProgress) -> None:
        if progress.done == 3:
            raise KeyboardInterrupt

    importing = AgentBridge(agent.path, store=sqlite_store)
    with pytest.raises(KeyboardInterrupt):
        importing.import_sessions(on_progress=stop)
    there = sqlite_store.sessions.count()
    assert there >= 3  # others of the same transaction were not reported yet
    assert importing.import_sessions().counts[Outcome.UNCHANGED] == there
