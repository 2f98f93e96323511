"""A session as the store has it, by the WebUI's keys: read whole, or its row alone.

Values are compared by digests of what the store would give back: of 1.0 for a cost of 1.
"""

from __future__ import annotations

import copy
import enum
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

from ..errors import SessionDeletedError, SessionNotFoundError
from ..records import SessionRecord
from ..storage import document_reading, message_reading, session_contents, session_keys
from ..storage.row_locks import RowLock
from ..storage.session_contents import SessionContents
from ..storage.session_keys import SessionKey
from ..storage.unit_of_work import UnitOfWork
from ..transcripts import json_codec
from ..webui_format import key_order, session_json
from ..webui_format.field_mapping import PARENT, PROJECT

Class = TypeVar("Class", bound=type)

MESSAGES: Final = "messages"
SESSION_ID: Final = "session_id"
#: What is read with a session's row: what lists show, and where the session comes from.
ROW_KEYS: Final = frozenset({*session_json.COLUMNS, *session_json.SOURCE_KEYS, PROJECT, PARENT})
#: The sidebar's row, in the WebUI's order.
COMPACT_KEYS: Final = (*session_json.INDEX_KEYS, "is_streaming")
#: The other keys that every session of the WebUI has.
_DOCUMENT_KEYS: Final = frozenset(session_json.SESSION_KEYS) - ROW_KEYS - {MESSAGES, SESSION_ID}
#: The keys after the messages in the WebUI's files: whatever is as long as a transcript.
LONG_KEYS: Final = frozenset(key_order.after(MESSAGES))
#: The names of a live session's own attributes. Values with such keys stay in the store, and are not shown.
RESERVED: Final[set[str]] = set()


class Extent(enum.Enum):
    """How much of a session's values was read."""

    #: Those of its row: `ROW_KEYS`.
    ROW = "row"
    #: All but those of `LONG_KEYS`.
    METADATA = "metadata"
    WHOLE = "whole"


IsHidden = Callable[[str], bool]


def hides_nothing(_: str) -> bool:
    """Hide no key."""
    return False


def is_reserved(key: str) -> bool:
    """Whether a value's key cannot be an attribute: it is one of the class's own, or one that Python itself looks for,
    such as ``__deepcopy__``."""
    return key in RESERVED or (key.startswith("__") and key.endswith("__"))


def reserves_its_names(cls: Class) -> Class:
    """Reserve the names of a class's own attributes, whose other attributes are a session's values."""
    RESERVED.update(name for name in (*vars(cls), *cls.__annotations__) if not name.startswith("__"))
    return cls


@dataclass
class State:
    """A session as it was at one moment, as far as it was read."""

    row_id: int
    session_id: str
    revision: int
    message_count: int
    user_message_count: int
    #: By the WebUI's keys, without the messages and the id.
    values: dict[str, Any]
    extent: Extent = Extent.ROW
    #: Small values that were read, too, but are not among the values.
    small: Mapping[str, Any] = field(default_factory=dict)
    messages: list[Any] | None = None
    message_digests: list[bytes] | None = None


def digest_of(key: str, value: Any) -> bytes:
    """Return the digest of a value as the store would give it back.

    Raises:
        InvalidPayloadError: it is not a JSON value.
    """
    value = json_codec.plain(value, key)
    if key in session_json.COLUMNS:
        stored, exact = session_json.COLUMNS[key](value)
        if exact or key == "updated_at":
            value = stored
    elif key == PROJECT:
        value = value or None
    return json_codec.digest(json_codec.encode(value, key))


