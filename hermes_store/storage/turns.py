"""Pauses between transactions that follow each other, in which other processes get their turn to write."""

from __future__ import annotations

import time
from typing import Final

from .engine import Database, Transactions

#: Seconds for which other processes may find the lock taken whenever they look.
_LONGEST_RUN: Final = 0.35


class Turns:
    """Lets other processes write between the transactions of one verb: an import, or a purge of many sessions.

    SQLite does not say who waits for its lock. Those that do look again and again, and may never find it free when one
    transaction begins right after another. (The threads of one process wait in a queue.)

    Args:
        transactions: the database; inside a larger transaction there are no pauses.
    """

    def __init__(self, transactions: Transactions) -> None:
        self._pause = transactions.dialect.polling if isinstance(transactions, Database) else 0.0
        self._last = time.monotonic()

    def wait(self) -> None:
        """Pause if it is time; to be called before each transaction."""
        if self._pause and time.monotonic() - self._last > _LONGEST_RUN:
            time.sleep(self._pause)
            self._last = time.monotonic()
