"""When sessions began and had their last message. A salvaged file has times that are garbage."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from .snapshot import Snapshot

#: Timestamps outside are garbage of salvaged files: before 1990, after 2200.
SANE: Final = (631_152_000.0, 7_258_118_400.0)


def is_sane(time: str) -> str:
    """Return SQL for: the time is no garbage."""
    return f"{time} BETWEEN {SANE[0]} AND {SANE[1]}"


def sane_time(snapshot: Snapshot) -> str:
    """Return SQL for the time of the message ``m``, null where that is garbage."""
    time = snapshot.schema.message("timestamp")
    return f"CASE WHEN {is_sane(time)} THEN {time} END"


def last_of(snapshot: Snapshot, session_ids: Iterable[str]) -> dict[str, float | None]:
    """Return when sessions had their last message, without those that have none; None where none has a time."""
    rows = snapshot.packed_in_chunks(
        2,
        f"SELECT m.session_id, max({sane_time(snapshot)}) FROM main.messages m WHERE m.session_id IN ({{}}) "
        "GROUP BY m.session_id",
        list(session_ids),
    )
    return {row[0]: None if row[1] is None else float(row[1]) for row in rows}


def started_of(snapshot: Snapshot, session_ids: list[str]) -> dict[str, float]:
    """Return when sessions began; 0.0 where that is garbage."""
    rows = snapshot.packed_in_chunks(
        2,
        f"SELECT s.id, {snapshot.schema.session('started_at')} FROM main.sessions s WHERE s.id IN ({{}})",
        session_ids,
    )
    return {row[0]: sane(row[1]) or 0.0 for row in rows}


def sane(value: Any) -> float | None:
    """Return a time if it is a number within `SANE`, else None."""
    return float(value) if isinstance(value, int | float) and SANE[0] <= value <= SANE[1] else None
