"""Copying all rows of a database into an empty one, of any kind.

The rows go in parts, each in one transaction of the target with a note of how far the copy is. A copy that was
interrupted goes on there, if the source still has what was copied; otherwise it begins anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal, NamedTuple

from ..errors import CopyError, CopyUnfinishedError, DatabaseCorruptError
from . import change_rows, copy_marks, migrations, search_filling, search_state
from .copied_tables import SEEDED, CopiedTable, Digest, Key, all_tables
from .dialects import Settings, Target
from .engine import Database
from .schema_version import COPYING, present_tables
from .unit_of_work import UnitOfWork

Step = Literal["compare", "copy", "check", "index"]
#: Called with the step, how many rows (or messages, for the index) are done, and of how many.
OnCopied = Callable[[Step, int, int], None]

#: How many replaced values are named.
_MOST: Final = 1_000
#: In the progress: that all rows were compared, and nothing is left to do but to remove the mark.
_CHECKED: Final = "checked"


class CopyFacts(NamedTuple):
    """What a copy did."""

    #: By table: how many rows it has.
    rows: dict[str, int]
    #: How many rows an earlier attempt had copied.
    resumed: int
    #: Values of a wrong type that were replaced by an empty one: the first 1,000.
    replaced: list[str]


class _Progress(NamedTuple):
    """How far a table is."""

    digest: Digest = Digest()
    #: The key of the last row; None at the beginning.
    after: Key | None = None

    @classmethod
    def of(cls, noted: dict[str, Any], table: CopiedTable) -> _Progress:
        if table.name not in noted:
            return cls()
        rows, total, after = noted[table.name]
        return cls(Digest(rows, int(total, 16)), None if after is None else tuple(after))

    def noted(self) -> list[Any]:
        return [self.digest.rows, f"{self.digest.total:x}", self.after]


def copy(source: Database, target: Target, on_copied: OnCopied) -> CopyFacts:
    """Copy everything to a database that is empty, new, or the target of a copy that was interrupted.

    Args:
        source: an open database.
        target: where to copy to.
        on_copied: called again and again. An exception that it raises ends the copy, which can go on later.

    Raises:
        CopyError: the target is not empty, or is the source; or the copy is not equal to it.
        DatabaseCorruptError: the source is damaged, so that rows refer to missing ones.
    """
    # Batches need not be on the disk at once: the last transaction is a durable one, and later than all of them.
    database = Database(target, Settings(durability="normal"))
    try:
        if not database.dialect.survives_fork:
            raise CopyError("A copy in memory would be lost at once. Nothing was copied; name a file or a server.")
        if database.is_same(source):
            raise CopyError(f"{database.dialect.display} is the source itself. Nothing was copied.")
        with source.read() as reading:
            _require_links(reading)
            with database.translated():
                _make(database)
                token = copy_marks.begin(database.dialect)
            database.schema_number = int(COPYING)
            copied = _Copy(database, token, on_copied)
            copied.copy_rows(reading)
        facts = copied.complete()
        _finish(target, token)
        _index(database, on_copied)
    finally:
        database.close()
    return facts


def _require_links(reading: UnitOfWork) -> None:
    if broken := reading.dialect.broken_links(reading, lambda: None, 1):
        raise DatabaseCorruptError(
            f"Row {broken[0].row_id} of table {broken[0].table} of {reading.dialect.display} refers to a row that is "
            "not there. Nothing was copied; `hermes-store repair` puts that right."
        )


def _make(database: Database) -> None:
    """Make the tables of the newest revision in the target; one that is marked has them."""
    with contextlib.suppress(CopyUnfinishedError):
        migrations.ensure(database, allow_upgrade=True)
    database.dialect.configure()


def _finish(target: Target, token: str) -> None:
    durable = Database(target, Settings())
    try:
        with durable.translated():
            durable.dialect.look(lambda _: None)  # which finds a pooler out
            copy_marks.finish(durable.dialect, token, migrations.HEAD)
    finally:
        durable.close()


def _index(database: Database, on_copied: OnCopied) -> None:
    """Fill the index of words, if there is to be one. Interrupted, it goes on when the store is opened."""
    database.schema_number = int(migrations.HEAD)
    search_filling.fill(database, lambda done, total: on_copied("index", done, total))
    with database.write() as unit:
        unit.dialect.analyze(unit, present_tables(unit))


class _Copy:
    """The rows of one copy."""

    def __init__(self, target: Database, token: str, on_copied: OnCopied) -> None:
        self._target = target
        self._token = token
        self._on_copied = on_copied
        self._tables = all_tables()
        self._noted: dict[str, Any] = {}
        self._counters: dict[str, int] = {}
        self._replaced: list[str] = []
        self._done = self._total = self._resumed = 0

    def copy_rows(self, reading: UnitOfWork) -> None:
        """Write all rows of the source that are not there yet.

        Args:
            reading: one that sees one state of the source.
        """
        self._total = sum(table.count(reading) for table in self._tables)
        names = {table.name for table in self._tables}
        self._counters = {name: last for name, last in reading.dialect.row_counters(reading).items() if name in names}
        self._resume(reading)
        for table in self._tables:
            self._copy_table(reading, table)
        for table in self._tables:
            self._copy_links(reading, table)

    def complete(self) -> CopyFacts:
        """Compare the rows with the source's, and write what follows from them.

        Raises:
            CopyError: they differ.
        """
        if not self._noted.get(_CHECKED):
            self._check()
            self._settle()
        rows = {table.name: _Progress.of(self._noted, table).digest.rows for table in self._tables}
        return CopyFacts(rows, self._resumed, self._replaced)

    def _resume(self, reading: UnitOfWork) -> None:
        """Go on with what an earlier attempt copied, if the source still has it; else remove that."""
        with self._target.read() as unit:
            self._noted = copy_marks.progress(unit)
        if self._noted and all(self._is_as_noted(reading, table) for table in self._tables):
            self._resumed = sum(_Progress.of(self._noted, table).digest.rows for table in self._tables)
        else:
            self._noted = {}
            with self._noting() as unit:
                for table in reversed(self._tables):
                    table.empty(unit)
        self._done = self._resumed

    def _is_as_noted(self, reading: UnitOfWork, table: CopiedTable) -> bool:
        """Whether the source begins with the rows that were copied."""
        known = _Progress.of(self._noted, table)
        now = _Progress()
        parts = table.parts(reading)
        while now.digest.rows < known.digest.rows and (part := next(parts, None)) is not None:
            rows = part.rows[: known.digest.rows - now.digest.rows]
            now = _Progress(now.digest.with_rows(rows), table.key_of(rows[-1]))
            self._advance("compare", len(rows))
        return now == known

    def _advance(self, step: Step, rows: int) -> None:
        self._done += rows
        self._on_copied(step, self._done, max(self._total, self._done))

    @contextlib.contextmanager
    def _noting(self) -> Iterator[UnitOfWork]:
        """Give a transaction of the target with a note of how far the copy is at its end."""
        with self._target.write() as unit:
            # First: another process that goes on with the copy waits for this one's end, or this one finds it there.
            copy_marks.set_progress(unit, self._token, self._noted)
            yield unit

    def _copy_table(self, reading: UnitOfWork, table: CopiedTable) -> None:
        now = _Progress.of(self._noted, table)
        for part in table.parts(reading, now.after):
            now = _Progress(now.digest.with_rows(part.rows), part.last)
            self._noted = {**self._noted, table.name: now.noted(), _CHECKED: False}
            self._replaced += part.replaced[: _MOST - len(self._replaced)]
            with self._noting() as unit:
                table.write(unit, part.rows)
            self._advance("copy", len(part.rows))

    def _copy_links(self, reading: UnitOfWork, table: CopiedTable) -> None:
        for name in table.links:
            for links in table.link_parts(reading, name):
                with self._noting() as unit:
                    table.write_links(unit, name, links)

    def _check(self) -> None:
        self._done = 0
        for table in self._tables:
            if table.name in SEEDED:  # the target's own
                continue
            found = Digest()
            with self._target.read() as unit:
                for part in table.parts(unit):
                    found = found.with_rows(part.rows)
                    self._advance("check", len(part.rows))
            if found != _Progress.of(self._noted, table).digest:
                self._noted = {}
                with self._noting():
                    pass
                raise CopyError(
                    f"Table {table.name} of {self._target.dialect.display} is not equal to the source's: something "
                    "else wrote to it. It is not a store; copy again, which begins anew."
                )

    def _settle(self) -> None:
        """Carry the counters of row ids over, let the index of words be filled, and refuse the source's cursors."""
        self._noted = {**self._noted, _CHECKED: True}
        with self._noting() as unit:
            unit.dialect.set_row_counters(unit, self._counters)
            change_rows.begin_anew(unit, unit.dialect.change_place(unit) if unit.dialect.has_places else "")
            if search_state.read(unit).is_enabled:
                search_state.begin_anew(unit)
