"""Agno's SQLite database. It keeps runs of an agent: here, each run has one message."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from .base import Peer


class Agno(Peer):
    name = "agno"
    distribution = "agno"

    def __init__(self, path: Path) -> None:
        from agno.db.base import SessionType
        from agno.db.sqlite import SqliteDb
        from agno.models.message import Message
        from agno.run.agent import RunOutput
        from agno.session import AgentSession

        database = SqliteDb(db_file=str(path))
        kind = SessionType.AGENT
        common: dict[str, Any] = {"agent_id": "a", "user_id": "u"}
        found = database.get_session("s", kind) if path.exists() else None
        if found is None:
            database.upsert_session(AgentSession(session_id="s", created_at=int(time.time()), **common))
        count = 0 if found is None else len(found.runs or ())
        listing: dict[str, Any] = {
            "session_type": kind,
            "user_id": "u",
            "sort_by": "updated_at",
            "sort_order": "desc",
            "include_runs": False,
        }

        def append(message: dict[str, Any]) -> None:
            nonlocal count
            one = Message(role=message["role"], content=message["content"])
            run = RunOutput(run_id=f"r{count}", session_id="s", agent_id="a", messages=[one])
            database.upsert_run(run, session_id="s", user_id="u", run_index=count)
            count += 1

        def create(session_id: str) -> None:
            named = {"session_name": "A title"}
            session = AgentSession(session_id=session_id, session_data=named, created_at=int(time.time()), **common)
            database.upsert_session(session)

        self.verbs = {
            "append": append,
            "read": lambda: database.get_session("s", kind),
            "create": create,
            "rename": lambda title: database.rename_session("s", kind, title),
            "delete": database.delete_session,
            "list": lambda: database.get_sessions(limit=50, page=1, **listing),
            "list all": lambda: database.get_sessions(**listing),
        }
