"""Giving a session another id while a live session, which others use, has the old one."""

from __future__ import annotations

import logging

from ..errors import ConflictError, InvalidIdError, NotFoundError, SessionExistsError
from ..storage import retired_ids
from ..store import Store
from .cache import LiveSessions
from .session import LiveSession

logger = logging.getLogger("hermes_store.webui")


def rotate(store: Store, cache: LiveSessions, old: str, new: str) -> bool:
    """Give a session, and its live session, another id; return whether they have it now.

    When the new id is another session's, nothing changes, and the log says so.

    Args:
        old, new: what can be ids.
    """
    live = cache.get(old)
    if not isinstance(live, LiveSession):
        return _rotate(store, cache, old, new, None)
    with live.exclusive():  # else a save in between would write under the old id
        return _rotate(store, cache, old, new, live)


def _rotate(store: Store, cache: LiveSessions, old: str, new: str, live: LiveSession | None) -> bool:
    revision = None
    try:
        rival = cache.get(new)
        if isinstance(rival, LiveSession) and rival is not live and rival.is_new:
            raise SessionExistsError(new)
        if live is not None and live.is_new:
            with store.database.read() as unit:
                retired_ids.require_free(unit, new)
        else:
            revision = store.sessions.change_id(old, new).revision
    except (NotFoundError, InvalidIdError):
        return False
    except ConflictError as error:
        logger.warning("Session %s keeps its id: %s", old, error)
        return False
    cache.move(old, new)
    if live is not None:
        live.renamed(new, revision)
    return True
