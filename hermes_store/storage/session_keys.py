"""Finding sessions: their keys, which every write needs, by their public ids, row ids, or former ids."""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, or_, select

from ..errors import DatabaseCorruptError, SessionDeletedError, SessionNotFoundError
from ..validation import MAX_INT, check_id
from .row_locks import RowLock, lockable, with_lock
from .row_types import Row
from .schema import DELETED, STAGED_PREFIX, retired_id_table, session_table
from .statement import Statement, one_of
from .types import IdList
from .unit_of_work import UnitOfWork


class SessionKey(NamedTuple):
    """The part of a session's row that every write needs."""

    id: int
    session_id: str
    profile: str
    revision: int
    transcript_revision: int
    fields_revision: int
    message_count: int
    user_message_count: int
    last_message_at: float | None
    last_activity_at: float | None
    updated_at: float
    deleted_at: float | None


def key_of(row: Row) -> SessionKey:
    """Return the key in a row of `KEY`.

    Every write sets `transcript_revision` or `fields_revision` to the session's revision, except those of the first
    release, which does not know them. It goes on writing when it has the database open during an upgrade. What it
    changed is not known then, so that everything counts as changed.
    """
    key = SessionKey._make(row)
    if key.revision > key.transcript_revision and key.revision > key.fields_revision:
        return key._replace(transcript_revision=key.revision, fields_revision=key.revision)
    return key


#: The query for keys; its rows are the values of a `SessionKey`.
KEY: Final = select(*(session_table.c[name] for name in SessionKey._fields))
_by_id: Final = KEY.where(session_table.c.session_id == bindparam("session_id"))
_find: Final = lockable(_by_id)
_find_row: Final = lockable(KEY.where(session_table.c.id == bindparam("row_id")))


def find(unit: UnitOfWork, session_id: str, profile: str | None, *, lock: RowLock | None = None) -> SessionKey:
    """Return a session, deleted or not.

    Args:
        profile: the profile that it has to be of; any when None.
        lock: what others cannot do to its row until the transaction ends.

    Raises:
        SessionNotFoundError: there is none, or it belongs to another profile.
    """
    session_id = check_id(session_id, "session id")
    row = unit.row(_find[lock], {"session_id": session_id})
    if row is not None and profile in (None, row[2]):
        return key_of(row) if lock in (None, RowLock.LINK) else locked(key_of(row))
    if row is None and (successor := successor_of(unit, session_id, profile)):
        raise SessionNotFoundError(session_id, f"Session {session_id!r} is now called {successor!r}.")
    raise SessionNotFoundError(session_id)


def locked(key: SessionKey) -> SessionKey:
    """Return a session that can be written to: one more revision of it has a number."""
    if key.revision >= MAX_INT:
        raise DatabaseCorruptError(
            f"The revision of session {key.session_id!r} is damaged in the database: there is none after it. Nothing "
            "was written; restore a backup."
        )
    return key


def find_live(unit: UnitOfWork, session_id: str, profile: str | None, *, lock: RowLock | None = None) -> SessionKey:
    """Return a session that is not deleted; as `find`.

    Raises:
        SessionNotFoundError: as `find`.
        SessionDeletedError: it is deleted.
    """
    key = find(unit, session_id, profile, lock=lock)
    if key.deleted_at is not None:
        raise SessionDeletedError(key.session_id)
    return key


_find_if_free: Final = Statement(_by_id.with_for_update(key_share=True, skip_locked=True))


def find_if_free(unit: UnitOfWork, session_id: str) -> SessionKey | None:
    """Return a session whose row nobody else has locked, and lock it to change it; else None."""
    row = unit.row(_find_if_free, {"session_id": session_id})
    return None if row is None else key_of(row)


_is_live: Final = Statement(
    select(session_table.c.profile).where(
        session_table.c.session_id == bindparam("session_id"), session_table.c.deleted_at.is_(None)
    )
)


def exists(unit: UnitOfWork, session_id: str, profile: str | None) -> bool:
    """Whether there is a session that is not deleted, of a profile (any when None)."""
    row = unit.row(_is_live, {"session_id": session_id})
    return row is not None and profile in (None, row[0])


_revision: Final = Statement(
    select(session_table.c.revision).where(
        session_table.c.session_id == bindparam("session_id"), session_table.c.deleted_at.is_(None)
    )
)


def current_revision(unit: UnitOfWork, session_id: str) -> int | None:
    """Return the revision of a session; None when there is none, or it is deleted."""
    found: int | None = unit.value(_revision, {"session_id": session_id})
    return found


_revisions: Final = Statement(
    select(session_table.c.session_id, session_table.c.revision).where(
        one_of(session_table.c.session_id, bindparam("ids", type_=IdList)), session_table.c.deleted_at.is_(None)
    )
)


def current_revisions(unit: UnitOfWork, session_ids: Collection[str]) -> dict[str, int]:
    """Return the revisions of those of some sessions that exist and are not deleted, by id."""
    return {row[0]: row[1] for row in unit.rows(_revisions, {"ids": list(session_ids)})}


_lengths: Final = Statement(
    select(session_table.c.session_id, session_table.c.id, session_table.c.message_count).where(
        one_of(session_table.c.session_id, bindparam("ids", type_=IdList)), session_table.c.deleted_at.is_(None)
    )
)


class Length(NamedTuple):
    """How many messages a session has."""

    session_id: str
    row_id: int
    message_count: int


def lengths(unit: UnitOfWork, session_ids: Collection[str]) -> dict[str, Length]:
    """Return how many messages those of some sessions have that exist and are not deleted, by id."""
    return {row[0]: Length._make(row) for row in unit.rows(_lengths, {"ids": list(session_ids)})}


