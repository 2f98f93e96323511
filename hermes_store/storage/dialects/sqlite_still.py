"""Reading a database file without SQLite, while others may write to it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ... import errors
from .open_files import held_by_this_process
from .sqlite_errors import primary_code


@contextlib.contextmanager
def kept_still(path: Path) -> Iterator[None]:
    """Keep what a file and its log have together from changing while the block runs.

    Where SQLite can open the file, a transaction that reads keeps others from beginning the log anew (in WAL mode) or
    from writing (otherwise). Where it cannot, nobody else can either. Nothing is made next to the file.

    Raises:
        DatabaseLockedError: another program is writing; or this process has the file open. (Closing a file drops all
            locks of the process on it.)
    """
    if held_by_this_process(path):
        raise errors.DatabaseLockedError(
            f"{path} is open in this process. Nothing was read or changed; close every store of it first."
        )
    with contextlib.ExitStack() as held:
        shared, log = (path.with_name(path.name + suffix) for suffix in ("-shm", "-wal"))
        if shared.exists() or not (log.exists() or _is_in_wal_mode(path)):
            try:
                _begin(held.enter_context(contextlib.closing(_connect(path))))
            except sqlite3.Error as error:
                if primary_code(error) == sqlite3.SQLITE_BUSY:
                    raise errors.DatabaseLockedError(
                        f"{path} is being written by another program. Nothing was read or changed; try again."
                    ) from error
        yield


def _is_in_wal_mode(path: Path) -> bool:
    """Whether a file is in WAL mode: then a connection that reads makes files next to it."""
    with path.open("rb") as file:
        return file.read(20)[18:] == b"\x02\x02"


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _begin(connection: Any) -> None:
    connection.execute("BEGIN")
    connection.execute("PRAGMA schema_version").fetchone()
