"""Copies what can be read of a damaged SQLite file into the tables of a new one, and makes the new one consistent.

The new file has the tables of the revision that the damaged one had, so that everything here has to do with what all
revisions have in common. It is upgraded afterwards.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

from ...transcripts import json_codec
from .sqlite_cells import Row
from .sqlite_pages import PageFile
from .sqlite_salvaged_cuts import remove_unknown
from .sqlite_shapes import UNDECIDED, is_public_id, revision_of, sound_session, table_of
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


def salvage(file: PageFile, target: Path, on_page: Callable[[int, int], None]) -> SalvageFacts:
    """Fill a new file with what can be read of a damaged one.

    Args:
        file: the damaged file.
        target: the new one, with the tables of the same revision, which are empty.
        on_page: called with how many pages were read, and of how many.
    """
    with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as connection:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "temp_store = FILE", "foreign_keys = OFF"):
            connection.execute(f"PRAGMA {pragma}")
        connection.create_function("body_digest", 1, _digest, deterministic=True)
        connection.execute("BEGIN")
        facts = _Salvage(file, connection, on_page).run()
        connection.execute("COMMIT")
    return facts


def _digest(payload: Any) -> bytes | None:
    return json_codec.digest(payload) if type(payload) is bytes else None


class _Salvage:
    """One salvage."""

    def __init__(self, file: PageFile, connection: sqlite3.Connection, on_page: Callable[[int, int], None]) -> None:
        self._file = file
        self._run = connection.execute
        self._connection = connection
        self._trees = Trees(file, lambda done: on_page(min(done, file.count), file.count))
        self._problems: dict[int, list[str]] = {}
        self._without_cuts: set[int] = set()
        #: Pages whose rows may be of two tables, each with the name of the table in whose tree it was.
        self._undecided: list[tuple[int, str]] = []
        self._rows: dict[str, list[tuple[Any, ...]]] = {}
        self._columns = {name: self._columns_of(name) for name in _TABLES}

    def _columns_of(self, table: str) -> list[str]:
        return [str(row[1]) for row in self._run(f"PRAGMA table_info({table})")]

    def run(self) -> SalvageFacts:
        for statement in _STAGING:
            self._run(statement)
        self._read_trees()
        self._flush()
        self._decide_pages()
        self._flush()
        self._run(_PLACE_SESSIONS)
        names = ", ".join(self._columns["messages"])
        found = ", ".join(f"found.{name}" for name in self._columns["messages"])
        self._run(_PLACE_MESSAGES.format(columns=names, found=found))
        self._remove_damaged_shares()
        self._run_on_tables(_TIDY)
        self._remove_unknown_cuts()
        lost = self._add_missing_sessions()
        self._run_on_tables(_UNLINK)
        for statement in _CONTINUE_IDS:
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
        for index, statement in _INDEXES.items():
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
                self._undecided.append((leaf.number, name))
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
        for number, name in self._undecided:
            rows = [row for row in self._trees.leaf(number).rows if table_of(row) == UNDECIDED]
            copies = [row for row in rows if self._is_copy(row)]
            if copies or name == "share_payloads":
                for row in copies:
                    self._add("share_payloads", row)
                continue
            bodies = [row for row in rows if self._is_body(row)]
            if bodies or name == "message_blobs":
                for row in bodies:
                    self._add("message_blobs", row)
            elif self._columns["session_extras"] and (name == "session_extras" or all(map(_is_extras, rows))):
                for row in rows:
                    if _is_extras(row):
                        self._add("session_extras", row)
                    else:
                        self._problem(row.rowid, "the small documents are damaged")

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
            for session, token in self._run(_SHARES_WITHOUT_COPY):
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
        ids = {row_id: name for row_id, name in self._run(_IDS_WITHOUT_ROW) if is_public_id(name)}
        now = time.time()
        for row_id, first, last in self._run(_WITHOUT_ROW).fetchall():
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
        while self._run(_IS_TAKEN, [candidate, candidate]).fetchone():
            number += 1
            candidate = f"salvaged-{row_id}-{number}"
        return candidate

    def _note_gaps(self) -> None:
        gaps = self._trees.gaps.get("session_extras", ()) if self._columns["session_extras"] else ()
        for gap in gaps:
            for (row_id,) in self._run(_SESSIONS_WITHOUT_EXTRAS, _limits(gap)):
                self._problem(row_id, "its small documents may be missing")

    def _sessions(self) -> Iterator[SalvagedSession]:
        positions = self._run(_POSITIONS)
        by_session = groupby(positions, key=itemgetter(0))
        current = next(by_session, None)
        for row_id, session_id, count, was_made in self._run(_SESSIONS).fetchall():
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


_STAGING: Final = (
    (
        "CREATE TEMP TABLE salvaged_messages (id INTEGER, session_id INTEGER, position INTEGER, role TEXT, "
        "timestamp DOUBLE, digest BLOB, revision INTEGER DEFAULT 1)"
    ),
    "CREATE INDEX temp.salvaged_messages_id ON salvaged_messages (id)",
    "CREATE TEMP TABLE salvaged_sessions AS SELECT * FROM sessions WHERE 0",
    "CREATE TEMP TABLE salvaged_sqlite_sequence (name TEXT, seq INTEGER)",
    "CREATE TEMP TABLE message_entries (session_id, position, id INTEGER PRIMARY KEY)",
    "CREATE TEMP TABLE session_entries (session_id, id INTEGER PRIMARY KEY)",
    "CREATE TEMP TABLE made_sessions (id INTEGER PRIMARY KEY)",
)
#: The indexes whose entries say again what the rows say.
_INDEXES: Final = {
    "sqlite_autoindex_messages_1": "INSERT OR IGNORE INTO message_entries VALUES (?, ?, ?)",
    "sqlite_autoindex_sessions_1": "INSERT OR IGNORE INTO session_entries VALUES (?, ?)",
}
#: Those of which the index has the row id as well go first.
_PLACE_SESSIONS: Final = """
INSERT OR IGNORE INTO sessions SELECT found.* FROM salvaged_sessions AS found
LEFT JOIN session_entries AS entry ON entry.id = found.id
ORDER BY entry.session_id IS NOT found.session_id, found.id
"""
#: Only messages with the right body. Those whose place the index confirms go first; one for which it names another
#: place is only believed if the place is free, and in the session.
_PLACE_MESSAGES: Final = """
INSERT OR IGNORE INTO messages ({columns}) SELECT {found}
FROM salvaged_messages AS found
JOIN message_blobs AS body ON body.message_id = found.id AND found.digest = body_digest(body.payload)
LEFT JOIN message_entries AS entry ON entry.id = found.id
WHERE found.position >= 0 AND (
    entry.id IS NULL OR (entry.session_id = found.session_id AND entry.position = found.position)
    OR found.position < (SELECT message_count FROM sessions WHERE sessions.id = found.session_id))
