"""Deleting from the agent's file: the right rows and no others, all or nothing, and only when it is safe."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store import errors as err
from hermes_store.agent import AgentBridge
from tests.support.agent import writers
from tests.support.agent.agentdb import AgentDb
from tests.support.agent.statedb import VERSIONS, Shape
from tests.support.paths import EXAMPLE_STATE_DB

NAS, TELEGRAM, FISH = "20260512_091500_a1b2c3", "20260603_184210_5d0e71", "20260618_203301_77b0c4"
LANTERN, LANTERN_2, HELPER = "20260702_140512_c19e20", "20260702_153544_e8f3a6", "20260702_153610_0b64d9"
ALL = ("webui", "cron", "tool", "subagent", "archived", "hidden", "empty")


@dataclass(frozen=True)
class Agent(AgentDb):
    """A file to delete from."""

    def bridge(self) -> AgentBridge:
        return AgentBridge(self.path, busy_timeout=0.02)

    def child(self, session_id: str, parent: str, **columns: Any) -> None:
        self.begin(session_id, "hello", "hi", parent_session_id=parent, **columns)
        self.end(session_id)

    def rows(self) -> dict[str, list[Any]]:
        """Return what every table says, but for those inside the full-text indexes."""
        names = [row[0] for row in self.sql("SELECT name FROM sqlite_master WHERE type = 'table'")]
        plain = [name for name in names if not name.startswith(("messages_fts", "sqlite_"))]
        return {name: sorted(self.sql(f"SELECT * FROM {name}"), key=repr) for name in plain}

    def sessions(self) -> set[str]:
        return {row[0] for row in self.sql("SELECT id FROM sessions")}

    def parent(self, session_id: str) -> str | None:
        [(parent,)] = self.sql("SELECT parent_session_id FROM sessions WHERE id = ?", session_id)
        return parent

    def require_sound(self) -> None:
        """Require that the file and its full-text indexes are whole, and nothing refers to what is not there."""
        assert self.sql("PRAGMA integrity_check") == [("ok",)]
        assert self.sql("PRAGMA foreign_key_check") == []
        for (name,) in self.sql("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%'"):
            self.sql(f"INSERT INTO {name}({name}, rank) VALUES ('integrity-check', 1)")


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    """The example home's file: WAL, full-text indexes with triggers, a chain, a subagent, usage rows."""
    folder = tmp_path / "home"
    folder.mkdir()
    return Agent(Path(shutil.copy(EXAMPLE_STATE_DB, folder / "state.db")))


@pytest.fixture
def generated(state_db: Callable[..., Path]) -> Callable[..., Agent]:
    """Make a file of some shape, in which nothing refers to what is not there."""

    def make(shape: Shape | None = None) -> Agent:
        agent = Agent(state_db(shape))
        agent.sql("DELETE FROM messages WHERE session_id IN ('nowhere', 'late')")
        agent.sql("DELETE FROM sessions WHERE id = 'late'")  # which another process writes anew in some tests
        agent.sql("UPDATE sessions SET parent_session_id = NULL WHERE id = 'orphan'")
        agent.require_sound()
        return agent

    return make


def require_refusal(
    agent: Agent, error: type[Exception], session_id: str = NAS, match: str | None = None, **how: Any
) -> None:
    """Require that a delete is refused, and that the file is byte for byte as it was."""
    before = agent.bytes()
    with pytest.raises(error, match=match) as raised:
        agent.bridge().delete_session(session_id, **how)
    assert type(raised.value) is error
    assert agent.bytes() == before


def test_deleting_removes_a_session_and_its_messages_only(agent: Agent) -> None:
    before = agent.rows()
    found = agent.sql("SELECT rowid FROM messages_fts WHERE messages_fts MATCH 'inodes'")
    assert found
    report = agent.bridge().delete_session(NAS)
    assert (report.session_id, report.sessions, report.released) == (NAS, (NAS,), ())
    assert (report.messages, report.prompts, report.dry_run) == (8, 0, False)
    expected = {
        table: [row for row in rows if NAS not in row] if table in ("sessions", "messages") else rows
        for table, rows in before.items()
    }
    assert agent.rows() == expected
    assert agent.sql("SELECT rowid FROM messages_fts WHERE messages_fts MATCH 'inodes'") == []
    agent.require_sound()
    with pytest.raises(err.SessionNotFoundError):
        agent.bridge().delete_session(NAS)
    with pytest.raises(err.SessionNotFoundError):
        agent.bridge().session(NAS)


