"""Messages: the history of what was removed or overwritten, and undo."""

from __future__ import annotations

import time

from .collection import Collection
from .records import MessageCut
from .results import HistoryPurge, UndoResult
from .storage import cut_rows, kept_states
from .storage.turns import Turns
from .validation import check_time


class MessageHistory(Collection):
    """The verbs of `Messages` for what was removed or overwritten.

    `truncate`, `clear`, `replace`, `update`, `undo`, a save of a live session and an import keep the messages that they
    remove or overwrite. They are kept for 30 days, up to 100 cuts and 64 MiB for a session and 1 GiB for a store. The
    oldest cuts are removed first. The last cut of a session is kept whatever its size.
    """

    def history(self, session_id: str) -> list[MessageCut]:
        """Return the cuts of a session, the last one first: the writes of which messages are kept.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        with self._transactions.read() as unit:
            cuts = cut_rows.cuts_of(unit, self._find(unit, session_id).id)
        return [
            MessageCut.from_trusted(
                {
                    "revision": cut.revision - 1,
                    "verb": cut.verb,
                    "cut_at": cut.cut_at,
                    "message_count": cut.message_count,
                    "messages": cut.messages,
                    "size_bytes": cut.size,
                }
            )
            for cut in cuts
        ]

    def undo(self, session_id: str) -> UndoResult:
        """Put back the messages that the last cut removed or overwrote, and remove those that it wrote instead.

        A second call undoes the cut before it. The messages that an undo removes are kept as well.

        Raises:
            UndoError: nothing is kept, or messages were written after the cut. Other changes, such as a new title, do
                not count. `sessions.fork` with a revision of the history makes a new session of the former messages.
            DatabaseCorruptError: the kept messages are damaged.
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        with self._transactions.write() as unit:
            cut, removed, revision = kept_states.undo(unit, self._lock(unit, session_id))
        return UndoResult(
            verb=cut.verb,
            restored=cut.messages,
            removed=removed,
            message_count=cut.message_count,
            revision=revision,
        )

    def purge_history(self, session_id: str) -> HistoryPurge:
        """Permanently remove all kept messages of a session's cuts.

        Their text is overwritten in the database's file, as by `sessions.purge`.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        with self._transactions.write() as unit:
            key = self._lock(unit, session_id)
            cuts = cut_rows.cuts_of(unit, key.id)
            cut_rows.forget(unit, key.id)
            unit.erase()
        return HistoryPurge(cuts=len(cuts), messages=sum(cut.messages for cut in cuts), erased=unit.is_erased)

    def prune_history(self, *, older_than: float = cut_rows.KEPT_SECONDS, profile: str | None = None) -> HistoryPurge:
        """Permanently remove the kept messages of old cuts, in several short transactions, the oldest first.

        Args:
            older_than: seconds; more recent cuts are kept. 30 days by default.
            profile: only cuts of sessions of this profile; all when None.

        Raises:
            InvalidInputError: an argument is not valid.
        """
        profile = self._own_profile(profile)
        until = time.time() - check_time(older_than)
        cuts = messages = 0
        turns = Turns(self._transactions)
        while True:
            turns.wait()
            with self._transactions.write() as unit:
                removed, of_cuts = cut_rows.remove_expired(unit, until, profile)
                unit.erase()
            cuts += removed
            messages += of_cuts
            if not removed:
                return HistoryPurge(cuts=cuts, messages=messages, erased=unit.is_erased)
