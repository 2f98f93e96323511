"""The public ids that sessions had: an id that was used never means another session."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Final

from sqlalchemy import bindparam, delete, exists, insert, select, update

from ..errors import SessionDeletedError, SessionExistsError
from .schema import retired_id_table, session_table
from .session_keys import successor_of
from .statement import Statement, one_of
from .types import IdList
from .unit_of_work import UnitOfWork

_holder: Final = Statement(
    select(session_table.c.deleted_at, session_table.c.profile).where(
        session_table.c.session_id == bindparam("session_id")
    )
)
_retired: Final = Statement(
    select(retired_id_table.c.successor_id).where(retired_id_table.c.session_id == bindparam("session_id"))
)


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
            raise not_free(session_id)
        raise (SessionExistsError(session_id) if deleted_at is None else SessionDeletedError(session_id))
    retired = unit.row(_retired, {"session_id": session_id})
    if retired is None:
        return
    if profile is not None and successor_of(unit, session_id, profile) is None:
        raise not_free(session_id)  # also if it was this profile's own: whose a purged id was is not kept
    if retired[0] is None:
        raise SessionDeletedError(
            session_id, f"Session {session_id!r} was purged; its id is not used again. Nothing was written."
        )
    raise SessionExistsError(
        session_id,
        f"{session_id!r} is the former id of another session, and never means a new one. Nothing was written.",
    )


def not_free(session_id: str) -> SessionExistsError:
    """Return the error for an id that is taken, which does not say by whom."""
    return SessionExistsError(
        session_id, f"The id {session_id!r} is taken, or was used before. Nothing was written; choose another one."
    )


def confirm(unit: UnitOfWork, session_id: str) -> None:
    """Make sure that the id of a session that was just written was not retired since it was found to be free.

    Another transaction may have given it to a session, and purged or renamed that.

    Raises:
        SessionExistsError: it was.
    """

    def check() -> None:
        if unit.row(_retired, {"session_id": session_id}) is not None:
            raise not_free(session_id)

    unit.look_again(check)


def is_deleted(unit: UnitOfWork, session_id: str) -> bool:
    """Whether a session of this id was deleted or purged."""
    row = unit.row(_holder, {"session_id": session_id})
    return is_purged(unit, session_id) if row is None else row[0] is not None


def is_purged(unit: UnitOfWork, session_id: str) -> bool:
    """Whether a session of this id was purged."""
    return unit.row(_retired, {"session_id": session_id}) == (None,)


_deleted_among: Final = Statement(
    select(session_table.c.session_id)
    .where(one_of(session_table.c.session_id, bindparam("ids", type_=IdList)))
    .where(session_table.c.deleted_at.is_not(None))
)
_retired_among: Final = Statement(
    select(retired_id_table.c.session_id).where(one_of(retired_id_table.c.session_id, bindparam("ids", type_=IdList)))
)


def gone_among(unit: UnitOfWork, session_ids: Collection[str]) -> set[str]:
    """Return which of some ids are those of sessions that are deleted, purged or renamed."""
    parameters = {"ids": list(session_ids)}
    return {*unit.values(_deleted_among, parameters), *unit.values(_retired_among, parameters)}


_purged_among: Final = Statement(
    select(retired_id_table.c.session_id)
    .where(one_of(retired_id_table.c.session_id, bindparam("ids", type_=IdList)))
    .where(retired_id_table.c.successor_id.is_(None))
)


def removed_among(unit: UnitOfWork, session_ids: Collection[str]) -> set[str]:
    """Return which of some ids are those of sessions that are deleted or purged."""
    parameters = {"ids": list(session_ids)}
    return {*unit.values(_deleted_among, parameters), *unit.values(_purged_among, parameters)}


_current_among: Final = Statement(
    select(session_table.c.session_id).where(one_of(session_table.c.session_id, bindparam("ids", type_=IdList)))
)


def unused_among(unit: UnitOfWork, session_ids: Collection[str]) -> set[str]:
    """Return those of some ids that no session has or had."""
    parameters = {"ids": list(session_ids)}
    return set(session_ids) - {*unit.values(_retired_among, parameters), *unit.values(_current_among, parameters)}


_retire_id: Final = Statement(
    insert(retired_id_table).values(
        session_id=bindparam("session_id"), successor_id=bindparam("successor_id"), retired_at=bindparam("retired_at")
    )
)


def retire(unit: UnitOfWork, session_id: str, successor: int | None) -> None:
    """Retire an id: of the session with the row id `successor`, or of one that was purged."""
    unit.execute(_retire_id, {"session_id": session_id, "successor_id": successor, "retired_at": time.time()})


_reclaim: Final = Statement(
    delete(retired_id_table).where(
        retired_id_table.c.session_id == bindparam("id"), retired_id_table.c.successor_id == bindparam("row_id")
    )
)


def reclaim(unit: UnitOfWork, session_id: str, row_id: int) -> None:
    """Free an id that a session had before, so that it can have it again; do nothing for any other id."""
    unit.execute(_reclaim, {"id": session_id, "row_id": row_id})


_move: Final = Statement(
    update(retired_id_table)
    .where(retired_id_table.c.successor_id == bindparam("before"))
    .values(successor_id=bindparam("after"))
)


def move(unit: UnitOfWork, before: int, after: int) -> None:
    """Move the former ids of a session to the row that it moved to; both are row ids."""
    unit.execute(_move, {"before": before, "after": after})


_unlink: Final = Statement(
    update(retired_id_table)
    .where(
        retired_id_table.c.successor_id.is_not(None),
        ~exists().where(session_table.c.id == retired_id_table.c.successor_id),
    )
    .values(successor_id=None)
)


def unlink_missing(unit: UnitOfWork) -> int:
    """Treat the sessions of former ids that refer to missing rows as purged; return how many ids."""
    return unit.execute(_unlink)