def test_a_delete_takes_subagents_and_releases_other_children(agent: Agent) -> None:
    agent.child("deeper", HELPER, model_config='{"_delegate_from": "x"}')
    agent.child("branch", LANTERN_2, model_config='{"_branched_from": "x"}')
    agent.child("of-helper", HELPER)
    assert [row[0] for row in agent.sql("SELECT session_id FROM session_model_usage ORDER BY 1")] == [
        LANTERN,
        LANTERN_2,
    ]
    report = agent.bridge().delete_session(LANTERN_2)
    assert report.sessions == (LANTERN_2, HELPER, "deeper")
    assert report.released == ("branch", "of-helper")
    assert report.messages == 4 + 2 + 2
    assert agent.parent("branch") is agent.parent("of-helper") is None
    assert agent.sessions() >= {LANTERN, "branch", "of-helper"}
    assert not agent.sessions() & set(report.sessions)
    assert agent.sql("SELECT session_id FROM session_model_usage") == [(LANTERN,)]
    agent.require_sound()


def test_a_continuation_stays_when_its_predecessor_is_deleted(agent: Agent) -> None:
    report = agent.bridge().delete_session(LANTERN)
    assert (report.sessions, report.released) == ((LANTERN,), (LANTERN_2,))
    assert agent.bridge().session(LANTERN_2).chain == (LANTERN_2,)
    assert agent.bridge().messages(LANTERN_2).items[0]["content"].startswith("[Summary")
    agent.require_sound()


def test_a_ring_of_subagents_is_deleted_once_each(agent: Agent) -> None:
    marked = '{"_delegate_from": "x"}'
    agent.child("a", NAS, model_config=marked)
    agent.child("b", "a", model_config=marked)
    agent.sql("UPDATE sessions SET parent_session_id = 'b', model_config = ? WHERE id = ?", marked, NAS)
    report = agent.bridge().delete_session("a")
    assert set(report.sessions) == {"a", "b", NAS}
    assert len(report.sessions) == 3
    agent.require_sound()


def test_a_session_with_itself_as_parent_is_deleted(agent: Agent) -> None:
    agent.sql("UPDATE sessions SET parent_session_id = id WHERE id = ?", NAS)
    assert agent.bridge().delete_session(NAS).sessions == (NAS,)
    agent.require_sound()


@pytest.mark.slow
@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize("version", VERSIONS)
def test_every_schema_is_left_sound(generated: Callable[..., Agent], version: int, journal: str) -> None:
    agent = generated(Shape(version, journal))
    untouched = {session for session in agent.sessions() if session != "login" and not session.startswith("helper")}
    report = agent.bridge().delete_session("login", force=True)
    assert report.messages == 6 + 2 * len(report.sessions[1:])
    assert set(report.sessions) >= {"login", "helper-marked", "helper-source"}
    assert set(report.released) >= {"branch", "reset"}
    assert agent.sessions() >= untouched
    agent.require_sound()
    for session_id in ("story-b", "compacted", "damaged"):  # one of them has text that is none
        agent.bridge().delete_session(session_id, force=True)
        agent.require_sound()
    assert agent.sql("PRAGMA journal_mode") == [(journal,)]


def test_only_prompts_that_nothing_refers_to_are_removed(agent: Agent) -> None:
    agent.sql("CREATE TABLE system_prompts (hash TEXT PRIMARY KEY, prompt TEXT NOT NULL)")
    agent.sql("ALTER TABLE sessions ADD COLUMN system_prompt_hash TEXT REFERENCES system_prompts(hash)")
    agent.sql("ALTER TABLE sessions ADD COLUMN tool_names TEXT")
    for name in ("own", "shared", "tools", "crossed", "unused"):
        agent.sql("INSERT INTO system_prompts VALUES (?, 'You are Hermes.')", name)
    uses = {NAS: ("own", "tools"), FISH: ("shared", "crossed"), TELEGRAM: ("shared", None)}
    agent.child("helper", NAS, source="subagent", system_prompt_hash="crossed")
    for session_id, hashes in uses.items():
        agent.sql("UPDATE sessions SET system_prompt_hash = ?, tool_names = ? WHERE id = ?", *hashes, session_id)

    def prompts() -> set[str]:
        return {row[0] for row in agent.sql("SELECT hash FROM system_prompts")}

    assert agent.bridge().delete_session(NAS, dry_run=True).prompts == 2
    assert agent.bridge().delete_session(NAS).prompts == 2
    assert prompts() == {"shared", "crossed", "unused"}  # what was unused before is the agent's to clear
    assert agent.bridge().delete_session(FISH).prompts == 1
    assert prompts() == {"shared", "unused"}
    agent.require_sound()


