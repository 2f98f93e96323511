"""Which pages of a database have the rows of which session, as SQLite's own dbstat table says."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path

#: By the name of a table: the sessions that its rows belong to, by row id, in order.
_OWNERS = {
    "sessions": "SELECT rowid, session_id FROM sessions ORDER BY rowid",
    "messages": "SELECT m.rowid, s.session_id FROM messages m JOIN sessions s ON s.id = m.session_id ORDER BY m.rowid",
    "message_blobs": (
        "SELECT m.rowid, s.session_id FROM messages m JOIN sessions s ON s.id = m.session_id ORDER BY m.rowid"
    ),
    "session_extras": (
        "SELECT s.id, s.session_id FROM session_extras e JOIN sessions s ON s.id = e.session_id ORDER BY 1"
    ),
    "session_documents": (
        "SELECT d.rowid, s.session_id FROM session_documents d JOIN sessions s ON s.id = d.session_id ORDER BY 1"
    ),
}


def pages_of_sessions(path: Path) -> dict[str, set[int]]:
    """Return the numbers of the pages with anything of each session; the inner pages of trees are not among them."""
    found: dict[str, set[int]] = defaultdict(set)
    with closing(sqlite3.connect(path)) as connection:
        for table, query in _OWNERS.items():
            owners = [name for _, name in connection.execute(query)]
            stat = "SELECT path, pageno, ncell FROM dbstat WHERE name = ? AND pagetype = ? ORDER BY path"
            overflow: dict[str, set[int]] = defaultdict(set)
            for place, number, _ in connection.execute(stat, [table, "overflow"]):
                overflow[place.partition("+")[0]].add(number)
            first = 0
            for place, number, cells in connection.execute(stat, [table, "leaf"]):
                for cell, name in enumerate(owners[first : first + cells]):
                    found[name] |= {number} | overflow[f"{place}{cell:03x}"]
                first += cells
            assert first == len(owners)
    return found


def changed_pages(before: bytes, after: bytes, size: int = 4_096) -> set[int]:
    """Return the numbers of the pages that differ."""
    return {
        place // size + 1
        for place in range(0, max(len(before), len(after)), size)
        if before[place : place + size] != after[place : place + size]
    }
