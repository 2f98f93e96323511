"""The live sessions that are in memory: one object for each id, of which the least recently used are dropped."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..arguments import check_instance
from ..errors import InvalidInputError
from ..quoting import number_of, quoted
from ..storage.fork_gate import renew_after_fork
from .session import LiveSession


class LiveSessions:
    """The WebUI's own table of live sessions, under its own lock.

    Args:
        entries: the table; others read and change it, too. One of its own when None.
        lock: its lock, which need not be reentrant: nothing here calls out while holding it. One of its own when None.
        size: how many to keep, or a callable that returns it.

    Raises:
        InvalidInputError: an argument is not of the right kind.
    """

    _lock: contextlib.AbstractContextManager[Any]

    def __init__(
        self,
        entries: OrderedDict[str, Any] | None,
        lock: contextlib.AbstractContextManager[Any] | None,
        size: int | Callable[[], int],
    ) -> None:
        if entries is not None:
            check_instance("cache", entries, OrderedDict)
        if lock is not None:
            check_instance("lock", lock, contextlib.AbstractContextManager)
        if not callable(size):
            _checked_size(size)
        self._entries: OrderedDict[str, Any] = OrderedDict() if entries is None else entries
        self._size = size
        self._refused: weakref.WeakSet[LiveSession] = weakref.WeakSet()
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
            may_drop = self.is_refused(one) or one.is_idle()  # without the lock: it may wait for a save
            with self._lock:
                if self._is_full() and self._entries.get(key) is one:
                    if may_drop:
                        del self._entries[key]
                    else:
                        self._entries.move_to_end(key)  # so that the next call need not look at it again
                if not self._is_full():
                    return

    def _is_full(self) -> bool:
        return len(self._entries) > _checked_size(self._size() if callable(self._size) else self._size)

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

    def refuse(self, session: LiveSession) -> None:
        """Note that the last save of a live session was refused, or not complete: it is not to be used again."""
        self._refused.add(session)

    def accept(self, session: LiveSession) -> None:
        """Note that all of a live session is stored."""
        self._refused.discard(session)

    def is_refused(self, session: LiveSession) -> bool:
        """Whether the last save of a live session was refused, or not complete."""
        return session in self._refused

    def all(self) -> list[LiveSession]:
        """Return the live sessions."""
        with self._lock:
            return [one for one in self._entries.values() if isinstance(one, LiveSession)]


def _checked_size(value: Any) -> int:
    """Return a number of live sessions to keep.

    Raises:
        InvalidInputError: it is no whole number.
    """
    plain = number_of(value)
    if isinstance(plain, int):
        return plain
    raise InvalidInputError(f"cache_size is a number of sessions, not {quoted(value)}.")
