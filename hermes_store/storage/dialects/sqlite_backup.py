"""Copies of a database file that others have open, and what is in a copy."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ... import errors
from .facts import BackupFacts
from .file_systems import sync
from .sqlite_errors import primary_code
from .sqlite_integrity import integrity_problems

#: How many pages are copied between two signs of progress.
_PAGES: Final = 256
#: SQLite's result codes that are about the file that is written.
_TARGETS: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})


def copy_pages(source: Any, target: Path, progress: Callable[..., None]) -> None:
    """Copy every page of a database to a new file, readable for its owner only.

    Args:
        source: the driver's connection. If it is in a transaction that has read, the copy is what this transaction
            sees, whatever others write meanwhile. Otherwise, SQLite begins again whenever another process writes.
        target: the file, which must not exist.
        progress: called again and again with SQLite's status, the pages that are left, and all.
    """
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with contextlib.closing(sqlite3.connect(target)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")  # `sync` does it once
        source.backup(connection, pages=_PAGES, progress=progress)


def back_up(
    source: Any, target: Path, on_pages: Callable[[int, int], None], on_step: Callable[[], None]
) -> BackupFacts:
    """Copy a database to a new file, check the copy, and write it to the disk.

    Args:
        source: the driver's connection, in a transaction.
        target: the file, which must not exist.
        on_pages: called with how many pages are copied, and of how many.
        on_step: called again and again while the copy is checked.

    Raises:
        DatabaseFullError: there is no space for it.
        BackupError: it cannot be written.
        DatabaseCorruptError: it is not a whole copy.
    """
    expected = facts_of(source)  # it reads, so that the transaction sees one state from here on
    try:
        copy_pages(source, target, lambda _status, left, total: on_pages(total - left, total))
    except sqlite3.OperationalError as error:
        code = primary_code(error)
        if code == sqlite3.SQLITE_FULL:
            raise errors.DatabaseFullError(
                f"There is no space for {target}: {error}. Nothing was changed; free some, or choose another place."
            ) from error
        if code in _TARGETS:
            raise errors.BackupError(f"{target} cannot be written: {error}. Nothing was changed.") from error
        if code == sqlite3.SQLITE_IOERR:
            raise errors.BackupError(
                f"The database cannot be copied to {target}: {error}. Nothing was changed; check the disks of both."
            ) from error
        raise
    found = check_backup(target, on_step)
    if found != expected:
        raise errors.DatabaseCorruptError(
            f"The copy {target} is not equal to the database: it has {found}, not {expected}. Nothing was changed. "
            "Check the disk that it is on."
        )
    sync(target)
    return found


def check_backup(path: Path, on_step: Callable[[], None]) -> BackupFacts:
    """Check a file that is nobody's database yet, and return what is in it.

    Args:
        path: the file.
        on_step: called again and again.

    Raises:
        DatabaseCorruptError: it is damaged, or has no tables of this library.
        BackupError: it cannot be read.
    """
    # Immutable: nobody writes to it, and else a log would be made next to it.
    uri = f"{Path(os.path.abspath(path)).as_uri()}?mode=ro&immutable=1"  # noqa: PTH100 - resolve() would follow links
    try:
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            problems = integrity_problems(connection, on_step, limit=1)
            if not problems:
                return facts_of(connection)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if primary_code(error) in {*_TARGETS, sqlite3.SQLITE_IOERR}:
            raise errors.BackupError(f"{path} cannot be read: {error}. Nothing was changed.") from error
        problems = [str(error)]
    raise errors.DatabaseCorruptError(
        f"The copy {path} is damaged ({problems[0]}): what was copied is, or the disk of the copy. It was removed, and "
        "nothing else was changed. `hermes-store verify` checks a database."
    )


def facts_of(connection: Any) -> BackupFacts:
    """Return what is in a database, by which a copy is compared with it."""
    (mark,) = connection.execute("PRAGMA application_id").fetchone()
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    counts = [connection.execute(statement).fetchone()[0] for statement in _COUNTS]
    return BackupFacts(mark, number, *counts)


_COUNTS: Final = (
    "SELECT count(*) FROM sessions",
    "SELECT count(*) FROM messages",
    "SELECT count(*) FROM projects",
)