@pytest.mark.parametrize("session_id", [NAS, LANTERN_2, LANTERN])
def test_a_dry_run_reports_the_same_without_changes(agent: Agent, session_id: str) -> None:
    agent.child("branch", session_id)
    before = agent.bytes()
    told = agent.bridge().delete_session(session_id, dry_run=True)
    assert agent.bytes() == before
    done = agent.bridge().delete_session(session_id)
    assert told.dry_run
    assert told.model_copy(update={"dry_run": False}) == done


def test_dry_run_leaves_a_dead_agent_s_log(generated: Callable[..., Agent]) -> None:
    agent = generated()
    writers.run("leave", agent.path)
    before = agent.bytes()
    assert set(before) == {"state.db", "state.db-wal"}
    assert agent.bridge().delete_session("story-a", dry_run=True).messages > 0
    assert agent.bytes() == before


@pytest.mark.parametrize("how", [{}, {"force": True}, {"dry_run": True}])
def test_deleting_refuses_to_roll_back_a_hot_journal(generated: Callable[..., Agent], how: dict[str, bool]) -> None:
    agent = generated(Shape(journal="delete"))
    writers.run("crash", agent.path)
    assert set(agent.bytes()) == {"state.db", "state.db-journal"}
    require_refusal(agent, err.AgentHotJournalError, "story-a", "Start the agent once", **how)
    agent.sql("SELECT count(*) FROM sessions")  # as the agent does, which rolls back
    assert agent.bridge().delete_session("story-a", force=True).messages > 0
    agent.require_sound()


def test_a_refused_delete_keeps_a_dead_agents_log(generated: Callable[..., Agent]) -> None:
    agent = generated()
    agent.child("open", "login")
    agent.sql("UPDATE sessions SET ended_at = NULL WHERE id = 'open'")
    writers.run("leave", agent.path)
    assert set(agent.bytes()) == {"state.db", "state.db-wal"}
    require_refusal(agent, err.AgentSessionInUseError, "open")
    require_refusal(agent, err.SessionNotFoundError, "nobody")


@pytest.mark.slow
def test_deleting_does_not_checkpoint_the_live_agents_log(generated: Callable[..., Agent]) -> None:
    agent = generated()
    with closing(sqlite3.connect(agent.path)) as live, live:
        live.execute("PRAGMA wal_autocheckpoint = 0")
        live.execute("UPDATE messages SET content = content || hex(randomblob(30000))")
        live.commit()
        before = agent.bytes()
        assert len(before["state.db-wal"]) > 1000 * 4096  # at which a connection left to itself would move it
        agent.bridge().delete_session("login", force=True)
        after = agent.bytes()
        assert after["state.db"] == before["state.db"]
        assert len(after["state.db-wal"]) > len(before["state.db-wal"])
    agent.require_sound()


def test_an_open_session_is_deleted_only_with_force(agent: Agent) -> None:
    require_refusal(agent, err.AgentSessionInUseError, TELEGRAM, "has not ended")
    require_refusal(agent, err.AgentSessionInUseError, TELEGRAM, "has not ended", dry_run=True)
    with pytest.raises(err.AgentSessionInUseError, match="force=True") as raised:
        agent.bridge().delete_session(TELEGRAM)
    assert raised.value.session_id == TELEGRAM
    assert raised.value.reason == f"Session {TELEGRAM!r} has not ended, so the agent may be writing to it."
    assert agent.bridge().delete_session(TELEGRAM, force=True).sessions == (TELEGRAM,)
    agent.require_sound()


def test_a_session_with_an_open_subagent_is_refused(agent: Agent) -> None:
    agent.sql("UPDATE sessions SET ended_at = NULL WHERE id = ?", HELPER)
    require_refusal(agent, err.AgentSessionInUseError, LANTERN_2, HELPER)


