"""A message that grows while it is written, such as an answer that a model streams."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final, Self

from .arguments import mapping_of
from .collection import Collection
from .errors import InvalidInputError, SessionDeletedError, SessionNotFoundError, StaleSessionError
from .quoting import quoted
from .results import WriteResult
from .storage import cut_rows, message_rows, session_keys, session_rows, session_writer, transcript_columns
from .storage.engine import Transactions
from .storage.row_locks import RowLock
from .storage.session_keys import SessionKey
from .storage.unit_of_work import UnitOfWork
from .transcripts import encoding, kept_runs
from .transcripts.encoding import Encoded

#: The key that marks a message as unfinished: hermes-webui's own, of what was left of an answer that was stopped.
PARTIAL: Final = "_partial"


class MessageStream(Collection):
    """One growing message; see `Messages.stream`.

    The message is appended when the `with` block begins. Each checkpoint overwrites it and marks it as partial, with
    the key ``_partial``. At the end of the block the mark is removed. If an exception ends the block, or the process
    ends inside it, the message stays as the last checkpoint wrote it, with the mark.
    """

    def __init__(self, transactions: Transactions, scope: str | None, session_id: str, message: Any) -> None:
        super().__init__(transactions, scope)
        self._session_id = session_id
        self._message = _object(message)
        self._session: int | None = None
        self._row = self._revision = self._position = 0
        self._written: Encoded | None = None

    @property
    def position(self) -> int:
        """The position at which the message was appended."""
        return self._position

    @property
    def revision(self) -> int:
        """The session's revision of the last write of this stream; 0 before its first one."""
        return self._revision

    def __enter__(self) -> Self:
        if self._session is not None:
            raise InvalidInputError("A stream is one `with` block. Nothing was written; open another one.")
        encoded = encoding.encode_one({**self._message, PARTIAL: True})
        with self._transactions.write() as unit:
            key = self._lock(unit, self._session_id)
            row, revision = session_writer.append(unit, key, [encoded])
        self._session, self._row, self._position, self._revision = key.id, row, key.message_count, revision
        self._written = encoded
        return self

    def checkpoint(self, message: Any) -> WriteResult:
        """Write the present version of the message, marked as partial. It costs as much as an append.

        Only this message is compared with what the stream wrote last. Appends, renames and changes of other messages
        are no conflict. A version that equals the last one is not written, and not compared with what is stored.

        Args:
            message: the whole message, a JSON object.

        Raises:
            StaleSessionError: others changed or removed the message.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
            InvalidInputError: `message` is no JSON object, or the stream's block has not begun.
            InvalidPayloadError: a value in it is not a JSON value.
        """
        whole = _object(message)
        return self._write(whole, {**whole, PARTIAL: True})

    def finish(self, message: Any = None) -> WriteResult:
        """Write the final message, without the mark. The end of the block does this with the last checkpoint's message.

        Args:
            message: the whole message, a JSON object; that of the last checkpoint when None.

        Raises:
            StaleSessionError, SessionNotFoundError, SessionDeletedError, InvalidInputError, InvalidPayloadError: as
                `checkpoint`.
        """
        whole = self._message if message is None else _object(message)
        return self._write(whole, whole)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()

    def _write(self, whole: dict[str, Any], message: dict[str, Any]) -> WriteResult:
        if self._session is None or self._written is None:
            raise InvalidInputError("A stream writes inside its `with` block. Nothing was written.")
        encoded = encoding.encode_one(message)
        if encoded == self._written:
            self._message = whole
            return WriteResult(changed=False, revision=self._revision)
        with self._transactions.write() as unit:
            key = self._current(unit, self._session)
            revision = key.revision + 1
            if key.transcript_revision != self._revision and cut_rows.last_revision(unit, key.id) > self._revision:
                # What it overwrites is part of the states before that cut. Other checkpoints are not kept.
                cut_rows.keep(unit, key, "stream", kept_runs.without(self._position, key.message_count))
            if not message_rows.overwrite_if_at(
                unit, self._row, encoded, before=self._written, at=self._revision, revision=revision
            ):
                raise StaleSessionError(key.session_id, self._revision, key.revision, "others changed this message")
            values: dict[str, Any] = {}
            if (encoded.role, encoded.timestamp) != (self._written.role, self._written.timestamp):
                values = transcript_columns.of_changed(unit, key, encoding.users([self._written]), encoded)
            session_rows.change(unit, key, values, transcript=True)
        self._message, self._written, self._revision = whole, encoded, revision
        return WriteResult(changed=True, revision=revision)

    def _current(self, unit: UnitOfWork, session: int) -> SessionKey:
        """Return the session, whatever its id is now."""
        key = session_keys.find_row(unit, session, lock=RowLock.CHANGE)
        if key is None or self._scope not in (None, key.profile):
            raise SessionNotFoundError(self._session_id)
        if key.deleted_at is not None:
            raise SessionDeletedError(key.session_id)
        return key


def _object(message: Any) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise InvalidInputError(
            f"A streamed message is a JSON object, because it is marked while it is partial, not {quoted(message)}. "
            "Nothing was written."
        )
    return mapping_of(message, "The values of a message")
