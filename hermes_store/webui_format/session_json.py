"""A session between its JSON object and its rows.

A value that a column holds exactly is in the column alone. One that it cannot hold (a title that is an
object, a cost that is NaN) leaves something sensible in the column, and its original goes to a document of
the same key, which an export writes in its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .. import fields, payload, transcript
from ..errors import InvalidInputError
from ..records import SessionRecord
from ..tables import DEFAULT_PROFILE, UNTITLED
from ..transcript import Encoded

#: The keys that hermes-webui of 2026-04-24 writes, in its order, with what a new session has.
SESSION_KEYS: Final[Mapping[str, Any]] = {
    "session_id": None,
    "title": UNTITLED,
    "workspace": None,
    "model": None,
    "created_at": None,
    "updated_at": None,
    "pinned": False,
    "archived": False,
    "project_id": None,
    "profile": DEFAULT_PROFILE,
    "input_tokens": 0,
    "output_tokens": 0,
    "estimated_cost": None,
    "personality": None,
    "active_stream_id": None,
    "pending_user_message": None,
    "pending_attachments": [],
    "pending_started_at": None,
    "compression_anchor_visible_idx": None,
    "compression_anchor_message_key": None,
    "messages": [],
    "tool_calls": [],
}

#: The keys of a row of the WebUI's index.
INDEX_KEYS: Final = (
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
)


@dataclass
class SessionImage:
    """A session as it is to be stored."""

    #: Columns of `tables.Session`, but for ids of other rows.
    columns: dict[str, Any]
    #: The public id of its project.
    project_id: str | None
    documents: dict[str, bytes]
    messages: list[Encoded]
    notes: list[str] = field(default_factory=list)

    #: The columns that the JSON said nothing of.
    filled: set[str] = field(default_factory=set)

    def same_content(self, other: SessionImage) -> bool:
        """Whether both say the same, as far as both say it themselves."""
        unsaid = self.filled | other.filled
        return self._digest(unsaid) == other._digest(unsaid)

    def _digest(self, unsaid: set[str]) -> bytes:
        columns = {name: self.columns[name] for name in sorted(self.columns.keys() - unsaid)}
        parts = [payload.encode([columns, self.project_id])]
        parts += (payload.encode(key) + self.documents[key] for key in sorted(self.documents))
        parts += (message.digest for message in self.messages)
        return payload.digest(b"\n".join(parts))


def from_json(data: dict[str, Any], messages: list[Encoded], *, written_at: float) -> SessionImage:
    """Return the image of a session's JSON object, which is empty afterwards.

    Args:
        data: the object without its messages.
        written_at: when the file was written, for a session that says no time itself.
    """
    notes: list[str] = []
    documents: dict[str, bytes] = {}
    columns: dict[str, Any] = {key: SESSION_KEYS[key] for key in COLUMNS}
    project_id = None
    data.pop("session_id", None)
    if "message_count" in data:  # newer versions write it; it is counted, not believed
        data["message_count"] = len(messages)
    for key in list(data):
        value = data.pop(key)
        if len(key) > fields.KEY_LIMIT:
            raise InvalidInputError(f"it has a key of {len(key)} characters; at most {fields.KEY_LIMIT} can be kept")
        if key == "project_id" and fields.is_id(value):
            project_id = value
        elif key in COLUMNS:
            columns[key], exact = COLUMNS[key](value)
            if not exact and key == "updated_at":  # it changes with every write, and the original would outlive it
                notes.append(f"updated_at is {shown(value)}, which is no number of seconds")
            elif not exact:
                notes.append(f"{key} is {shown(value)}, taken as {shown(columns[key])}")
                documents[key] = payload.encode(value, key)
        elif key not in SESSION_KEYS or value != SESSION_KEYS[key]:
            documents[key] = payload.encode(value, key)
    columns["source"] = source_of({key: payload.decode(documents[key]) for key in SOURCE_KEYS if key in documents})
    filled = _fill_times(columns, messages, written_at, notes)
    columns["message_count"] = len(messages)
    return SessionImage(columns, project_id, documents, messages, notes, filled)


def to_json(record: SessionRecord, documents: Mapping[str, Any], messages: list[Any]) -> dict[str, Any]:
    """Return a session's JSON object, as hermes-webui writes it."""
    data = dict(SESSION_KEYS)
    for key in data:
        if key in SessionRecord.model_fields:
            data[key] = getattr(record, key)
    if record.workspace is None:
        del data["workspace"]  # the WebUI cannot load null, and takes its default where there is none
    if record.parent_id is not None:
        data["parent_session_id"] = record.parent_id
    if record.source is not None and not any(key in documents for key in SOURCE_KEYS):
        data["source_tag"] = record.source
    data.update(documents)
    data["messages"] = messages
    if "message_count" in documents:
        data["message_count"] = len(messages)
    return data


