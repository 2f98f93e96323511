"""Whole sessions: a session's row together with its messages and documents, as importers write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..transcripts.encoding import Encoded
from . import (
    cached_tokens,
    cut_rows,
    document_rows,
    message_copies,
    message_differences,
    message_rows,
    search_rows,
    session_rows,
    transcript_columns,
    usage_rows,
)
from .message_differences import Difference
from .session_keys import SessionKey
from .statement import NO_PARAMETERS
from .unit_of_work import UnitOfWork
from .usage_rows import Use


def add_whole(  # noqa: PLR0917 - the parts of a session
    unit: UnitOfWork,
    session_id: str,
    columns: Mapping[str, Any],
    messages: Sequence[Encoded],
    documents: Mapping[str, bytes],
    uses: Sequence[Use] = (),
) -> int:
    """Insert a session at revision 1 with its messages and documents, and return its row id.

    Args:
        session_id: its public id.
        columns: by the names of the table's columns, without those of `transcript_columns`.
        messages: all of them, in order.
        documents: the JSON of its values by key.
        uses: as in `session_rows.add`; what the columns and documents tell if there are none.

    Raises:
        SessionExistsError: another session has the id.
    """
    uses = uses or cached_tokens.first_uses(columns, cached_tokens.of_documents(documents))
    row_id = session_rows.add(unit, session_id, {**columns, **transcript_columns.of_all(messages)}, uses)
    message_rows.append(unit, row_id, messages, first=0, revision=1)
    document_rows.add(unit, row_id, documents)
    uncount_snapshot(unit, row_id, documents)
    return row_id


def append(
    unit: UnitOfWork,
    key: SessionKey,
    messages: Sequence[Encoded],
    columns: Mapping[str, Any] = NO_PARAMETERS,
    *,
    touch: bool = True,
) -> tuple[int, int]:
    """Add messages at the end of a session; return the row id of the last one, and the session's new revision.

    Args:
        key: the session, whose row the caller has locked.
        messages: at least one.
        columns: `updated_at`, if it is to be another time than now.
        touch: as in `session_rows.change`.

    Raises:
        DatabaseCorruptError: the session's count of messages, or its row, is damaged.
    """
    values = {**transcript_columns.of_appended(key, messages), **columns}
    change = session_rows.change_of_append(key, values, touch=touch)
    row_id, changed = message_rows.append_and_change(unit, key.id, messages, first=key.message_count, change=change)
    session_rows.require_written(key, changed)
    return row_id, change.parameters["revision"]


def uncount_snapshot(unit: UnitOfWork, row_id: int, documents: Mapping[str, bytes]) -> None:
    """Do not count what a session used if it was kept when it was compressed: what goes on from it has it as well."""
    if documents.get("pre_compression_snapshot") == b"true":
        usage_rows.uncount(unit, row_id)


def copy_whole(unit: UnitOfWork, key: SessionKey, new_id: str) -> int:
    """Insert a copy of a session under another public id, at revision 1, and return its row id.

    Raises:
        SessionExistsError, SessionDeletedError: the new id is, or was, another session's.
    """
    row_id = session_rows.copy(unit, key, new_id)
    message_copies.copy(unit, key.id, row_id)
    search_rows.add_session(unit, row_id)
    document_rows.copy(unit, key.id, row_id)
    return row_id


def overwrite_whole(
    unit: UnitOfWork,
    key: SessionKey,
    columns: Mapping[str, Any],
    messages: Sequence[Encoded],
    documents: Mapping[str, bytes] | None,
    *,
    fields: bool = True,
    difference: Difference | None = None,
    uses: Sequence[Use] = (),
) -> int:
    """Make a session have these messages and documents and no others, and return its new revision.

    Messages and documents that are the same already are not written. If the session moves to another profile, the
    sessions that were forked from it are unlinked, because links do not lead from one profile to another.

    Args:
        key: the session, whose row the caller has locked.
        columns: as in `add_whole`; those that are left out stay as they are, `updated_at` included.
        messages: all of them, in order.
        documents: the JSON of its values by key; None to leave them as they are.
        fields: something else than messages may be written.
        difference: what differs of the messages, if that is known.
        uses: as in `session_rows.change`; what the columns and documents tell if there are none.
    """
    if documents is not None and not uses:
        uses = cached_tokens.further_uses(unit, key.id, columns, cached_tokens.of_documents(documents))
    if difference is None:
        difference = message_differences.compare(unit, key.id, messages)
    cut_rows.keep_difference(unit, key, "import", difference)
    message_rows.write_difference(unit, key.id, difference, messages, key.revision + 1)
    if documents is not None:
        document_rows.replace(unit, key.id, documents)
    release_children_of_other_profile(unit, key, columns)
    revision = session_rows.change(
        unit,
        key,
        {**columns, **transcript_columns.of_all(messages)},
        transcript=not difference.changes.is_empty,
        fields=fields,
        touch=False,
        uses=uses,
    )
    if documents is not None:
        uncount_snapshot(unit, key.id, documents)
    return revision


def release_children_of_other_profile(unit: UnitOfWork, key: SessionKey, columns: Mapping[str, Any]) -> None:
    """Unlink the sessions that were forked from one if its new columns say another profile."""
    if columns.get("profile", key.profile) != key.profile:
        session_rows.release_children(unit, key)
