"""Sessions: delete and restore, purge, and list what is deleted."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from typing import Final

from .collection import Collection
from .pagination import check_limit
from .records import Page, PurgeResult, SessionRecord
from .storage import session_keys, session_listing, session_rows
from .storage.list_filter import BLANK_SECONDS
from .storage.session_keys import SessionKey
from .validation import check_flag, check_time

#: The most sessions that one transaction purges, and the most messages, unless one session has more.
_BATCH: Final = 100
_MESSAGES: Final = 2_000


class Deletion(Collection):
    """The verbs of `Sessions` that delete, and those for what is deleted."""

    def list_deleted(
        self, *, profile: str | None = None, limit: int = 50, after: str | None = None
    ) -> Page[SessionRecord]:
        """Return a page of the deleted sessions that can be restored, the last deleted first."""
        with self._transactions.read() as unit:
            return session_listing.deleted_page(unit, self._own_profile(profile), limit, after)

    def delete(self, session_id: str) -> SessionRecord:
        """Delete a session, and return it. It leaves every list and refuses every write until it is restored.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `get`.
        """
        with self._transactions.write() as unit:
            key = self._lock(unit, session_id)
            session_rows.change(unit, key, {"deleted_at": time.time()}, fields=True, touch=False)
            return session_listing.get_existing(unit, key.session_id)

    def restore(self, session_id: str) -> SessionRecord:
        """Restore a deleted session with everything in it. One that is not deleted is not changed.

        Raises:
            SessionNotFoundError: there is none of this id (any more).
        """
        with self._transactions.write() as unit:
            key = session_keys.find(unit, session_id, self._scope, lock=True)
            if key.deleted_at is not None:
                session_rows.change(unit, key, {"deleted_at": None}, fields=True, touch=False)
            return session_listing.get_existing(unit, key.session_id)

    def purge(self, session_id: str) -> PurgeResult:
        """Remove a session, deleted or not, for good, with its messages and documents. Its id is not used again.

        Its text is overwritten in the database's file; `PurgeResult.erased` tells whether any is left in SQLite's log.

        Raises:
            SessionNotFoundError: there is none of this id.
        """
        with self._transactions.write() as unit:
            key = session_keys.find(unit, session_id, self._scope, lock=True)
            session_rows.purge(unit, key)
            unit.erase()
        return _result([key], erased=unit.is_erased)

    def purge_deleted(self, *, older_than: float, profile: str | None = None, limit: int | None = None) -> PurgeResult:
        """Purge the sessions that were deleted some time ago, in several short transactions.

        Those that were deleted first are purged first. An error leaves those purged that were purged before it.

        Args:
            older_than: seconds; keep sessions that were deleted more recently.
            profile: only this profile's; all when None.
            limit: the largest number of sessions to purge, 1 to 1000; no limit when None.

        Raises:
            InvalidInputError: an argument is not valid.
        """
        profile = self._own_profile(profile)
        until = time.time() - check_time(older_than)
        left = math.inf if limit is None else check_limit(limit)
        purged: list[SessionKey] = []
        while True:
            with self._transactions.write() as unit:
                found = session_rows.find_deleted(unit, until, profile, limit=int(min(_BATCH, left)))
                batch = _first(found)
                for key in batch:
                    session_rows.purge(unit, key)
                unit.erase()
            purged += batch
            left -= len(batch)
            if not batch or left <= 0:
                return _result(purged, erased=unit.is_erased)

    def delete_empty(
        self, *, profile: str | None = None, untitled_only: bool = True, older_than: float = BLANK_SECONDS
    ) -> Sequence[str]:
        """Delete the sessions without messages, and return their ids.

        Args:
            profile: only this profile's; all when None.
            untitled_only: keep sessions that have a title, or a running stream.
            older_than: seconds; keep sessions that were written to more recently.

        Raises:
            InvalidInputError: an argument is not valid.
        """
        check_flag("untitled_only", untitled_only)
        profile = self._own_profile(profile)
        until = time.time() - check_time(older_than)
        with self._transactions.write() as unit:
            return session_rows.delete_empty(unit, until=until, profile=profile, untitled_only=untitled_only)


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
