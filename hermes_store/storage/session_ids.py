"""The ids of sessions, and how many there are."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import bindparam, func, select

from ..results import StoreStats
from . import cut_rows, project_rows
from .schema import DELETED, NOT_STAGED, session_table
from .statement import Statement, one_of
from .types import TextList
from .unit_of_work import DRIVER_ERRORS, UnitOfWork


@functools.cache
def _find_prefix(deleted: bool | None, of_profile: bool) -> Statement:
    statement = select(session_table.c.session_id).where(
        session_table.c.session_id >= bindparam("prefix"), session_table.c.session_id < bindparam("end")
    )
    if deleted is not None:
        statement = statement.where(
            session_table.c.deleted_at.is_not(None) if deleted else session_table.c.deleted_at.is_(None)
        )
    if of_profile:
        statement = statement.where(session_table.c.profile == bindparam("of_profile"))
    return Statement(statement.order_by(session_table.c.session_id).limit(bindparam("page_limit")))


def find_prefix(unit: UnitOfWork, prefix: str, profile: str | None, limit: int, *, deleted: bool | None) -> list[str]:
    """Return at most `limit` ids of sessions that begin with a text, in order.

    Args:
        deleted: only those that are (True) or are not (False) deleted; None: both.
    """
    parameters: dict[str, Any] = {"prefix": prefix, "end": f"{prefix}\x7f", "page_limit": limit}
    if profile is not None:
        parameters["of_profile"] = profile
    return unit.values(_find_prefix(deleted, profile is not None), parameters)


_all_ids: Final = select(session_table.c.session_id).where(session_table.c.deleted_at.is_(None), NOT_STAGED)
_ids: Final = Statement(_all_ids.order_by(session_table.c.session_id))
_ids_of_profiles: Final = Statement(
    _all_ids.where(one_of(session_table.c.profile, bindparam("profiles", type_=TextList))).order_by(
        session_table.c.session_id
    )
)
_children: Final = Statement(
    _all_ids.where(session_table.c.parent_id == bindparam("parent")).order_by(session_table.c.id)
)


def ids(unit: UnitOfWork, profiles: Sequence[str] | None) -> list[str]:
    """Return the public ids of all sessions that are not deleted, of some profiles (all when None), in order."""
    return unit.values(_ids) if profiles is None else unit.values(_ids_of_profiles, {"profiles": list(profiles)})


def children(unit: UnitOfWork, parent: int) -> list[str]:
    """Return the public ids of the sessions that were forked from one, given by row id; the oldest row first."""
    return unit.values(_children, {"parent": parent})


_live_rows: Final = Statement(
    select(session_table.c.id)
    .where(session_table.c.deleted_at.is_(None), NOT_STAGED)
    .order_by(session_table.c.updated_at.desc(), session_table.c.id.desc())
)
#: The index of the public ids has the row ids, too, so this reads no row.
_indexed_rows: Final = Statement(select(session_table.c.id).where(NOT_STAGED).order_by(session_table.c.session_id))


def live_rows(unit: UnitOfWork) -> list[int]:
    """Return the row ids of all sessions that are not deleted, the last changed first.

    If the database cannot read all their rows because it is damaged, the row ids of all sessions are returned.
    """
    try:
        return unit.values(_live_rows)
    except DRIVER_ERRORS as error:
        if not unit.is_damage(error):
            raise
        return unit.values(_indexed_rows)


_ALL: Final = func.count()
_totals: Final = select(_ALL, func.coalesce(func.sum(session_table.c.message_count), 0)).where(
    session_table.c.deleted_at.is_(None), NOT_STAGED
)
_deleted_total: Final = select(_ALL).select_from(session_table).where(DELETED)
_of_profile: Final = session_table.c.profile == bindparam("of_profile")
_stats: Final = {
    False: (Statement(_totals), Statement(_deleted_total)),
    True: (Statement(_totals.where(_of_profile)), Statement(_deleted_total.where(_of_profile))),
}


def stats(unit: UnitOfWork, profile: str | None) -> StoreStats:
    """Return how much a profile (all when None) holds."""
    parameters = {} if profile is None else {"of_profile": profile}
    totals, deleted = _stats[profile is not None]
    [(sessions, messages)] = unit.rows(totals, parameters)
    return StoreStats(
        sessions=sessions,
        messages=int(messages or 0),  # a sum of damaged values is no number
        deleted=unit.value(deleted, parameters),
        projects=project_rows.count(unit, profile),
        **cut_rows.totals(unit, profile),
    )
