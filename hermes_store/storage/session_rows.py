"""The rows of sessions, and the ids that sessions had: the only writer of a session's row and of its revisions.

Each write counts `revision` up by one. `transcript_revision` and `fields_revision` are its value at the last change of
a message, and of anything else.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, delete, insert, literal_column, or_, select, update

from ..errors import DatabaseCorruptError, SessionDeletedError, SessionExistsError, SessionNotFoundError
from ..records import UNTITLED
from ..transcripts.encoding import LATEST
from ..validation import MAX_INT, check_id
from . import import_log
from .schema import BLANK, DELETED, EMPTY, STAGED_PREFIX, RetiredId, Session
from .statement import Statement, one_of
from .types import IdList, PublicId, RowIdList, TextList
from .unit_of_work import INTEGRITY_ERRORS, UnitOfWork


class SessionKey(NamedTuple):
    """The part of a session's row that every write needs."""

    id: int
    session_id: str
    profile: str
    revision: int
    transcript_revision: int
    fields_revision: int
    message_count: int
    last_message_at: float | None
    last_activity_at: float | None
    updated_at: float
    deleted_at: float | None


_key: Final = select(*(getattr(Session, name) for name in SessionKey._fields))
_by_id: Final = _key.where(Session.session_id == bindparam("session_id"))
_by_row: Final = _key.where(Session.id == bindparam("row_id"))
_find: Final = Statement(_by_id)
_find_and_lock: Final = Statement(_by_id.with_for_update())  # SQLite's write transactions hold the whole file anyway
_find_row: Final = Statement(_by_row)
_find_and_lock_row: Final = Statement(_by_row.with_for_update())


def find(unit: UnitOfWork, session_id: str, profile: str | None, *, lock: bool = False) -> SessionKey:
    """Return a session, deleted or not.

    Args:
        profile: the profile that it has to be of; any when None.
        lock: keep others from changing its row until the transaction ends.

    Raises:
        SessionNotFoundError: there is none, or it belongs to another profile.
    """
    session_id = check_id(session_id, "session id")
    row = unit.row(_find_and_lock if lock else _find, {"session_id": session_id})
    if row is not None and profile in (None, row[2]):
        return _locked(SessionKey._make(row)) if lock else SessionKey._make(row)
    if row is None and (successor := _successor(unit, session_id, profile)):
        raise SessionNotFoundError(session_id, f"Session {session_id!r} is now called {successor!r}.")
    raise SessionNotFoundError(session_id)


def _locked(key: SessionKey) -> SessionKey:
    """Return a session that can be written to: one more revision of it has a number."""
    if key.revision >= MAX_INT:
        raise DatabaseCorruptError(
            f"The revision of session {key.session_id!r} is damaged in the database: there is none after it. Nothing "
            "was written; restore a backup."
        )
    return key


def find_live(unit: UnitOfWork, session_id: str, profile: str | None, *, lock: bool = False) -> SessionKey:
    """Return a session that is not deleted; as `find`.

    Raises:
        SessionNotFoundError: as `find`.
        SessionDeletedError: it is deleted.
    """
    key = find(unit, session_id, profile, lock=lock)
    if key.deleted_at is not None:
        raise SessionDeletedError(key.session_id)
    return key


_is_live: Final = Statement(
    select(Session.profile).where(Session.session_id == bindparam("session_id"), Session.deleted_at.is_(None))
)


def exists(unit: UnitOfWork, session_id: str, profile: str | None) -> bool:
    """Whether there is a session that is not deleted, of a profile (any when None)."""
    row = unit.row(_is_live, {"session_id": session_id})
    return row is not None and profile in (None, row[0])


_revision: Final = Statement(
    select(Session.revision).where(Session.session_id == bindparam("session_id"), Session.deleted_at.is_(None))
)


def current_revision(unit: UnitOfWork, session_id: str) -> int | None:
    """Return the revision of a session; None when there is none, or it is deleted."""
    found: int | None = unit.value(_revision, {"session_id": session_id})
    return found


