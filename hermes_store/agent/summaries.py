"""What a list shows of a session's messages: how many there are, and the beginning of the first text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from .decode import content_text, decode_content
from .order import Activity, activities_of
from .queries import Query
from .schema import AgentSchema
from .snapshot import Snapshot

_TITLE_LENGTH: Final = 64
#: Where the user's first message is looked for among those of a session, if it is not the first of all.
_ROUNDS: Final = ((1, 20), (21, 2**40))


def counting(schema: AgentSchema, sessions: str, parameters: Sequence[str], untitled: str) -> dict[str, Query]:
    """Return the queries, by names, whose rows `summaries` takes; none where no index leads to a session's messages.

    Args:
        schema: what the file has.
        sessions: SQL for the ids of the sessions whose messages are counted.
        parameters: those of this SQL.
        untitled: SQL for a query for the ids of those that may have no title.
    """
    if not schema.finds_messages:
        return {}
    # A group for each part of the condition, as the agent's index serves each part alone.
    parts = schema.shown_parts
    selects = (
        f"SELECT {part == schema.live:d} AS live, m.session_id, count(*), min(m.id) AS first FROM main.messages m "
        f"WHERE {part} AND m.session_id IN ({sessions}) GROUP BY m.session_id"
        for part in parts
    )
    counts = f"{' UNION ALL '.join(selects)} ORDER BY first"
    found = {"counts": Query(("live", "session", "count", "first"), counts, [*parameters] * len(parts))}
    if _has_texts(schema):
        firsts = f"SELECT first FROM counts WHERE live AND session IN ({untitled})"
        found["texts"] = Query(("id", "session", "content"), _user_texts(schema, firsts))
    return found


def summaries(
    snapshot: Snapshot,
    sessions: list[str],
    untitled: list[str],
    counted: Mapping[str, Activity],
    found: Mapping[str, list[Any]],
) -> tuple[dict[str, int], dict[str, str]]:
    """Return the number of messages of each session, and the beginning of the first user text of the untitled.

    Args:
        snapshot: the file.
        sessions: the sessions whose messages are counted.
        untitled: those of them that have no title.
        counted: what a scan of the messages has counted already.
        found: the rows of the queries of `counting`.
    """
    if not _has_texts(snapshot.schema):
        untitled = []
    if snapshot.schema.finds_messages:
        counts, begun = dict.fromkeys(sessions, 0), dict[str, int]()
        for live, session, count, first in found["counts"]:
            counts[session] = counts.get(session, 0) + count
            if live:
                begun[session] = first
        return counts, _first_texts(snapshot, untitled, begun, _beginnings(found.get("texts", [])))
    missing = [session for session in sessions if session not in counted]
    activities = {**counted, **activities_of(snapshot, missing)}
    counts = {session: activities[session].count for session in sessions if session in activities}
    firsts = [activities[session].first for session in untitled if session in activities]
    return counts, _texts(snapshot, [first for first in firsts if first is not None])


def _has_texts(schema: AgentSchema) -> bool:
    return {"role", "content"} <= set(schema.messages)


def _first_texts(
    snapshot: Snapshot, sessions: list[str], begun: dict[str, int], found: dict[str, str]
) -> dict[str, str]:
    """Return the first user text of each session, given those that are the first of all its messages."""
    for low, high in _ROUNDS:
        sessions = [session for session in sessions if session in begun and session not in found]
        ids = snapshot.packed_in_chunks(
            1,
            "SELECT f.id FROM (SELECT m.session_id, m.id, row_number() OVER (PARTITION BY m.session_id ORDER BY m.id) "
            f"AS n FROM main.messages m WHERE m.session_id IN ({{}}) AND {snapshot.schema.identified}) f "
            f"WHERE f.n BETWEEN {low} AND {high}",
            sessions,
        )
        found |= _texts(snapshot, [row[0] for row in ids])
    return found


def _texts(snapshot: Snapshot, ids: list[int]) -> dict[str, str]:
    """Return the first text of each session's user messages among these."""
    return _beginnings(snapshot.packed_in_chunks(3, _user_texts(snapshot.schema, "{}"), ids))


def _user_texts(schema: AgentSchema, ids: str) -> str:
    """Return SQL for the user's messages among those with some ids."""
    return (
        "SELECT m.id, m.session_id, m.content FROM main.messages m "
        f"WHERE m.role = 'user' AND {schema.live} AND m.id IN ({ids})"
    )


def _beginnings(rows: list[Any]) -> dict[str, str]:
    """Return the beginning of the first text of each session."""
    return {
        row[1]: " ".join(content_text(decode_content(row[2])).split())[:_TITLE_LENGTH]
        for row in sorted(rows, key=lambda row: row[0], reverse=True)
    }
