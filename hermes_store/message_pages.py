"""Messages: reading all of them, pages of them, and the last ones of some roles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .arguments import items_of
from .collection import Collection
from .errors import InvalidCursorError, InvalidInputError
from .pagination import MAX_KEY, check_limit, read_cursor, write_cursor
from .quoting import quoted
from .records import MessagePage, MessageWindow, Transcript
from .storage import message_lookup, message_reading
from .storage.session_keys import SessionKey
from .storage.unit_of_work import UnitOfWork
from .validation import MAX_INT, check_text


class MessagePages(Collection):
    """The verbs of `Messages` that read."""

    def read(self, session_id: str) -> Transcript:
        """Return all messages as a list, which has the session's `revision` as an attribute.

        Raises:
            DatabaseCorruptError: a message is damaged or missing. The error names its position.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        with self._transactions.read_each() as unit:
            key, _, rows = self._fetch(unit, session_id, lambda key: (0, key.message_count))
        return Transcript(message_reading.decode(key.session_id, rows, 0), key.revision)

    def count(self, session_id: str) -> int:
        """Return the number of messages of a session.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        with self._transactions.read_each() as unit:
            return self._find(unit, session_id).message_count

    def tail(self, session_id: str, *, limit: int = 50) -> MessagePage:
        """Return the last messages, at most `limit` (1 to 1000). The cursor `previous` is for those before them.

        The errors are those of `page`.
        """
        return self.page(session_id, before=_END, limit=limit)

    def page(
        self, session_id: str, *, before: str | None = None, after: str | None = None, limit: int = 50
    ) -> MessagePage:
        """Return consecutive messages: the last ones before a cursor, the first ones after a cursor, or the first ones.

        Args:
            session_id: the session.
            before: `MessagePage.previous` of another page.
            after: `MessagePage.next` of another page.
            limit: the largest number of messages to return, 1 to 1000.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
            InvalidCursorError: the cursor is not one of a message page.
            InvalidInputError: both cursors are given, or the limit is out of range.
            DatabaseCorruptError: one of these messages is damaged or missing. The error names its position.
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
        """Return the last messages of some roles, and all other messages between and after them.

        It reads from the end, so its time depends on the messages that it returns and not on the transcript's length.

        Args:
            session_id: the session.
            visible: the number of messages of these roles, 1 to 1000.
            before: a position: only messages before it. Pass `MessageWindow.first_position` to get the window before
                one. None: up to the end.
            roles: the roles to count.

        Raises:
            InvalidInputError: `visible`, `before` or `roles` is not valid.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
            DatabaseCorruptError: one of these messages is damaged or missing. The error names its position.
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

    def _fetch(
        self, unit: UnitOfWork, session_id: str, bounds: Callable[[SessionKey], tuple[int, int]]
    ) -> tuple[SessionKey, tuple[int, int], Sequence[message_reading.Stored]]:
        """Return a session, the first and last + 1 position that `bounds` returns for it, and the messages there."""
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


#: The cursor after every message.
_END = write_cursor("messages", MAX_KEY - 1)


def _position(cursor: str) -> int:
    (position,) = read_cursor("messages", cursor, int)
    if position < 0:
        raise InvalidCursorError(
            f"{quoted(cursor)} is not a cursor of a message page. Nothing was read; begin without one."
        )
    return int(position)
