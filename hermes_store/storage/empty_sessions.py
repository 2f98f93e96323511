"""The sessions without messages and drafts: finding them and deleting them."""

from __future__ import annotations

import functools
import time
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import bindparam, literal_column, or_, select

from ..records import UNTITLED
from . import session_rows
from .schema import BLANK, EMPTY, session_table
from .statement import Statement, one_of
from .types import IdList, TextList
from .unit_of_work import UnitOfWork

#: Seconds by which a clock may be ahead. A blank session that was written to later than that counts as old.
AHEAD_SECONDS: Final = 3600.0


@functools.cache
def _find_empty(untitled_only: bool, of_profile: bool, with_streams: bool) -> Statement:
    conditions = [BLANK if untitled_only and not with_streams else EMPTY]
    if untitled_only:
        conditions.append(session_table.c.title == literal_column(f"'{UNTITLED}'"))
    if of_profile:
        conditions.append(session_table.c.profile == bindparam("of_profile"))
    if with_streams:
        stale = ~one_of(session_table.c.active_stream_id, bindparam("streams", type_=TextList))
        conditions.append(or_(session_table.c.active_stream_id.is_(None), stale))
    conditions.append(
        or_(session_table.c.updated_at <= bindparam("until"), session_table.c.updated_at > bindparam("ahead"))
    )
    conditions.append(~one_of(session_table.c.session_id, bindparam("keep", type_=IdList)))
    return Statement(select(session_table.c.id).where(*conditions).with_for_update(key_share=True, skip_locked=True))


def delete_empty(
    unit: UnitOfWork,
    *,
    until: float,
    profile: str | None = None,
    untitled_only: bool = True,
    streams: Collection[str] | None = None,
    keep: Collection[str] = (),
) -> list[str]:
    """Delete the sessions without messages and drafts, but those that others have locked, and return their ids.

    Args:
        until: leave those written to after this time, unless it is later than any clock can be.
        profile: only this profile's; all when None.
        untitled_only: leave those that have a title.
        streams: the ids of the streams that are running: a session with another one counts as having none. When None,
            every session with a stream is left if `untitled_only`.
        keep: public ids of sessions to leave.
    """
    parameters: dict[str, Any] = {"until": until, "ahead": time.time() + AHEAD_SECONDS, "keep": list(keep)}
    if profile is not None:
        parameters["of_profile"] = profile
    if streams is not None:
        parameters["streams"] = sorted(streams)
    found = unit.values(_find_empty(untitled_only, profile is not None, streams is not None), parameters)
    return sorted(session_rows.mark_deleted(unit, found))
