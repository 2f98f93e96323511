"""Sessions as the WebUI has them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from hermes_store.webui import WebUIModels

#: Of a row of the sidebar, in the WebUI's order.
KEYS = [
    "session_id",
    "title",
    "workspace",
    "model",
    "message_count",
    "created_at",
    "updated_at",
    "pinned",
    "archived",
    "project_id",
    "profile",
    "input_tokens",
    "output_tokens",
    "estimated_cost",
    "personality",
    "compression_anchor_visible_idx",
    "compression_anchor_message_key",
    "active_stream_id",
    "is_streaming",
]


def said(*texts: str) -> list[dict[str, Any]]:
    """Return messages, the user's and the assistant's in turn."""
    return [{"role": ("user", "assistant")[number % 2], "content": text} for number, text in enumerate(texts)]


def stored(models: WebUIModels, session_id: str, *texts: str, **values: Any) -> str:
    """Store a session, which no cache has then, and return its id."""
    unknown = {name: values.pop(name) for name in list(values) if name.startswith("x_")}
    session = models.Session(**{"session_id": session_id, "title": "Trip", "messages": said(*texts), **values})
    for name, value in unknown.items():
        setattr(session, name, value)
    session.save(touch_updated_at=False)
    return session_id


def contents(models: WebUIModels, session_id: str) -> list[Any]:
    """Return what the messages of a session say, as the store has them."""
    session = models.Session.load(session_id)
    assert session is not None
    return [message["content"] for message in session.messages]


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings that the functions logged, and forget them."""
    found = [
        record.getMessage()
        for record in caplog.records
        if record.name == "hermes_store.webui" and record.levelno >= logging.WARNING
    ]
    caplog.clear()
    return found
