"""The copy of a database file that is made before an upgrade."""

from __future__ import annotations

import contextlib
import errno
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ... import errors
from .file_systems import sync
from .sqlite_backup import copy_pages
from .sqlite_integrity import stepping

_UNCHANGED: Final = "The database was not upgraded, and is as it was."


def copy_database(
    connect: Callable[[], sqlite3.Connection], path: Path, label: str, progress: Callable[..., None]
) -> Path:
    """Copy a database next to it, and return the copy, which is whole and on disk.

    It gets its name last: whatever ends in ``.bak`` is a whole copy. A part of one, which a process leaves that is
    killed, is removed by the next call.

    Args:
        connect: opens a connection to the database, to which nobody may write meanwhile.
        path: its file.
        label: what the copy's name has before ``.bak``.
        progress: called again and again.

    Raises:
        DatabaseFullError: there is no space for a copy.
        DatabaseUnavailableError: the copy cannot be written, or does not read back as written.
    """
    copy = path.with_name(f"{path.name}.{label}.bak")
    part = copy.with_name(f"{copy.name}.tmp")
    try:
        _remove_parts(path)
        _copy(connect, part, progress)
        _check(part, progress)
        sync(part)
        part.rename(copy)
        sync(path.parent)
    except BaseException as error:  # whatever it is, half a copy is of no use
        with contextlib.suppress(OSError):
            _remove_parts(path)
        if isinstance(error, OSError):
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            kind = errors.DatabaseFullError if full else errors.DatabaseUnavailableError
            raise kind(
                f"The copy before the upgrade, {copy}, cannot be written: {error.strerror}. {_UNCHANGED}"
            ) from error
        raise
    return copy


def _remove_parts(path: Path) -> None:
    """Remove what earlier copies left unfinished. Nobody else makes one now, as the caller has the write lock."""
    prefix = f"{path.name}."
    for file in path.parent.iterdir():
        if file.name.startswith(prefix) and file.name.endswith((".bak.tmp", ".bak.tmp-journal")):
            file.unlink(missing_ok=True)


def _copy(connect: Callable[[], sqlite3.Connection], part: Path, progress: Callable[..., None]) -> None:
    with contextlib.closing(connect()) as source:
        copy_pages(source, part, progress)


def _check(part: Path, progress: Callable[..., None]) -> None:
    # Immutable: it is nobody else's, and else a log would be made next to it.
    uri = f"{part.as_uri()}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection, stepping(connection, progress):
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise errors.DatabaseCorruptError(
            f"The copy before the upgrade is damaged ({found}): either the database is, or the disk. {_UNCHANGED} "
            "Check it with SQLite's PRAGMA integrity_check, and restore a backup if it is damaged."
        )
