"""SQLite's unit of work: statements run on the driver's own connection."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.compiler import compiles

from ...errors import SchemaNewerError
from ..statement import NO_PARAMETERS, Parameters, Row, Statement, one_of
from ..unit_of_work import UnitOfWork
from .sqlite_pool import ConnectionPool

if TYPE_CHECKING:
    from ..engine import Database

COMPILER: Final = sqlite.dialect(paramstyle="named")


@compiles(one_of, "sqlite")
def _one_of(element: one_of, compiler: Any, **options: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **options)} IN (SELECT value FROM json_each({compiler.process(values, **options)}))"


class SQLiteUnitOfWork(UnitOfWork):
    """One transaction on a connection of a pool."""

    __slots__ = ("_pool", "raw")

    def __init__(self, database: Database, pool: ConnectionPool, *, writes: bool) -> None:
        super().__init__(database, writes=writes)
        self._pool = pool
        #: The driver's connection; None while there is no transaction.
        self.raw: Any = None

    def _begin(self) -> None:
        self.raw = raw = self._pool.take(self)
        # BEGIN IMMEDIATE takes the write lock before anything is read: a transaction that reads first and wants to write
        # then is refused at once, whatever the busy timeout. https://www.sqlite.org/lang_transaction.html
        raw.execute("BEGIN IMMEDIATE" if self.writes else "BEGIN")
        if self.writes and self._database.schema_number is not None:
            (number,) = raw.execute("PRAGMA user_version").fetchone()
            if number != self._database.schema_number:
                raise SchemaNewerError(self.dialect.display, f"{number:04}", f"{self._database.schema_number:04}")

    def _commit(self) -> None:
        self.raw.execute("COMMIT")

    def _end(self) -> None:
        raw = self._pool.of(self)
        if raw is None:
            return
        keep = not self._database.is_closed
        try:
            if raw.in_transaction:
                raw.rollback()
        except sqlite3.Error:  # the connection is broken, and of no use to others
            keep = False
        self._pool.give_back(self, keep=keep)
        self.raw = None

    @property
    def is_lost(self) -> bool:
        # After SQLITE_FULL, IOERR, NOMEM and others: https://www.sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction
        return self.raw is None or not self.raw.in_transaction

    def rows(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> list[Row]:
        compiled = statement.compiled(COMPILER)
        return compiled.rows(self.raw.execute(compiled.sql, compiled.bind(parameters)).fetchall())

    def execute(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> int:
        compiled = statement.compiled(COMPILER)
        changed: int = self.raw.execute(compiled.sql, compiled.bind(parameters)).rowcount
        return changed

    def execute_many(self, statement: Statement, parameters: Sequence[Parameters]) -> None:
        compiled = statement.compiled(COMPILER)
        self.raw.executemany(compiled.sql, map(compiled.bind, parameters))

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        raw = self.raw
        raw.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            # After some errors the database has rolled back everything, and there is no savepoint to go back to.
            if raw.in_transaction:
                raw.execute("ROLLBACK TO part")
                raw.execute("RELEASE part")
            raise
        raw.execute("RELEASE part")
