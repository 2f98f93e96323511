"""Every error this library raises, as a tree.

::

    HermesStoreError
    ├── InvalidInputError (ValueError)      an argument is wrong; nothing was written
    │   ├── InvalidIdError
    │   ├── InvalidPayloadError             a value that is not JSON
    │   └── InvalidCursorError
    │       └── CursorExpiredError          a cursor of changes after which some are not known any more
    ├── NotFoundError (LookupError)
    │   ├── SessionNotFoundError
    │   ├── ProjectNotFoundError
    │   ├── MessageNotFoundError
    │   ├── ShareNotFoundError
    │   └── RevisionNotKeptError            a former state of a transcript that is not kept (any more)
    ├── ConflictError                       the data is not as expected; what was not written is in the message
    │   ├── SessionDeletedError
    │   ├── SessionExistsError
    │   ├── ProjectExistsError
    │   ├── ShareExistsError
    │   ├── ShareRevokedError
    │   ├── StaleSessionError
    │   └── UndoError                       the last cut of a transcript cannot be undone
    ├── TransactionError                    a transaction used where it cannot be
    ├── StoreClosedError
    ├── FilesError                          a directory to import from or export to is not usable
    ├── BackupError                         a backup cannot be written or restored
    ├── CopyError                           a database cannot be copied to this place
    ├── AgentError                          the agent's own state.db; it was not changed
    │   ├── AgentMissingError
    │   ├── AgentEmptyError
    │   ├── AgentNotADatabaseError
    │   ├── AgentCorruptError
    │   ├── AgentLockedError
    │   ├── AgentPermissionError            reading it would harm it, or is forbidden
    │   ├── AgentHotJournalError            the agent crashed, and only the agent may clean up
    │   ├── AgentSchemaError                tables that are not the agent's
    │   ├── AgentTimeoutError
    │   └── AgentSessionInUseError          a delete was refused
    └── DatabaseError                       the database itself
        ├── DatabaseMissingError
        ├── DatabaseReplacedError           another file is at its path now
        ├── DatabaseUnavailableError        cannot be opened, or the connection broke
        │   └── CommitUnknownError          the connection broke during a commit: it is done, or it is not
        ├── DatabaseLockedError
        ├── DatabaseTimeoutError            the server ended what took longer than it allows
        ├── DatabaseFullError
        ├── DatabaseReadOnlyError
        ├── DatabaseCorruptError
        ├── UnsupportedDatabaseError        a driver, a version or a file that is not for us
        └── SchemaError
            ├── SchemaNewerError            written by a newer version of this library
            ├── SchemaOutdatedError         needs an upgrade that the caller did not allow
            ├── SchemaVersionMissingError   the table that holds the schema's revision was emptied or dropped
            └── CopyUnfinishedError         the target of a copy that was interrupted

A message says what happened, what state the data is in, and what to do. Ids and revisions are
attributes as well. The driver's own error, where there is one, is the ``__cause__``.
"""

from __future__ import annotations

from typing import Any

from .quoting import quoted


class HermesStoreError(Exception):
    """The root: catch it to catch everything this library raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let errors travel between processes: rebuilt as they are, without calling their constructors again."""
        return _rebuilt, (type(self), self.args, self.__dict__)


def _rebuilt(kind: type[HermesStoreError], args: tuple[Any, ...], attributes: dict[str, Any]) -> HermesStoreError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class InvalidInputError(HermesStoreError, ValueError):
    """An argument is not acceptable. Nothing was written."""


class InvalidIdError(InvalidInputError):
    """An id of a session or project, or the name of a profile, has a length or characters that are not allowed."""


class InvalidPayloadError(InvalidInputError):
    """A value contains something that is not JSON (bytes, a set, a key that is not text, a cycle)."""

    def __init__(self, problem: str, place: str) -> None:
        shown = place if len(place) <= 300 else f"{place[:140]} … {place[-140:]}"  # a place may be very deep
        super().__init__(f"{shown} {problem}. Nothing was written; make it a JSON value first.")
        self.place = place


class InvalidCursorError(InvalidInputError):
    """A cursor is not one of this listing."""


class CursorExpiredError(InvalidCursorError):
    """The changes after a cursor are not all known: it is too old, or an older copy of the database was restored."""


class NotFoundError(HermesStoreError, LookupError):
    """Something that was named does not exist."""


class SessionNotFoundError(NotFoundError):
    """No session has this id (in this profile)."""

    def __init__(self, session_id: str, message: str | None = None) -> None:
        super().__init__(message or f"There is no session {session_id!r}.")
        self.session_id = session_id


class ProjectNotFoundError(NotFoundError):
    """No project has this id (in this profile)."""

    def __init__(self, project_id: str) -> None:
        super().__init__(f"There is no project {project_id!r}.")
        self.project_id = project_id


class MessageNotFoundError(NotFoundError):
    """The session has no message at this position."""

    def __init__(self, session_id: str, position: int, message_count: int) -> None:
        super().__init__(
            f"Session {session_id!r} has no message at position {quoted(position)}; it has {message_count}, counted "
            "from 0."
        )
        self.session_id = session_id
        self.position = position


class RevisionNotKeptError(NotFoundError):
    """The messages that a session had at a revision are not kept.

    Args:
        session_id: the session.
        revision: the revision.
        kept: the revisions that are kept, the last one first; also an attribute.
    """

    def __init__(self, session_id: str, revision: int, kept: tuple[int, ...]) -> None:
        shown = ", ".join(map(str, kept[:10])) + (", …" if len(kept) > 10 else "")
        which = f"besides the present one, these are kept: {shown}" if kept else "only the present ones are"
        super().__init__(
            f"The messages of session {session_id!r} at revision {quoted(revision)} are not kept: {which}. Nothing was "
            "written; messages.history lists what is kept."
        )
        self.session_id = session_id
        self.revision = revision
        self.kept = kept


