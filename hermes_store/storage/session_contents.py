"""A session's record together with its other values, in as few statements as possible."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NamedTuple

from sqlalchemy import Select, bindparam, literal_column, select

from ..errors import DatabaseCorruptError
from ..records import SessionRecord
from ..validation import COLUMN_KEYS
from . import document_reading, session_keys
from .row_types import Row, log_once
from .schema import session_document_table, session_extras_table, session_table
from .session_records import records, to_record
from .statement import Statement
from .unit_of_work import UnitOfWork


class SessionContents(NamedTuple):
    """A session but for its messages."""

    row_id: int
    record: SessionRecord
    #: By key: its small values, and the originals of values that do not fit their columns.
    values: dict[str, Any]


_column_keys: Final = sorted(COLUMN_KEYS)
_documents: Final[Select[Any]] = (
    select(literal_column("1"))
    .where(session_document_table.c.session_id == session_table.c.id)
    .correlate(session_table)
)
_originals: Final[Select[Any]] = _documents.where(
    session_document_table.c.key.in_([literal_column(f"'{key}'") for key in _column_keys])
)


def _contents() -> Select[Any]:
    with_extras = session_table.outerjoin(session_extras_table, session_extras_table.c.session_id == session_table.c.id)
    return records(with_extras).add_columns(
        session_extras_table.c.payload.label("extras"),
        _documents.exists().label("has_documents"),
        _originals.exists().label("has_originals"),
    )


_by_id: Final = Statement(_contents().where(session_table.c.session_id == bindparam("session_id")))
_by_row: Final = Statement(_contents().where(session_table.c.id == bindparam("row_id")))


def read(unit: UnitOfWork, session_id: str, *, whole: bool, without: Collection[str] = ()) -> SessionContents | None:
    """Return a session, deleted or not; None when there is none.

    Values that are damaged are left out and logged: the caller goes on with the rest, and what is written
    in their place replaces them.

    Args:
        whole: with all of its values, the large ones included.
        without: keys whose values are not read, if they are large.
    """
    return _read(unit, unit.row(_by_id, {"session_id": session_id}), whole, without)


def read_row(unit: UnitOfWork, row_id: int, *, whole: bool, without: Collection[str] = ()) -> SessionContents | None:
    """Return the session that a row id was read of; as `read`."""
    found = _read(unit, unit.row(_by_row, {"row_id": row_id}), whole, without)
    if found is not None and not session_keys.is_staged(found.record.session_id):
        return found
    successor = session_keys.row_after(unit, row_id)
    return None if successor is None else read_row(unit, successor, whole=whole, without=without)


def _read(unit: UnitOfWork, row: Row | None, whole: bool, without: Collection[str]) -> SessionContents | None:
    if row is None:
        return None
    record = to_record(row)
    *_, row_id, extras, has_documents, has_originals = row
    try:
        values = document_reading.decode_extras(extras, record.session_id)
    except DatabaseCorruptError as error:
        log_once("%s", error)
        values = {}
    if whole and has_documents:
        values |= document_reading.read_sound(unit, row_id, record.session_id, None, without)
    elif not whole and has_originals:
        values |= document_reading.read_sound(unit, row_id, record.session_id, _column_keys)
    return SessionContents(row_id, record, values)
