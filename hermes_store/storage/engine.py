"""An open database: transactions that queue, survive forks and interrupts, and fail with this library's errors."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Iterator
from types import FrameType
from typing import Final, Protocol

from ..errors import (
    CopyUnfinishedError,
    DatabaseCorruptError,
    DatabaseError,
    DatabaseLockedError,
    SchemaNewerError,
    SchemaOutdatedError,
    StoreClosedError,
    TransactionError,
)
from .dialects import Dialect, Settings, Target, dialect_for
from .fork_gate import ForkGate, admit_delays, delay_forks, hold_back_delays
from .pending_words import PendingWords
from .schema_version import COPYING
from .unit_of_work import DRIVER_ERRORS, UnitOfWork, driver_error, inherited


class Transactions(Protocol):
    """Where a verb gets its unit of work: a transaction for itself, or a part of a larger one."""

    def read(self) -> contextlib.AbstractContextManager[UnitOfWork]:
        """Give a unit of work that sees one state of the data."""

    def read_each(self) -> contextlib.AbstractContextManager[UnitOfWork]:
        """Give a unit of work each statement of which may see another state of the data.

        For one statement, or for several that find out whether anything changed between them. On a server it saves a
        round trip or two.
        """

    def write(self) -> contextlib.AbstractContextManager[UnitOfWork]:
        """Give a unit of work whose writes are stored all together or not at all."""


class Database:
    """An open database. It is a `Transactions`: each read and each write is one transaction."""

    def __init__(self, target: Target, settings: Settings) -> None:
        self._target = target
        self.settings = settings
        #: Why it is closed; empty while it is open.
        self.closed_reason = ""
        #: The revision that the schema has to have in a write transaction; None while that is not known yet.
        self.schema_number: int | None = None
        #: Whether it had an index of words when it was opened. Another process may make one since.
        self.has_word_index = True
        self.pending_words = PendingWords()
        self._quiet = True
        self._open()
        _open_databases.add(self)

    def _open(self) -> None:
        self.dialect: Dialect = dialect_for(self._target, self.settings)
        self._gate = ForkGate()
        self._current = threading.local()

    @property
    def is_closed(self) -> bool:
        """Whether it is closed."""
        return bool(self.closed_reason)

    def is_same(self, other: Database) -> bool:
        """Whether both are the same data, though opened twice."""
        return self is other or (self.dialect.survives_fork and self.dialect.identity == other.dialect.identity)

    def close(self) -> None:
        """Close every connection. Calling it again does nothing."""
        if not self.is_closed:
            self.closed_reason = "The store is closed; open it again to use it."
            with delay_forks():
                self.dialect.close()
        _open_databases.discard(self)

    def read(self) -> UnitOfWork:
        """Give a unit of work that sees one state of the data."""
        return self.dialect.unit_of_work(self, writes=False)

    def read_each(self) -> UnitOfWork:
        """Give a unit of work each statement of which may see another state of the data."""
        return self.dialect.unit_of_statements(self)

    def write(self) -> UnitOfWork:
        """Give a unit of work whose writes are stored all together or not at all."""
        return self.dialect.unit_of_work(self, writes=True)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Give several verbs one commit; an exception that leaves the block undoes all of them."""
        with self.write() as unit, _lent(unit):
            transaction = Transaction(unit)
            yield transaction
            transaction.require_usable()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Give several reads one state of the data."""
        with self.read() as unit, _lent(unit):
            yield Snapshot(unit)

    # ── What units of work ask ──

    def check_schema(self, number: int) -> None:
        """Refuse to write when another process changed the schema since this one opened the database.

        Args:
            number: the schema's revision now.

        Raises:
            SchemaNewerError, SchemaOutdatedError: it did.
            CopyUnfinishedError: it copies another database into this one.
        """
        known = self.schema_number
        if number == int(COPYING) != known:
            raise CopyUnfinishedError(self.dialect.display)
        if known is not None and number != known:
            kind = SchemaNewerError if number > known else SchemaOutdatedError
            raise kind(self.dialect.display, f"{number:04}", f"{known:04}")

    def require_open(self) -> None:
        """Make sure that the database is not closed.

        Raises:
            StoreClosedError: it says why it is closed.
        """
        if self.is_closed:
            raise StoreClosedError(self.closed_reason)

    def admit(self, unit: UnitOfWork) -> None:
        """Wait for the turn of a unit of work, and let it begin.

        Raises:
            StoreClosedError: the database was closed.
            TransactionError: this thread is inside a transaction of this database.
            DatabaseLockedError: the turn did not come within the busy timeout.
        """
        self.require_open()
        self._check_current()
        self._current.unit = weakref.ref(unit)
        timeout = self.settings.busy_timeout
        if not self._gate.enter(unit, timeout):
            raise DatabaseLockedError(
                f"A fork of this process has been waiting for more than {timeout:g} s for other transactions to end. "
                "Nothing was written; try again."
            )
        queue = self.dialect.queue(writes=unit.writes)
        if queue is not None and not queue.acquire(unit, timeout):
            raise DatabaseLockedError(
                f"Another thread of this process has been writing for more than {timeout:g} s. Nothing was written; "
                "try again, and keep transactions short."
            )

    def dismiss(self, unit: UnitOfWork) -> None:
        """Note that a unit of work is over; doing it again does nothing."""
        queue = self.dialect.queue(writes=unit.writes)
        if queue is not None:
            queue.release(unit)
        self._gate.leave(unit)

    def _check_current(self) -> None:
        """Refuse a second unit of work inside a transaction of this thread, and release one that was left over."""
        reference = getattr(self._current, "unit", None)
        unit = None if reference is None else reference()
        if unit is None or not unit.is_active:
            return
        if unit.is_lent:
            raise TransactionError(
                "This thread is inside a transaction or snapshot of this store: use what that gave (tx.sessions, "
                "tx.messages, …). The store itself would see another state of the data, or wait for this thread itself."
            )
        if _was_abandoned(unit):
            unit._release()

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the driver's errors into this library's."""
        try:
            yield
        except UnicodeDecodeError as error:  # the driver's, of its own message, which quotes the damaged schema
            raise DatabaseCorruptError(
                f"{self.dialect.display}: the schema is damaged. `hermes-store repair` puts it back, after copying the "
                "file; `hermes-store salvage` reads everything into a new database."
            ) from error
        except DRIVER_ERRORS as error:
            raise self.translate(error) from error

    def translate(self, error: BaseException) -> DatabaseError:
        """Return this library's error for a driver's."""
        return self.dialect.translate(driver_error(error))

    # ── Forks ──

    def before_fork(self) -> None:
        """Close the connections that a child must not inherit, once no transaction uses them."""
        self._quiet = True
        if self.dialect.closes_before_fork and not self.is_closed:
            self._quiet = self._gate.close(self.settings.busy_timeout)
            if self._quiet:
                self.dialect.close()

    def after_fork_in_parent(self) -> None:
        """Admit transactions again."""
        self._gate.open()

    def after_fork_in_child(self) -> None:
        """Open new connections. Those of the parent are neither used nor closed."""
        before = self.dialect
        inherited.append(before)
        if self.is_closed:
            return
        if not self.dialect.survives_fork:
            self.closed_reason = self.dialect.fork_refusal
        elif not self._quiet:
            self.closed_reason = (
                "This process was forked in the middle of a transaction, so it cannot use the store that it inherited. "
                "Open one in the child, or fork when no transaction is under way."
            )
        else:
            self._open()
            self.dialect.continue_from(before)


