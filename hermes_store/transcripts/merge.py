"""Three versions of a transcript made one: what two writers made of the same beginning.

A message is known by its digest. What one of them left alone is taken as the other has it, and what both appended
stands one after the other, the stored first. Where both changed the same part there is no answer that loses nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from . import diff

REMOVED: Final = -1


class Source(NamedTuple):
    """Where a message of the merged transcript comes from: whose it is, and its position there."""

    side: Literal["mine", "theirs"]
    position: int


class MergeConflictError(Exception):
    """Both changed the same part; for `saving` alone, which says it in the words of the library."""


@dataclass(frozen=True)
class _Edits:
    """What became of the base in one version."""

    #: Of each message of the base, its position in the version, or REMOVED.
    fate: list[int]
    #: The positions of new messages, by the message of the base that they stand before.
    inserted: dict[int, list[int]]

    @classmethod
    def of(cls, base: Sequence[bytes], version: Sequence[bytes]) -> _Edits:
        fate = [REMOVED] * len(base)
        changes = diff.compare(base, version)
        for old, new in changes.surviving:
            fate[old] = new
        at = {new: old for old, new in changes.surviving}
        inserted: defaultdict[int, list[int]] = defaultdict(list)
        before = len(base)
        for position in range(len(version) - 1, -1, -1):
            if position in at:
                before = at[position]
            else:
                inserted[before].insert(0, position)
        return cls(fate, dict(inserted))


def merge(base: Sequence[bytes], mine: Sequence[bytes], theirs: Sequence[bytes]) -> list[Source]:
    """Return the transcript that holds what both made of `base`, by the messages' digests.

    Raises:
        MergeConflictError: both changed the same part, differently.
    """
    if mine in (theirs, base):
        return [Source("theirs", position) for position in range(len(theirs))]
    if theirs == base:
        return [Source("mine", position) for position in range(len(mine))]
    ours, other = _Edits.of(base, mine), _Edits.of(base, theirs)
    merged: list[Source] = []
    for index in range(len(base) + 1):
        merged += _insertions(index, len(base), ours, other, mine, theirs)
        if index < len(base):
            merged += _one(base[index], ours.fate[index], other.fate[index], mine, theirs)
    return merged


def _one(base: bytes, my_place: int, their_place: int, mine: Sequence[bytes], theirs: Sequence[bytes]) -> list[Source]:
    """Return what became of one message of the base: nothing, or one message."""
    my_message = None if my_place == REMOVED else mine[my_place]
    their_message = None if their_place == REMOVED else theirs[their_place]
    if my_message in (base, their_message):
        return [] if their_message is None else [Source("theirs", their_place)]
    if their_message == base:
        return [] if my_message is None else [Source("mine", my_place)]
    raise MergeConflictError


def _insertions(  # noqa: PLR0917 - the place, and both versions of it
    index: int, end: int, ours: _Edits, other: _Edits, mine: Sequence[bytes], theirs: Sequence[bytes]
) -> list[Source]:
    """Return the new messages that stand before a message of the base, or at its end."""
    my_places, their_places = ours.inserted.get(index, []), other.inserted.get(index, [])
    for places, opposite in ((my_places, _before(other, index)), (their_places, _before(ours, index))):
        if places and opposite == REMOVED:
            raise MergeConflictError  # the one went on from what the other took away
    from_theirs = [Source("theirs", position) for position in their_places]
    from_mine = [Source("mine", position) for position in my_places]
    if not from_mine or [mine[position] for position in my_places] == [theirs[position] for position in their_places]:
        return from_theirs
    if from_theirs and index < end:
        raise MergeConflictError
    return from_theirs + from_mine


def _before(edits: _Edits, index: int) -> int | None:
    """Return the fate of the message before a place; None at the beginning."""
    return edits.fate[index - 1] if index else None
