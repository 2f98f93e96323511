"""What the store has of a session, in the WebUI's keys and values, read whole or row by row.

Values are compared by digests that say what the store would give back: of a cost of 1 that is 1.0.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, select

from .. import documents as document_rows
from .. import listing, payload
from ..collection import find, live
from ..errors import SessionNotFoundError
from ..files import image
from ..messages import decoded
from ..records import SessionRecord
from ..tables import Message, MessageBlob, Session, SessionDocument

MESSAGES: Final = "messages"
SESSION_ID: Final = "session_id"
#: Where the WebUI keeps the id of the session that another was forked from.
PARENT: Final = "parent_session_id"
#: What is in columns, or in a document where the column cannot hold it.
ROW_KEYS: Final = frozenset({*image.COLUMNS, *image.SOURCE_KEYS, "project_id", PARENT})
#: The names that mean something else on a live session. Values under such keys stay in the store, and are not shown.
RESERVED: Final = frozenset(
    {"_base", "_database", "_guard", "_models", "changed_values", "compact", "is_at", "is_dirty", "is_new", "is_of"}
    | {"load", "load_metadata_only", "message_total", "path", "renamed", "save", "stored_id", "unsaved_messages"}
    | {"_accept", "_mine", "_of", "_read", "_read_more", "_read_rest", "_set", "_source"}
)
#: The sidebar's row, in the WebUI's order.
COMPACT_KEYS: Final = (*image.INDEX_KEYS, "is_streaming")
#: The other keys that every session of the WebUI has.
_DOCUMENT_KEYS: Final = frozenset(image.SESSION_KEYS) - ROW_KEYS - {MESSAGES, SESSION_ID}


@dataclass
class State:
    """A session as it was at one moment, as far as it was read."""

    row_id: int
    session_id: str
    revision: int
    message_count: int
    #: By the WebUI's keys, without the messages and the id.
    values: dict[str, Any]
    #: Whether that is all.
    complete: bool = False
    messages: list[Any] | None = None
    message_digests: list[bytes] | None = None


def digest_of(key: str, value: Any) -> bytes:
    """Return the digest of a value as the store would give it back.

    Raises:
        InvalidPayloadError: it is not a JSON value.
    """
    if key in image.COLUMNS:
        held, exact = image.COLUMNS[key](value)
        if exact or key == "updated_at":
            value = held
    elif key == "project_id":
        value = value or None
    return payload.digest(payload.encode(value, key))


def digests_of(values: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the digests of values by key."""
    return {key: digest_of(key, value) for key, value in values.items()}


def message_digests(messages: Collection[Any]) -> list[bytes]:
    """Return the digests of messages, holding none of their bodies.

    Raises:
        InvalidPayloadError: one is not a JSON value; it names the place.
    """
    return [payload.digest(payload.encode(message, f"message {index}")) for index, message in enumerate(messages)]


_of_session: Final = SessionDocument.session_id == bindparam("session")
_documents: Final = select(SessionDocument.key, SessionDocument.payload).where(_of_session)
_some_documents: Final = _documents.where(SessionDocument.key.in_(bindparam("keys", expanding=True)))
#: Most sessions have no document in the place of a column, and then one row is all there is to read.
_row: Final = listing.record_query.add_columns(
    select(func.count())
    .select_from(SessionDocument)
    .where(SessionDocument.session_id == Session.id, SessionDocument.key.in_(sorted(ROW_KEYS)))
    .correlate(Session)
    .scalar_subquery()
    .label("originals")
).where(Session.session_id == bindparam("session_id"))
_transcript: Final = (
    select(Message.digest, MessageBlob.payload)
    .join(MessageBlob, MessageBlob.message_id == Message.id)
    .where(Message.session_id == bindparam("session"))
    .order_by(Message.position)
)
_digests: Final = select(Message.digest).where(Message.session_id == bindparam("session")).order_by(Message.position)


def current_id(connection: Connection, row_id: int, session_id: str) -> str:
    """Return what a session is called now, which may be called otherwise since it was read.

    Raises:
        SessionNotFoundError: it was purged.
    """
    found: str | None = connection.execute(_id_of, {"row": row_id}).scalar()
    if found is None:
        raise SessionNotFoundError(session_id)
    return found


_id_of: Final = select(Session.session_id).where(Session.id == bindparam("row"))


def read_row(connection: Connection, session_id: str) -> State:
    """Read a session's row: all that a list shows of it.

    Raises:
        SessionNotFoundError, SessionDeletedError: there is none, or it is deleted.
    """
    return _read(connection, session_id, complete=False)


def read_values(connection: Connection, session_id: str) -> State:
    """Read a session but for its messages; as `read_row`."""
    return _read(connection, session_id, complete=True)


def read_whole(connection: Connection, session_id: str) -> State:
    """Read a session with its documents and messages; as `read_row`."""
    state = read_values(connection, session_id)
    read_messages(connection, state)
    return state


def _read(connection: Connection, session_id: str, *, complete: bool) -> State:
    row = connection.execute(_row, {"session_id": session_id}).one_or_none()
    if row is None or row.deleted_at is not None:
        key = live(find(connection, session_id, None))
        raise AssertionError(f"{key} was found a moment ago to be missing or deleted")
    documents: dict[str, Any] = {}
    if complete:
        documents = _found(connection, session_id, _documents, session=row.internal_id)
    elif row.originals:
        documents = _found(connection, session_id, _some_documents, session=row.internal_id, keys=sorted(ROW_KEYS))
    return State(
        row_id=row.internal_id,
        session_id=row.session_id,
        revision=row.revision,
        message_count=row.message_count,
        values=_values(listing.to_record(row), documents, complete=complete),
        complete=complete,
    )


def _values(record: SessionRecord, documents: Mapping[str, Any], *, complete: bool) -> dict[str, Any]:
    values = {"workspace": record.workspace, **image.to_json(record, {**_defaults(_DOCUMENT_KEYS), **documents}, [])}
    if "message_count" in values:  # a newer WebUI's; it is counted, not believed
        values["message_count"] = record.message_count
    hidden = {MESSAGES, SESSION_ID, *RESERVED, *(() if complete else _DOCUMENT_KEYS)}
    return {key: value for key, value in values.items() if key not in hidden}


def _defaults(keys: Collection[str]) -> dict[str, Any]:
    """Return what a new session has under keys; its own lists, as whoever gets them may change them."""
    return {key: copy.copy(image.SESSION_KEYS[key]) for key in keys}


def read_messages(connection: Connection, state: State) -> None:
    """Read the messages of a session, of which the rest was read in the same transaction."""
    rows = connection.execute(_transcript, {"session": state.row_id}).all()
    state.messages = decoded(state.session_id, [row.payload for row in rows], 0)
    state.message_digests = [row.digest for row in rows]


def read_digests(connection: Connection, session: int) -> list[bytes]:
    """Return the digests of a session's messages."""
    return list(connection.execute(_digests, {"session": session}).scalars())


def read_document(connection: Connection, state: State, key: str) -> None:
    """Read one more value of a session, if there is such a one, into the rest."""
    found = _found(connection, state.session_id, _some_documents, session=state.row_id, keys=[key])
    if "message_count" in found:  # a newer WebUI's; it is counted, not believed
        found["message_count"] = state.message_count
    state.values |= _defaults(_DOCUMENT_KEYS & {key}) | found


def _found(connection: Connection, session_id: str, query: Any, **parameters: Any) -> dict[str, Any]:
    rows = connection.execute(query, parameters)
    return {row.key: document_rows.decoded(session_id, row.key, row.payload) for row in rows}
