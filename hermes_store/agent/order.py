"""Which sessions were active last, found without reading the others' rows.

A session's own time is that of its last message, else that of its beginning. With the agent's index on messages
each session costs one look into it. Without, every look is a scan of all messages, and sorting a million of them
by session is what takes the time: so only those after a moment are taken, which the newest rows tell about.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from .attach import Snapshot

#: Timestamps outside are garbage of salvaged files: before 1990, after 2200.
SANE: Final = (631_152_000.0, 7_258_118_400.0)
_SAMPLE: Final = 5000


@dataclass(frozen=True)
class Recent:
    """The sessions active last, up to some moment."""

    #: Their ids, the latest first.
    order: list[str]
    #: Of each its own time; of others too, where finding the ones gave the others.
    times: dict[str, float]
    #: Those that have no message with a time.
    silent: frozenset[str]
    #: No other session up to that moment is later than this.
    floor: float
    #: Whether the times of all that are later than the floor are here, also after the moment.
    whole: bool


def recent(
    snapshot: Snapshot, before: float, need: int, *, empty: bool, sources: tuple[str, tuple[str, ...]]
) -> Iterator[Recent]:
    """Yield the sessions whose own time is not after `before`: first about `need` of them, then, if taken, all.

    Args:
        snapshot: the file.
        before: a moment.
        need: how many sessions the caller hopes will do.
        empty: whether sessions without messages matter.
        sources: the ones that matter, as ("IN", names) or ("NOT IN", names); sessions of others may be there as well.
    """
    if "timestamp" not in snapshot.schema.messages:
        yield _indexed(snapshot, before, None, "NULL", sources)
    elif snapshot.schema.finds_last_activity:
        last = (
            f'(SELECT m."timestamp" FROM agent.messages m WHERE m.session_id = s.id AND m."timestamp" BETWEEN {SANE[0]}'
            f' AND {SANE[1]} ORDER BY m."timestamp" DESC LIMIT 1)'
        )
        yield _indexed(snapshot, before, need, last, sources)
        yield _indexed(snapshot, before, None, last, sources)
    else:
        if not empty and (part := _after_a_moment(snapshot, before, need)) is not None:
            yield part
        yield _scanned(snapshot, before)


def _indexed(
    snapshot: Snapshot, before: float, limit: int | None, last: str, sources: tuple[str, tuple[str, ...]]
) -> Recent:
    how, names = sources
    where = "1"
    if snapshot.schema.session_index("source", "id") and snapshot.schema.session_index("parent_session_id"):
        # Of other sources, those with a parent or a child: they may be part of a chain that ends in one that matters.
        null = "" if how == "IN" else "s.source IS NULL OR "
        linked = "SELECT {} FROM agent.sessions x WHERE x.parent_session_id IS NOT NULL"
        where = (
            f"{null}s.source {how} ({','.join('?' * len(names))}) OR s.rowid IN ({linked.format('x.rowid')}) "
            f"OR s.id IN ({linked.format('x.parent_session_id')})"
        )
    else:
        names = ()
    # LIMIT -1 keeps SQLite from working the inner query into the outer one, which would look three times.
    started = snapshot.schema.session("started_at").replace("s.", "x.")
    rows = snapshot.rows(
        f"SELECT c.id, c.last IS NULL, coalesce(c.last, (SELECT {started} FROM agent.sessions x WHERE x.id = c.id "
        f"AND {started} BETWEEN {SANE[0]} AND {SANE[1]}), 0.0) AS own "
        f"FROM (SELECT s.id, {last} AS last FROM agent.sessions s WHERE {where} LIMIT -1) c "
        "WHERE own <= ? ORDER BY own DESC LIMIT ?",
        *names,
        min(before, SANE[1]),
        -1 if limit is None else limit,
    )
    full = limit is not None and len(rows) == limit
    return _recent([tuple(row) for row in rows], before, rows[-1][2] if full else -math.inf, whole=False)


def _after_a_moment(snapshot: Snapshot, before: float, need: int) -> Recent | None:
    sample = snapshot.rows(
        'SELECT n.session_id, max(n.time) FROM (SELECT m.session_id, m."timestamp" AS time FROM agent.messages m '
        f'WHERE m."timestamp" <= ? ORDER BY m.id DESC LIMIT {_SAMPLE}) n GROUP BY n.session_id',
        min(before, SANE[1]),
    )
    times = sorted((row[1] for row in sample if isinstance(row[1], float)), reverse=True)
    if len(times) <= need or times[need] < SANE[0]:
        return None
    moment = times[need]
    rows = snapshot.rows(
        'SELECT m.session_id, max(CASE WHEN m."timestamp" <= ? THEN m."timestamp" END) FROM agent.messages m '
        'WHERE m."timestamp" > ? OR m."timestamp" < ? OR m."timestamp" IS NULL GROUP BY m.session_id',
        SANE[1],
        moment,
        SANE[0],
    )
    if any(row[1] is None or row[1] < SANE[0] for row in rows):  # garbage: when it was active is elsewhere
        return None
    return _recent([(row[0], False, row[1]) for row in rows], before, moment, whole=True)


def _scanned(snapshot: Snapshot, before: float) -> Recent:
    rows = snapshot.rows(
        'SELECT m.session_id, max(m."timestamp") FROM agent.messages m WHERE m."timestamp" BETWEEN ? AND ? '
        "GROUP BY m.session_id",
        *SANE,
    )
    times = dict(tuple(row) for row in rows)
    silent = [row[0] for row in snapshot.rows("SELECT s.id FROM agent.sessions s") if row[0] not in times]
    own = [(session_id, False, time) for session_id, time in times.items()]
    own += [(session_id, True, began) for session_id, began in started_of(snapshot, silent).items()]
    return _recent(own, before, -math.inf, whole=True)


def _recent(rows: list[tuple[str, Any, float]], before: float, floor: float, *, whole: bool) -> Recent:
    rows.sort(key=lambda row: row[2], reverse=True)
    return Recent(
        [row[0] for row in rows if row[2] <= before],
        {row[0]: row[2] for row in rows},
        frozenset(row[0] for row in rows if row[1]),
        floor,
        whole,
    )


def times_of(snapshot: Snapshot, session_ids: list[str]) -> dict[str, float]:
    """Return when sessions had their last message, of those that have one with a time."""
    timed = snapshot.schema.message("timestamp")
    rows = snapshot.in_chunks(
        f"SELECT m.session_id, max({timed}) FROM agent.messages m WHERE {timed} BETWEEN {SANE[0]} AND {SANE[1]} "
        "AND m.session_id IN ({}) GROUP BY m.session_id",
        session_ids,
    )
    return dict(tuple(row) for row in rows)


def started_of(snapshot: Snapshot, session_ids: list[str]) -> dict[str, float]:
    """Return when sessions began; 0.0 where that is no time that can be."""
    rows = snapshot.in_chunks(
        f"SELECT s.id, {snapshot.schema.session('started_at')} FROM agent.sessions s WHERE s.id IN ({{}})", session_ids
    )
    return {row[0]: sane(row[1]) or 0.0 for row in rows}


def sane(value: Any) -> float | None:
    """Return a time that can be one, else None."""
    return float(value) if isinstance(value, int | float) and SANE[0] <= value <= SANE[1] else None
