"""The messages of an agent's conversation, in the agent's order and in pages."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidCursorError, SessionNotFoundError
from ..paging import check_limit, read_cursor, write_cursor
from . import decode
from .attach import Snapshot
from .lineage import Lineage
from .records import AgentMessages

_Place = tuple[int, int]


def read_messages(
    snapshot: Snapshot,
    session_id: str,
    *,
    after: str | None,
    limit: int | None,
    include_rewound: bool,
    lineage: bool,
) -> AgentMessages:
    """Return messages of a conversation; see `AgentBridge.messages`."""
    wanted = None if limit is None else check_limit(limit) + 1
    chain = chain_of(snapshot, session_id) if lineage else (session_id,)
    _require(snapshot, session_id)
    first, place = _begin(after, chain)
    found: list[tuple[str, _Place, dict[str, Any]]] = []
    for index, session in enumerate(chain[first:], first):
        room = None if wanted is None else wanted - len(found)
        behind = place if index == first else None
        fresh = index > 0 and not (behind and _has_live(snapshot, session, behind))
        for order, row in _rows(snapshot, session, behind, room, include_rewound):
            made = decode.message(row)
            if fresh and not made.get("_rewound"):  # it begins with a summary, or a repetition, of what was before
                made["_continues"] = chain[index - 1]
                fresh = False
            found.append((session, (order, row["id"]), made))
        if wanted is not None and len(found) >= wanted:
            break
    page = found if limit is None else found[:limit]
    more = None
    if len(page) < len(found):
        more = write_cursor("agent-messages", page[-1][0], *page[-1][1])
    return AgentMessages.model_construct(
        session_id=session_id, items=[made for _, _, made in page], next=more, chain=chain
    )


def read_chain(snapshot: Snapshot, chain: tuple[str, ...], *, include_rewound: bool) -> list[dict[str, Any]]:
    """Return all messages of a chain of sessions."""
    made = []
    for index, session in enumerate(chain):
        fresh = index > 0
        for _, row in _rows(snapshot, session, None, None, include_rewound):
            message = decode.message(row)
            if fresh and not message.get("_rewound"):
                message["_continues"] = chain[index - 1]
                fresh = False
            made.append(message)
    return made


def chain_of(snapshot: Snapshot, session_id: str) -> tuple[str, ...]:
    """Return the chain of sessions that a conversation is, oldest first."""
    return Lineage(snapshot).chain(session_id)


def _require(snapshot: Snapshot, session_id: str) -> None:
    if not snapshot.rows("SELECT 1 FROM agent.sessions s WHERE s.id = ?", session_id):
        raise SessionNotFoundError(session_id, f"The agent has no session {session_id!r}.")


def _has_live(snapshot: Snapshot, session: str, until: _Place) -> bool:
    """Whether the session has a message up to a place that was not taken back."""
    live = _rows(snapshot, session, None, 1, include_rewound=False)
    return bool(live) and (live[0][0], live[0][1]["id"]) <= until


def _begin(after: str | None, chain: tuple[str, ...]) -> tuple[int, _Place | None]:
    if after is None:
        return 0, None
    session, order, row_id = read_cursor("agent-messages", after, str, int, int)
    if session not in chain:
        raise InvalidCursorError("The cursor is not of this conversation. Nothing was read; begin without a cursor.")
    return chain.index(session), (order, row_id)


def _rows(
    snapshot: Snapshot, session: str, behind: _Place | None, limit: int | None, include_rewound: bool
) -> list[tuple[int, dict[str, Any]]]:
    schema = snapshot.schema
    # The order of ids is the order of writing; timestamps are neither unique nor always growing. Newer files have
    # an order for display besides, in which compaction moved messages.
    order = 'coalesce(m."display_order", m.id)' if "display_order" in schema.messages else "m.id"
    condition = ["m.session_id = ?"]
    parameters: list[Any] = [session]
    if not include_rewound:
        compacted = schema.message("compacted", "0")
        condition.append(f"({schema.live} OR {compacted} = 1)")
    if behind is not None:
        condition.append(f"({order}, m.id) > (?, ?)")
        parameters += behind
    columns = ", ".join(schema.message(name) for name in schema.messages)
    rows = snapshot.rows(
        f"SELECT {order}, {columns} FROM agent.messages m WHERE {' AND '.join(condition)} "
        f"ORDER BY {order}, m.id LIMIT ?",
        *parameters,
        -1 if limit is None else limit,
    )
    return [(row[0], dict(zip(schema.messages, row[1:], strict=True))) for row in rows]
