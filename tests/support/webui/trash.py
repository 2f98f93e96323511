"""Sessions in the trash of a store."""

from __future__ import annotations

import time

from hermes_store import Store
from tests.support.internals import writing

DAY = 86_400.0


def deleted_ago(store: Store, session_id: str, days: float) -> None:
    """Let a session have been deleted some days ago."""
    with writing(store) as connection:
        connection.exec_driver_sql(
            "UPDATE sessions SET deleted_at = ? WHERE session_id = ?", (time.time() - days * DAY, session_id)
        )


def trash(store: Store) -> list[str]:
    """Return the ids of the deleted sessions."""
    return sorted(session.session_id for session in store.sessions.list_deleted(limit=1000).items)