_revisions: Final = Statement(
    select(Session.session_id, Session.revision).where(
        one_of(Session.session_id, bindparam("ids", type_=IdList)), Session.deleted_at.is_(None)
    )
)


def current_revisions(unit: UnitOfWork, session_ids: Collection[str]) -> dict[str, int]:
    """Return the revisions of those of some sessions that exist and are not deleted, by id."""
    return {row[0]: row[1] for row in unit.rows(_revisions, {"ids": list(session_ids)})}


def find_row(unit: UnitOfWork, row_id: int, *, lock: bool = False) -> SessionKey | None:
    """Return the session that a row id was read of, deleted or not; None when there is none."""
    row = unit.row(_find_and_lock_row if lock else _find_row, {"row_id": row_id})
    if row is not None and not is_staged(row[1]):
        return SessionKey._make(row)
    successor = row_after(unit, row_id)
    return None if successor is None else find_row(unit, successor, lock=lock)


def is_staged(session_id: str) -> bool:
    """Whether a public id is that of a staged row, which is no session (see `staged_rows`)."""
    return session_id.startswith(STAGED_PREFIX)


def row_after(unit: UnitOfWork, row_id: int) -> int | None:
    """Return the row id of a session whose row this was until `exchange`; None for any other row id."""
    found: int | None = unit.value(_retired, {"session_id": _former_row(row_id)})
    return found


def _former_row(row_id: int) -> str:
    """Return what stands for a row id among the retired ids; no public id is like it."""
    return f"{STAGED_PREFIX}{row_id}"


_former: Final = select(RetiredId.successor_id).where(RetiredId.session_id == bindparam("session_id"))
_by_current_or_former: Final = _key.where(
    or_(Session.session_id == bindparam("session_id"), Session.id == _former.scalar_subquery())
)
_find_current_or_former: Final = Statement(_by_current_or_former)
_find_and_lock_current_or_former: Final = Statement(_by_current_or_former.with_for_update())


def find_current_or_former(unit: UnitOfWork, session_id: str, *, lock: bool = False) -> SessionKey | None:
    """Return the session that has an id, or that had it before it was renamed; deleted or not.

    Args:
        lock: keep others from changing its row until the transaction ends.
    """
    statement = _find_and_lock_current_or_former if lock else _find_current_or_former
    row = unit.row(statement, {"session_id": session_id})
    return None if row is None else SessionKey._make(row)


_find_successor: Final = Statement(
    select(Session.session_id, Session.profile)
    .join(RetiredId, RetiredId.successor_id == Session.id)
    .where(RetiredId.session_id == bindparam("session_id"))
)


def _successor(unit: UnitOfWork, session_id: str, profile: str | None) -> str | None:
    row = unit.row(_find_successor, {"session_id": session_id})
    return row[0] if row is not None and profile in (None, row[1]) else None


_row_ids_of: Final = Statement(
    select(Session.id)
    .where(Session.session_id == bindparam("session_id"), Session.profile == bindparam("profile"))
    .where(Session.deleted_at.is_(None))
)


def find_link_target(unit: UnitOfWork, session_id: str, profile: str) -> int | None:
    """Return the row id of a profile's session that others may be linked to; None when there is none."""
    found: int | None = unit.value(_row_ids_of, {"session_id": session_id, "profile": profile})
    return found


_holder: Final = Statement(
    select(Session.deleted_at, Session.profile).where(Session.session_id == bindparam("session_id"))
)
_retired: Final = Statement(select(RetiredId.successor_id).where(RetiredId.session_id == bindparam("session_id")))


