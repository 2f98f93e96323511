"""Purging deleted sessions together with the JSON files that they were imported from."""

from __future__ import annotations

import contextlib
import math
import os
import time
from typing import Final

from ..arguments import check_instance
from ..errors import SessionNotFoundError
from ..pagination import check_limit
from ..record_base import Record
from ..reports import FileRemoval
from ..results import PurgeResult
from ..storage import session_keys, session_rows
from ..storage.row_locks import Reserved, RowLock
from ..storage.session_keys import SessionKey
from ..storage.turns import Turns
from ..store import Store
from ..validation import check_profile, check_time
from .removing import remove_imported_files

#: The most sessions that one transaction purges.
_BATCH: Final = 20


class PurgeWithFiles(Record):
    """The result of purging sessions together with their files."""

    sessions: PurgeResult
    #: What became of each file.
    files: list[FileRemoval]


def purge_deleted_with_files(
    store: Store,
    *,
    older_than: float,
    profile: str | None = None,
    limit: int | None = None,
    sessions_folder: str | os.PathLike[str] | None = None,
) -> PurgeWithFiles:
    """Purge the sessions that were deleted some time ago, and remove the JSON files that they were imported from.

    Args:
        store: the store.
        older_than, profile, limit: as `Store.sessions.purge_deleted` takes them.
        sessions_folder: as `remove_imported_files` takes it, which says which files are kept.

    Raises:
        InvalidInputError: an argument is not valid.
        DatabaseError: the database failed. A session whose files were removed may still be in the store, deleted.
    """
    check_instance("store", store, Store)
    profile = None if profile is None else check_profile(profile)
    until = time.time() - check_time(older_than)
    left = math.inf if limit is None else check_limit(limit)
    purged: list[SessionKey] = []
    files: list[FileRemoval] = []
    erased = False
    turns = Turns(store.database)
    while left > 0:
        turns.wait()
        with store.database.read() as unit:
            found = session_keys.find_deleted(unit, until, profile, limit=int(min(_BATCH, left)), lock=False)
        if not found:
            break
        for key in found:
            with contextlib.suppress(SessionNotFoundError):  # another process purged it meanwhile
                files += remove_imported_files(store, key.session_id, sessions_folder=sessions_folder)
        batch, erased = _purge(store, found, until)
        purged += batch
        left -= len(batch)
    messages = sum(key.message_count for key in purged)
    ids = [key.session_id for key in purged]
    return PurgeWithFiles(sessions=PurgeResult(session_ids=ids, messages=messages, erased=erased), files=files)


def _purge(store: Store, found: list[SessionKey], until: float) -> tuple[list[SessionKey], bool]:
    """Purge those of some sessions that nobody restored meanwhile; return them, and whether they are erased."""
    purged = []
    with store.database.write() as unit:
        unit.reserve(Reserved.SESSIONS)
        for key in found:
            now = session_keys.find_row(unit, key.id, lock=RowLock.REMOVE)
            if now is not None and now.deleted_at is not None and now.deleted_at <= until:
                session_rows.purge(unit, now)
                purged.append(now)
        unit.erase()
    return purged, unit.is_erased