def find_row(unit: UnitOfWork, row_id: int, *, lock: RowLock | None = None) -> SessionKey | None:
    """Return the session that a row id was read of, deleted or not; None when there is none."""
    row = unit.row(_find_row[lock], {"row_id": row_id})
    if row is not None and not is_staged(row[1]):
        return key_of(row)
    successor = row_after(unit, row_id)
    return None if successor is None else find_row(unit, successor, lock=lock)


def is_staged(session_id: str) -> bool:
    """Whether a public id is that of a staged row, which is no session (see `staged_rows`)."""
    return session_id.startswith(STAGED_PREFIX)


@functools.cache
def _find_deleted(of_profile: bool, lock: bool) -> Statement:
    statement = KEY.where(DELETED, session_table.c.deleted_at <= bindparam("until"))
    if of_profile:
        statement = statement.where(session_table.c.profile == bindparam("of_profile"))
    statement = statement.order_by(session_table.c.deleted_at, session_table.c.id).limit(bindparam("some"))
    return Statement(with_lock(statement, RowLock.REMOVE) if lock else statement)


def find_deleted(
    unit: UnitOfWork, until: float, profile: str | None, *, limit: int, lock: bool = True
) -> list[SessionKey]:
    """Return at most `limit` sessions that were deleted at a time or before it, the first deleted first.

    Args:
        profile: only this profile's; all when None.
        lock: keep others from changing their rows until the transaction ends.
    """
    parameters: dict[str, Any] = {"until": until, "some": limit}
    if profile is not None:
        parameters["of_profile"] = profile
    return [key_of(row) for row in unit.rows(_find_deleted(profile is not None, lock), parameters)]


_former: Final = select(retired_id_table.c.successor_id).where(retired_id_table.c.session_id == bindparam("session_id"))
_successor: Final = Statement(_former)


def row_after(unit: UnitOfWork, row_id: int) -> int | None:
    """Return the row id of a session whose row this was until `exchange`; None for any other row id."""
    found: int | None = unit.value(_successor, {"session_id": former_row(row_id)})
    return found


def former_row(row_id: int) -> str:
    """Return what stands for a row id among the retired ids; no public id is like it."""
    return f"{STAGED_PREFIX}{row_id}"


_by_current_or_former: Final = KEY.where(
    or_(session_table.c.session_id == bindparam("session_id"), session_table.c.id == _former.scalar_subquery())
)
_find_current_or_former: Final = lockable(_by_current_or_former)


def find_current_or_former(unit: UnitOfWork, session_id: str, *, lock: RowLock | None = None) -> SessionKey | None:
    """Return the session that has an id, or that had it before it was renamed; deleted or not.

    Args:
        lock: as in `find`.
    """
    row = unit.row(_find_current_or_former[lock], {"session_id": session_id})
    return None if row is None else key_of(row)


_find_successor: Final = Statement(
    select(session_table.c.session_id, session_table.c.profile)
    .join(retired_id_table, retired_id_table.c.successor_id == session_table.c.id)
    .where(retired_id_table.c.session_id == bindparam("session_id"))
)


def successor_of(unit: UnitOfWork, session_id: str, profile: str | None) -> str | None:
    """Return the present id of the session of a profile (any when None) that had an id before; None without one."""
    row = unit.row(_find_successor, {"session_id": session_id})
    return row[0] if row is not None and profile in (None, row[1]) else None


_row_ids_of: Final = lockable(
    select(session_table.c.id)
    .where(session_table.c.session_id == bindparam("session_id"), session_table.c.profile == bindparam("profile"))
    .where(session_table.c.deleted_at.is_(None))
)


def find_link_target(unit: UnitOfWork, session_id: str, profile: str) -> int | None:
    """Return the row id of a profile's session that others may be linked to; None when there is none."""
    statement = _row_ids_of[RowLock.LINK if unit.writes else None]
    found: int | None = unit.value(statement, {"session_id": session_id, "profile": profile})
    return found


_current_among: Final = Statement(
    select(session_table.c.session_id, session_table.c.profile, session_table.c.id).where(
        one_of(session_table.c.session_id, bindparam("ids", type_=IdList))
    )
)
_former_among: Final = Statement(
    select(retired_id_table.c.session_id, session_table.c.profile, session_table.c.id)
    .join(session_table, session_table.c.id == retired_id_table.c.successor_id)
    .where(one_of(retired_id_table.c.session_id, bindparam("ids", type_=IdList)))
)


def find_link_targets(unit: UnitOfWork, session_ids: Collection[str]) -> dict[tuple[str, str], int]:
    """Return the row ids of the sessions that have, or had, some ids, by that id and the profile; deleted or not."""
    parameters = {"ids": list(session_ids)}
    rows = [*unit.rows(_former_among, parameters), *unit.rows(_current_among, parameters)]
    return {(row[0], row[1]): row[2] for row in rows}


def _ancestors() -> Statement:
    line = (
        select(session_table.c.id, session_table.c.parent_id)
        .where(session_table.c.id == bindparam("session"))
        .cte("line", recursive=True)
    )
    line = line.union(
        select(session_table.c.id, session_table.c.parent_id).join(line, session_table.c.id == line.c.parent_id)
    )
    return Statement(select(line.c.id).where(line.c.id == bindparam("ancestor")))


_ancestor: Final = _ancestors()


def descends(unit: UnitOfWork, session: int, ancestor: int) -> bool:
    """Whether a session is another one, or was forked from it, directly or not. Both are row ids."""
    return unit.row(_ancestor, {"session": session, "ancestor": ancestor}) is not None
