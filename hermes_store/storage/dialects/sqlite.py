"""SQLite: a file, or memory."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
import time
import urllib.parse
import weakref
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from sqlalchemy import Connection, Engine, create_engine, select, text
from sqlalchemy.pool import StaticPool

from ... import errors
from ..fork_gate import renew_after_fork
from ..held_lock import HeldLock
from ..statement import Statement, next_change
from ..unit_of_work import UnitOfWork
from ..write_queue import WriteQueue
from .base import (
    APPLICATION_ID,
    RETRY,
    BackupFacts,
    BrokenLink,
    CompactFacts,
    Dialect,
    Result,
    SchemaFacts,
    SchemaItem,
    Settings,
    logger,
)
from .condition import Condition
from .file_systems import shared_file_system
from .open_files import Holder, found_holders
from .sqlite_backup import back_up
from .sqlite_compact import compact
from .sqlite_copy import copy_database
from .sqlite_errors import DAMAGED_SCHEMA, MEANINGS, OTHER, is_undecodable, lacks_schema
from .sqlite_file_check import require_openable
from .sqlite_health import conditions
from .sqlite_integrity import broken_links, integrity_problems
from .sqlite_log import Log
from .sqlite_look import look, parameters_to_look
from .sqlite_place import Place, PlacedConnection
from .sqlite_pool import ConnectionPool
from .sqlite_restore import put_in_place
from .sqlite_schema_text import put_right, repair_schema, schema_digest, schema_facts, tolerant, tolerate
from .sqlite_unit import SQLiteUnitOfWork
from .sqlite_watch import FileWatcher, MemoryWatcher
from .sqlite_words import SQLiteWordIndex
from .upgrade_progress import UpgradeProgress
from .watcher import Watcher

if TYPE_CHECKING:
    from ..engine import Database

#: How many pages are copied at once.
_COPIED_PAGES: Final = 256
MINIMUM_SQLITE: Final = (3, 35, 0)  # RETURNING


class SQLiteDialect(Dialect):
    """What files and memory have in common."""

    name = "sqlite"
    writes_in_turn: ClassVar[bool] = True
    word_index = SQLiteWordIndex()

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        if settings.engine_options:
            raise errors.InvalidInputError("engine_options are for PostgreSQL, and this is SQLite. Nothing was opened.")
        if sqlite3.sqlite_version_info < MINIMUM_SQLITE:
            raise errors.UnsupportedDatabaseError(
                f"SQLite {'.'.join(map(str, MINIMUM_SQLITE))} or newer is needed; "
                f"this Python has {sqlite3.sqlite_version}."
            )
        self._pool = ConnectionPool(self._connect)
        self._log = Log()
        self._place: Place | None = None

    @abstractmethod
    def _uri(self) -> str:
        """Return the database's name for SQLite, as a URI."""

    def _connect(self) -> sqlite3.Connection:
        # The driver must not begin transactions of its own (isolation_level).
        connection = sqlite3.connect(
            self._uri(),
            uri=True,
            timeout=self.settings.busy_timeout,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            factory=PlacedConnection,
        )
        try:
            self._configure_connection(connection)
        except BaseException:  # whatever it is, nobody has the connection
            connection.close()
            raise
        return connection

    def _configure_connection(self, connection: sqlite3.Connection) -> None:
        for pragma in (
            "foreign_keys = ON",
            f"synchronous = {self.settings.durability}",
            # On macOS fsync() does not reach the disk's surface, and F_FULLFSYNC does; elsewhere this does nothing.
            f"fullfsync = {'ON' if self.settings.durability == 'full' else 'OFF'}",
            "journal_size_limit = 67108864",
            # What is removed is overwritten: https://www.sqlite.org/pragma.html#pragma_secure_delete
            "secure_delete = ON",
            "temp_store = MEMORY",  # there are containers without a writable temporary folder
            "trusted_schema = OFF",
            *(["query_only = ON"] if self.settings.read_only else []),
        ):
            connection.execute(f"PRAGMA {pragma}")

    def unit_of_work(self, database: Database, *, writes: bool) -> UnitOfWork:
        return SQLiteUnitOfWork(database, self._pool, self._place, self._log, writes=writes)

    def close(self) -> None:
        for watcher in list(self._watchers):
            if isinstance(watcher, FileWatcher):
                watcher.release()  # before a fork; whoever waits goes on after it
        if self._log.is_due:
            with contextlib.suppress(sqlite3.Error, errors.HermesStoreError), self._connected() as (raw, _):
                self._log.empty(raw)
        self._pool.close()

    @contextlib.contextmanager
    def _connected(self) -> Iterator[tuple[sqlite3.Connection, Connection]]:
        """Give a connection of the pool, both as the driver's and as SQLAlchemy's."""
        owner = _Owner()
        try:
            raw = self._pool.take(owner)
            with _engine_on(raw).connect() as connection:
                yield raw, connection
        finally:
            self._pool.give_back(owner)

    def look(self, callback: Callable[[Connection], Result]) -> Result:
        with self._connected() as (_, connection):
            return callback(connection)

    @contextlib.contextmanager
    def upgrade(self) -> Iterator[Connection]:
        owner = _Owner()
        queue = self.queue(writes=True)
        if queue is not None and not queue.acquire(owner, self.settings.busy_timeout):
            raise errors.DatabaseLockedError(f"Another thread of this process is writing to {self.display}. {RETRY}")
        try:
            with self._connected() as (raw, connection):
                yield from self._upgrade(raw, connection)
        finally:
            if queue is not None:
                queue.release(owner)

    def _upgrade(self, raw: sqlite3.Connection, connection: Connection) -> Iterator[Connection]:
        # Rebuilding a table drops the old one, which would cascade to its children. The pragma does nothing inside a
        # transaction: https://www.sqlite.org/lang_altertable.html#otheralter
        raw.execute("PRAGMA foreign_keys = OFF")
        try:
            self._begin_upgrade(raw)
            with connection.begin(), self._progress_shown(raw):
                yield connection
                broken = raw.execute("PRAGMA foreign_key_check").fetchall()
                if broken:
                    raise errors.DatabaseCorruptError(
                        f"The upgrade would leave {len(broken)} rows whose parent is missing, the first in table "
                        f"{broken[0][0]!r}. It was rolled back; nothing changed."
                    )
            with contextlib.suppress(sqlite3.Error):  # a copy of the file without its log is then whole, too
                raw.execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            raw.execute("PRAGMA foreign_keys = ON")

    def _begin_upgrade(self, raw: sqlite3.Connection) -> None:
        raw.execute("BEGIN IMMEDIATE")

    def _progress_shown(self, raw: sqlite3.Connection) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def check_owner(self, connection: Connection) -> None:
        found = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
        if found not in (0, APPLICATION_ID):
            raise errors.UnsupportedDatabaseError(
                f"{self.display} is another program's database (its application_id is {found}), and is left as it is. "
                "Give the store a database of its own. If it is one of this library, its first page is damaged: "
                "`hermes-store repair` puts that right."
            )

    def is_claimed(self, connection: Connection) -> bool:
        found: int = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
        return found == APPLICATION_ID

    def is_marked(self, connection: Connection, number: int) -> bool:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("application_id", "user_version")
        ]
        return found == [APPLICATION_ID, number]

    def marks(self, number: int) -> list[str]:
        return [f"PRAGMA application_id = {APPLICATION_ID if number else 0}", f"PRAGMA user_version = {number}"]

    def is_no_database(self, error: BaseException) -> bool:
        return getattr(error, "sqlite_errorname", None) == "SQLITE_NOTADB"

    def translate(self, error: BaseException) -> errors.DatabaseError:
        name = getattr(error, "sqlite_errorname", None) or ""
        primary = "_".join(name.split("_")[:2])
        if is_undecodable(error):
            name = primary = "SQLITE_CORRUPT"
        other = DAMAGED_SCHEMA if lacks_schema(error) else OTHER
        kind, advice = MEANINGS.get(name) or MEANINGS.get(primary) or other
        return kind(f"{self.display}: {error} [{name or type(error).__name__}]. {advice}")

    def violates_unique(self, error: BaseException, table: str, *columns: str) -> bool:
        return str(error) == f"UNIQUE constraint failed: {', '.join(f'{table}.{column}' for column in columns)}"

    def reserve_message_ids(self, unit: UnitOfWork, count: int) -> list[int]:
        # Nobody else writes during this transaction, and AUTOINCREMENT goes on after the largest id that was ever used.
        last = unit.value(_last_message_id) or 0
        return list(range(last + 1, last + 1 + count))

    def last_change(self, unit: UnitOfWork) -> int:
        following: int | None = unit.value(_next_change)  # None: a number is damaged, and everything counts as changed
        return 0 if following is None else following - 1

    def largest_change(self, unit: UnitOfWork) -> int:
        return 2**63 - 1  # numbers are counted from the largest one there is

    def back_up(
        self, unit: UnitOfWork, target: Path, on_pages: Callable[[int, int], None], on_step: Callable[[], None]
    ) -> BackupFacts:
        return back_up(_raw(unit), target, on_pages, on_step)

    def compact(self, unit: UnitOfWork, on_step: Callable[[], None]) -> CompactFacts:
        raw = _raw(unit)
        raw.execute("ROLLBACK")  # VACUUM runs in no transaction; the unit keeps its place in the queue and in the gate
        try:
            facts = compact(raw, self.path, on_step)
        finally:
            if not raw.in_transaction:
                raw.execute("BEGIN")
        self._log.is_due = not facts.is_erased
        return facts

    def conditions(self, unit: UnitOfWork, on_step: Callable[[], None]) -> list[Condition]:
        return conditions(_raw(unit), self.path, on_step)

    def rebuild_indexes(self, unit: UnitOfWork) -> None:
        try:
            _raw(unit).execute("REINDEX")
        except sqlite3.IntegrityError as error:
            raise errors.DatabaseCorruptError(
                f"{self.display}: the indexes cannot be made anew, because rows are damaged: {error}. Nothing was "
                "changed. Restore a backup, or read what is left into a new database with `hermes-store salvage`."
            ) from error

    def file_problems(self, unit: UnitOfWork, on_step: Callable[[], None]) -> list[str]:
        return integrity_problems(_raw(unit), on_step)

    def schema_digest(self, unit: UnitOfWork, tables: Collection[str]) -> str | None:
        return schema_digest(unit.rows(_schema, {"tables": json.dumps([*tables])}))

    def broken_links(self, unit: UnitOfWork, on_step: Callable[[], None], limit: int) -> list[BrokenLink]:
        return broken_links(_raw(unit), on_step, limit)

    def tables(self, unit: UnitOfWork) -> list[str]:
        return unit.values(_tables)

    def row_counters(self, unit: UnitOfWork) -> dict[str, int]:
        return dict(unit.rows(_counters))

    def set_row_counters(self, unit: UnitOfWork, counters: Mapping[str, int]) -> None:
        for table, last in counters.items():
            if not unit.execute(_set_counter, {"table": table, "last": last}) and last:
                unit.execute(_add_counter, {"table": table, "last": last})

    def describe(self, unit: UnitOfWork) -> dict[str, Any]:
        journal_mode, pages, page_size = (
            unit.value(Statement(text(f"PRAGMA {name}"))) for name in ("journal_mode", "page_count", "page_size")
        )
        return {
            "dialect": self.name,
            "server_version": sqlite3.sqlite_version,
            "journal_mode": journal_mode,
            "size_bytes": pages * page_size,
        }


