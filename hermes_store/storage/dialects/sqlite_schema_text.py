"""The text of a SQLite schema, put back where it was damaged: a name, a type, a keyword, a condition of an index.

SQLite keeps the statements that made the tables and indexes as text. Rows are stored by the order of the columns, so
that a text that differs damages no row; but SQLite reads it whenever a file is opened, and may refuse all of it.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from .base import APPLICATION_ID
from .facts import SchemaFacts, SchemaItem
from .sqlite_backup import copy_pages

#: How alike two texts have to be, from 0 to 1, for the one to be the other, damaged.
_ALIKE: Final = 0.8
_VERSION_TABLES: Final = ("hermes_store_version", "alembic_version")
FIRST: Final = "0001"
#: SQLAlchemy 2.0 writes some default values in parentheses, and 2.1 does not.
_IN_PARENTHESES: Final = re.compile(r"default\(('[^']*'|\w+)\)")
_BTREES: Final = {"table": frozenset({5, 13}), "index": frozenset({2, 10})}


class _Found(NamedTuple):
    """A row of the schema."""

    rowid: int
    item: SchemaItem
    root: Any


class _Change(NamedTuple):
    """What is to be done with one row of the schema."""

    rowid: int | None
    item: SchemaItem


def known_items(connection: Any) -> list[SchemaItem]:
    """Return the schema of a database that is whole."""
    return [SchemaItem(*row) for row in connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema")]


@contextlib.contextmanager
def tolerant(uri: str, timeout: float) -> Iterator[Any]:
    """Give a connection that can be used although the schema is damaged."""
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None)) as connection:
        tolerate(connection)
        yield connection


def tolerate(connection: Any) -> None:
    """Make a connection usable although the schema is damaged."""
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    connection.execute("PRAGMA writable_schema = ON")
    # The first statement reads the schema, and fails; the next ones use what could be read of it.
    with contextlib.suppress(sqlite3.DatabaseError, UnicodeDecodeError):
        connection.execute("SELECT 1 FROM sqlite_schema").fetchall()


def schema_digest(items: Iterable[Sequence[Any]]) -> str:
    """Return a digest of the schema of some tables: of what `SchemaItem` has of each item, in any order."""
    plain = sorted(repr(_plain(SchemaItem(*map(_text, item)))) for item in items)
    return hashlib.blake2b("\n".join(plain).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def schema_facts(connection: Any, known: Mapping[str, Sequence[SchemaItem]]) -> SchemaFacts:
    """Return what is damaged in a schema.

    Args:
        connection: from `tolerant`.
        known: the schema of each revision.

    Returns:
        Nothing is damaged if the revision is not among the known ones: a newer version of this library made it.
    """
    found = _read(connection)
    revision, problems = _revision(connection, found, known)
    if revision not in known:
        return SchemaFacts(revision, [], [])
    changes, missing = _compare(found, known[revision])
    lost = [f"{item.kind} {item.name} is missing" for item in missing if item.kind == "table" or item.sql is None]
    lost += _wrong_roots(connection, found, changes)
    problems += [f"{item.kind} {item.name}" for _, item in changes]
    problems += [f"index {item.name}, which is missing" for item in missing if item.kind == "index" and item.sql]
    return SchemaFacts(revision, problems, lost)


def repair_schema(
    connection: Any, known: Mapping[str, Sequence[SchemaItem]], copy: Path, marks: Callable[[int], list[str]]
) -> SchemaFacts:
    """Put the text of a schema back, after copying the file.

    Args:
        connection: from `tolerant`.
        known: the schema of each revision.
        copy: where to copy the file to, if anything is changed; it must not exist.
        marks: returns the statements that note whose file it is, and the number of its revision.
    """
    facts = schema_facts(connection, known)
    if facts.lost or not facts.problems:
        return facts
    copy_pages(connection, copy, lambda *_: None)
    put_right(connection, known, facts, marks)
    return facts


def put_right(
    connection: Any,
    known: Mapping[str, Sequence[SchemaItem]],
    facts: SchemaFacts,
    marks: Callable[[int], list[str]],
) -> None:
    """Put the text of a schema back, of which nothing is lost; as `repair_schema`."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        changes, missing = _compare(_read(connection), known[facts.revision])
        for change in changes:
            connection.execute(
                "UPDATE sqlite_schema SET type = ?, name = ?, tbl_name = ?, sql = ? WHERE rowid = ?",
                [*change.item, change.rowid],
            )
        (number,) = connection.execute("PRAGMA schema_version").fetchone()
        connection.execute(f"PRAGMA schema_version = {number + 1}")
        connection.execute("COMMIT")
    except BaseException:  # whatever it is, nothing is half done
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("PRAGMA writable_schema = RESET")
    connection.execute("BEGIN IMMEDIATE")
    for item in missing:
        connection.execute(item.sql)
    if changes or missing:
        connection.execute("SAVEPOINT indexes")
        with contextlib.suppress(sqlite3.IntegrityError):  # the rows are damaged as well: a check of the file says so
            connection.execute("REINDEX")
        connection.execute("RELEASE indexes")
    table = _VERSION_TABLES[facts.revision == FIRST]
    connection.execute(f"DELETE FROM {table}")  # noqa: S608 - one of two names
    connection.execute(f"INSERT INTO {table} (version_num) VALUES (?)", [facts.revision])  # noqa: S608
    if facts.revision != FIRST:
        for mark in marks(int(facts.revision)):
            connection.execute(mark)
    connection.execute("COMMIT")


