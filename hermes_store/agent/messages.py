"""The messages of an agent's conversation, in the agent's order and in pages."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidCursorError, SessionNotFoundError
from ..pagination import check_limit, read_cursor, write_cursor
from ..quoting import quoted
from .decode import MessageDecoder
from .lineage import Lineage
from .records import AgentMessages
from .snapshot import Snapshot

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
    links = Lineage(snapshot)
    if links.link(session_id) is None:
        raise SessionNotFoundError(session_id, f"The agent has no session {quoted(session_id)}.")
    chain = links.chain(session_id) if lineage else (session_id,)
    first, place = _start(after, chain)
    found: list[tuple[str, _Place, dict[str, Any]]] = []
    for index, session in enumerate(chain[first:], first):
        room = None if wanted is None else wanted - len(found)
        begin = place if index == first else None
        fresh = index > 0 and not (begin and _has_shown(snapshot, session, begin))
        for order, row_id, made in _messages(snapshot, session, begin, room, include_rewound):
            if fresh and not made.get("_rewound"):  # it begins with a summary or a repetition of the session before
                made["_continues"] = chain[index - 1]
                fresh = False
            found.append((session, (order, row_id), made))
        if wanted is not None and len(found) >= wanted:
            break
    page = found if limit is None else found[:limit]
    more = None
    if len(page) < len(found):
        more = write_cursor("agent-messages", page[-1][0], *page[-1][1])
    return AgentMessages.model_construct(
        session_id=session_id, items=[made for _, _, made in page], next=more, chain=chain
    )


def _has_shown(snapshot: Snapshot, session: str, until: _Place) -> bool:
    """Whether the session has a message up to a place that the user did not take back."""
    first = _places(snapshot, session, None, 1, include_rewound=False)
    return bool(first) and first[0] <= until


def _start(after: str | None, chain: tuple[str, ...]) -> tuple[int, _Place | None]:
    if after is None:
        return 0, None
    session, order, row_id = read_cursor("agent-messages", after, str, int, int)
    if session not in chain:
        raise InvalidCursorError("The cursor is not of this conversation. Nothing was read; begin without a cursor.")
    return chain.index(session), (order, row_id)


def _messages(
    snapshot: Snapshot, session: str, begin: _Place | None, limit: int | None, include_rewound: bool
) -> list[tuple[int, int, dict[str, Any]]]:
    """Return messages after their places. The page is found from ids, so only its rows are read."""
    schema = snapshot.schema
    places = _places(snapshot, session, begin, limit, include_rewound)
    columns = ", ".join(schema.message(name) for name in schema.messages)
    at = schema.messages.index("id")
    rows = snapshot.in_chunks(
        f"SELECT {columns} FROM main.messages m WHERE m.id IN ({{}})", [message_id for _, message_id in places]
    )
    found = {row[at]: row for row in rows}
    decoder = MessageDecoder(schema.messages)
    return [(order, message_id, decoder.message(found[message_id])) for order, message_id in places]


def _places(
    snapshot: Snapshot, session: str, begin: _Place | None, limit: int | None, include_rewound: bool
) -> list[_Place]:
    schema = snapshot.schema
    # The order of ids is the order of writing; timestamps are neither unique nor always increasing. Newer
    # files also have an order for display, in which compaction moved messages.
    displayed = "display_order" in schema.messages
    order = 'coalesce(m."display_order", m.id)' if displayed else "m.id"
    after = "1" if begin is None else f"({order}, m.id) > (?, ?)" if displayed else "m.id > ?"
    parts: tuple[str, ...] = schema.shown_parts if schema.finds_messages else (f"({schema.shown})",)
    if include_rewound:
        parts = (schema.identified,)
    selects = " UNION ALL ".join(
        f"SELECT {order} AS place, m.id AS id FROM main.messages m WHERE m.session_id = ? AND {part} AND {after}"
        for part in parts
    )
    parameters = [session, *(begin or ())[0 if displayed else 1 :]]
    rows = snapshot.rows(
        f"SELECT f.place, f.id FROM ({selects}) f ORDER BY f.place, f.id LIMIT ?",
        *parameters * len(parts),
        -1 if limit is None else limit,
    )
    return [(row[0], row[1]) for row in rows]
