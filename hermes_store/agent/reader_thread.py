"""Run a read of the agent's file in a thread of its own, so that the calling thread can end it at any time.

Python runs signal handlers in the main thread only, and never while that thread is inside SQLite. A progress handler,
which SQLite calls again and again, needs Python's global lock each time, which takes milliseconds while other
threads are busy. So the calling thread waits here: signal handlers run at once, and the deadline costs the query
nothing. Both end the running query with `sqlite3.Connection.interrupt`.
"""

from __future__ import annotations

import _thread
import contextvars
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

T = TypeVar("T")

#: Seconds between two looks at the deadline. Where a signal does not wake a waiting thread (Windows), the longest time
#: until its handler runs.
_INTERVAL: Final = 0.1
#: Seconds between two interrupts of a read that is to end. One may fall between two queries, where it has no effect.
_RETRY: Final = 0.01
#: Seconds that a cancelled read is waited for. It may be waiting for a lock of the agent's, where SQLite looks at no
#: interrupt; it then ends by itself when that wait is over.
_PATIENCE: Final = 1.0
#: Steps of SQLite's machine, some tenths of a second, after which a query itself looks whether it has to end. This is
#: for a read whose caller was interrupted twice, and so is not there to end it.
_STEPS: Final = 20_000_000


class Deadline:
    """When a read has to end, and the means to end it from another thread.

    Args:
        seconds: how long the read may take from now on.
    """

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._cancelled = False
        self._connection: sqlite3.Connection | None = None

    @property
    def remaining(self) -> float:
        """Seconds that are left; negative after the deadline."""
        return self._until - time.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the read has to end."""
        return self._cancelled or self.remaining <= 0

    def cancel(self) -> None:
        """Make the read end now."""
        self._cancelled = True

    def check(self) -> None:
        """Raise what SQLite raises for an interrupted query if the read has to end.

        To be called before each query, as an interrupt ends only the queries that are running.
        """
        if self.is_over:
            error = sqlite3.OperationalError("interrupted")
            error.sqlite_errorcode = sqlite3.SQLITE_INTERRUPT
            error.sqlite_errorname = "SQLITE_INTERRUPT"
            raise error

    @contextmanager
    def applies_to(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Make `interrupt` end the queries of a connection that run in the block."""
        self._connection = connection
        connection.set_progress_handler(lambda: self.is_over, _STEPS)
        try:
            yield
        finally:
            self._connection = None

    def interrupt(self) -> None:
        """End the query that is running, if one is."""
        connection = self._connection
        if connection is not None:
            # Each read has a connection of its own, so the worst that can happen is that it was closed just now.
            with suppress(sqlite3.ProgrammingError):
                connection.interrupt()


def run_in_thread(callback: Callable[[], T], deadline: Deadline) -> T:
    """Run a read in another thread, wait for it, and return or raise what it does.

    An exception that is raised in the waiting thread (by the handler of a signal, such as Ctrl-C) ends the read, and is
    raised as it is.

    Args:
        callback: the read. It calls `Deadline.check` before each query, and registers its connection.
        deadline: when to interrupt it.
    """
    results: list[T] = []
    errors: list[BaseException] = []
    context = contextvars.copy_context()
    # A thread and a lock of `_thread` are waited for in C alone. What `threading` offers takes locks in Python code,
    # where the exception of a signal's handler can leave one locked for ever.
    ended = _thread.allocate_lock()
    ended.acquire()

    def run() -> None:
        try:
            results.append(context.run(callback))
        except BaseException as error:  # whatever it is, the waiting thread raises it
            errors.append(error)
        finally:
            ended.release()

    try:
        _start(run)
        while not ended.acquire(timeout=min(_INTERVAL, max(_RETRY, deadline.remaining))):
            if deadline.is_over:
                deadline.interrupt()
    except BaseException:  # whatever it is, nobody waits for the read any more
        deadline.cancel()
        until = time.monotonic() + _PATIENCE
        while not ended.acquire(timeout=_RETRY) and time.monotonic() < until:
            deadline.interrupt()
        raise
    if errors:
        raise errors.pop()  # removed from the list, which its traceback refers to
    return results[0]


def _start(run: Callable[[], None]) -> None:
    try:
        _thread.start_new_thread(run, ())
    except RuntimeError:  # no thread can be started (any more): read here, and see the deadline between two queries
        run()
