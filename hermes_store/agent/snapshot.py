"""One state of the agent's data, and the queries on it: one at a time, or several where one is slow.

The agent keeps no index on the time of its messages, so a list looks at nearly all that there is. In a large file that
is slow for two reasons: without any index on messages one processor reads every row, and from a cold disk one reader
waits for page after page. Other connections, in threads of their own, help with both.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from .schema import AgentSchema
from .watch import Watch, driver_connection

#: So many steps of SQLite's machine are 0.1 ms of computing; what takes ten times as long was spent waiting.
_STEPS: Final = 2_000
_WAITED: Final = 0.001
#: Seconds spent waiting, after which a query is helped.
_PATIENCE: Final = 0.01


@dataclass(frozen=True)
class Snapshot:
    """One state of the agent's data, while a read lasts."""

    connection: Connection
    schema: AgentSchema
    watch: Watch
    #: Opens another connection, which may see a later state, and waits for nobody.
    open_another: Callable[[], Connection]
    #: Other connections that see this very state, where there are any.
    twins: tuple[Connection, ...] = ()

    def rows(self, sql: str, *parameters: Any) -> list[Any]:
        """Run a query and return all its rows. Bytes in a text that are not UTF-8 become lone surrogates."""
        return _rows(self.connection, sql, parameters)

    def in_chunks(self, sql: str, values: list[Any], *parameters: Any) -> list[Any]:
        """Run a query whose ``{}`` is a list of `values`, as often as their number needs."""
        rows: list[Any] = []
        for start in range(0, len(values), 500):
            chunk = values[start : start + 500]
            rows += self.rows(sql.replace("{}", ",".join("?" * len(chunk))), *parameters, *chunk)
        return rows

    def together(self, queries: Sequence[str], *parameters: Any) -> list[Any]:
        """Run queries at the same time, each twin one of them, and return the rows of all.

        Raises:
            ValueError: there are more than there are connections.
        """
        others = self._others(map(nullcontext, self.twins), queries[1:], parameters)
        try:
            for other in others:
                other.start()
            rows = self.rows(queries[0], *parameters)
            for other, sql in zip(others, queries[1:], strict=True):
                found = other.wait()
                rows += self.rows(sql, *parameters) if found is None else found
        finally:
            for other in others:
                other.stop()
        return rows

    @contextmanager
    def helped(self, queries: Sequence[str], *parameters: Any) -> Iterator[None]:
        """Let other connections run queries, for nothing but the pages that they read, if the block's has to wait."""
        helpers: list[_OtherQuery] = []
        waited, last = 0.0, time.monotonic()

        def look(now: float) -> None:
            nonlocal waited, last
            waited, last = waited + (now - last if now - last > _WAITED else 0.0), now
            if waited > _PATIENCE and not helpers:
                others = [_opened(self.open_another) for _ in queries]
                helpers.extend(self._others(others, queries, parameters))
                for helper in helpers:
                    helper.start()

        try:
            with self.watch.looking(look, _STEPS):
                yield
        finally:
            for helper in helpers:
                helper.stop()

    def _others(
        self,
        connections: Iterable[AbstractContextManager[Connection]],
        queries: Sequence[str],
        parameters: Sequence[Any],
    ) -> list[_OtherQuery]:
        return [
            _OtherQuery(connection, sql, parameters, self.watch.until)
            for connection, sql in zip(connections, queries, strict=True)
        ]


class _OtherQuery:
    """A query that another connection runs, in a thread of its own, until it is done or stopped.

    Whoever waits does so for an event: `Thread.join`, interrupted by Ctrl-C, takes the thread for ended
    (before Python 3.13), and cannot wait for one whose start was interrupted.
    """

    def __init__(
        self,
        connection: AbstractContextManager[Connection],
        sql: str,
        parameters: Sequence[Any],
        until: float,
    ) -> None:
        self._connection = connection
        self._sql = sql
        self._parameters = parameters
        self._until = until
        self._over = threading.Event()
        self._done = threading.Event()
        self._found: list[Any] | None = None
        self._thread = threading.Thread(target=self._run, name="hermes-agent-read", daemon=True)

    def start(self) -> None:
        try:
            self._thread.start()
        except RuntimeError:  # the system, or an interpreter that ends, has no thread for it
            self._done.set()

    def wait(self) -> list[Any] | None:
        """Return the rows once they are there, or None if they could not be read."""
        self._done.wait()
        return self._found

    def stop(self) -> None:
        """End the query, if it has begun and not ended."""
        self._over.set()
        if self._thread.ident is not None:  # else, should it still begin, it sees that it is over
            self._done.wait()

    def _run(self) -> None:
        try:
            if not self._over.is_set():
                self._query()
        finally:
            self._done.set()

    def _query(self) -> None:
        # What goes wrong here, the first connection meets, too, if it matters; there it is raised.
        with suppress(SQLAlchemyError, sqlite3.Error), self._connection as connection:
            driver = driver_connection(connection)
            driver.set_progress_handler(lambda: self._over.is_set() or time.monotonic() > self._until, 10 * _STEPS)
            try:
                self._found = _rows(connection, self._sql, self._parameters)
            finally:
                driver.set_progress_handler(None, 0)


@contextmanager
def _opened(connect: Callable[[], Connection]) -> Iterator[Connection]:
    """Open a connection when the block begins, which is in another thread than this call."""
    with connect() as connection:
        yield connection


def _rows(connection: Connection, sql: str, parameters: Sequence[Any]) -> list[Any]:
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
