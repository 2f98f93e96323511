"""Whole sessions: a session's row together with its messages and documents, as importers write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..transcripts.encoding import Encoded, last_timestamp
from . import document_rows, message_rows, session_rows
from .session_rows import SessionKey
from .unit_of_work import UnitOfWork


def add_whole(
    unit: UnitOfWork,
    session_id: str,
    columns: Mapping[str, Any],
    messages: Sequence[Encoded],
    documents: Mapping[str, bytes],
) -> int:
    """Insert a session at revision 1 with its messages and documents, and return its row id.

    Args:
        session_id: its public id.
        columns: by the names of the table's columns. `message_count` and `last_message_at` are those of the messages.
        messages: all of them, in order.
        documents: the JSON of its values by key.

    Raises:
        SessionExistsError: another session has the id.
    """
    row_id = session_rows.add(unit, session_id, {**columns, **_of_transcript(messages)})
    message_rows.append(unit, row_id, messages, first=0, revision=1)
    document_rows.add(unit, row_id, documents)
    return row_id


def overwrite_whole(
    unit: UnitOfWork,
    key: SessionKey,
    columns: Mapping[str, Any],
    messages: Sequence[Encoded],
    documents: Mapping[str, bytes],
) -> int:
    """Make a session have these messages and documents and no others, and return its new revision.

    Messages and documents that are the same already are not written. If the session moves to another profile, the
    sessions that were forked from it are unlinked, because links do not lead from one profile to another.

    Args:
        key: the session, whose row the caller has locked.
        columns: as in `add_whole`; those that are left out stay as they are, `updated_at` included.
        messages: all of them, in order.
        documents: the JSON of its values by key.
    """
    changes = message_rows.replace(unit, key.id, messages, key.revision + 1)
    document_rows.replace(unit, key.id, documents)
    if columns.get("profile", key.profile) != key.profile:
        session_rows.release_children(unit, key)
    return session_rows.change(
        unit,
        key,
        {**columns, **_of_transcript(messages)},
        transcript=not changes.is_empty,
        fields=True,
        touch=False,
    )


def _of_transcript(messages: Sequence[Encoded]) -> dict[str, Any]:
    return {"message_count": len(messages), "last_message_at": last_timestamp(messages)}
