"""Putting a backup in the place of a database file that nobody has open."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ... import errors
from .file_systems import sync
from .open_files import holders
from .sqlite_errors import primary_code

#: SQLite's result codes for a file that is no sound database.
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SUFFIXES: Final = ("-wal", "-shm", "-journal")


def require_unused(path: Path) -> None:
    """Do nothing if nobody has a database open, as far as the system tells.

    Raises:
        DatabaseLockedError: somebody has; it names the processes.
    """
    found = holders(path, own=True)
    if found:
        raise _in_use(path, found)


def put_in_place(part: Path, path: Path, aside: Path, timeout: float) -> bool:
    """Replace the database at `path` with a copy, and move what was there to `aside`; return whether anything was.

    At every moment there is a whole database at `path`, the old or the new one. (On a file system without hard links,
    there is none for a moment.)

    Args:
        part: the copy, on the same file system.
        path: the database.
        aside: a file that does not exist.
        timeout: seconds to wait for others.

    Raises:
        DatabaseLockedError: somebody has the database open. Nothing was changed.
        DatabaseCorruptError: there is a log without its database.
    """
    if not os.path.lexists(path):
        _require_no_log(path)
        part.replace(path)
        sync(path.parent)
        return False
    require_unused(path)
    with contextlib.ExitStack() as held:
        if _is_sound(path):
            held.enter_context(_exclusive(path, timeout))
        else:
            # SQLite cannot lock what is no database, and would remove its log. That belongs to it, and not to what will
            # be there.
            held.enter_context(_logs_kept(path, aside))
        _keep(path, aside)
        _take_over(part, path)
        part.replace(path)
        sync(path.parent)
    return True


def _is_sound(path: Path) -> bool:
    """Whether the first page of a file is a database's, and its schema can be read. Its log is not looked at."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    except sqlite3.DatabaseError as error:
        if primary_code(error) not in _DAMAGED:
            raise
        return False
    return path.stat().st_size > 0


def _require_no_log(path: Path) -> None:
    for suffix in ("-wal", "-journal"):
        log = path.with_name(path.name + suffix)
        if os.path.lexists(log):
            raise errors.DatabaseCorruptError(
                f"There is a log {log} without its database, which SQLite would apply to the backup. Nothing was "
                "changed; move it away, and try again."
            )


@contextlib.contextmanager
def _exclusive(path: Path, timeout: float) -> Iterator[None]:
    """Keep everybody else from a database while the block runs. At its end, the database has no log.

    In WAL mode, each connection holds a shared lock, idle or not, so that the exclusive one is refused. The mode is
    switched, because SQLite would remove the log of whatever is at the path when the connection is closed.
    """
    uri = f"{path.as_uri()}?mode=rw"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            (before,) = connection.execute("PRAGMA journal_mode").fetchone()
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if primary_code(error) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise _in_use(path, holders(path)) from error
            raise
        try:
            yield
        except BaseException:  # whatever it is, the database is still in its place
            connection.execute("ROLLBACK")
            connection.execute(f"PRAGMA journal_mode = {before}")
            raise
        connection.execute("ROLLBACK")


@contextlib.contextmanager
def _logs_kept(path: Path, aside: Path) -> Iterator[None]:
    """Move the logs of a database with it; back, if the block is left with an exception."""
    moved: list[tuple[Path, Path]] = []
    try:
        for suffix in _SUFFIXES:
            log, kept = (one.with_name(one.name + suffix) for one in (path, aside))
            if os.path.lexists(log):
                log.rename(kept)
                moved.append((log, kept))
        yield
    except BaseException:  # whatever it is, the database is still in its place
        for log, kept in moved:
            kept.rename(log)
        raise


def _in_use(path: Path, found: str) -> errors.DatabaseLockedError:
    who = f" {found}" if found else ""
    return errors.DatabaseLockedError(
        f"{path} is in use.{who} Nothing was changed; close every store and program that has it open, and try again."
    )


def _keep(path: Path, aside: Path) -> None:
    """Give the database a second name, so that there is no moment without one; or another, where that is impossible."""
    try:
        os.link(path, aside, follow_symlinks=True)
    except OSError:  # a file system without hard links
        path.rename(aside)


def _take_over(part: Path, path: Path) -> None:
    """Give the copy the permissions of the database, where that is allowed."""
    with contextlib.suppress(OSError):
        facts = path.stat()
        part.chmod(facts.st_mode & 0o777)
        os.chown(part, facts.st_uid, facts.st_gid)
