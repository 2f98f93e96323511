"""Messages: a session's transcript, read in pages or whole; writes store only what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from .arguments import items_of
from .collection import UNCHECKED, Unchecked, require_current
from .errors import InvalidCursorError, InvalidInputError, MessageNotFoundError
from .message_changes import ChangedMessages
from .message_history import MessageHistory
from .message_streams import MessageStream
from .pagination import MAX_KEY, check_limit, read_cursor, write_cursor
from .quoting import quoted
from .records import MessagePage, MessageWindow, Transcript
from .results import AppendResult, ReplaceResult, TruncateResult, WriteResult
from .storage import (
    cut_rows,
    message_differences,
    message_lookup,
    message_reading,
    message_rows,
    session_rows,
    session_writer,
    transcript_columns,
)
from .storage.session_keys import SessionKey
from .storage.unit_of_work import UnitOfWork
from .transcripts import encoding, kept_runs
from .transcripts.encoding import Encoded
from .transcripts.kept_runs import Run
from .validation import MAX_INT, check_revision, check_text


class Messages(MessageHistory, ChangedMessages):
    """The messages of the sessions of a store, or of one profile of it.

    A message is any JSON value, and is read back equal. Positions are dense and begin with 0.
    """

    def append(
        self, session_id: str, message: Any, *, expected_revision: int | Literal[Unchecked.UNCHECKED] = UNCHECKED
    ) -> AppendResult:
        """Add a message at the end. Without `expected_revision` it is always added, whatever others wrote.

        Args:
            expected_revision: add nothing if any message changed after this revision of the session. An append whose
                outcome is not known (`CommitUnknownError`) can be repeated with it: it is not added twice.

        Raises:
            InvalidPayloadError: it is not a JSON value.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
            StaleSessionError: a message changed after `expected_revision`.
            InvalidInputError: `expected_revision` is not a whole number.
        """
        return self._append(session_id, [encoding.encode_one(message)], expected_revision)

    def extend(
        self,
        session_id: str,
        messages: Iterable[Any],
        *,
        expected_revision: int | Literal[Unchecked.UNCHECKED] = UNCHECKED,
    ) -> AppendResult:
        """Add messages at the end: all of them, or none.

        Args:
            messages: in their order.
            expected_revision: as in `append`.

        Raises:
            InvalidInputError: `messages` is a single message (text or an object), not a list of messages, or
                `expected_revision` is not a whole number.
            InvalidPayloadError: a message is not a JSON value.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
            StaleSessionError: a message changed after `expected_revision`.
        """
        return self._append(session_id, encoding.encode(_many(messages)), expected_revision)

    def _append(
        self, session_id: str, encoded: Sequence[Encoded], expected: int | Literal[Unchecked.UNCHECKED]
    ) -> AppendResult:
        if expected is not UNCHECKED:
            check_revision(expected)
        with self._transactions.write() as unit:
            key = self._lock(unit, session_id)
            if expected is not UNCHECKED:
                require_current(key, expected, key.transcript_revision, "a message")
            first, revision = key.message_count, key.revision
            if encoded:
                _, revision = session_writer.append(unit, key, encoded)
        return AppendResult.from_trusted(
            {
                "first_position": first,
                "last_position": first + len(encoded) - 1,
                "message_count": first + len(encoded),
                "revision": revision,
            }
        )

    def read(self, session_id: str) -> Transcript:
        """Return all messages: a list with the session's `revision`.

        Raises:
            DatabaseCorruptError: a message is damaged or missing; it names the position.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        with self._transactions.read_each() as unit:
            key, _, rows = self._fetch(unit, session_id, lambda key: (0, key.message_count))
        return Transcript(message_reading.decode(key.session_id, rows, 0), key.revision)

    def count(self, session_id: str) -> int:
        """Return how many messages the session has.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        with self._transactions.read_each() as unit:
            return self._find(unit, session_id).message_count

    def tail(self, session_id: str, *, limit: int = 50) -> MessagePage:
        """Return the last messages, and the cursor `previous` for those before them; see `page`."""
        return self.page(session_id, before=_END, limit=limit)

    def page(
        self, session_id: str, *, before: str | None = None, after: str | None = None, limit: int = 50
    ) -> MessagePage:
        """Return consecutive messages: those before a cursor, those after one, or the first ones.

        Args:
            before: `MessagePage.previous` of a page, for the messages that end where it begins.
            after: `MessagePage.next` of a page, for the messages that begin where it ends.
            limit: the largest number of messages to return, 1 to 1000.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
            InvalidCursorError: the cursor is not one of a message page.
            InvalidInputError: both cursors are given.
            DatabaseCorruptError: one of these messages is damaged or missing; it names the position.
        """
        limit = check_limit(limit)
        if before is not None and after is not None:
            raise InvalidInputError("Give `before` or `after`, not both.")

        def bounds(key: SessionKey) -> tuple[int, int]:
            count = key.message_count
            if before is not None:
                stop = min(_position(before), count)
                return max(0, stop - limit), stop
            start = 0 if after is None else min(_position(after), count)
            return start, min(start + limit, count)

        with self._transactions.read_each() as unit:
            key, (start, stop), rows = self._fetch(unit, session_id, bounds)
        return MessagePage.from_trusted(
            {
                "items": message_reading.decode(key.session_id, rows, start),
                "first_position": start,
                "previous": write_cursor("messages", start) if start > 0 else None,
                "next": write_cursor("messages", stop) if stop < key.message_count else None,
                "message_count": key.message_count,
                "revision": key.revision,
            }
        )

    def window(
        self,
        session_id: str,
        *,
        visible: int = 30,
        before: int | None = None,
        roles: Iterable[str] = ("user", "assistant"),
    ) -> MessageWindow:
        """Return the last messages of some roles, and all others between them and after them.

        It reads backwards, so it takes time for the messages that it returns, whatever the transcript's length.

        Args:
            visible: how many messages of these roles, 1 to 1000.
            before: a position: only messages before it. `MessageWindow.first_position` gives the window before one.
                None for the end.
            roles: the roles that count.

        Raises:
            InvalidInputError: `visible`, `before` or `roles` cannot be such.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
            DatabaseCorruptError: one of these messages is damaged or missing; it names the position.
        """
        visible = check_limit(visible, "visible")
        if before is not None and (type(before) is not int or not 0 <= before <= MAX_INT):
            raise InvalidInputError(f"before is a position, a whole number from 0, not {quoted(before)}.")
        counted = [check_text(role, "role") for role in items_of(roles, "roles", "Nothing was read.")]

        def bounds(key: SessionKey) -> tuple[int, int]:
            stop = key.message_count if before is None else min(before, key.message_count)
            return message_lookup.window_start(unit, key.id, stop, counted, visible), stop

        with self._transactions.read_each() as unit:
            key, (start, stop), rows = self._fetch(unit, session_id, bounds)
        return MessageWindow.from_trusted(
            {
                "items": message_reading.decode(key.session_id, rows, start),
                "first_position": start,
                "stop_position": stop,
                "message_count": key.message_count,
                "revision": key.revision,
            }
        )

    def stream(self, session_id: str, message: Mapping[str, Any]) -> MessageStream:
        """Append a message that grows while it is written, for a `with` block; see `MessageStream`.

        Args:
            message: its beginning, a JSON object.

        Raises:
            InvalidInputError: it is no JSON object.
            InvalidPayloadError: it is not a JSON value. Raised, as the following, when the block begins.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        return MessageStream(self._transactions, self._scope, session_id, message)

    def _fetch(
        self, unit: UnitOfWork, session_id: str, bounds: Callable[[SessionKey], tuple[int, int]]
    ) -> tuple[SessionKey, tuple[int, int], Sequence[message_reading.Stored]]:
        """Return a session, positions of it, and the messages there; `bounds` are the positions."""
        while True:
            key = self._find(unit, session_id)
            start, stop = bounds(key)
            rows = message_reading.fetch_at(
                unit,
                key.id,
                key.session_id,
                start=start,
                stop=stop,
                count=key.message_count,
                revision=key.revision,
            )
            if rows is not None:
                return key, (start, stop), rows

    def replace(self, session_id: str, messages: Iterable[Any], *, expected_revision: int) -> ReplaceResult:
        """Replace the transcript by `messages`, writing only what differs or is damaged in the database.

        Args:
            messages: the whole transcript.
            expected_revision: the session's revision that the edited transcript was read at, as in
                ``read(…).revision``.

        Raises:
            StaleSessionError: a message changed since. (Other changes, such as a new title, do not count.)
            InvalidInputError: `expected_revision` is not a whole number, or `messages` is a single message.
            InvalidPayloadError: a message is not a JSON value.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        check_revision(expected_revision)
        encoded = encoding.encode(_many(messages))
        with self._transactions.write() as unit:
            key = self._lock(unit, session_id)
            require_current(key, expected_revision, key.transcript_revision, "a message")
            difference = message_differences.compare(unit, key.id, encoded)
            changes = difference.changes
            cut_rows.keep_difference(unit, key, "replace", difference)
            message_rows.write_difference(unit, key.id, difference, encoded, key.revision + 1)
            revision = key.revision
            if not changes.is_empty or key.message_count != len(encoded):
                revision = session_rows.change(unit, key, transcript_columns.of_all(encoded), transcript=True)
        return ReplaceResult(
            kept=len(changes.surviving) - len(changes.updated),
            inserted=len(changes.inserted),
            updated=len(changes.updated),
            removed=len(changes.removed),
            message_count=len(encoded),
            revision=revision,
        )

    def update(self, session_id: str, position: int, message: Any, *, expected_revision: int) -> WriteResult:
        """Replace the message at a position, also by an equal one if it is damaged or missing in the database.

        Args:
            position: 0 to the number of messages less one.
            message: any JSON value.
            expected_revision: a revision of the session at which the message was read.

        Raises:
            MessageNotFoundError: there is no message at this position.
            StaleSessionError: this message was written after `expected_revision`, or messages were inserted or removed
                before it. (Messages that were appended do not count.)
            InvalidPayloadError: the message is not a JSON value.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        check_revision(expected_revision)
        if type(position) is not int:
            raise InvalidInputError(f"position must be a whole number, not {quoted(position)}. Nothing was written.")
        encoded = encoding.encode_one(message)
        with self._transactions.write() as unit:
            key = self._lock(unit, session_id)
            if not 0 <= position < key.message_count:
                raise MessageNotFoundError(key.session_id, position, key.message_count)
            found = message_lookup.find(unit, key.id, position)
            changed_at = key.transcript_revision if found is None else found.revision
            require_current(key, expected_revision, changed_at, "this message")
            if found is not None and found.is_same(encoded):
                return WriteResult(changed=False, revision=key.revision)
            users = cut_rows.keep(unit, key, "update", kept_runs.without(position, key.message_count))
            if found is None:
                message_rows.insert_at(unit, key.id, {position: encoded}, key.revision + 1)
                columns = transcript_columns.of_stored(unit, key.id)  # nobody knows whose the missing one was
            else:
                message_rows.overwrite(unit, {found.row_id: encoded}, key.revision + 1)
                columns = transcript_columns.of_changed(unit, key, users, encoded)
            revision = session_rows.change(unit, key, columns, transcript=True)
            return WriteResult(changed=True, revision=revision)

    def truncate(self, session_id: str, *, keep: int, expected_revision: int) -> TruncateResult:
        """Keep the first `keep` messages and remove the others, which `undo` puts back for 30 days.

        Args:
            keep: 0 to the number of messages.
            expected_revision: the session's revision that the messages were read at.

        Raises:
            InvalidInputError: `keep` is out of range.
            StaleSessionError: a message changed since.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        check_revision(expected_revision)
        with self._transactions.write() as unit:
            key = self._lock(unit, session_id)
            require_current(key, expected_revision, key.transcript_revision, "a message")
            if type(keep) is not int or not 0 <= keep <= key.message_count:
                raise InvalidInputError(
                    f"keep must be a whole number from 0 to {key.message_count}, the number of messages of session "
                    f"{key.session_id!r}, not {quoted(keep)}. Nothing was removed."
                )
            return _truncate(unit, key, keep, "truncate")

    def clear(self, session_id: str, *, expected_revision: int) -> TruncateResult:
        """Remove all messages. What is removed is kept, as `truncate` keeps it.

        Args:
            expected_revision: the session's revision that the messages were read at.

        Raises:
            StaleSessionError: a message changed since.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        check_revision(expected_revision)
        with self._transactions.write() as unit:
            key = self._lock(unit, session_id)
            require_current(key, expected_revision, key.transcript_revision, "a message")
            return _truncate(unit, key, 0, "clear")


def _truncate(unit: UnitOfWork, key: SessionKey, keep: int, verb: cut_rows.Verb) -> TruncateResult:
    revision, removed = key.revision, 0
    if keep < key.message_count:
        users = cut_rows.keep(unit, key, verb, [Run(0, 0, keep)] if keep else [])
        removed = message_rows.truncate(unit, key.id, keep)
        values = {"message_count": keep, **transcript_columns.of_changed(unit, key, users)}
        revision = session_rows.change(unit, key, values, transcript=True)
    return TruncateResult(removed=removed, message_count=keep, revision=revision)


def _many(messages: Any) -> Sequence[Any]:
    return items_of(messages, "messages", "Nothing was written.")


#: The cursor after every message.
_END = write_cursor("messages", MAX_KEY - 1)


def _position(cursor: str) -> int:
    (position,) = read_cursor("messages", cursor, int)
    if position < 0:
        raise InvalidCursorError(
            f"{quoted(cursor)} is not a cursor of a message page. Nothing was read; begin without one."
        )
    return int(position)
