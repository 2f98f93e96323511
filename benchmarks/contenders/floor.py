"""The floor: SQL written by hand for SQLite, on the library's tables, as somebody would who needs only this.

One connection with the library's pragmas, the same logical work in each transaction (revisions, counts, times,
digests), constant statements, and dictionaries as results. It checks no argument, translates no error, and relies on
every message having a timestamp.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from hermes_store import SessionRecord

from ..workload import Encoded, decode, digest, encode, users
from . import floor_changes, floor_history, floor_usage
from .floor_changes import NEXT

#: What a session's record has, in its order.
FIELDS: Final = tuple(SessionRecord.model_fields)
_ELSEWHERE: Final = {"project_id": "p.project_id", "parent_id": "o.session_id"}
COLUMNS: Final = ", ".join(_ELSEWHERE.get(name, f"s.{name}") for name in FIELDS)
JOINS: Final = "LEFT JOIN projects p ON s.project_id = p.id LEFT JOIN sessions o ON s.parent_id = o.id"

_FIND: Final = "SELECT id, message_count, revision, transcript_revision, deleted_at FROM sessions WHERE session_id = ?"
_RECORD: Final = f"SELECT {COLUMNS} FROM sessions s {JOINS} WHERE s.session_id = ?"
_MESSAGE: Final = "INSERT INTO messages (session_id, position, role, timestamp, digest, revision) VALUES (?,?,?,?,?,?)"
_MESSAGE_WITH_ID: Final = (
    "INSERT INTO messages (id, session_id, position, role, timestamp, digest, revision) VALUES (?,?,?,?,?,?,?)"
)
_PAYLOAD: Final = "INSERT INTO message_blobs (message_id, payload) VALUES (?,?)"
_TOUCH: Final = (
    "UPDATE sessions SET message_count = ?, user_message_count = user_message_count + ?, "
    "last_message_at = ?, last_activity_at = ?, activity_at = ?, "
    f"updated_at = ?, revision = ?, transcript_revision = ?, change_number = {NEXT} WHERE id = ?"
)
_RANGE: Final = (
    "FROM messages m JOIN message_blobs b ON b.message_id = m.id "
    "WHERE m.session_id = ? AND m.position >= ? AND m.position < ? ORDER BY m.position"
)
_RENAME: Final = (
    "UPDATE sessions SET title = ?, updated_at = ?, activity_at = coalesce(last_activity_at, ?), "
    f"revision = revision + 1, fields_revision = revision + 1, change_number = {NEXT} "
    "WHERE session_id = ? AND deleted_at IS NULL"
)
_FORGET_TITLE: Final = (
    "DELETE FROM session_documents WHERE key = 'title' AND session_id = (SELECT id FROM sessions WHERE session_id = ?)"
)
_CREATE: Final = (
    "INSERT INTO sessions (session_id, profile, title, workspace, model, created_at, updated_at, activity_at, "
    f"change_number) VALUES (?,?,?,?,?,?,?,?,{NEXT})"
)
_LAST_TIME: Final = "SELECT timestamp FROM messages WHERE session_id = ? ORDER BY position DESC LIMIT 1"
_SET_DELETED: Final = (
    "UPDATE sessions SET deleted_at = ?, revision = revision + 1, fields_revision = revision + 1, "
    f"change_number = {NEXT} WHERE session_id = ?"
)


class Floor:
    """One connection to a database of the library, and the library's verbs.

    Args:
        durability: as in `Store.open`.
    """

    def __init__(self, path: Path, durability: str = "full") -> None:
        self.connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=30, cached_statements=256
        )
        for pragma in (
            "foreign_keys = ON",
            f"synchronous = {durability}",
            "journal_size_limit = 67108864",
            "secure_delete = ON",
            "temp_store = MEMORY",
            "trusted_schema = OFF",
            "journal_mode = WAL",
        ):
            self.connection.execute(f"PRAGMA {pragma}")

    def close(self) -> None:
        self.connection.close()

    def append(self, session_id: str, messages: Sequence[dict[str, Any]]) -> int:
        """Append messages, and return the session's revision."""
        encoded = [encode(message) for message in messages]
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            key, count, revision, _, deleted_at = execute(_FIND, (session_id,)).fetchone()
            _require(deleted_at is None)
            revision += 1
            if len(encoded) == 1:
                [one] = encoded
                values = (key, count, one.role, one.timestamp, one.digest, revision)
                execute(_PAYLOAD, (execute(_MESSAGE, values).lastrowid, one.payload))
            else:
                self.insert(key, count, encoded, revision)
            last = encoded[-1].timestamp
            counts = (count + len(encoded), users(encoded))
            execute(_TOUCH, (*counts, last, last, last, time.time(), revision, revision, key))
        except BaseException:
            execute("ROLLBACK")
            raise
        execute("COMMIT")
        return int(revision)

    def insert(self, key: int, first: int, encoded: Sequence[Encoded], revision: int = 1) -> None:
        """Insert messages from a position on, inside a transaction; `key` is the row id of their session."""
        row = self.connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'messages'").fetchone()
        start = (row[0] if row else 0) + 1
        self.connection.executemany(
            _MESSAGE_WITH_ID,
            [
                (start + index, key, first + index, one.role, one.timestamp, one.digest, revision)
                for index, one in enumerate(encoded)
            ],
        )
        self.connection.executemany(_PAYLOAD, [(start + index, one.payload) for index, one in enumerate(encoded)])

    def replace(self, session_id: str, messages: Sequence[dict[str, Any]], expected_revision: int) -> int:
        """Write the messages that differ from the stored ones, at their places and at the end; return the revision."""
        encoded = [encode(message) for message in messages]
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            key, count, revision, transcript_revision, deleted_at = execute(_FIND, (session_id,)).fetchone()
            _require(deleted_at is None and transcript_revision <= expected_revision)
            counts = (count, revision, transcript_revision)
            revision += 1
            query = "SELECT id, digest FROM messages WHERE session_id = ? ORDER BY position"
            stored = execute(query, (key,)).fetchall()
            more = users(encoded[len(stored) :])
            for at, ((row, before), one) in enumerate(zip(stored, encoded, strict=False)):
                if before != one.digest:
                    runs = [(0, 0, at), (at + 1, at + 1, count - at - 1)]
                    more -= floor_history.keep(self.connection, key, counts, runs, range(at, at + 1))
                    more += users([one])
                    execute(
                        "UPDATE messages SET role = ?, timestamp = ?, digest = ?, revision = ? WHERE id = ?",
                        (one.role, one.timestamp, one.digest, revision, row),
                    )
                    execute("UPDATE message_blobs SET payload = ? WHERE message_id = ?", (one.payload, row))
            if len(encoded) > len(stored):
                self.insert(key, len(stored), encoded[len(stored) :], revision)
            last = encoded[-1].timestamp
            execute(_TOUCH, (len(encoded), more, last, last, last, time.time(), revision, revision, key))
        except BaseException:
            execute("ROLLBACK")
            raise
        execute("COMMIT")
        return int(revision)

    def read(self, session_id: str) -> list[Any]:
        """Return all messages."""
        return self.tail(session_id, limit=None)

    def read_verified(self, session_id: str, limit: int | None = None) -> list[Any]:
        """Return all messages, or the last ones, and compare each payload with its digest."""
        execute = self.connection.execute
        execute("BEGIN")
        key, count, *_ = execute(_FIND, (session_id,)).fetchone()
        start = 0 if limit is None else max(0, count - limit)
        rows = execute(f"SELECT b.payload, m.digest {_RANGE}", (key, start, count)).fetchall()
        execute("COMMIT")
        if [digest(payload) for payload, _ in rows] != [each for _, each in rows]:
            raise ValueError(session_id)
        return decode([payload for payload, _ in rows])

    def tail(self, session_id: str, limit: int | None = 50, stop: int | None = None) -> list[Any]:
        """Return the last messages before a position."""
        execute = self.connection.execute
        execute("BEGIN")
        key, count, *_ = execute(_FIND, (session_id,)).fetchone()
        stop = count if stop is None else stop
        start = 0 if limit is None else max(0, stop - limit)
        rows = execute(f"SELECT b.payload {_RANGE}", (key, start, stop)).fetchall()
        execute("COMMIT")
        return decode([payload for (payload,) in rows])

    def get(self, session_id: str) -> dict[str, Any]:
        """Return a session's record."""
        row = self.connection.execute(_RECORD, (session_id,)).fetchone()
        return dict(zip(FIELDS, row, strict=True))

    def exists(self, session_id: str) -> bool:
        query = "SELECT 1 FROM sessions WHERE session_id = ? AND deleted_at IS NULL"
        return self.connection.execute(query, (session_id,)).fetchone() is not None

    def rename(self, session_id: str, title: str) -> dict[str, Any]:
        """Change a session's title, and return its record."""
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        now = time.time()
        execute(_RENAME, (title, now, now, session_id))
        execute(_FORGET_TITLE, (session_id,))
        record = self.get(session_id)
        execute("COMMIT")
        return record

    def create(self, session_id: str, title: str) -> dict[str, Any]:
        """Create a session whose id was never used, and return its record."""
        execute, now = self.connection.execute, time.time()
        execute("BEGIN IMMEDIATE")
        if execute("SELECT 1 FROM retired_ids WHERE session_id = ?", (session_id,)).fetchone() is not None:
            raise LookupError(session_id)
        execute(_CREATE, (session_id, "default", title, "/home/someone", "claude", now, now, now))
        record = self.get(session_id)
        execute("COMMIT")
        return record

    def delete(self, session_id: str) -> dict[str, Any]:
        """Mark a session as deleted, and return its record."""
        return self._set_deleted(session_id, time.time())

    def restore(self, session_id: str) -> dict[str, Any]:
        """Restore a deleted session, and return its record."""
        return self._set_deleted(session_id, None)

    def _set_deleted(self, session_id: str, deleted_at: float | None) -> dict[str, Any]:
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute(_SET_DELETED, (deleted_at, session_id))
        record = self.get(session_id)
        self.connection.execute("COMMIT")
        return record

    def fork(self, session_id: str, new_id: str) -> dict[str, Any]:
        """Create a session with all messages of another one, and return its record."""
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        key, *_, deleted_at = execute(_FIND, (session_id,)).fetchone()
        _require(deleted_at is None)
        if execute("SELECT 1 FROM retired_ids WHERE session_id = ?", (new_id,)).fetchone() is not None:
            raise LookupError(new_id)
        floor_history.fork(self.connection, key, new_id)
        record = self.get(new_id)
        execute("COMMIT")
        return record

    def truncate(self, session_id: str, keep: int, expected_revision: int) -> int:
        """Remove the messages from a position on, keep them for an undo, and return the revision."""
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        key, count, revision, transcript_revision, deleted_at = execute(_FIND, (session_id,)).fetchone()
        _require(deleted_at is None and transcript_revision <= expected_revision)
        counts = (count, revision, transcript_revision)
        fewer = floor_history.keep(self.connection, key, counts, [(0, 0, keep)], range(keep, count))
        revision += 1
        execute("DELETE FROM messages WHERE session_id = ? AND position >= ?", (key, keep))
        (last,) = execute(_LAST_TIME, (key,)).fetchone()
        execute(_TOUCH, (keep, -fewer, last, last, last, time.time(), revision, revision, key))
        execute("COMMIT")
        return int(revision)

    def undo(self, session_id: str) -> int:
        """Put back what `truncate` removed, and return the revision."""
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        key, _, revision, transcript_revision, deleted_at = execute(_FIND, (session_id,)).fetchone()
        _require(deleted_at is None)
        revision += 1
        counts = floor_history.undo(self.connection, key, transcript_revision, revision)
        (last,) = execute(_LAST_TIME, (key,)).fetchone()
        execute(_TOUCH, (*counts, last, last, last, time.time(), revision, revision, key))
        execute("COMMIT")
        return int(revision)

    def lineage(self, session_id: str) -> list[dict[str, Any]]:
        """Return what a session came from, and what came from it."""
        execute = self.connection.execute
        execute("BEGIN")
        found = floor_history.lineage(self.connection, execute(_FIND, (session_id,)).fetchone()[0])
        execute("COMMIT")
        return found

    def use(self, session_id: str, used: dict[str, Any]) -> dict[str, Any]:
        """Record what a session used, and return its totals."""
        self.connection.execute("BEGIN IMMEDIATE")
        totals = floor_usage.record(self.connection, session_id, used)
        self.connection.execute("COMMIT")
        return totals

    def usage_totals(self, by: Sequence[str]) -> list[dict[str, Any]]:
        """Return the sums of what was used, by "day", "model" or both."""
        return floor_usage.totals(self.connection, by)

    def changes(self, after: int) -> list[dict[str, Any]]:
        """Return the first 100 changes after one, which is given by number."""
        return floor_changes.changes(self.connection, after, COLUMNS, JOINS, FIELDS)

    def last_change(self) -> int:
        """Return the number of the last change."""
        return int(self.connection.execute(f"SELECT {NEXT} - 1").fetchone()[0])

    def purge(self, session_id: str) -> None:
        """Remove a session with everything in it, retire its id, and empty the log, which has its text too."""
        execute = self.connection.execute
        execute("BEGIN IMMEDIATE")
        floor_changes.add_gone(self.connection, session_id)
        execute("DELETE FROM sessions WHERE session_id = ?", (session_id,))
        execute("INSERT INTO retired_ids VALUES (?, NULL, ?)", (session_id, time.time()))
        execute("COMMIT")
        execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _require(condition: bool) -> None:
    if not condition:
        raise LookupError("the session is deleted, or was changed")
