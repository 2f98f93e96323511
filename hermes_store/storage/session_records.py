"""The records of single sessions."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Select, bindparam, select
from sqlalchemy.sql import ColumnElement

from ..records import SessionRecord
from .row_types import Row
from .schema import project_table, session_table
from .statement import Statement, one_of
from .types import IdList, RowIdList
from .unit_of_work import UnitOfWork

_parent: Final = session_table.alias("parent")
_NAMES: Final = tuple(SessionRecord.model_fields)
#: Where a row of `records` has the public id.
ID: Final = _NAMES.index("session_id")


def _record_column(name: str) -> ColumnElement[Any]:
    if name == "project_id":
        return project_table.c.project_id.label(name)
    if name == "parent_id":
        return _parent.c.session_id.label(name)
    column: ColumnElement[Any] = session_table.c[name]
    return column


def records(source: Any) -> Select[Any]:
    """Return the query for the records of sessions, with their row ids last; see `to_record`."""
    return (
        select(*map(_record_column, _NAMES), session_table.c.id.label("internal_id"))
        .select_from(source)
        .outerjoin(project_table, session_table.c.project_id == project_table.c.id)
        .outerjoin(_parent, session_table.c.parent_id == _parent.c.id)
    )


_get: Final = Statement(records(session_table).where(session_table.c.session_id == bindparam("session_id")))
_among: Final = records(session_table).where(one_of(session_table.c.session_id, bindparam("ids", type_=IdList)))
_get_many: Final = {
    False: Statement(_among.where(session_table.c.deleted_at.is_(None))),
    True: Statement(_among.where(session_table.c.deleted_at.is_not(None))),
    None: Statement(_among),
}


def to_record(row: Row) -> SessionRecord:
    """Return a row as the record that it is. It is not validated: one odd row breaks no list."""
    [record] = to_records([row])
    return record


def to_records(rows: Sequence[Row]) -> list[SessionRecord]:
    """Return rows as the records that they are; as `to_record`."""
    return SessionRecord.from_rows(rows)


def get(unit: UnitOfWork, session_id: str) -> SessionRecord | None:
    """Return a session, deleted or not; None when there is none."""
    row = unit.row(_get, {"session_id": session_id})
    return None if row is None else to_record(row)


def get_existing(unit: UnitOfWork, session_id: str) -> SessionRecord:
    """Return a session that was found or written in this transaction, deleted or not."""
    record = get(unit, session_id)
    assert record is not None, "it is locked"  # noqa: S101
    return record


def get_many(
    unit: UnitOfWork, session_ids: Sequence[str], profile: str | None, *, deleted: bool | None = False
) -> dict[str, SessionRecord]:
    """Return those of some sessions that exist and belong to a profile (any when None), by id.

    Args:
        deleted: only those that are (True) or are not (False) deleted; None: both.
    """
    records = to_records(unit.rows(_get_many[deleted], {"ids": list(session_ids)}))
    return {record.session_id: record for record in records if profile in (None, record.profile)}


_by_rows: Final = Statement(
    records(session_table).where(one_of(session_table.c.id, bindparam("rows", type_=RowIdList)))
)


def get_rows(unit: UnitOfWork, rows: Collection[int]) -> dict[int, SessionRecord]:
    """Return sessions by row id."""
    return {row[-1]: to_record(row) for row in unit.rows(_by_rows, {"rows": sorted(rows)})} if rows else {}
