"""Whether an open database file, and its log, are still the ones at their paths."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from ... import errors

#: A file's device and inode; of one that is gone, None.
_Identity = tuple[int, int] | None

_ADVICE = "Nothing was written. Close the store, see that the right file is there, and open it again."


class PlacedConnection(sqlite3.Connection):
    """A connection that knows which log it writes to; None where there is none."""

    log: _Identity = None


class Place:
    """Where a database file is. SQLite goes on with an open file that was deleted or replaced, and its writes are lost.

    Nothing here opens the file: closing a descriptor of it would drop SQLite's locks.

    Args:
        path: the file.
    """

    __slots__ = ("_file", "_log_path", "_path")

    def __init__(self, path: Path) -> None:
        self._path = os.fspath(path)
        self._log_path = f"{self._path}-wal"
        self._file: _Identity = None

    def require_same_file(self) -> None:
        """Make sure that what is at the path is what was there when this was called first.

        Raises:
            DatabaseMissingError: it was deleted.
            DatabaseReplacedError: another file is there.
        """
        found = _identity(self._path)
        if self._file is None:
            self._file = found
        elif found != self._file:
            raise self._error(found)

    def note_log(self, connection: Any) -> None:
        """Note which log a connection writes to, once it has opened it."""
        connection.log = _identity(self._log_path)

    def require_unmoved(self, connection: Any) -> None:
        """Make sure that what a connection is about to write will be found at the path.

        Raises:
            DatabaseMissingError: the file was deleted.
            DatabaseReplacedError: another file is there, or the log was removed.
        """
        if not self._is_unmoved(connection):
            raise self._error(_identity(self._path))

    def _is_unmoved(self, connection: Any) -> bool:
        try:
            file = os.stat(self._path)  # noqa: PTH116 - twice as fast as Path.stat
            if (file.st_dev, file.st_ino) != self._file:
                return False
            if connection.log is None:
                return True
            log = os.stat(self._log_path)  # noqa: PTH116
        except OSError:  # one of them is missing
            return False
        return bool((log.st_dev, log.st_ino) == connection.log)

    def _error(self, found: _Identity) -> errors.DatabaseError:
        if found is None:
            return errors.DatabaseMissingError(
                f"{self._path} was deleted or moved away while this store had it open. {_ADVICE}"
            )
        what = "another file is there now" if found != self._file else "its log (the file ending in -wal) was removed"
        return errors.DatabaseReplacedError(
            f"{self._path} is not what this store has open any more: {what}. {_ADVICE} A file that is restored from a "
            "backup goes without the -wal and -shm files that were there before."
        )

    @property
    def has_journal(self) -> bool:
        """Whether there is a rollback journal: of a write under way, or of one whose process was killed."""
        return _size(f"{self._path}-journal") > 0

    def require_no_lone_log(self) -> None:
        """Make sure that there is no log without its database: SQLite would delete it.

        Raises:
            DatabaseCorruptError: there is one.
        """
        if _size(self._log_path) and not _size(self._path):
            state = "is empty" if _identity(self._path) else "is missing"
            raise errors.DatabaseCorruptError(
                f"{self._path} {state}, and its log {self._log_path} is not: the file was deleted, emptied or copied "
                "while it was in use. Nothing was changed; restore the file, or move the log away to begin anew."
            )


def _identity(path: str) -> _Identity:
    try:
        found = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0
