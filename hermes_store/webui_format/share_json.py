"""The JSON object of a share: hermes-webui's file ``shares/<token>.json``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from ..quoting import text_of
from ..transcripts import json_codec
from ..transcripts.encoding import parse_time

#: The id of the session that a share is of.
SOURCE: Final = "source_session_id"
#: The keys that the store has columns for. The others are the copy.
OWN_KEYS: Final = ("token", SOURCE, "created_at", "updated_at", "revoked_at")
#: Who writes what people read in a conversation. Tools' results, and what the system says, are nobody's to share.
_ROLES: Final = ("user", "assistant")


class ShareTimes(NamedTuple):
    """The times in a share's object."""

    created_at: float
    updated_at: float
    revoked_at: float | None


def encode_copy(values: Mapping[Any, Any]) -> bytes:
    """Return the JSON of a copy; keys of the store's own in it are left out.

    Raises:
        InvalidPayloadError: a value is not a JSON value.
    """
    copy = {key: value for key, value in values.items() if text_of(key) not in OWN_KEYS}
    return json_codec.encode(copy, "copy")


def to_json(token: str, session_id: str, copy: bytes, *, created_at: float, updated_at: float) -> bytes:
    """Return the JSON object of a new share, in the order of the WebUI's keys.

    Args:
        copy: from `encode_copy`. It is not encoded again.
    """
    first = json_codec.encode({"token": token, SOURCE: session_id})
    last = json_codec.encode({"created_at": created_at, "updated_at": updated_at, "revoked_at": None})
    members = [part[1:-1] for part in (first, copy, last) if part != b"{}"]
    return b"{" + b",".join(members) + b"}"


def copy_in(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the copy in a share's object."""
    return {key: value for key, value in data.items() if key not in OWN_KEYS}


def to_file(data: Mapping[str, Any], token: str, session_id: str, revoked_at: float | None) -> dict[str, Any]:
    """Return a share's object as its file has it: as it was written, but for what was changed since.

    Args:
        data: the object as it was written.
        token, session_id, revoked_at: what they are now.
    """
    changed: dict[str, Any] = {"token": token, SOURCE: session_id}
    if revoked_at is not None and not data.get("revoked_at"):
        changed["revoked_at"] = revoked_at
    return {**data, **changed}


def times_in(data: Mapping[str, Any], written_at: float) -> ShareTimes:
    """Return the times in a file's object; `written_at` is that of the file, which stands for missing ones."""
    updated_at = parse_time(data.get("updated_at"))
    created_at = parse_time(data.get("created_at")) or updated_at or written_at
    # As in the WebUI, any true value says that it is revoked.
    revoked_at = (parse_time(data.get("revoked_at")) or written_at) if data.get("revoked_at") else None
    return ShareTimes(created_at, updated_at or created_at, revoked_at)


def snapshot(title: str, messages: Iterable[Any]) -> dict[str, Any]:
    """Return the copy of a conversation that a share has when none is given: what a person reads of it as text.

    That is the title, and of the messages of "user" and "assistant" the role, the text and the time. Everything else
    stays private: calls and results of tools, reasoning, attachments, documents, the workspace.
    """
    shared = [one for message in messages if (one := _shared(message)) is not None]
    return {"title": title, "messages": shared, "message_count": len(shared)}


def _shared(message: Any) -> dict[str, Any] | None:
    if not isinstance(message, dict) or message.get("role") not in _ROLES:
        return None
    text = _text(message.get("content")).strip()
    if not text:
        return None
    shared = {"role": message["role"], "content": text}
    timestamp = message.get("timestamp")
    return shared if parse_time(timestamp) is None else {**shared, "timestamp": timestamp}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))
