"""The HTTP status that answers a request whose call raised an error of this library's."""

from __future__ import annotations

from typing import Final

from .. import errors

#: For every class of `errors`: a new one needs an entry, also where it is that of its base class.
STATUSES: Final[dict[type[BaseException], int]] = {
    errors.HermesStoreError: 500,
    # The request is wrong.
    errors.InvalidInputError: 400,
    errors.InvalidIdError: 400,
    errors.InvalidPayloadError: 400,
    errors.InvalidCursorError: 400,
    errors.NotFoundError: 404,
    errors.SessionNotFoundError: 404,
    errors.ProjectNotFoundError: 404,
    errors.MessageNotFoundError: 404,
    errors.RevisionNotKeptError: 404,
    errors.ShareNotFoundError: 404,
    # The data is another one than the user interface shows.
    errors.ConflictError: 409,
    errors.SessionDeletedError: 410,
    errors.SessionExistsError: 409,
    errors.ProjectExistsError: 409,
    errors.ShareExistsError: 409,
    errors.ShareRevokedError: 410,
    errors.CursorExpiredError: 410,
    errors.StaleSessionError: 409,
    errors.UndoError: 409,
    # The program is wrong, or what it was told to use.
    errors.TransactionError: 500,
    errors.FilesError: 500,
    errors.BackupError: 500,
    errors.CopyError: 500,
    errors.StoreClosedError: 503,
    # The agent's file.
    errors.AgentError: 500,
    errors.AgentMissingError: 404,
    errors.AgentEmptyError: 404,
    errors.AgentNotADatabaseError: 500,
    errors.AgentCorruptError: 500,
    errors.AgentLockedError: 503,
    errors.AgentPermissionError: 500,
    errors.AgentHotJournalError: 503,
    errors.AgentSchemaError: 500,
    errors.AgentTimeoutError: 503,
    errors.AgentSessionInUseError: 423,
    # The database. 503 is for what may be over when the request is repeated, or the server started again.
    errors.DatabaseError: 500,
    errors.DatabaseMissingError: 503,
    errors.DatabaseReplacedError: 503,
    errors.DatabaseUnavailableError: 503,
    errors.CommitUnknownError: 503,
    errors.DatabaseLockedError: 503,
    errors.DatabaseTimeoutError: 503,
    errors.DatabaseFullError: 507,
    errors.DatabaseReadOnlyError: 500,
    errors.DatabaseCorruptError: 500,
    errors.UnsupportedDatabaseError: 500,
    errors.SchemaError: 500,
    errors.SchemaNewerError: 500,
    errors.CopyUnfinishedError: 503,
    errors.SchemaOutdatedError: 500,
    errors.SchemaVersionMissingError: 500,
}


def http_status(error: BaseException) -> int:
    """Return the HTTP status for an error: 500 for any that is not this library's.

    400: an argument is wrong. 404: there is no such session, project, message, share or agent's file. 409: somebody
    else changed it, or the id is taken. 410: the session is deleted, or the share revoked. 423: the agent is at work on
    it. 503: the database is locked or cannot be reached; try again. 507: the disk is full. 500: everything else.
    """
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)
