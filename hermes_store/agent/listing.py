"""The agent's conversations, the last active first: in exact order, and without reading what is not shown.

The rows of sessions are wide (in most files each holds a system prompt of kilobytes), so the order is found from
indexes alone, and only the rows of the page are read.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..arguments import items_of
from ..errors import InvalidInputError, SessionNotFoundError
from ..pagination import check_limit, read_cursor, write_cursor
from ..quoting import quoted
from ..records import Page
from .decode import storable
from .lineage import Lineage, kin
from .order import Activity, Recent, Sources, activities_of, everything
from .order import recent as recently_active
from .queries import Query, usable
from .records import AgentSession
from .schema import AgentSchema
from .snapshot import Snapshot, chunks, marks
from .summaries import counting, summaries
from .times import last_of, sane, started_of

#: What a list leaves out unless it is included, with the sources that belong to it.
GROUPS: Final[dict[str, frozenset[str]]] = {
    "webui": frozenset({"webui"}),
    "cron": frozenset({"cron"}),
    "tool": frozenset({"tool", "kanban", "oneshot"}),
    "subagent": frozenset({"subagent"}),
    "archived": frozenset(),
    "hidden": frozenset(),
    "empty": frozenset(),
}

#: How many more sessions are read than a page needs, as some are left out or part of a chain.
_SPARE: Final = 50
#: Where all messages are scanned to find the order, at most this many sessions have theirs counted in the same scan.
_COUNTED: Final = 500


@dataclass(frozen=True)
class _Conversation:
    head: str
    chain: tuple[str, ...]
    last_active: float

    @property
    def key(self) -> tuple[float, str]:
        return self.last_active, self.head


def check_groups(include: Iterable[str]) -> frozenset[str]:
    """Return the groups to include, as a set.

    Raises:
        InvalidInputError: one of them is not a group.
    """
    groups = list(include) if issubclass(type(include), Mapping) else include
    wanted = items_of(groups, "groups", "Nothing was read.")
    for group in wanted:
        if not (isinstance(group, str) and group in GROUPS):
            raise InvalidInputError(f"include takes {', '.join(sorted(GROUPS))}; not {quoted(group)}.")
    return frozenset(wanted)


def list_page(
    snapshot: Snapshot,
    *,
    limit: int,
    after: str | None,
    source: str | None,
    include: frozenset[str],
    since: float | None = None,
    until: float | None = None,
) -> Page[AgentSession]:
    """Return the page of at most `limit` conversations after the cursor `after`; see `AgentBridge.sessions`."""
    check_limit(limit)
    last = None if after is None else read_cursor("agent", after, float, str)
    if until is not None:
        last = (until, "") if last is None else min(last, (until, ""))
    before = math.inf if last is None else last[0]
    earliest = -math.inf if since is None else since
    lineage = Lineage(snapshot)
    wanted = _Wanted(snapshot, lineage, source, include)
    soon = f"SELECT id FROM recent LIMIT {_stride(limit + 1)}"
    along = {"kin": kin(snapshot.schema, soon), **_details(snapshot.schema, soon)}

    def likely(guess: Recent) -> tuple[float, list[str]] | None:
        page = wanted.newest(guess, limit + 1, last)
        if len(page) <= limit:
            return None
        # The moment just before the page's last conversation, as others may have been active at the same time.
        members = [member for one in page for member in one.chain]
        return math.nextafter(page[-1].last_active, -math.inf), members[:_COUNTED]

    page: list[_Conversation] = []
    counted: Mapping[str, Activity] = {}
    details: Mapping[str, list[Any]] = {}
    for recent in recently_active(
        snapshot,
        before,
        3 * limit + _SPARE,
        empty="empty" in include,
        sources=_sources(source, include),
        likely=likely,
        along=along,
    ):
        details = details or recent.along  # all sessions, if they are needed, come without it
        lineage.take(recent.along.get("kin", []))
        page, counted = wanted.newest(recent, limit + 1, last), recent.counted
        if len(page) > limit or recent.floor == -math.inf or recent.floor < earliest:
            break
    page = [one for one in page if one.last_active >= earliest]
    items = _describe(snapshot, page[:limit], counted, details)
    more = cursor_after(items[-1]) if len(page) > limit else None
    return Page[AgentSession].model_construct(items=items, next=more, total=None)


def find_prefix(snapshot: Snapshot, prefix: str, limit: int) -> list[str]:
    """Return at most `limit` ids of sessions that begin with a text, in order."""
    return [
        row[0]
        for row in snapshot.rows(
            "SELECT s.id FROM main.sessions s WHERE s.id >= ? AND s.id < ? ORDER BY s.id LIMIT ?",
            prefix,
            f"{prefix}\U0010ffff",
            limit,
        )
    ]


def cursor_after(session: AgentSession) -> str:
    """Return the cursor of the page after a conversation."""
    return write_cursor("agent", session.last_active, session.session_id)


def head_sessions(snapshot: Snapshot, *, source: str | None, include: frozenset[str]) -> list[str]:
    """Return the head session of every conversation that the list would show.

    They are in the list's order, except that each comes after the conversation that it was branched from.
    """
    lineage = Lineage(snapshot)
    recent = everything(snapshot, sources=_sources(source, include))
    found = _Wanted(snapshot, lineage, source, include).newest(recent, 2**40, None)
    return _parents_first([one.head for one in found], lineage)


def _parents_first(heads: list[str], lineage: Lineage) -> list[str]:
    there = set(heads)
    ordered: dict[str, None] = {}
    for head in heads:
        line = [head]
        while (link := lineage.link(lineage.chain(line[-1])[0])) is not None and link.parent is not None:
            parent = lineage.chain(link.parent)[-1]
            if parent not in there or parent in ordered or parent in line:
                break
            line.append(parent)
        ordered |= dict.fromkeys(reversed(line))
    return list(ordered)


def _sources(source: str | None, include: frozenset[str]) -> Sources:
    if source is not None:
        if not usable(source):
            raise InvalidInputError(f"source is text that can be stored, not {quoted(source)}. Nothing was read.")
        return Sources((source,), excluded=False)
    left_out = frozenset[str]().union(*(GROUPS[group] for group in GROUPS.keys() - include))
    return Sources(tuple(sorted(left_out)), excluded=True)


def find(snapshot: Snapshot, session_id: str) -> AgentSession:
    """Return the conversation that a session is part of.

    Raises:
        SessionNotFoundError: there is no such session.
    """
    found = describe(snapshot, [session_id])
    if not found:
        raise SessionNotFoundError(session_id, f"The agent has no session {quoted(session_id)}.")
    return found[0]


def describe(snapshot: Snapshot, session_ids: list[str]) -> list[AgentSession]:
    """Return the conversations that sessions are part of. Sessions that do not exist are left out."""
    lineage = Lineage(snapshot)
    lineage.load(session_ids)
    chains = [lineage.chain(session_id) for session_id in session_ids if lineage.link(session_id) is not None]
    members = [one for chain in chains for one in chain]
    counted: dict[str, Activity] = {}
    if snapshot.schema.finds_messages:
        last = last_of(snapshot, members)
    else:  # one scan for both
        counted = activities_of(snapshot, members)
        last = {one: activity.last for one, activity in counted.items()}
    found = _timed(snapshot, {chain[-1]: chain for chain in chains}, last, empty=True)
    by_head = {one.head: one for one in found}
    return _describe(snapshot, [by_head[chain[-1]] for chain in chains], counted, {})


def _timed(
    snapshot: Snapshot, chains: dict[str, tuple[str, ...]], last: Mapping[str, float | None], *, empty: bool
) -> Iterator[_Conversation]:
    """Yield the conversations with their times; those without a message only if `empty`."""
    silent: list[str] = []
    for head, chain in chains.items():
        times = [time for one in chain if (time := last.get(one)) is not None]
        if times:
            yield _Conversation(head, chain, max(times))
        elif empty or any(one in last for one in chain):
            silent.append(head)
    started = started_of(snapshot, silent)
    for head in silent:
        yield _Conversation(head, chains[head], started[head])


def _stride(room: int) -> int:
    """Return how many sessions to read to find `room` of them: some are left out, and one read is mostly enough."""
    return room + room // 4


@dataclass(frozen=True)
class _Wanted:
    """The conversations that a list shows."""

    snapshot: Snapshot
    lineage: Lineage
    source: str | None
    include: frozenset[str]

    def newest(self, recent: Recent, room: int, last: tuple[float, str] | None) -> list[_Conversation]:
        """Return up to `room` conversations after the key `last`, as far as `recent` can tell."""
        found: dict[str, _Conversation] = {}
        seen: set[str] = set()
        order = list(recent.order)
        stride = _stride(room)
        for start in range(0, len(order), stride):
            step = order[start : start + stride]
            self.lineage.load(step)
            heads = {self.lineage.chain(one)[-1]: None for one in step if self.lineage.link(one) is not None}
            fresh = [head for head in heads if head not in seen and self._shown(head)]
            seen.update(heads)
            for one in self._conversations(fresh, recent):
                if last is None or one.key < last:
                    found[one.head] = one
            rest = order[start + stride : start + stride + 1]
            floor = recent.order[rest[0]] if rest else recent.floor
            settled = [one for one in found.values() if one.last_active > floor]
            if len(settled) >= room:
                break
        else:
            settled = [one for one in found.values() if one.last_active > recent.floor]
        return sorted(settled, key=lambda one: one.key, reverse=True)[:room]

    def _shown(self, head: str) -> bool:
        link = self.lineage.link(head)
        if link is None:
            return False
        if self.source is not None:
            shown = link.source == self.source
        else:
            shown = not any(link.source in GROUPS[group] for group in GROUPS.keys() - self.include)
        if (link.archived and "archived" not in self.include) or (link.hidden and "hidden" not in self.include):
            return False
        no_subagents = "subagent" not in self.include and self.source != "subagent"
        return shown and not (no_subagents and self.lineage.is_subagent(self.lineage.chain(head)[0]))

    def _conversations(self, heads: list[str], recent: Recent) -> Iterator[_Conversation]:
        chains = {head: self.lineage.chain(head) for head in heads}
        members = [one for chain in chains.values() for one in chain]
        last = {one: recent.last[one] for one in members if one in recent.last}
        if not recent.whole:
            last |= last_of(self.snapshot, [one for one in members if one not in last])
        return _timed(self.snapshot, chains, last, empty="empty" in self.include)


#: Columns that have a field in `AgentSession`, and one that is wide and not shown.
_NAMED: Final = (
    "id",
    "source",
    "title",
    "model",
    "cwd",
    "started_at",
    "ended_at",
    "end_reason",
    "message_count",
    "input_tokens",
    "output_tokens",
    "estimated_cost_usd",
    "archived",
    "parent_session_id",
)
_WIDE: Final = ("system_prompt",)


def _columns(schema: AgentSchema) -> list[str]:
    """Return the columns that are read of a session: "id" is the first."""
    return [*_NAMED, *(name for name in schema.sessions if name not in (*_NAMED, *_WIDE))]


def _details(schema: AgentSchema, sessions: str, parameters: Sequence[str] = ()) -> dict[str, Query]:
    """Return the queries, by names, for what a list shows of sessions.

    Args:
        schema: what the file has.
        sessions: SQL for the ids of the sessions: values, or a query for them.
        parameters: those of this SQL.
    """
    columns = _columns(schema)
    names = [f"c{number}" for number in range(len(columns))]
    values = ", ".join(map(schema.session, columns))
    rows = f"SELECT {values} FROM main.sessions s WHERE s.id IN ({sessions}) ORDER BY s.rowid"
    title = names[columns.index("title")]
    untitled = f"SELECT c0 FROM sessions WHERE {title} IS NULL OR {title} = ''"
    return {"sessions": Query(names, rows, parameters), **counting(schema, sessions, parameters, untitled)}


def _describe(
    snapshot: Snapshot,
    page: list[_Conversation],
    counted: Mapping[str, Activity],
    details: Mapping[str, list[Any]],
) -> list[AgentSession]:
    """Return the conversations with all that is known about them.

    Args:
        snapshot: the file.
        page: the conversations.
        counted: what a scan of the messages has counted already.
        details: the rows of the queries of `_details` for some sessions. Those of the others are read.
    """
    members = [session for one in page for session in one.chain]
    found = defaultdict[str, list[Any]](list, {name: list(rows) for name, rows in details.items()})
    known = {row[0] for row in found["sessions"]}
    for chunk in chunks(sorted(set(members) - known)):
        for name, part in snapshot.packed(_details(snapshot.schema, marks(chunk), chunk)).items():
            found[name] += part
    columns = _columns(snapshot.schema)
    rows = {row[0]: dict(zip(columns, row, strict=True)) for row in found["sessions"]}
    untitled = [one.chain[0] for one in page if not (rows[one.head]["title"] or rows[one.chain[0]]["title"])]
    counts, texts = summaries(snapshot, members, untitled, counted, found)
    return [_session(one, rows, counts, texts.get(one.chain[0])) for one in page]


def _session(
    one: _Conversation, rows: Mapping[str, dict[str, Any]], counts: dict[str, int], first_text: str | None
) -> AgentSession:
    head, root = rows[one.head], rows[one.chain[0]]
    chain = [rows[member] for member in one.chain if member in rows]
    costs = [cost for row in chain if isinstance(cost := row["estimated_cost_usd"], int | float)]
    source = _text(head["source"])
    title = _text(head["title"] or root["title"])
    return AgentSession.model_construct(
        session_id=one.head,
        source=source,
        title=title or first_text or f"{(source or 'cli').title()} session",
        titled=bool(title),
        model=_text(head["model"]),
        cwd=_text(head["cwd"]),
        started_at=sane(root["started_at"]),
        ended_at=sane(head["ended_at"]),
        end_reason=_text(head["end_reason"]),
        last_active=one.last_active,
        message_count=sum(counts.get(session, 0) for session in one.chain),
        stored_message_count=_whole(head["message_count"]),
        input_tokens=sum(_whole(row["input_tokens"]) for row in chain),
        output_tokens=sum(_whole(row["output_tokens"]) for row in chain),
        estimated_cost=sum(costs[1:], costs[0]) if costs else None,
        archived=bool(head["archived"]),
        parent_id=_text(root["parent_session_id"]),
        chain=one.chain,
        extra={name: storable(value) for name, value in head.items() if name not in _NAMED and value is not None},
    )


def _text(value: Any) -> str | None:
    """Return a column's value as text, whatever type it has in a damaged file."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return None if value is None else str(value)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0
