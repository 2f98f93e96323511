"""Whether the columns of sessions that follow from their messages say what the messages do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

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
    OR message_count != (SELECT count(*) FROM messages WHERE messages.session_id = sessions.id)
    OR user_message_count != (
        SELECT count(*) FROM messages WHERE messages.session_id = sessions.id AND role = 'user'
    )
"""


def wrong_columns(store: Store) -> list[str]:
    """Return the ids of the sessions of which such a column is wrong, but for rows that are none."""
    with reading(store) as connection:
        found = list(connection.exec_driver_sql(_WRONG).scalars())
    return [session_id for session_id in found if not session_id.startswith(" ")]


def users(messages: Iterable[Any]) -> int:
    """Return how many messages have the role "user"."""
    return len([message for message in messages if isinstance(message, dict) and message.get("role") == "user"])