def require_free(unit: UnitOfWork, session_id: str, profile: str | None = None) -> None:
    """Make sure that no session has, or ever had, this public id.

    Args:
        profile: the only one whose sessions the caller may learn about; all when None. Whatever another profile's
            session is (there, deleted, renamed or purged), the error is the same.

    Raises:
        SessionExistsError: one has it, or had it before it was renamed.
        SessionDeletedError: one had it, and is deleted or purged.
    """
    current = unit.row(_holder, {"session_id": session_id})
    if current is not None:
        deleted_at, owner = current
        if profile not in (None, owner):
            raise _not_free(session_id)
        raise (SessionExistsError(session_id) if deleted_at is None else SessionDeletedError(session_id))
    retired = unit.row(_retired, {"session_id": session_id})
    if retired is None:
        return
    if profile is not None and _successor(unit, session_id, profile) is None:
        raise _not_free(session_id)  # also if it was this profile's own: whose a purged id was is not kept
    if retired[0] is None:
        raise SessionDeletedError(
            session_id, f"Session {session_id!r} was purged; its id is not used again. Nothing was written."
        )
    raise SessionExistsError(
        session_id,
        f"{session_id!r} is the former id of another session, and never means a new one. Nothing was written.",
    )


def _not_free(session_id: str) -> SessionExistsError:
    return SessionExistsError(
        session_id, f"The id {session_id!r} is taken, or was used before. Nothing was written; choose another one."
    )


_deleted_at: Final = Statement(select(Session.deleted_at).where(Session.session_id == bindparam("session_id")))


def is_deleted(unit: UnitOfWork, session_id: str) -> bool:
    """Whether a session of this id was deleted or purged."""
    row = unit.row(_deleted_at, {"session_id": session_id})
    return is_purged(unit, session_id) if row is None else row[0] is not None


def is_purged(unit: UnitOfWork, session_id: str) -> bool:
    """Whether a session of this id was purged."""
    return unit.row(_retired, {"session_id": session_id}) == (None,)


_current_among: Final = Statement(
    select(Session.session_id, Session.profile, Session.id).where(
        one_of(Session.session_id, bindparam("ids", type_=IdList))
    )
)
_former_among: Final = Statement(
    select(RetiredId.session_id, Session.profile, Session.id)
    .join(Session, Session.id == RetiredId.successor_id)
    .where(one_of(RetiredId.session_id, bindparam("ids", type_=IdList)))
)


def find_link_targets(unit: UnitOfWork, session_ids: Collection[str]) -> dict[tuple[str, str], int]:
    """Return the row ids of the sessions that have, or had, some ids, by that id and the profile; deleted or not."""
    parameters = {"ids": list(session_ids)}
    rows = [*unit.rows(_former_among, parameters), *unit.rows(_current_among, parameters)]
    return {(row[0], row[1]): row[2] for row in rows}


_deleted_among: Final = Statement(
    select(Session.session_id)
    .where(one_of(Session.session_id, bindparam("ids", type_=IdList)))
    .where(Session.deleted_at.is_not(None))
)
_retired_among: Final = Statement(
    select(RetiredId.session_id).where(one_of(RetiredId.session_id, bindparam("ids", type_=IdList)))
)


def gone_among(unit: UnitOfWork, session_ids: Collection[str]) -> set[str]:
    """Return which of some ids are those of sessions that are deleted, purged or renamed."""
    parameters = {"ids": list(session_ids)}
    return {*unit.values(_deleted_among, parameters), *unit.values(_retired_among, parameters)}


_purged_among: Final = Statement(
    select(RetiredId.session_id)
    .where(one_of(RetiredId.session_id, bindparam("ids", type_=IdList)))
    .where(RetiredId.successor_id.is_(None))
)


def removed_among(unit: UnitOfWork, session_ids: Collection[str]) -> set[str]:
    """Return which of some ids are those of sessions that are deleted or purged."""
    parameters = {"ids": list(session_ids)}
    return {*unit.values(_deleted_among, parameters), *unit.values(_purged_among, parameters)}


def retire_unused(unit: UnitOfWork, session_ids: Collection[str]) -> set[str]:
    """Retire those of some ids that no session has or had, as if it was purged; return them.

    So an import of a session that was deleted elsewhere does not bring it here.
    """
    parameters = {"ids": list(session_ids)}
    used = {*unit.values(_retired_among, parameters), *(row[0] for row in unit.rows(_current_among, parameters))}
    retired = set(session_ids) - used
    for session_id in sorted(retired):
        # Another process may retire it, or create a session of that id, at this moment: then that is how it is.
        with contextlib.suppress(*INTEGRITY_ERRORS), unit.savepoint():
            _retire(unit, session_id, successor=None)
    return retired


