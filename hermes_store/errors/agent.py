"""The errors of the agent's own ``state.db``."""

from __future__ import annotations

from .root import HermesStoreError


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
