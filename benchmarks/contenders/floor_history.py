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
    "SELECT count(*), total(length(b.payload)) FROM messages m JOIN message_blobs b ON b.message_id = m.id "
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
    "DELETE FROM message_cuts WHERE session_id = ?1 AND id NOT IN "
    "(SELECT id FROM message_cuts WHERE session_id = ?1 ORDER BY id DESC LIMIT 100)"
)


def keep(
    connection: sqlite3.Connection, key: int, counts: tuple[int, int, int], runs: Sequence[Sequence[int]], cut: range
) -> None:
    """Keep the messages at some positions that are about to be removed or overwritten.

    Args:
        key: the row id of their session.
        counts: its number of messages, its revision, and the revision of its transcript.
        runs: the messages that stay.
        cut: the positions.
    """
    execute = connection.execute
    count, revision, since = counts
    kept, size = execute(_MEASURE, (key, cut[0], cut[-1])).fetchone()
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
        execute(_DROP_OLDEST, (key,))


_COLUMNS: Final = "profile, project_id, workspace, model, personality, message_count, last_message_at, last_activity_at"
_FORK: Final = (
    f"INSERT INTO sessions (session_id, title, created_at, updated_at, activity_at, parent_id, parent_kind, forked_at, "
    f"source, change_number, {_COLUMNS}) SELECT ?2, title || ' (fork)', ?3, ?3, coalesce(last_activity_at, ?3), id, "
    f"'fork', message_count, 'fork', {NEXT}, {_COLUMNS} FROM sessions WHERE id = ?1"
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
    row = execute(_FORK, (key, new_id, time.time())).lastrowid
    execute(_FORK_MESSAGES, (row, key))
    execute(_FORK_PAYLOADS, (row, key))
    execute("INSERT INTO session_extras VALUES (?, ?)", (row, b'{"session_source":"fork"}'))
