"""What an import has to write for a conversation that was imported before, decided without the database.

Three states are compared: what the agent has now, what was imported last, and what the store has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..storage.import_log import Entry, FollowedColumns
from ..storage.session_keys import SessionKey
from ..validation import TITLE_LIMIT
from .conversation import Conversation, Mark

#: What a report calls the changes of the columns that follow the agent.
_NAMES: Final = {
    "title": "another title",
    "input_tokens": "more tokens",
    "output_tokens": "more tokens",
    "estimated_cost": "another cost",
    "parent_id": "its parent is here now",
}


@dataclass(frozen=True)
class Copy:
    """The store's session of a conversation, with what the import log has about it."""

    key: SessionKey
    #: The agent's session that the import log has it under.
    item: str
    #: The digest of the messages that were imported, and the session's revision then.
    digest: bytes
    revision: int
    #: The agent's ids of these messages, and the chain at that time.
    message_ids: list[int]
    chain: list[str]
    #: The columns that follow the agent, as they were last written: one that differs now was changed by the user.
    written: dict[str, Any]

    @classmethod
    def read(cls, key: SessionKey, entry: Entry) -> Copy:
        """Return the copy that an entry with notes is about."""
        assert entry.revision is not None, "entries with notes have a revision"  # noqa: S101
        return cls(key, entry.item, entry.digest, entry.revision, **entry.notes)

    @property
    def has_imported_messages(self) -> bool:
        """Whether no message was written here since the import. (If one was, they may still be the same again.)"""
        return self.key.transcript_revision <= self.revision


def notes(conversation: Conversation, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the import log has to note for the next import; `Copy` reads it."""
    return {
        "chain": list(conversation.session.chain),
        "message_ids": conversation.message_ids,
        "written": dict(written),
    }


def following(conversation: Conversation) -> dict[str, Any]:
    """Return the columns, without the parent, that follow the agent for as long as the user leaves them alone."""
    return {"title": conversation.session.title[:TITLE_LIMIT], **conversation.totals}


def changed_columns(values: Mapping[str, Any], now: FollowedColumns, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the columns that follow the agent which it changed and the user did not.

    Args:
        values: their values according to the agent.
        now: their values in the store.
        written: their values when they were last written by an import.
    """
    stored = now._asdict()
    return {
        name: value
        for name, value in values.items()
        if stored[name] != value and name in written and stored[name] == written[name]
    }


def find_conflict(conversation: Conversation, copy: Copy, *, is_changed_here: bool, stored: Sequence[Mark]) -> str:
    """Return why the agent's messages must not replace the store's; empty if they may.

    Args:
        is_changed_here: the store's messages are not those that were imported.
        stored: the marks of the store's messages, in order.
    """
    marks = conversation.marks()
    gone = sum(message_id not in marks for message_id in copy.message_ids)
    if gone:
        return f"{gone} of its messages are gone from the agent's file (it was pruned, or cut, or replaced by another)"
    if is_changed_here:
        return "its messages were changed here and by the agent"
    if any(marks[message_id] != mark for message_id, mark in zip(copy.message_ids, stored, strict=True)):
        return "other messages have their ids in the agent's file (it was replaced)"
    return ""


def describe_columns(changed: Mapping[str, Any]) -> str:
    """Return what a report says about changed columns."""
    return ", ".join(dict.fromkeys(_NAMES[name] for name in changed))


def describe_messages(copy: Copy, conversation: Conversation) -> str:
    """Return what a report says about the difference between what was imported and what the agent has now."""
    before, now = set(copy.message_ids), set(conversation.message_ids)
    parts = []
    if now - before:
        parts.append(f"{len(now - before)} new messages")
    if before - now:
        parts.append(f"{len(before - now)} taken back")
    if list(conversation.session.chain) != copy.chain:
        parts.append("compressed since")
    return ", ".join(parts)
