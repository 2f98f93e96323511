"""Copies what can be read of a damaged SQLite file into the tables of a new one, and makes the new one consistent.

The new file has the tables of the revision that the damaged one had, so that everything here has to do with what all
revisions have in common. It is upgraded afterwards.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

from ...transcripts import json_codec
from ...validation import is_id
from . import sqlite_salvage_statements as statements
from .sqlite_cells import Row
from .sqlite_integrity import stepping
from .sqlite_pages import PageFile
from .sqlite_salvaged_cuts import remove_unknown
from .sqlite_shapes import UNDECIDED, revision_of, sound_session, table_of
from .sqlite_trees import Gap, Leaf, Trees

_BATCH: Final = 500
_VERSION_TABLES: Final = frozenset({"hermes_store_version", "alembic_version"})
_TABLES: Final = (
    *("sqlite_sequence", "projects", "sessions", "messages", "session_documents", "retired_ids", "import_items"),
    *("shares", "share_payloads", "usage", "message_cuts", "kept_messages"),
    # In this order: digests tell that a page in the tree of small documents is one of bodies, and not the reverse.
    *("session_extras", "message_blobs"),
)
#: What is read into temporary tables first, because rows may say that they are other ones.
_STAGED_TABLES: Final = frozenset({"sqlite_sequence", "sessions", "messages"})
#: What is removed from these while the session stays is no more than free pages.
_TRIMMED_TABLES: Final = frozenset({"message_cuts", "kept_messages"})


class SalvagedSession(NamedTuple):
    """What was read of a session."""

    row_id: int
    #: None if it is not known.
    session_id: str | None
    #: How many messages were read, and at which positions others were, as ranges: first and last.
    messages: int
    missing: list[tuple[int, int]]
    #: Whether its row was read. If not, another one was made for it.
    has_row: bool
    #: What else is missing, as parts of a sentence.
    problems: list[str]
    #: Whether some of what was kept of its former messages is missing.
    lacks_cuts: bool

    @property
    def is_whole(self) -> bool:
        """Whether everything that the session has now was read."""
        return self.has_row and not self.missing and not self.problems


class SalvageFacts(NamedTuple):
    """What was read of a file."""

    sessions: list[SalvagedSession]
    #: The public ids of sessions of which nothing else was read.
    lost: list[str]
    #: By the name of a table: in how many places rows may be lost.
    damaged: dict[str, int]


def found_revision(file: PageFile, known: set[str]) -> str | None:
    """Return the revision of a file's tables, as it says itself, or else as its rows look.

    Args:
        known: every revision. One that is not among them is returned if the file says it twice.
    """
    trees = Trees(file, lambda _: None)
    noted = f"{file.number(60):04}"
    written = ""
    for entry in trees.schema():
        if entry.kind == "table" and entry.name in _VERSION_TABLES and type(entry.root) is int:
            rows = [row for leaf in trees.leaves(entry.name, entry.root) for row in leaf.rows]
            written = next((row.values[0] for row in rows if table_of(row) == "version"), written)
    if written in known or (written and written == noted):
        return written
    if noted in known:
        return noted
    leaves = Trees(file, lambda _: None).stray_leaves()
    return max((revision_of(row) for leaf in leaves for row in leaf.rows), default="") or None


def salvage(
    file: PageFile, target: Path, on_page: Callable[[int, int], None], on_step: Callable[[], None]
) -> SalvageFacts:
    """Fill a new file with what can be read of a damaged one.

    Args:
        file: the damaged file.
        target: the new one, with the tables of the same revision, which are empty.
        on_page: called with how many pages were read, and of how many.
        on_step: called again and again afterwards, while what was read is put in order.
    """
    with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as connection:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE", "foreign_keys = OFF"):
            connection.execute(f"PRAGMA {pragma}")
        connection.create_function("body_digest", 1, _digest, deterministic=True)
        connection.execute("BEGIN")
        facts = _Salvage(file, connection, on_page, on_step).run()
        connection.execute("COMMIT")
    return facts


def _digest(payload: Any) -> bytes | None:
    return json_codec.digest(payload) if type(payload) is bytes else None


class _Salvage:
    """One salvage."""

    def __init__(
        self,
        file: PageFile,
        connection: sqlite3.Connection,
        on_page: Callable[[int, int], None],
        on_step: Callable[[], None],
    ) -> None:
        self._file = file
        self._on_step = on_step
        self._run = connection.execute
        self._connection = connection
        self._trees = Trees(file, lambda done: on_page(min(done, file.count), file.count))
        self._problems: dict[int, list[str]] = {}
        self._without_cuts: set[int] = set()
        #: Pages whose rows may be of two tables, by the name of the table in whose tree they were.
        self._undecided: dict[str, array[int]] = {}
        self._rows: dict[str, list[tuple[Any, ...]]] = {}
        self._columns = {name: self._columns_of(name) for name in _TABLES}

    def _columns_of(self, table: str) -> list[str]:
        return [str(row[1]) for row in self._run(f"PRAGMA table_info({table})")]

    def run(self) -> SalvageFacts:
        for statement in statements.STAGING:
            self._run(statement)
        self._read_trees()
        self._flush()
        with stepping(self._connection, self._on_step):
            return self._put_in_order()

    def _put_in_order(self) -> SalvageFacts:
        self._decide_pages()
        self._flush()
        self._run(statements.PLACE_SESSIONS)
        names = ", ".join(self._columns["messages"])
        found = ", ".join(f"found.{name}" for name in self._columns["messages"])
        self._run(statements.PLACE_MESSAGES.format(columns=names, found=found))
        self._remove_damaged_shares()
        self._run_on_tables(statements.TIDY)
        self._remove_unknown_cuts()
        lost = self._add_missing_sessions()
        self._run_on_tables(statements.UNLINK)
        for statement in statements.CONTINUE_IDS:
            self._run(statement)
        self._note_gaps()
        return SalvageFacts(
            sessions=list(self._sessions()),
            lost=lost,
            damaged={name: len(gaps) for name, gaps in self._trees.gaps.items() if gaps},
        )

    def _run_on_tables(self, statements: Iterable[tuple[str, str]]) -> None:
        """Run those statements whose table this revision has."""
        for table, statement in statements:
            if self._columns[table]:
                self._run(statement)

    # ── Reading ──

    def _read_trees(self) -> None:
        roots: dict[str, int] = {}
        for kind, name, _, root, _ in self._trees.schema():
            if type(root) is int and type(name) is str and kind in ("table", "index"):
                roots[name] = root
        for index, statement in statements.INDEXES.items():
            if index in roots:
                rows = (values for values in self._trees.entries(roots[index]) if len(values) == statement.count("?"))
                self._connection.executemany(statement, rows)
        for name in _TABLES:
            if name in roots:
                for leaf in self._trees.leaves(name, roots[name]):
                    self._take(leaf, name)
        for leaf in self._trees.stray_leaves():
            self._take(leaf, "")

    def _take(self, leaf: Leaf, name: str) -> None:
        for row in leaf.rows:
            table = table_of(row)
            if not (name or self._trees.free_is_whole) and table in _TRIMMED_TABLES:
                return
            if table == UNDECIDED:
                self._undecided.setdefault(name, array("Q")).append(leaf.number)
                return
            if table is not None and self._columns.get(table):
                self._add(table, row)
            elif table is None and name:
                self._trees.gaps[name].append(Gap(row.rowid - 1, row.rowid))

    def _add(self, table: str, row: Row) -> None:
        values = row.values
        if table == "sessions":
            values, was_damaged = sound_session(row, len(self._columns[table]))
            if was_damaged:
                self._problem(row.rowid, "a field was damaged, and is empty")
        elif table == "session_documents" and json_codec.digest(values[3]) != values[2]:
            self._problem(values[0], f"document {values[1]!r} is damaged")
            return
        columns = self._columns[table]
        values = values[: len(columns)]
        if values[0] is None:
            values = (row.rowid, *values[1:])
        elif table == "session_documents":
            values = (*values, row.rowid)
        rows = self._rows.setdefault(f"{table} {len(values)}", [])
        rows.append(values)
        if len(rows) >= _BATCH:
            self._flush()

    def _problem(self, row_id: int, problem: str) -> None:
        self._problems.setdefault(row_id, []).append(problem)

    def _flush(self) -> None:
        for key, rows in self._rows.items():
            table = key.split()[0]
            length = len(rows[0]) if rows else 0
            columns = [*self._columns[table], "rowid"][:length]
            target = f"salvaged_{table}" if table in _STAGED_TABLES else table
            names = ", ".join(f'"{name}"' for name in columns)
            places = ", ".join("?" * length)
            if rows:
                self._connection.executemany(f"INSERT OR IGNORE INTO {target} ({names}) VALUES ({places})", rows)  # noqa: S608
        self._rows.clear()

    def _decide_pages(self) -> None:
        """Add message bodies, copies of shares and small documents, whose rows have the same form.

        A page is one of bodies if the digest of any row is that of its message, and one of copies in the same way.
        """
        for name, number in ((name, number) for name, numbers in self._undecided.items() for number in numbers):
            self._on_step()
            rows = [row for row in self._trees.leaf(number).rows if table_of(row) == UNDECIDED]
            if (copies := [row for row in rows if self._is_copy(row)]) or name == "share_payloads":
                self._add_all("share_payloads", copies)
            elif (bodies := [row for row in rows if self._is_body(row)]) or name == "message_blobs":
                self._add_all("message_blobs", bodies)
            elif self._columns["session_extras"] and (name == "session_extras" or all(map(_is_extras, rows))):
                self._add_all("session_extras", [row for row in rows if _is_extras(row)])
                for row in rows:
                    if not _is_extras(row):
                        self._problem(row.rowid, "the small documents are damaged")

    def _add_all(self, table: str, rows: Iterable[Row]) -> None:
        for row in rows:
            self._add(table, row)

    def _is_body(self, row: Row) -> bool:
        found = self._run("SELECT digest FROM salvaged_messages WHERE id = ?", [row.rowid]).fetchall()
        return bool(found) and (json_codec.digest(row.values[1]),) in found

    def _is_copy(self, row: Row) -> bool:
        if not self._columns["shares"]:
            return False
        found = self._run("SELECT digest FROM shares WHERE id = ?", [row.rowid]).fetchall()
        return (json_codec.digest(row.values[1]),) in found

    # ── What was read ──

    def _remove_damaged_shares(self) -> None:
        if self._columns["shares"]:
            for session, token in self._run(statements.SHARES_WITHOUT_COPY):
                self._problem(session, f"share {token!r} is damaged")
            self._run("DELETE FROM shares WHERE id NOT IN (SELECT share_id FROM share_payloads)")

    def _remove_unknown_cuts(self) -> None:
        if self._columns["message_cuts"]:
            for session in remove_unknown(self._connection, self._trees.gaps.get("message_cuts")):
                self._without_cuts.add(session)

    def _add_missing_sessions(self) -> list[str]:
        """Make rows for the sessions of which only messages or documents were read; return the ids of the lost ones."""
        if not self._trees.free_is_whole:  # these may be messages of sessions that were purged
            for table in ("messages", "session_documents"):
                self._run(f"DELETE FROM {table} WHERE session_id NOT IN (SELECT id FROM sessions)")  # noqa: S608
        ids = {row_id: name for row_id, name in self._run(statements.IDS_WITHOUT_ROW) if is_id(name)}
        now = time.time()
        for row_id, first, last in self._run(statements.WITHOUT_ROW).fetchall():
            name = ids.pop(row_id, None)
            session_id = name or self._free_id(row_id)
            title = f"Salvaged messages of {name or 'a lost session'}"[:500]
            self._run(
                "INSERT INTO sessions (id, session_id, title, created_at, updated_at) VALUES (?, ?, ?, ?, ?)",
                [row_id, session_id, title, first or now, last or now],
            )
            self._run("INSERT INTO made_sessions VALUES (?)", [row_id])
        return sorted(ids.values())

    def _free_id(self, row_id: int) -> str:
        candidate, number = f"salvaged-{row_id}", 1
        while self._run(statements.IS_TAKEN, [candidate, candidate]).fetchone():
            number += 1
            candidate = f"salvaged-{row_id}-{number}"
        return candidate

    def _note_gaps(self) -> None:
        gaps = self._trees.gaps.get("session_extras", ()) if self._columns["session_extras"] else ()
        for gap in gaps:
            for (row_id,) in self._run(statements.SESSIONS_WITHOUT_EXTRAS, _limits(gap)):
                self._problem(row_id, "its small documents may be missing")

    def _sessions(self) -> Iterator[SalvagedSession]:
        positions = self._run(statements.POSITIONS)
        by_session = groupby(positions, key=itemgetter(0))
        current = next(by_session, None)
        for row_id, session_id, count, was_made in self._run(statements.SESSIONS).fetchall():
            found: list[int] = []
            if current is not None and current[0] == row_id:
                found = [position for _, position in current[1]]
                current = next(by_session, None)
            yield SalvagedSession(
                row_id=row_id,
                session_id=session_id,
                messages=len(found),
                missing=_missing(found, count),
                has_row=not was_made,
                problems=list(dict.fromkeys(self._problems.get(row_id, ()))),
                lacks_cuts=row_id in self._without_cuts,
            )


def _limits(gap: Gap) -> tuple[int, int]:
    return int(max(gap.after, -(2**62))), int(min(gap.before, 2**62))


def _missing(found: Iterable[int], count: int) -> list[tuple[int, int]]:
    """Return the positions that are not among some, which are in order, up to a number of messages."""
    missing: list[tuple[int, int]] = []
    expected = 0
    for position in found:
        if position > expected:
            missing.append((expected, position - 1))
        expected = position + 1
    if expected < count:
        missing.append((expected, count - 1))
    return missing


def _is_extras(row: Row) -> bool:
    """Whether the bytes of a row may be a session's small documents, and not a message or a share."""
    try:
        values = json_codec.decode(row.values[1])
    except ValueError:
        return False
    if not isinstance(values, dict):
        return False
    return not any(keys <= values.keys() for keys in ({"role", "content"}, {"token", "source_session_id"}))
