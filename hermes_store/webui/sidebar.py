"""The rows of the sidebar: every session that is to be shown, as the store has it and as live objects have it."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterable
from typing import Any, Final

from ..quoting import number_of, quoted, text_of
from ..records import DEFAULT_PROFILE, UNTITLED
from ..storage import sidebar_rows
from ..storage.engine import Database
from ..storage.list_filter import BLANK_SECONDS
from ..storage.sidebar_rows import Version
from ..storage.unit_of_work import UnitOfWork
from ..transcripts.copying import is_deeper
from .session import LiveSession
from .sidebar_cache import SidebarCache, StoredRows, order


def rows(
    unit: UnitOfWork, database: Database, cache: SidebarCache, live: Iterable[LiveSession], streams: Collection[str]
) -> list[dict[str, Any]]:
    """Return the sessions to show: pinned ones first, then those that changed last.

    An untitled session without messages and drafts is shown for a minute, and while its stream is running.

    Args:
        database: the one that `unit` is of.
        cache: the rows of the last list.
        live: sessions that may have unsaved changes.
        streams: the ids of the running streams.
    """
    fresh = time.time() - BLANK_SECONDS
    new = [session for session in live if session.is_new]
    edited = {one.session_id: changes for one in live if not one.is_new and (changes := _unsaved(one))}
    stored = cache.read(unit, database, since=fresh, streams=streams, ids=edited)
    copies = _copies(stored, streams)
    drafts = {copies[version]["session_id"] for version in stored.drafts & copies.keys()}
    drafts |= {session.session_id for session in live if session.has_draft}
    special = _special(stored, copies, new, edited)
    for session_id, values in special.items():
        row = {key: sendable(value) for key, value in values.items()}  # plain values, whatever a live session has
        row["profile"] = row["profile"] or DEFAULT_PROFILE
        row["is_streaming"] = isinstance(row["active_stream_id"], str) and row["active_stream_id"] in streams
        row |= {"pinned": bool(row["pinned"]), "archived": bool(row["archived"]), "updated_at": _time(row)}
        special[session_id] = row
    listed = list(copies.values())
    if special:
        listed = [row for row in listed if row["session_id"] not in special]
        listed += [row for row in special.values() if row["session_id"] in drafts or _is_shown(row, fresh)]
    if special or stored.unusual or stored.unsorted:
        listed.sort(key=order, reverse=True)
    return listed


def _copies(stored: StoredRows, streams: Collection[str]) -> dict[Version, dict[str, Any]]:
    """Return rows that the caller may change, as the store's columns have them."""
    copies = {version: row.copy() for version, row in stored.rows.items()}
    for row in copies.values() if streams else ():
        row["is_streaming"] = row["active_stream_id"] in streams
    for version in stored.unusual:
        row = copies[version]
        row |= {key: sendable(value) for key, value in row.items()}
        row["updated_at"] = _time(row)
    return copies


def _unsaved(session: LiveSession) -> dict[str, Any]:
    """Return the unsaved values of a live session; under ``message_count``, how many more messages it has."""
    columns = set(sidebar_rows.COLUMNS) - {"message_count"}  # a value of that name may be anything
    changes = {key: value for key, value in session.changed_values().items() if key in columns}
    return changes | ({"message_count": session.unsaved_messages} if session.unsaved_messages else {})


def _special(
    stored: StoredRows,
    copies: dict[Version, dict[str, Any]],
    new: Iterable[LiveSession],
    edited: dict[str, dict[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Return the rows of sessions with values that are not in the columns: originals that do not fit, unsaved ones."""
    special: dict[str, dict[str, Any]] = {}
    for version, values in stored.originals.items():
        row = {**copies[version], **values}
        special[row["session_id"]] = row
    if not new and not edited:
        return special
    by_id = {row["session_id"]: row for row in copies.values()} | special
    for session in new:
        if session.session_id not in by_id:
            special[session.session_id] = session.compact()
    for session_id in edited.keys() & by_id.keys():
        row, changes = by_id[session_id], edited[session_id]
        count = row["message_count"] + changes.get("message_count", 0)
        special[session_id] = {**row, **changes, "message_count": count}
    return special


def _is_shown(row: dict[str, Any], fresh: float) -> bool:
    blank = row["title"] == UNTITLED and not row["message_count"]
    return not blank or row["is_streaming"] or row["updated_at"] > fresh


def _time(row: dict[str, Any]) -> float:
    """Return when a session changed last; one without a time is the oldest."""
    value = row["updated_at"]
    return value if isinstance(value, int | float) and abs(value) < 1e300 else 0.0  # false for NaN, too


def sendable(value: Any) -> Any:
    """Return a value that the WebUI can send: one session's NaN, lone surrogate or deep value would fail the whole
    list's JSON. A value that is nested too deep is None."""
    return None if is_deeper(value, _DEEPEST) else _sendable(value)


#: Nested deeper than this, a value is not sent: the standard library's JSON ends near a thousand.
_DEEPEST: Final = 100


#: Python writes integers of at most 4,300 digits.
_LONGEST: Final = 10**4300


def _sendable(value: Any) -> Any:
    kind = type(value)
    if (text := text_of(value)) is not None:
        return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if issubclass(kind, dict):
        return {_sendable(_key(key)): _sendable(part) for key, part in dict.items(value)}
    if issubclass(kind, list | tuple):
        return [_sendable(part) for part in (list.__iter__(value) if issubclass(kind, list) else tuple.__iter__(value))]
    number = value if kind is bool else number_of(value)
    fits = (isinstance(number, int) and abs(number) < _LONGEST) or (isinstance(number, float) and math.isfinite(number))
    return number if fits else None  # a live session may hold what its save will refuse


def _key(key: Any) -> str:
    text = text_of(key)
    return quoted(key) if text is None else text
