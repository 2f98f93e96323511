"""The statements that make the tables of a salvaged database consistent; see `sqlite_salvage`."""

from __future__ import annotations

from typing import Final

STAGING: Final = (
    (
        "CREATE TEMP TABLE salvaged_messages (id INTEGER, session_id INTEGER, position INTEGER, role TEXT, "
        "timestamp DOUBLE, digest BLOB, revision INTEGER DEFAULT 1)"
    ),
    "CREATE INDEX temp.salvaged_messages_id ON salvaged_messages (id)",
    "CREATE TEMP TABLE salvaged_sessions AS SELECT * FROM sessions WHERE 0",
    "CREATE TEMP TABLE salvaged_sqlite_sequence (name TEXT, seq INTEGER)",
    "CREATE TEMP TABLE message_entries (session_id, position, id INTEGER PRIMARY KEY)",
    "CREATE TEMP TABLE session_entries (session_id, id INTEGER PRIMARY KEY)",
    "CREATE TEMP TABLE made_sessions (id INTEGER PRIMARY KEY)",
)
#: The indexes whose entries say again what the rows say.
INDEXES: Final = {
    "sqlite_autoindex_messages_1": "INSERT OR IGNORE INTO message_entries VALUES (?, ?, ?)",
    "sqlite_autoindex_sessions_1": "INSERT OR IGNORE INTO session_entries VALUES (?, ?)",
}
#: Those of which the index has the row id as well go first.
PLACE_SESSIONS: Final = """
INSERT OR IGNORE INTO sessions SELECT found.* FROM salvaged_sessions AS found
LEFT JOIN session_entries AS entry ON entry.id = found.id
ORDER BY entry.session_id IS NOT found.session_id, found.id
"""
#: Only messages with the right body. Those whose place the index confirms go first; one for which it names another
#: place is only believed if the place is free, and in the session.
PLACE_MESSAGES: Final = """
INSERT OR IGNORE INTO messages ({columns}) SELECT {found}
FROM salvaged_messages AS found
JOIN message_blobs AS body ON body.message_id = found.id AND found.digest = body_digest(body.payload)
LEFT JOIN message_entries AS entry ON entry.id = found.id
WHERE found.position >= 0 AND (
    entry.id IS NULL OR (entry.session_id = found.session_id AND entry.position = found.position)
    OR found.position < (SELECT message_count FROM sessions WHERE sessions.id = found.session_id))
ORDER BY entry.id IS NULL, entry.session_id IS NOT found.session_id OR entry.position IS NOT found.position, found.id
"""
_STAGED: Final = "(SELECT id FROM sessions WHERE session_id LIKE ' staged/%')"
_PURGED: Final = (
    "(SELECT sessions.id FROM sessions JOIN retired_ids USING (session_id) WHERE retired_ids.successor_id IS NULL)"
)
_STAGED_ENTRIES: Final = "(SELECT id FROM session_entries WHERE session_id LIKE ' staged/%')"
_CHILDREN: Final = ("messages", "session_documents", "session_extras", "shares", "message_cuts")
#: Each with the table that it is about.
TIDY: Final = (
    *(
        (table, f"DELETE FROM {table} WHERE session_id IN {rows}")  # noqa: S608
        for table in _CHILDREN
        for rows in (_STAGED, _PURGED, _STAGED_ENTRIES)
    ),
    ("sessions", f"DELETE FROM sessions WHERE id IN {_STAGED} OR id IN {_PURGED}"),  # noqa: S608
    ("message_blobs", "DELETE FROM message_blobs WHERE message_id NOT IN (SELECT id FROM messages)"),
    # It still counts. Sessions that are made for messages have no totals.
    ("usage", "UPDATE usage SET session_id = NULL WHERE session_id NOT IN (SELECT id FROM sessions)"),
)
SHARES_WITHOUT_COPY: Final = (
    "SELECT session_id, token FROM shares WHERE id NOT IN (SELECT share_id FROM share_payloads)"
)
WITHOUT_ROW: Final = """
SELECT session_id, min(timestamp), max(timestamp) FROM (
    SELECT session_id, timestamp FROM messages UNION ALL SELECT session_id, NULL FROM session_documents
) WHERE session_id NOT IN (SELECT id FROM sessions) GROUP BY session_id
"""
IDS_WITHOUT_ROW: Final = """
SELECT id, session_id FROM session_entries AS entry
WHERE id NOT IN (SELECT id FROM sessions) AND session_id NOT LIKE ' staged/%'
AND session_id NOT IN (SELECT session_id FROM sessions) AND session_id NOT IN (SELECT session_id FROM retired_ids)
"""
IS_TAKEN: Final = "SELECT 1 FROM sessions WHERE session_id = ? UNION ALL SELECT 1 FROM retired_ids WHERE session_id = ?"
_MISSING: Final = "NOT IN (SELECT id FROM sessions)"
UNLINK: Final = (
    ("session_extras", f"DELETE FROM session_extras WHERE session_id {_MISSING}"),  # noqa: S608
    ("shares", f"DELETE FROM shares WHERE session_id {_MISSING}"),  # noqa: S608
    ("share_payloads", "DELETE FROM share_payloads WHERE share_id NOT IN (SELECT id FROM shares)"),
    ("sessions", "UPDATE sessions SET project_id = NULL WHERE project_id NOT IN (SELECT id FROM projects)"),
    ("sessions", f"UPDATE sessions SET parent_id = NULL WHERE parent_id {_MISSING}"),  # noqa: S608
    ("retired_ids", f"UPDATE retired_ids SET successor_id = NULL WHERE successor_id {_MISSING}"),  # noqa: S608
    ("import_items", f"UPDATE import_items SET session_id = NULL WHERE session_id {_MISSING}"),  # noqa: S608
)
#: Row ids are never used twice. (A number that is much too large is damaged.)
CONTINUE_IDS: Final = (
    """
INSERT INTO sqlite_sequence (name, seq) SELECT DISTINCT name, 0 FROM salvaged_sqlite_sequence
WHERE name IN ('projects', 'sessions', 'messages', 'shares', 'usage', 'message_cuts', 'import_items')
AND name NOT IN (SELECT name FROM sqlite_sequence)
""",
    """
UPDATE sqlite_sequence SET seq = max(seq, coalesce((SELECT max(found.seq) FROM salvaged_sqlite_sequence AS found
WHERE found.name = sqlite_sequence.name AND found.seq < 281474976710656), 0))
""",
)
SESSIONS_WITHOUT_EXTRAS: Final = (
    "SELECT id FROM sessions WHERE id > ? AND id <= ? AND id NOT IN (SELECT session_id FROM session_extras)"
)
SESSIONS: Final = "SELECT id, session_id, message_count, id IN (SELECT id FROM made_sessions) FROM sessions ORDER BY id"
POSITIONS: Final = "SELECT session_id, position FROM messages ORDER BY session_id, position"
