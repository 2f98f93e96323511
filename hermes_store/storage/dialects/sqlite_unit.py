"""SQLite's unit of work: statements run on the driver's own connection."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.compiler import compiles

from ..pending_words import PendingWords
from ..row_types import Row, log_once
from ..statement import NO_PARAMETERS, Parameters, RowStatement, Statement, next_change, one_of, period_rows
from ..unit_of_work import UnitOfWork
from .sqlite_errors import is_undecodable
from .sqlite_log import Log
from .sqlite_place import Place
from .sqlite_pool import ConnectionPool
from .sqlite_words import erase

if TYPE_CHECKING:
    from ..engine import Database

COMPILER: Final = sqlite.dialect(paramstyle="named")
ROW_COMPILER: Final = sqlite.dialect(paramstyle="qmark")


@compiles(one_of, "sqlite")
def _one_of(element: one_of, compiler: Any, **options: Any) -> str:
    column, values = element.clauses
    value, array = compiler.process(column, **options), compiler.process(values, **options)
    return f"{value} IN (SELECT value FROM json_each({array}))"  # noqa: S608 - both are SQL that SQLAlchemy made


@compiles(period_rows, "sqlite")
def _period_rows(element: period_rows, compiler: Any, **options: Any) -> str:
    [times] = element.clauses
    array = compiler.process(times, **options)
    return f"(SELECT value AS start_at, lead(value) OVER (ORDER BY key) AS end_at FROM json_each({array}))"  # noqa: S608


@compiles(next_change, "sqlite")
def _next_change(element: next_change, compiler: Any, **options: Any) -> str:
    # Writers take turns, so the next number is the largest and one. Each of these is one step in an index.
    return (
        "(1 + max((SELECT coalesce(max(change_number), 0) FROM sessions), "
        "(SELECT coalesce(max(change_number), 0) FROM projects), "
        "(SELECT coalesce(max(change_number), 0) FROM gone_ids)))"
    )


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "replace")


class SQLiteUnitOfWork(UnitOfWork):
    """One transaction on a connection of a pool.

    Args:
        database: the database.
        pool: its connections.
        place: where its file is; None for a database in memory.
        log: empties the database's log.
        writes: whether the transaction writes.
    """

    __slots__ = (
        *("_erases", "_erases_words", "_is_committed", "_is_erased", "_keeps", "_known_words", "_log", "_place"),
        *("_pool", "raw"),
    )

    def __init__(
        self, database: Database, pool: ConnectionPool, place: Place | None, log: Log, *, writes: bool
    ) -> None:
        super().__init__(database, writes=writes)
        self._pool = pool
        self._place = place
        self._log = log
        self._erases = self._erases_words = self._is_erased = self._is_committed = False
        self._known_words = PendingWords()
        #: Whether its connection can be used again.
        self._keeps = True
        #: The driver's connection; None while there is no transaction.
        self.raw: Any = None

    def _begin(self) -> None:
        self.raw = raw = self._pool.take(self)
        # BEGIN IMMEDIATE takes the write lock before anything is read: a transaction that reads first and wants to
        # write then is refused at once, whatever the busy timeout. https://www.sqlite.org/lang_transaction.html
        raw.execute("BEGIN IMMEDIATE" if self.writes else "BEGIN")
        if self.writes:
            (number,) = raw.execute("PRAGMA user_version").fetchone()
            self._database.check_schema(number)
            self._known_words = self.pending_words

    def _commit(self) -> None:
        if self.writes and self._place is not None:
            self._place.require_unmoved(self.raw)
        has_no_words = self._erases_words and erase(self.raw)
        try:
            self.raw.execute("COMMIT")
        except sqlite3.Error:
            if self.writes:
                raise
            # SQLite repeats the error of a read that failed. What else was read is right, and nothing was written.
            self._keeps = False
        self._is_committed = True
        if self._erases:
            self._keeps = False  # interrupted there, the connection may not have its busy timeout any more
            self._is_erased = self._log.empty(self.raw) and has_no_words
            self._keeps = True

    def _end(self) -> None:
        raw = self._pool.of(self)
        if raw is None:
            return
        if self.writes and not self._is_committed:
            self.pending_words = self._known_words
        keep = self._keeps and not self._database.is_closed
        try:
            if raw.in_transaction:
                raw.rollback()
        except sqlite3.Error:  # the connection is broken, and of no use to others
            keep = False
        self._pool.give_back(self, keep=keep)
        self.raw = None

    def write_apart(self, callback: Callable[[Self], None]) -> None:
        self.raw.execute("BEGIN IMMEDIATE")
        callback(self)
        self.raw.execute("COMMIT")

    def erase(self, *, words: bool = True) -> None:
        self._erases = True
        self._erases_words = words

    @property
    def is_erased(self) -> bool:
        return self._is_erased

    @property
    def is_lost(self) -> bool:
        # After SQLITE_FULL, IOERR, NOMEM and others:
        # https://www.sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction
        return self.raw is None or not self.raw.in_transaction

    def rows(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> list[Row]:
        compiled = statement.compiled(COMPILER)
        bound = compiled.bind(parameters)
        if compiled.returns_written_text:
            return compiled.rows(self._fetch_damaged(compiled.sql, bound))
        try:
            found = self.raw.execute(compiled.sql, bound).fetchall()
        except sqlite3.OperationalError as error:
            if not is_undecodable(error):
                raise
            log_once("A text in the database is not UTF-8, and is read with replacement characters: %s", error)
            found = self._fetch_damaged(compiled.sql, bound)
        return compiled.rows(found)

    def _fetch_damaged(self, sql: str, parameters: Parameters) -> list[Row]:
        """Return rows with replacement characters where a text is not UTF-8."""
        self.raw.text_factory = _decode
        try:
            found: list[Row] = self.raw.execute(sql, parameters).fetchall()
        finally:
            self.raw.text_factory = str
        return found

    def execute(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> int:
        compiled = statement.compiled(COMPILER)
        changed: int = self.raw.execute(compiled.sql, compiled.bind(parameters)).rowcount
        return changed

    def execute_many(self, statement: RowStatement, rows: Sequence[Row]) -> int:
        compiled = statement.compiled(ROW_COMPILER)
        changed: int = self.raw.executemany(compiled.sql, compiled.bind(rows)).rowcount
        return changed

    def load(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        names, values = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
        self.raw.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({values})', rows)  # noqa: S608

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        raw = self.raw
        known_words = self.pending_words
        raw.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self.pending_words = known_words
            # After some errors the database has rolled back everything, and there is no savepoint to go back to.
            if raw.in_transaction:
                raw.execute("ROLLBACK TO part")
                raw.execute("RELEASE part")
            raise
        raw.execute("RELEASE part")