_next_change: Final = Statement(select(next_change().label("following")))
_tables: Final = Statement(
    text("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
)
#: As bytes, because damaged text may not be UTF-8.
_schema: Final = Statement(
    text(
        "SELECT CAST(type AS BLOB), CAST(name AS BLOB), CAST(tbl_name AS BLOB), CAST(sql AS BLOB) FROM sqlite_schema "
        "WHERE CAST(tbl_name AS TEXT) IN (SELECT value FROM json_each(:tables))"
    )
)
_counters: Final = Statement(text("SELECT name, CAST(seq AS INTEGER) FROM sqlite_sequence"))
_set_counter: Final = Statement(
    text("UPDATE sqlite_sequence SET seq = max(CAST(seq AS INTEGER), :last) WHERE name = :table")
)
_add_counter: Final = Statement(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)"))
_last_message_id: Final = Statement(
    text("SELECT max(CAST(seq AS INTEGER)) FROM sqlite_sequence WHERE name = 'messages'")
)


def _raw(unit: UnitOfWork) -> Any:
    """Return the driver's connection of a unit of work of this dialect."""
    assert isinstance(unit, SQLiteUnitOfWork)  # noqa: S101 - for the type checker
    return unit.raw


class _Owner:
    """Holds the write queue, or a connection, where there is no unit of work."""


def _engine_on(raw: sqlite3.Connection) -> Engine:
    """Return a SQLAlchemy engine whose only connection is `raw`, which it does not close."""
    return create_engine("sqlite+pysqlite://", creator=lambda: raw, poolclass=StaticPool)


# The registry of queues is a global of this module, which a forked child replaces as it does locks.
_queues: weakref.WeakValueDictionary[str, WriteQueue] = weakref.WeakValueDictionary()
_creation_lock = HeldLock()
renew_after_fork(sys.modules[__name__], "_queues", weakref.WeakValueDictionary)
renew_after_fork(sys.modules[__name__], "_creation_lock", HeldLock)


class SQLiteFile(SQLiteDialect):
    """A database file.

    Args:
        settings: how to open it.
        path: the file.
        query: parameters of its URI.
    """

    closes_before_fork: ClassVar[bool] = True
    # SQLite's busy handler sleeps for 100 ms at most: https://www.sqlite.org/c3ref/busy_timeout.html
    polling: ClassVar[float] = 0.11

    def __init__(self, settings: Settings, path: Path, query: Mapping[str, Any] | None = None) -> None:
        super().__init__(settings)
        self._path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
        self._query = dict(query or {})
        # One queue for a file, however many stores of this process have it open.
        self._queue = _queues.setdefault(os.path.realpath(self._path), WriteQueue())
        self._progress = UpgradeProgress(self._path)
        self._place: Place = Place(self._path)

    @property
    def display(self) -> str:
        return str(self._path)

    @property
    def path(self) -> Path:
        return self._path

    def queue(self, *, writes: bool) -> WriteQueue | None:
        return self._queue if writes else None

    def _uri(self, **parameters: str) -> str:
        # The path as a URI: any character is allowed in it, and mode= forbids to create a file.
        mode = "ro" if self.settings.read_only else "rw"
        query = {key: value for key, value in self._query.items() if key != "uri"} | {"mode": mode} | parameters
        return f"{self._path.as_uri()}?{urllib.parse.urlencode(query)}"

    def has_unfinished_write(self) -> bool:
        return self._place.has_journal

    def look(self, callback: Callable[[Connection], Result]) -> Result:
        timeout = self.settings.busy_timeout

        def connect(parameters: dict[str, str]) -> sqlite3.Connection:
            uri = self._uri(**parameters)
            return sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None)

        def call(raw: sqlite3.Connection) -> Result:
            with _engine_on(raw).connect() as connection:
                return callback(connection)

        # Where there is no WAL, not even readers are admitted during an upgrade.
        return self._progress.wait_for(lambda: look(self._path, connect, call), timeout)

    def _begin_upgrade(self, raw: sqlite3.Connection) -> None:
        self._progress.wait_for(lambda: raw.execute("BEGIN IMMEDIATE"), self.settings.busy_timeout)

    def _progress_shown(self, raw: sqlite3.Connection) -> contextlib.AbstractContextManager[None]:
        return self._progress.shown(raw)

    def new_watcher(self) -> Watcher:
        def connect() -> sqlite3.Connection:
            self._place.require_same_file()
            return sqlite3.connect(
                self._uri(mode="ro"), uri=True, timeout=0, isolation_level=None, check_same_thread=False
            )

        return FileWatcher(connect)

    def continue_from(self, before: Dialect) -> None:
        if isinstance(before, SQLiteFile):
            self._place = before._place

    def _connect(self) -> sqlite3.Connection:
        self._place.require_same_file()
        connection = super()._connect()
        try:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # now the file and its log are open
            self._place.note_log(connection)
            self._place.require_same_file()
        except BaseException:  # whatever it is, nobody has the connection
            connection.close()
            raise
        return connection

    def create_if_missing(self, *, allowed: bool) -> None:
        require_openable(self._path)
        self._place.require_no_lone_log()
        if allowed:
            self._create_private()
        elif not os.path.exists(self._path):  # noqa: PTH110 - Path.exists() fails where it may not look
            raise errors.DatabaseMissingError(
                f"There is no database {self._path}, and none was made: that takes a store that may write and migrate."
            )

    def configure(self) -> None:
        if not self.settings.read_only:
            owner = _Owner()
            try:
                connection = self._pool.take(owner)
                mode = self._wanted_journal_mode(connection)
                if mode is not None:
                    _set_journal_mode(connection, mode, self.display, self.settings.busy_timeout)
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
                self._place.note_log(connection)
            finally:
                self._pool.give_back(owner)

    def _wanted_journal_mode(self, connection: sqlite3.Connection) -> str | None:
        """Return the journal mode to switch to; None to leave it as it is."""
        if self.settings.journal_mode != "auto":
            return self.settings.journal_mode
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        if pages:  # it has something in it, and its mode is what somebody wanted
            return None
        kind = shared_file_system(self._path.parent)
        if kind is None:
            return "wal"
        logger.warning(
            "%s is on a %s file system, where write-ahead logging could damage it: its journal mode is 'delete'. "
            "Readers and writers wait for each other. Give journal_mode= to choose.",
            self.display,
            kind,
        )
        return "delete"

    def _create_private(self) -> None:
        """Make the file, readable for its owner only, if there is none.

        The lock: a thread that closes a descriptor of a database file drops the locks that SQLite holds for
        other threads on it (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_),
        so no thread may get to opening the file while another still has its empty descriptor.
        """
        timeout = self.settings.busy_timeout
        with _creation_lock.hold(timeout) as is_held:
            if not is_held:
                raise errors.DatabaseLockedError(
                    f"Another thread of this process has been creating a database for more than {timeout:g} s. "
                    f"{self._path} was not created; try again."
                )
            if os.path.exists(self._path):  # noqa: PTH110 - Path.exists() fails where it may not look
                return
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _make_private(self._path)
            except FileExistsError:
                return  # another process made it this moment; or a part of the path is a file: SQLite says
            except OSError as error:
                raise errors.DatabaseUnavailableError(
                    f"{self._path} cannot be created: {error.strerror}. Nothing was made; choose another place, or "
                    "give yourself write permission there."
                ) from error

    def holders(self) -> list[Holder]:
        return found_holders(self._path, own=True)

    def put_in_place(self, part: Path, aside: Path, timeout: float) -> bool:
        require_openable(self._path)
        try:
            return put_in_place(part, Path(os.path.realpath(self._path)), aside, timeout)
        except sqlite3.Error as error:
            raise self.translate(error) from error

    def schema_facts(self, known: Mapping[str, Sequence[SchemaItem]]) -> SchemaFacts | None:
        with self._tolerant(**parameters_to_look(self._path)) as connection:
            return schema_facts(connection, known)

    def repaired_copy(self, known: Mapping[str, Sequence[SchemaItem]]) -> Dialect | None:
        with self._tolerant(**parameters_to_look(self._path)) as connection:
            facts = schema_facts(connection, known)
            if facts.lost or not facts.problems:
                return None
            return SQLiteCopy(self.settings, self.display, connection, known, facts)

    def repair_schema(self, known: Mapping[str, Sequence[SchemaItem]], copy: Path) -> SchemaFacts | None:
        queue, owner = self._queue, _Owner()
        if not queue.acquire(owner, self.settings.busy_timeout):
            raise errors.DatabaseLockedError(f"Another thread of this process is writing to {self.display}. {RETRY}")
        try:
            with self._tolerant(mode="rw") as connection:
                return repair_schema(connection, known, copy, self.marks)
        finally:
            queue.release(owner)

    @contextlib.contextmanager
    def _tolerant(self, **parameters: str) -> Iterator[Any]:
        require_openable(self._path)
        self._place.require_no_lone_log()
        try:
            with tolerant(self._uri(**parameters), self.settings.busy_timeout) as connection:
                yield connection
        except sqlite3.Error as error:
            raise self.translate(error) from error

    def copy_before_upgrade(self, label: str) -> Path | None:
        return copy_database(self._connect, self._path, label, self._progress.show)

    def describe(self, unit: UnitOfWork) -> dict[str, Any]:
        return {**super().describe(unit), "path": str(self._path)}


