"""A title made of the first message of the user."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from ..arguments import items_of
from ..quoting import text_of
from ..records import UNTITLED

_LENGTH: Final = 64


def title_from(messages: Iterable[Any], fallback: str = UNTITLED) -> str:
    """Return the first 64 characters of the first user message that has a text, else `fallback`.

    Args:
        messages: a transcript; what is not a message object is skipped.
        fallback: what to return when no user message has a text.

    Raises:
        InvalidInputError: it is no list of messages.
    """
    for message in items_of(messages, "messages", "Nothing was read."):
        if isinstance(message, dict) and text_of(message.get("role")) == "user":
            text = _text(message.get("content")).strip()
            if text:
                return text[:_LENGTH]
    return fallback


def _text(content: Any) -> str:
    try:
        if isinstance(content, list):
            parts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text")
            return " ".join(str(part) for part in parts if part is not None)
        return "" if content is None else str(content)
    except Exception:  # whatever an object raises that was put into a message; a save refuses it
        return ""
