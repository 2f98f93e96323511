"""Reading the agent's state.db without harming it or slowing the agent.

A read looks at the file with `stat` alone (opening it would drop the locks that SQLite holds on it in this process),
opens it read-only with a connection of its own, reads one state of it, fetches all rows and closes the connection.
Nothing is kept between two reads, so a file that was replaced or upgraded is seen as it is now.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from .. import errors
from .reader_thread import Deadline, run_in_thread
from .schema import AgentSchema
from .snapshot import SchemaChangedError, Snapshot

T = TypeVar("T")

_ATTEMPTS: Final = 3
#: Seconds between two attempts.
_PAUSE: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class AgentFile:
    """A state.db.

    Args:
        path: where it is.
        busy_timeout: seconds to wait while the agent locks the file; never longer than the deadline.
        deadline: seconds that one read may take, including waits and further attempts.
        foreign_owner: read another user's file even if SQLite then leaves sidecar files that belong to this user.
        own_database: the store's own file, which is refused.
    """

    path: Path
    busy_timeout: float = 5.0
    deadline: float = 30.0
    foreign_owner: bool = False
    own_database: Path | None = None

    def read(self, callback: Callable[[Snapshot], T]) -> T:
        """Call `callback` with one state of the data and return what it returns; try again after a transient error.

        It is called in another thread, so that the deadline and Ctrl-C end a running query.

        Args:
            callback: reads what it needs, and keeps no reference to the snapshot.

        Raises:
            AgentError: the file cannot be read; the subclass says why.
        """
        deadline = Deadline(self.deadline)
        return run_in_thread(lambda: self._read(callback, deadline), deadline)

    def _read(self, callback: Callable[[Snapshot], T], deadline: Deadline) -> T:
        path = self.check()
        for attempt in itertools.count(1):
            try:
                return self._read_once(path, deadline, callback)
            except sqlite3.Error as error:
                if attempt == _ATTEMPTS or not _is_transient(error) or deadline.is_over:
                    raise translate(error, path) from error
                time.sleep(_PAUSE)
        raise AssertionError("the loop returns or raises")

    def _read_once(self, path: Path, deadline: Deadline, callback: Callable[[Snapshot], T]) -> T:
        patience = min(self.busy_timeout, deadline.remaining)
        with (
            closing(_connect(path, patience)) as connection,  # which ends the transaction, too
            deadline.applies_to(connection),
        ):
            # Each statement takes milliseconds while other threads are busy, so the schema has none of its own.
            if (schema := AgentSchema.latest(path)) is not None:
                with suppress(SchemaChangedError):
                    return _call(callback, Snapshot(connection, schema, deadline, assumed=True))
            return callback(Snapshot(connection, AgentSchema.read(connection, path), deadline))

    def check(self) -> Path:
        """Return the absolute path of the file, after looking with `stat` whether it can be read.

        Raises:
            AgentError: it cannot.
        """
        path = self.path.absolute()
        try:
            status = path.stat()
        except FileNotFoundError as error:
            raise errors.AgentMissingError(f"There is no {path}. Has the agent run with this home?") from error
        except OSError as error:
            raise errors.AgentPermissionError(f"{path} cannot be looked at: {error.strerror}.") from error
        if not stat.S_ISREG(status.st_mode):
            raise errors.AgentNotADatabaseError(f"{path} is not a regular file.")
        if self.own_database is not None and _same_file(status, self.own_database):
            raise errors.AgentNotADatabaseError(f"{path} is the store's own database, not the agent's.")
        if status.st_size == 0:
            raise errors.AgentEmptyError(f"{path} is empty (0 bytes).")
        self._check_owner(path, status)
        return path

    def _check_owner(self, path: Path, status: os.stat_result) -> None:
        if not hasattr(os, "geteuid") or self.foreign_owner or os.geteuid() in (0, status.st_uid):
            return
        if not Path(f"{os.path.realpath(path)}-shm").exists():
            raise errors.AgentPermissionError(
                f"{path} belongs to another user, and SQLite would leave -wal and -shm files of yours next to it, "
                "which lock the agent out of its own database. Read it as its owner, or while the agent has it open; "
                "foreign_owner=True reads it all the same."
            )


def _call(callback: Callable[[Snapshot], T], snapshot: Snapshot) -> T:
    """Call `callback`, and confirm the schema if no query has done so: the result depends on it alone."""
    try:
        result = callback(snapshot)
    except errors.HermesStoreError:
        if snapshot.assumed:
            snapshot.confirm()
        raise
    if snapshot.assumed:
        snapshot.confirm()
    return result


def _same_file(status: os.stat_result, other: Path) -> bool:
    try:
        found = other.stat()
    except OSError:  # the store's own file is gone, so this is another
        return False
    return (status.st_dev, status.st_ino) == (found.st_dev, found.st_ino)


def _connect(path: Path, busy_timeout: float) -> sqlite3.Connection:
    """Return a connection that reads the file, in a transaction."""
    uri = f"{path.as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=max(0.0, busy_timeout), isolation_level=None)
    try:
        # A script: a statement that is executed alone releases Python's lock twice as often; see `queries`.
        connection.executescript("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; BEGIN")
    except BaseException:  # whatever it is, nobody else would close the connection
        connection.close()
        raise
    return connection


def _is_transient(error: BaseException) -> bool:
    """Whether another attempt may succeed (the agent was changing its log, a virtual disk failed once).

    A locked file is not transient: SQLite has waited for `busy_timeout` already.
    """
    name = getattr(error, "sqlite_errorname", None) or ""
    return name.startswith(("SQLITE_IOERR", "SQLITE_LOCKED", "SQLITE_PROTOCOL"))


def translate(error: BaseException, path: Path) -> errors.AgentError:
    """Return the `AgentError` for an error of SQLite's on the agent's file."""
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    for prefix, (kind, advice) in _MEANINGS.items():
        if name.startswith(prefix):
            return kind(f"{path}: {error} [{name}]. {advice}")
    return errors.AgentError(f"{path}: {error} [{name}].")


_SIDECARS: Final = (
    "You may not read it, or not create the -wal and -shm files that SQLite needs. Read it as the user whom "
    "the agent runs as."
)
_MEANINGS: Final[Mapping[str, tuple[type[errors.AgentError], str]]] = {
    "SQLITE_READONLY_ROLLBACK": (
        errors.AgentHotJournalError,
        "The agent stopped while it wrote. Start the agent once: it rolls the unfinished change back.",
    ),
    "SQLITE_READONLY": (errors.AgentPermissionError, _SIDECARS),
    "SQLITE_CANTOPEN": (errors.AgentPermissionError, _SIDECARS),
    "SQLITE_PERM": (errors.AgentPermissionError, _SIDECARS),
    "SQLITE_AUTH": (errors.AgentPermissionError, _SIDECARS),
    "SQLITE_NOTADB": (errors.AgentNotADatabaseError, "It is not an SQLite database."),
    "SQLITE_CORRUPT": (
        errors.AgentCorruptError,
        "It is damaged (the agent's own repair is the way to mend it), or the disk cannot read a part of it.",
    ),
    "SQLITE_IOERR": (errors.AgentError, "The disk or the file system failed."),
    "SQLITE_BUSY": (errors.AgentLockedError, "The agent has locked it. Try again."),
    "SQLITE_LOCKED": (errors.AgentLockedError, "The agent has locked it. Try again."),
    "SQLITE_PROTOCOL": (errors.AgentLockedError, "The agent has locked it. Try again."),
    "SQLITE_INTERRUPT": (errors.AgentTimeoutError, "Reading took longer than the deadline. Give it more (deadline=…)."),
    "SQLITE_ERROR": (errors.AgentSchemaError, "Its tables are not what they seemed to be."),
    "SQLITE_SCHEMA": (errors.AgentSchemaError, "Its tables changed while they were read. Try again."),
}
