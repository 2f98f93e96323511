"""Messages: what was written since a revision."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from .collection import Collection
from .errors import DatabaseCorruptError, StaleSessionError
from .records import MessageChanges, WrittenMessage
from .storage import message_reading
from .storage.session_keys import SessionKey
from .storage.unit_of_work import UnitOfWork
from .validation import check_revision


class ChangedMessages(Collection):
    """The verb of `Messages` that reads only what changed."""

    def changes(self, session_id: str, *, since: int) -> MessageChanges:
        """Return the messages of a session that were written after a revision, and the number of all messages.

        Only these messages are read.

        Args:
            session_id: the session.
            since: a revision of the session, such as `MessageChanges.revision` or `Transcript.revision`; 0 for all
                messages.

        Raises:
            StaleSessionError: the session was never at this revision: an older copy of the database was restored.
            InvalidInputError: `since` is no whole number.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
            DatabaseCorruptError: one of these messages is damaged or missing. The error names its position.
        """
        since = check_revision(since)
        with self._transactions.read() as unit:
            while True:
                key = self._find(unit, session_id)
                if since > key.revision:
                    raise StaleSessionError(key.session_id, since, key.revision, "it never was at that revision")
                try:
                    items = list(_read(unit, key, since)) if key.transcript_revision > since else []
                except DatabaseCorruptError:
                    if unit.sees_one_state or self._find(unit, session_id).revision == key.revision:
                        raise
                    continue  # another transaction was committed between two statements
                if unit.sees_one_state or self._find(unit, session_id).revision == key.revision:
                    break
        return MessageChanges.from_trusted(
            {"items": items, "message_count": key.message_count, "revision": key.revision}
        )


def _read(unit: UnitOfWork, key: SessionKey, since: int) -> Iterator[WrittenMessage]:
    for start, stop in _runs(message_reading.written_since(unit, key.id, since)):
        rows = message_reading.fetch(unit, key.id, key.session_id, start=start, stop=stop, count=key.message_count)
        for position, message in enumerate(message_reading.decode(key.session_id, rows, start), start):
            yield WrittenMessage.from_trusted({"position": position, "message": message})


def _runs(positions: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first position of each run of neighbours, and the one after its last."""
    for _, run in itertools.groupby(enumerate(positions), lambda one: one[1] - one[0]):
        found = [position for _, position in run]
        yield found[0], found[-1] + 1
