"""Messages: a session's transcript, read in any part and written by the difference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, select

from . import payload, rows, transcript
from .collection import Collection, SessionKey, touch
from .errors import DatabaseCorruptError, InvalidCursorError, InvalidInputError, MessageNotFoundError
from .paging import MAX_KEY, check_limit, read_cursor, write_cursor
from .records import AppendResult, MessagePage, ReplaceResult, Transcript
from .tables import Message, MessageBlob


class Messages(Collection):
    """The messages of the sessions of a store, or of one profile of it.

    A message is any JSON value; what went in comes out. Positions are dense and begin with 0.
    """

    def append(self, session_id: str, messages: Any) -> AppendResult:
        """Add messages at the end: all of them, or none.

        Args:
            messages: one message, or a list, tuple or iterator of messages. (A message that is itself a list
                goes into a list of one.)

        Raises:
            InvalidPayloadError: a message is not a JSON value.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        many = messages if isinstance(messages, list | tuple | Iterator) else (messages,)
        encoded = transcript.encode(many)
        with self._unit.write() as connection:
            key = self._lock(connection, session_id)
            first, revision = key.message_count, key.revision
            if encoded:
                rows.insert_messages(connection, key.id, dict(enumerate(encoded, first)))
                revision = touch(
                    connection,
                    key,
                    message_count=first + len(encoded),
                    **_activity(m.timestamp for m in encoded),
                )
            return AppendResult(
                first_position=first,
                count=len(encoded),
                message_count=first + len(encoded),
                revision=revision,
            )

    def read(self, session_id: str) -> Transcript:
        """Return all messages: a list that knows the session's `revision`.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        with self._unit.read() as connection:
            key = self._find(connection, session_id)
            return Transcript(_bodies(connection, key, 0, key.message_count), key.revision)

    def count(self, session_id: str) -> int:
        """Return how many messages the session has.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        with self._unit.read() as connection:
            return self._find(connection, session_id).message_count

    def tail(self, session_id: str, *, limit: int = 50) -> MessagePage:
        """Return the last messages, and the cursor `previous` for those before them; see `page`."""
        return self.page(session_id, before=write_cursor("messages", MAX_KEY - 1), limit=limit)

    def page(
        self, session_id: str, *, before: str | None = None, after: str | None = None, limit: int = 50
    ) -> MessagePage:
        """Return neighbouring messages: those before a cursor, those after one, or the first ones.

        Args:
            before: `MessagePage.previous` of a page: the messages that end where it begins.
            after: `MessagePage.next` of a page: the messages that begin where it ends.
            limit: at most so many, 1 to 1000.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
            InvalidCursorError: the cursor is not one of a message page.
            InvalidInputError: both cursors are given.
        """
        check_limit(limit)
        if before is not None and after is not None:
            raise InvalidInputError("Give `before` or `after`, not both.")
        with self._unit.read() as connection:
            key = self._find(connection, session_id)
            if before is not None:
                stop = min(_position(before), key.message_count)
                start = max(0, stop - limit)
            else:
                start = 0 if after is None else min(_position(after), key.message_count)
                stop = min(start + limit, key.message_count)
            return MessagePage(
                items=_bodies(connection, key, start, stop),
                first_position=start,
                previous=write_cursor("messages", start) if start > 0 else None,
                next=write_cursor("messages", stop) if stop < key.message_count else None,
                message_count=key.message_count,
                revision=key.revision,
            )

    def replace(self, session_id: str, messages: Iterable[Any], *, expected_revision: int) -> ReplaceResult:
        """Make the transcript be `messages`, writing only what differs.

        Args:
            messages: the whole transcript.
            expected_revision: the revision at which the transcript that was edited was read, as in
                ``read(…).revision``.

        Raises:
            StaleSessionError: the session was written to since.
            InvalidPayloadError: a message is not a JSON value.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        if isinstance(messages, str | dict) or not isinstance(messages, Iterable):
            raise InvalidInputError(
                f"A transcript is a list of messages, not a {type(messages).__name__}. Nothing was written."
            )
        encoded = transcript.encode(messages)
        with self._unit.write() as connection:
            key = self._lock(connection, session_id, expected_revision)
            changes = rows.write_transcript(connection, key.id, encoded)
            revision = key.revision
            if changes.removed or changes.updated or changes.inserted:
                last = next((m.timestamp for m in reversed(encoded) if m.timestamp is not None), None)
                revision = touch(connection, key, message_count=len(encoded), last_message_at=last)
            return ReplaceResult(
                kept=len(changes.surviving) - len(changes.updated),
                inserted=len(changes.inserted),
                updated=len(changes.updated),
                removed=len(changes.removed),
                message_count=len(encoded),
                revision=revision,
            )

    def update(self, session_id: str, position: int, message: Any, *, expected_revision: int) -> int:
        """Put another message in the place of the one at `position`, and return the session's revision.

        Raises:
            MessageNotFoundError: there is no message at this position.
            StaleSessionError: the session was written to since it was at `expected_revision`.
            InvalidPayloadError: the message is not a JSON value.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        if type(position) is not int:
            raise InvalidInputError(f"position must be a whole number, not {position!r}. Nothing was written.")
        encoded = transcript.encode_one(message)
        with self._unit.write() as connection:
            key = self._lock(connection, session_id, expected_revision)
            if not 0 <= position < key.message_count:
                raise MessageNotFoundError(session_id, position, key.message_count)
            row = connection.execute(
                select(Message.id, Message.digest).where(Message.session_id == key.id, Message.position == position)
            ).one()
            if row.digest == encoded.digest:
                return key.revision
            rows.overwrite_messages(connection, {row.id: encoded})
            last = encoded.timestamp
            if key.last_message_at is not None:
                last = rows.last_activity(connection, key.id)
            return touch(connection, key, last_message_at=last)

    def truncate(self, session_id: str, *, keep: int, expected_revision: int | None = None) -> int:
        """Keep the first `keep` messages, remove the rest, and return the session's revision.

        Args:
            keep: 0 to the number of messages there are.
            expected_revision: change nothing unless the session is still at this revision.

        Raises:
            InvalidInputError: `keep` is out of range.
            StaleSessionError, SessionNotFoundError, SessionDeletedError: as `replace`.
        """
        with self._unit.write() as connection:
            key = self._lock(connection, session_id, expected_revision)
            if not isinstance(keep, int) or isinstance(keep, bool) or not 0 <= keep <= key.message_count:
                raise InvalidInputError(
                    f"keep must be a whole number from 0 to {key.message_count}, the number of messages of session "
                    f"{session_id!r}, not {keep!r}. Nothing was removed."
                )
            if keep == key.message_count:
                return key.revision
            connection.execute(delete(Message).where(Message.session_id == key.id, Message.position >= keep))
            last = None
            if key.last_message_at is not None:  # else there is none to be found, in any number of messages
                last = rows.last_activity(connection, key.id)
            return touch(connection, key, message_count=keep, last_message_at=last)


