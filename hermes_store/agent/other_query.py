"""A query that another connection runs at the same time, in a thread of its own.

The thread is one of `_thread`, and it is waited for by a bare lock: what Python's `threading` offers takes locks in
Python code, and an exception that a signal's handler raises in there (Ctrl-C) can leave such a lock taken for ever.
"""

from __future__ import annotations

import _thread
import sqlite3
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from .watch import STEPS, driver_connection, fetch

#: Seconds after which one who waits looks for himself.
_LOOK: Final = 1.0


class OtherQuery:
    """A query in a thread.

    Args:
        connection: opened and closed, as a context manager, in the thread.
        sql: the query.
        parameters: its parameters.
        until: the moment (`time.monotonic`) at which it ends, done or not.
    """

    def __init__(
        self, connection: AbstractContextManager[Connection], sql: str, parameters: Sequence[Any], until: float
    ) -> None:
        self._connection = connection
        self._sql = sql
        self._parameters = parameters
        self._until = until
        self._over = self._begun = self._ended = False
        self._end = _thread.allocate_lock()
        self._end.acquire()
        self._driver: sqlite3.Connection | None = None
        self._found: list[Any] | None = None

    def start(self) -> None:
        """Begin."""
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:  # the system, or an interpreter that ends, has no thread for it
            self._ended = True

    def wait(self) -> list[Any] | None:
        """Return the rows once they are there, or None if they could not be read."""
        while not self._ended:
            self._end.acquire(timeout=_LOOK)
        return self._found

    def tell(self) -> None:
        """Say that it is over."""
        self._over = True
        if self._driver is not None:
            with suppress(sqlite3.ProgrammingError):  # it is closed already
                self._driver.interrupt()

    def end(self) -> None:
        """Wait until it has ended, if it began; should it still begin, it sees that it is over."""
        if self._begun:
            self.wait()

    def _run(self) -> None:
        try:
            self._begun = True
            if not self._over:
                self._query()
        finally:
            self._ended = True
            self._end.release()

    def _query(self) -> None:
        # What goes wrong here, the first connection meets, too, if it matters; there it is raised.
        with suppress(SQLAlchemyError, sqlite3.Error), self._connection as connection:
            self._driver = driver_connection(connection)
            self._driver.set_progress_handler(lambda: self._over or time.monotonic() > self._until, STEPS)
            try:
                self._found = fetch(connection, self._sql, self._parameters)
            finally:
                self._driver.set_progress_handler(None, 0)
                self._driver = None


def stop(queries: Sequence[OtherQuery]) -> None:
    """End queries. An exception that comes from outside meanwhile is raised when they have ended, not before."""
    raised: BaseException | None = None
    while True:
        try:
            for query in queries:
                query.tell()
            for query in queries:
                query.end()
            break
        except BaseException as error:  # whatever it is, it is raised below
            raised = error
    if raised is not None:
        raise raised