@pytest.mark.parametrize(
    ("table", "column"), [("compression_locks", "session_id"), ("session_turn_leases", "conversation_id")]
)
@pytest.mark.parametrize("holder", [LANTERN_2, HELPER])
def test_sessions_in_use_are_refused_until_leases_end(agent: Agent, table: str, column: str, holder: str) -> None:
    agent.sql(f"CREATE TABLE IF NOT EXISTS {table} ({column} TEXT PRIMARY KEY, holder, acquired_at, expires_at REAL)")
    agent.sql(f"INSERT INTO {table} VALUES (?, 'pid', ?, ?)", holder, time.time(), time.time() + 600)
    require_refusal(agent, err.AgentSessionInUseError, LANTERN_2, table)
    require_refusal(agent, err.AgentSessionInUseError, LANTERN_2, table, dry_run=True)
    agent.bridge().delete_session(NAS)  # the lease is another session's
    agent.sql(f"UPDATE {table} SET expires_at = ?", time.time() - 1)
    assert HELPER in agent.bridge().delete_session(LANTERN_2).sessions


def test_turn_lease_covers_the_chain_not_a_branch(agent: Agent) -> None:
    agent.sql("CREATE TABLE session_turn_leases (conversation_id TEXT PRIMARY KEY, holder, acquired_at, expires_at)")
    agent.sql("INSERT INTO session_turn_leases VALUES (?, 'pid', 0, ?)", LANTERN, time.time() + 600)
    agent.sql("UPDATE sessions SET end_reason = 'compression' WHERE id = ?", LANTERN)
    agent.child("branch", LANTERN, model_config='{"_branched_from": "x"}')
    for session_id in (LANTERN, LANTERN_2):
        require_refusal(agent, err.AgentSessionInUseError, session_id, "session_turn_leases")
    assert agent.bridge().delete_session("branch").sessions == ("branch",)
    agent.sql("UPDATE sessions SET parent_session_id = ? WHERE id = ?", LANTERN_2, LANTERN)
    agent.sql("UPDATE sessions SET end_reason = 'compression' WHERE id = ?", LANTERN_2)  # a ring
    require_refusal(agent, err.AgentSessionInUseError, LANTERN_2, "session_turn_leases")


def test_a_leased_session_is_deleted_by_force(agent: Agent) -> None:
    agent.sql("INSERT INTO compression_locks VALUES (?, 'pid', ?, ?)", NAS, time.time(), time.time() + 600)
    assert agent.bridge().delete_session(NAS, force=True).sessions == (NAS,)
    agent.require_sound()


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    "trigger",
    [
        "AFTER DELETE ON messages",
        "BEFORE DELETE ON MESSAGES",
        "AFTER DELETE ON sessions",
        'AFTER UPDATE ON "Sessions"',
        "AFTER DELETE ON session_model_usage",
    ],
)
def test_triggers_that_are_not_known_are_refused(agent: Agent, trigger: str, force: bool) -> None:
    agent.sql(f"CREATE TRIGGER of_a_fork {trigger} BEGIN DELETE FROM state_meta; END")
    require_refusal(agent, err.AgentSchemaError, LANTERN_2, "of_a_fork", force=force)


@pytest.mark.parametrize("session_id", ["nobody", "", NAS.upper(), f"{NAS} ", "' OR 1=1 --"])
def test_a_session_that_is_not_there_is_told(agent: Agent, session_id: str) -> None:
    require_refusal(agent, err.SessionNotFoundError, session_id)
    require_refusal(agent, err.SessionNotFoundError, session_id, dry_run=True, force=True)


