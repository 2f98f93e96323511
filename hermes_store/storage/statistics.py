"""What the database knows of its tables, to plan its queries."""

from __future__ import annotations

from typing import Final

from .engine import Database

#: After fewer sessions that were written, the statistics stay as they are.
_MANY: Final = 100
_TABLES: Final = ("projects", "sessions", "session_extras", "session_documents", "messages", "message_blobs")


def refresh(database: Database, written: int) -> None:
    """After an import: let a server look at its tables, if much was written. By itself, it does that minutes later.

    Args:
        written: how many sessions were imported or updated.
    """
    if written >= _MANY:
        with database.write() as unit:
            unit.dialect.analyze(unit, _TABLES)
