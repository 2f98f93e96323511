"""Writing a database file anew, without free pages and without what SQLite left in unused parts of pages."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from ... import errors
from .facts import CompactFacts
from .open_files import holders
from .sqlite_errors import primary_code
from .sqlite_integrity import stepping
from .sqlite_words import erase

#: Where SQLite looks for a folder for its temporary files: https://www.sqlite.org/tempfiles.html#temp_store_directory
_VARIABLES: Final = ("SQLITE_TMPDIR", "TMPDIR")
_FOLDERS: Final = ("/var/tmp", "/usr/tmp", "/tmp", ".")  # noqa: S108 - SQLite's own list

#: Milliseconds of an attempt to empty the log, and seconds between two, in which others write.
_ATTEMPT: Final = 100
_PAUSE: Final = 0.1
#: Seconds to wait for another process that moves the log into the file: SQLite lets the next writer do that.
_MOVING: Final = 60.0


def compact(connection: Any, path: Path | None, on_step: Callable[[], None]) -> CompactFacts:
    """Run ``VACUUM``, and empty the log.

    Args:
        connection: the driver's, in no transaction.
        path: the database's file; None if it has none.
        on_step: called again and again. An exception that it raises ends it, and the database is as it was.

    Raises:
        DatabaseFullError: there is too little space for it; nothing was changed.
        DatabaseLockedError: others were reading for longer than the busy timeout; nothing was changed.
        DatabaseUnavailableError: there is no folder for temporary files.
    """
    if path is not None and not _empty_log(connection, on_step):
        raise _in_use(path)
    before = _size(connection)
    if path is None:
        erase(connection, always=True)
        connection.execute("VACUUM")
        return CompactFacts(before, _size(connection), is_erased=True)
    _require_space(connection, path, before)
    with _temporary_files(connection), stepping(connection, on_step):
        try:
            erase(connection, always=True)
            connection.execute("VACUUM")
        except sqlite3.OperationalError as error:
            if primary_code(error) == sqlite3.SQLITE_BUSY:
                raise _in_use(path) from error
            raise
    return CompactFacts(before, _size(connection), is_erased=_empty_log(connection, lambda: None))


def _in_use(path: Path) -> errors.DatabaseLockedError:
    found = holders(path)
    who = f" {found}" if found else ""
    return errors.DatabaseLockedError(
        f"{path} was being used by others for longer than the busy timeout.{who} Nothing was changed; try "
        "again when nobody uses it."
    )


def _size(connection: Any) -> int:
    """Return the size of the database in bytes, without its log."""
    pages, page_size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return int(pages * page_size)


def _empty_log(connection: Any, on_step: Callable[[], None]) -> bool:
    """Move the log into the file and cut it to no bytes, waiting for readers; return whether that was done.

    Nobody can write during an attempt. So what can be moved is moved before, while others write, and there are many
    short attempts instead of one as long as the busy timeout.
    """
    until = time.monotonic() + _MOVING
    while connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0] and time.monotonic() < until:
        time.sleep(_PAUSE)  # another process moves it
    (timeout,) = connection.execute("PRAGMA busy_timeout").fetchone()
    end = time.monotonic() + timeout / 1_000
    connection.execute(f"PRAGMA busy_timeout = {min(timeout, _ATTEMPT)}")
    try:
        while True:
            (is_busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not is_busy or time.monotonic() >= end:
                return not is_busy
            on_step()
            time.sleep(_PAUSE)
    finally:
        connection.execute(f"PRAGMA busy_timeout = {timeout}")


@contextlib.contextmanager
def _temporary_files(connection: Any) -> Iterator[None]:
    """Make SQLite write its copy to a file. In memory, where its other temporary data is, it might not fit."""
    connection.execute("PRAGMA temp_store = FILE")
    try:
        yield
    finally:
        connection.execute("PRAGMA temp_store = MEMORY")


def _require_space(connection: Any, path: Path, size: int) -> None:
    """Make sure that the copy and the log, or the journal, will fit: each may get as large as the database."""
    (free_pages,) = connection.execute("PRAGMA freelist_count").fetchone()
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    folders = [(temporary_folder(), size - free_pages * page_size), (Path(os.path.realpath(path)).parent, size)]
    by_device: dict[int, tuple[Path, int]] = {}
    for folder, needed in folders:
        device = os.stat(folder).st_dev  # noqa: PTH116
        by_device[device] = (folder, by_device.get(device, (folder, 0))[1] + needed)
    for folder, needed in by_device.values():
        free = shutil.disk_usage(folder).free
        if free < needed:
            raise errors.DatabaseFullError(
                f"{path} cannot be compacted: that takes {needed:,} bytes on the disk of {folder}, which has {free:,}. "
                "Nothing was changed; free some, or name a folder for temporary files in SQLITE_TMPDIR."
            )


def temporary_folder() -> Path:
    """Return the folder in which SQLite makes temporary files.

    Raises:
        DatabaseUnavailableError: there is none.
    """
    for name in (*(os.environ.get(variable) for variable in _VARIABLES), *_FOLDERS):
        if name and os.path.isdir(name) and os.access(name, os.W_OK | os.X_OK):  # noqa: PTH112
            return Path(name)
    raise errors.DatabaseUnavailableError(
        "There is no folder for temporary files. Nothing was changed; name one in SQLITE_TMPDIR."
    )
