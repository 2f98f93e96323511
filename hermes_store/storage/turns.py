"""Pauses between the transactions of an import, in which other processes get their turn to write."""

from __future__ import annotations

import time
from typing import Final

from .engine import Database

#: Seconds for which other processes may find the lock taken whenever they look.
_LONGEST_RUN: Final = 0.35


class Turns:
    """Lets other processes write between the transactions of an import.

    SQLite does not say who waits for its lock. Those that do look again and again, and may never find it free when one
    transaction begins right after another. (The threads of one process wait in a queue.)
    """

    def __init__(self, database: Database) -> None:
        self._pause = database.dialect.polling
        self._last = time.monotonic()

    def wait(self) -> None:
        """Pause if it is time; to be called before each transaction."""
        if self._pause and time.monotonic() - self._last > _LONGEST_RUN:
            time.sleep(self._pause)
            self._last = time.monotonic()
