"""Which sessions were active last, found without reading the others' rows.

A session's own time is that of its last message, else that of its beginning. With the agent's index on messages
each session costs one look into it. Without, every look is a scan of all messages, so there is only one: it finds
the sessions that are later than a moment, and counts the messages of those that will be shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .snapshot import Snapshot

#: Timestamps outside are garbage of salvaged files: before 1990, after 2200.
SANE: Final = (631_152_000.0, 7_258_118_400.0)
#: So many of the newest rows tell, without an index, which sessions are likely to be the latest: as many as it takes.
_SAMPLES: Final = (10_000, 40_000, 160_000)


@dataclass(frozen=True)
class Activity:
    """What the messages of a session say of it, in one scan."""

    #: When the last one was, if one of them has a time.
    last: float | None
    #: How many there are that were not taken back, and the first one of the user's.
    count: int
    first: int | None

    def joined(self, other: Activity) -> Activity:
        """Return what this and other messages of the session say."""
        return Activity(
            max((time for time in (self.last, other.last) if time is not None), default=None),
            self.count + other.count,
            min((first for first in (self.first, other.first) if first is not None), default=None),
        )


#: The messages of so many sessions are counted in one scan.
_COUNTED: Final = 500
#: Of a session without messages.
_NOTHING: Final = Activity(None, 0, None)


@dataclass(frozen=True)
class Recent:
    """The sessions active last, up to some moment."""

    #: Their own times, the latest first.
    order: dict[str, float]
    #: Of each session that is known to have messages, when the last one was; None where none has a time.
    last: Mapping[str, float | None]
    #: No other session up to that moment is later than this.
    floor: float
    #: Whether those that are not in `last` have no message, or none that is later than the floor.
    whole: bool
    #: What a scan counted.
    counted: Mapping[str, Activity] = field(default_factory=dict)


_Likely = Callable[[Recent], tuple[float, list[str]] | None]


def recent(
    snapshot: Snapshot,
    before: float,
    need: int,
    *,
    empty: bool,
    sources: tuple[str, tuple[str, ...]],
    likely: _Likely,
) -> Iterator[Recent]:
    """Yield the sessions whose own time is not after `before`: first about as many as needed, then, if taken, all.

    Args:
        snapshot: the file.
        before: a moment.
        need: how many sessions the caller hopes will do.
        empty: whether sessions without messages matter.
        sources: the ones that matter, as ("IN", names) or ("NOT IN", names); sessions of others may be there as well.
        likely: takes a guess, and returns the moment after which everything that will be shown was active if the
            guess is right, with the sessions whose messages are to be counted; None where the guess is too short.
    """
    schema = snapshot.schema
    if schema.finds_last_activity or (schema.finds_messages and "timestamp" not in schema.messages):
        yield _indexed(snapshot, before, need, empty=empty, sources=sources)
        yield _indexed(snapshot, before, None, empty=empty, sources=sources)
        return
    if not empty and (found := _guess(snapshot, before, likely)) is not None:
        moment, counted = found
        part = _later_than(snapshot, moment, before, counted)
        if part is not None:
            yield part
    yield _scanned(snapshot, before)


def everything(snapshot: Snapshot, *, sources: tuple[str, tuple[str, ...]]) -> Recent:
    """Return all sessions."""
    *_, found = recent(snapshot, math.inf, 1, empty=True, sources=sources, likely=lambda _: None)
    return found


def _indexed(
    snapshot: Snapshot, before: float, limit: int | None, *, empty: bool, sources: tuple[str, tuple[str, ...]]
) -> Recent:
    schema = snapshot.schema
    how, names = sources
    by_source, talks = "1", "1"
    if schema.session_index("parent_session_id"):
        linked = "SELECT {} FROM agent.sessions x WHERE x.parent_session_id IS NOT NULL"
        parents = f"IN ({linked.format('x.parent_session_id')})"
        if schema.session_index("source", "id"):
            # Of other sources, those with a child: one may be part of a chain that ends in a session that matters.
            null = "" if how == "IN" else "s.source IS NULL OR "
            by_source = f"{null}s.source {how} ({','.join('?' * len(names))}) OR s.id {parents}"
        if not empty:
            # Without a message, only those with a parent: one may be the end of a chain in which there is a message.
            talks = (
                "c.last IS NOT NULL OR EXISTS (SELECT 1 FROM agent.messages m WHERE m.session_id = c.id) "
                f"OR c.place IN ({linked.format('x.rowid')})"
            )
    # LIMIT -1 keeps SQLite from working the inner query into the outer one, which would look three times.
    sql = (
        f"SELECT c.id, c.last, coalesce(c.last, ({_began('c.id', schema.session('started_at'))}), 0.0) AS own "
        f"FROM (SELECT s.id, s.rowid AS place, ({_last_of('s.id', schema.message('timestamp'))}) AS last "
        f"FROM agent.sessions s WHERE ({by_source}) AND {{which}} LIMIT -1) c "
        f"WHERE own <= ? AND ({talks}) ORDER BY own DESC LIMIT ?"
    )
    parameters = (
        *(names if by_source != "1" else ()),
        min(before, SANE[1]),
        -1 if limit is None else limit,
    )
    # From a cold disk each look waits for a page. The helpers go the same way and look for every third session only,
    # so they get ahead, and the pages that they read are there when this one comes to them.
    ahead = [sql.format(which=f"s.rowid % 3 = {share}") for share in (1, 2)]
    with snapshot.helped(ahead, *parameters):
        rows = snapshot.rows(sql.format(which="1"), *parameters)
    full = limit is not None and len(rows) == limit
    return Recent(
        order={row[0]: float(row[2]) for row in rows if usable(row[0])},
        last={row[0]: float(row[1]) for row in rows if row[1] is not None},
        floor=float(rows[-1][2]) if full else -math.inf,
        whole=False,
    )


def _last_of(session_id: str, timestamp: str) -> str:
    return (
        f"SELECT {timestamp} FROM agent.messages m WHERE m.session_id = {session_id} "
        f"AND {timestamp} BETWEEN {SANE[0]} AND {SANE[1]} ORDER BY {timestamp} DESC LIMIT 1"
    )


def _began(session_id: str, started_at: str) -> str:
    return (
        f"SELECT {started_at} FROM agent.sessions s WHERE s.id = {session_id} "
        f"AND {started_at} BETWEEN {SANE[0]} AND {SANE[1]}"
    )


def _guess(snapshot: Snapshot, before: float, likely: _Likely) -> tuple[float, list[str]] | None:
    """Guess from the newest rows: nearly always they are the latest messages."""
    for size in _SAMPLES:
        rows = snapshot.rows(  # forwards, as a disk reads ahead of who goes forwards
            f"SELECT m.session_id, max({_sane(snapshot)}) AS time FROM agent.messages m "
            f"WHERE m.id > (SELECT max(m.id) FROM agent.messages m) - {size} "
            "GROUP BY m.session_id HAVING time <= ?",
            min(before, SANE[1]),
        )
        last = {row[0]: float(row[1]) for row in rows if usable(row[0])}
        found = likely(Recent(_latest_first(last, before), last, -math.inf, whole=True))
        if found is not None:
            return found
    return None


def _later_than(snapshot: Snapshot, moment: float, before: float, counted: list[str]) -> Recent | None:
    time = snapshot.schema.message("timestamp")
    marks = ",".join("?" * len(counted))
    where = f"{time} NOT BETWEEN {SANE[0]} AND ? OR {time} IS NULL OR m.session_id IN ({marks})"
    found = _activities(_scan(snapshot, where, moment, *counted))
    if any(one.last is None for one in found.values()):  # garbage: when it was active is elsewhere
        return None
    later = {one: activity.last for one, activity in found.items() if (activity.last or 0.0) > moment}
    order = _latest_first({one: last for one, last in later.items() if last is not None}, before)
    return Recent(order, later, moment, whole=True, counted={one: found.get(one, _NOTHING) for one in counted})


def _scanned(snapshot: Snapshot, before: float) -> Recent:
    found = _activities(_scan(snapshot, "1"))
    last = {one: activity.last for one, activity in found.items()}
    own = {one: time for one, time in last.items() if time is not None}
    rows = snapshot.rows("SELECT s.id FROM agent.sessions s")
    own |= started_of(snapshot, [row[0] for row in rows if usable(row[0]) and row[0] not in own])
    counted = {**dict.fromkeys(own, _NOTHING), **found}
    return Recent(_latest_first(own, before), last, -math.inf, whole=True, counted=counted)


def activities_of(snapshot: Snapshot, session_ids: Iterable[str]) -> dict[str, Activity]:
    """Return what the messages of sessions say of them, of those that have messages, in one scan."""
    ids, rows = list(session_ids), list[Any]()
    for start in range(0, len(ids), _COUNTED):
        some = ids[start : start + _COUNTED]
        rows += _scan(snapshot, f"m.session_id IN ({','.join('?' * len(some))})", *some)
    return _activities(rows)


def _scan(snapshot: Snapshot, where: str, *parameters: Any) -> list[Any]:
    """Return what the messages say of their sessions; where several connections share the scan, a session may recur."""
    parts = _parts(snapshot)
    return snapshot.together([_activity_sql(snapshot, f"{part} AND ({where})") for part in parts], *parameters)


def _parts(snapshot: Snapshot) -> list[str]:
    """Return conditions of which each message meets one, for every connection one."""
    if not snapshot.twins:
        return ["1"]
    ends = (f"(SELECT {end}(m.id) FROM agent.messages m)" for end in ("min", "max"))
    low, high = (end or 0 for end in snapshot.rows(f"SELECT {', '.join(ends)}")[0])
    number = 1 + len(snapshot.twins)
    edges = [low + (high - low) * part // number for part in range(1, number)]
    above = ["1", *(f"m.id > {edge}" for edge in edges)]
    below = [*(f"m.id <= {edge}" for edge in edges), "1"]
    return [f"{left} AND {right}" for left, right in zip(above, below, strict=True)]


def _activity_sql(snapshot: Snapshot, where: str) -> str:
    schema = snapshot.schema
    return (
        f"SELECT m.session_id, max({_sane(snapshot)}), sum({schema.shown}), "
        f"min(CASE WHEN {schema.message('role')} = 'user' AND {schema.live} THEN m.id END) "
        f"FROM agent.messages m WHERE {where} GROUP BY m.session_id"
    )


def _activities(rows: list[Any]) -> dict[str, Activity]:
    found: dict[str, Activity] = {}
    for session_id, last, count, first in rows:
        if usable(session_id):
            one = Activity(None if last is None else float(last), count, first)
            found[session_id] = found[session_id].joined(one) if session_id in found else one
    return found


def _sane(snapshot: Snapshot) -> str:
    time = snapshot.schema.message("timestamp")
    return f"CASE WHEN {time} BETWEEN {SANE[0]} AND {SANE[1]} THEN {time} END"


def _latest_first(own: dict[str, float], before: float) -> dict[str, float]:
    order = sorted(((time, one) for one, time in own.items() if time <= before), reverse=True)
    return {one: time for time, one in order}


def last_of(snapshot: Snapshot, session_ids: Iterable[str]) -> dict[str, float | None]:
    """Return when sessions had their last message, of those that have messages; None where none has a time."""
    rows = snapshot.in_chunks(
        f"SELECT m.session_id, max({_sane(snapshot)}) FROM agent.messages m WHERE m.session_id IN ({{}}) "
        "GROUP BY m.session_id",
        list(session_ids),
    )
    return {row[0]: None if row[1] is None else float(row[1]) for row in rows}


def started_of(snapshot: Snapshot, session_ids: list[str]) -> dict[str, float]:
    """Return when sessions began; 0.0 where that is no time that can be."""
    rows = snapshot.in_chunks(
        f"SELECT s.id, {snapshot.schema.session('started_at')} FROM agent.sessions s WHERE s.id IN ({{}})", session_ids
    )
    return {row[0]: sane(row[1]) or 0.0 for row in rows}


def sane(value: Any) -> float | None:
    """Return a time that can be one, else None."""
    return float(value) if isinstance(value, int | float) and SANE[0] <= value <= SANE[1] else None


def usable(session_id: Any) -> bool:
    """Whether it is an id that can be asked for; a salvaged file may have others, which nothing can refer to."""
    if not isinstance(session_id, str):
        return False
    try:
        session_id.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
