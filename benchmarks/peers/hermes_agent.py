"""The Hermes agent's own `state.db`, by its `SessionDB`, which also keeps an index for full text search."""

from __future__ import annotations

from pathlib import Path

from .base import Peer


class HermesAgent(Peer):
    name = "Hermes Agent"
    distribution = "hermes-agent"

    def __init__(self, path: Path) -> None:
        from hermes_state import SessionDB

        database = self.database = SessionDB(path)
        if database.get_session("s") is None:
            database.create_session("s", source="cli", model="claude")
        self.verbs = {
            "append": lambda message: database.append_message("s", message["role"], message["content"]),
            "read": lambda: database.get_messages("s"),
            "get": lambda: database.get_session("s"),
            "create": lambda session_id: database.create_session(session_id, source="cli", model="claude"),
            "rename": lambda title: database.set_session_title("s", title),
            "delete": database.delete_session,
            "list": lambda: database.list_sessions_rich(limit=50, order_by_last_active=True, compact_rows=True),
            "search": lambda words: database.search_messages(words, limit=20),
            "list all": lambda: database.list_sessions_rich(limit=10_000_000),
        }

    def close(self) -> None:
        self.database.close()
