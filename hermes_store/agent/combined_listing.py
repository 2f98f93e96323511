"""The store's sessions and the agent's in one list: pinned ones first, then the last active; each once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final

from pydantic import ConfigDict

from ..arguments import check_flag, check_instance
from ..errors import AgentError
from ..pagination import MAX_LIMIT, check_limit, read_cursor, write_cursor
from ..record_base import Record
from ..records import SessionRecord
from ..sessions import Sessions
from ..storage import import_log, retired_ids, session_records
from ..storage.engine import Nested
from ..storage.unit_of_work import UnitOfWork
from ..store import Store
from ..validation import is_id
from .bridge import AgentBridge
from .importing import KIND
from .listing import cursor_after
from .records import AgentSession

#: In a cursor, the place in a list before its first row and after its last one.
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
    since: float | None = None,
    until: float | None = None,
    include_empty: bool = False,
) -> CombinedPage:
    """Return a page of the store's sessions and of those of the agent's that the store never had.

    A conversation that was imported, or one of whose ids is a session's in the store, is the store's: it is listed as
    it is there, and not at all if it was deleted. When the agent's file cannot be read, the list is the store's alone.

    Args:
        limit: the largest number of rows to return, 1 to 1000.
        after: `CombinedPage.next` of the previous page.
        profile: only this profile's of the store's; the bridge has a profile of its own.
        source: only those from there; None does not filter.
        since, until: only those last changed or active at or after `since`, or before `until`, in epoch seconds.
        include_empty: also sessions without messages, and untitled ones, that both lists hide.

    Raises:
        InvalidInputError: an argument is not valid.
    """
    limit = check_limit(limit)
    check_instance("store", store, Store)
    check_instance("bridge", bridge, AgentBridge)
    check_flag("include_empty", include_empty)
    begin, agent_begin = (_BEGIN, _BEGIN) if after is None else read_cursor("combined", after, str, str)
    filters: dict[str, Any] = {"source": source, "since": since, "until": until}
    agent = _AgentRows(bridge, agent_begin, include=["empty"] if include_empty else [], **filters)
    origin = os.path.realpath(bridge.path)
    while True:
        agent.read_more(limit)
        with store.database.read() as unit:
            sessions = Sessions(Nested(unit))
            own = _StoreRows(sessions, begin, profile=profile, include_empty=include_empty, **filters)
            rows = own.read(limit)
            known = _known(unit, origin, agent.items)
            fresh = [session for session in agent.items if session.session_id not in known]
            both: list[SessionRecord | AgentSession] = [*rows, *fresh]
            merged = sorted(both, key=_key, reverse=True)
            more = len(merged) > limit or not own.ended
            if not agent.ended and not (more and len(merged) >= limit and _key(merged[limit - 1]) >= agent.frontier):
                continue  # what was not read yet may belong above what was
            page = merged[:limit]
            place = own.place_after(sum(isinstance(row, SessionRecord) for row in page)) if more else _END
        return CombinedPage.model_construct(
            items=page,
            next=write_cursor("combined", place, agent.place_after(page, known)) if more else None,
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
        """Whether there is nothing after what was read."""
        return self._next is None

    def read(self, limit: int) -> Sequence[SessionRecord]:
        """Return the first rows."""
        if self._begin == _END:
            return []
        page = self._sessions.list(limit=limit, after=self._begin or None, **self._filters)
        self._count, self._next = len(page.items), page.next
        return page.items

    def place_after(self, taken: int) -> str:
        """Return the place after the first `taken` rows."""
        if taken == self._count:
            return self._next or _END
        if not taken:
            return self._begin
        return self._sessions.list(limit=taken, after=self._begin or None, **self._filters).next or _END


class _AgentRows:
    """The agent's list from some place on, as far as it was read."""

    def __init__(self, bridge: AgentBridge, begin: str, **filters: Any) -> None:
        self._bridge = bridge
        self._begin = begin
        self._next: str | None = None if begin == _END else begin
        self._filters = filters
        self.items: list[AgentSession] = []
        self.error: AgentError | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing after what was read."""
        return self._next is None

    @property
    def frontier(self) -> tuple[bool, float, bool]:
        """Where what was not read yet may begin."""
        return _key(self.items[-1]) if self.items else (True, float("inf"), True)

    def read_more(self, limit: int) -> None:
        """Read more rows, twice as many in all, because nobody knows how many of them the store has."""
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

    def place_after(self, page: Sequence[SessionRecord | AgentSession], known: frozenset[str]) -> str:
        """Return the place after the rows that are on the page, or above its last one and known to the store."""
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


def _known(unit: UnitOfWork, origin: str, sessions: Sequence[AgentSession]) -> frozenset[str]:
    """Return the ids of those conversations that the store has or had."""
    members = [member for session in sessions for member in session.chain]
    ids = [member for member in members if is_id(member)]
    found = {
        *import_log.sessions_of(unit, KIND, origin, members),
        *session_records.get_many(unit, ids, None),
        *retired_ids.gone_among(unit, ids),
    }
    return frozenset(session.session_id for session in sessions if not found.isdisjoint(session.chain))
