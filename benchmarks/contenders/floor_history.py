"""The floor for what is kept of former messages, and for forks: SQL written by hand, inside a transaction."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from typing import Final

from .floor_changes import NEXT

_CUT: Final = (
    "INSERT INTO message_cuts (session_id, verb, cut_at, since_revision, revision, undo_revision, message_count, "
    "messages, size, runs) VALUES (?,?,?,?,?,?,?,?,?,?)"
)
_MEASURE: Final = (
    "SELECT count(*), count(*) FILTER (WHERE m.role = 'user'), total(length(b.payload)) "
    "FROM messages m JOIN message_blobs b ON b.message_id = m.id "
    "WHERE m.session_id = ? AND m.position BETWEEN ? AND ?"
)
_KEEP: Final = (
    "INSERT INTO kept_messages (cut_id, position, role, timestamp, digest, payload) "
    "SELECT ?, m.position, m.role, m.timestamp, m.digest, b.payload "
    "FROM messages m JOIN message_blobs b ON b.message_id = m.id "
    "WHERE m.session_id = ? AND m.position BETWEEN ? AND ?"
)
_BOUND: Final = "SELECT count(*), sum(size) FROM message_cuts WHERE session_id = ?"
_DROP_OLDEST: Final = (
    "DELETE FROM message_cuts WHERE session_id = ? AND id NOT IN "
    "(SELECT id FROM message_cuts WHERE session_id = ? ORDER BY id DESC LIMIT 100)"
)


def keep(
    connection: sqlite3.Connection, key: int, counts: tuple[int, int, int], runs: Sequence[Sequence[int]], cut: range
) -> int:
    """Keep messages that are about to be removed or overwritten, and return how many of them are the user's.

    Args:
        key: the row id of their session.
        counts: its number of messages, its revision, and the revision of its transcript.
        runs: the messages that stay.
        cut: the positions.
    """
    execute = connection.execute
    count, revision, since = counts
    kept, users, size = execute(_MEASURE, (key, cut[0], cut[-1])).fetchone()
    values = (
        key,
        "truncate",
        time.time(),
        since,
        revision + 1,
        revision + 1,
        count,
        kept,
        size,
        json.dumps(runs).encode(),
    )
    row = execute(_CUT, values).lastrowid
    execute(_KEEP, (row, key, cut[0], cut[-1]))
    cuts, total = execute(_BOUND, (key,)).fetchone()
    if cuts > 100 or total > 64 * 2**20:
        execute(_DROP_OLDEST, (key, key))
    return int(users)


_LAST_CUT: Final = (
    "SELECT id, since_revision, undo_revision, message_count, messages, runs FROM message_cuts "
    "WHERE session_id = ? AND verb NOT IN ('undo', 'stream') AND id < ? ORDER BY id DESC LIMIT 1"
)
_PUT_BACK: Final = (
    "INSERT INTO messages (session_id, position, role, timestamp, digest, revision) "
    "SELECT ?, position, role, timestamp, digest, ? FROM kept_messages WHERE cut_id = ? ORDER BY position"
)
_KEPT_USERS: Final = "SELECT count(*) FROM kept_messages WHERE cut_id = ? AND role = 'user'"
_PUT_PAYLOADS_BACK: Final = (
    "INSERT INTO message_blobs (message_id, payload) SELECT m.id, k.payload FROM kept_messages k "
    "JOIN messages m ON m.session_id = ? AND m.position = k.position WHERE k.cut_id = ?"
)


def undo(connection: sqlite3.Connection, key: int, transcript_revision: int, revision: int) -> tuple[int, int]:
    """Put back what the last cut of a session removed from its end.

    It returns how many messages that makes, and how many of those that are back are the user's.

    Args:
        key: the row id of the session.
        transcript_revision: the revision of its transcript.
        revision: that of this write.
    """
    execute = connection.execute
    cut, since, undo_revision, count, kept, runs = execute(_LAST_CUT, (key, 2**63 - 1)).fetchone()
    if undo_revision != transcript_revision or json.loads(runs)[-1][2] != count - kept:
        raise LookupError(cut)
    if execute(_PUT_BACK, (key, revision, cut)).rowcount != kept:
        raise LookupError(cut)
    execute(_PUT_PAYLOADS_BACK, (key, cut))
    (users,) = execute(_KEPT_USERS, (cut,)).fetchone()
    before = execute(_LAST_CUT, (key, cut)).fetchone()
    if before is not None and before[2] == since:
        execute("UPDATE message_cuts SET undo_revision = ? WHERE id = ?", (revision, before[0]))
    execute("DELETE FROM message_cuts WHERE id = ?", (cut,))
    return int(count), int(users)


_COLUMNS: Final = (
    "profile, project_id, workspace, model, personality, message_count, user_message_count, last_message_at, "
    "last_activity_at"
)
_FORK: Final = (
    f"INSERT INTO sessions (session_id, title, created_at, updated_at, activity_at, parent_id, parent_kind, forked_at, "
    f"source, change_number, {_COLUMNS}) SELECT ?, title || ' (fork)', ?, ?, coalesce(last_activity_at, ?), id, "
    f"'fork', message_count, 'fork', {NEXT}, {_COLUMNS} FROM sessions WHERE id = ?"
)
_FORK_MESSAGES: Final = (
    "INSERT INTO messages (session_id, position, role, timestamp, digest) "
    "SELECT ?, position, role, timestamp, digest FROM messages WHERE session_id = ? ORDER BY position"
)
_FORK_PAYLOADS: Final = (
    "INSERT INTO message_blobs (message_id, payload) SELECT c.id, b.payload "
    "FROM messages m JOIN message_blobs b ON b.message_id = m.id "
    "JOIN messages c ON c.session_id = ? AND c.position = m.position WHERE m.session_id = ?"
)


def fork(connection: sqlite3.Connection, key: int, new_id: str) -> None:
    """Copy a session without documents, with all its messages."""
    execute = connection.execute
    now = time.time()
    row = execute(_FORK, (new_id, now, now, now, key)).lastrowid
    execute(_FORK_MESSAGES, (row, key))
    execute(_FORK_PAYLOADS, (row, key))
    execute("INSERT INTO session_extras VALUES (?, ?)", (row, b'{"session_source":"fork"}'))


_RELATED: Final = ("session_id", "title", "parent_kind", "forked_at", "message_count", "created_at", "updated_at")
_LINEAGE: Final = (
    "WITH RECURSIVE up(id, distance) AS (SELECT parent_id, 1 FROM sessions WHERE id = ? AND parent_id IS NOT NULL "
    "UNION ALL SELECT s.parent_id, distance + 1 FROM up JOIN sessions s ON s.id = up.id "
    "WHERE s.parent_id IS NOT NULL), "
    "down(id, distance) AS (SELECT ?, 0 UNION ALL SELECT s.id, distance + 1 FROM down JOIN sessions s "
    "ON s.parent_id = down.id) "
    f"SELECT found.distance, {', '.join(f's.{name}' for name in _RELATED)} FROM "
    "(SELECT id, -distance AS distance FROM up UNION ALL SELECT id, distance FROM down WHERE distance > 0) found "
    "JOIN sessions s ON s.id = found.id ORDER BY found.distance, s.id"
)


def lineage(connection: sqlite3.Connection, key: int) -> list[dict[str, object]]:
    """Return what a session, given by row id, came from, and what came from it, with how far each is away."""
    names = ("distance", *_RELATED)
    return [dict(zip(names, row, strict=True)) for row in connection.execute(_LINEAGE, (key, key))]
