"""SQLite: a file, or memory."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import urllib.parse
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool, StaticPool

from .. import errors
from .backend import RETRY, Settings, logger

MINIMUM_SQLITE: Final = (3, 35, 0)  # RETURNING


class _QueueLock:
    """A lock that waits no longer than the busy timeout."""

    def __init__(self, lock: threading.Lock, timeout: float) -> None:
        self._lock = lock
        self._timeout = timeout

    def __enter__(self) -> None:
        if not self._lock.acquire(timeout=self._timeout):
            raise errors.DatabaseLockedError(
                f"Another thread of this process has been writing for more than {self._timeout:g} s. Nothing was "
                "written; try again, and keep transactions short."
            )

    def __exit__(self, *exc_info: object) -> None:
        self._lock.release()


class _SQLite:
    # BEGIN IMMEDIATE takes the write lock before anything is read: a transaction that reads first and
    # wants to write then is refused at once, whatever the busy timeout.
    # https://www.sqlite.org/lang_transaction.html
    read_options: ClassVar[Mapping[str, Any]] = {"hermes_begin": "BEGIN"}
    write_options: ClassVar[Mapping[str, Any]] = {"hermes_begin": "BEGIN IMMEDIATE"}

    settings: Settings

    def _engine(self, uri: str, **pool: Any) -> Engine:
        if sqlite3.sqlite_version_info < MINIMUM_SQLITE:
            raise errors.UnsupportedDatabaseError(
                f"SQLite {'.'.join(map(str, MINIMUM_SQLITE))} or newer is needed; "
                f"this Python has {sqlite3.sqlite_version}."
            )

        def connect() -> sqlite3.Connection:
            # The driver must not begin transactions of its own (isolation_level); `_on_begin` does.
            # https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#pysqlite-serializable
            timeout = self.settings.busy_timeout
            connection = sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None, check_same_thread=False)
            try:
                self._configure(connection)
            except BaseException:  # whatever it is, the connection is nobody's
                connection.close()
                raise
            return connection

        engine = create_engine("sqlite+pysqlite://", creator=connect, **pool)
        event.listen(engine, "begin", _on_begin)
        return engine

    def _configure(self, connection: sqlite3.Connection) -> None:
        for pragma in (
            "foreign_keys = ON",
            f"synchronous = {self.settings.durability}",
            # On macOS fsync() does not reach the platter, and F_FULLFSYNC does; elsewhere this is nothing.
            f"fullfsync = {'ON' if self.settings.durability == 'full' else 'OFF'}",
            "journal_size_limit = 67108864",
            "trusted_schema = OFF",
            *(["query_only = ON"] if self.settings.read_only else []),
        ):
            connection.execute(f"PRAGMA {pragma}")

    def lost_transaction(self, connection: Connection) -> bool:
        # After SQLITE_FULL, IOERR, NOMEM and others: https://www.sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction
        return connection.invalidated or not _raw(connection).in_transaction

    def translate(self, error: Exception, what: str) -> errors.DatabaseError:
        name = getattr(error, "sqlite_errorname", None) or ""
        primary = "_".join(name.split("_")[:2])
        kind, advice = _SQLITE_ERRORS.get(name) or _SQLITE_ERRORS.get(primary) or _SQLITE_OTHER
        return kind(f"{what}: {error} [{name or type(error).__name__}]. {advice}")

    @contextlib.contextmanager
    def schema_upgrade(self, engine: Engine) -> Iterator[Connection]:
        with engine.connect().execution_options(**self.write_options) as connection:
            # Rebuilding a table drops the old one, which would cascade to its children. The pragma does
            # nothing inside a transaction: https://www.sqlite.org/lang_altertable.html#otheralter
            _raw(connection).execute("PRAGMA foreign_keys = OFF")
            try:
                with connection.begin():
                    yield connection
                    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
                    if broken:
                        raise errors.DatabaseCorruptError(
                            f"The upgrade would leave {len(broken)} rows whose parent is missing, the first in table "
                            f"{broken[0][0]!r}. It was rolled back; nothing changed."
                        )
            finally:
                _raw(connection).execute("PRAGMA foreign_keys = ON")

    def describe(self, connection: Connection) -> dict[str, Any]:
        def pragma(name: str) -> Any:
            return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

        return {
            "dialect": "sqlite",
            "server_version": sqlite3.sqlite_version,
            "journal_mode": pragma("journal_mode"),
            "size_bytes": pragma("page_count") * pragma("page_size"),
        }


def _on_begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(options.get("hermes_begin", "BEGIN"))


def _raw(connection: Connection) -> sqlite3.Connection:
    driver_connection = connection.connection.driver_connection
    assert isinstance(driver_connection, sqlite3.Connection)  # noqa: S101 - for the type checker
    return driver_connection


_file_locks: weakref.WeakValueDictionary[str, threading.Lock] = weakref.WeakValueDictionary()
_creation_lock = threading.Lock()


def forget_locks() -> None:
    """In a forked child: whoever held a lock at that moment is not here to release it."""
    global _creation_lock  # noqa: PLW0603
    _creation_lock = threading.Lock()
    _file_locks.clear()


class SQLiteFile(_SQLite):
    """A database file."""

    survives_fork = True
    closes_before_fork = True

    def __init__(self, settings: Settings, path: Path, query: dict[str, Any] | None = None) -> None:
        self.settings = settings
        self.path = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - resolve() would follow links
        self._query = dict(query or {})
        self.read_lock: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        # One queue for a file, however many stores of this process have it open.
        lock = _file_locks.setdefault(os.path.realpath(self.path), threading.Lock())
        self.write_lock: contextlib.AbstractContextManager[Any] = _QueueLock(lock, settings.busy_timeout)

    @property
    def display(self) -> str:
        return str(self.path)

    def create_engine(self) -> Engine:
        # The path as a URI: any character is allowed in it, and mode= forbids what is not meant.
        mode = "ro" if self.settings.read_only else "rw"
        query = {key: value for key, value in self._query.items() if key != "uri"} | {"mode": mode}
        uri = f"{self.path.as_uri()}?{urllib.parse.urlencode(query)}"
        return self._engine(uri, poolclass=QueuePool, pool_size=8, max_overflow=-1)

    def prepare(self, *, create: bool) -> None:
        if create:
            self._create_private()
        elif not self.path.exists():
            raise errors.DatabaseMissingError(
                f"There is no database {self.path}, and none was made: that takes a store that may write and migrate."
            )

    def settle(self, engine: Engine) -> None:
        if not self.settings.read_only:
            with contextlib.closing(engine.raw_connection()) as connection:
                _enable_wal(connection.driver_connection, self.display, self.settings.busy_timeout)

    def _create_private(self) -> None:
        """Make the file, readable for its owner only, if there is none.

        The lock: a thread that closes a descriptor of a database file drops the locks that SQLite holds for
        other threads on it (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_),
        so no thread may get to opening the file while another still has its empty descriptor.
        """
        with _creation_lock:
            if self.path.exists():
                return
            try:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _make_private(self.path)
            except FileExistsError:
                return  # another process made it this moment; or a part of the path is a file: SQLite says
            except OSError as error:
                raise errors.DatabaseUnavailableError(
                    f"{self.path} cannot be created: {error.strerror}. Nothing was made; choose another place, or "
                    "give yourself write permission there."
                ) from error

    def back_up(self, engine: Engine, label: str) -> Path | None:
        copy = self.path.with_name(f"{self.path.name}.{label}.bak")
        _make_private(copy)
        with (
            contextlib.closing(engine.raw_connection()) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.driver_connection.backup(target)  # type: ignore[union-attr]
        return copy

    def describe(self, connection: Connection) -> dict[str, Any]:
        return {**super().describe(connection), "path": str(self.path)}


class SQLiteMemory(_SQLite):
    """A database in memory: one connection, which the threads use in turn."""

    display = ":memory:"
    survives_fork = False
    closes_before_fork = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        lock: contextlib.AbstractContextManager[Any] = _QueueLock(threading.Lock(), settings.busy_timeout)
        self.write_lock = self.read_lock = lock

    def create_engine(self) -> Engine:
        return self._engine("file::memory:", poolclass=StaticPool)

    def prepare(self, *, create: bool) -> None:
        if self.settings.read_only:
            raise errors.DatabaseMissingError("A database in memory begins empty, so it cannot be opened read-only.")

    def settle(self, engine: Engine) -> None:
        """Nothing: memory has no journal."""

    def back_up(self, engine: Engine, label: str) -> Path | None:
        return None


def _make_private(path: Path) -> None:
    """Make an empty file that only its owner may read."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _enable_wal(connection: Any, display: str, timeout: float) -> None:
    """Switch to write-ahead logging, or say why not. The switch does not honour the busy timeout by itself."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
            continue
        if mode != "wal":
            logger.warning(
                "%s stays in journal mode %r: its file system has no shared memory for write-ahead logging (network "
                "file systems have none). Nothing is lost by it, but readers and writers wait for each other.",
                display,
                mode,
            )
        return


_SQLITE_OTHER: Final[tuple[type[errors.DatabaseError], str]] = (
    errors.DatabaseError,
    "The transaction was rolled back.",
)
_SQLITE_ERRORS: Final[Mapping[str, tuple[type[errors.DatabaseError], str]]] = {
    "SQLITE_BUSY": (
        errors.DatabaseLockedError,
        "Another process is writing longer than the busy timeout. " + RETRY,
    ),
    "SQLITE_LOCKED": (errors.DatabaseLockedError, RETRY),
    "SQLITE_PROTOCOL": (errors.DatabaseLockedError, RETRY),
    "SQLITE_FULL": (errors.DatabaseFullError, "Nothing was written; make room and try again."),
    "SQLITE_READONLY": (
        errors.DatabaseReadOnlyError,
        "Nothing was written; open the store without read_only=True, or make the file and its directory writable.",
    ),
    "SQLITE_CANTOPEN": (
        errors.DatabaseUnavailableError,
        "Check that the path is a file in a directory that exists and that you may read and write both.",
    ),
    "SQLITE_PERM": (errors.DatabaseUnavailableError, "Check the permissions of the file and its directory."),
    "SQLITE_AUTH": (errors.DatabaseUnavailableError, "Check the permissions of the file and its directory."),
    "SQLITE_IOERR": (
        errors.DatabaseUnavailableError,
        "The disk or the file system failed; the transaction was rolled back. Check it before going on.",
    ),
    "SQLITE_CORRUPT": (
        errors.DatabaseCorruptError,
        "The file is damaged. Keep it as it is, and restore a backup or salvage it with sqlite3's .recover.",
    ),
    "SQLITE_NOTADB": (
        errors.DatabaseCorruptError,
        "The file is not an SQLite database (or its first page is damaged); it was not changed.",
    ),
}
