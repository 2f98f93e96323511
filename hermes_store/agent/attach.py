"""Reading the agent's state.db without harming it or slowing the agent.

Each read looks at the file with `stat` alone (opening it would drop the locks that SQLite holds on it in this
process), attaches it read-only to a connection of its own, reads one state of it, fetches everything and closes.
Nothing is kept between two reads: a file that was replaced or upgraded is seen as it is now.
"""

from __future__ import annotations

import functools
import itertools
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from .. import errors
from .schema import AgentSchema
from .snapshot import Snapshot
from .watch import Watch, driver_connection

T = TypeVar("T")

_ATTEMPTS: Final = 3
_PAUSE: Final = 0.05
#: A file of so many bytes is worth a second connection where it is scanned.
_LARGE: Final = 32 * 2**20
#: So many more, to be exact.
_TWINS: Final = 3


@dataclass(frozen=True, kw_only=True)
class AgentFile:
    """A state.db.

    Args:
        path: where it is.
        busy_timeout: seconds to wait for the agent, where it locks the file; no longer than the deadline.
        deadline: seconds that one read may take, waiting and repeating included.
        foreign_owner: read a file of another user, even if that makes SQLite leave sidecar files of ours beside it.
        own_database: the store's own file, which is not to be taken for the agent's.
    """

    path: Path
    busy_timeout: float = 5.0
    deadline: float = 30.0
    foreign_owner: bool = False
    own_database: Path | None = None

    def read(self, work: Callable[[Snapshot], T], *, scans: bool = False) -> T:
        """Run `work` on one state of the data, again after a fault that passes, and return what it returns.

        Args:
            work: reads what it needs, and keeps nothing of the snapshot.
            scans: whether it scans all messages where no index leads to them; in a large file, others then share that.

        Raises:
            AgentError: what is wrong with the file.
        """
        path, status = self._look()
        until = time.monotonic() + self.deadline
        for attempt in itertools.count(1):
            try:
                return self._read_once(path, status, until, work, scans)
            except (DBAPIError, sqlite3.Error) as error:
                origin = getattr(error, "orig", None) or error
                if attempt == _ATTEMPTS or not _passes(origin) or time.monotonic() >= until:
                    raise translate(origin, path) from error
                time.sleep(_PAUSE)
        raise AssertionError("the loop returns or raises")

    def _read_once(
        self, path: Path, status: os.stat_result, until: float, work: Callable[[Snapshot], T], scans: bool
    ) -> T:
        patience = min(self.busy_timeout, self.deadline)
        give_up = min(until, time.monotonic() + patience)
        another = _engine(path, 0.0).connect
        with _engine(path, patience).connect() as connection, Watch(connection, until) as watch:
            _wait_until(connection, give_up)
            with connection.begin():
                schema = AgentSchema.read(connection, path)
                shared = scans and status.st_size >= _LARGE and schema.numbers_messages and not schema.finds_messages
                if not shared:
                    return work(Snapshot(connection, schema, watch, another))
            _wait_until(connection, give_up)
            with _twins(another, lambda: _same_file(status, path)) as begin, connection.begin():
                schema = AgentSchema.read(connection, path)
                return work(Snapshot(connection, schema, watch, another, begin()))

    def check(self) -> Path:
        """Return the real path of the file if `stat` finds nothing wrong with reading it.

        Raises:
            AgentError: it does.
        """
        return self._look()[0]

    def _look(self) -> tuple[Path, os.stat_result]:
        path = Path(os.path.realpath(self.path))
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
        return path, status

    def _check_owner(self, path: Path, status: os.stat_result) -> None:
        if not hasattr(os, "geteuid") or self.foreign_owner or os.geteuid() in (0, status.st_uid):
            return
        if not path.with_name(path.name + "-shm").exists():
            raise errors.AgentPermissionError(
                f"{path} belongs to another user, and SQLite would leave -wal and -shm files of yours beside it, which "
                "lock the agent out of its own database. Read it as its owner, or while the agent has it open; "
                "foreign_owner=True reads it all the same."
            )


def _same_file(status: os.stat_result, other: Path) -> bool:
    try:
        theirs = other.stat()
    except OSError:  # a store whose file is gone is not this file
        return False
    return (status.st_dev, status.st_ino) == (theirs.st_dev, theirs.st_ino)