def digests_of(values: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the digests of values by key."""
    return {key: digest_of(key, value) for key, value in values.items()}


def find_current(unit: UnitOfWork, row_id: int, session_id: str, *, lock: RowLock | None = None) -> SessionKey:
    """Return the session of a row id, whatever its public id is now.

    Args:
        session_id: the public id that it had, for messages.
        lock: what others cannot do to its row until the transaction ends.

    Raises:
        SessionNotFoundError: it was purged.
        SessionDeletedError: it is deleted.
    """
    key = session_keys.find_row(unit, row_id, lock=lock)
    if key is None:
        raise SessionNotFoundError(session_id)
    if key.deleted_at is not None:
        raise SessionDeletedError(key.session_id)
    return key


def read(unit: UnitOfWork, session_id: str, extent: Extent, is_hidden: IsHidden = hides_nothing) -> State:
    """Read a session.

    Args:
        session_id: its public id.
        extent: how much; with the messages if it is the whole session.
        is_hidden: whether the value of a key is not to be among the values.

    Raises:
        SessionNotFoundError, SessionDeletedError: there is none, or it is deleted.
    """
    contents = session_contents.read(unit, session_id, **_how(extent))
    if contents is None:
        session_keys.find_live(unit, session_id, None)  # raises the error that says why
        raise SessionNotFoundError(session_id)
    state = _state(contents, extent, is_hidden)
    if extent is Extent.WHOLE:
        state.messages, state.message_digests = read_messages(unit, state.row_id, state.session_id, state.message_count)
    return state


def read_again(
    unit: UnitOfWork, row_id: int, session_id: str, extent: Extent, is_hidden: IsHidden = hides_nothing
) -> State:
    """Read a session but for its messages, whatever its public id is now.

    Args:
        session_id: the public id that it had, for messages.
        extent, is_hidden: as in `read`.

    Raises:
        SessionNotFoundError, SessionDeletedError: as `find_current`.
    """
    contents = session_contents.read_row(unit, row_id, **_how(extent))
    if contents is None:
        raise SessionNotFoundError(session_id)
    return _state(contents, extent, is_hidden)


def _how(extent: Extent) -> dict[str, Any]:
    return {"whole": extent is not Extent.ROW, "without": LONG_KEYS if extent is Extent.METADATA else ()}


#: The keys of the WebUI that have no column, as far as an extent has them.
_DEFAULTS: Final = {
    Extent.ROW: frozenset[str](),
    Extent.METADATA: _DOCUMENT_KEYS - LONG_KEYS,
    Extent.WHOLE: _DOCUMENT_KEYS,
}


def _of_extent(values: Mapping[str, Any], extent: Extent) -> Mapping[str, Any]:
    """Return those of some values that are read with an extent."""
    if extent is Extent.WHOLE:
        return values
    keys = values.keys() & ROW_KEYS if extent is Extent.ROW else values.keys() - LONG_KEYS
    return {key: value for key, value in values.items() if key in keys}


def _state(contents: SessionContents, extent: Extent, is_hidden: IsHidden) -> State:
    row_id, record, values = contents
    if record.deleted_at is not None:
        raise SessionDeletedError(record.session_id)
    shown = _of_extent(values, extent)
    return State(
        row_id=row_id,
        session_id=record.session_id,
        revision=record.revision,
        message_count=record.message_count,
        user_message_count=record.user_message_count,
        values=_values(record, shown, extent, is_hidden),
        extent=extent,
        small={key: value for key, value in values.items() if key not in shown},
    )


def _values(record: SessionRecord, documents: Mapping[str, Any], extent: Extent, is_hidden: IsHidden) -> dict[str, Any]:
    values = session_json.to_json(record, {**_defaults(_DOCUMENT_KEYS), **documents}, [])
    values = {"workspace": record.workspace, **values}
    values |= _counts(record, values)
    for key in (MESSAGES, SESSION_ID, *(_DOCUMENT_KEYS - _DEFAULTS[extent]), *filter(is_hidden, values)):
        values.pop(key, None)
    return values


def _counts(counted: SessionRecord | State, keys: Collection[str]) -> dict[str, int]:
    """Return the numbers of messages that are among some keys, as the columns have them."""
    return {key: getattr(counted, key) for key in session_json.COUNTS if key in keys}


def _defaults(keys: Collection[str]) -> dict[str, Any]:
    """Return what a new session has under keys; copies of lists, as the caller may change them."""
    return {key: copy.copy(session_json.SESSION_KEYS[key]) for key in keys}


def is_default(key: str, value: Any) -> bool:
    """Whether a value is what a new session has under one of the WebUI's keys."""
    return key in session_json.SESSION_KEYS and bool(value == session_json.SESSION_KEYS[key])


class Messages(NamedTuple):
    """A session's messages and their digests."""

    messages: list[Any]
    digests: list[bytes]


def read_messages(unit: UnitOfWork, row_id: int, session_id: str, count: int) -> Messages:
    """Read the messages of a session, of which there are `count`.

    Raises:
        DatabaseCorruptError: one is damaged or missing; it names the position.
    """
    rows = message_reading.fetch(unit, row_id, session_id, start=0, stop=count, count=count)
    return Messages(message_reading.decode(session_id, rows, 0), [row[1] for row in rows])


def read_documents(unit: UnitOfWork, state: State, keys: Collection[str]) -> None:
    """Read more values of a session, where there are such, into the rest."""
    found = {key: state.small[key] for key in keys if key in state.small}
    large = [key for key in keys if key not in found]
    if large:
        found |= document_reading.read_sound(unit, state.row_id, state.session_id, large)
    state.values |= _defaults(_DOCUMENT_KEYS.intersection(keys)) | found | _counts(state, found)
