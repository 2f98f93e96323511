"""Whether the columns that lists by activity depend on say what the messages do."""

from __future__ import annotations

from hermes_store import Store
from tests.support.internals import reading

_WRONG = """
    SELECT session_id FROM sessions
    WHERE activity_at != coalesce(last_activity_at, updated_at)
    OR coalesce(last_activity_at, 0) != coalesce((
        SELECT timestamp FROM messages
        WHERE messages.session_id = sessions.id AND timestamp IS NOT NULL AND (role IS NULL OR role != 'tool')
        ORDER BY position DESC LIMIT 1
    ), 0)
"""


def wrong_times(store: Store) -> list[str]:
    """Return the ids of the sessions of which a time of the last activity is wrong, but for rows that are none."""
    with reading(store) as connection:
        found = list(connection.exec_driver_sql(_WRONG).scalars())
    return [session_id for session_id in found if not session_id.startswith(" ")]
