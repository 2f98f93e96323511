"""The agent's conversations, newest first: exact, and without reading what is not shown.

The rows of sessions are wide (a system prompt of kilobytes is in each, in most files), so the order is
found from indexes alone, and only the rows of the page are read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from ..errors import InvalidInputError
from ..paging import check_limit, read_cursor, write_cursor
from ..records import Page
from .attach import Snapshot
from .decode import content_text, decode_content, storable
from .lineage import Lineage
from .records import AgentSession

#: What is left out unless it is asked for, with the sources that belong to it.
GROUPS: Final[dict[str, frozenset[str]]] = {
    "webui": frozenset({"webui"}),
    "cron": frozenset({"cron"}),
    "tool": frozenset({"tool", "kanban", "oneshot"}),
    "subagent": frozenset({"subagent"}),
    "archived": frozenset(),
    "hidden": frozenset(),
    "empty": frozenset(),
}
#: Timestamps outside are garbage of salvaged files: before 1990, after 2200.
_SANE: Final = (631_152_000.0, 7_258_118_400.0)
_TITLE_LENGTH: Final = 64


@dataclass(frozen=True)
class _Conversation:
    tip: str
    chain: tuple[str, ...]
    last_active: float

    @property
    def key(self) -> tuple[float, str]:
        return self.last_active, self.tip


def check_groups(include: Iterable[str]) -> frozenset[str]:
    """Return what to include besides the ordinary conversations.

    Raises:
        InvalidInputError: there is no such group.
    """
    wanted = frozenset(include)
    if wanted - GROUPS.keys():
        raise InvalidInputError(
            f"include takes {', '.join(sorted(GROUPS))}; not {', '.join(sorted(map(str, wanted - GROUPS.keys())))}."
        )
    return wanted


def list_page(
    snapshot: Snapshot, *, limit: int, after: str | None, source: str | None, include: frozenset[str]
) -> Page[AgentSession]:
    """Return the page of at most `limit` conversations that begins behind the cursor `after`."""
    check_limit(limit)
    last = None if after is None else read_cursor("agent", after, float, str)
    activity = Activity.read(snapshot)
    lineage = Lineage.read(snapshot)
    found = sorted(_conversations(snapshot, activity, lineage, source, include), key=lambda one: one.key, reverse=True)
    if last is not None:
        found = [one for one in found if one.key < last]
    page: list[_Conversation] = []
    for one in _unless_hidden(snapshot, found, include, limit):
        page.append(one)
        if len(page) > limit:
            break
    items = _describe(snapshot, page[:limit], activity)
    more = cursor_behind(items[-1]) if len(page) > limit else None
    return Page[AgentSession].model_construct(items=items, next=more, total=None)


def cursor_behind(session: AgentSession) -> str:
    """Return the cursor of a page that begins behind a conversation."""
    return write_cursor("agent", session.last_active, session.session_id)


def all_tips(snapshot: Snapshot, *, source: str | None, include: frozenset[str]) -> list[str]:
    """Return the newest session of every conversation that the list would show.

    They are in its order, but none is before the one that it comes from, if that is among them.
    """
    include = check_groups(include)
    activity = Activity.read(snapshot)
    lineage = Lineage.read(snapshot)
    found = sorted(
        _conversations(snapshot, activity, lineage, source, include),
        key=lambda one: one.key,
        reverse=True,
    )
    return _parents_first([one.tip for one in _unless_hidden(snapshot, found, include, 500)], lineage)


def _parents_first(tips: list[str], lineage: Lineage) -> list[str]:
    there = set(tips)
    ordered: dict[str, None] = {}
    for tip in tips:
        line = [tip]
        while (child := lineage.children.get(lineage.chain(line[-1])[0])) is not None:
            parent = lineage.chain(child.parent)[-1]
            if parent not in there or parent in ordered or parent in line:
                break
            line.append(parent)
        ordered |= dict.fromkeys(reversed(line))
    return list(ordered)


def find(snapshot: Snapshot, session_id: str) -> AgentSession | None:
    """Return the conversation that a session is part of, or None where there is no such session."""
    return next(iter(describe(snapshot, [session_id])), None)


def describe(snapshot: Snapshot, session_ids: list[str]) -> list[AgentSession]:
    """Return the conversations that some sessions are part of; sessions that are not there are left out."""
    lineage = Lineage.read(snapshot)
    there = {row[0] for row in snapshot.in_chunks("SELECT s.id FROM agent.sessions s WHERE s.id IN ({})", session_ids)}
    return [_one(snapshot, lineage.chain(session_id)) for session_id in session_ids if session_id in there]


def _one(snapshot: Snapshot, chain: tuple[str, ...]) -> AgentSession:
    timed = snapshot.schema.message("timestamp")
    times = snapshot.in_chunks(
        f"SELECT max({timed}) FROM agent.messages m WHERE {timed} BETWEEN {_SANE[0]} AND {_SANE[1]} "
        "AND m.session_id IN ({})",
        list(chain),
    )
    started = snapshot.rows(
        f"SELECT {snapshot.schema.session('started_at')} FROM agent.sessions s WHERE s.id = ?", chain[-1]
    )
    last_active = times[0][0] or sane(started[0][0]) or 0.0
    return _describe(snapshot, [_Conversation(chain[-1], chain, last_active)], Activity({}, [], None))[0]


@dataclass(frozen=True)
class Activity:
    """When each session was last active; live message counts as well, where finding the one gives the other."""

    times: dict[str, float]
    ids: list[str]
    counts: dict[str, int] | None

    @classmethod
    def read(cls, snapshot: Snapshot) -> Activity:
        schema = snapshot.schema
        if "timestamp" not in schema.messages:
            ids = [row[0] for row in snapshot.rows("SELECT s.id FROM agent.sessions s")]
            return cls({}, ids, None)
        if schema.finds_last_activity:
            rows = snapshot.rows(
                'SELECT s.id, (SELECT m."timestamp" FROM agent.messages m WHERE m.session_id = s.id '
                'AND m."timestamp" BETWEEN ? AND ? ORDER BY m."timestamp" DESC LIMIT 1) FROM agent.sessions s',
                *_SANE,
            )
            return cls({row[0]: row[1] for row in rows if row[1] is not None}, [row[0] for row in rows], None)
        rows = snapshot.rows(
            'SELECT m.session_id, max(CASE WHEN m."timestamp" BETWEEN ? AND ? THEN m."timestamp" END), '
            f"sum({schema.live}) FROM agent.messages m GROUP BY m.session_id",
            *_SANE,
        )
        return cls(
            {row[0]: row[1] for row in rows if row[1] is not None},
            [row[0] for row in snapshot.rows("SELECT s.id FROM agent.sessions s")],
            {row[0]: row[2] for row in rows},
        )


def _conversations(
    snapshot: Snapshot, activity: Activity, lineage: Lineage, source: str | None, include: frozenset[str]
) -> Iterator[_Conversation]:
    """Yield every conversation that its source, its place in the lineage and its messages do not rule out."""
    sources = _sources(snapshot)
    left_out = frozenset().union(*(GROUPS[group] for group in GROUPS.keys() - include))
    started = _started(snapshot, activity)
    for session_id in activity.ids:
        own = sources.get(session_id)
        if (own != source) if source is not None else (own in left_out):
            continue
        chain = lineage.chain(session_id)
        if chain[-1] != session_id:
            continue  # the newest of the chain stands for it
        if "subagent" not in include and source != "subagent" and lineage.is_subagent(session_id):
            continue
        times = [activity.times[one] for one in chain if one in activity.times]
        if not times and "empty" not in include and session_id not in started.with_messages:
            continue
        last_active = max(times) if times else started.times.get(session_id, 0.0)
        yield _Conversation(session_id, chain, last_active)


@dataclass(frozen=True)
class _Started:
    """When sessions without a sane message time began, and which of them have messages all the same."""

    times: dict[str, float]
    with_messages: frozenset[str]


def _started(snapshot: Snapshot, activity: Activity) -> _Started:
    silent = [session_id for session_id in activity.ids if session_id not in activity.times]
    times = snapshot.in_chunks(
        f"SELECT s.id, {snapshot.schema.session('started_at')} FROM agent.sessions s WHERE s.id IN ({{}})", silent
    )
    if activity.counts is not None:
        spoken: Collection[str] = activity.counts.keys() & set(silent)
    else:
        spoken = {
            row[0]
            for row in snapshot.in_chunks(
                "SELECT s.id FROM agent.sessions s WHERE EXISTS (SELECT 1 FROM agent.messages m "
                "WHERE m.session_id = s.id) AND s.id IN ({})",
                silent,
            )
        }
    return _Started({row[0]: sane(row[1]) or 0.0 for row in times}, frozenset(spoken))


def sane(value: Any) -> float | None:
    """Return a time that can be one, else None."""
    return float(value) if isinstance(value, int | float) and _SANE[0] <= value <= _SANE[1] else None


def _sources(snapshot: Snapshot) -> dict[str, str | None]:
    if "source" not in snapshot.schema.sessions:
        return {}
    if snapshot.schema.session_index("source", "id"):
        return dict(tuple(row) for row in snapshot.rows("SELECT s.id, s.source FROM agent.sessions s"))
    # By row number: so both come from indexes, where one query for the two would read the wide rows.
    names = snapshot.rows("SELECT s.rowid, s.source FROM agent.sessions s")
    ids = dict(tuple(row) for row in snapshot.rows("SELECT s.rowid, s.id FROM agent.sessions s"))
    return {ids[row[0]]: row[1] for row in names}


def _unless_hidden(
    snapshot: Snapshot, found: list[_Conversation], include: frozenset[str], limit: int
) -> Iterator[_Conversation]:
    """Yield the conversations but for archived and hidden ones, reading as few rows as it takes."""
    flags = [name for name in ("archived", "hidden") if name not in include and name in snapshot.schema.sessions]
    if not flags:
        yield from found
        return
    condition = " OR ".join(f's."{flag}" IS NOT 0 AND s."{flag}" IS NOT NULL' for flag in flags)
    for start in range(0, len(found), limit + 1):
        part = found[start : start + limit + 1]
        gone = {
            row[0]
            for row in snapshot.in_chunks(
                f"SELECT s.id FROM agent.sessions s WHERE ({condition}) AND s.id IN ({{}})", [one.tip for one in part]
            )
        }
        yield from (one for one in part if one.tip not in gone)


#: Columns that have a place of their own in `AgentSession`, and one that is wide and of no use here.
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


def _describe(snapshot: Snapshot, page: list[_Conversation], activity: Activity) -> list[AgentSession]:
    """Return the conversations with all that is known of them, reading their rows alone."""
    schema = snapshot.schema
    columns = [*_NAMED, *(name for name in schema.sessions if name not in (*_NAMED, *_WIDE))]
    wanted = sorted({one.tip for one in page} | {one.chain[0] for one in page})
    rows = {
        row[0]: dict(zip(columns, row, strict=True))
        for row in snapshot.in_chunks(
            f"SELECT {', '.join(map(schema.session, columns))} FROM agent.sessions s WHERE s.id IN ({{}})", wanted
        )
    }
    counts = _live_counts(snapshot, [session for one in page for session in one.chain], activity)
    untitled = [one.chain[0] for one in page if not (rows[one.tip]["title"] or rows[one.chain[0]]["title"])]
    texts = _first_texts(snapshot, untitled)
    return [_session(one, rows[one.tip], rows[one.chain[0]], counts, texts.get(one.chain[0])) for one in page]


def _session(
    one: _Conversation, tip: dict[str, Any], root: dict[str, Any], counts: dict[str, int], first_text: str | None
) -> AgentSession:
    source = _text(tip["source"])
    title = _text(tip["title"] or root["title"])
    return AgentSession.model_construct(
        session_id=one.tip,
        source=source,
        title=title or first_text or f"{(source or 'cli').title()} session",
        titled=bool(title),
        model=_text(tip["model"]),
        cwd=_text(tip["cwd"]),
        started_at=sane(root["started_at"]),
        ended_at=sane(tip["ended_at"]),
        end_reason=_text(tip["end_reason"]),
        last_active=one.last_active,
        message_count=sum(counts.get(session, 0) for session in one.chain),
        stored_message_count=_whole(tip["message_count"]),
        input_tokens=_whole(tip["input_tokens"]),
        output_tokens=_whole(tip["output_tokens"]),
        estimated_cost=cost if isinstance(cost := tip["estimated_cost_usd"], int | float) else None,
        archived=bool(tip["archived"]),
        parent_id=root["parent_session_id"],
        chain=one.chain,
        extra={name: storable(value) for name, value in tip.items() if name not in _NAMED and value is not None},
    )


def _text(value: Any) -> str | None:
    """Return a column that is text, in a file that may be damaged."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return None if value is None else str(value)


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _live_counts(snapshot: Snapshot, sessions: list[str], activity: Activity) -> dict[str, int]:
    if activity.counts is not None:
        return activity.counts
    return dict(
        tuple(row)
        for row in snapshot.in_chunks(
            f"SELECT m.session_id, count(*) FROM agent.messages m WHERE {snapshot.schema.live} "
            "AND m.session_id IN ({}) GROUP BY m.session_id",
            sessions,
        )
    )


def _first_texts(snapshot: Snapshot, sessions: list[str]) -> dict[str, str]:
    """Return the beginning of each session's first user text."""
    schema = snapshot.schema
    if not sessions or not {"role", "content"} <= set(schema.messages):
        return {}
    firsts = snapshot.in_chunks(
        f"SELECT min(m.id) FROM agent.messages m WHERE m.role = 'user' AND {schema.live} "
        "AND m.session_id IN ({}) GROUP BY m.session_id",
        sessions,
    )
    rows = snapshot.in_chunks(
        "SELECT m.session_id, m.content FROM agent.messages m WHERE m.id IN ({})", [row[0] for row in firsts]
    )
    texts = {row[0]: " ".join(content_text(decode_content(row[1])).split())[:_TITLE_LENGTH] for row in rows}
    return {session: text for session, text in texts.items() if text}
