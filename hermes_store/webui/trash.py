"""How long sessions that were deleted in the WebUI can be restored."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ..errors import HermesStoreError, InvalidInputError
from ..files.purging import purge_deleted_with_files
from ..files.removing import remove_imported_files
from ..outcomes import RemovalOutcome
from ..quoting import number_of, quoted
from ..reports import FileRemoval
from ..store import Store

logger = logging.getLogger("hermes_store.webui")

_DAY: Final = 86_400.0
#: Seconds between two looks for what is to be purged.
_PAUSE: Final = 3_600.0
#: The most sessions that are purged at once. The next look purges more, without a pause.
_MOST: Final = 100
_LONGEST: Final = 36_500.0


class Trash:
    """Purges what was deleted long enough ago.

    Args:
        days: how long a deleted session can be restored. 0: it is purged at once; None: it is never purged.
        remove_files: also remove the JSON files that a purged session was imported from.
        session_dir: returns their folder, if there is one.
    """

    def __init__(self, days: float | None, *, remove_files: bool, session_dir: Callable[[], Path | None]) -> None:
        self._days = days
        self._remove_files = remove_files
        self._session_dir = session_dir
        self._next_look = 0.0

    def empty(self, store: Store) -> None:
        """Purge what is due, at most once an hour; to be called after a session was deleted. It raises no errors.

        What was removed from transcripts or overwritten goes after its 30 days, too.
        """
        if self._days is None or (self._days and time.monotonic() < self._next_look):
            return
        self._next_look = time.monotonic() + _PAUSE
        try:
            if self._purge(store, self._days * _DAY) >= _MOST:
                self._next_look = 0.0
            store.messages.prune_history()
        except HermesStoreError as error:  # the session was deleted all the same
            logger.warning("Sessions that were deleted more than %g days ago were not purged: %s", self._days, error)

    def _purge(self, store: Store, older_than: float) -> int:
        if not self._remove_files:
            return len(store.sessions.purge_deleted(older_than=older_than, limit=_MOST).session_ids)
        done = purge_deleted_with_files(store, older_than=older_than, limit=_MOST, sessions_folder=self._session_dir())
        _log(done.files)
        return len(done.sessions.session_ids)

    def purge(self, store: Store, session_id: str) -> None:
        """Purge a session now.

        Raises:
            SessionNotFoundError: there is none of this id.
            DatabaseError: it was not purged.
        """
        if self._remove_files:
            _log(remove_imported_files(store, session_id, sessions_folder=self._session_dir()))
        store.sessions.purge(session_id)


def _log(files: list[FileRemoval]) -> None:
    for file in files:
        if file.outcome is RemovalOutcome.KEPT:
            logger.warning("%s of a purged session was kept: %s", file.path, file.reason)


def checked_days(value: Any) -> float | None:
    """Return a number of days, or None.

    Raises:
        InvalidInputError: it is neither.
    """
    if value is None:
        return None
    plain = number_of(value)
    if plain is not None and 0 <= plain <= _LONGEST:  # false for NaN, too
        return float(plain)
    raise InvalidInputError(f"trash_days is a number of days from 0 to {_LONGEST:g}, or None, not {quoted(value)}.")
