"""Keeping a fork and the transactions of other threads apart.

SQLite keeps its file locks per process and file, in memory that a forked child inherits, while the locks
themselves stay with the parent. So a child must not inherit an open connection
(https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_): before a fork, new
transactions wait, running ones end, and the connections are closed.
"""

from __future__ import annotations

import threading
from collections import Counter


class ForkGate:
    """Lets transactions in, and none while a fork is under way."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside: Counter[int] = Counter()
        self._closed = False

    def __enter__(self) -> None:
        thread = threading.get_ident()
        with self._condition:
            while self._closed and thread not in self._inside:
                self._condition.wait()
            self._inside[thread] += 1

    def __exit__(self, *exc_info: object) -> None:
        thread = threading.get_ident()
        with self._condition:
            self._inside[thread] -= 1
            if not self._inside[thread]:
                del self._inside[thread]
            self._condition.notify_all()

    def close(self, timeout: float) -> bool:
        """Let nobody in, and return whether everybody is out within so many seconds.

        False at once when the calling thread is inside itself.
        """
        with self._condition:
            self._closed = True
            if threading.get_ident() in self._inside:
                return False
            return self._condition.wait_for(lambda: not self._inside, timeout)

    def open(self) -> None:
        """Let transactions in again."""
        with self._condition:
            self._closed = False
            self._condition.notify_all()
