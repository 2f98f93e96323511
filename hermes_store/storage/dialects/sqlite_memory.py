"""SQLite databases that no file of the user's has: in memory, and the copy of a damaged file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

from ... import errors
from ..unit_of_work import UnitOfWork
from ..write_queue import WriteQueue
from .base import Settings
from .condition import Condition
from .facts import SchemaFacts, SchemaItem
from .sqlite import SQLiteDialect
from .sqlite_place import PlacedConnection
from .sqlite_schema_text import put_right, tolerate
from .sqlite_watch import MemoryWatcher
from .watcher import Watcher

#: How many pages are copied at once.
_COPIED_PAGES: Final = 256


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
