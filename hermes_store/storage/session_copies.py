"""Copies of sessions, made inside the database: no message and no large document is read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from . import document_reading, document_rows, kept_states, session_rows, transcript_columns
from .kept_states import State
from .session_keys import SessionKey
from .unit_of_work import UnitOfWork


class CopiedValues(NamedTuple):
    """What a copy has that differs from the session."""

    #: By the names of the table's columns.
    columns: Mapping[str, Any]
    #: The keys of values that it does not have.
    without: Collection[str]
    #: The JSON of values that it has instead, by key.
    documents: Mapping[str, bytes]


def copy(unit: UnitOfWork, key: SessionKey, new_id: str, state: State, values: CopiedValues) -> int:
    """Insert a copy of a session with the messages of a state of it, at revision 1, and return its row id.

    Args:
        key: the session, whose row is locked.
        new_id: the copy's public id.
        state: its messages.
        values: what else differs.

    Raises:
        SessionExistsError, SessionDeletedError: the new id is, or was, another session's.
        DatabaseCorruptError: the state is one that is kept, and damaged.
    """
    row_id = session_rows.copy(unit, key, new_id, values.columns)
    kept_states.copy(unit, key.id, state, row_id)
    document_rows.copy(unit, key.id, row_id, values.without)
    document_rows.write(unit, row_id, new_id, values.documents, values.without)
    derived: dict[str, Any] = {"has_draft": document_reading.has_stored_draft(unit, row_id, new_id)}
    if state != kept_states.present(key):
        derived |= {"message_count": state.message_count, "updated_at": values.columns["updated_at"]}
        derived |= transcript_columns.of_stored(unit, row_id)
    session_rows.write_row(unit, row_id, derived)
    return row_id
