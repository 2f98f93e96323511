"""Documents: a session's other values by key, each written only when it changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from . import payload, rows
from .collection import Collection, touch
from .errors import DatabaseCorruptError, InvalidInputError
from .fields import KEY_LIMIT
from .tables import SessionDocument


class Documents(Collection):
    """What sessions hold besides their fields and messages: ``tool_calls``, drafts, keys we know nothing of."""

    def read(self, session_id: str, *keys: str) -> dict[str, Any]:
        """Return the values of `keys` that are there; of all keys, when none is named.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        for name in keys:
            _checked(name)
        query = select(SessionDocument.key, SessionDocument.payload).order_by(SessionDocument.key)
        if keys:
            query = query.where(SessionDocument.key.in_(keys))
        with self._unit.read() as connection:
            key = self._find(connection, session_id)
            found = connection.execute(query.where(SessionDocument.session_id == key.id)).all()
        return {row.key: decoded(session_id, row.key, row.payload) for row in found}

    def put(self, session_id: str, values: Mapping[str, Any], *, expected_revision: int | None = None) -> int:
        """Set the values of some keys, writing those that differ, and return the session's revision.

        Raises:
            InvalidInputError: a key is not text of at most 500 characters.
            InvalidPayloadError: a value is not a JSON value.
            StaleSessionError: the session is not at `expected_revision`, where that is given.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        bodies = {_checked(key): payload.encode(value, key) for key, value in values.items()}
        with self._unit.write() as connection:
            key = self._lock(connection, session_id, expected_revision)
            changed = rows.write_documents(connection, key.id, bodies)
            return touch(connection, key) if changed else key.revision

    def remove(self, session_id: str, *keys: str, expected_revision: int | None = None) -> int:
        """Remove the values of `keys`, where there are any, and return the session's revision.

        Raises:
            StaleSessionError, SessionNotFoundError, SessionDeletedError: as `put`.
        """
        for name in keys:
            _checked(name)
        with self._unit.write() as connection:
            key = self._lock(connection, session_id, expected_revision)
            removed = rows.remove_documents(connection, key.id, keys)
            return touch(connection, key) if removed else key.revision


def decoded(session_id: str, key: str, body: bytes) -> Any:
    """Return the value that a document's body is.

    Raises:
        DatabaseCorruptError: it is no JSON.
    """
    try:
        return payload.decode(body)
    except ValueError as error:
        raise DatabaseCorruptError(
            f"Document {key!r} of session {session_id!r} is damaged in the database: it is no JSON. Read the others by "
            "their keys; restore a backup, or `put` or `remove` this one."
        ) from error


def _checked(key: Any) -> str:
    if isinstance(key, str) and len(key) <= KEY_LIMIT:
        return key
    raise InvalidInputError(
        f"The key of a session's document must be text of at most {KEY_LIMIT} characters, not {str(key)[:80]!r}. "
        "Nothing was written."
    )
