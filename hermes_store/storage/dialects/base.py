"""What a dialect has to offer. To add one: subclass `Dialect` and register it in this package's ``__init__``."""

from __future__ import annotations

import contextlib
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeVar

from sqlalchemy import URL, Connection

from ... import errors
from ..message_inserts import insert_in_turn
from ..statement import Bound, Parameters
from ..unit_of_work import UnitOfWork
from ..write_queue import WriteQueue
from .condition import Condition
from .facts import BackupFacts, BrokenLink, CompactFacts, SchemaFacts, SchemaItem
from .open_files import Holder
from .watcher import Polling, Watcher

if TYPE_CHECKING:
    from ..engine import Database
    from ..word_index import WordIndex

#: "hems": what this library's SQLite files have as ``application_id``.
APPLICATION_ID: Final = 0x68656D73

Durability = Literal["full", "normal"]
JournalMode = Literal["auto", "wal", "delete"]
Result = TypeVar("Result")
Target = str | os.PathLike[str] | URL

logger = logging.getLogger("hermes_store")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to open a database; see `Store.open`."""

    durability: Durability = "full"
    read_only: bool = False
    busy_timeout: float = 5.0
    journal_mode: JournalMode = "auto"
    #: Whether a database that is created has an index of words.
    search: bool = True
    #: Of the engine of a server; see `Store.open`.
    engine_options: Mapping[str, Any] = field(default_factory=dict)


class Dialect(ABC):
    """A kind of database, and one database of that kind. A method with a body is the default, which suits a server."""

    #: SQLAlchemy's name for it.
    name: ClassVar[str]
    #: Whether a forked child can open the same data anew.
    survives_fork: ClassVar[bool] = True
    #: Why it does not, and what to do.
    fork_refusal: ClassVar[str] = ""
    #: Whether `change_place` tells copies of a database apart.
    has_places: ClassVar[bool] = False
    #: Whether readers never see an older state than others saw before, as those of a standby may.
    is_only_copy: ClassVar[bool] = True
    #: Whether a child may not even inherit the connections.
    closes_before_fork: ClassVar[bool] = False
    #: Whether one writer keeps all others waiting. Then imports write what is large in several transactions.
    writes_in_turn: ClassVar[bool] = False
    #: Seconds within which every other process that waits for the write lock looks whether it is free.
    polling: ClassVar[float] = 0.0
    #: Which programs back it up and restore it, as a sentence; empty where `back_up` copies its file.
    backup_programs: ClassVar[str] = ""
    #: Which programs write it anew without free space, as a sentence; empty where `compact` does it.
    compact_programs: ClassVar[str] = ""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._watchers: set[Watcher] = set()

    @property
    @abstractmethod
    def display(self) -> str:
        """What is opened, for messages and logs: without a password."""

    @property
    def identity(self) -> object:
        """What is equal for two dialects of the same data."""
        return self.display

    @property
    def path(self) -> Path | None:
        """The database's file, if it is one."""
        return None

    @property
    @abstractmethod
    def word_index(self) -> WordIndex:
        """The index of words in this kind of database."""

    def new_watcher(self) -> Watcher:
        """Return what notices writes to the database; `watch` registers it."""
        return Polling()

    def watch(self) -> Watcher:
        """Return what notices writes to the database, until it is passed to `unwatch`."""
        watcher = self.new_watcher()
        self._watchers.add(watcher)
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        """Close what `watch` returned."""
        watcher.close()
        self._watchers.discard(watcher)

    @abstractmethod
    def unit_of_work(self, database: Database, *, writes: bool) -> UnitOfWork:
        """Return a unit of work, not begun."""

    def unit_of_statements(self, database: Database) -> UnitOfWork:
        """Return a unit of work that reads, not begun, each statement of which may see another state of the data."""
        return self.unit_of_work(database, writes=False)

    def queue(self, *, writes: bool) -> WriteQueue | None:
        """Return the queue that a unit of work waits in; None where the database itself queues."""
        return None

    def has_unfinished_write(self) -> bool:
        """Whether there may be a write of a process that was killed, which `configure` undoes and `look` shows."""
        return False

    @abstractmethod
    def look(self, callback: Callable[[Connection], Result]) -> Result:
        """Return what `callback` finds out about the schema, given a connection that changes nothing.

        Another process may be upgrading it: then this waits until it is done.
        """

    @abstractmethod
    def upgrade(self) -> contextlib.AbstractContextManager[Connection]:
        """Give a connection in a transaction in which nobody else upgrades the schema, committed at the end.

        While another process upgrades it, this waits, also longer than the busy timeout.
        """

    @abstractmethod
    def close(self) -> None:
        """Close the connections that are not in use. The dialect can be used again afterwards."""

    def continue_from(self, before: Dialect) -> None:  # noqa: B027 - the default is to do nothing
        """In a forked child: know of the database what the parent's dialect knew."""

    def create_if_missing(self, *, allowed: bool) -> None:  # noqa: B027 - the default is to do nothing
        """Make an empty database if there is none and that is allowed. One that exists is not changed."""

    def configure(self) -> None:  # noqa: B027 - the default is to do nothing
        """Set what is set once for a database, after it was found to be one of this library's."""

    def copy_before_upgrade(self, label: str) -> Path | None:
        """Copy the data to a file next to it, where that is this library's to do; return the file."""
        return None

    def back_up(
        self, unit: UnitOfWork, target: Path, on_pages: Callable[[int, int], None], on_step: Callable[[], None]
    ) -> BackupFacts:
        """Write what a unit of work sees to a new file, check the copy, and write it to the disk.

        Args:
            unit: one that reads, and has read nothing yet.
            target: the file, which must not exist.
            on_pages: called with how many pages are copied, and of how many.
            on_step: called again and again while the copy is checked.

        Raises:
            DatabaseFullError: there is no space for it.
            BackupError: it cannot be written.
            DatabaseCorruptError: it is not a whole copy.
        """
        raise errors.UnsupportedDatabaseError(f"{self.display} is no file. {self.backup_programs}")

    def holders(self) -> list[Holder]:
        """Return the processes that have its file open, where the system tells: also this one."""
        return []

    def require_unused(self) -> None:  # noqa: B027 - a server has no file
        """Do nothing if nobody has its file open, as far as the system tells.

        Raises:
            DatabaseLockedError: somebody has. Nothing was changed.
        """

    def put_in_place(self, part: Path, aside: Path, timeout: float) -> bool:
        """Replace the database with a copy, and move what was there to `aside`; return whether anything was there.

        Args:
            part: the copy, next to the database's file.
            aside: a file that does not exist.
            timeout: seconds to wait for others.

        Raises:
            DatabaseLockedError: somebody has the database open. Nothing was changed.
            DatabaseCorruptError: there is a log without its database. Nothing was changed.
        """
        raise errors.UnsupportedDatabaseError(f"{self.display} is no file. {self.backup_programs}")

    def schema_facts(self, known: Mapping[str, Sequence[SchemaItem]]) -> SchemaFacts | None:
        """Return what is damaged in the text of the schema; None where nothing but the server can damage it.

        Args:
            known: the schema of each revision.
        """
        return None

    def repair_schema(self, known: Mapping[str, Sequence[SchemaItem]], copy: Path) -> SchemaFacts | None:
        """Put the text of the schema back, where it is damaged and nothing is lost; as `schema_facts`.

        Args:
            copy: where to copy the database to before it is changed.
        """
        return None

    def schema_digest(self, unit: UnitOfWork, tables: Collection[str]) -> str | None:
        """Return a digest of the text of the schema of some tables of a file; None of what is no file."""
        return None

    def repaired_copy(self, known: Mapping[str, Sequence[SchemaItem]]) -> Dialect | None:
        """Return a private copy to read from in which the text of the schema is put right.

        None if nothing is wrong with it, or if something is lost. Closing the copy removes it.

        Args:
            known: the schema of each revision.
        """
        return None

    def rebuild_indexes(self, unit: UnitOfWork, on_step: Callable[[], None]) -> None:  # noqa: B027 - a server does it
        """Make all indexes anew.

        Args:
            on_step: called again and again.

        Raises:
            DatabaseCorruptError: rows are damaged, so that there is no such index.
        """

    def file_problems(self, unit: UnitOfWork, on_step: Callable[[], None]) -> list[str]:
        """Return what the database itself finds wrong in its file, in its own words; a server checks its own files.

        Args:
            on_step: called again and again.
        """
        return []

    def broken_links(self, unit: UnitOfWork, on_step: Callable[[], None], limit: int) -> list[BrokenLink]:
        """Return at most `limit` rows that break a foreign key; none where nobody can switch foreign keys off.

        Args:
            on_step: called again and again.
        """
        return []

    def compact(self, unit: UnitOfWork, on_step: Callable[[], None]) -> CompactFacts:
        """Write the database anew, without free space. Others can read, and wait to write.

        Args:
            unit: one that writes, and has written nothing. Its transaction is ended meanwhile.
            on_step: called again and again. An exception that it raises ends it, and the database is as it was.

        Raises:
            DatabaseFullError: there is too little space for it; nothing was changed.
            DatabaseLockedError: others were using it for longer than the busy timeout; nothing was changed.
            DatabaseUnavailableError: there is no folder for temporary files.
        """
        raise errors.UnsupportedDatabaseError(f"{self.display} is no file. {self.compact_programs}")

    def conditions(self, unit: UnitOfWork, on_step: Callable[[], None]) -> list[Condition]:
        """Return what `doctor` says of the database itself.

        Args:
            unit: one that reads.
            on_step: called again and again. An exception that it raises ends it.
        """
        return []

    def has_revision(self, connection: Connection, revision: str) -> bool:
        """Whether one query tells that the tables have a revision; if not, they have to be looked at."""
        return False

    def is_no_database(self, error: BaseException) -> bool:
        """Whether an error of the driver says that what it was to open is no database."""
        return False

    def check_owner(self, connection: Connection) -> None:  # noqa: B027 - the default is to do nothing
        """Raise `UnsupportedDatabaseError` if the database itself says that it is another program's."""

    def is_claimed(self, connection: Connection) -> bool:
        """Whether the database itself says that it is this library's."""
        return False

    def schema(self, connection: Connection) -> str | None:
        """Return the schema that tables are made in, where a database has several."""
        return None

    def is_marked(self, connection: Connection, number: int) -> bool:
        """Whether the statements of `marks` were run for this number."""
        return True

    def marks(self, number: int) -> list[str]:
        """Return the statements that note in the database itself that it is this library's.

        Args:
            number: of its schema's revision; 0 when it has no tables any more, and any program may use it.
        """
        return []

    @abstractmethod
    def translate(self, error: BaseException) -> errors.DatabaseError:
        """Return this library's error for the driver's."""

    @abstractmethod
    def violates_unique(self, error: BaseException, table: str, *columns: str) -> bool:
        """Whether an error says that a value of this unique key is taken."""

    @abstractmethod
    def reserve_message_ids(self, unit: UnitOfWork, count: int) -> list[int]:
        """Return `count` row ids for new messages that no other transaction uses, in ascending order."""

    def insert_message(
        self, unit: UnitOfWork, values: Parameters, payload: bytes, then: Bound | None = None
    ) -> tuple[int, int]:
        """Insert a message with its payload and its words; return its row id, and how many rows `then` changed.

        Args:
            values: its columns, by name.
            then: an UPDATE that is run as well. A parameter of it with the name of a column has the same value.
        """
        return insert_in_turn(unit, values, payload, then)

    def change_place(self, unit: UnitOfWork) -> str:
        """Return which copy of a database this is, so that a restored dump is known as another one."""
        return ""

    @abstractmethod
    def last_change(self, unit: UnitOfWork) -> int:
        """Return the largest number that no later change can have, and none that is not committed yet.

        All changes up to it are seen by this unit of work.
        """

    def log_position(self, unit: UnitOfWork) -> str:
        """Return where the log of writes ends that standbys replay; empty where there is none."""
        return ""

    def lag(self, unit: UnitOfWork, position: str) -> tuple[bool, int, float]:
        """Return whether this is a standby, the bytes of the log that it lacks, and for how many seconds it does.

        Args:
            unit: of the standby.
            position: of the primary.
        """
        return False, 0, 0.0

    @abstractmethod
    def largest_change(self, unit: UnitOfWork) -> int:
        """Return a number such that no change that was committed has a larger one."""

    @abstractmethod
    def tables(self, unit: UnitOfWork) -> list[str]:
        """Return the names of the tables in the database, or in its schema."""

    @abstractmethod
    def row_counters(self, unit: UnitOfWork) -> dict[str, int]:
        """Return the last row id that was ever used, by table, for tables that count them."""

    @abstractmethod
    def set_row_counters(self, unit: UnitOfWork, counters: Mapping[str, int]) -> None:
        """Make the next row ids larger than these, by table; other tables keep theirs."""

    def analyze(self, unit: UnitOfWork, tables: Iterable[str]) -> None:  # noqa: B027 - SQLite's plans are tested without statistics
        """After much was written: let the database look at tables anew, to plan its queries."""

    @abstractmethod
    def describe(self, unit: UnitOfWork) -> dict[str, Any]:
        """Return the facts that `Store.info` shows: version, location, size, journal mode."""


Factory = Callable[[URL, Settings], Dialect]

#: The end of many messages.
RETRY: Final = "Nothing was written; try again."
