"""The floor for changes: the numbers that each write gives its session, and what was written since one of them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Any, Final

#: The number of a write, as an expression: writers take turns, so it is the largest and one.
NEXT: Final = (
    "(1 + max((SELECT coalesce(max(change_number), 0) FROM sessions), "
    "(SELECT coalesce(max(change_number), 0) FROM projects), "
    "(SELECT coalesce(max(change_number), 0) FROM gone_ids)))"
)
_GONE: Final = (
    "INSERT INTO gone_ids (kind, profile, public_id, row_id, change_number, gone_at) "
    f"SELECT 'session', profile, session_id, id, {NEXT}, ? FROM sessions WHERE session_id = ?"
)


def add_gone(connection: sqlite3.Connection, session_id: str) -> None:
    """Note that a session is about to be removed."""
    connection.execute(_GONE, (time.time(), session_id))


_GONE_SINCE: Final = (
    "SELECT change_number, kind, public_id, profile FROM gone_ids WHERE change_number > ? AND public_id <> '' "
    "ORDER BY change_number, id LIMIT 101"
)
_PROJECTS_SINCE: Final = (
    "SELECT change_number, project_id, profile, name, color, position, created_at FROM projects "
    "WHERE change_number > ? ORDER BY change_number, id LIMIT 101"
)


def changes(
    connection: sqlite3.Connection, after: int, columns: str, joins: str, names: Sequence[str]
) -> list[dict[str, Any]]:
    """Return what was written after a number, in that order, at most a page of 100.

    Args:
        columns, joins, names: what a session's record has.
    """
    execute = connection.execute
    query = (
        f"SELECT s.change_number, {columns} FROM sessions s {joins} "
        "WHERE s.change_number > ? ORDER BY s.change_number, s.id LIMIT 101"
    )
    execute("BEGIN")
    found = [(row[0], {"state": "gone", "row": row[1:]}) for row in execute(_GONE_SINCE, (after,))]
    found += [(row[0], {"state": "present", "project": row[1:]}) for row in execute(_PROJECTS_SINCE, (after,))]
    for row in execute(query, (after,)):
        session = dict(zip(names, row[1:], strict=True))
        state = "present" if session["deleted_at"] is None else "deleted"
        found.append((row[0], {"state": state, "session": session}))
    execute("COMMIT")
    return [change for _, change in sorted(found, key=lambda one: one[0])[:100]]


def wait(connection: sqlite3.Connection, seconds: float, interval: float = 0.05) -> bool:
    """Look at a file again and again, until another connection wrote to it or the time is over."""
    [(seen,)] = connection.execute("PRAGMA data_version").fetchall()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(interval)
        [(version,)] = connection.execute("PRAGMA data_version").fetchall()
        if version != seen:
            return True
    return False
