"""PostgreSQL's unit of work: statements run on the driver's own connection, in as few round trips as can be.

What begins a transaction is sent together with its first statement. A driver's pipeline could do that as well, and send
more at once, but takes more processor time than the round trips that it saves.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import Dialect, Engine, text
from sqlalchemy.dialects.postgresql import psycopg as driver_dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles

from ... import errors
from ..row_locks import Reserved
from ..row_types import Row
from ..statement import (
    NO_PARAMETERS,
    CompiledStatement,
    Parameters,
    RowStatement,
    Statement,
    next_change,
    one_of,
    period_rows,
)
from ..unit_of_work import UnitOfWork
from .postgresql_errors import UNKNOWN

if TYPE_CHECKING:
    from ..engine import Database

#: For the server, which prepares statements.
COMPILER: Final[Dialect] = driver_dialect.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
#: For the driver, which writes the values into the statement: several statements in one text cannot have parameters.
TEXT_COMPILER: Final[Dialect] = driver_dialect.dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]

#: Where writers tell that something changed.
CHANNEL: Final = "hermes_store_changes"


@compiles(one_of, "postgresql")
def _one_of(element: one_of, compiler: Any, **options: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **options)} = ANY ({compiler.process(values, **options)})"


@compiles(period_rows, "postgresql")
def _period_rows(element: period_rows, compiler: Any, **options: Any) -> str:
    [times] = element.clauses
    array = compiler.process(times, **options)
    numbered = f"unnest({array}) WITH ORDINALITY AS times (start_at, number)"
    return f"(SELECT start_at, lead(start_at) OVER (ORDER BY number) AS end_at FROM {numbered})"  # noqa: S608


@compiles(next_change, "postgresql")
def _next_change(element: next_change, compiler: Any, **options: Any) -> str:
    # The transaction's number: see `PostgreSQL.last_change`. Whoever listens is told once it is committed.
    return (
        "(SELECT coalesce(max(base), 0) + pg_current_xact_id()::text::bigint "  # noqa: S608
        f"FROM change_state, pg_notify('{CHANNEL}', ''))"
    )


class PostgreSQLUnitOfWork(UnitOfWork):
    """One transaction on a connection of an engine's pool.

    Args:
        database: the database.
        engine: has the connections.
        beginning: the statements that the transaction begins with. The last one of a transaction that writes returns
            the schema's revision. Empty: there is no transaction, and each statement sees its own state of the data.
        writes: whether the transaction writes.
    """

    __slots__ = ("_beginning", "_connection", "_cursor", "_engine", "_is_begun", "_limited_at", "_raw", "_waited")

    def __init__(self, database: Database, engine: Engine, beginning: Sequence[str], *, writes: bool) -> None:
        super().__init__(database, writes=writes)
        self._engine = engine
        self._beginning = beginning
        self._is_begun = False
        #: The pool's connection, the driver's, and its cursor; None outside the transaction.
        self._connection: Any = None
        self._raw: Any = None
        self._cursor: Any = None
        #: Seconds that this verb has waited for locks, and those that it had when its next wait was limited.
        self._waited = self._limited_at = 0.0

    @property
    def _driver(self) -> Any:
        return self._engine.dialect.dbapi

    def _begin(self) -> None:
        if self.writes and self.dialect.settings.read_only:  # a verb may find nothing to write
            raise errors.DatabaseReadOnlyError("The store was opened with read_only=True. Nothing was written.")
        try:
            self._connection = connection = self._engine.raw_connection()
            self._raw = connection.driver_connection
            if self._raw.pgconn.transaction_status:  # a listener of the caller's engine set something
                self._raw.commit()
            self._raw.autocommit = True  # transactions are begun here, and not by the driver
            self._cursor = self._driver.RawCursor(self._raw)
        except self._driver.Error as error:
            raise self._wrapped(error) from error

    def _commit(self) -> None:
        if not self._is_begun or not self._beginning:
            return
        is_sent = not self.is_lost
        try:
            self._raw.commit()
        except self._driver.Error as error:
            found = self._database.translate(error)
            if is_sent and self.writes and isinstance(found, errors.DatabaseUnavailableError):
                raise errors.CommitUnknownError(f"{self.dialect.display}: {UNKNOWN}") from error
            raise self._wrapped(error) from error

    def _end(self) -> None:
        connection, raw = self._connection, self._raw
        if connection is None:
            return
        self._cursor = None
        try:
            if raw is not None and not raw.closed:
                if raw.pgconn.transaction_status:
                    raw.rollback()
                raw.autocommit = False
            else:
                connection.invalidate()
        except self._driver.Error:  # the connection is broken, and of no use to others
            connection.invalidate()
        connection.close()
        self._connection = self._raw = None

    # ── Sending statements ──

    def _run(self, statement: Statement, parameters: Parameters) -> tuple[CompiledStatement, Any]:
        """Run a statement, and return its cursor."""
        compiled = statement.compiled(COMPILER)
        try:
            if self._is_begun:
                return compiled, self._cursor.execute(compiled.sql, compiled.values(parameters), binary=True)
            if not self._beginning:
                values = compiled.values(parameters)
                return compiled, self._first(lambda: self._cursor.execute(compiled.sql, values, binary=True))
            as_text = statement.compiled(TEXT_COMPILER)
            return compiled, self._first(lambda: self._begin_with(as_text.sql, as_text.bind(parameters)))
        except self._driver.Error as error:
            raise self._wrapped(error) from error

    def command(self, sql: str) -> None:
        """Run a statement without parameters, which returns nothing; begin the transaction if it is not begun.

        Args:
            sql: the statement; empty for none.
        """
        try:
            if not self._is_begun:
                self._first(lambda: self._begin_with(sql, None))
            elif sql:
                self._cursor.execute(sql)
        except self._driver.Error as error:
            raise self._wrapped(error) from error

    def _first(self, send: Callable[[], Any]) -> Any:
        """Send what is sent first over a connection that others may have used, and return what that returns.

        A connection of the pool may be broken meanwhile. Nothing was done over it then, so it is sent over another one,
        instead of asking each connection first whether it still works.
        """
        while True:
            facts = self._connection.info
            is_new = not facts.get(_IS_USED)
            facts[_IS_USED] = True
            try:
                sent = send()
            except self._driver.Error:
                if is_new or not self._raw.closed:
                    raise
            else:
                self._is_begun = True
                return sent
            self._end()
            self._begin()

    def _begin_with(self, sql: str, parameters: Parameters | None) -> Any:
        """Begin the transaction, and run its first statement, in one round trip; return the statement's cursor."""
        cursor = self._driver.ClientCursor(self._raw)
        cursor.execute("; ".join((*self._beginning, sql)), parameters)
        if self.writes:
            for _ in self._beginning[1:]:
                cursor.nextset()
            *_, revision = cursor.fetchone() or (0,)
            self._database.check_schema(int(revision))
        while cursor.nextset():
            pass
        return cursor

    def _wrapped(self, error: Exception) -> DBAPIError:
        """Return SQLAlchemy's error for the driver's, as other modules do not know the driver."""
        return cast(DBAPIError, DBAPIError.instance(None, None, error, self._driver.Error))

    @property
    def raw(self) -> Any:
        """The driver's connection, in the transaction."""
        if not self._is_begun:
            self.command("")
        return self._raw

    def rows(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> list[Row]:
        if statement.waits and self.writes:
            return self._wait(statement, parameters)
        compiled, cursor = self._run(statement, parameters)
        return compiled.rows(cursor.fetchall())

    def execute(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> int:
        _, cursor = self._run(statement, parameters)
        changed: int = cursor.rowcount
        return changed

    def execute_many(self, statement: RowStatement, rows: Sequence[Row]) -> int:
        if not rows:
            return 0
        if not self._is_begun:
            self.command("")
        compiled = statement.compiled(COMPILER)
        try:
            self._cursor.executemany(compiled.sql, compiled.bind(rows))
            changed: int = self._cursor.rowcount
        except self._driver.Error as error:
            raise self._wrapped(error) from error
        return changed

    def load(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        names = ", ".join(f'"{name}"' for name in columns)
        try:
            with self.raw.cursor() as cursor, cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(row)
        except self._driver.Error as error:
            raise self._wrapped(error) from error

    # ── Locks ──

    def reserve(self, *what: Reserved) -> None:
        for one in sorted(what):
            self.rows(_reserve, {"kind": one.value})

    def _wait(self, statement: Statement, parameters: Parameters) -> list[Row]:
        """Run a statement that may wait for locks: all of a verb's have one busy timeout together."""
        if self._waited > self._limited_at:
            self._set_lock_timeout(self._database.settings.busy_timeout - self._waited)
            self._limited_at = self._waited
        begun = time.monotonic()
        compiled, cursor = self._run(statement, parameters)
        seconds = time.monotonic() - begun
        if seconds > _NOTICED:
            self._waited += seconds
        return compiled.rows(cursor.fetchall())

    def _set_lock_timeout(self, seconds: float) -> None:
        self.command(f"SET LOCAL lock_timeout = {max(1, round(seconds * 1000))}")

    def look_again(self, check: Callable[[], None]) -> None:
        check()

    @property
    def sees_one_state(self) -> bool:
        # Writers are READ COMMITTED, so that they wait for each other instead of failing.
        return bool(self._beginning) and not self.writes

    @property
    def is_lost(self) -> bool:
        return bool(self._raw is None or self._raw.closed)

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        self._waited = 0.0
        if self._limited_at:  # the next verb of a transaction has all the time again
            self._set_lock_timeout(self._database.settings.busy_timeout)
            self._limited_at = 0.0
        self.command("SAVEPOINT part")
        try:
            yield
        except BaseException:
            # After some errors the server has ended everything, and there is no savepoint to go back to.
            if not self.is_lost:
                self.command("ROLLBACK TO part; RELEASE part")
            raise
        self.command("RELEASE part")


_IS_USED: Final = "hermes_store has used it"
#: A statement that takes fewer seconds has not waited.
_NOTICED: Final = 0.05
# By two numbers, and the lock of upgrades has one: no pair is equal to it. The first stands for the schema, as several
# stores may be in one database.
_reserve: Final = Statement(
    text("SELECT pg_advisory_xact_lock(hashtext('hermes_store ' || current_schema()), :kind) IS NULL"), waits=True
)
