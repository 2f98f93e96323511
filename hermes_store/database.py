"""An open database: transactions that begin rightly, queue fairly, survive a fork, and fail in our words."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Engine

from . import dialects
from .dialects import DRIVER_ERRORS, Backend, Settings, Target, backend_for
from .errors import StoreClosedError, TransactionError
from .forks import ForkGate


class Unit(Protocol):
    """Where a verb gets its connection: a transaction of its own, or a part of a larger one."""

    def read(self) -> contextlib.AbstractContextManager[Connection]:
        """Give a connection that sees one state of the data."""

    def write(self) -> contextlib.AbstractContextManager[Connection]:
        """Give a connection whose writes come to be all together or not at all."""


class Database:
    """The engine of one store. As a `Unit`, each read and each write is a transaction of its own."""

    def __init__(self, target: Target, settings: Settings) -> None:
        self._target = target
        self.settings = settings
        self._closed: str | None = None
        self._in_transaction = threading.local()
        self._gate = ForkGate()
        self._quiet = True
        self._connect()
        _open_databases.add(self)

    def _connect(self) -> None:
        self.backend: Backend = backend_for(self._target, self.settings)
        self.engine: Engine = self.backend.create_engine()
        self._reader = self.engine.execution_options(**self.backend.read_options)
        self._writer = self.engine.execution_options(**self.backend.write_options)

    def is_same(self, other: Database) -> bool:
        """Whether both are the same data, though opened twice."""
        return self is other or (self.backend.survives_fork and self.backend.display == other.backend.display)

    @property
    def closed(self) -> bool:
        """Whether it can be used no more."""
        return self._closed is not None

    @property
    def path(self) -> Path | None:
        """The database's file, where it is one."""
        return getattr(self.backend, "path", None)

    def prepare(self, *, create: bool) -> None:
        """Do what is done once when a store is opened (see `Backend.prepare`)."""
        with self.translated():
            self.backend.prepare(create=create)

    def settle(self) -> None:
        """Do the rest of that, once the database was found to be ours (see `Backend.settle`)."""
        with self.translated():
            self.backend.settle(self.engine)

    def close(self) -> None:
        """Close every connection. Calling it again does nothing."""
        if self._closed is None:
            self._closed = "The store is closed; open it again to use it."
            self.engine.dispose()
        _open_databases.discard(self)

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Turn the driver's errors into ours."""
        try:
            yield
        except DRIVER_ERRORS as error:
            origin = getattr(error, "orig", None) or error
            raise self.backend.translate(origin, self.backend.display) from error

    def read(self) -> contextlib.AbstractContextManager[Connection]:
        self._require_usable()
        return self._begin(self._reader, self.backend.read_lock)

    def write(self) -> contextlib.AbstractContextManager[Connection]:
        self._require_usable()
        return self._begin(self._writer, self.backend.write_lock)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Several verbs, one commit; an exception that leaves the block takes all of them back."""
        with self.write() as connection:
            transaction = Transaction(self, connection)
            with self._lent(transaction):
                yield transaction
                transaction.require_usable()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Several reads of one state of the data."""
        with self.read() as connection:
            snapshot = Snapshot(self, connection)
            with self._lent(snapshot):
                yield snapshot

    @contextlib.contextmanager
    def _lent(self, unit: Snapshot) -> Iterator[None]:
        self._in_transaction.now = True
        try:
            yield
        finally:
            self._in_transaction.now = False
            unit.over = True

    @contextlib.contextmanager
    def savepoint(self, connection: Connection) -> Iterator[None]:
        """A part of a transaction that is taken back alone when an exception leaves it."""
        savepoint = connection.begin_nested()
        try:
            yield
        except BaseException:
            # After some errors the database has taken back everything, and there is no savepoint to go back to.
            if not self.backend.lost_transaction(connection):
                savepoint.rollback()
            raise
        savepoint.commit()

    @contextlib.contextmanager
    def _begin(self, engine: Engine, lock: contextlib.AbstractContextManager[Any]) -> Iterator[Connection]:
        process, pool = os.getpid(), engine.pool
        try:
            with self.translated(), contextlib.ExitStack() as stack:
                stack.enter_context(self._gate)
                stack.enter_context(lock)
                connection = stack.enter_context(engine.connect())
                stack.enter_context(connection.begin())
                try:
                    yield connection
                finally:
                    if os.getpid() != process:  # a forked child leaves the block, but it is the parent's transaction
                        _inherited.append(stack.pop_all())
        finally:
            if self._closed is not None and os.getpid() == process:
                pool.dispose()  # closed meanwhile: the connection went back to a pool that nobody empties any more

    def _require_usable(self) -> None:
        if self._closed is not None:
            raise StoreClosedError(self._closed)
        if getattr(self._in_transaction, "now", False):
            raise TransactionError(
                "This thread is inside a transaction or snapshot of this store: use what that gave (tx.sessions, "
                "tx.messages, …). The store itself would see another state of the data, or wait for this thread itself."
            )

    def before_fork(self) -> None:
        """Close the connections that a child must not inherit, when no transaction uses them any more."""
        self._quiet = True
        if self.backend.closes_before_fork and self._closed is None:
            self._quiet = self._gate.close(self.settings.busy_timeout)
            if self._quiet:
                self.engine.dispose()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._gate.open()

    def after_fork_in_child(self) -> None:
        """Leave what is the parent's alone, neither used nor closed, and make connections of our own."""
        # Held here, the parent's connections are not even garbage-collected: closing them would run SQLite's
        # clean-up of a file that the parent has open, or say goodbye to a server on the parent's socket.
        _inherited.append(self.engine)
        self._gate = ForkGate()
        self._in_transaction = threading.local()
        if self._closed is not None:
            return
        if not self.backend.survives_fork:
            self._closed = "A store in memory does not survive a fork; use a file to share one between processes."
        elif not self._quiet:
            self._closed = (
                "This process was forked in the middle of a transaction, so it cannot use the store that it inherited. "
                "Open one in the child, or fork when no transaction is under way."
            )
        else:
            self._connect()


