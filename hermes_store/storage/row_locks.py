"""What a transaction keeps others from doing to a row until it ends, and in which order such locks are taken.

On SQLite a write transaction has the whole file. On PostgreSQL transactions that wait for each other in a circle are a
deadlock, and there is none, because

- a transaction that locks the rows of more than one session reserves `Reserved.SESSIONS` first, so that there is one at
  a time, or passes over the rows that others have locked;
- every other one waits for nobody but for a project while it holds the row of a session;
- a transaction that keeps others from linking to a project waits for no session (`project_rows.release_members`).

`UnitOfWork.reserve` comes before any lock of a row.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select

from .statement import Statement


class RowLock(enum.Enum):
    """What others cannot do to a row."""

    #: Remove it, or change its public id or its profile: what is linked to it stays linked. They can change the rest.
    LINK = "FOR KEY SHARE"
    #: Change it. They can link to it.
    CHANGE = "FOR NO KEY UPDATE"
    #: Change it, or link to it.
    REMOVE = "FOR UPDATE"


class Reserved(enum.IntEnum):
    """What one transaction at a time has; in the order in which they are reserved."""

    #: The rows of more than one session, and the import log.
    SESSIONS = 1
    #: Which projects there are, and their order.
    PROJECTS = 2


def with_lock(query: Select[Any], lock: RowLock) -> Select[Any]:
    """Return a query that locks the rows it returns."""
    return query.with_for_update(read=lock is RowLock.LINK, key_share=lock is not RowLock.REMOVE)


def lockable(query: Select[Any]) -> Mapping[RowLock | None, Statement]:
    """Return a query as statements: without a lock (None), and with each of them."""
    return {None: Statement(query), **{lock: Statement(with_lock(query, lock)) for lock in RowLock}}