class ShareNotFoundError(NotFoundError):
    """No share has this token (in this profile)."""

    def __init__(self, token: str) -> None:
        super().__init__(f"There is no share {token!r}.")
        self.token = token


class ConflictError(HermesStoreError):
    """The data is not as the caller expects. Nothing was written, unless the error says which part was not."""


class SessionDeletedError(ConflictError):
    """The session was deleted; only ``sessions.restore`` (or ``purge``) may touch it."""

    def __init__(self, session_id: str, message: str | None = None) -> None:
        super().__init__(
            message
            or f"Session {session_id!r} is deleted, so nothing was read or written. "
            "sessions.restore() brings it back with all its messages."
        )
        self.session_id = session_id


class SessionExistsError(ConflictError):
    """The id is taken, or is the former id of a session that was renamed."""

    def __init__(self, session_id: str, message: str | None = None) -> None:
        super().__init__(message or f"There is already a session {session_id!r}; nothing was written.")
        self.session_id = session_id


class ProjectExistsError(ConflictError):
    """The project id is taken."""

    def __init__(self, project_id: str) -> None:
        super().__init__(f"There is already a project {project_id!r}; nothing was written.")
        self.project_id = project_id


class ShareExistsError(ConflictError):
    """The token is that of another share."""

    def __init__(self, token: str) -> None:
        super().__init__(f"There is already a share {token!r}; nothing was written.")
        self.token = token


class ShareRevokedError(ConflictError):
    """The share was revoked, so it is not served any more."""

    def __init__(self, token: str) -> None:
        super().__init__(
            f"Share {token!r} is revoked, so nothing was read or written. shares.create() makes another one."
        )
        self.token = token


class StaleSessionError(ConflictError):
    """The session was changed since the caller read it.

    Args:
        session_id: the session.
        expected, actual: the revisions that it was read at, and that it has. Attributes `expected_revision` and
            `actual_revision`.
        detail: what changed.
        positions: of the messages that the save of a live session did not write, because others changed them, too.
            Everything else was written then. Empty where nothing was written.
    """

    def __init__(
        self,
        session_id: str,
        expected: int,
        actual: int,
        detail: str | None = None,
        positions: tuple[int, ...] = (),
    ) -> None:
        if positions:
            which = f"{'Message' if len(positions) == 1 else 'Messages'} {', '.join(map(str, positions))}"
            text = (
                f"{which} of session {session_id!r}, counted from 0, not saved: changed here, and by somebody else as "
                f"well, since revision {expected}. Everything else was saved, and the session is at revision {actual}; "
                "read it again and repeat the change."
            )
        else:
            text = (
                f"Session {session_id!r} is at revision {actual}, not at {expected}: somebody changed it after it "
                f"was read{f' ({detail})' if detail else ''}. Nothing was written; read it again and repeat the change."
            )
        super().__init__(text)
        self.session_id = session_id
        self.expected_revision = expected
        self.actual_revision = actual
        self.positions = positions


class UndoError(ConflictError):
    """What was removed or overwritten last in a transcript cannot be put back.

    Args:
        session_id: the session.
        reason: why, as a sentence without its end; also an attribute.
        revision: the revision with which ``sessions.fork`` brings the messages back as a new session; None if there is
            none. Also an attribute.
    """

    def __init__(self, session_id: str, reason: str, revision: int | None = None) -> None:
        text = f"Nothing was undone in session {session_id!r}: {reason}."
        if revision is not None:
            text += f" sessions.fork(…, revision={revision}) brings the messages from before it back as a new session."
        super().__init__(text)
        self.session_id = session_id
        self.reason = reason
        self.revision = revision


class TransactionError(HermesStoreError):
    """A transaction is used where it cannot be: nested, after its end, in another thread or process."""


class StoreClosedError(HermesStoreError):
    """The store was closed (or, held in memory, did not survive a fork)."""


class FilesError(HermesStoreError):
    """A directory cannot be imported from or exported to. Nothing in it was changed."""


class BackupError(HermesStoreError):
    """A backup cannot be written, or cannot be restored. The database is as it was."""


class CopyError(HermesStoreError):
    """A database cannot be copied to this target, or the copy is not equal to it."""


class AgentError(HermesStoreError):
    """The agent's ``state.db`` cannot be read (or, by a delete, written). It was not changed."""


class AgentMissingError(AgentError):
    """There is no state.db at this place."""


class AgentEmptyError(AgentError):
    """The file has no bytes in it: the agent has not begun, or the disk was full."""


class AgentNotADatabaseError(AgentError):
    """The file is not an SQLite database, or no regular file, or the store's own database."""


class AgentCorruptError(AgentError):
    """The file is damaged."""


class AgentLockedError(AgentError):
    """The agent held the file longer than the timeout; try again."""


class AgentPermissionError(AgentError):
    """The file may not be read, or only by leaving sidecar files that lock the agent out."""


class AgentHotJournalError(AgentError):
    """The agent crashed while it wrote, and its journal has to be rolled back by the agent first."""


class AgentSchemaError(AgentError):
    """The tables are not those of an agent, or of one that this library cannot write to safely."""


class AgentTimeoutError(AgentError):
    """Reading took longer than the deadline and was given up."""


class AgentSessionInUseError(AgentError):
    """The agent's session is live, so it was not deleted.

    Args:
        session_id: the session.
        reason: why it counts as live, as a sentence; also an attribute, for messages with other advice.
    """

    def __init__(self, session_id: str, reason: str) -> None:
        super().__init__(f"{reason} Nothing was deleted; try again once it has ended, or delete it with force=True.")
        self.session_id = session_id
        self.reason = reason


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
