"""What differs between SQLite and PostgreSQL, and nothing of it anywhere else.

A `Backend` makes the engine, says which execution options a read and a write transaction begin with,
tells driver errors apart, guards a schema upgrade, and describes what is open.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sqlite3
import threading
import time
import urllib.parse
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Protocol

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool, StaticPool

from . import errors

Durability = Literal["full", "normal"]
Target = str | os.PathLike[str] | URL

logger = logging.getLogger("hermes_store")

MINIMUM_SQLITE: Final = (3, 35, 0)  # RETURNING


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to open a database; see `Store.open`."""

    durability: Durability = "full"
    read_only: bool = False
    busy_timeout: float = 5.0


class Backend(Protocol):
    """A kind of database."""

    settings: Settings
    #: Held around every write transaction of this process, so that its threads queue here.
    write_lock: contextlib.AbstractContextManager[Any]
    #: Held around every read transaction.
    read_lock: contextlib.AbstractContextManager[Any]

    @property
    def read_options(self) -> Mapping[str, Any]:
        """Execution options for the connection of a read transaction."""

    @property
    def write_options(self) -> Mapping[str, Any]:
        """Execution options for the connection of a write transaction."""

    @property
    def display(self) -> str:
        """What is opened, fit for messages and logs: no password in it."""

    @property
    def survives_fork(self) -> bool:
        """Whether a forked child can open the same data anew."""

    @property
    def closes_before_fork(self) -> bool:
        """Whether a child must not even inherit the connections."""

    def create_engine(self) -> Engine:
        """Make the engine; nothing is opened until it is used."""

    def prepare(self, *, create: bool) -> None:
        """Find the database, or make an empty one if that is allowed; one that is there is not changed."""

    def settle(self, engine: Engine) -> None:
        """Do what is done once when a store is opened, after its database was found to be ours to change."""

    def lost_transaction(self, connection: Connection) -> bool:
        """Whether the database ended the connection's transaction by itself."""

    def translate(self, error: Exception, what: str) -> errors.DatabaseError:
        """Return the error of ours that says what the driver's error means."""

    def schema_upgrade(self, engine: Engine) -> contextlib.AbstractContextManager[Connection]:
        """Give a connection in a transaction that no other process upgrades beside, committed at the end."""

    def back_up(self, engine: Engine, label: str) -> Path | None:
        """Copy the data to a file beside it before it is upgraded, where that is ours to do."""

    def describe(self, connection: Connection) -> dict[str, Any]:
        """Return the facts that `Store.info` shows: version, location, size, journal mode."""


def backend_for(target: Target, settings: Settings) -> Backend:
    """Return the backend of a path, of ``:memory:`` or of a database URL.

    Raises:
        UnsupportedDatabaseError: the URL is not one of SQLite's or PostgreSQL's.
    """
    if isinstance(target, str) and target == ":memory:":
        return SQLiteMemory(settings)
    if isinstance(target, os.PathLike) or (isinstance(target, str) and "://" not in target):
        return SQLiteFile(settings, Path(os.fsdecode(target)))
    try:
        url = make_url(target)
    except ArgumentError as error:
        raise errors.UnsupportedDatabaseError(f"This is not a database URL ({error}).") from error
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        if url.database in (None, "", ":memory:"):
            return SQLiteMemory(settings)
        return SQLiteFile(settings, Path(url.database or ""), dict(url.query))
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return PostgreSQL(settings, url.set(drivername="postgresql+psycopg"))
    raise errors.UnsupportedDatabaseError(
        f"{url.drivername!r} is not supported. Use a path or sqlite:///… for a file, or postgresql://… for a server."
    )


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


# ── SQLite ────────────────────────────────────────────────────────────────────────────────────────


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
            except BaseException:
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


