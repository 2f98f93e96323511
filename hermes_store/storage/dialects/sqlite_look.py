"""Read a database file without changing anything, and without the recovery that SQLite does when it opens one."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from .sqlite_errors import primary_code

Result = TypeVar("Result")

_IMMUTABLE: Final = {"mode": "ro", "immutable": "1"}
#: SQLite's result codes for a file that it may not recover after a crash.
_CANNOT_RECOVER: Final = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN})


class _State(NamedTuple):
    #: Inode, size and modification time; None when there is no file.
    file: tuple[int, int, int] | None
    #: Whether there is anything in a log next to it: what the file alone does not say.
    has_log: bool


def look(
    path: Path,
    connect: Callable[[dict[str, str]], sqlite3.Connection],
    callback: Callable[[sqlite3.Connection], Result],
) -> Result:
    """Call `callback` with a connection that leaves the file, its log and its folder as they are.

    A connection that may only read still makes a log next to a file in WAL mode. One that treats the file as immutable
    does not, but it sees no log, and another process that writes meanwhile may confuse it. So it is used when there is
    no log, and its result counts only if the file is still the same.

    Args:
        path: the file.
        connect: opens a connection, given parameters of its URI.
        callback: what reads from it; it may be called twice.
    """
    before = _state_of(path)
    if not before.has_log:
        try:
            result = _call(connect(_IMMUTABLE), callback)
        except Exception:  # whatever it is: it may come from what another process was writing
            if _state_of(path) == before:
                raise
        else:
            if _state_of(path) == before:
                return result
    try:
        return _call(connect({"mode": "ro"}), callback)
    except sqlite3.OperationalError as error:
        if primary_code(error) not in _CANNOT_RECOVER:
            raise
    return _call(connect(_IMMUTABLE), callback)


def parameters_to_look(path: Path) -> dict[str, str]:
    """Return the parameters of a URI for a connection that makes no file next to a database, as far as that can be."""
    return {"mode": "ro"} if _state_of(path).has_log else _IMMUTABLE


def _call(connection: sqlite3.Connection, callback: Callable[[sqlite3.Connection], Result]) -> Result:
    with contextlib.closing(connection):
        connection.execute(
            "SELECT count(*) FROM sqlite_schema"
        ).fetchall()  # now it is opened, or the driver says why not
        return callback(connection)


def _state_of(path: Path) -> _State:
    try:
        file = path.stat()
    except OSError:
        return _State(None, False)
    logs = (path.with_name(path.name + suffix) for suffix in ("-wal", "-journal"))
    return _State((file.st_ino, file.st_size, file.st_mtime_ns), any(map(_is_filled, logs)))


def _is_filled(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