ORDER BY entry.id IS NULL, entry.session_id IS NOT found.session_id OR entry.position IS NOT found.position, found.id
"""
_STAGED: Final = "(SELECT id FROM sessions WHERE session_id LIKE ' staged/%')"
_PURGED: Final = (
    "(SELECT sessions.id FROM sessions JOIN retired_ids USING (session_id) WHERE retired_ids.successor_id IS NULL)"
)
_STAGED_ENTRIES: Final = "(SELECT id FROM session_entries WHERE session_id LIKE ' staged/%')"
_CHILDREN: Final = ("messages", "session_documents", "session_extras", "shares", "message_cuts")
#: Each with the table that it is about.
_TIDY: Final = (
    *(
        (table, f"DELETE FROM {table} WHERE session_id IN {rows}")  # noqa: S608
        for table in _CHILDREN
        for rows in (_STAGED, _PURGED, _STAGED_ENTRIES)
    ),
    ("sessions", f"DELETE FROM sessions WHERE id IN {_STAGED} OR id IN {_PURGED}"),  # noqa: S608
    ("message_blobs", "DELETE FROM message_blobs WHERE message_id NOT IN (SELECT id FROM messages)"),
    # It still counts. Sessions that are made for messages have no totals.
    ("usage", "UPDATE usage SET session_id = NULL WHERE session_id NOT IN (SELECT id FROM sessions)"),
)
_SHARES_WITHOUT_COPY: Final = (
    "SELECT session_id, token FROM shares WHERE id NOT IN (SELECT share_id FROM share_payloads)"
)
_WITHOUT_ROW: Final = """
SELECT session_id, min(timestamp), max(timestamp) FROM (
    SELECT session_id, timestamp FROM messages UNION ALL SELECT session_id, NULL FROM session_documents
) WHERE session_id NOT IN (SELECT id FROM sessions) GROUP BY session_id
"""
_IDS_WITHOUT_ROW: Final = """
SELECT id, session_id FROM session_entries AS entry
WHERE id NOT IN (SELECT id FROM sessions) AND session_id NOT LIKE ' staged/%'
AND session_id NOT IN (SELECT session_id FROM sessions) AND session_id NOT IN (SELECT session_id FROM retired_ids)
"""
_IS_TAKEN: Final = (
    "SELECT 1 FROM sessions WHERE session_id = ? UNION ALL SELECT 1 FROM retired_ids WHERE session_id = ?"
)
_MISSING: Final = "NOT IN (SELECT id FROM sessions)"
_UNLINK: Final = (
    ("session_extras", f"DELETE FROM session_extras WHERE session_id {_MISSING}"),  # noqa: S608
    ("shares", f"DELETE FROM shares WHERE session_id {_MISSING}"),  # noqa: S608
    ("share_payloads", "DELETE FROM share_payloads WHERE share_id NOT IN (SELECT id FROM shares)"),
    ("sessions", "UPDATE sessions SET project_id = NULL WHERE project_id NOT IN (SELECT id FROM projects)"),
    ("sessions", f"UPDATE sessions SET parent_id = NULL WHERE parent_id {_MISSING}"),  # noqa: S608
    ("retired_ids", f"UPDATE retired_ids SET successor_id = NULL WHERE successor_id {_MISSING}"),  # noqa: S608
    ("import_items", f"UPDATE import_items SET session_id = NULL WHERE session_id {_MISSING}"),  # noqa: S608
)
#: Row ids are never used twice. (A number that is much too large is damaged.)
_CONTINUE_IDS: Final = (
    """
INSERT INTO sqlite_sequence (name, seq) SELECT DISTINCT name, 0 FROM salvaged_sqlite_sequence
WHERE name IN ('projects', 'sessions', 'messages', 'shares', 'usage', 'message_cuts', 'import_items')
AND name NOT IN (SELECT name FROM sqlite_sequence)
""",
    """
UPDATE sqlite_sequence SET seq = max(seq, coalesce((SELECT max(found.seq) FROM salvaged_sqlite_sequence AS found
WHERE found.name = sqlite_sequence.name AND found.seq < 281474976710656), 0))
""",
)
_SESSIONS_WITHOUT_EXTRAS: Final = (
    "SELECT id FROM sessions WHERE id > ? AND id <= ? AND id NOT IN (SELECT session_id FROM session_extras)"
)
_SESSIONS: Final = (
    "SELECT id, session_id, message_count, id IN (SELECT id FROM made_sessions) FROM sessions ORDER BY id"
)
_POSITIONS: Final = "SELECT session_id, position FROM messages ORDER BY session_id, position"
