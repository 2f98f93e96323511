"""The live sessions that are in memory: one object for each id, of which the least recently used are dropped."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..storage.fork_gate import renew_after_fork
from .session import LiveSession


class LiveSessions:
    """The WebUI's own table of live sessions, under its own lock.

    Args:
        entries: the table; others read and change it, too.
        lock: its lock, which need not be reentrant: nothing here calls out while holding it. One of its own when None.
        size: returns how many to keep.
        may_drop: whether a session has nothing that is nowhere else. It is called without the lock.
    """

    _lock: contextlib.AbstractContextManager[Any]

    def __init__(
        self,
        entries: OrderedDict[str, Any],
        lock: contextlib.AbstractContextManager[Any] | None,
        size: Callable[[], int],
        may_drop: Callable[[LiveSession], bool],
    ) -> None:
        self._entries = entries
        self._size = size
        self._may_drop = may_drop
        if lock is None:
            renew_after_fork(self, "_lock", threading.Lock)
        else:
            self._lock = lock

    def get(self, session_id: str) -> Any | None:
        """Return a live session, which is the most recently used one then."""
        with self._lock:
            found = self._entries.get(session_id)
            if found is not None:
                self._entries.move_to_end(session_id)
            return found

    def put(self, session: LiveSession, instead_of: Any = None) -> Any:
        """Add a session, and return the one that is there: another, if one was added meanwhile.

        Args:
            session: the new one.
            instead_of: the one that it replaces.
        """
        with self._lock:
            there = self._entries.get(session.session_id)
            if there is None or there is instead_of:
                self._entries[session.session_id] = there = session
            self._entries.move_to_end(session.session_id)
        self._shrink()
        return there

    def _shrink(self) -> None:
        """Remove the least recently used sessions that are too many, except those with unsaved changes."""
        with self._lock:
            # One that was never saved, or that is not this library's, is nowhere else.
            stored = [
                (key, one) for key, one in self._entries.items() if isinstance(one, LiveSession) and not one.is_new
            ]
            is_full = self._is_full()
        for key, one in stored if is_full else []:
            may_drop = self._may_drop(one)
            with self._lock:
                if self._is_full() and self._entries.get(key) is one:
                    if may_drop:
                        del self._entries[key]
                    else:
                        self._entries.move_to_end(key)  # so that the next call need not look at it again
                if not self._is_full():
                    return

    def _is_full(self) -> bool:
        return len(self._entries) > self._size()

    def drop(self, session_id: str, session: Any = None) -> None:
        """Remove a session; if `session` is given, only if it is this very object."""
        with self._lock:
            if session is None or self._entries.get(session_id) is session:
                self._entries.pop(session_id, None)

    def move(self, old: str, new: str) -> Any | None:
        """Keep a session under another id, and return it."""
        with self._lock:
            session = self._entries.pop(old, None)
            if session is not None:
                self._entries[new] = session
            return session

    def all(self) -> list[LiveSession]:
        """Return the live sessions."""
        with self._lock:
            return [one for one in self._entries.values() if isinstance(one, LiveSession)]
