"""Noticing writes to a SQLite file, or to memory."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable

from ..fork_gate import delay_forks
from ..held_lock import HeldLock
from .watcher import Watcher

#: Seconds between two looks. One takes some microseconds.
_INTERVAL = 0.05
#: Seconds to wait for a thread that looks, or that closes the connection.
_PATIENCE = 5.0


class FileWatcher(Watcher):
    """Watches a file by a connection of its own, whose `data_version` changes when any other one has committed.

    Args:
        connect: opens a connection that does not wait for locks.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        super().__init__()
        self._connect = connect
        self._lock = HeldLock()
        self._connection: sqlite3.Connection | None = None
        self._seen: int | None = None

    def wait(self, seconds: float) -> bool:
        while not self._has_changed():
            if seconds <= 0 or self._closed.wait(min(seconds, _INTERVAL)):
                return False
            seconds -= _INTERVAL
        return True

    def _has_changed(self) -> bool:
        # A child must not inherit a connection in use.
        with delay_forks(), self._lock.hold(_PATIENCE) as is_held:
            if self.is_closed or not is_held:
                return False
            is_new = self._connection is None
            if self._connection is None:
                self._connection = self._connect()
            try:
                (version,) = self._connection.execute("PRAGMA data_version").fetchone()
            except sqlite3.OperationalError:  # somebody has the file locked: look again
                return is_new
            seen, self._seen = self._seen, version
            return is_new or version != seen

    def release(self) -> None:
        """Close the connection; the next look opens another one."""
        with self._lock.hold(_PATIENCE) as is_held:
            if not is_held:
                return  # the one who looks has it still: it is closed when nobody refers to this watcher
            connection, self._connection, self._seen = self._connection, None, None
            if connection is not None:
                with contextlib.suppress(sqlite3.Error):
                    connection.close()

    def close(self) -> None:
        super().close()
        self.release()


class MemoryWatcher(Watcher):
    """Watches a database in memory by the number of rows that its only connection has written.

    Args:
        total_changes: returns that number.
    """

    def __init__(self, total_changes: Callable[[], int]) -> None:
        super().__init__()
        self._total_changes = total_changes
        self._seen = -1

    def wait(self, seconds: float) -> bool:
        while (now := self._total_changes()) == self._seen:
            if seconds <= 0 or self._closed.wait(min(seconds, _INTERVAL)):
                return False
            seconds -= _INTERVAL
        self._seen = now
        return True