class SharedConnection:
    """A unit of work inside a transaction that somebody else keeps."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def read(self) -> contextlib.AbstractContextManager[Connection]:
        return contextlib.nullcontext(self._connection)

    def write(self) -> contextlib.AbstractContextManager[Connection]:
        return contextlib.nullcontext(self._connection)


class Snapshot:
    """A unit inside `Database.snapshot`: its reads share the connection, and it writes nothing."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self._connection = connection
        self._owner = (os.getpid(), threading.get_ident())
        self._database = database
        self.over = False

    def require_usable(self) -> None:
        if self.over:
            raise TransactionError("This transaction is over; begin another one.")
        if self._database.backend.lost_transaction(self._connection):
            raise TransactionError(
                "The database took this whole transaction back after an error (a full disk, a broken connection). "
                "Nothing of it was written; begin another one."
            )
        if self._owner != (os.getpid(), threading.get_ident()):
            raise TransactionError(
                "A transaction belongs to the thread and the process that began it. Nothing was done here."
            )

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        self.require_usable()
        with self._database.translated():
            yield self._connection

    def write(self) -> contextlib.AbstractContextManager[Connection]:
        raise TransactionError("A snapshot is for reading. Nothing was written; use store.transaction().")


class Transaction(Snapshot):
    """A unit inside `Database.transaction`: its verbs share the connection, each atomic by a savepoint."""

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        self.require_usable()
        with self._database.translated(), self._database.savepoint(self._connection):
            yield self._connection


_open_databases: Final[weakref.WeakSet[Database]] = weakref.WeakSet()
_inherited: Final[list[object]] = []


def _before_fork() -> None:
    for database in list(_open_databases):
        database.before_fork()


def _after_fork_in_parent() -> None:
    for database in list(_open_databases):
        database.after_fork_in_parent()


def _after_fork_in_child() -> None:
    dialects.forget_locks()
    for database in list(_open_databases):
        database.after_fork_in_child()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
