"""A SQLite file."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import time
import urllib.parse
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import Connection

from ... import errors
from ..fork_gate import renew_after_fork
from ..held_lock import HeldLock
from ..unit_of_work import UnitOfWork
from ..write_queue import WriteQueue
from .base import RETRY, Dialect, Result, Settings, logger
from .facts import SchemaFacts, SchemaItem
from .file_systems import shared_file_system
from .open_files import Holder, found_holders
from .sqlite import Owner, SQLiteDialect, engine_on
from .sqlite_copy import copy_database
from .sqlite_errors import primary_code
from .sqlite_file_check import require_openable
from .sqlite_look import look, parameters_to_look
from .sqlite_memory import SQLiteCopy
from .sqlite_place import Place
from .sqlite_restore import put_in_place, require_unused
from .sqlite_schema_text import repair_schema, schema_facts, tolerant
from .sqlite_watch import FileWatcher
from .upgrade_progress import UpgradeProgress
from .watcher import Watcher

_creation_lock = HeldLock()
# The registry of queues is a global of this module, which a forked child replaces as it does locks.
_queues: weakref.WeakValueDictionary[str, WriteQueue] = weakref.WeakValueDictionary()
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
            with engine_on(raw).connect() as connection:
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
                f"There is no database {self._path}, and none was made. Only a store that may write and migrate makes "
                "one."
            )

    def configure(self) -> None:
        if not self.settings.read_only:
            owner = Owner()
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

    def require_unused(self) -> None:
        require_unused(Path(os.path.realpath(self._path)))

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
        queue, owner = self._queue, Owner()
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
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
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
