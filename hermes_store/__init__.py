"""The sessions, messages and projects of an AI agent's users, in a database.

>>> from hermes_store import Store
>>> with Store.open(":memory:") as store:
...     session = store.sessions.create(title="Trip")
...     _ = store.messages.append(session.session_id, {"role": "user", "content": "hi"})
...     store.messages.read(session.session_id)
[{'role': 'user', 'content': 'hi'}]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

from .errors import (
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
    BackupError,
    ConflictError,
    DatabaseCorruptError,
    DatabaseError,
    DatabaseFullError,
    DatabaseLockedError,
    DatabaseMissingError,
    DatabaseReadOnlyError,
    DatabaseReplacedError,
    DatabaseTimeoutError,
    DatabaseUnavailableError,
    FilesError,
    HermesStoreError,
    InvalidCursorError,
    InvalidIdError,
    InvalidInputError,
    InvalidPayloadError,
    MessageNotFoundError,
    NotFoundError,
    ProjectExistsError,
    ProjectNotFoundError,
    RevisionNotKeptError,
    SchemaError,
    SchemaNewerError,
    SchemaOutdatedError,
    SchemaVersionMissingError,
    SessionDeletedError,
    SessionExistsError,
    SessionNotFoundError,
    ShareExistsError,
    ShareNotFoundError,
    ShareRevokedError,
    StaleSessionError,
    StoreClosedError,
    TransactionError,
    UndoError,
    UnsupportedDatabaseError,
)

if TYPE_CHECKING:
    from .agent import AgentBridge, AgentDeletion, AgentInfo, AgentMessages, AgentSession
    from .message_streams import MessageStream
    from .records import (
        DEFAULT_PROFILE,
        UNTITLED,
        WITHOUT,
        AppendResult,
        HistoryPurge,
        Lineage,
        MessageCut,
        MessagePage,
        MessageWindow,
        Page,
        ProjectDeletion,
        ProjectRecord,
        PurgeResult,
        RelatedSession,
        ReplaceResult,
        SearchHit,
        SearchPage,
        SessionRecord,
        Share,
        ShareRecord,
        StoreInfo,
        StoreStats,
        Transcript,
        TruncateResult,
        UndoResult,
        WriteResult,
    )
    from .store import ProfileView, Store, View

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_PROFILE",
    "UNTITLED",
    "WITHOUT",
    "AgentBridge",
    "AgentCorruptError",
    "AgentDeletion",
    "AgentEmptyError",
    "AgentError",
    "AgentHotJournalError",
    "AgentInfo",
    "AgentLockedError",
    "AgentMessages",
    "AgentMissingError",
    "AgentNotADatabaseError",
    "AgentPermissionError",
    "AgentSchemaError",
    "AgentSession",
    "AgentSessionInUseError",
    "AgentTimeoutError",
    "AppendResult",
    "BackupError",
    "ConflictError",
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
    "HistoryPurge",
    "InvalidCursorError",
    "InvalidIdError",
    "InvalidInputError",
    "InvalidPayloadError",
    "Lineage",
    "MessageCut",
    "MessageNotFoundError",
    "MessagePage",
    "MessageStream",
    "MessageWindow",
    "NotFoundError",
    "Page",
    "ProfileView",
    "ProjectDeletion",
    "ProjectExistsError",
    "ProjectNotFoundError",
    "ProjectRecord",
    "PurgeResult",
    "RelatedSession",
    "ReplaceResult",
    "RevisionNotKeptError",
    "SchemaError",
    "SchemaNewerError",
    "SchemaOutdatedError",
    "SchemaVersionMissingError",
    "SearchHit",
    "SearchPage",
    "SessionDeletedError",
    "SessionExistsError",
    "SessionNotFoundError",
    "SessionRecord",
    "Share",
    "ShareExistsError",
    "ShareNotFoundError",
    "ShareRecord",
    "ShareRevokedError",
    "StaleSessionError",
    "Store",
    "StoreClosedError",
    "StoreInfo",
    "StoreStats",
    "TransactionError",
    "Transcript",
    "TruncateResult",
    "UndoError",
    "UndoResult",
    "UnsupportedDatabaseError",
    "View",
    "WriteResult",
]

_MODULES: Final = {
    "agent": {"AgentBridge", "AgentDeletion", "AgentInfo", "AgentMessages", "AgentSession"},
    "message_streams": {"MessageStream"},
    "records": {
        "DEFAULT_PROFILE",
        "UNTITLED",
        "WITHOUT",
        "AppendResult",
        "HistoryPurge",
        "Lineage",
        "MessageCut",
        "MessagePage",
        "MessageWindow",
        "Page",
        "ProjectDeletion",
        "ProjectRecord",
        "PurgeResult",
        "RelatedSession",
        "ReplaceResult",
        "SearchHit",
        "SearchPage",
        "SessionRecord",
        "Share",
        "ShareRecord",
        "StoreInfo",
        "StoreStats",
        "Transcript",
        "TruncateResult",
        "UndoResult",
        "WriteResult",
    },
    "store": {"ProfileView", "Store", "View"},
}
_MODULE_OF: Final = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import what needs SQLAlchemy or Pydantic when it is used: the help of the command line does not wait for it."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
