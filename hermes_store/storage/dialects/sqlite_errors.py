"""What SQLite's result codes mean for the caller: https://www.sqlite.org/rescode.html."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from typing import Final

from ... import errors
from .base import RETRY

Meaning = tuple[type[errors.DatabaseError], str]

OTHER: Final[Meaning] = (
    errors.DatabaseError,
    "The transaction was rolled back.",
)
_LACKING: Final = re.compile("no such (table|column)|has no column named")
#: Each statement of this library names what the revision that the file says has.
DAMAGED_SCHEMA: Final[Meaning] = (
    errors.DatabaseCorruptError,
    (
        "The tables are not those of the revision that the file says it has: its schema is damaged, or another program "
        "changed it. `hermes-store repair` puts the schema back, after copying the file; `hermes-store salvage` reads "
        "everything into a new database."
    ),
)
MEANINGS: Final[Mapping[str, Meaning]] = {
    "SQLITE_BUSY": (
        errors.DatabaseLockedError,
        "Another process is writing longer than the busy timeout. " + RETRY,
    ),
    "SQLITE_LOCKED": (errors.DatabaseLockedError, RETRY),
    "SQLITE_PROTOCOL": (errors.DatabaseLockedError, RETRY),
    "SQLITE_FULL": (errors.DatabaseFullError, "Nothing was written; free some space and try again."),
    "SQLITE_READONLY": (
        errors.DatabaseReadOnlyError,
        "Nothing was written; open the store without read_only=True, or make the file and its directory writable.",
    ),
    "SQLITE_READONLY_DIRECTORY": (
        errors.DatabaseReadOnlyError,
        (
            "SQLite makes files next to a database (in the journal mode wal, also to read it), and may not do so in "
            "this folder. Nothing was written; make the folder writable, or copy the database to one that is."
        ),
    ),
    "SQLITE_READONLY_DBMOVED": (
        errors.DatabaseReplacedError,
        "The file was moved or deleted while it was open. Nothing was written; open the store again.",
    ),
    "SQLITE_CANTOPEN": (
        errors.DatabaseUnavailableError,
        "Check that the path is a file in a directory that exists and that you may read and write both.",
    ),
    "SQLITE_PERM": (errors.DatabaseUnavailableError, "Check the permissions of the file and its directory."),
    "SQLITE_AUTH": (errors.DatabaseUnavailableError, "Check the permissions of the file and its directory."),
    "SQLITE_IOERR": (
        errors.DatabaseUnavailableError,
        "The disk or the file system failed; the transaction was rolled back. Check it before going on.",
    ),
    "SQLITE_CORRUPT": (
        errors.DatabaseCorruptError,
        # SQLite turns the errors of a failing disk into this one: https://www.sqlite.org/rescode.html#ioerr_corruptfs
        (
            "The file is damaged, or the disk cannot read a part of it (then the system's log says so). Keep it as it "
            "is, and restore a backup, or read what is left into a new database with `hermes-store salvage`. If only "
            "its schema or an index is damaged, `hermes-store repair` puts it right."
        ),
    ),
    "SQLITE_NOTADB": (
        errors.DatabaseCorruptError,
        (
            "The file is not an SQLite database (or its first page is damaged); it was not changed. If it was one of "
            "this library, restore a backup, or read what is left into a new database with `hermes-store salvage`."
        ),
    ),
}


def primary_code(error: BaseException) -> int:
    """Return SQLite's primary result code, such as `sqlite3.SQLITE_BUSY`, of an error; 0 if it has none."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF


def is_undecodable(error: BaseException) -> bool:
    """Whether it is the driver's error for a text that is not UTF-8, which SQLite stores and returns like any other."""
    return isinstance(error, sqlite3.OperationalError) and str(error).startswith("Could not decode to UTF-8")


def lacks_schema(error: BaseException) -> bool:
    """Whether an error says that a table or a column is not there."""
    is_general = getattr(error, "sqlite_errorname", None) == "SQLITE_ERROR"
    return is_general and _LACKING.search(str(error)) is not None
