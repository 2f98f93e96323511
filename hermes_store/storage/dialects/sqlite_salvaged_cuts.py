"""Which of the cuts that were read of a damaged file are taken in: those that bring back what there was.

A cut says how a transcript was before it, compared with how it was after it. So it is of use only if every newer cut of
the session was read, and the session's messages are whole.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from ...transcripts import kept_runs
from .sqlite_trees import Gap

_CUTS: Final = """
SELECT session_id, id, since_revision, undo_revision, undone_revision, message_count, messages, runs
FROM message_cuts ORDER BY session_id, id DESC
"""
#: Those whose messages were all read.
_WHOLE_SESSIONS: Final = """
SELECT id, transcript_revision FROM sessions
LEFT JOIN (SELECT session_id AS of_session, count(*) AS found, max(position) AS last FROM messages GROUP BY session_id)
ON of_session = id
WHERE coalesce(found, 0) >= message_count AND coalesce(last, -1) < coalesce(found, 0)
"""
#: How many messages a cut has, and how many of them are what was kept. `body_digest` is null for what is no body.
_KEPT: Final = "SELECT count(*), coalesce(sum(digest IS body_digest(payload)), 0) FROM kept_messages WHERE cut_id = ?"


def remove_unknown(connection: sqlite3.Connection, gaps: Iterable[Gap] | None) -> list[int]:
    """Remove the cuts of which nobody knows what was before them; return the row ids of the sessions that had them.

    Args:
        connection: the new file, with the sessions and messages that were read.
        gaps: where cuts may be lost; None if that is not known.
    """
    last_gap = math.inf if gaps is None else max((gap.before for gap in gaps), default=-math.inf)
    revisions = dict(connection.execute(_WHOLE_SESSIONS))
    sessions: list[int] = []
    removed: list[tuple[int]] = []
    for session, cuts in groupby(connection.execute(_CUTS).fetchall(), key=itemgetter(0)):
        is_lost = session not in revisions
        #: The revisions at which the transcript was the one after the next older cut.
        known = {revisions.get(session)}
        for _, cut, since, undo, undone, *what in cuts:
            is_lost = is_lost or (cut <= last_gap and undo not in known) or not _is_sound(connection, cut, *what)
            if is_lost:
                removed.append((cut,))
            known = {since} if undone is None else {since, *known}
        if is_lost:
            sessions.append(session)
    connection.executemany("DELETE FROM message_cuts WHERE id = ?", removed)
    connection.execute("DELETE FROM kept_messages WHERE cut_id NOT IN (SELECT id FROM message_cuts)")
    return sessions


def _is_sound(connection: sqlite3.Connection, cut: int, count: Any, messages: Any, runs: Any) -> bool:
    """Whether all messages that a cut kept were read, as they were written."""
    try:
        gaps = kept_runs.gaps(kept_runs.decode(runs, count), count)
    except ValueError:
        return False
    kept = sum(last - first + 1 for first, last in gaps)
    found, sound = connection.execute(_KEPT, [cut]).fetchone()
    return bool(found == sound == messages == kept)
