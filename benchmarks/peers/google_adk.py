"""Google's Agent Development Kit: its session service on SQLAlchemy and aiosqlite. It lists all sessions of a user."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..timing import call
from .base import Peer

_WHERE = {"app_name": "app", "user_id": "user"}


class GoogleADK(Peer):
    name = "Google ADK"
    distribution = "google-adk"

    def __init__(self, path: Path) -> None:
        from google.adk.events import Event
        from google.adk.sessions import DatabaseSessionService
        from google.adk.sessions.base_session_service import GetSessionConfig
        from google.genai import types

        service = self.service = DatabaseSessionService(f"sqlite+aiosqlite:///{path}")

        async def open_session() -> Any:
            found = await service.get_session(**_WHERE, session_id="s")
            return found or await service.create_session(**_WHERE, session_id="s")

        session = call(open_session)

        async def append(message: dict[str, Any]) -> None:
            content = types.Content(role="user", parts=[types.Part(text=message["content"])])
            await service.append_event(session, Event(author=message["role"], content=content))

        async def read() -> Any:
            return await service.get_session(**_WHERE, session_id="s")

        async def tail() -> Any:
            config = GetSessionConfig(num_recent_events=50)
            return await service.get_session(**_WHERE, session_id="s", config=config)

        async def get() -> Any:
            config = GetSessionConfig(num_recent_events=1)
            return await service.get_session(**_WHERE, session_id="s", config=config)

        async def create(session_id: str) -> None:
            await service.create_session(**_WHERE, session_id=session_id, state={"title": "A title"})

        async def delete(session_id: str) -> None:
            await service.delete_session(**_WHERE, session_id=session_id)

        async def list_all() -> Any:
            return await service.list_sessions(**_WHERE)

        self.verbs = {
            "append": append,
            "read": read,
            "tail": tail,
            "get": get,
            "create": create,
            "delete": delete,
            "list": list_all,
            "list all": list_all,
        }

    def close(self) -> None:
        call(self.service.close)
