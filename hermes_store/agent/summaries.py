"""What a list tells of a session's messages: how many there are, and the words it began with."""

from __future__ import annotations

from typing import Final

from .attach import Snapshot
from .decode import content_text, decode_content

_TITLE_LENGTH: Final = 64
#: Where among a session's messages the first one of the user's is looked for: nearly always it is the first or second.
_ROUNDS: Final = ((1, 2), (3, 20), (21, 2**40))


def summaries(snapshot: Snapshot, sessions: list[str], untitled: list[str]) -> tuple[dict[str, int], dict[str, str]]:
    """Return the number of live messages of each session, and the beginning of the first user text of the untitled."""
    if not {"role", "content"} <= set(snapshot.schema.messages):
        untitled = []
    if snapshot.schema.finds_messages:
        counts = dict(
            tuple(row)
            for row in snapshot.in_chunks(
                f"SELECT m.session_id, count(*) FROM agent.messages m WHERE {snapshot.schema.live} "
                "AND m.session_id IN ({}) GROUP BY m.session_id",
                sessions,
            )
        )
        return counts, _first_texts(snapshot, untitled)
    role = snapshot.schema.message("role")
    rows = snapshot.in_chunks(  # one scan for both
        f"SELECT m.session_id, sum({snapshot.schema.live}), min(CASE WHEN {role} = 'user' AND {snapshot.schema.live} "
        "THEN m.id END) FROM agent.messages m WHERE m.session_id IN ({}) GROUP BY m.session_id",
        sessions,
    )
    firsts = [row[2] for row in rows if row[0] in set(untitled) and row[2] is not None]
    return {row[0]: row[1] for row in rows}, _texts(snapshot, firsts)


def _first_texts(snapshot: Snapshot, sessions: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for low, high in _ROUNDS:
        sessions = [session for session in sessions if session not in found]
        ids = snapshot.in_chunks(
            "SELECT f.id FROM (SELECT m.session_id, m.id, row_number() OVER (PARTITION BY m.session_id ORDER BY m.id) "
            f"AS n FROM agent.messages m WHERE m.session_id IN ({{}})) f WHERE f.n BETWEEN {low} AND {high}",
            sessions,
        )
        texts = _texts(snapshot, [row[0] for row in ids])
        found = {**texts, **found}
    return {session: text for session, text in found.items() if text}


def _texts(snapshot: Snapshot, ids: list[int]) -> dict[str, str]:
    """Return the first text of each session's user messages among these."""
    rows = snapshot.in_chunks(
        f"SELECT m.id, m.session_id, m.content FROM agent.messages m WHERE m.role = 'user' AND {snapshot.schema.live} "
        "AND m.id IN ({})",
        ids,
    )
    return {
        row[1]: " ".join(content_text(decode_content(row[2])).split())[:_TITLE_LENGTH]
        for row in sorted(rows, key=lambda row: row[0], reverse=True)
    }
