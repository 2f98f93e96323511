"""Noticing that something was written to a database, by whichever process."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod


class Watcher(ABC):
    """Waits for writes. One thread waits; any may close it."""

    def __init__(self) -> None:
        self._closed = threading.Event()

    @abstractmethod
    def wait(self, seconds: float) -> bool:
        """Return whether something may have been written since the last call, after at most `seconds`.

        It may return later by the time that one look at the database takes, and true without a reason.
        """

    def close(self) -> None:
        """Release what it holds, and let a thread that waits return at once, or soon. Again, it does nothing."""
        self._closed.set()

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._closed.is_set()


class Polling(Watcher):
    """Watches nothing: whoever waits looks again and again."""

    #: Seconds between two looks.
    interval = 0.05

    def wait(self, seconds: float) -> bool:
        self._closed.wait(min(seconds, self.interval))
        return True
