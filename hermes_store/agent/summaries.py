"""What a list shows of a session's messages: how many there are, and the beginning of the first text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .decode import content_text, decode_content
from .order import Activity, activities_of
from .snapshot import Snapshot

_TITLE_LENGTH: Final = 64
#: Where the user's first message is looked for among those of a session, if it is not the first of all.
_ROUNDS: Final = ((1, 20), (21, 2**40))


def summaries(
    snapshot: Snapshot, sessions: list[str], untitled: list[str], counted: Mapping[str, Activity]
) -> tuple[dict[str, int], dict[str, str]]:
    """Return the number of messages of each session, and the beginning of the first user text of the untitled.

    Args:
        snapshot: the file.
        sessions: the sessions whose messages are counted.
        untitled: those of them that have no title.
        counted: what a scan of the messages has counted already.
    """
    if not {"role", "content"} <= set(snapshot.schema.messages):
        untitled = []
    if snapshot.schema.finds_messages:
        counts, begun = _counts(snapshot, sessions)
        return counts, _first_texts(snapshot, untitled, begun)
    missing = [session for session in sessions if session not in counted]
    found = {**counted, **activities_of(snapshot, missing)}
    counts = {session: found[session].count for session in sessions if session in found}
    firsts = [found[session].first for session in untitled if session in found]
    return counts, _texts(snapshot, [first for first in firsts if first is not None])


def _counts(snapshot: Snapshot, sessions: list[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many messages the sessions have, and the first live one of each that has one."""
    parts = snapshot.schema.shown_parts
    # A group for each part of the condition, as the agent's index serves each part alone.
    selects = (
        f"SELECT {number} AS part, m.session_id, count(*), min(m.id) AS first FROM agent.messages m "
        f"WHERE {part} AND m.session_id IN ({{}}) GROUP BY m.session_id"
        for number, part in enumerate(parts)
    )
    counts, begun = dict.fromkeys(sessions, 0), dict[str, int]()
    for number, session, count, first in snapshot.packed_in_chunks(
        4, f"{' UNION ALL '.join(selects)} ORDER BY first", sessions
    ):
        counts[session] += count
        if parts[number] == snapshot.schema.live:
            begun[session] = first
    return counts, begun


def _first_texts(snapshot: Snapshot, sessions: list[str], begun: dict[str, int]) -> dict[str, str]:
    found = _texts(snapshot, [begun[session] for session in sessions if session in begun])
    for low, high in _ROUNDS:
        sessions = [session for session in sessions if session in begun and session not in found]
        ids = snapshot.packed_in_chunks(
            1,
            "SELECT f.id FROM (SELECT m.session_id, m.id, row_number() OVER (PARTITION BY m.session_id ORDER BY m.id) "
            f"AS n FROM agent.messages m WHERE m.session_id IN ({{}}) AND {snapshot.schema.identified}) f "
            f"WHERE f.n BETWEEN {low} AND {high}",
            sessions,
        )
        found |= _texts(snapshot, [row[0] for row in ids])
    return found


def _texts(snapshot: Snapshot, ids: list[int]) -> dict[str, str]:
    """Return the first text of each session's user messages among these."""
    rows = snapshot.packed_in_chunks(
        3,
        f"SELECT m.id, m.session_id, m.content FROM agent.messages m WHERE m.role = 'user' AND {snapshot.schema.live} "
        "AND m.id IN ({})",
        ids,
    )
    return {
        row[1]: " ".join(content_text(decode_content(row[2])).split())[:_TITLE_LENGTH]
        for row in sorted(rows, key=lambda row: row[0], reverse=True)
    }
