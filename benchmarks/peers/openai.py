"""OpenAI's Agents SDK: its session on sqlite3, and the one on SQLAlchemy and aiosqlite. Neither lists sessions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..timing import call
from .base import Peer

_HELLO = {"role": "user", "content": "Hello"}


class OpenAISQLite(Peer):
    name = "OpenAI SQLite"
    distribution = "openai-agents"
    lists = False

    def __init__(self, path: Path) -> None:
        from agents import SQLiteSession

        self.session = SQLiteSession("s", db_path=path)

        async def create(session_id: str) -> None:
            other = SQLiteSession(session_id, db_path=path)
            await other.add_items([_HELLO])
            other.close()

        self.verbs = {**_verbs(self.session), "create": create}

    def close(self) -> None:
        self.session.close()


class OpenAISQLAlchemy(Peer):
    name = "OpenAI SQLAlchemy"
    distribution = "openai-agents"
    lists = False

    def __init__(self, path: Path) -> None:
        from agents.extensions.memory import SQLAlchemySession
        from sqlalchemy.ext.asyncio import create_async_engine

        self.engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

        async def create(session_id: str) -> None:
            await SQLAlchemySession(session_id, engine=self.engine, create_tables=True).add_items([_HELLO])

        self.verbs = {**_verbs(SQLAlchemySession("s", engine=self.engine, create_tables=True)), "create": create}

    def close(self) -> None:
        call(self.engine.dispose)


def _verbs(session: Any) -> dict[str, Callable[..., Any]]:
    async def append(message: Any) -> None:
        await session.add_items([message])

    async def append_many(messages: Any) -> None:
        await session.add_items(messages)

    async def read() -> Any:
        return await session.get_items()

    async def tail() -> Any:
        return await session.get_items(limit=50)

    return {"append": append, "append many": append_many, "read": read, "tail": tail}
