"""LangChain's chat message history on SQLAlchemy. It does not list sessions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .base import Peer


class LangChain(Peer):
    name = "LangChain"
    distribution = "langchain-community"
    lists = False

    def __init__(self, path: Path) -> None:
        from langchain_community.chat_message_histories import SQLChatMessageHistory
        from langchain_core.messages import AIMessage, HumanMessage
        from sqlalchemy import create_engine

        self.engine = create_engine(f"sqlite:///{path}")
        history = SQLChatMessageHistory("s", connection=self.engine)

        def made(message: dict[str, Any]) -> Any:
            return (HumanMessage if message["role"] == "user" else AIMessage)(message["content"])

        def append(message: dict[str, Any]) -> None:
            history.add_message(made(message))

        def append_many(messages: list[dict[str, Any]]) -> None:
            history.add_messages([made(message) for message in messages])

        def read() -> Any:
            return history.messages

        def create(session_id: str) -> None:
            SQLChatMessageHistory(session_id, connection=self.engine).add_message(HumanMessage("Hello"))

        self.verbs = {"append": append, "append many": append_many, "read": read, "create": create}

    def close(self) -> None:
        self.engine.dispose()
