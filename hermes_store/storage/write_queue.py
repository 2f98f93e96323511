"""The queue of a process's writers in front of one SQLite file.

SQLite lets one connection write at a time, and has others poll for the lock. Threads of one process queue here instead.

A plain `threading.Lock` would be held for ever when an exception from a signal handler (Ctrl-C) comes between its
acquisition and the `try` that releases it. Here the queue remembers its holder by a weak reference, in one assignment:
a holder that was dropped without releasing the queue no longer holds it.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections import deque
from typing import Any

from .fork_gate import LOOK_AGAIN


class _Waiter:
    __slots__ = ("__weakref__", "wake")

    def __init__(self) -> None:
        self.wake = threading.Lock()
        self.wake.acquire()


class WriteQueue:
    """Admits one holder at a time, in the order in which they came."""

    def __init__(self) -> None:
        # Held for a few instructions that wait for nothing (so that this wait needs no bound), and always by `with`:
        # Python runs no signal handler between the acquisition of a lock by `with` and the block.
        self._mutex = threading.Lock()
        self._holder: weakref.ref[Any] | None = None
        self._waiting: deque[weakref.ref[_Waiter]] = deque()

    def acquire(self, owner: Any, timeout: float) -> bool:
        """Make `owner` the holder, and return whether that was possible within `timeout` seconds."""
        with self._mutex:
            if self._admits(None):
                self._holder = weakref.ref(owner)
                return True
            waiter = _Waiter()
            self._waiting.append(weakref.ref(waiter))
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            # Bounded, because nobody wakes the next one when a holder is dropped without releasing.
            waiter.wake.acquire(timeout=max(0.0, min(left, LOOK_AGAIN)))
            with self._mutex:
                if self._admits(waiter):
                    self._holder = weakref.ref(owner)
                    return True
            if left <= 0:
                return False

    @property
    def holder(self) -> Any | None:
        """The holder; None if there is none."""
        holder = self._holder
        return None if holder is None else holder()

    def release(self, owner: Any) -> None:
        """Admit the next one if `owner` is the holder; otherwise do nothing."""
        with self._mutex:
            if self._holder is None or self._holder() is not owner:
                return
            self._holder = None
            first = self._first()
        if first is not None:
            with contextlib.suppress(RuntimeError):  # it was woken already
                first.wake.release()

    def _admits(self, waiter: _Waiter | None) -> bool:
        if self._holder is not None and self._holder() is not None:
            return False
        return self._first() is waiter

    def _first(self) -> _Waiter | None:
        """Return the one that has waited longest; those that gave up, or were admitted, are gone."""
        while self._waiting:
            first = self._waiting[0]()
            if first is not None:
                return first
            self._waiting.popleft()
        return None
