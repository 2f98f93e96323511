"""The live sessions that are at hand: one object for each id, the least used ones let go."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from .session import LiveSession


class LiveSessions:
    """The WebUI's own table of live sessions, under its own lock.

    Args:
        entries: the table; others read and change it, too.
        lock: a lock that may be none that its holder can take again: nothing here calls out while holding it.
        size: how many to keep.
    """

    def __init__(
        self,
        entries: OrderedDict[str, Any],
        lock: contextlib.AbstractContextManager[Any],
        size: Callable[[], int],
    ) -> None:
        self._entries = entries
        self._lock = lock
        self._size = size

    def get(self, session_id: str) -> Any | None:
        """Return a live session, as the one used last."""
        with self._lock:
            found = self._entries.get(session_id)
            if found is not None:
                self._entries.move_to_end(session_id)
            return found

    def put(self, session: LiveSession, instead_of: Any = None) -> Any:
        """Add a session, and return the one that is there: another, where somebody was faster.

        Args:
            session: the new one.
            instead_of: the one that it is to replace.
        """
        with self._lock:
            there = self._entries.get(session.session_id)
            if there is None or there is instead_of:
                self._entries[session.session_id] = there = session
            self._entries.move_to_end(session.session_id)
            self._shrink()
            return there

    def _shrink(self) -> None:
        surplus = len(self._entries) - self._size()
        if surplus > 0:
            # One that was never saved is nowhere else.
            stored = [key for key, one in self._entries.items() if getattr(one, "_base", None) is not None]
            for key in stored[:surplus]:
                del self._entries[key]

    def drop(self, session_id: str, session: Any = None) -> None:
        """Let a session go; only if it is this very object, where one is given."""
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