def _ancestors() -> Statement:
    line = select(Session.id, Session.parent_id).where(Session.id == bindparam("session")).cte("line", recursive=True)
    line = line.union(select(Session.id, Session.parent_id).join(line, Session.id == line.c.parent_id))
    return Statement(select(line.c.id).where(line.c.id == bindparam("ancestor")))


_ancestor: Final = _ancestors()


def descends(unit: UnitOfWork, session: int, ancestor: int) -> bool:
    """Whether a session is another one, or was forked from it, directly or not. Both are row ids."""
    return unit.row(_ancestor, {"session": session, "ancestor": ancestor}) is not None


@functools.cache
def _insert(names: frozenset[str]) -> Statement:
    return Statement(insert(Session).values({name: bindparam(name) for name in sorted(names)}).returning(Session.id))


def add(unit: UnitOfWork, session_id: str, columns: Mapping[str, Any]) -> int:
    """Insert a session at revision 1, and return its row id.

    Args:
        columns: by the names of the table's columns; what is left out has the table's default.

    Raises:
        SessionExistsError: another session has the id.
    """
    values = _sorted_by_activity({**columns, "session_id": session_id})
    try:
        row_id: int = unit.value(_insert(frozenset(values)), values)
    except INTEGRITY_ERRORS as error:
        # Another process may have taken the id since it was found to be free; nobody knows in which profile.
        if unit.violates_unique(error, "sessions", "session_id"):
            raise _not_free(session_id) from error
        raise
    return row_id


def _sorted_by_activity(values: dict[str, Any], key: SessionKey | None = None) -> dict[str, Any]:
    """Return the values to write with `activity_at`, if they change it; `key` is the session that has the others."""
    names = ("last_activity_at", "updated_at")
    if not values.keys().isdisjoint(names):
        last, updated = (values.get(name, getattr(key, name, None)) for name in names)
        values["activity_at"] = updated if last is None else last
    return values


_COPIED: Final = sorted(
    {column.key for column in Session.__table__.columns}
    - {"id", "session_id", "revision", "transcript_revision", "fields_revision", "deleted_at"}
)
_copy: Final = Statement(
    insert(Session)
    .from_select(
        ["session_id", *_COPIED],
        select(bindparam("new_id", type_=PublicId), *(getattr(Session, name) for name in _COPIED)).where(
            Session.id == bindparam("row_id")
        ),
    )
    .returning(Session.id)
)


def copy(unit: UnitOfWork, key: SessionKey, new_id: str) -> int:
    """Insert a session with another one's columns at revision 1, and return its row id.

    Raises:
        SessionExistsError, SessionDeletedError: the new id is, or was, another session's.
    """
    require_free(unit, new_id)
    try:
        row_id: int = unit.value(_copy, {"new_id": new_id, "row_id": key.id})
    except INTEGRITY_ERRORS as error:
        if unit.violates_unique(error, "sessions", "session_id"):
            raise _not_free(new_id) from error
        raise
    return row_id


# Building a statement takes longer than running it, and there are a few dozen combinations of columns.
@functools.cache
def _update(names: frozenset[str]) -> Statement:
    statement = update(Session).where(Session.id == bindparam("row_id"))
    return Statement(statement.values({name: bindparam(name) for name in sorted(names)}))


def change(
    unit: UnitOfWork,
    key: SessionKey,
    values: Mapping[str, Any],
    *,
    transcript: bool = False,
    fields: bool = False,
    touch: bool = True,
) -> int:
    """Write columns of a session's row as one more revision of it, and return that.

    Args:
        values: by the names of the table's columns.
        transcript: messages were written.
        fields: something else was written.
        touch: `updated_at` is now, or stays as it is if that is later, unless it is among the values.

    Raises:
        DatabaseCorruptError: the row is damaged, or was lost meanwhile.
    """
    revision = _locked(key).revision + 1
    written: dict[str, Any] = {"updated_at": next_time(key), **values} if touch else dict(values)
    written["revision"] = revision
    if transcript:
        written["transcript_revision"] = revision
    if fields:
        written["fields_revision"] = revision
    written = _sorted_by_activity(written, key)
    if unit.execute(_update(frozenset(written)), {"row_id": key.id, **written}) != 1:
        raise DatabaseCorruptError(
            f"The row of session {key.session_id!r} was read and cannot be written: the database is damaged. Nothing "
            "was written; check it with SQLite's PRAGMA integrity_check, and restore a backup."
        )
    return revision


