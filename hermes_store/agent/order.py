"""Which sessions were active last, found without reading the rows of the others.

A session was last active at its last message or, if it has none, when it began. With the agent's index on messages,
each session costs one look into it. Without that index every look would scan all messages, so there is one scan: it
finds the sessions that were active after some moment, and counts the messages of those that will be shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .queries import Query, usable
from .snapshot import CURRENT, Snapshot
from .times import SANE, is_sane, sane_time, started_of

#: Without an index, this many of the newest rows are read to guess which sessions were active last: the first number
#: that is enough.
_SAMPLES: Final = (10_000, 40_000, 160_000)
#: The messages of this many sessions are counted in one scan.
_COUNTED: Final = 500

#: SQL: no condition.
_ALL: Final = "1"
#: SQL: the sessions that are the parent of another one, and the row numbers of those that have a parent.
_PARENTS: Final = "SELECT x.parent_session_id FROM main.sessions x WHERE x.parent_session_id IS NOT NULL"
_CHILDREN: Final = "SELECT x.rowid FROM main.sessions x WHERE x.parent_session_id IS NOT NULL"
#: SQL: the session ``c`` has a message.
_HAS_MESSAGES: Final = "EXISTS (SELECT 1 FROM main.messages m WHERE m.session_id = c.id)"


@dataclass(frozen=True)
class Activity:
    """What the messages of a session say about it."""

    #: When the last one was written, if one of them has a time.
    last: float | None
    #: How many are part of the conversation, and the id of the user's first one.
    count: int
    first: int | None


#: Of a session without messages.
_NOTHING: Final = Activity(None, 0, None)


@dataclass(frozen=True)
class Sources:
    """The sources of the sessions that a list shows: these, or all but these."""

    names: tuple[str, ...]
    excluded: bool

    @property
    def condition(self) -> str:
        """SQL for: the session ``s`` has such a source. Its parameters are `names`."""
        marks = ",".join("?" * len(self.names))
        if self.excluded:
            return f"(s.source IS NULL OR s.source NOT IN ({marks}))"
        return f"s.source IN ({marks})"


@dataclass(frozen=True)
class Recent:
    """The sessions that were active last, up to some moment."""

    #: When each was last active, the latest first.
    order: dict[str, float]
    #: Of each session that is known to have messages, when the last one was; None where none has a time.
    last: Mapping[str, float | None]
    #: No other session up to that moment was active after this one.
    floor: float
    #: Whether those that are not in `last` have no message, or none that is later than the floor.
    whole: bool
    #: What a scan counted.
    counted: Mapping[str, Activity] = field(default_factory=dict)
    #: The rows of the queries that were to be run along.
    along: Mapping[str, list[Any]] = field(default_factory=dict)


_Likely = Callable[[Recent], tuple[float, list[str]] | None]


def recent(
    snapshot: Snapshot,
    before: float,
    need: int,
    *,
    empty: bool,
    sources: Sources,
    likely: _Likely,
    along: Mapping[str, Query],
) -> Iterator[Recent]:
    """Yield the sessions last active at `before` or earlier: first about as many as needed, then, if asked for, all.

    Args:
        snapshot: the file.
        before: a moment, epoch seconds.
        need: how many sessions will probably be enough for the caller.
        empty: whether sessions without messages matter.
        sources: those of the sessions that matter; sessions of others may be there as well.
        likely: takes a guess, and returns the moment after which everything that will be shown was active if the
            guess is right, with the sessions whose messages are to be counted; None where the guess is too short.
        along: queries by names that are run in the same statement, if one is enough to find the sessions. They can read
            the ids of the sessions, in order, from a table ``recent``.
    """
    schema = snapshot.schema
    if schema.finds_last_activity or (schema.finds_messages and "timestamp" not in schema.messages):
        first = _indexed(snapshot, before, need, empty=empty, sources=sources)
        yield _in_order(snapshot.packed_if_current({"recent": first, **along}), need)
        every = _indexed(snapshot, before, -1, empty=empty, sources=sources)
        yield _in_order(snapshot.packed_if_current({"recent": every}), math.inf)
        return
    if not empty and (found := _guess(snapshot, before, likely)) is not None:
        moment, counted = found
        part = _later_than(snapshot, moment, before, counted)
        if part is not None:
            yield part
    yield _scanned(snapshot, before)


def everything(snapshot: Snapshot, *, sources: Sources) -> Recent:
    """Return all sessions."""
    *_, found = recent(snapshot, math.inf, 1, empty=True, sources=sources, likely=lambda _: None, along={})
    return found


def _indexed(snapshot: Snapshot, before: float, limit: int, *, empty: bool, sources: Sources) -> Query:
    """Return the query for sessions in order, which looks up each one's last message in an index.

    Its rows are up to `limit`, or all for -1: a session, when its last message was, and when it was last active.
    """
    schema = snapshot.schema
    of_sources, parameters = _of_sources(snapshot, sources)
    last_message = (
        f"SELECT {schema.message('timestamp')} FROM main.messages m "
        f"WHERE m.session_id = s.id AND {is_sane(schema.message('timestamp'))} "
        f"ORDER BY {schema.message('timestamp')} DESC LIMIT 1"
    )
    began = (
        f"SELECT {schema.session('started_at')} FROM main.sessions s "
        f"WHERE s.id = c.id AND {is_sane(schema.session('started_at'))}"
    )
    # With a LIMIT SQLite runs the inner query as it is, and looks up each last message once instead of three times.
    candidates = (
        f"SELECT s.id, s.rowid AS place, ({last_message}) AS last FROM main.sessions s WHERE {of_sources} "
        f"LIMIT CASE WHEN {CURRENT} THEN -1 ELSE 0 END"
    )
    conditions = ["last_active <= ?", _ALL if empty else _may_have_messages(snapshot)]
    sql = (
        f"SELECT c.id, c.last, coalesce(c.last, ({began}), 0.0) AS last_active FROM ({candidates}) c "
        f"WHERE {' AND '.join(conditions)} ORDER BY last_active DESC LIMIT ?"
    )
    return Query(("id", "last", "last_active"), sql, [*parameters, min(before, SANE[1]), limit])


def _in_order(found: dict[str, list[Any]], limit: float) -> Recent:
    """Return what up to `limit` rows of that query say, with the rows of others."""
    rows = found.pop("recent")
    return Recent(
        order={row[0]: float(row[2]) for row in rows if usable(row[0])},
        last={row[0]: float(row[1]) for row in rows if row[1] is not None},
        floor=float(rows[-1][2]) if len(rows) == limit else -math.inf,
        whole=False,
        along=found,
    )


def _of_sources(snapshot: Snapshot, sources: Sources) -> tuple[str, tuple[str, ...]]:
    """Return SQL for: the session ``s`` matters. It is true of all where no index would answer it."""
    schema = snapshot.schema
    if not (schema.session_index("parent_session_id") and schema.session_index("source", "id")):
        return _ALL, ()
    # A session of another source that has a child may be part of a chain whose head session has one of these.
    return f"({sources.condition} OR s.id IN ({_PARENTS}))", sources.names


def _may_have_messages(snapshot: Snapshot) -> str:
    """Return SQL for: the candidate ``c`` may be part of a conversation with messages; true of all without an index."""
    if not snapshot.schema.session_index("parent_session_id"):
        return _ALL
    # A session without messages that has a parent may be the head session of a chain that has some.
    return f"(c.last IS NOT NULL OR {_HAS_MESSAGES} OR c.place IN ({_CHILDREN}))"


def _guess(snapshot: Snapshot, before: float, likely: _Likely) -> tuple[float, list[str]] | None:
    """Guess from the newest rows: nearly always they are the latest messages."""
    for size in _SAMPLES:
        newest = f"m.id > (SELECT max(m.id) FROM main.messages m) - {size}"
        rows = snapshot.packed_rows(
            2,
            f"SELECT m.session_id, max({sane_time(snapshot)}) AS time FROM main.messages m WHERE {newest} "
            "GROUP BY m.session_id HAVING time <= ? ORDER BY time",
            min(before, SANE[1]),
        )
        last = {row[0]: float(row[1]) for row in rows if usable(row[0])}
        found = likely(Recent(_latest_first(last, before), last, -math.inf, whole=True))
        if found is not None:
            return found
    return None


def _later_than(snapshot: Snapshot, moment: float, before: float, counted: list[str]) -> Recent | None:
    """Scan for the sessions active after a moment, and count the messages of some; None where a time is garbage."""
    time = snapshot.schema.message("timestamp")
    marks = ",".join("?" * len(counted))
    conditions = (f"{time} NOT BETWEEN {SANE[0]} AND ?", f"{time} IS NULL", f"m.session_id IN ({marks})")
    found = _scan(snapshot, " OR ".join(conditions), moment, *counted)
    if any(activity.last is None for activity in found.values()):  # when it was active, other rows may tell
        return None
    later = {one: activity.last for one, activity in found.items() if (activity.last or 0.0) > moment}
    order = _latest_first({one: last for one, last in later.items() if last is not None}, before)
    return Recent(order, later, moment, whole=True, counted={one: found.get(one, _NOTHING) for one in counted})


def _scanned(snapshot: Snapshot, before: float) -> Recent:
    """Scan all messages."""
    found = _scan(snapshot, _ALL)
    last = {one: activity.last for one, activity in found.items()}
    own = {one: time for one, time in last.items() if time is not None}
    rows = snapshot.packed_rows(1, "SELECT s.id FROM main.sessions s")
    own |= started_of(snapshot, [row[0] for row in rows if usable(row[0]) and row[0] not in own])
    counted = {**dict.fromkeys(own, _NOTHING), **found}
    return Recent(_latest_first(own, before), last, -math.inf, whole=True, counted=counted)


def activities_of(snapshot: Snapshot, session_ids: Iterable[str]) -> dict[str, Activity]:
    """Return what the messages of sessions say about them, without those that have none, in one scan."""
    ids, found = list(session_ids), dict[str, Activity]()
    for start in range(0, len(ids), _COUNTED):
        chunk = ids[start : start + _COUNTED]
        found |= _scan(snapshot, f"m.session_id IN ({','.join('?' * len(chunk))})", *chunk)
    return found


def _scan(snapshot: Snapshot, where: str, *parameters: Any) -> dict[str, Activity]:
    """Return what the messages that meet a condition say about their sessions."""
    schema = snapshot.schema
    users = f"{schema.message('role')} = 'user' AND {schema.live}"
    rows = snapshot.packed_rows(
        4,
        f"SELECT m.session_id, max({sane_time(snapshot)}) AS time, sum({schema.shown}), "
        f"min(CASE WHEN {users} THEN m.id END) FROM main.messages m WHERE {where} GROUP BY m.session_id ORDER BY time",
        *parameters,
    )
    return {
        session_id: Activity(None if last is None else float(last), count, first)
        for session_id, last, count, first in rows
        if usable(session_id)
    }


def _latest_first(own: dict[str, float], before: float) -> dict[str, float]:
    order = sorted(((time, one) for one, time in own.items() if time <= before), reverse=True)
    return {one: time for time, one in order}
