"""What the collections of a store share: how they reach a session, and how they leave their mark on it."""

from __future__ import annotations

import functools
import time
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Update, bindparam, select, update

from .database import Unit
from .errors import (
    InvalidInputError,
    SessionDeletedError,
    SessionExistsError,
    SessionNotFoundError,
    StaleSessionError,
)
from .fields import check_id, check_profile
from .tables import RetiredId, Session


class SessionKey(NamedTuple):
    """The part of a session's row that every write needs."""

    id: int
    session_id: str
    profile: str
    revision: int
    message_count: int
    last_message_at: float | None
    updated_at: float
    deleted_at: float | None


class Collection:
    """A group of verbs over a unit of work; with a scope, over one profile's rows alone."""

    def __init__(self, unit: Unit, scope: str | None = None) -> None:
        self._unit = unit
        self._scope = scope

    def _own_profile(self, profile: str | None) -> str | None:
        """Return the profile to work in: a view's own, whatever else is asked for being refused."""
        if profile is not None:
            check_profile(profile)
        if self._scope is not None and profile not in (None, self._scope):
            raise InvalidInputError(
                f"This is the view of profile {self._scope!r}; it cannot reach into {profile!r}. Use the store itself."
            )
        return self._scope if self._scope is not None else profile

    def _find(self, connection: Connection, session_id: str) -> SessionKey:
        """Return a live session for reading."""
        return live(find(connection, session_id, self._scope))

    def _lock(self, connection: Connection, session_id: str, expected_revision: int | None = None) -> SessionKey:
        """Return a live session whose row nobody else changes before this transaction ends."""
        key = live(find(connection, session_id, self._scope, lock=True))
        if expected_revision is not None and key.revision != expected_revision:
            raise StaleSessionError(session_id, expected_revision, key.revision)
        return key


_KEY_COLUMNS: Final = (
    Session.id,
    Session.session_id,
    Session.profile,
    Session.revision,
    Session.message_count,
    Session.last_message_at,
    Session.updated_at,
    Session.deleted_at,
)
_find: Final = select(*_KEY_COLUMNS).where(Session.session_id == bindparam("session_id"))
_find_and_lock: Final = _find.with_for_update()  # SQLite's write transactions hold the whole file anyway


def find(connection: Connection, session_id: str, scope: str | None, *, lock: bool = False) -> SessionKey:
    """Return a session, live or deleted.

    Raises:
        SessionNotFoundError: there is none, or it belongs to another profile than `scope`.
    """
    check_id(session_id, "session id")
    row = connection.execute(_find_and_lock if lock else _find, {"session_id": session_id}).one_or_none()
    if row is not None and scope in (None, row.profile):
        return SessionKey(*row)
    if row is None and (successor := _successor(connection, session_id, scope)):
        raise SessionNotFoundError(session_id, f"Session {session_id!r} is now called {successor!r}.")
    raise SessionNotFoundError(session_id)


def _successor(connection: Connection, session_id: str, scope: str | None) -> str | None:
    statement = (
        select(Session.session_id)
        .join(RetiredId, RetiredId.successor_id == Session.id)
        .where(RetiredId.session_id == session_id)
    )
    if scope is not None:
        statement = statement.where(Session.profile == scope)
    return connection.execute(statement).scalar()


def live(key: SessionKey) -> SessionKey:
    """Return `key` if the session is not deleted.

    Raises:
        SessionDeletedError: it is.
    """
    if key.deleted_at is not None:
        raise SessionDeletedError(key.session_id)
    return key


def require_free(connection: Connection, session_id: str) -> None:
    """Make sure that no session has, or ever had, this public id.

    Raises:
        SessionExistsError: one has it, or had it before it was renamed.
        SessionDeletedError: one had it, and is deleted or purged.
    """
    deleted = connection.execute(select(Session.deleted_at).where(Session.session_id == session_id)).one_or_none()
    if deleted is not None:
        raise (SessionExistsError(session_id) if deleted.deleted_at is None else SessionDeletedError(session_id))
    retired = connection.execute(select(RetiredId.successor_id).where(RetiredId.session_id == session_id)).one_or_none()
    if retired is None:
        return
    if retired.successor_id is None:
        raise SessionDeletedError(
            session_id, f"Session {session_id!r} was purged; its id is not used again. Nothing was written."
        )
    raise SessionExistsError(
        session_id,
        f"{session_id!r} is the former id of another session, and never means a new one. Nothing was written.",
    )


def descends(connection: Connection, session: int, ancestor: int) -> bool:
    """Whether a session is another, or was forked from it, directly or not."""
    line = select(Session.id, Session.parent_id).where(Session.id == session).cte("line", recursive=True)
    line = line.union(select(Session.id, Session.parent_id).join(line, Session.id == line.c.parent_id))
    return connection.execute(select(line.c.id).where(line.c.id == ancestor)).first() is not None


def touch(connection: Connection, key: SessionKey, **values: Any) -> int:
    """Write `values` to the session's row as one more revision of it, and return that."""
    revision = key.revision + 1
    values = {"updated_at": time.time(), **values, "revision": revision}
    connection.execute(_update(frozenset(values)), {"row_id": key.id, **values})
    return revision


@functools.cache  # every append runs this: building the statement takes longer than the statement
def _update(names: frozenset[str]) -> Update:
    return update(Session).where(Session.id == bindparam("row_id")).values({name: bindparam(name) for name in names})