def next_time(key: SessionKey) -> float:
    """Return the time of a write to a session now: never before its last one, also if the clock was set back.

    (A time after 2100 is not believed, here as elsewhere: such a session would be the first in lists for ever.)
    """
    now = time.time()
    return max(now, key.updated_at) if key.updated_at <= LATEST else now


_reclaim_id: Final = Statement(
    delete(RetiredId).where(RetiredId.session_id == bindparam("id"), RetiredId.successor_id == bindparam("row_id"))
)
_retire_id: Final = Statement(
    insert(RetiredId).values(
        session_id=bindparam("session_id"), successor_id=bindparam("successor_id"), retired_at=bindparam("retired_at")
    )
)


def rename(unit: UnitOfWork, key: SessionKey, new_id: str, profile: str | None = None) -> int:
    """Give a session another public id, retire the one it had, and return the session's revision.

    Args:
        profile: as in `require_free`.

    Raises:
        SessionExistsError, SessionDeletedError: the new id is, or was, another session's.
    """
    unit.execute(_reclaim_id, {"id": new_id, "row_id": key.id})  # it may go back to an id that was its own
    require_free(unit, new_id, profile)
    try:
        revision = change(unit, key, {"session_id": new_id}, fields=True)
    except INTEGRITY_ERRORS as error:
        if unit.violates_unique(error, "sessions", "session_id"):
            raise _not_free(new_id) from error
        raise
    _retire(unit, key.session_id, successor=key.id)
    import_log.carry_forward(unit, key.id, key.revision, revision)
    return revision


def _retire(unit: UnitOfWork, session_id: str, successor: int | None) -> None:
    unit.execute(_retire_id, {"session_id": session_id, "successor_id": successor, "retired_at": time.time()})


_delete: Final = Statement(delete(Session).where(Session.id == bindparam("row_id")))


@functools.cache
def _find_deleted(of_profile: bool, lock: bool) -> Statement:
    statement = _key.where(DELETED, Session.deleted_at <= bindparam("until"))
    if of_profile:
        statement = statement.where(Session.profile == bindparam("of_profile"))
    statement = statement.order_by(Session.deleted_at, Session.id).limit(bindparam("some"))
    return Statement(statement.with_for_update() if lock else statement)


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
    return [SessionKey._make(row) for row in unit.rows(_find_deleted(profile is not None, lock), parameters)]


def purge(unit: UnitOfWork, key: SessionKey) -> None:
    """Remove a session with everything that belongs to it, and retire its id."""
    import_log.forget_notes(unit, key.id)
    unit.execute(_delete, {"row_id": key.id})
    _retire(unit, key.session_id, successor=None)


def remove_row(unit: UnitOfWork, row_id: int) -> None:
    """Remove a row that is no session, with what belongs to it."""
    unit.execute(_delete, {"row_id": row_id})


def write_row(unit: UnitOfWork, row_id: int, values: Mapping[str, Any]) -> bool:
    """Write columns of a row that is no session, or not yet; return whether there is such a row.

    Raises:
        SessionExistsError: they give it the id of another session.
    """
    written = _sorted_by_activity(dict(values))
    try:
        return unit.execute(_update(frozenset(written)), {"row_id": row_id, **written}) == 1
    except INTEGRITY_ERRORS as error:
        if unit.violates_unique(error, "sessions", "session_id"):
            raise SessionExistsError(values["session_id"]) from error
        raise


