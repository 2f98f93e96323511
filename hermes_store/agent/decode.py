"""From the agent's rows to message objects as hermes-webui uses them.

The agent writes lists and objects in ``content`` as NUL, ``json:`` and JSON text, and other structured columns
as JSON text.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, Final

from ..transcripts import json_codec

_ENCODED: Final = "\x00json:"
#: Columns of JSON text.
_JSON: Final = (
    "tool_calls",
    "reasoning_details",
    "codex_reasoning_items",
    "codex_message_items",
    "display_metadata",
)
#: Columns that go into a message under their own names.
_PLAIN: Final = (
    "role",
    "timestamp",
    "tool_call_id",
    "finish_reason",
    "reasoning",
    "reasoning_content",
    "api_content",
    "token_count",
    "platform_message_id",
    "effect_disposition",
    "display_kind",
)
#: Columns that are flags or bookkeeping, and are told otherwise or not at all.
_OTHER: Final = (
    "id",
    "session_id",
    "content",
    "tool_name",
    "active",
    "compacted",
    "observed",
    "_compressed_summary",
    "display_order",
    "display_identity",
)
_KNOWN: Final = frozenset((*_JSON, *_PLAIN, *_OTHER))


class MessageDecoder:
    """Makes message objects of the rows of the agent's messages.

    Args:
        columns: the names of the values in a row, in their order.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        # A column that is missing is like one that is null: each row is made longer by a null.
        at = {name: index for index, name in enumerate(columns)}
        missing = len(columns)
        self._id = at["id"]
        self._role, self._content = at.get("role", missing), at.get("content", missing)
        self._tool_name = at.get("tool_name", missing)
        self._observed, self._summary = at.get("observed", missing), at.get("_compressed_summary", missing)
        self._active, self._compacted = at.get("active", missing), at.get("compacted", missing)
        self._values: list[tuple[str, int, Callable[[Any], Any]]] = [
            *((name, at[name], storable) for name in _PLAIN if name in at),
            *((name, at[name], _json) for name in _JSON if name in at),
        ]
        self._unknown = [(name, at[name]) for name in columns if name not in _KNOWN]

    def message(self, row: Sequence[Any]) -> dict[str, Any]:
        """Return a row as a message object.

        Null columns are left out; empty ones stay. Text that should be JSON and is not stays text. What is not known
        is in ``extra``.
        """
        row = (*row, None)
        made: dict[str, Any] = {"role": row[self._role], "content": decode_content(row[self._content])}
        for name, index, convert in self._values:
            value = row[index]
            if value is not None:
                made[name] = convert(value)
        if row[self._tool_name] is not None:
            made["tool_name"] = made["name"] = storable(row[self._tool_name])
        made["_state_db_row_id"] = row[self._id]
        if row[self._observed]:
            made["_observed"] = True
        if row[self._summary]:
            made["_compressed_summary"] = True
        if row[self._active] == 0:
            made["_compacted" if row[self._compacted] else "_rewound"] = True
        extra = {name: storable(row[index]) for name, index in self._unknown if row[index] is not None}
        if extra:
            made["extra"] = extra
        return made


def decode_content(content: Any) -> Any:
    """Return a message's content: text, or the list or object that it stands for."""
    if isinstance(content, str):
        if not content.startswith(_ENCODED):
            return content
        try:
            return json_codec.decode(content[len(_ENCODED) :].encode("utf-8", "surrogatepass"))
        except ValueError:
            return content  # kept as it is: better odd than gone
    return storable(content)


def content_text(content: Any) -> str:
    """Return the words of a message's content, for a title."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        content = [content]
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return " ".join(text for text in parts if isinstance(text, str))
    return ""


def storable(value: Any) -> Any:
    """Return a column's value as JSON can say it: bytes as text, or in base64 where they are not text."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode("ascii")}


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return storable(value)
    try:
        decoded = json_codec.decode(value.encode("utf-8", "surrogatepass"))
        if isinstance(decoded, str):  # some versions encoded twice
            decoded = json_codec.decode(decoded.encode("utf-8", "surrogatepass"))
    except ValueError:
        return value
    return decoded
