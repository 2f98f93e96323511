"""The floor for changes: the numbers that each write gives its session, and what was written since one of them."""

from __future__ import annotations

import sqlite3
import time
from typing import Final

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
