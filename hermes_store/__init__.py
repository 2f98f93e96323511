"""The sessions, messages and projects of an AI agent's users, in a database.

>>> from hermes_store import Store
>>> with Store.open(":memory:") as store:
...     session = store.sessions.create(title="Trip")
...     _ = store.messages.append(session.session_id, {"role": "user", "content": "hi"})
...     store.messages.read(session.session_id)
[{'role': 'user', 'content': 'hi'}]
"""

from .errors import (
    ConflictError,
    DatabaseCorruptError,
    DatabaseError,
    DatabaseFullError,
    DatabaseLockedError,
    DatabaseMissingError,
    DatabaseReadOnlyError,
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
    SchemaError,
    SchemaNewerError,
    SchemaOutdatedError,
    SessionDeletedError,
    SessionExistsError,
    SessionNotFoundError,
    StaleSessionError,
    StoreClosedError,
    TransactionError,
    UnsupportedDatabaseError,
)
from .listing import ANY
from .records import (
    AppendResult,
    MessagePage,
    Page,
    ProjectRecord,
    ReplaceResult,
    SessionRecord,
    StoreInfo,
    Transcript,
)
from .store import ProfileView, Store, View

__version__ = "0.1.0"

__all__ = [
    "ANY",
    "AppendResult",
    "ConflictError",
    "DatabaseCorruptError",
    "DatabaseError",
    "DatabaseFullError",
    "DatabaseLockedError",
    "DatabaseMissingError",
    "DatabaseReadOnlyError",
    "DatabaseUnavailableError",
    "FilesError",
    "HermesStoreError",
    "InvalidCursorError",
    "InvalidIdError",
    "InvalidInputError",
    "InvalidPayloadError",
    "MessageNotFoundError",
    "MessagePage",
    "NotFoundError",
    "Page",
    "ProfileView",
    "ProjectExistsError",
    "ProjectNotFoundError",
    "ProjectRecord",
    "ReplaceResult",
    "SchemaError",
    "SchemaNewerError",
    "SchemaOutdatedError",
    "SessionDeletedError",
    "SessionExistsError",
    "SessionNotFoundError",
    "SessionRecord",
    "StaleSessionError",
    "Store",
    "StoreClosedError",
    "StoreInfo",
    "TransactionError",
    "Transcript",
    "UnsupportedDatabaseError",
    "View",
]