_RETRY = "Nothing was written; try again."
_SQLITE_OTHER: Final[tuple[type[errors.DatabaseError], str]] = (
    errors.DatabaseError,
    "The transaction was rolled back.",
)
_SQLITE_ERRORS: Final[Mapping[str, tuple[type[errors.DatabaseError], str]]] = {
    "SQLITE_BUSY": (
        errors.DatabaseLockedError,
        "Another process is writing longer than the busy timeout. " + _RETRY,
    ),
    "SQLITE_LOCKED": (errors.DatabaseLockedError, _RETRY),
    "SQLITE_PROTOCOL": (errors.DatabaseLockedError, _RETRY),
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


# ── PostgreSQL ────────────────────────────────────────────────────────────────────────────────────


class PostgreSQL:
    """A database on a server, through psycopg."""

    survives_fork = True
    closes_before_fork = False

    def __init__(self, settings: Settings, url: URL) -> None:
        self.settings = settings
        self.url = url
        # A read is several statements, which must see one state of the data.
        self.read_options: Mapping[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        # Said for each transaction: the driver overrides the session's default_transaction_read_only.
        self.write_options: Mapping[str, Any] = {"postgresql_readonly": settings.read_only}
        # The server queues writers by row; there is nothing to hold here.
        self.write_lock: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
        self.read_lock: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()

    @property
    def display(self) -> str:
        return self.url.render_as_string(hide_password=True)

    def create_engine(self) -> Engine:
        options = {
            # Off: a commit returns before it is on disk, and a crash of the server may lose the last ones.
            # https://www.postgresql.org/docs/current/wal-async-commit.html
            "synchronous_commit": "on" if self.settings.durability == "full" else "off",
            "lock_timeout": f"{round(self.settings.busy_timeout * 1000)}",
        }
        arguments = {"options": " ".join(f"-c {name}={value}" for name, value in options.items())}
        try:
            return create_engine(self.url, connect_args=arguments, pool_pre_ping=True, pool_size=8, max_overflow=24)
        except (ImportError, NoSuchModuleError) as error:
            raise errors.UnsupportedDatabaseError(
                f"PostgreSQL needs psycopg ({error}): pip install 'hermes-store[postgres]'"
            ) from error

    def prepare(self, *, create: bool) -> None:
        """Nothing: a server's databases are made by its administrator."""

    def settle(self, engine: Engine) -> None:
        """Nothing."""

    def lost_transaction(self, connection: Connection) -> bool:
        return connection.invalidated or bool(connection.connection.driver_connection.closed)  # type: ignore[union-attr]

    def translate(self, error: Exception, what: str) -> errors.DatabaseError:
        state = getattr(error, "sqlstate", None) or ""
        if not state and type(error).__name__ in ("OperationalError", "InterfaceError"):
            state = "08000"  # said by the driver, not by the server: there is none
        if state == "08000" and re.search(r'database ".*" does not exist', str(error)):
            state = "3D000"  # while it connects, the driver does not tell the server's code
        kind, advice = (
            _POSTGRESQL_ERRORS.get(state)
            or _POSTGRESQL_ERRORS.get(state[:3])
            or _POSTGRESQL_ERRORS.get(state[:2])
            or _POSTGRESQL_UNKNOWN
        )
        return kind(f"{what}: {str(error).strip()} [{state or type(error).__name__}]. {advice}")

    @contextlib.contextmanager
    def schema_upgrade(self, engine: Engine) -> Iterator[Connection]:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({_UPGRADE_LOCK})")
            connection.commit()
            try:
                with connection.begin():
                    yield connection
            finally:
                connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_UPGRADE_LOCK})")
                connection.commit()

    def back_up(self, engine: Engine, label: str) -> Path | None:
        """A server's backups are its administrator's; the upgrade is one transaction."""
        return None

    def describe(self, connection: Connection) -> dict[str, Any]:
        def ask(sql: str) -> Any:
            return connection.exec_driver_sql(sql).scalar()

        return {
            "dialect": "postgresql",
            "server_version": ask("SHOW server_version"),
            "size_bytes": ask("SELECT pg_database_size(current_database())"),
        }


_UPGRADE_LOCK: Final = 0x6865726D6573  # "hermes": any number that nobody else locks
_POSTGRESQL_UNKNOWN: Final[tuple[type[errors.DatabaseError], str]] = (
    errors.DatabaseError,
    "The transaction was rolled back.",
)
_POSTGRESQL_GONE: Final[tuple[type[errors.DatabaseError], str]] = (
    errors.DatabaseUnavailableError,
    "The server cannot be reached, or the connection broke; a transaction that was under way is rolled back.",
)
_POSTGRESQL_ERRORS: Final[Mapping[str, tuple[type[errors.DatabaseError], str]]] = {
    "40": (errors.DatabaseLockedError, _RETRY),  # serialization failure, deadlock
    "55P03": (
        errors.DatabaseLockedError,
        "Another writer holds the row longer than the busy timeout. " + _RETRY,
    ),
    "53": (
        errors.DatabaseFullError,
        "The server is out of disk, memory or connections. Nothing was written.",
    ),
    "25006": (errors.DatabaseReadOnlyError, "Nothing was written; open the store without read_only=True."),
    "42501": (errors.DatabaseReadOnlyError, "Nothing was written; the role needs rights on the tables."),
    "XX001": (errors.DatabaseCorruptError, "The server found damaged data. Restore a backup."),
    "XX002": (errors.DatabaseCorruptError, "The server found a damaged index. REINDEX it."),
    "08": _POSTGRESQL_GONE,
    "57P": _POSTGRESQL_GONE,
    "28": (errors.DatabaseUnavailableError, "The server refused the user or the password."),
    "3D": (errors.DatabaseMissingError, "Make it with `createdb`, or correct the URL."),
}

#: What `translate` is for. The driver's own error is `error.orig`.
DRIVER_ERRORS: Final = (DBAPIError, PoolTimeoutError, sqlite3.Error)
