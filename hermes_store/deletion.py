"""Sessions: delete and restore, purge, and list what is deleted."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from typing import Final

from .arguments import check_flag
from .collection import Collection
from .pagination import check_limit
from .records import Page, SessionRecord
from .results import PurgeResult
from .storage import empty_sessions, session_keys, session_listing, session_records, session_rows
from .storage.list_filter import BLANK_SECONDS, ListFilter
from .storage.row_locks import Reserved, RowLock
from .storage.session_keys import SessionKey
from .storage.turns import Turns
from .storage.unit_of_work import UnitOfWork
from .validation import check_time, is_id

#: The most sessions that one transaction purges or deletes, and the most messages that it purges, unless one session
#: has more.
_BATCH: Final = 100
_MESSAGES: Final = 2_000


class Deletion(Collection):
    """The verbs of `Sessions` that delete, restore and purge."""

    def list_deleted(
        self, *, profile: str | None = None, limit: int = 50, after: str | None = None
    ) -> Page[SessionRecord]:
        """Return a page of the deleted sessions that can be restored, the last deleted first.

        Args:
            profile: only sessions of this profile; all when None.
            limit: the largest number of sessions to return, 1 to 1000.
            after: `Page.next` of the previous page.

        Raises:
            InvalidCursorError: `after` is not a cursor of this list.
            InvalidInputError: an argument is not valid.
        """
        with self._transactions.read() as unit:
            return session_listing.deleted_page(unit, self._own_profile(profile), limit, after)

    def delete(self, session_id: str) -> SessionRecord:
        """Delete a session, and return it. Lists do not show it and writes to it are refused, until it is restored.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `get`.
        """
        with self._transactions.write() as unit:
            key = self._lock(unit, session_id)
            _mark_deleted(unit, key)
            return session_records.get_existing(unit, key.session_id)

    def restore(self, session_id: str) -> SessionRecord:
        """Restore a deleted session with everything in it, and return it. One that is not deleted is not changed.

        Raises:
            SessionNotFoundError: no session has this id (in this profile), or it was purged.
        """
        with self._transactions.write() as unit:
            key = session_keys.find(unit, session_id, self._scope, lock=RowLock.CHANGE)
            if key.deleted_at is not None:
                session_rows.change(unit, key, {"deleted_at": None}, fields=True, touch=False)
            return session_records.get_existing(unit, key.session_id)

    def purge(self, session_id: str) -> PurgeResult:
        """Permanently remove a session, deleted or not, with its messages and documents. Its id is not used again.

        Its text is overwritten in the database's file. `PurgeResult.erased` says whether any text is left in SQLite's
        log.

        Raises:
            SessionNotFoundError: no session has this id (in this profile).
        """
        with self._transactions.write() as unit:
            unit.reserve(Reserved.SESSIONS)
            key = session_keys.find(unit, session_id, self._scope, lock=RowLock.REMOVE)
            session_rows.purge(unit, key)
            unit.erase()
        return _result([key], erased=unit.is_erased)

    def purge_deleted(self, *, older_than: float, profile: str | None = None, limit: int | None = None) -> PurgeResult:
        """Purge the sessions that were deleted some time ago, the first deleted first, in several short transactions.

        After an error, the sessions of the transactions before it are purged.

        Args:
            older_than: seconds; sessions that were deleted more recently are kept.
            profile: only sessions of this profile; all when None.
            limit: the largest number of sessions to purge, 1 to 1000; no limit when None.

        Raises:
            InvalidInputError: an argument is not valid.
        """
        profile = self._own_profile(profile)
        until = time.time() - check_time(older_than)
        left = math.inf if limit is None else check_limit(limit)
        purged: list[SessionKey] = []
        turns = Turns(self._transactions)
        while True:
            turns.wait()
            with self._transactions.write() as unit:
                unit.reserve(Reserved.SESSIONS)
                found = session_keys.find_deleted(unit, until, profile, limit=int(min(_BATCH, left)))
                batch = _first(found)
                for key in batch:
                    session_rows.purge(unit, key)
                left -= len(batch)
                is_last = not batch or left <= 0
                unit.erase(words=is_last)
            purged += batch
            if is_last:
                return _result(purged, erased=unit.is_erased)

    def delete_inactive(
        self, *, older_than: float, keep_pinned: bool = False, profile: str | None = None
    ) -> Sequence[str]:
        """Delete the sessions whose last activity was some time ago, in several short transactions; return their ids.

        The last activity is the time by which `list` sorts with ``order="activity"``: `last_activity_at`, or
        `updated_at` where that is None. Blank sessions are deleted as well. A session with a running stream is kept if
        its last write is more recent. Sessions that another writer has locked are kept. After an error, the sessions of
        the transactions before it are deleted.

        Args:
            older_than: seconds; sessions with a more recent activity are kept.
            keep_pinned: keep all pinned sessions.
            profile: only sessions of this profile; all when None.

        Raises:
            InvalidInputError: an argument is not valid.
        """
        until = time.time() - check_time(older_than)
        pinned = False if check_flag("keep_pinned", keep_pinned) else None
        wanted = ListFilter(
            profile=self._own_profile(profile), pinned=pinned, order="activity", until=until, include_empty=True
        )
        done: list[str] = []
        after: str | None = None
        turns = Turns(self._transactions)
        while True:
            turns.wait()
            with self._transactions.write() as unit:
                page = session_listing.list_page(unit, wanted, _BATCH, after)
                done += [one.session_id for one in page.items if _delete_inactive(unit, one.session_id, wanted)]
            after = page.next
            if after is None:
                return done

    def delete_empty(
        self, *, profile: str | None = None, untitled_only: bool = True, older_than: float = BLANK_SECONDS
    ) -> Sequence[str]:
        """Delete the sessions without messages and drafts, and return their ids.

        Sessions that another writer has locked are kept.

        Args:
            profile: only sessions of this profile; all when None.
            untitled_only: keep sessions that have a title or a running stream.
            older_than: seconds; sessions with a more recent write are kept. A minute by default.

        Raises:
            InvalidInputError: an argument is not valid.
        """
        check_flag("untitled_only", untitled_only)
        profile = self._own_profile(profile)
        until = time.time() - check_time(older_than)
        with self._transactions.write() as unit:
            return empty_sessions.delete_empty(unit, until=until, profile=profile, untitled_only=untitled_only)


def is_inactive(session: SessionRecord, until: float) -> bool:
    """Whether the last activity of a session was before a time, and no stream writes to it."""
    last = session.updated_at if session.last_activity_at is None else session.last_activity_at
    return last < until and (session.active_stream_id is None or session.updated_at < until)


def _delete_inactive(unit: UnitOfWork, session_id: str, wanted: ListFilter) -> bool:
    """Delete a session that was listed; return whether it was, as others may have written to it meanwhile."""
    if not is_id(session_id):  # its row is damaged
        return False
    key = session_keys.find_if_free(unit, session_id)
    if key is None or key.deleted_at is not None or wanted.profile not in (None, key.profile):
        return False
    session = session_records.get_existing(unit, key.session_id)
    if not is_inactive(session, wanted.until or -math.inf) or (wanted.pinned is False and session.pinned):
        return False
    _mark_deleted(unit, key)
    return True


def _mark_deleted(unit: UnitOfWork, key: SessionKey) -> None:
    # Not before its last write, or it would be purged too early where the clock was set back.
    session_rows.change(unit, key, {"deleted_at": session_rows.next_time(key)}, fields=True, touch=False)


def _first(keys: Sequence[SessionKey]) -> list[SessionKey]:
    """Return the first of some sessions, as many as one transaction purges."""
    messages = list(itertools.accumulate(key.message_count for key in keys))
    return [key for key, total in zip(keys, messages, strict=True) if key is keys[0] or total <= _MESSAGES]


def _result(keys: Sequence[SessionKey], *, erased: bool) -> PurgeResult:
    return PurgeResult(
        session_ids=[key.session_id for key in keys],
        messages=sum(key.message_count for key in keys),
        erased=erased,
    )
