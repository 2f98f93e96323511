"""A session of hermes-webui: its JSON object, and the columns, documents and messages that are stored of it.

A value that a column can hold is stored in the column alone. For one that it cannot hold (a title that is an object, a
cost that is NaN) the column gets a similar value, and a document of the same key keeps the original, which an export
writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from .. import validation
from ..errors import InvalidInputError
from ..quoting import text_of
from ..records import DEFAULT_PROFILE, UNTITLED, SessionRecord
from ..transcripts import encoding, json_codec
from ..transcripts.encoding import USER, Encoded
from .key_order import in_order

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

_UPDATED: Final = "updated_at"

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


#: The keys under which newer versions, or other programs, may write how many messages there are. That may be wrong:
#: what the columns of these names count is read in its place.
COUNTS: Final = ("message_count", "user_message_count")


@dataclass
class SessionContent:
    """What is stored of a session."""

    #: The values of the table's columns, but for those that refer to other rows.
    columns: dict[str, Any]
    #: The public id of its project.
    project_id: str | None
    #: The JSON of the other values, by key.
    documents: dict[str, bytes]
    messages: list[Encoded]
    #: What did not fit its column, in words for a person.
    notes: list[str] = field(default_factory=list)
    #: The columns for which the JSON object has no value, and which got one from elsewhere.
    filled: set[str] = field(default_factory=set)

    def is_same(self, other: SessionContent) -> bool:
        """Whether both have the same content. Columns that were filled in either of them are not compared."""
        left_out = self.filled | other.filled
        return self._digest(left_out) == other._digest(left_out)

    def without_payloads(self) -> SessionContent:
        """Return a copy for `is_same` alone, which takes little memory."""
        return replace(self, messages=[message._replace(payload=b"") for message in self.messages])

    def _digest(self, left_out: set[str]) -> bytes:
        columns = {name: self.columns[name] for name in sorted(self.columns.keys() - left_out)}
        parts = [json_codec.encode([columns, self.project_id])]
        parts += (json_codec.encode(key) + self.documents[key] for key in sorted(self.documents))
        parts += (message.digest for message in self.messages)
        return json_codec.digest(b"\n".join(parts))


def from_json(data: dict[str, Any], messages: list[Encoded], *, written_at: float) -> SessionContent:
    """Return what is to be stored of a session's JSON object.

    Args:
        data: the object without its messages. It is empty afterwards, so that large values are in memory only once.
        messages: its messages, encoded.
        written_at: when the file was written, in epoch seconds: the time of a session that has no time in it.

    Raises:
        InvalidInputError: a key is too long.
        InvalidPayloadError: a value is not a JSON value.
    """
    notes: list[str] = []
    documents: dict[str, bytes] = {}
    columns: dict[str, Any] = {key: SESSION_KEYS[key] for key in COLUMNS}
    project_id = None
    columns["has_draft"] = has_draft(data)
    data.pop("session_id", None)
    if "message_count" in data:  # newer versions write it, and it may be wrong
        data["message_count"] = len(messages)
    if "user_message_count" in data:
        data["user_message_count"] = encoding.users(messages)
    for key in list(data):
        value = data.pop(key)
        if len(key) > validation.KEY_LIMIT:
            raise InvalidInputError(
                f"it has a key of {len(key)} characters; at most {validation.KEY_LIMIT} can be kept"
            )
        if key == "project_id" and validation.is_id(value):
            project_id = value
        elif key in COLUMNS:
            columns[key], exact = COLUMNS[key](value)
            if not exact and key == _UPDATED and columns[key] is None:
                notes.append(f"updated_at is {shown(value)}, which is no time")
            elif not exact:
                notes.append(taken(key, value, columns[key]))
                documents[key] = json_codec.encode(value, key)
        elif key not in SESSION_KEYS or value != SESSION_KEYS[key]:
            documents[key] = json_codec.encode(value, key)
    columns["source"] = source_of({key: json_codec.decode(documents[key]) for key in SOURCE_KEYS if key in documents})
    filled = _fill_times(columns, messages, written_at, notes)
    columns["message_count"] = len(messages)
    return SessionContent(columns, project_id, documents, messages, notes, filled)


#: The keys under which a session has what its user began, before there is any message or besides the messages.
DRAFT_KEYS: Final = frozenset(
    {
        *("composer_draft", "pending_user_message", "pending_attachments", "attachments", "goal"),
        *("tool_calls", "context_messages", "anchor_activity_scenes", "share_token", "worktree_path"),
    }
)


def has_draft(values: Mapping[str, Any]) -> bool:
    """Whether the values of a session have a draft in them, so that no list or clean-up takes the session for blank."""
    return any(_is_content(values[key]) for key in DRAFT_KEYS if key in values)


def _is_content(value: Any) -> bool:
    parts = dict.values(value) if issubclass(type(value), dict) else [value]
    return any(map(_is_filled, parts))


def _is_filled(value: Any) -> bool:
    text = text_of(value)
    if text is not None:
        return bool(text.strip())
    kind = type(value)  # (A mock says that it is of a class that it is not of.)
    return bool(list.__len__(value) if issubclass(kind, list) else issubclass(kind, dict) and dict.__len__(value))


#: The keys of the session JSON that are attributes of a record.
_OF_RECORD: Final = tuple(key for key in SESSION_KEYS if key in SessionRecord.model_fields)


def to_json(record: SessionRecord, documents: Mapping[str, Any], messages: list[Any]) -> dict[str, Any]:
    """Return a session's JSON object, as hermes-webui writes it."""
    data = dict(SESSION_KEYS)
    for key in _OF_RECORD:
        data[key] = getattr(record, key)
    if record.workspace is None:
        del data["workspace"]  # the WebUI cannot load null, and takes its default where there is none
    if record.parent_id is not None:
        data["parent_session_id"] = record.parent_id
    if record.source is not None and not any(key in documents for key in SOURCE_KEYS):
        data["source_tag"] = record.source
    data.update(documents)
    if _UPDATED in documents and _time(documents[_UPDATED])[0] != record.updated_at:
        data[_UPDATED] = record.updated_at  # the session was written to since, and that is the original of another time
    data["session_id"] = record.session_id  # whatever document there is of this key
    data["messages"] = messages
    if "message_count" in documents:
        data["message_count"] = len(messages)
    if "user_message_count" in documents:
        data["user_message_count"] = sum(isinstance(one, dict) and one.get("role") == USER for one in messages)
    return in_order(data)


