"""A unit of work: one transaction on one connection, in which the functions of this package run their statements."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ..errors import DatabaseCorruptError
from .row_locks import Reserved
from .row_types import Row
from .statement import NO_PARAMETERS, Parameters, RowStatement, Statement

if TYPE_CHECKING:
    from .dialects import Dialect
    from .engine import Database
    from .pending_words import PendingWords

#: The errors of the drivers, which `Dialect.translate` is for. SQLAlchemy's have the driver's own as `orig`.
DRIVER_ERRORS: Final = (DBAPIError, PoolTimeoutError, sqlite3.Error)
#: Those where a constraint refuses a row.
INTEGRITY_ERRORS: Final = (IntegrityError, sqlite3.IntegrityError)
#: Those where the values of one statement are refused: the rest of the transaction is fine.
REFUSED_VALUES: Final = (*INTEGRITY_ERRORS, DataError, sqlite3.DataError)


def driver_error(error: BaseException) -> BaseException:
    """Return the driver's own error for one of SQLAlchemy's, and any other one as it is."""
    return getattr(error, "orig", None) or error


def why_refused(error: BaseException) -> str:
    """Return what a report says of something that the database does not take, for example for `REFUSED_VALUES`."""
    return f"the database refused it: {driver_error(error)}"


#: What a forked child has of its parent's. Dropped, a connection would be closed: SQLite would clean up a file that the
#: parent has open, and a server would end the parent's session.
inherited: Final[list[object]] = []


class UnitOfWork(ABC):
    """One transaction: committed when its `with` block ends, rolled back when an exception leaves it.

    Everything that it holds (a place in the fork gate, the write queue, a connection) is released by `_release`, which
    may run twice: an exception from a signal handler may interrupt it at any instruction. What is left over even then
    is released when the object is dropped: the gate and the queue know it by weak references, and the driver closes its
    connection. (There is no `__del__`, in which Python would discard such an exception.) So nothing may refer to it in
    a circle, which only the garbage collector would end: no function that is passed an exception raises it, for its
    traceback refers to the function's variables.
    """

    __slots__ = ("__weakref__", "_database", "_process", "is_active", "is_lent", "writes")

    def __init__(self, database: Database, *, writes: bool) -> None:
        self._database = database
        self._process = os.getpid()
        self.writes = writes
        #: Whether it is a transaction or snapshot that the caller holds; the store itself is not to be used meanwhile.
        self.is_lent = False
        #: Whether it was begun, and what it holds was not released yet.
        self.is_active = False

    @property
    def dialect(self) -> Dialect:
        """What differs between databases."""
        return self._database.dialect

    @property
    def has_word_index(self) -> bool:
        """Whether the database had an index of words when it was opened."""
        return self._database.has_word_index

    @property
    def pending_words(self) -> PendingWords:
        """What this process knows of what is not in the index of words yet."""
        return self._database.pending_words

    @pending_words.setter
    def pending_words(self, known: PendingWords) -> None:
        self._database.pending_words = known

    def __enter__(self) -> Self:
        self.is_active = True
        try:
            self._database.admit(self)
            self._begin()
            self._database.require_open()  # it may have been closed while this thread waited for its turn
        except DRIVER_ERRORS as error:
            self._release()
            raise self._database.translate(error) from error
        except BaseException:  # whatever it is, the block is not entered, so nothing else releases anything
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._process == os.getpid():
                self._commit()
            self._release()
        except DRIVER_ERRORS as failure:  # the commit failed
            self._release()
            raise self._database.translate(failure) from failure
        except BaseException:  # this was interrupted
            self._release()
            raise
        if isinstance(error, DRIVER_ERRORS):
            raise self._database.translate(error) from error

    def _release(self) -> None:
        """Roll back what was not committed, and give everything back; doing it again does nothing."""
        if self._process != os.getpid():
            # A forked child leaves its parent's transaction and connection alone, and does not even drop them.
            inherited.append(self)
            return
        try:
            self._end()
        finally:
            self._database.dismiss(self)
            self.is_active = False

    @abstractmethod
    def _begin(self) -> None:
        """Take a connection and begin the transaction."""

    @abstractmethod
    def _commit(self) -> None:
        """Commit."""

    @abstractmethod
    def _end(self) -> None:
        """Roll back if the transaction is still open, and give the connection back; doing it again does nothing."""

    def reserve(self, *what: Reserved) -> None:  # noqa: B027 - one that writes to a file has everything
        """Wait until no other transaction has reserved these, and reserve them until this one ends.

        It comes before any lock of a row; see `row_locks`.

        Args:
            what: in their order.
        """

    def look_again(self, check: Callable[[], None]) -> None:  # noqa: B027 - nothing changes while one writes to a file
        """Call a function that checks what other transactions may have changed since this one looked first.

        Args:
            check: raises an error if it is not so any more.
        """

    def write_apart(self, callback: Callable[[Self], None]) -> None:  # noqa: B027 - the default is to do nothing
        """Call a function in a transaction of its own, where the database can end this one by itself, and did."""

    def erase(self, *, words: bool = True) -> None:  # noqa: B027 - the default is to do nothing
        """Once this is committed, leave nothing of what it removes in the files of the database, as far as it can.

        Args:
            words: also in the index of words. (Of several transactions, the last one does it for all.)
        """

    @property
    def is_erased(self) -> bool:
        """Whether it was committed and nothing is left of what it removed; see `erase`."""
        return False

    @property
    @abstractmethod
    def is_lost(self) -> bool:
        """Whether the database ended the transaction by itself, after an error."""

    @property
    def sees_one_state(self) -> bool:
        """Whether all its statements see the database as it was at one moment, but for what it writes itself."""
        return True

    @abstractmethod
    def rows(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> list[Row]:
        """Run a statement and return its rows."""

    @abstractmethod
    def execute(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> int:
        """Run a statement and return how many rows it changed."""

    @abstractmethod
    def execute_many(self, statement: RowStatement, rows: Sequence[Row]) -> int:
        """Run a statement once for each row of values, and return how many rows it changed in all."""

    @abstractmethod
    def load(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert many rows, as fast as the database can, with values as they are stored.

        Args:
            table: the name of the table.
            columns: the names of its columns, in the order of the values in a row.
            rows: the rows.
        """

    @abstractmethod
    def savepoint(self) -> contextlib.AbstractContextManager[None]:
        """Give a block that is rolled back alone when an exception leaves it."""

    def violates_unique(self, error: BaseException, table: str, *columns: str) -> bool:
        """Whether one of `INTEGRITY_ERRORS` says that a value of this unique key is taken."""
        return self.dialect.violates_unique(driver_error(error), table, *columns)

    def is_damage(self, error: BaseException) -> bool:
        """Whether an error says that the database is damaged."""
        return isinstance(error, DatabaseCorruptError) or (
            isinstance(error, DRIVER_ERRORS) and isinstance(self._database.translate(error), DatabaseCorruptError)
        )

    def row(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> Row | None:
        """Run a statement and return its first row, if there is one."""
        rows = self.rows(statement, parameters)
        return rows[0] if rows else None

    def value(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> Any:
        """Run a statement and return the first value of its first row; None if there is no row."""
        row = self.row(statement, parameters)
        return None if row is None else row[0]

    def values(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> list[Any]:
        """Run a statement and return the first value of each row."""
        return [row[0] for row in self.rows(statement, parameters)]
