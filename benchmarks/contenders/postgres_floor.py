"""The floor on PostgreSQL: SQL written by hand for psycopg, on the library's tables.

One connection, which prepares the statements that it repeats. As the SQLite floor, it checks no argument.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

import psycopg

from ..workload import decode, digest, encode, users
from .floor import COLUMNS, FIELDS, JOINS

#: The number of a write, which also tells those who listen.
_NEXT: Final = (
    "(SELECT coalesce(max(base), 0) + pg_current_xact_id()::text::bigint "
    "FROM change_state, pg_notify('hermes_store_changes', ''))"
)
_FIND: Final = "SELECT id, message_count, revision, deleted_at FROM sessions WHERE session_id = %s"
_MESSAGE: Final = (
    "INSERT INTO messages (session_id, position, role, timestamp, digest, revision) VALUES (%s,%s,%s,%s,%s,%s) "
    "RETURNING id"
)
_PAYLOAD: Final = "INSERT INTO message_blobs (message_id, payload) VALUES (%s, %s)"
_TOUCH: Final = (
    "UPDATE sessions SET message_count = %s, user_message_count = user_message_count + %s, "
    "last_message_at = %s, last_activity_at = %s, activity_at = %s, "
    f"updated_at = %s, revision = %s, transcript_revision = %s, change_number = {_NEXT} WHERE id = %s"
)
_RANGE: Final = (
    "FROM messages m JOIN message_blobs b ON b.message_id = m.id "
    "WHERE m.session_id = %s AND m.position >= %s AND m.position < %s ORDER BY m.position"
)
_RECORD: Final = f"SELECT {COLUMNS} FROM sessions s {JOINS} WHERE s.session_id = %s"
_RENAME: Final = (
    "UPDATE sessions SET title = %(title)s, updated_at = %(now)s, activity_at = coalesce(last_activity_at, %(now)s), "
    f"revision = revision + 1, fields_revision = revision + 1, change_number = {_NEXT} "
    "WHERE session_id = %(id)s AND deleted_at IS NULL"
)
_CREATE: Final = (
    "INSERT INTO sessions (session_id, profile, title, workspace, model, created_at, updated_at, activity_at, "
    f"change_number) VALUES (%s,%s,%s,%s,%s,%s,%s,%s,{_NEXT})"
)
_SET_DELETED: Final = (
    "UPDATE sessions SET deleted_at = %s, revision = revision + 1, fields_revision = revision + 1, "
    f"change_number = {_NEXT} WHERE session_id = %s"
)


class PostgresFloor:
    """One connection, and the library's verbs.

    Args:
        url: as psycopg takes it.
    """

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url)
        self.connection.prepare_threshold = 1
        query = (
            "SELECT indexname, indexdef FROM pg_indexes WHERE indexname IN ('ix_sessions_list', 'ix_sessions_blank')"
        )
        conditions = {name: text.partition(" WHERE ")[2] for name, text in self.connection.execute(query)}
        self._list = _list(conditions["ix_sessions_list"], conditions["ix_sessions_blank"])
        self.connection.commit()

    def close(self) -> None:
        self.connection.close()

    def append(self, session_id: str, messages: Sequence[dict[str, Any]]) -> int:
        """Append messages, and return the session's revision."""
        encoded = [encode(message) for message in messages]
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.execute(f"{_FIND} FOR UPDATE", (session_id,))
            key, count, revision, deleted_at = cursor.fetchone() or (None,) * 4
            if key is None or deleted_at is not None:
                raise LookupError(session_id)
            revision += 1
            rows = [
                (key, count + index, one.role, one.timestamp, one.digest, revision) for index, one in enumerate(encoded)
            ]
            if len(rows) == 1:
                cursor.execute(_MESSAGE, rows[0])
                [row_id] = cursor.fetchone() or [0]
                cursor.execute(_PAYLOAD, (row_id, encoded[0].payload))
            else:
                ids = cursor.execute(
                    "SELECT nextval(pg_get_serial_sequence('messages', 'id')) FROM generate_series(1, %s)", (len(rows),)
                ).fetchall()
                cursor.executemany(
                    "INSERT INTO messages (id, session_id, position, role, timestamp, digest, revision) "
                    "VALUES (%s,%s,%s,%s,%s,%s,%s)",
                    [(*row_id, *row) for row_id, row in zip(ids, rows, strict=True)],
                )
                cursor.executemany(_PAYLOAD, [(*row_id, one.payload) for row_id, one in zip(ids, encoded, strict=True)])
            last = encoded[-1].timestamp
            counts = (count + len(rows), users(encoded))
            cursor.execute(_TOUCH, (*counts, last, last, last, time.time(), revision, revision, key))
        return int(revision)

    def read(self, session_id: str) -> list[Any]:
        """Return all messages."""
        return self.tail(session_id, limit=None)

    def tail(self, session_id: str, limit: int | None = 50) -> list[Any]:
        """Return the last messages."""
        with self.connection.transaction():
            key, count, *_ = self.connection.execute(_FIND, (session_id,)).fetchone() or (None, 0)
            start = 0 if limit is None else max(0, count - limit)
            query = f"SELECT b.payload {_RANGE}"
            rows = self.connection.execute(query, (key, start, count), binary=True).fetchall()
        return decode([payload for (payload,) in rows])

    def read_verified(self, session_id: str, limit: int | None = None) -> list[Any]:
        """Return all messages, or the last ones, and compare each payload with its digest."""
        with self.connection.transaction():
            key, count, *_ = self.connection.execute(_FIND, (session_id,)).fetchone() or (None, 0)
            start = 0 if limit is None else max(0, count - limit)
            query = f"SELECT b.payload, m.digest {_RANGE}"
            rows = self.connection.execute(query, (key, start, count), binary=True).fetchall()
        if [digest(payload) for payload, _ in rows] != [each for _, each in rows]:
            raise ValueError(session_id)
        return decode([payload for payload, _ in rows])

    def _record(self, session_id: str) -> dict[str, Any]:
        row = self.connection.execute(_RECORD, (session_id,)).fetchone()
        return dict(zip(FIELDS, row or (), strict=True))

    def get(self, session_id: str) -> dict[str, Any]:
        """Return a session's record."""
        with self.connection.transaction():
            return self._record(session_id)

    def exists(self, session_id: str) -> bool:
        query = "SELECT 1 FROM sessions WHERE session_id = %s AND deleted_at IS NULL"
        with self.connection.transaction():
            return self.connection.execute(query, (session_id,)).fetchone() is not None

    def rename(self, session_id: str, title: str) -> dict[str, Any]:
        """Change a session's title, and return its record."""
        with self.connection.transaction():
            self.connection.execute(_RENAME, {"title": title, "now": time.time(), "id": session_id})
            self.connection.execute(
                "DELETE FROM session_documents WHERE key = 'title' "
                "AND session_id = (SELECT id FROM sessions WHERE session_id = %s)",
                (session_id,),
            )
            return self._record(session_id)

    def create(self, session_id: str, title: str) -> dict[str, Any]:
        """Create a session whose id was never used, and return its record."""
        now = time.time()
        with self.connection.transaction():
            query = "SELECT 1 FROM retired_ids WHERE session_id = %s"
            if self.connection.execute(query, (session_id,)).fetchone() is not None:
                raise LookupError(session_id)
            self.connection.execute(_CREATE, (session_id, "default", title, "/home/someone", "claude", now, now, now))
            return self._record(session_id)

    def delete(self, session_id: str) -> dict[str, Any]:
        """Mark a session as deleted, and return its record."""
        with self.connection.transaction():
            self.connection.execute(_SET_DELETED, (time.time(), session_id))
            return self._record(session_id)

    def page(self) -> list[dict[str, Any]]:
        """Return the first 50 sessions of the sidebar's list."""
        with self.connection.transaction():
            rows = self.connection.execute(self._list, {"n": 51, "fresh": time.time() - 60}).fetchall()
        return [dict(zip(FIELDS, row, strict=True)) for row in rows[:50]]


def _list(visible: str, blank: str) -> str:
    order = "pinned DESC, updated_at DESC, id DESC"
    parts = []
    for archived in ("true", "false"):
        parts.append(f"{visible} AND archived = {archived} ORDER BY {order}")
        parts += [
            f"{blank} AND archived = {archived} AND pinned = {pinned} AND updated_at > %(fresh)s "
            "ORDER BY updated_at DESC, id DESC"
            for pinned in ("true", "false")
        ]
    ranges = " UNION ALL ".join(
        f"(SELECT id, pinned, updated_at FROM sessions WHERE {part} LIMIT %(n)s)" for part in parts
    )
    return (
        f"SELECT {COLUMNS} FROM (SELECT * FROM ({ranges}) r ORDER BY {order} LIMIT %(n)s) page "
        f"JOIN sessions s ON s.id = page.id {JOINS} ORDER BY page.pinned DESC, page.updated_at DESC, page.id DESC"
    )
