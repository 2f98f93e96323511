"""An open database: transactions that begin rightly, queue fairly, survive a fork, and fail in our words."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Iterator
from typing import Any, Final, Protocol

from sqlalchemy import Connection, Engine

from . import dialects
from .dialects import DRIVER_ERRORS, Backend, Settings, Target, backend_for
from .errors import StoreClosedError, TransactionError


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
        self._connect()
        _open_databases.add(self)

    def _connect(self) -> None:
        self.backend: Backend = backend_for(self._target, self.settings)
        self.engine: Engine = self.backend.create_engine()
        self._reader = self.engine.execution_options(**self.backend.read_options)
        self._writer = self.engine.execution_options(**self.backend.write_options)

    def prepare(self) -> None:
        """Do what is done once when a store is opened (see `Backend.prepare`)."""
        with self.translated():
            self.backend.prepare(self.engine)

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
    def _begin(self, engine: Engine, lock: contextlib.AbstractContextManager[Any]) -> Iterator[Connection]:
        with self.translated(), lock, engine.connect() as connection, connection.begin():
            yield connection

    def _require_usable(self) -> None:
        if self._closed is not None:
            raise StoreClosedError(self._closed)
        if getattr(self._in_transaction, "now", False):
            raise TransactionError(
                "This thread is inside a transaction or snapshot of this store: use what that gave (tx.sessions, "
                "tx.messages, …). The store itself would see another state of the data, or wait for this thread itself."
            )

    def after_fork(self) -> None:
        """In the child: leave the parent's connections alone, neither used nor closed, and make new ones."""
        # Closing them would run SQLite's clean-up of a file that the parent has open, or say goodbye to
        # a server on the parent's socket. Held here, they are not even garbage-collected.
        _inherited.append(self.engine)
        self._in_transaction = threading.local()
        if self.backend.survives_fork:
            self._connect()
        else:
            self._closed = "A store in memory does not survive a fork; use a file to share one between processes."


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
        with self._database.translated(), self._connection.begin_nested():
            yield self._connection


_open_databases: Final[weakref.WeakSet[Database]] = weakref.WeakSet()
_inherited: Final[list[Engine]] = []


def _after_fork_in_child() -> None:
    dialects.forget_locks()
    for database in list(_open_databases):
        database.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork_in_child)
