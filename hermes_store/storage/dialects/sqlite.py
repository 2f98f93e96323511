"""SQLite: what files and memory have in common."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from sqlalchemy import Connection, Engine, create_engine, select, text
from sqlalchemy.pool import StaticPool

from ... import errors
from ..statement import Statement, next_change
from ..unit_of_work import UnitOfWork
from .base import APPLICATION_ID, RETRY, Dialect, Result, Settings
from .condition import Condition
from .facts import BackupFacts, BrokenLink, CompactFacts
from .sqlite_backup import back_up
from .sqlite_compact import compact
from .sqlite_errors import DAMAGED_SCHEMA, MEANINGS, OTHER, is_undecodable, lacks_schema
from .sqlite_health import conditions
from .sqlite_integrity import broken_links, integrity_problems, stepping
from .sqlite_log import Log
from .sqlite_place import Place, PlacedConnection
from .sqlite_pool import ConnectionPool
from .sqlite_schema_text import schema_digest
from .sqlite_unit import SQLiteUnitOfWork
from .sqlite_watch import FileWatcher
from .sqlite_words import SQLiteWordIndex

if TYPE_CHECKING:
    from ..engine import Database

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
        owner = Owner()
        try:
            raw = self._pool.take(owner)
            with engine_on(raw).connect() as connection:
                yield raw, connection
        finally:
            self._pool.give_back(owner)

    def look(self, callback: Callable[[Connection], Result]) -> Result:
        with self._connected() as (_, connection):
            return callback(connection)

    @contextlib.contextmanager
    def upgrade(self) -> Iterator[Connection]:
        owner = Owner()
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

    def rebuild_indexes(self, unit: UnitOfWork, on_step: Callable[[], None]) -> None:
        raw = _raw(unit)
        try:
            with stepping(raw, on_step):
                raw.execute("REINDEX")
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


class Owner:
    """Holds the write queue, or a connection, where there is no unit of work."""


def engine_on(raw: sqlite3.Connection) -> Engine:
    """Return a SQLAlchemy engine whose only connection is `raw`, which it does not close."""
    return create_engine("sqlite+pysqlite://", creator=lambda: raw, poolclass=StaticPool)
