"""The agent's file as it changes: what the agent does to it between two reads."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hermes_store import Store
from hermes_store.agent import AgentBridge
from hermes_store.transcripts.encoding import encode, last_timestamp
from tests.support.agent.conversations import BASE
from tests.support.agent.statedb import insert
from tests.support.message_columns import users


@dataclass(frozen=True)
class AgentDb:
    """A state.db that somebody writes to."""

    path: Path

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path)) as db:
            db.execute("PRAGMA synchronous = OFF")  # the machine does not fail here
            yield db

    def sql(self, statement: str, *parameters: Any) -> list[Any]:
        """Run a statement, as a program that comes and goes."""
        with self._connected() as db, db:
            return db.execute(statement, parameters).fetchall()

    def begin(self, session_id: str, *texts: str, **columns: Any) -> None:
        """Begin a session, and talk."""
        with self._connected() as db, db:
            insert(db, "sessions", {"id": session_id, "source": "cli", "started_at": BASE, **columns})
        self.say(session_id, *texts)

    def say(self, session_id: str, *texts: str) -> None:
        """Add messages to a session."""
        with self._connected() as db, db:
            (last,) = db.execute("SELECT max(id) FROM messages").fetchone()
            for number, text in enumerate(texts, 1):
                role = "user" if number % 2 else "assistant"
                time = BASE + 10_000 + (last or 0) + number
                insert(db, "messages", {"session_id": session_id, "role": role, "content": text, "timestamp": time})

    def ids(self, session_id: str) -> list[int]:
        return [row[0] for row in self.sql("SELECT id FROM messages WHERE session_id = ? ORDER BY id", session_id)]

    def mark(self, message_ids: list[int], *, active: int, compacted: int = 0) -> None:
        """Take messages back, summarise them away, or bring them back."""
        for message_id in message_ids:
            self.sql("UPDATE messages SET active = ?, compacted = ? WHERE id = ?", active, compacted, message_id)

    def compress(self, session_id: str, following: str, *texts: str, **columns: Any) -> None:
        """End a session that is full, and go on in another."""
        self.sql("UPDATE sessions SET end_reason = 'compression', ended_at = ? WHERE id = ?", BASE + 1e6, session_id)
        self.begin(following, *texts, parent_session_id=session_id, started_at=BASE + 1e6, **columns)

    def end(self, session_id: str) -> None:
        self.sql("UPDATE sessions SET ended_at = ? WHERE id = ?", BASE + 1e6, session_id)

    def replace_by(self, other: Path) -> None:
        """Put another file in its place, as the restoring of a backup does."""
        shutil.copy(other, self.path.with_name("new.db"))
        self.path.with_name("new.db").replace(self.path)
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def bytes(self) -> dict[str, bytes]:
        """Return every file that holds something, as it is; nobody may have the database open."""
        return {
            entry.name: entry.read_bytes()
            for entry in self.path.parent.glob(self.path.name + "*")
            if entry.suffix != ".db-shm" and entry.stat().st_size
        }


def require_equal(store: Store, agent: AgentDb, session_id: str = "talk", copy: str | None = None) -> None:
    """Require that the store's copy of a conversation says what the agent's file does."""
    copy = copy or session_id
    bridge = AgentBridge(agent.path)
    assert store.messages.read(copy) == bridge.messages(session_id).items
    theirs, ours = bridge.session(session_id), store.sessions.get(copy)
    assert ours.message_count == len(bridge.messages(session_id).items)
    assert ours.user_message_count == users(bridge.messages(session_id).items)
    spoken = [one for one in bridge.messages(session_id).items if one.get("role") != "tool"]
    assert ours.last_activity_at == last_timestamp(encode(spoken))
    assert (ours.title, ours.updated_at) == (theirs.title, theirs.last_active)
    assert (ours.input_tokens, ours.output_tokens) == (theirs.input_tokens, theirs.output_tokens)
    assert ours.estimated_cost == theirs.estimated_cost