def _read(connection: Any) -> list[_Found]:
    rows = connection.execute("SELECT rowid, type, name, tbl_name, sql, rootpage FROM sqlite_schema").fetchall()
    return [_Found(rowid, SchemaItem(*map(_text, item)), root) for rowid, *item, root in rows]


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _revision(
    connection: Any, found: Collection[_Found], known: Mapping[str, Sequence[SchemaItem]]
) -> tuple[str, list[str]]:
    """Return the revision of a schema, and which notes of it are damaged."""
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    problems = [] if mark in (0, APPLICATION_ID) else ["the number that says whose file it is"]
    written = None
    for table in _VERSION_TABLES:
        with contextlib.suppress(sqlite3.DatabaseError):
            row = connection.execute(f"SELECT * FROM {table}").fetchone()  # noqa: S608 - one of two names
            written = written or (row and row[0])
    items = {_plain(one.item) for one in found}
    nearest = max(known, key=lambda one: (len(items & set(map(_plain, known[one]))), one))
    noted = f"{number:04}"
    if written in known or written == noted:  # one place may be damaged, and hardly two in the same way
        return str(written), problems
    if written is not None:
        problems.append("the revision")
    return (noted if noted in known else nearest), problems


def _plain(item: SchemaItem) -> tuple[Any, ...]:
    """Return an item without what does not matter: spaces, quotes, case, and parentheses around a default value."""
    sql = item.sql if isinstance(item.sql, str) else ""
    plain = "".join(sql.replace('"', "").lower().split())
    return item.kind, item.name, item.table, _IN_PARENTHESES.sub(r"default\1", plain)


def _compare(found: Sequence[_Found], known: Sequence[SchemaItem]) -> tuple[list[_Change], list[SchemaItem]]:
    """Return which rows are to be other ones, and what has no row."""
    whole = {_plain(one.item) for one in found}
    wanted = [item for item in known if _plain(item) not in whole]
    expected = {_plain(item) for item in known}
    others = [one for one in found if _plain(one.item) not in expected]
    changes: list[_Change] = []
    missing: list[SchemaItem] = []
    for item in wanted:
        best = max(others, key=lambda one: _likeness(one.item, item), default=None)
        if best is None or _likeness(best.item, item) < _ALIKE:
            missing.append(item)
        else:
            others.remove(best)
            changes.append(_Change(best.rowid, item))
    return changes, missing


def _likeness(found: SchemaItem, item: SchemaItem) -> float:
    if (found.sql is None) != (item.sql is None):
        return 0.0
    first, second = ("\n".join(map(str, one)) for one in (found, item))
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    return matcher.ratio() if matcher.real_quick_ratio() >= _ALIKE else 0.0


def _wrong_roots(connection: Any, found: Sequence[_Found], changes: Sequence[_Change]) -> list[str]:
    """Return which rows refer to a page that cannot be a root: their tables or indexes cannot be found."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    kinds = {change.rowid: change.item.kind for change in changes}
    roots = [one.root for one in found]
    return [
        f"the first page of {one.item.kind} {one.item.name} is not known"
        for one in found
        if kinds.get(one.rowid, one.item.kind) in _BTREES
        and not str(one.item.sql).upper().startswith("CREATE VIRTUAL TABLE")  # which has none
        and not (type(one.root) is int and 1 < one.root <= pages and roots.count(one.root) == 1)
    ]
