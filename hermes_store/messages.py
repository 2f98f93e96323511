"""Messages: the transcript of a session, read in pages or whole. Writes store only what differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from .arguments import items_of
from .collection import UNCHECKED, Unchecked, require_current
from .errors import InvalidInputError, MessageNotFoundError
from .message_changes import ChangedMessages
from .message_history import MessageHistory
from .message_pages import MessagePages
from .message_streams import MessageStream
from .quoting import quoted
from .results import AppendResult, ReplaceResult, TruncateResult, WriteResult
from .storage import (
    cut_rows,
    message_differences,
    message_lookup,
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
from .validation import check_revision


class Messages(MessagePages, MessageHistory, ChangedMessages):
    """The messages of the sessions of a store, or of one profile of it.

    A message is any JSON value, and reading it returns an equal value. Positions begin with 0 and have no gaps.
    """

    def append(
        self, session_id: str, message: Any, *, expected_revision: int | Literal[Unchecked.UNCHECKED] = UNCHECKED
    ) -> AppendResult:
        """Add a message at the end. Without `expected_revision` it is always added, whatever others wrote.

        Args:
            session_id: the session.
            message: any JSON value.
            expected_revision: the revision at which the messages were read. Nothing is added if any message changed
                after it. With it, an append of unknown outcome (`CommitUnknownError`) can be repeated: the message is
                not added twice.

        Returns:
            The position of the message, and the session's new revision.

        Raises:
            InvalidPayloadError: `message` is not a JSON value.
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
            session_id: the session.
            messages: JSON values, in their order.
            expected_revision: as in `append`.

        Returns:
            The positions of the messages, and the session's new revision.

        Raises:
            InvalidInputError: `messages` is a single message (text or an object) instead of a list of messages, or
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

    def stream(self, session_id: str, message: Mapping[str, Any]) -> MessageStream:
        """Return a context manager that appends a message and writes its growing versions; see `MessageStream`.

        Args:
            session_id: the session.
            message: the first version, a JSON object.

        Raises:
            InvalidInputError: `message` is no mapping.
            InvalidPayloadError: a value in it is not a JSON value. This error and the following ones are raised when
                the `with` block begins.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        return MessageStream(self._transactions, self._scope, session_id, message)

    def replace(self, session_id: str, messages: Iterable[Any], *, expected_revision: int) -> ReplaceResult:
        """Replace the transcript. Only what differs, or is damaged in the database, is written.

        Args:
            session_id: the session.
            messages: the whole new transcript.
            expected_revision: the revision at which the edited transcript was read: ``read(…).revision``.

        Returns:
            The numbers of messages that were kept, inserted, updated and removed, and the session's revision.

        Raises:
            StaleSessionError: a message changed after `expected_revision`. Other changes, such as a new title, do not
                count.
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
        """Replace the message at a position. An equal message is written only if the stored one is damaged or missing.

        Args:
            session_id: the session.
            position: the position of the message, counted from 0.
            message: any JSON value.
            expected_revision: the revision of the session at which the message was read.

        Raises:
            MessageNotFoundError: there is no message at this position.
            StaleSessionError: this message changed after `expected_revision`, or messages before it were inserted or
                removed. Appended messages do not count.
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
                columns = transcript_columns.of_stored(unit, key.id)  # the role of the missing one is not known
            else:
                message_rows.overwrite(unit, {found.row_id: encoded}, key.revision + 1)
                columns = transcript_columns.of_changed(unit, key, users, encoded)
            revision = session_rows.change(unit, key, columns, transcript=True)
            return WriteResult(changed=True, revision=revision)

    def truncate(self, session_id: str, *, keep: int, expected_revision: int) -> TruncateResult:
        """Remove all messages except the first `keep`. For 30 days, `undo` can put the others back.

        Args:
            session_id: the session.
            keep: the number of messages to keep, from 0.
            expected_revision: the revision of the session at which the messages were read.

        Raises:
            InvalidInputError: `keep` is larger than the number of messages, or is no whole number.
            StaleSessionError: a message changed after `expected_revision`.
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
        """Remove all messages. For 30 days, `undo` can put them back.

        Args:
            session_id: the session.
            expected_revision: the revision of the session at which the messages were read.

        Raises:
            StaleSessionError: a message changed after `expected_revision`.
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