def _was_abandoned(unit: UnitOfWork) -> bool:
    """Whether an exception has left the block of a unit of work before its clean-up began.

    An exception from a signal handler can do that. While it is being handled, its traceback keeps the unit alive: as a
    variable of a function that is over.
    """
    running = _running_frames()
    return any(
        id(frame) not in running and any(value is unit for value in frame.f_locals.values())
        for error in (sys.exc_info()[1], getattr(sys, "last_value", None))
        for frame in _frames_of_traceback(error)
    )


def _running_frames() -> set[int]:
    """Return what identifies the frames of this thread. (The frames themselves would refer to themselves.)"""
    found = set()
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        found.add(id(frame))
        frame = frame.f_back
    return found


def _frames_of_traceback(error: BaseException | None) -> Iterator[FrameType]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        trace = error.__traceback__
        while trace is not None:
            yield trace.tb_frame
            trace = trace.tb_next
        error = error.__cause__ or error.__context__


@contextlib.contextmanager
def _lent(unit: UnitOfWork) -> Iterator[None]:
    unit.is_lent = True
    try:
        yield
    finally:
        unit.is_lent = False


class Snapshot:
    """Inside `Database.snapshot`: reads share the unit of work, and writes are refused."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit
        self._owner = (os.getpid(), threading.get_ident())

    def require_usable(self) -> None:
        """Make sure that the block is not over, and that this is its thread.

        Raises:
            TransactionError: it says why.
        """
        if not self._unit.is_lent:
            raise TransactionError("This transaction is over; begin another one.")
        if self._owner != (os.getpid(), threading.get_ident()):
            raise TransactionError(
                "A transaction belongs to the thread and the process that began it. Nothing was done here."
            )
        if self._unit.is_lost:
            raise TransactionError(
                "The database rolled this whole transaction back after an error (a full disk, a broken connection). "
                "Nothing of it was written; begin another one."
            )

    @contextlib.contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """Give the unit of work."""
        self.require_usable()
        with self._unit._database.translated():
            yield self._unit

    def read_each(self) -> contextlib.AbstractContextManager[UnitOfWork]:
        """Give the unit of work."""
        return self.read()

    def write(self) -> contextlib.AbstractContextManager[UnitOfWork]:
        """Refuse to write."""
        raise TransactionError("A snapshot is for reading. Nothing was written; use store.transaction().")


class Transaction(Snapshot):
    """Inside `Database.transaction`: verbs share the unit of work, and each is undone alone when it fails."""

    @contextlib.contextmanager
    def write(self) -> Iterator[UnitOfWork]:
        """Give the unit of work, in a savepoint."""
        self.require_usable()
        with self._unit._database.translated(), self._unit.savepoint():
            yield self._unit


class Nested:
    """The verbs of a collection inside a unit of work that the caller holds."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def read(self) -> contextlib.AbstractContextManager[UnitOfWork]:
        """Give the unit of work."""
        return contextlib.nullcontext(self._unit)

    def read_each(self) -> contextlib.AbstractContextManager[UnitOfWork]:
        """Give the unit of work."""
        return contextlib.nullcontext(self._unit)

    def write(self) -> contextlib.AbstractContextManager[UnitOfWork]:
        """Give the unit of work."""
        return contextlib.nullcontext(self._unit)


_open_databases: Final[weakref.WeakSet[Database]] = weakref.WeakSet()


def _before_fork() -> None:
    hold_back_delays()  # first: what is being opened may wait for a transaction of a database
    for database in list(_open_databases):
        database.before_fork()


def _after_fork_in_parent() -> None:
    for database in list(_open_databases):
        database.after_fork_in_parent()
    admit_delays()


def _after_fork_in_child() -> None:
    for database in list(_open_databases):
        database.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
