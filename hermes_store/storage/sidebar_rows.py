"""The rows of hermes-webui's sidebar: all sessions that are to be shown, at once.

There may be thousands, which are asked for whenever the sidebar is shown. So it is enough to read those that were
written to; and each column is read as it is stored, and converted here only where that is needed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NamedTuple

from sqlalchemy import Integer, LargeBinary, Text, and_, bindparam, literal_column, or_, select, type_coerce

from ..records import UNTITLED
from ..webui_format.session_json import INDEX_KEYS
from .row_types import Row, log_once
from .schema import NOT_STAGED, project_table, session_document_table, session_table
from .statement import Statement, one_of
from .types import JsonBytes, LosslessText, RowIdList, decode_column, is_escaped, unescaped
from .unit_of_work import DRIVER_ERRORS, UnitOfWork

COLUMNS: Final = INDEX_KEYS


def _column(key: str) -> Any:
    """Return a column without the conversions of its type."""
    column = project_table.c.project_id.label(key) if key == "project_id" else session_table.c[key]
    if isinstance(column.type, LosslessText):
        return type_coerce(column, Text())
    if isinstance(column.type, JsonBytes):
        return type_coerce(column, LargeBinary())
    return type_coerce(column, Integer()) if key in _FLAGS else column


_FLAGS: Final = ("pinned", "archived")
_TEXTS: Final = tuple(key for key in COLUMNS if isinstance(session_table.c[key].type, LosslessText))
_is_live: Final = and_(session_table.c.deleted_at.is_(None), NOT_STAGED)
_has_something: Final = or_(
    session_table.c.title != UNTITLED, session_table.c.message_count > 0, session_table.c.has_draft
)

#: One version of a session's row: its row id, its revision, its `updated_at`, and the row id of its project.
Version = tuple[int, int, float, int | None]


class ChangedRow(NamedTuple):
    """A row of a session that was written to."""

    version: Version
    #: Whether it is a session that is not deleted.
    is_live: bool
    #: Whether it has a title, a message or a draft.
    has_something: bool
    session_id: str
    active_stream_id: str | None


#: Unchecked: they are only compared.
_changed: Final = Statement(
    select(
        session_table.c.id,
        session_table.c.revision,
        session_table.c.updated_at,
        session_table.c.project_id,
        _is_live.label("is_live"),
        _has_something.label("has_something"),
        session_table.c.session_id,
        type_coerce(session_table.c.active_stream_id, Text()).label("active_stream_id"),
    ).where(session_table.c.change_number > bindparam("number")),
    checked=False,
)


def changed(unit: UnitOfWork, number: int) -> list[ChangedRow]:
    """Return the rows that were written to after the change of a number, in no order; see `change_rows`."""
    return [
        ChangedRow(tuple(row[:4]), bool(row[4]), bool(row[5]), row[6], row[7])
        for row in unit.rows(_changed, {"number": number})
    ]


_columns: Final = select(session_table.c.id, *map(_column, COLUMNS), session_table.c.has_draft).outerjoin(
    project_table, session_table.c.project_id == project_table.c.id
)
_some: Final = Statement(_columns.where(one_of(session_table.c.id, bindparam("rows", type_=RowIdList))))
#: Each of the rows between two is read, wanted or not.
_between: Final = Statement(_columns.where(session_table.c.id.between(bindparam("first"), bindparam("last"))))
#: With more rows than this, it is faster to read all rows between the first and the last.
_FEW: Final = 500


class SidebarRows(NamedTuple):
    """Sessions by `COLUMNS`, by their row ids."""

    all: dict[int, dict[str, Any]]
    #: Those among them with a lone surrogate or a NUL in a text, or with a JSON value.
    unusual: set[int]
    #: Those that have a draft.
    drafts: set[int]


def read(unit: UnitOfWork, row_ids: Collection[int]) -> SidebarRows:
    """Return the rows of some sessions, and perhaps of others."""
    found = SidebarRows({}, set(), set())
    for row_id, *values in _rows(unit, row_ids, _some, _between):
        row = dict(zip(COLUMNS, values, strict=False))
        if values[-1]:
            found.drafts.add(row_id)
        row["pinned"], row["archived"] = row["pinned"] == 1, row["archived"] == 1
        if row["compression_anchor_message_key"] is not None:
            row["compression_anchor_message_key"] = decode_column(row["compression_anchor_message_key"])
            found.unusual.add(row_id)
        if is_escaped(
            f"{row['title']}{row['workspace']}{row['model']}{row['profile']}{row['personality']}{row['active_stream_id']}"
        ):
            row |= {key: unescaped(row[key]) for key in _TEXTS if row[key] is not None}
            found.unusual.add(row_id)
        found.all[row_id] = row
    return found


def _rows(unit: UnitOfWork, row_ids: Collection[int], some: Statement, between: Statement) -> list[Row]:
    if len(row_ids) > _FEW:
        return unit.rows(between, {"first": min(row_ids), "last": max(row_ids)})
    return unit.rows(some, {"rows": sorted(row_ids)}) if row_ids else []


#: Of these the column has what the sidebar shows: when a session changed last, and how many messages there are.
_OF_COLUMNS: Final = ("updated_at", "message_count")


def _originals(condition: Any) -> Statement:
    # Found by keys alone, so that no payload but theirs is read. (Else SQLite folds it into a scan of the payloads.)
    keys: list[Any] = [literal_column(f"'{key}'") for key in COLUMNS if key not in _OF_COLUMNS]
    named = (
        select(session_document_table.c.session_id, session_document_table.c.key)
        .where(session_document_table.c.key.in_(keys), condition)
        .cte("named")
        .prefix_with("MATERIALIZED")
    )
    return Statement(
        select(
            session_document_table.c.session_id,
            session_table.c.session_id.label("public_id"),
            session_document_table.c.key,
            _payload,
        )
        .join(session_table, session_table.c.id == session_document_table.c.session_id)
        .join(
            named,
            (named.c.session_id == session_document_table.c.session_id) & (named.c.key == session_document_table.c.key),
        )
    )


_payload: Final = session_document_table.c.payload
_some_originals: Final = _originals(one_of(session_document_table.c.session_id, bindparam("rows", type_=RowIdList)))
_originals_between: Final = _originals(
    session_document_table.c.session_id.between(bindparam("first"), bindparam("last"))
)


class Original(NamedTuple):
    """The original of a value that does not fit its column, as JSON."""

    row_id: int
    session_id: str
    key: str
    payload: bytes


def read_originals(unit: UnitOfWork, row_ids: Collection[int]) -> list[Original]:
    """Return the originals of some sessions, and perhaps of others.

    None are returned if the database cannot find them because it is damaged, which is logged: the columns have similar
    values.
    """
    try:
        return [Original._make(row) for row in _rows(unit, row_ids, _some_originals, _originals_between)]
    except DRIVER_ERRORS as error:
        if not unit.is_damage(error):
            raise
        log_once("The originals of values in the sidebar cannot be read: %s", error)
        return []