class SQLiteMemory(SQLiteDialect):
    """A database in memory: one connection, which the threads use in turn."""

    survives_fork: ClassVar[bool] = False
    fork_refusal: ClassVar[str] = (
        "A store in memory does not survive a fork; use a file to share one between processes."
    )

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._queue = WriteQueue()
        self._only: sqlite3.Connection | None = None

    @property
    def display(self) -> str:
        return ":memory:"

    def queue(self, *, writes: bool) -> WriteQueue | None:
        return self._queue

    def _uri(self) -> str:
        return "file::memory:"

    def _connect(self) -> sqlite3.Connection:
        if self._only is None:
            self._only = super()._connect()
        return self._only

    def new_watcher(self) -> Watcher:
        def total_changes() -> int:
            try:
                return self._connect().total_changes
            except sqlite3.ProgrammingError:  # it was closed
                return -2

        return MemoryWatcher(total_changes)

    def create_if_missing(self, *, allowed: bool) -> None:
        if self.settings.read_only:
            raise errors.DatabaseMissingError("A database in memory begins empty, so it cannot be opened read-only.")


class SQLiteCopy(SQLiteMemory):
    """A private copy of a file whose schema is damaged, to read from.

    It is a temporary database of SQLite's: in memory, or what is too large for its cache in a file that only this
    process can reach and that is gone with the connection. See https://www.sqlite.org/inmemorydb.html#temp_db

    Args:
        settings: how to open it.
        display: the name of the file.
        source: a connection to the file from `tolerant`.
        known: the schema of each revision.
        facts: what is damaged in the file.
    """

    fork_refusal: ClassVar[str] = (
        "The schema of the database is damaged, and this store reads a copy, which a forked process does not have. "
        "Open one in the child, or put the schema right with `hermes-store repair`."
    )

    def __init__(
        self,
        settings: Settings,
        display: str,
        source: Any,
        known: Mapping[str, Sequence[SchemaItem]],
        facts: SchemaFacts,
    ) -> None:
        super().__init__(settings)
        self._display = display
        self._facts = facts
        self._only = sqlite3.connect(
            "file:", uri=True, isolation_level=None, check_same_thread=False, factory=PlacedConnection
        )
        try:
            source.execute("BEGIN")  # the copy is what this transaction sees, whatever others write meanwhile
            source.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            source.backup(self._only, pages=_COPIED_PAGES)
            tolerate(self._only)
            put_right(self._only, known, facts, self.marks)
            self._only.text_factory = str
            self._configure_connection(self._only)
        except BaseException:  # whatever it is, nobody has the copy
            self._only.close()
            raise

    @property
    def display(self) -> str:
        return self._display

    def schema_facts(self, known: Mapping[str, Sequence[SchemaItem]]) -> SchemaFacts | None:
        return self._facts

    def conditions(self, unit: UnitOfWork, on_step: Callable[[], None]) -> list[Condition]:
        text = f"Its schema is damaged, and a copy was looked at: {'; '.join(self._facts.problems)}."
        return [Condition("schema text", "problem", text, "`hermes-store repair` puts it right.")]

    def describe(self, unit: UnitOfWork) -> dict[str, Any]:
        return {**super().describe(unit), "path": self._display}

    def create_if_missing(self, *, allowed: bool) -> None:
        pass


def _make_private(path: Path) -> None:
    """Make an empty file that only its owner may read."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _set_journal_mode(connection: Any, wanted: str, display: str, timeout: float) -> None:
    """Switch the journal mode, or say why not. The switch does not honour the busy timeout by itself."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            (mode,) = connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
            continue
        if mode != wanted:
            logger.warning(
                "%s stays in journal mode %r: its file system has no shared memory for write-ahead logging (network "
                "file systems have none). Nothing is lost by it, but readers and writers wait for each other.",
                display,
                mode,
            )
        return
