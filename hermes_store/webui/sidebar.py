"""The rows of the sidebar: every session that is to be seen, as the store has it and as live objects have it."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Collection, Iterable
from typing import Any, Final

from sqlalchemy import Connection, Text, bindparam, or_, select, type_coerce

from .. import documents
from ..files import image
from ..listing import BLANK_SECONDS
from ..tables import DEFAULT_PROFILE, UNTITLED, Project, Session, SessionDocument
from ..types import LosslessText, is_escaped, unescaped
from .session import LiveSession


def _column(key: str) -> Any:
    """Return a column as it is stored: decoding is left to the few texts that need it."""
    column = Project.project_id if key == "project_id" else getattr(Session, key)
    return type_coerce(column, Text()) if isinstance(column.type, LosslessText) else column


_COLUMNS: Final = image.INDEX_KEYS
_TEXTS: Final = tuple(key for key in _COLUMNS if isinstance(getattr(Session, key).type, LosslessText))
_sessions: Final = (
    select(*map(_column, _COLUMNS))
    .outerjoin(Project, Session.project_id == Project.id)
    .where(
        Session.deleted_at.is_(None),
        or_(
            Session.title != UNTITLED,
            Session.message_count > 0,
            Session.updated_at > bindparam("fresh"),
            Session.active_stream_id.in_(bindparam("streams", expanding=True)),
            Session.session_id.in_(bindparam("edited", expanding=True)),
        ),
    )
)
#: Found by keys alone, so that no payload but theirs is touched. (Else SQLite folds it into a scan of the bodies.)
_named: Final = (
    select(SessionDocument.session_id, SessionDocument.key)
    .where(SessionDocument.key.in_(_COLUMNS))
    .cte("named")
    .prefix_with("MATERIALIZED")
)
_originals: Final = (
    select(Session.session_id, SessionDocument.key, SessionDocument.payload)
    .join(Session, Session.id == SessionDocument.session_id)
    .join(
        _named,
        (_named.c.session_id == SessionDocument.session_id) & (_named.c.key == SessionDocument.key),
    )
)
_order: Final = operator.itemgetter("pinned", "updated_at", "session_id")


def rows(connection: Connection, live: Iterable[LiveSession], streams: Collection[str]) -> list[dict[str, Any]]:
    """Return the sessions to show: pinned ones first, then those that changed last.

    An untitled session without messages is shown for a minute, and while its stream is at work.

    Args:
        connection: of one state of the data.
        live: sessions that may hold what was not saved yet.
        streams: the ids of the streams at work.
    """
    fresh = time.time() - BLANK_SECONDS
    new = [session for session in live if session.is_new]
    edited = {one.session_id: changes for one in live if not one.is_new and (changes := _unsaved(one))}
    listed = _stored(connection, fresh, streams, edited)
    special = _special(connection, new, edited, {row["session_id"]: row for row in listed})
    for session_id, row in special.items():
        row["profile"] = row["profile"] or DEFAULT_PROFILE
        row["is_streaming"] = isinstance(row["active_stream_id"], str) and row["active_stream_id"] in streams
        row |= {"pinned": bool(row["pinned"]), "archived": bool(row["archived"]), "updated_at": _time(row)}
        special[session_id] = {key: sendable(value) for key, value in row.items()}
    listed = [row for row in listed if row["session_id"] not in special]
    listed += [row for row in special.values() if _is_shown(row, fresh)]
    listed.sort(key=_order, reverse=True)
    return listed


def _unsaved(session: LiveSession) -> dict[str, Any]:
    """Return what a live session says that was not saved; under ``message_count``, how many messages more."""
    changes = {key: value for key, value in session.changed_values().items() if key in _COLUMNS}
    return changes | ({"message_count": session.unsaved_messages} if session.unsaved_messages else {})


def _stored(
    connection: Connection, fresh: float, streams: Collection[str], edited: Collection[str]
) -> list[dict[str, Any]]:
    """Return the rows as the store's columns have them. (A literal: it makes rows twice as fast as anything else.)"""
    listed = []
    for (
        session_id,
        title,
        workspace,
        model,
        message_count,
        created_at,
        updated_at,
        pinned,
        archived,
        project_id,
        profile,
        input_tokens,
        output_tokens,
        estimated_cost,
        personality,
        anchor_index,
        anchor,
        stream,
    ) in connection.execute(_sessions, {"fresh": fresh, "streams": sorted(streams), "edited": sorted(edited)}).all():
        row = {
            "session_id": session_id,
            "title": title,
            "workspace": workspace,
            "model": model,
            "message_count": message_count,
            "created_at": created_at,
            "updated_at": updated_at,
            "pinned": pinned,
            "archived": archived,
            "project_id": project_id,
            "profile": profile,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "estimated_cost": estimated_cost,
            "personality": personality,
            "compression_anchor_visible_idx": anchor_index,
            "compression_anchor_message_key": None if anchor is None else sendable(anchor),
            "active_stream_id": stream,
            "is_streaming": stream is not None and stream in streams,
        }
        if is_escaped(f"{title}{workspace}{model}{profile}{personality}{stream}"):
            row |= {key: sendable(unescaped(row[key])) for key in _TEXTS if row[key] is not None}
        listed.append(row)
    return listed


def _special(
    connection: Connection,
    new: Iterable[LiveSession],
    edited: dict[str, dict[str, Any]],
    stored: dict[str, dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Return the rows of sessions of which not all is in the columns: originals that do not fit, unsaved changes."""
    special: dict[str, dict[str, Any]] = {}
    for session_id, key, body in connection.execute(_originals):
        if session_id in stored and key != "message_count":
            special[session_id] = stored[session_id]
            special[session_id][key] = documents.decoded(session_id, key, body)
    for session in new:
        if session.session_id not in stored:
            special[session.session_id] = session.compact()
    for session_id in edited.keys() & stored.keys():
        row, changes = stored[session_id], edited[session_id]
        count = row["message_count"] + changes.get("message_count", 0)
        special[session_id] = {**row, **changes, "message_count": count}
    return special


def _is_shown(row: dict[str, Any], fresh: float) -> bool:
    blank = row["title"] == UNTITLED and not row["message_count"]
    return not blank or row["is_streaming"] or row["updated_at"] > fresh


def _time(row: dict[str, Any]) -> float:
    """Return when a session changed last; one that says no time is the oldest."""
    value = row["updated_at"]
    return value if isinstance(value, int | float) and abs(value) < 1e300 else 0.0  # false for NaN, too


def sendable(value: Any) -> Any:
    """Return a value that the WebUI can send: one session's NaN or lone surrogate would fail the whole list's JSON."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {sendable(str(key)): sendable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [sendable(part) for part in value]
    fits = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return value if fits else None  # a live session may hold what its save will refuse
