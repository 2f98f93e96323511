"""Lists in an order, or by a filter, that no index has: every session's record is read, page by page."""

from __future__ import annotations

import enum
import heapq
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ..records import Page, SessionRecord


class Order(enum.StrEnum):
    """The values of ``--sort``."""

    UPDATED = "updated"
    ACTIVITY = "activity"
    CREATED = "created"
    TITLE = "title"
    MESSAGES = "messages"
    TOKENS = "tokens"
    COST = "cost"


def last_activity(one: SessionRecord) -> float:
    """Return the time of a session's last message that is not a tool's, or of its last write where there is none."""
    return one.updated_at if one.last_activity_at is None else one.last_activity_at


#: The time that a table shows of each session in an order, and what its column is called; else the last change.
TIMES: Final[dict[Order | None, tuple[str, Callable[[SessionRecord], float]]]] = {
    Order.ACTIVITY: ("Active", last_activity),
    Order.CREATED: ("Created", lambda one: one.created_at),
}
#: A record's place in an order, as numbers and text for which less comes first; the id settles what is equal.
_KEYS: Final[dict[Order | None, Callable[[SessionRecord], tuple[Any, ...]]]] = {
    None: lambda one: (float(not one.pinned), -one.updated_at),
    Order.UPDATED: lambda one: (-one.updated_at,),
    Order.ACTIVITY: lambda one: (-last_activity(one),),
    Order.CREATED: lambda one: (-one.created_at,),
    Order.TITLE: lambda one: (one.title.casefold(),),
    Order.MESSAGES: lambda one: (-float(one.message_count),),
    Order.TOKENS: lambda one: (-float(one.input_tokens + one.output_tokens),),
    Order.COST: lambda one: (-float(one.estimated_cost or 0.0),),
}
_TYPES: Final[dict[Order | None, tuple[type, ...]]] = {None: (float, float, str), Order.TITLE: (str, str)}


def sorted_page(
    sessions: Iterable[SessionRecord], order: Order | None, *, model: str | None, limit: int, after: str | None
) -> Page[SessionRecord]:
    """Return a page of sessions in an order, those of a model only.

    Args:
        sessions: all of them. Only those of the page are kept in memory.
        order: pinned ones first, then the last changed, when None. In the others, pinned ones have no place of their
            own.
        model: a part of the model's name, in upper or lower case.
        limit: the largest number of rows to return.
        after: `Page.next` of the page before.

    Raises:
        InvalidCursorError: `after` is not a cursor of this list.
    """
    from ..pagination import read_cursor, write_cursor
    from ..records import Page, SessionRecord

    kind = f"list by {order}" if order else "list of a model"
    last = None if after is None else read_cursor(kind, after, *_TYPES.get(order, (float, str)))
    wanted = None if model is None else model.casefold()
    key_of = _KEYS[order]

    def place(session: SessionRecord) -> tuple[Any, ...]:
        return (*key_of(session), session.session_id)

    total = 0

    def shown() -> Iterable[tuple[tuple[Any, ...], SessionRecord]]:
        nonlocal total
        for session in sessions:
            if wanted is None or wanted in (session.model or "").casefold():
                total += 1
                if last is None or place(session) > last:
                    yield place(session), session

    found = heapq.nsmallest(limit + 1, shown(), key=lambda pair: pair[0])
    items = [session for _, session in found[:limit]]
    more = write_cursor(kind, *found[limit - 1][0]) if len(found) > limit else None
    return Page[SessionRecord].from_trusted({"items": items, "next": more, "total": total})
