"""The store's sessions and the agent's in one list: pinned ones first, then the last active; each once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import ConfigDict
from sqlalchemy import Connection, Select, select

from ..errors import AgentError
from ..fields import is_id
from ..listing import ANY
from ..paging import MAX_LIMIT, check_limit, read_cursor, write_cursor
from ..records import Record, SessionRecord
from ..sessions import Sessions
from ..tables import ImportItem, RetiredId, Session
from .bridge import AgentBridge
from .importing import KIND
from .listing import cursor_after
from .records import AgentSession

if TYPE_CHECKING:
    from ..store import Store

#: In a cursor, the place of a list before its first row and behind its last one.
_BEGIN: Final = ""
_END: Final = "."


class CombinedPage(Record):
    """Some rows of both lists."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    items: list[SessionRecord | AgentSession]
    #: Give it as ``after`` for the next page; None on the last one.
    next: str | None
    #: Why the agent's sessions are missing, where they are.
    agent_error: AgentError | None


def list_combined(
    store: Store,
    bridge: AgentBridge,
    *,
    limit: int = 50,
    after: str | None = None,
    profile: str | None = None,
    source: str | None = None,
    include_empty: bool = False,
) -> CombinedPage:
    """Return a page of the store's sessions and of those of the agent's that the store never had.

    A conversation that was imported, or one of whose ids is a session's here, is the store's: it is shown as it is
    there, and not at all where it was deleted. When the agent's file cannot be read the list goes on without it.

    Args:
        limit: at most so many rows, 1 to 1000.
        after: `CombinedPage.next` of the page before.
        profile: only this profile's of the store's; the bridge has a profile of its own.
        source: only those from there.
        include_empty: also sessions without messages, and untitled ones, that both lists hide.
    """
    check_limit(limit)
    begin, agent_begin = (_BEGIN, _BEGIN) if after is None else read_cursor("combined", after, str, str)
    agent = _AgentRows(bridge, agent_begin, source=source, include_empty=include_empty)
    origin = os.path.realpath(bridge.path)
    while True:
        agent.read_more(limit)
        with store._database.snapshot() as unit:
            own = _StoreRows(Sessions(unit), begin, profile=profile, source=source or ANY, include_empty=include_empty)
            rows = own.read(limit)
            with unit.read() as connection:
                known = _known(connection, origin, agent.items)
            fresh = [session for session in agent.items if session.session_id not in known]
            both: list[SessionRecord | AgentSession] = [*rows, *fresh]
            merged = sorted(both, key=_key, reverse=True)
            more = len(merged) > limit or not own.ended
            if not agent.ended and not (more and len(merged) >= limit and _key(merged[limit - 1]) >= agent.frontier):
                continue  # what was not read yet may belong above what was
            page = merged[:limit]
            place = own.behind(sum(isinstance(row, SessionRecord) for row in page)) if more else _END
        return CombinedPage.model_construct(
            items=page,
            next=write_cursor("combined", place, agent.behind(page, known)) if more else None,
            agent_error=agent.error,
        )


def _key(row: SessionRecord | AgentSession) -> tuple[bool, float, bool]:
    """Return the place in the list; at the same time, the store's come first, and each list's own order stays."""
    if isinstance(row, SessionRecord):
        return row.pinned, row.updated_at, True
    return False, row.last_active, False


class _StoreRows:
    """The store's list from some place on, inside a snapshot."""

    def __init__(self, sessions: Sessions, begin: str, **filters: Any) -> None:
        self._sessions = sessions
        self._begin = begin
        self._filters = filters
        self._count = 0
        self._next: str | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing behind what was read."""
        return self._next is None

    def read(self, limit: int) -> Sequence[SessionRecord]:
        """Return the first rows."""
        if self._begin == _END:
            return []
        page = self._sessions.list(limit=limit, after=self._begin or None, **self._filters)
        self._count, self._next = len(page.items), page.next
        return page.items

    def behind(self, taken: int) -> str:
        """Return the place behind the first so many rows."""
        if taken == self._count:
            return self._next or _END
        if not taken:
            return self._begin
        return self._sessions.list(limit=taken, after=self._begin or None, **self._filters).next or _END


class _AgentRows:
    """The agent's list from some place on, as far as it was read."""

    def __init__(self, bridge: AgentBridge, begin: str, *, source: str | None, include_empty: bool) -> None:
        self._bridge = bridge
        self._begin = begin
        self._next: str | None = None if begin == _END else begin
        self._filters: dict[str, Any] = {"source": source, "include": ["empty"] if include_empty else []}
        self.items: list[AgentSession] = []
        self.error: AgentError | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing behind what was read."""
        return self._next is None

    @property
    def frontier(self) -> tuple[bool, float, bool]:
        """Where what was not read yet may begin."""
        return _key(self.items[-1]) if self.items else (True, float("inf"), True)

    def read_more(self, limit: int) -> None:
        """Read some more rows: ever more, as there is no telling how many of them the store has."""
        if self._next is None:
            return
        limit = min(MAX_LIMIT, max(limit, len(self.items)))
        try:
            page = self._bridge.sessions(limit=limit, after=self._next or None, **self._filters)
        except AgentError as error:
            self.error, self._next = error, None
        else:
            self.items += page.items
            self._next = page.next

    def behind(self, page: Sequence[SessionRecord | AgentSession], known: frozenset[str]) -> str:
        """Return the place behind the rows that are on the page, or above its last one and known to the store."""
        taken = {row.session_id for row in page if isinstance(row, AgentSession)}
        place = self._begin
        for session in self.items:
            passed = session.session_id in known and _key(session) >= _key(page[-1])
            if session.session_id not in taken and not passed:
                return place
            place = cursor_after(session)
        if self.error is not None:
            return place  # it may be back on the next page
        return self._next or _END


def _known(connection: Connection, origin: str, sessions: Sequence[AgentSession]) -> frozenset[str]:
    """Return the ids of those conversations that the store has or had."""
    members = [one for session in sessions for one in session.chain]
    remembered = select(ImportItem.item).where(ImportItem.kind == KIND, ImportItem.origin == origin)
    found = _found(connection, remembered, ImportItem.item, members)
    found |= _found(connection, select(Session.session_id), Session.session_id, members)
    found |= _found(connection, select(RetiredId.session_id), RetiredId.session_id, members)
    return frozenset(session.session_id for session in sessions if not found.isdisjoint(session.chain))


def _found(connection: Connection, query: Select[Any], column: Any, values: Iterable[str]) -> set[str]:
    """Return those of the values that are in the column; what can be no id of the store's is in none."""
    wanted = [value for value in values if is_id(value)]
    found: set[str] = set()
    for start in range(0, len(wanted), 500):
        found.update(connection.execute(query.where(column.in_(wanted[start : start + 500]))).scalars())
    return found