@functools.lru_cache(maxsize=32)
def _engine(path: Path, busy_timeout: float) -> Engine:
    """Return an engine that opens and closes a connection for each use: it holds nothing in between."""

    def connect() -> sqlite3.Connection:
        # uri=True on the main database is what lets the attached one be a URI.
        connection = sqlite3.connect(
            "file::memory:", uri=True, timeout=busy_timeout, isolation_level=None, check_same_thread=False
        )
        try:
            for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "query_only = ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("ATTACH DATABASE ? AS agent", (f"{path.as_uri()}?mode=ro",))
        except BaseException:  # whatever it is, the connection is nobody's
            connection.close()
            raise
        return connection

    engine = create_engine("sqlite+pysqlite://", creator=connect, poolclass=NullPool)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _wait_until(connection: Connection, give_up: float) -> None:
    """Let no query wait for the agent longer than until a moment: attaching may have waited before."""
    milliseconds = max(0, round(1000 * (give_up - time.monotonic())))
    driver_connection(connection).execute(f"PRAGMA busy_timeout = {milliseconds}")


@contextmanager
def _twins(
    connect: Callable[[], Connection], same_file: Callable[[], bool]
) -> Iterator[Callable[[], tuple[Connection, ...]]]:
    """Open connections that are to see what the first one sees, before that begins to read.

    The block is given what begins to read on them, once the first one has begun. It returns those that saw nothing
    committed since they were opened, and none if the file was replaced since the first one was opened.

    They wait for nobody: where the journal is of the older kind, the agent may be waiting for the first connection, and
    nobody may begin to read meanwhile. Whatever is in their way, the first connection can do without them.
    """
    versions: list[tuple[Connection, int]] = []

    def begin() -> tuple[Connection, ...]:
        same: list[Connection] = []
        with suppress(DBAPIError, sqlite3.Error):
            for connection, version in versions if same_file() else ():
                transaction = connection.begin()
                if _data_version(connection) == version:
                    same.append(connection)
                else:
                    transaction.rollback()
        return tuple(same)

    with ExitStack() as opened:
        with suppress(DBAPIError, sqlite3.Error):
            for _ in range(_TWINS):
                connection = opened.enter_context(connect())
                versions.append((connection, _data_version(connection)))
        yield begin


def _data_version(connection: Connection) -> int:
    # It tells whether others committed between two looks: https://www.sqlite.org/pragma.html#pragma_data_version
    version = driver_connection(connection).execute("PRAGMA agent.data_version").fetchone()[0]
    assert isinstance(version, int)  # noqa: S101 - for the type checker
    return version


def _passes(error: BaseException) -> bool:
    """Whether an error may be gone in a moment (the agent changes its log, a virtual disk hiccups).

    A file that is busy is not among these: SQLite itself waited as long as it was told to.
    """
    name = getattr(error, "sqlite_errorname", None) or ""
    return name.startswith(("SQLITE_IOERR", "SQLITE_LOCKED", "SQLITE_PROTOCOL"))


def translate(error: BaseException, path: Path) -> errors.AgentError:
    """Return the error of ours that says what SQLite's error on the agent's file means."""
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    for prefix, (kind, advice) in _MEANINGS.items():
        if name.startswith(prefix):
            return kind(f"{path}: {error} [{name}]. {advice}")
    return errors.AgentError(f"{path}: {error} [{name}].")


_SIDECARS: Final = (
    "You may not read it, or not make the -wal and -shm files beside it that SQLite needs. Read it as the user whom "
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
    "SQLITE_CORRUPT": (errors.AgentCorruptError, "It is damaged; the agent's own repair is the way to mend it."),
    "SQLITE_BUSY": (errors.AgentLockedError, "The agent holds it. Try again."),
    "SQLITE_LOCKED": (errors.AgentLockedError, "The agent holds it. Try again."),
    "SQLITE_PROTOCOL": (errors.AgentLockedError, "The agent holds it. Try again."),
    "SQLITE_INTERRUPT": (errors.AgentTimeoutError, "Reading took longer than the deadline. Give it more (deadline=…)."),
    "SQLITE_ERROR": (errors.AgentSchemaError, "Its tables are not what they seemed to be."),
    "SQLITE_SCHEMA": (errors.AgentSchemaError, "Its tables changed while they were read. Try again."),
}
