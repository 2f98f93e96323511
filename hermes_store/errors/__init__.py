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

from .agent import (
    AgentCorruptError,
    AgentEmptyError,
    AgentError,
    AgentHotJournalError,
    AgentLockedError,
    AgentMissingError,
    AgentNotADatabaseError,
    AgentPermissionError,
    AgentSchemaError,
    AgentSessionInUseError,
    AgentTimeoutError,
)
from .data import (
    ConflictError,
    CursorExpiredError,
    InvalidCursorError,
    InvalidIdError,
    InvalidInputError,
    InvalidPayloadError,
    MessageNotFoundError,
    NotFoundError,
    ProjectExistsError,
    ProjectNotFoundError,
    RevisionNotKeptError,
    SessionDeletedError,
    SessionExistsError,
    SessionNotFoundError,
    ShareExistsError,
    ShareNotFoundError,
    ShareRevokedError,
    StaleSessionError,
    UndoError,
)
from .database import (
    CommitUnknownError,
    CopyUnfinishedError,
    DatabaseCorruptError,
    DatabaseError,
    DatabaseFullError,
    DatabaseLockedError,
    DatabaseMissingError,
    DatabaseReadOnlyError,
    DatabaseReplacedError,
    DatabaseTimeoutError,
    DatabaseUnavailableError,
    SchemaError,
    SchemaNewerError,
    SchemaOutdatedError,
    SchemaVersionMissingError,
    UnsupportedDatabaseError,
)
from .root import (
    BackupError,
    CopyError,
    FilesError,
    HermesStoreError,
    StoreClosedError,
    TransactionError,
)

__all__ = [
    "AgentCorruptError",
    "AgentEmptyError",
    "AgentError",
    "AgentHotJournalError",
    "AgentLockedError",
    "AgentMissingError",
    "AgentNotADatabaseError",
    "AgentPermissionError",
    "AgentSchemaError",
    "AgentSessionInUseError",
    "AgentTimeoutError",
    "BackupError",
    "CommitUnknownError",
    "ConflictError",
    "CopyError",
    "CopyUnfinishedError",
    "CursorExpiredError",
    "DatabaseCorruptError",
    "DatabaseError",
    "DatabaseFullError",
    "DatabaseLockedError",
    "DatabaseMissingError",
    "DatabaseReadOnlyError",
    "DatabaseReplacedError",
    "DatabaseTimeoutError",
    "DatabaseUnavailableError",
    "FilesError",
    "HermesStoreError",
    "InvalidCursorError",
    "InvalidIdError",
    "InvalidInputError",
    "InvalidPayloadError",
    "MessageNotFoundError",
    "NotFoundError",
    "ProjectExistsError",
    "ProjectNotFoundError",
    "RevisionNotKeptError",
    "SchemaError",
    "SchemaNewerError",
    "SchemaOutdatedError",
    "SchemaVersionMissingError",
    "SessionDeletedError",
    "SessionExistsError",
    "SessionNotFoundError",
    "ShareExistsError",
    "ShareNotFoundError",
    "ShareRevokedError",
    "StaleSessionError",
    "StoreClosedError",
    "TransactionError",
    "UndoError",
    "UnsupportedDatabaseError",
]
