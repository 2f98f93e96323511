"""A session as one JSON object, as hermes-webui has it in a file: read whole, and created from one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from .arguments import items_of, mapping_of
from .collection import Collection
from .errors import DatabaseCorruptError
from .records import DEFAULT_PROFILE, SessionRecord
from .storage import document_reading, message_reading, retired_ids, session_records
from .storage.session_keys import SessionKey
from .storage.session_links import find_links, parent_columns
from .storage.session_writer import add_whole
from .storage.unit_of_work import UnitOfWork
from .transcripts import encoding, json_codec
from .transcripts.encoding import Encoded
from .validation import check_id
from .webui_format import session_json
from .webui_format.field_mapping import map_links

_PROFILE: Final = "profile"


class WholeSessions(Collection):
    """The verbs for a session as one JSON object."""

    def as_json(self, session_id: str) -> dict[str, Any]:
        """Return a whole session as a JSON object, as hermes-webui has it in a file and as an export writes it.

        It has the session's fields, documents and `messages`, and all keys that hermes-webui always writes, in its
        order.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `get`.
            DatabaseCorruptError: a message or a document is damaged or missing. The error names its place.
        """
        with self._transactions.read() as unit:
            return _read(unit, lambda: self._find(unit, session_id))

    def create_from_json(self, values: Mapping[str, Any]) -> SessionRecord:
        """Create a session from a JSON object as `as_json` returns it, and return the session.

        A value that its column cannot hold is kept as a document, as in an import.

        Args:
            values: the object, with its `session_id`. The default profile is "default" or that of the view. A time that
                is missing or not valid is taken from the messages or from the other time, or is now. A project or a
                parent that the profile does not have is kept as a document; the next import of a directory links it.

        Raises:
            SessionExistsError, SessionDeletedError: another session has or had the id; as in `create`.
            InvalidIdError: `session_id` is missing or not valid.
            InvalidInputError: `values` is no object, its messages are no list, a key is too long, or the profile is not
                that of the view.
            InvalidPayloadError: a value is not a JSON value.
        """
        session = _NewSession(values)
        profile = session.profile(self._scope)
        self._own_profile(profile)
        with self._transactions.write() as unit:
            session.add(unit, profile, self._scope)
            return session_records.get_existing(unit, session.session_id)


def _read(unit: UnitOfWork, find: Callable[[], SessionKey]) -> dict[str, Any]:
    """Return a session as the JSON object of its file; `find` returns it, or raises the error that says why not.

    Raises:
        DatabaseCorruptError: a message or a document is damaged or missing; it names the place.
    """
    while True:
        key = find()
        try:
            record = session_records.get(unit, key.session_id)
            documents = document_reading.read(unit, key.id, key.session_id)
            count = key.message_count
            rows = message_reading.fetch(unit, key.id, key.session_id, start=0, stop=count, count=count)
        except DatabaseCorruptError:
            if unit.sees_one_state or find().revision == key.revision:
                raise
            continue  # another transaction was committed between two statements
        if record is not None and (unit.sees_one_state or find().revision == record.revision == key.revision):
            return session_json.to_json(record, documents, message_reading.decode(key.session_id, rows, 0))


class _NewSession:
    """A session to be created from its JSON object.

    Args:
        values: the object.

    Raises:
        InvalidInputError: it is no object, its messages are no list, or a key is too long.
        InvalidIdError: what it has as `session_id` cannot be an id.
        InvalidPayloadError: a value is not a JSON value.
    """

    def __init__(self, values: Any) -> None:
        data = mapping_of(values, "The values of a session")
        messages = data.pop("messages", None)
        # What is read back from JSON, so that what a caller's classes do is no matter.
        self._values: dict[str, Any] = json_codec.decode(json_codec.encode(data, "session"))
        self.session_id = check_id(self._values.get("session_id"), "session id")
        self._messages: list[Encoded] = encoding.encode(
            [] if messages is None else items_of(messages, "messages", "Nothing was written.")
        )
        self._content = session_json.from_json(dict(self._values), self._messages, written_at=time.time())

    def profile(self, scope: str | None) -> str:
        """Return its profile, which is that of the view if the object names none."""
        if self._names_profile:
            profile: str = self._content.columns["profile"]
            return profile
        return scope or DEFAULT_PROFILE

    @property
    def _names_profile(self) -> bool:
        return self._values.get(_PROFILE) not in (None, "")

    def add(self, unit: UnitOfWork, profile: str, scope: str | None) -> None:
        """Create it in a profile.

        Raises:
            SessionExistsError, SessionDeletedError: the id is, or was, another session's.
        """
        retired_ids.require_free(unit, self.session_id, scope)
        links = find_links(unit, self._values, profile)
        linked = map_links(self._values, links)
        documents = {key: payload for key, payload in self._content.documents.items() if links.get(key) is None}
        if _PROFILE in self._values and not self._names_profile and profile == DEFAULT_PROFILE:
            documents[_PROFILE] = json_codec.encode(self._values[_PROFILE])  # null, which the column does not hold
        columns = {**self._content.columns, **linked.columns, _PROFILE: profile}
        columns |= parent_columns(unit, self._values, links)
        add_whole(unit, self.session_id, columns, self._messages, {**documents, **linked.documents})
