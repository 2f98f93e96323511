"""Pages of what a search finds.

What may match comes from the index in groups: first what was written last. Each group is compared with the query and
sorted, and pages are made of the sorted groups. So a word that is in every message costs no more than a group.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, func, null, select

from ..pagination import MAX_KEY
from ..records import UNTITLED, WITHOUT, Missing, SearchHit, SearchOrder, SearchPage
from ..words.folding import Words, words_of
from ..words.matching import Matcher
from ..words.query import Query
from . import search_rows, search_state, session_records
from .row_types import Row
from .schema import NOT_STAGED, message_table, session_table
from .search_places import START, Place, read_cursor, write_cursor
from .search_rows import words_and_text
from .search_state import State
from .statement import Statement, one_of
from .types import RowIdList
from .unit_of_work import UnitOfWork
from .word_index import Kind

#: How many matches a group has. Those sorted by relevance are all read and compared.
_GROUP: Final[dict[SearchOrder, int]] = {"relevance": 256, "recent": 2_000}
#: After how many candidates that filters left out a group ends, and a page that is not full.
_MOST_EXAMINED: Final = 20_000
#: As how many candidates one counts that was not found by the index, and has to be read.
_READ_COST: Final = 10
#: About how many characters a snippet has.
_SNIPPET: Final = 160
#: What a title's score has in addition.
_TITLE_SCORE: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class SearchFilter:
    """Which sessions and messages are searched; None does not filter. `project` is a row id."""

    profile: str | None = None
    project: int | Missing | None = None
    archived: bool | None = None
    source: str | Missing | None = None
    role: str | None = None
    since: float | None = None
    until: float | None = None

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What is searched: a title has no role."""
        return ("messages", "titles") if self.role is None else ("messages",)

    @property
    def shape(self) -> frozenset[tuple[str, bool]]:
        """What the statement depends on: which filters there are, and which of them want sessions without a value."""
        values = self._values()
        return frozenset((name, values[name] is WITHOUT) for name in values)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the statement."""
        return {f"of_{name}": value for name, value in self._values().items() if value is not WITHOUT}

    def _values(self) -> dict[str, Any]:
        names = ("profile", "project", "archived", "source", "role", "since", "until")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


class _Found(NamedTuple):
    """A candidate that the filters let through."""

    kind: Kind
    row_id: int
    time: float
    session: int
    position: int | None
    role: str | None
    timestamp: float | None
    title: str | None


class _Hit(NamedTuple):
    """A match, with its place in the order of its group."""

    key: tuple[float, float, bool, int]
    found: _Found
    score: float
    text: str


def page(  # noqa: PLR0917 - a query and its parts
    unit: UnitOfWork, query: Query, wanted: SearchFilter, order: SearchOrder, limit: int, after: str | None
) -> SearchPage:
    """Return the page of at most `limit` hits that begins after a cursor.

    Raises:
        InvalidCursorError: the cursor is none of a search in this order.
    """
    state = search_state.read(unit)
    place = START if after is None else read_cursor(state.cursor_key, order, after)
    search = _Search(unit, state, query, wanted, order)
    hits: list[tuple[_Group, _Hit]] = []
    following: Place | None = place if query.terms else None
    left = _MOST_EXAMINED
    while following is not None and len(hits) <= limit and left > 0:
        place = following
        group = search.group(place)
        hits.extend((group, hit) for hit in search.hits(group, place.key, limit + 1 - len(hits)))
        left -= group.examined
        following = group.next
    if len(hits) > limit:
        group, last = hits[limit - 1]
        following = group.bounds._replace(key=last.key)
    cursor = None if following is None else write_cursor(state.cursor_key, order, following)
    items = search.records([hit for _, hit in hits[:limit]])
    return SearchPage.from_trusted({"items": items, "next": cursor, "total": None, "is_indexed": state.is_complete})


def best_of_sessions(unit: UnitOfWork, query: Query, wanted: SearchFilter, limit: int) -> list[SearchHit]:
    """Return the best hit of each session, of at most `limit`, by relevance.

    It ends after as many candidates as a page does.
    """
    search = _Search(unit, search_state.read(unit), query, wanted, "relevance")
    best: dict[int, _Hit] = {}
    place: Place | None = START if query.terms else None
    left = _MOST_EXAMINED
    while place is not None and len(best) < limit and left > 0:
        group = search.group(place)
        for hit in search.hits(group, None, len(group.found)):
            best.setdefault(hit.found.session, hit)
        left -= group.examined
        place = group.next
    return search.records([*best.values()][:limit])


class _Group(NamedTuple):
    found: list[_Found]
    #: How many candidates it took, and the cost of reading those that no index found.
    examined: int
    #: Where it begins and ends.
    bounds: Place
    next: Place | None


class _Search:
    """One search in one transaction."""

    def __init__(self, unit: UnitOfWork, state: State, query: Query, wanted: SearchFilter, order: SearchOrder) -> None:
        self._unit = unit
        self._query = query
        self._matcher = Matcher(query) if query.terms else None
        self._wanted = wanted
        self._order: SearchOrder = order
        self._size = _GROUP[order]
        self._reached: dict[Kind, int | None] = {"messages": state.indexed_from, "titles": state.titles_from}
        pending = {"messages": state.pending_from, "titles": state.pending_titles_from}
        self._pending: dict[str, int] = {kind: MAX_KEY if first is None else first for kind, first in pending.items()}

    # ── Groups ──

    def group(self, place: Place) -> _Group:
        """Return the group that begins at a place."""
        starts: dict[Kind, int] = {"messages": place.messages, "titles": place.titles}
        lasts: dict[Kind, int | None] = {"messages": place.last_message, "titles": place.last_title}
        found: list[_Found] = []
        ends: dict[Kind, int] = dict.fromkeys(starts, 0)
        examined = 0
        for kind in self._wanted.kinds:
            if starts[kind] > 0:
                some, ends[kind], cost = self._some(kind, starts[kind], lasts[kind])
                starts[kind] = some[0].row_id + 1 if some else ends[kind]
                found += some
                examined += cost
        is_last = not any(ends.values())
        bounds = Place(starts["messages"], starts["titles"], ends["messages"], ends["titles"])
        return _Group(found, examined, bounds, None if is_last else Place(ends["messages"], ends["titles"]))

    def _some(self, kind: Kind, before: int, last: int | None) -> tuple[list[_Found], int, int]:
        """Return the candidates of a group, below which row id the next one begins (0: none is left), and the cost.

        Args:
            before, last: the row ids below which it begins, and down to which it goes; None: as far as its size allows.
        """
        found: list[_Found] = []
        cost = 0
        while cost < _MOST_EXAMINED or last is not None:
            ids, is_read, before = self._candidates(kind, before)
            cost += len(ids) * (_READ_COST if is_read else 1)
            rows = self._filtered(kind, [row_id for row_id in ids if row_id >= (last or 0)])
            missing = len(rows) + 1 if last is not None else self._size - len(found)
            found += rows[:missing]
            if len(rows) >= missing:
                return found, found[-1].row_id, cost
            if before <= (last or 0):
                return found, last or 0, cost
        return found, before, cost

    def _candidates(self, kind: Kind, before: int) -> tuple[list[int], bool, int]:
        """Return row ids below one, whether they were not found by the index, and below which the next ones are."""
        reached = self._reached[kind]
        pending = self._pending[kind]
        most = self._size
        if reached is not None and before > pending:
            ids = self._row_ids(kind, pending, before, most)
            return ids, True, ids[-1] if len(ids) == most else pending
        if reached is not None and before > reached:
            ids = [
                row_id
                for row_id in self._unit.dialect.word_index.find(self._unit, kind, self._query, before, most)
                if row_id >= reached
            ]
            return ids, False, ids[-1] if len(ids) == most else reached
        ids = self._row_ids(kind, 0, before, most)
        return ids, True, ids[-1] if len(ids) == most else 0

    def _row_ids(self, kind: Kind, first: int, before: int, most: int) -> list[int]:
        return self._unit.values(_rows_between[kind], {"first": first, "before": before, "most": most})

    def _filtered(self, kind: Kind, ids: Sequence[int]) -> list[_Found]:
        if not ids:
            return []
        statement = _filter_statement(kind, self._wanted.shape)
        rows = self._unit.rows(statement, {"rows": list(ids), **self._wanted.parameters})
        found = [_Found(kind, *_plain_time(row)) for row in rows]
        found.sort(key=lambda one: one.row_id, reverse=True)
        return found

    # ── Hits ──

    def hits(self, group: _Group, after: Any, limit: int) -> list[_Hit]:
        """Return at most `limit` of the hits of a group, in its order, that come after a key."""
        if self._order == "relevance":
            hits = [hit for part in self._compared(group.found) for hit in part]
            hits = [hit for hit in hits if after is None or hit.key < after]
            hits.sort(key=lambda hit: hit.key, reverse=True)
            return hits[:limit]
        hits = []
        found = [one for one in group.found if after is None or _key(one, one.time) < after]
        found.sort(key=lambda one: _key(one, one.time), reverse=True)
        for part in self._compared(found):
            hits += part
            if len(hits) >= limit:
                break
        return hits[:limit]

    def _compared(self, found: Sequence[_Found]) -> Iterator[list[_Hit]]:
        """Yield those that match, in parts, so that no more is read than is needed."""
        assert self._matcher is not None, "a query without terms has no groups"  # noqa: S101
        for start in range(0, len(found), _PART):
            part = found[start : start + _PART]
            texts = self._texts(part)
            hits = []
            for one in part:
                words, text = texts.get((one.kind, one.row_id), (None, ""))
                score = None if words is None else self._matcher.score(words)
                if score is not None:
                    score += _TITLE_SCORE if one.kind == "titles" else 0.0
                    hits.append(_Hit(_key(one, score if self._order == "relevance" else one.time), one, score, text))
            yield hits

    def _texts(self, part: Sequence[_Found]) -> dict[tuple[Kind, int], tuple[Words, str]]:
        texts: dict[tuple[Kind, int], tuple[Words, str]] = {
            ("titles", one.row_id): (words_of(one.title), one.title)
            for one in part
            if one.title not in (None, UNTITLED)
        }
        ids = [one.row_id for one in part if one.kind == "messages"]
        for row_id, payload in search_rows.payloads(self._unit, ids):
            found = words_and_text(payload)
            if found is not None:
                texts["messages", row_id] = found
        return texts

    def records(self, hits: Sequence[_Hit]) -> list[SearchHit]:
        """Return hits with their sessions and snippets."""
        sessions = session_records.get_rows(self._unit, {hit.found.session for hit in hits})
        return [self._record(hit, sessions[hit.found.session]) for hit in hits if hit.found.session in sessions]

    def _record(self, hit: _Hit, session: Any) -> SearchHit:
        assert self._matcher is not None, "there are hits"  # noqa: S101
        snippet = self._matcher.snippet(hit.text, _SNIPPET)
        return SearchHit.from_trusted(
            {
                "session": session,
                "position": hit.found.position,
                "role": hit.found.role,
                "timestamp": hit.found.timestamp,
                "snippet": snippet.text,
                "matches": snippet.matches,
                "score": hit.score,
            }
        )


#: How many candidates are read at once.
_PART: Final = 64


def _key(found: _Found, first: float) -> tuple[float, float, bool, int]:
    return first, found.time, found.kind == "titles", found.row_id


def _plain_time(row: Row) -> tuple[Any, ...]:
    """Return a row whose time, the second value, can be compared."""
    row_id, time, *others = row
    return row_id, float(time) if math.isfinite(time) else 0.0, *others


# ── Statements ──

_rows_between: Final = {
    kind: Statement(
        select(column)
        .where(column >= bindparam("first"), column < bindparam("before"))
        .order_by(column.desc())
        .limit(bindparam("most"))
    )
    for kind, column in (("messages", message_table.c.id), ("titles", session_table.c.id))
}
_COLUMNS: Final = {
    "profile": session_table.c.profile,
    "project": session_table.c.project_id,
    "archived": session_table.c.archived,
    "source": session_table.c.source,
    "role": message_table.c.role,
}


@functools.cache
def _filter_statement(kind: Kind, shape: frozenset[tuple[str, bool]]) -> Statement:
    rows = bindparam("rows", type_=RowIdList)
    if kind == "messages":
        time: Any = func.coalesce(message_table.c.timestamp, session_table.c.activity_at)
        columns: tuple[Any, ...] = (
            message_table.c.id,
            time,
            session_table.c.id,
            message_table.c.position,
            message_table.c.role,
            message_table.c.timestamp,
        )
        query = select(*columns, null().label("title"))
        query = query.join(session_table, session_table.c.id == message_table.c.session_id).where(
            one_of(message_table.c.id, rows)
        )
    else:
        time = session_table.c.activity_at
        nothing = [null().label(name) for name in ("position", "role", "timestamp")]
        columns = (session_table.c.id, time, session_table.c.id.label("session"), *nothing, session_table.c.title)
        query = select(*columns).where(one_of(session_table.c.id, rows))
    query = query.where(session_table.c.deleted_at.is_(None), NOT_STAGED)
    for name, is_without in sorted(shape):
        if name == "since":
            query = query.where(time >= bindparam("of_since"))
        elif name == "until":
            query = query.where(time < bindparam("of_until"))
        else:
            column: Any = _COLUMNS[name]
            query = query.where(column.is_(None) if is_without else column == bindparam(f"of_{name}"))
    return Statement(query)