# ── Columns: each function returns what the column holds, and whether that is all the value says ──


def _title(value: Any) -> tuple[str, bool]:
    if isinstance(value, str):
        return value[: fields.TITLE_LIMIT], len(value) <= fields.TITLE_LIMIT
    if value is None:
        return UNTITLED, False
    return payload.encode(value).decode("utf-8", "replace")[: fields.TITLE_LIMIT], False


def _text(value: Any) -> tuple[str | None, bool]:
    if value is None or (isinstance(value, str) and len(value) <= fields.TEXT_LIMIT):
        return value, True
    return None, False


def _profile(value: Any) -> tuple[str, bool]:
    if value is None or value == "":
        return DEFAULT_PROFILE, True
    if isinstance(value, str) and len(value) <= fields.PROFILE_LIMIT:
        return value, True
    return DEFAULT_PROFILE, False


def _flag(value: Any) -> tuple[bool, bool]:
    return bool(value), isinstance(value, bool)


def _number(value: Any) -> tuple[float | None, bool]:
    if value is None:
        return None, True
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, False
    try:
        number = float(value)
    except OverflowError:
        return None, False
    return (number, number == value and not _is_minus_zero(value)) if math.isfinite(number) else (None, False)


def _is_minus_zero(value: Any) -> bool:
    """Whether a value is -0.0, whose sign no column keeps."""
    return isinstance(value, float) and value == 0 and math.copysign(1, value) < 0


def _time(value: Any) -> tuple[float | None, bool]:
    return (transcript.parse_time(value), False) if isinstance(value, str) else _number(value)


def _count(value: Any) -> tuple[int, bool]:
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
    fits = whole and abs(value) <= fields.MAX_INT and not _is_minus_zero(value)
    return (int(value), True) if fits else (0, False)


def _index(value: Any) -> tuple[int | None, bool]:
    if value is None:
        return None, True
    number, exact = _count(value)
    return (number, True) if exact else (None, False)


def _small_json(value: Any) -> tuple[Any, bool]:
    return (value, True) if len(payload.encode(value)) <= fields.TEXT_LIMIT else (None, False)


#: By the WebUI's key: what the column of that name holds of a value, and whether that is all the value says.
COLUMNS: Final[Mapping[str, Callable[[Any], tuple[Any, bool]]]] = {
    "title": _title,
    "workspace": _text,
    "model": _text,
    "personality": _text,
    "profile": _profile,
    "created_at": _time,
    "updated_at": _time,
    "pinned": _flag,
    "archived": _flag,
    "input_tokens": _count,
    "output_tokens": _count,
    "estimated_cost": _number,
    "compression_anchor_visible_idx": _index,
    "compression_anchor_message_key": _small_json,
    "active_stream_id": _text,
    "pending_started_at": _time,
}

#: Where the WebUI's versions say where a session comes from; the first that does so counts.
SOURCE_KEYS: Final = ("source_tag", "raw_source", "session_source")


def source_of(values: Mapping[str, Any]) -> str | None:
    """Return where a session comes from: the first of the WebUI's keys for it that says so."""
    for key in SOURCE_KEYS:
        value = values.get(key)
        if isinstance(value, str) and 0 < len(value) <= fields.SOURCE_LIMIT:
            return value
    return None


def _fill_times(columns: dict[str, Any], messages: list[Encoded], written_at: float, notes: list[str]) -> set[str]:
    """Give the session the times it does not say, and return which."""
    timestamps = [message.timestamp for message in messages if message.timestamp is not None]
    columns["last_message_at"] = timestamps[-1] if timestamps else None
    created, updated = columns.get("created_at"), columns.get("updated_at")
    if updated is None:
        known = (timestamps[-1] if timestamps else None, created, written_at)
        columns["updated_at"] = next(time for time in known if time is not None)
        notes.append("it has no time of its last change; its last message's, its creation's or the file's was taken")
    if created is None:
        known = (timestamps[0] if timestamps else None, updated, written_at)
        columns["created_at"] = next(time for time in known if time is not None)
        notes.append("it has no time of creation; its first message's, its last change's or the file's was taken")
    return {name for name, said in (("created_at", created), ("updated_at", updated)) if said is None}


def shown(value: Any) -> str:
    """Return a value as JSON text, cut to what a note can hold."""
    text = payload.encode(value).decode("utf-8", "replace")
    return text if len(text) <= 60 else f"{text[:57]}…"
