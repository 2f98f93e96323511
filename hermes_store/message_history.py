"""Messages: what was removed or overwritten, and how it is brought back."""

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

    `truncate`, `clear`, `replace`, `update`, `undo`, a save of a live session and an import keep what they remove or
    overwrite, for 30 days, up to 100 cuts and 64 MiB for a session (its last cut whatever its size), and 1 GiB for a
    store. The oldest cuts go first.
    """

    def history(self, session_id: str) -> list[MessageCut]:
        """Return the cuts of a session: the writes of which something is kept, the last one first.

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
        """Put back what the last cut removed or overwrote, and remove what it wrote instead.

        After that, the cut before it can be undone. What is removed is kept as well.

        Raises:
            UndoError: nothing is kept, or messages were written since. (Other changes, such as a new title, do not
                count.) `sessions.fork` with a revision of the history brings the messages back as a new session.
            DatabaseCorruptError: what is kept is damaged.
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
        """Remove all that is kept of a session's former messages, for good.

        The text is overwritten in the database's file, as by `sessions.purge`.

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
        """Remove for good what was cut some time ago, in several short transactions, the oldest first.

        Args:
            older_than: seconds; keep what was cut more recently. 30 days by default.
            profile: only this profile's; all when None.

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
