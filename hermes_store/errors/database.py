"""The errors of the store's database: its file or server, and its schema."""

from __future__ import annotations

from .root import HermesStoreError


class DatabaseError(HermesStoreError):
    """The database refused. The transaction was rolled back: what was committed before is untouched.

    (It may have been committed where `outcome_unknown` is True; see `CommitUnknownError`.)
    """

    #: Whether the transaction may have been committed all the same.
    outcome_unknown: bool = False


class DatabaseMissingError(DatabaseError):
    """A database that must exist already does not: for read-only use, or because it was deleted while it was open."""


class DatabaseReplacedError(DatabaseError):
    """Another file was put in the place of an open database, or its log was removed. Nothing was written."""


class DatabaseUnavailableError(DatabaseError):
    """The database cannot be opened or reached."""


class CommitUnknownError(DatabaseUnavailableError):
    """The connection to the server broke during a commit. All of the transaction was written, or nothing.

    Read the data before you repeat the write. ``messages.append(…, expected_revision=…)`` can be repeated as it is: it
    raises a `StaleSessionError` if the first one was written.
    """

    outcome_unknown = True


class DatabaseLockedError(DatabaseError):
    """Another writer did not finish within the busy timeout. Nothing was written; try again."""


class DatabaseTimeoutError(DatabaseError):
    """The server ended a statement or a transaction that took longer than its settings allow. Nothing was written."""


class DatabaseFullError(DatabaseError):
    """The disk (or the database's size limit) is full. Nothing was written."""


class DatabaseReadOnlyError(DatabaseError):
    """A write to a database that is open for reading only, or whose files may not be written."""


class DatabaseCorruptError(DatabaseError):
    """The file is damaged, or not a database at all."""


class UnsupportedDatabaseError(DatabaseError):
    """The URL, the server, the driver or the file is not one this library can keep sessions in."""


class SchemaError(DatabaseError):
    """The tables are not the ones that this version of the library works with."""


class SchemaNewerError(SchemaError):
    """The database was upgraded by a newer version of the library than this one."""

    def __init__(self, target: str, found: str, known: str) -> None:
        super().__init__(
            f"{target} has schema revision {found!r}, which this version of hermes_store does not know (its newest "
            f"is {known!r}). The data is untouched; upgrade hermes_store to open it."
        )
        self.found = found
        self.known = known


class SchemaOutdatedError(SchemaError):
    """The database needs an upgrade, and the caller opened it without allowing one."""

    def __init__(self, target: str, found: str | None, known: str) -> None:
        state = f"has schema revision {found!r}" if found else "has no hermes_store tables yet"
        super().__init__(
            f"{target} {state}, and this version of hermes_store needs {known!r}. The data is untouched; open it "
            "writable with migrate=True, or run `hermes-store db upgrade`."
        )
        self.found = found
        self.known = known


class SchemaVersionMissingError(SchemaError):
    """The tables are this library's, but nothing in the database says at which revision they are."""

    def __init__(self, target: str, revision: str) -> None:
        super().__init__(
            f"{target} has the tables of hermes_store, but its version table was emptied or dropped. The tables look "
            f"like revision {revision!r}. The data is untouched; if nobody changed the tables by hand, run "
            f"`hermes-store db stamp {revision}` and open it again. `hermes-store repair` puts a damaged schema right."
        )
        self.revision = revision


class CopyUnfinishedError(SchemaError):
    """Another database is being copied into this one, or was, when the copy was interrupted."""

    def __init__(self, target: str) -> None:
        super().__init__(
            f"{target} is the target of a copy that is not complete, so it is not opened. If no copy is under way, run "
            "`hermes-store copy` again: it goes on where it was interrupted."
        )
