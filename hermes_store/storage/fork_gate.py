"""Forks: which locks a child process gets anew, and how transactions and forks exclude each other.

SQLite keeps its file locks per process and file, in memory that a forked child inherits, while the locks themselves
stay with the parent. A child must therefore not inherit an open connection
(https://www.sqlite.org/howtocorrupt.html#_carrying_an_open_database_connection_across_a_fork_): before a fork, new
transactions wait, running ones end, and the connections are closed.

A lock that another thread held at the moment of the fork is never released in the child. So every lock of this library,
in every package, is registered here and replaced in the child.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Final

#: Seconds between two looks at something that may end without notice.
LOOK_AGAIN: Final = 0.02

_renewed: Final[weakref.WeakKeyDictionary[Any, dict[str, Callable[[], object]]]] = weakref.WeakKeyDictionary()


def renew_after_fork(owner: Any, attribute: str, factory: Callable[[], object]) -> None:
    """Set `owner`'s `attribute` to ``factory()``, now and again in every forked child.

    Args:
        owner: an object, or a module for its globals.
        attribute: the name of a lock, or of something else that a child may not share with its parent.
        factory: returns a new one.
    """
    _renewed.setdefault(owner, {})[attribute] = factory
    setattr(owner, attribute, factory())


def renew_all() -> None:
    """Replace every registered lock; for a forked child."""
    for owner, attributes in list(_renewed.items()):
        for attribute, factory in attributes.items():
            setattr(owner, attribute, factory())


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=renew_all)


class ForkGate:
    """Counts the units of work that are under way, and holds new ones back while a fork is.

    A unit of work is known by a weak reference: one that was dropped without leaving (an exception from a signal
    handler can end its clean-up at any instruction) is no longer inside.
    """

    def __init__(self) -> None:
        self._inside: dict[int, tuple[int, weakref.ref[Any]]] = {}
        self._closed = False

    def enter(self, unit: Any, timeout: float) -> bool:
        """Let `unit` in, and return whether that was possible within `timeout` seconds."""
        # In this order, so that either this thread sees the gate closed, or the closing thread sees this unit.
        self._inside[id(unit)] = (threading.get_ident(), weakref.ref(unit))
        if not self._closed:
            return True
        del self._inside[id(unit)]
        deadline = time.monotonic() + timeout
        while self._closed and not self._is_inside(threading.get_ident()):
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_AGAIN)
        self._inside[id(unit)] = (threading.get_ident(), weakref.ref(unit))
        return True

    def leave(self, unit: Any) -> None:
        """Note that `unit` is over; again, or for one that never entered, it does nothing."""
        self._inside.pop(id(unit), None)

    def close(self, timeout: float) -> bool:
        """Hold new units back, and return whether all are out within `timeout` seconds.

        False at once if the calling thread is inside itself.
        """
        self._closed = True
        if self._is_inside(threading.get_ident()):
            return False
        deadline = time.monotonic() + timeout
        while self._is_inside():
            if time.monotonic() > deadline:
                return False
            time.sleep(LOOK_AGAIN / 10)
        return True

    def open(self) -> None:
        """Let units in again."""
        self._closed = False

    def _is_inside(self, thread: int | None = None) -> bool:
        return any(
            unit() is not None for owner, unit in list(self._inside.values()) if thread is None or owner == thread
        )


#: The most seconds that a fork and what it has to wait for wait for each other.
_DELAY: Final = 10.0
_delays = ForkGate()
renew_after_fork(sys.modules[__name__], "_delays", ForkGate)


class _Delay:
    """One block that forks wait for."""


@contextlib.contextmanager
def delay_forks() -> Iterator[None]:
    """Make forks wait for the end of a block that opens or closes a database, or imports modules for that.

    Meanwhile the thread may hold locks that nothing can renew in a child: those inside SQLite, and those that Python
    has for the modules that are being imported.
    """
    delay = _Delay()
    _delays.enter(delay, _DELAY)
    try:
        yield
    finally:
        _delays.leave(delay)


def hold_back_delays() -> None:
    """Wait for the blocks of `delay_forks` that are under way, and let no new one begin; before a fork."""
    _delays.close(_DELAY)


def admit_delays() -> None:
    """Allow blocks of `delay_forks` to begin again; after a fork."""
    _delays.open()