# ── Columns: each function returns what the column stores for a value, and whether that is the whole value ──


def _title(value: Any) -> tuple[str, bool]:
    if isinstance(value, str):
        return value[: validation.TITLE_LIMIT], len(value) <= validation.TITLE_LIMIT
    if value is None:
        return UNTITLED, False
    return json_codec.encode(value).decode("utf-8", "replace")[: validation.TITLE_LIMIT], False


def _text(value: Any) -> tuple[str | None, bool]:
    if value is None or (isinstance(value, str) and len(value) <= validation.TEXT_LIMIT):
        return value, True
    return None, False


def _profile(value: Any) -> tuple[str, bool]:
    if value is None or value == "":
        return DEFAULT_PROFILE, True
    if isinstance(value, str) and len(value) <= validation.PROFILE_LIMIT:
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
    stored, exact = (None, False) if isinstance(value, str) else _number(value)
    if isinstance(value, str) or (stored is not None and stored > encoding.LATEST):
        return encoding.parse_time(value), False  # milliseconds, or no time that is believed
    return stored, exact


def _count(value: Any) -> tuple[int, bool]:
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
    fits = whole and abs(value) <= validation.MAX_INT and not _is_minus_zero(value)
    return (int(value), True) if fits else (0, False)


def _index(value: Any) -> tuple[int | None, bool]:
    if value is None:
        return None, True
    number, exact = _count(value)
    return (number, True) if exact else (None, False)


def _small_json(value: Any) -> tuple[Any, bool]:
    return (value, True) if len(json_codec.encode(value)) <= validation.TEXT_LIMIT else (None, False)


#: By the WebUI's key: returns what the column of that name stores for a value, and whether that is the whole value.
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

#: The keys under which the WebUI's versions name the source of a session; the first that has one counts.
SOURCE_KEYS: Final = ("source_tag", "raw_source", "session_source")


def source_of(values: Mapping[str, Any]) -> str | None:
    """Return where a session comes from: the first valid value of `SOURCE_KEYS`."""
    for key in SOURCE_KEYS:
        value = values.get(key)
        if isinstance(value, str) and 0 < len(value) <= validation.SOURCE_LIMIT:
            return value
    return None


def _fill_times(columns: dict[str, Any], messages: list[Encoded], written_at: float, notes: list[str]) -> set[str]:
    """Set the times that the session does not have, and return which."""
    last = encoding.last_timestamp(messages)
    created, updated = columns.get("created_at"), columns.get("updated_at")
    if updated is None:
        known = (last, created, written_at)
        columns["updated_at"] = next(time for time in known if time is not None)
        notes.append("it has no time of its last change; its last message's, its creation's or the file's was taken")
    if created is None:
        first = next((message.timestamp for message in messages if message.timestamp is not None), None)
        known = (first, updated, written_at)
        columns["created_at"] = next(time for time in known if time is not None)
        notes.append("it has no time of creation; its first message's, its last change's or the file's was taken")
    return {name for name, given in (("created_at", created), ("updated_at", updated)) if given is None}


def taken(key: str, value: Any, stored: Any) -> str:
    """Return a note that a column cannot hold a value, and has another one."""
    if isinstance(value, str) and isinstance(stored, str) and value.startswith(stored):
        return f"{key} has {len(value):,} characters, of which lists show {len(stored):,}"
    return f"{key} is {shown(value)}, taken as {shown(stored)}"


def shown(value: Any) -> str:
    """Return a value as JSON text of at most 60 characters, for a note or an error."""
    text = json_codec.encode(value).decode("utf-8", "replace")
    return text if len(text) <= 60 else f"{text[:57]}…"
