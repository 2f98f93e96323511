"""Former states of a transcript: found from what its cuts kept, copied to other sessions, and put back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import RevisionNotKeptError, UndoError
from ..transcripts import kept_runs
from ..transcripts.encoding import Encoded
from ..transcripts.kept_runs import Piece
from . import cut_rows, kept_rows, message_copies, message_rows, search_rows, session_rows, transcript_columns
from .cut_rows import Cut
from .message_differences import Difference
from .session_keys import SessionKey
from .unit_of_work import UnitOfWork


class State(NamedTuple):
    """The messages of a session at a revision."""

    pieces: list[Piece]
    message_count: int

    def first(self, count: int) -> State:
        """Return the first `count` of them."""
        return State(list(kept_runs.first_of(self.pieces, count)), count)


def present(key: SessionKey) -> State:
    """Return the messages that a session has now."""
    return State([Piece(0, 0, key.message_count)] if key.message_count else [], key.message_count)


def at(unit: UnitOfWork, key: SessionKey, revision: int) -> State:
    """Return the messages that a session had at a revision: now, or at a revision before one of its cuts.

    Raises:
        RevisionNotKeptError: they are not kept.
        DatabaseCorruptError: the row of a cut is damaged.
    """
    if key.transcript_revision <= revision <= key.revision:
        return present(key)
    cuts = cut_rows.cuts_of(unit, key.id)
    state, last = present(key), None
    for cut in cuts:
        if cut.revision <= revision:
            break
        if cut.undone_revision is not None and revision < cut.undone_revision:
            continue  # with what it undid, it changed nothing
        state, last = _before(state, cut), cut
    if last is None or not last.since_revision <= revision < last.revision:
        raise RevisionNotKeptError(key.session_id, revision, tuple(cut.revision - 1 for cut in cuts))
    return state


def _before(state: State, cut: Cut) -> State:
    try:
        pieces = kept_runs.before(state.pieces, cut.unchanged(), cut.message_count, cut.id)
    except ValueError as error:
        raise cut_rows.damaged(str(error)) from error
    return State(pieces, cut.message_count)


def copy(unit: UnitOfWork, session: int, state: State, copied: int) -> None:
    """Insert the messages of a state into another session, which has none; both are row ids.

    Raises:
        DatabaseCorruptError: some that were kept are missing.
    """
    start = 0
    for piece in state.pieces:
        last, shift = piece.first + piece.length - 1, start - piece.first
        if piece.cut:
            count = message_copies.copy_kept(unit, piece.cut, copied, piece.first, last, shift=shift)
            _require(count, piece.length)
        else:
            message_copies.copy(unit, session, copied, piece.first, last, shift=shift)
        start += piece.length
    search_rows.add_session(unit, copied)


def _require(count: int, expected: int) -> None:
    if count != expected:
        raise cut_rows.damaged(f"{expected - count} messages of a cut are missing")


class Undone(NamedTuple):
    """What undoing a cut did."""

    cut: Cut
    #: How many messages it removed or overwrote.
    removed: int
    revision: int


def undo(unit: UnitOfWork, key: SessionKey) -> Undone:
    """Put the messages back that the last cut of a session removed or overwrote, each at its place.

    Args:
        key: the session, whose row is locked.

    Raises:
        UndoError: nothing is kept, or messages were written since.
        DatabaseCorruptError: the row of the cut is damaged, or some that it kept are missing.
    """
    cut = cut_rows.last_to_undo(unit, key.id)
    if cut is None:
        raise UndoError(key.session_id, "nothing of its messages was removed or overwritten, as far as it is kept")
    if cut.undo_revision != key.transcript_revision:
        raise UndoError(key.session_id, f"messages were written after the last cut ({cut.verb})", cut.revision - 1)
    runs = cut.unchanged()
    back = kept_runs.reverse(runs)
    removed = list(kept_runs.gaps(back, key.message_count))
    revision, newest, users = key.revision + 1, 0, 0
    if removed:
        newest, users = cut_rows.add(unit, key, "undo", back, undone_revision=cut.revision)
    message_rows.remove_and_move(unit, key.id, removed, back, revision)
    kept = list(kept_runs.gaps(runs, cut.message_count))
    _put_back(unit, key.id, cut, kept, revision)
    values = {
        "message_count": cut.message_count,
        "user_message_count": key.user_message_count - users + kept_rows.measure(unit, cut.id).users,
        **transcript_columns.last_times(unit, key.id),
    }
    session_rows.change(unit, key, values, transcript=True)
    before = cut_rows.last_to_undo(unit, key.id, cut.id)
    if before is not None and before.undo_revision == cut.since_revision:
        cut_rows.allow_undo_at(unit, before.id, revision)
    cut_rows.remove(unit, [cut.id])
    if newest:
        cut_rows.trim(unit, key.id, newest)
    return Undone(cut, sum(last - first + 1 for first, last in removed), revision)


def _put_back(unit: UnitOfWork, session: int, cut: Cut, ranges: Sequence[tuple[int, int]], revision: int) -> None:
    for first, last in ranges:
        count = message_copies.copy_kept(unit, cut.id, session, first, last, revision=revision)
        _require(count, last - first + 1)
        search_rows.add_session(unit, session, first, last)


def add_former(unit: UnitOfWork, key: SessionKey, messages: Sequence[Encoded], difference: Difference) -> int:
    """Keep another transcript as a state that a session had before its present one; return its new revision.

    That is as if the other transcript had been written, and then the present one again. No message is written anew.

    Args:
        key: the session, whose row is locked.
        messages: the other transcript.
        difference: from the session's messages to it; its positions are not damaged.
    """
    runs = kept_runs.runs_of(difference.changes)
    if cut_rows.last_revision(unit, key.id):  # older states are found from the present one through the other one
        cut_rows.keep(unit, key, "import", runs)
    before = session_rows.change(unit, key, {}, transcript=True, touch=False)
    former = key._replace(revision=before, transcript_revision=before, message_count=len(messages))
    runs = kept_runs.reverse(runs)
    lacking = {at: messages[at] for first, last in kept_runs.gaps(runs, len(messages)) for at in range(first, last + 1)}
    cut_rows.add_former(unit, former, lacking, runs)
    return session_rows.change(unit, former, {}, transcript=True, touch=False)