@pytest.mark.parametrize("table", ["sessions", "messages"])
@pytest.mark.parametrize("replacement", ["CREATE VIEW {0} AS SELECT * FROM moved", ""])
def test_views_in_place_of_tables_are_refused(agent: Agent, table: str, replacement: str) -> None:
    for (name,) in agent.sql("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        agent.sql(f"DROP TRIGGER {name}")
    agent.sql(f"ALTER TABLE {table} RENAME TO moved")
    if replacement:
        agent.sql(replacement.format(table))
    require_refusal(agent, err.AgentSchemaError)


@pytest.mark.parametrize("command", ["hold", "lock"])
def test_deleting_beside_another_writer_is_refused_as_locked(generated: Callable[..., Agent], command: str) -> None:
    agent = generated()
    with writers.running(command, agent.path), pytest.raises(err.AgentLockedError):
        agent.bridge().delete_session("login", force=True)
    assert "login" in agent.sessions()
    agent.bridge().delete_session("login", force=True)
    agent.require_sound()


@pytest.mark.parametrize("name", ["state.db", "a?b.db", "a#b.db", "50%20.db", "line\nbreak.db", "'quoted'.db"])
def test_deleting_from_a_missing_file_creates_none(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    for how in ({}, {"dry_run": True}, {"force": True}):
        with pytest.raises(err.AgentMissingError):
            AgentBridge(folder / name).delete_session(NAS, **how)
    assert list(folder.iterdir()) == []
    agent = Agent(Path(shutil.copy(EXAMPLE_STATE_DB, folder / name)))
    agent.bridge().delete_session(NAS)
    assert NAS not in agent.sessions()
    assert [entry.name for entry in folder.iterdir()] == [name]


def test_a_file_that_disappears_late_is_not_created(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def late(*arguments: Any, **more: Any) -> sqlite3.Connection:
        agent.path.unlink(missing_ok=True)
        return connect(*arguments, **more)

    monkeypatch.setattr(sqlite3, "connect", late)
    with pytest.raises(err.AgentError):
        agent.bridge().delete_session(NAS)
    assert list(agent.path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", err.AgentEmptyError),
        (b"not a database at all, but a text\n" * 99, err.AgentNotADatabaseError),
        (EXAMPLE_STATE_DB.read_bytes()[:20_000], err.AgentCorruptError),
    ],
)
def test_a_damaged_file_is_reported_and_not_changed(agent: Agent, content: bytes, error: type[Exception]) -> None:
    agent.path.write_bytes(content)
    require_refusal(agent, error)


def test_nothing_is_deleted_from_the_stores_own_file(sqlite_store: Store, sqlite_path: Path) -> None:
    sqlite_store.sessions.create(session_id="mine")
    with pytest.raises(err.AgentNotADatabaseError, match="own"):
        AgentBridge(sqlite_path, store=sqlite_store).delete_session("mine")
    assert sqlite_store.sessions.exists("mine")


def test_the_store_s_copy_is_not_touched(sqlite_store: Store, agent: Agent) -> None:
    bridge = AgentBridge(agent.path, store=sqlite_store)
    bridge.import_session(NAS)
    bridge.delete_session(NAS)
    assert len(sqlite_store.messages.read(NAS)) == 8


@pytest.mark.parametrize("action", ["ABORT", "FAIL", "ROLLBACK"])
def test_an_error_half_way_undoes_everything(agent: Agent, action: str) -> None:
    agent.child("branch", LANTERN_2)
    agent.sql("DROP TRIGGER messages_fts_trigram_delete")
    agent.sql(
        f"CREATE TRIGGER messages_fts_trigram_delete BEFORE DELETE ON sessions WHEN old.id = '{LANTERN_2}' "
        f"BEGIN SELECT RAISE({action}, 'half-way'); END"
    )
    require_refusal(agent, err.AgentError, LANTERN_2, "half-way")
    assert agent.parent("branch") == LANTERN_2
    agent.bridge().delete_session(NAS)


def test_a_table_that_blocks_the_delete_undoes_everything(agent: Agent) -> None:
    agent.sql("CREATE TABLE notes (session_id TEXT REFERENCES sessions(id))")
    agent.sql("INSERT INTO notes VALUES (?)", NAS)
    require_refusal(agent, err.AgentError, NAS, "FOREIGN KEY")


@pytest.mark.parametrize("dry_run", [False, True])
def test_an_index_with_an_agent_tokenizer_is_reported(agent: Agent, dry_run: bool) -> None:
    with closing(sqlite3.connect(agent.path)) as db, db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'fts5(content)', 'fts5(content, tokenize=cjk_unicode61)') "
            "WHERE name = 'messages_fts'"
        )
    require_refusal(agent, err.AgentSchemaError, NAS, "index", dry_run=dry_run)
    assert len(agent.bridge().messages(NAS).items) == 8  # which does not keep it from being read


def test_reading_and_importing_write_nothing(sqlite_store: Store, agent: Agent) -> None:
    before = agent.bytes()
    bridge = AgentBridge(agent.path, store=sqlite_store)
    for session in bridge.sessions(include=ALL).items:
        bridge.session(session.session_id)
        bridge.messages(session.session_id, include_rewound=True)
    bridge.sessions(limit=2, source="cli")
    bridge.info()
    bridge.import_session(NAS)
    assert bridge.import_sessions(include=ALL).failed == []
    bridge.import_sessions(include=ALL)
    with pytest.raises(err.SessionNotFoundError):
        bridge.import_session("nobody")
    assert agent.bytes() == before
    assert all(entry.stat().st_size == 0 for entry in agent.path.parent.glob("*-wal"))
