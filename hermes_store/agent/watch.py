"""How a query is run: SQLite asks, while it works, whether it is to go on."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

#: It asks after so many steps of its machine, some milliseconds. Each time the thread has to get Python's lock, which
#: where other threads are at work takes as long again.
STEPS: Final = 20_000


class Watch:
    """While its block lasts, ends queries of a connection at a deadline, and where a signal's handler raised something.

    Python runs handlers of signals (Ctrl-C) between two instructions of the main thread, which while SQLite works are
    those of its callback; and what is raised in a callback sqlite3 drops: the query would end as if the deadline were
    over. So the exception is kept here, and raised again at the end of the block. The callback is a generator because
    a function would be interrupted before its first ``try``; a generator goes on inside of it.

    Args:
        connection: the connection.
        until: the deadline, a moment of `time.monotonic`.
    """

    def __init__(self, connection: Connection, until: float) -> None:
        self.until = until
        self._driver = driver_connection(connection)
        self._raised: BaseException | None = None
        self._look: Callable[[], None] | None = None
        self._answers = self._answer()

    def __enter__(self) -> Watch:
        next(self._answers)  # into the ``try``
        self._ask(self._answers.__next__, STEPS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ask(None, 0)
        self._answers.close()
        if self._raised is not None:
            raise self._raised from None

    @contextmanager
    def looking(self, look: Callable[[], None]) -> Iterator[None]:
        """While the block lasts, call `look` whenever SQLite asks."""
        self._look = look
        try:
            yield
        finally:
            self._look = None

    def _ask(self, answer: Callable[[], bool] | None, steps: int) -> None:
        # SQLAlchemy closes a connection at once if an exception like KeyboardInterrupt comes while it executes.
        with suppress(sqlite3.ProgrammingError):
            self._driver.set_progress_handler(answer, steps)

    def _answer(self) -> Generator[bool, None, None]:
        over = False
        while True:
            try:
                while True:
                    yield over
                    over = time.monotonic() > self.until
                    if self._look is not None:
                        self._look()
            except GeneratorExit:
                return
            except BaseException as error:  # whatever it is, `__exit__` raises it again
                self._raised, over = error, True


def driver_connection(connection: Connection) -> sqlite3.Connection:
    """Return the connection of Python's own driver that is below."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - for the type checker
    return driver


def fetch(connection: Connection, sql: str, parameters: Sequence[Any]) -> list[Any]:
    """Run a query and return all its rows. Bytes in a text that are not UTF-8 become lone surrogates."""
    try:
        return list(connection.exec_driver_sql(sql, tuple(parameters)).fetchall())
    except OperationalError as error:
        if not str(error.orig).startswith("Could not decode to UTF-8"):
            raise
    driver = driver_connection(connection)
    driver.text_factory = lambda value: value.decode("utf-8", "surrogateescape")  # slower, so only where needed
    try:
        return list(connection.exec_driver_sql(sql, tuple(parameters)).fetchall())
    finally:
        driver.text_factory = str