_range_of_bodies: Final = (
    select(MessageBlob.payload)
    .join(Message, Message.id == MessageBlob.message_id)
    .where(
        Message.session_id == bindparam("session"),
        Message.position >= bindparam("start"),
        Message.position < bindparam("stop"),
    )
    .order_by(Message.position)
)


def _bodies(connection: Connection, key: SessionKey, start: int, stop: int) -> list[Any]:
    found = connection.execute(_range_of_bodies, {"session": key.id, "start": start, "stop": stop})
    return decoded(key.session_id, found.scalars().all(), start)


def decoded(session_id: str, bodies: Sequence[bytes], first: int) -> list[Any]:
    """Return the messages that some bodies are, the first of them at a position.

    Raises:
        DatabaseCorruptError: one is no JSON; it says which.
    """
    try:
        return payload.decode_all(bodies)
    except ValueError as error:
        place = next(first + index for index, body in enumerate(bodies) if not payload.is_whole(body))
        raise DatabaseCorruptError(
            f"Message {place} of session {session_id!r} is damaged in the database: it is no JSON. The others are "
            "read by `page`; restore a backup, or remove this one with `update` or `truncate`."
        ) from error


def _position(cursor: str) -> int:
    (position,) = read_cursor("messages", cursor, int)
    if position < 0:
        raise InvalidCursorError(f"{cursor!r} is not a cursor of a message page. Nothing was read; begin without one.")
    return int(position)


def _activity(timestamps: Iterable[float | None]) -> dict[str, float]:
    known = [timestamp for timestamp in timestamps if timestamp is not None]
    return {"last_message_at": known[-1]} if known else {}
