"""The rows of hermes-webui's sidebar: all sessions that are to be shown, at once.

There may be thousands, which are read whenever the sidebar is shown. So each column is read as it is stored, and
converted here only where that is needed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NamedTuple

from sqlalchemy import Integer, LargeBinary, Text, bindparam, literal_column, or_, select, type_coerce

from ..records import UNTITLED
from ..webui_format.session_json import INDEX_KEYS
from .row_types import log_once
from .schema import NOT_STAGED, Project, Session, SessionDocument
from .statement import Statement, one_of
from .types import IdList, JsonBytes, LosslessText, TextList, decode_column, is_escaped, unescaped
from .unit_of_work import DRIVER_ERRORS, UnitOfWork

COLUMNS: Final = INDEX_KEYS


def _column(key: str) -> Any:
    """Return a column without the conversions of its type."""
    column = Project.project_id.label(key) if key == "project_id" else getattr(Session, key)
    if isinstance(column.type, LosslessText):
        return type_coerce(column, Text())
    if isinstance(column.type, JsonBytes):
        return type_coerce(column, LargeBinary())
    return type_coerce(column, Integer()) if key in _FLAGS else column


_FLAGS: Final = ("pinned", "archived")
_TEXTS: Final = tuple(key for key in COLUMNS if isinstance(getattr(Session, key).type, LosslessText))
_sessions: Final = Statement(
    select(*map(_column, COLUMNS), Session.has_draft)
    .outerjoin(Project, Session.project_id == Project.id)
    .where(
        Session.deleted_at.is_(None),
        NOT_STAGED,
        or_(
            Session.title != UNTITLED,
            Session.message_count > 0,
            Session.has_draft,
            Session.updated_at > bindparam("since"),
            one_of(Session.active_stream_id, bindparam("streams", type_=TextList)),
            one_of(Session.session_id, bindparam("ids", type_=IdList)),
        ),
    )
)


class SidebarRows(NamedTuple):
    """Sessions by `COLUMNS`."""

    all: list[dict[str, Any]]
    #: Those among them with a lone surrogate or a NUL in a text, or with a JSON value.
    unusual: list[dict[str, Any]]
    #: The ids of those that have a draft.
    drafts: set[str]


def read(unit: UnitOfWork, *, since: float, streams: Collection[str], ids: Collection[str]) -> SidebarRows:
    """Return the sessions that are not deleted, in no order.

    Args:
        since: untitled sessions without messages and drafts are left out if their last change was before this time
            (epoch seconds), except those of `streams` and `ids`.
        streams: the ids of the streams that are running.
        ids: public ids of sessions to include.
    """
    rows: list[dict[str, Any]] = []
    unusual: list[dict[str, Any]] = []
    drafts: set[str] = set()
    for values in unit.rows(_sessions, {"since": since, "streams": sorted(streams), "ids": sorted(ids)}):
        row = dict(zip(COLUMNS, values, strict=False))
        if values[-1]:
            drafts.add(row["session_id"])
        row["pinned"], row["archived"] = row["pinned"] == 1, row["archived"] == 1
        if row["compression_anchor_message_key"] is not None:
            row["compression_anchor_message_key"] = decode_column(row["compression_anchor_message_key"])
            unusual.append(row)
        if is_escaped(
            f"{row['title']}{row['workspace']}{row['model']}{row['profile']}{row['personality']}{row['active_stream_id']}"
        ):
            row |= {key: unescaped(row[key]) for key in _TEXTS if row[key] is not None}
            unusual.append(row)
        rows.append(row)
    return SidebarRows(rows, unusual, drafts)


#: Of these the column has what the sidebar shows: when a session changed last, and how many messages there are.
_OF_COLUMNS: Final = ("updated_at", "message_count")
#: Found by keys alone, so that no payload but theirs is read. (Else SQLite folds it into a scan of the payloads.)
_named: Final = (
    select(SessionDocument.session_id, SessionDocument.key)
    .where(SessionDocument.key.in_([literal_column(f"'{key}'") for key in COLUMNS if key not in _OF_COLUMNS]))
    .cte("named")
    .prefix_with("MATERIALIZED")
)
_originals: Final = Statement(
    select(Session.session_id, SessionDocument.key, SessionDocument.payload)
    .join(Session, Session.id == SessionDocument.session_id)
    .join(
        _named,
        (_named.c.session_id == SessionDocument.session_id) & (_named.c.key == SessionDocument.key),
    )
)


def read_originals(unit: UnitOfWork) -> list[tuple[str, str, bytes]]:
    """Return the originals of values that do not fit their columns: the session's id, the column, and the JSON.

    None are returned if the database cannot find them because it is damaged, which is logged: the columns have similar
    values.
    """
    try:
        return [(session_id, key, payload) for session_id, key, payload in unit.rows(_originals)]
    except DRIVER_ERRORS as error:
        if not unit.is_damage(error):
            raise
        log_once("The originals of values in the sidebar cannot be read: %s", error)
        return []