_move_children: Final = Statement(
    update(Session).where(Session.parent_id == bindparam("before")).values(parent_id=bindparam("after"))
)
_move_former_ids: Final = Statement(
    update(RetiredId).where(RetiredId.successor_id == bindparam("before")).values(successor_id=bindparam("after"))
)


def move_links(unit: UnitOfWork, before: int, after: int) -> None:
    """Let what refers to a row refer to the one that has its session now, and let `find_row` find that."""
    for statement in (_move_children, _move_former_ids):
        unit.execute(statement, {"before": before, "after": after})
    _retire(unit, _former_row(before), successor=after)
    import_log.move(unit, before, after)


def _next_revision(**values: Any) -> dict[str, Any]:
    return {"revision": Session.revision + 1, "fields_revision": Session.revision + 1, **values}


_release_children: Final = Statement(
    update(Session).where(Session.parent_id == bindparam("parent")).values(_next_revision(parent_id=None))
)


def release_children(unit: UnitOfWork, key: SessionKey) -> None:
    """Unlink the sessions that were forked from one which moves to another profile.

    They count as imported as before: an import that finds the link's other end links them again.
    """
    import_log.carry_forward_children(unit, key.id)
    unit.execute(_release_children, {"parent": key.id})


_some_members: Final = select(Session.id).where(Session.project_id == bindparam("project")).limit(bindparam("some"))
_release_some: Final = Statement(
    update(Session).where(Session.id.in_(_some_members)).values(_next_revision(project_id=None))
)


def release_members(unit: UnitOfWork, project: int, limit: int) -> int:
    """Take at most `limit` sessions out of a project, and return how many."""
    return unit.execute(_release_some, {"project": project, "some": limit})


_release_rows: Final = Statement(
    update(Session)
    .where(one_of(Session.id, bindparam("rows", type_=RowIdList)))
    .values(_next_revision(project_id=None))
)


def release_rows(unit: UnitOfWork, rows: Collection[int]) -> int:
    """Take sessions, by row id, out of their project, and return how many."""
    return unit.execute(_release_rows, {"rows": list(rows)}) if rows else 0


#: Seconds by which a clock may be ahead. A blank session that was written to later than that counts as old.
AHEAD_SECONDS: Final = 3600.0


@functools.cache
def _delete_empty(untitled_only: bool, of_profile: bool, with_streams: bool) -> Statement:
    conditions = [BLANK if untitled_only and not with_streams else EMPTY]
    if untitled_only:
        conditions.append(Session.title == literal_column(f"'{UNTITLED}'"))
    if of_profile:
        conditions.append(Session.profile == bindparam("of_profile"))
    if with_streams:
        stale = ~one_of(Session.active_stream_id, bindparam("streams", type_=TextList))
        conditions.append(or_(Session.active_stream_id.is_(None), stale))
    conditions.append(or_(Session.updated_at <= bindparam("until"), Session.updated_at > bindparam("ahead")))
    conditions.append(~one_of(Session.session_id, bindparam("keep", type_=IdList)))
    statement = update(Session).where(*conditions)
    return Statement(statement.values(_next_revision(deleted_at=bindparam("now"))).returning(Session.session_id))


def delete_empty(
    unit: UnitOfWork,
    *,
    until: float,
    profile: str | None = None,
    untitled_only: bool = True,
    streams: Collection[str] | None = None,
    keep: Collection[str] = (),
) -> list[str]:
    """Delete the sessions without messages and drafts, and return their ids.

    Args:
        until: leave those written to after this time, unless it is later than any clock can be.
        profile: only this profile's; all when None.
        untitled_only: leave those that have a title.
        streams: the ids of the streams that are running: a session with another one counts as having none. When None,
            every session with a stream is left if `untitled_only`.
        keep: public ids of sessions to leave.
    """
    now = time.time()
    parameters: dict[str, Any] = {"until": until, "ahead": now + AHEAD_SECONDS, "now": now, "keep": list(keep)}
    if profile is not None:
        parameters["of_profile"] = profile
    if streams is not None:
        parameters["streams"] = sorted(streams)
    statement = _delete_empty(untitled_only, profile is not None, streams is not None)
    return sorted(unit.values(statement, parameters))
