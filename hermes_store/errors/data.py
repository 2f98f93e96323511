"""The errors of verbs: an argument, or the data, is not as a verb needs it."""

from __future__ import annotations

from ..quoting import quoted
from .root import HermesStoreError


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
