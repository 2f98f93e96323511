"""The difference between two transcripts: the way from one to the other with the fewest writes."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Changes:
    """The way from one transcript to another. Positions are of the old one, or of the new one, as named."""

    #: Rows to remove, by old position.
    removed: list[int]
    #: Rows that stay, with the same body or another: old position and new one, in order.
    surviving: list[tuple[int, int]]
    #: Among those, the new positions whose body differs.
    updated: list[int]
    #: New positions that need a new row.
    inserted: list[int]

    @property
    def is_empty(self) -> bool:
        """Whether both transcripts are the same."""
        return not (self.removed or self.updated or self.inserted)

    def moves(self) -> Iterator[tuple[int, int, int]]:
        """Yield the runs of surviving rows that change place: first and last old position, and how far."""
        run: tuple[int, int, int] | None = None
        for old, new in self.surviving:
            if run and run[1] + 1 == old and run[2] == new - old:
                run = (run[0], old, run[2])
                continue
            if run and run[2]:
                yield run
            run = (old, old, new - old)
        if run and run[2]:
            yield run


def compare(old: Sequence[Hashable], new: Sequence[Hashable]) -> Changes:
    """Compare two transcripts by their messages' digests.

    What both begin and end with stays. In between, the messages that stay are those of `_common_subsequence`.
    """
    shorter = min(len(old), len(new))
    start = next((index for index in range(shorter) if old[index] != new[index]), shorter)
    end = next((index for index in range(shorter - start) if old[-1 - index] != new[-1 - index]), shorter - start)
    old_stop, new_stop = len(old) - end, len(new) - end
    changes = Changes([], list(zip(range(start), range(start), strict=True)), [], [])
    anchors = _common_subsequence(old[start:old_stop], new[start:new_stop])
    previous_old = previous_new = start
    for anchor_old, anchor_new in [
        *((start + first, start + second) for first, second in anchors),
        (old_stop, new_stop),
    ]:
        # Between two messages that stay, what was there and what is to be there are paired in order.
        gap_old, gap_new = anchor_old - previous_old, anchor_new - previous_new
        both = min(gap_old, gap_new)
        for i in range(both):
            changes.surviving.append((previous_old + i, previous_new + i))
            if old[previous_old + i] != new[previous_new + i]:
                changes.updated.append(previous_new + i)
        changes.removed.extend(range(previous_old + both, anchor_old))
        changes.inserted.extend(range(previous_new + both, anchor_new))
        if anchor_old < old_stop:
            changes.surviving.append((anchor_old, anchor_new))
        previous_old, previous_new = anchor_old + 1, anchor_new + 1
    changes.surviving.extend(zip(range(old_stop, len(old)), range(new_stop, len(new)), strict=True))
    return changes


def _common_subsequence(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return index pairs of equal messages, growing in both: the longest such line, for messages that differ.

    The n-th occurrence of a message is paired with the n-th, and the longest growing line of pairs is kept (patience
    sorting), or the messages that are equal at equal places, if these are more. So the time is n log n whatever the
    transcripts hold.
    """
    places: defaultdict[Hashable, list[int]] = defaultdict(list)
    for index in range(len(old) - 1, -1, -1):
        places[old[index]].append(index)
    pairs = [(places[message].pop(), index) for index, message in enumerate(new) if places.get(message)]
    in_place = [(index, index) for index, (one, other) in enumerate(zip(old, new, strict=False)) if one == other]
    if len(in_place) >= len(pairs):  # no line is longer than the pairs
        return in_place
    return max(in_place, _longest_growing(pairs), key=len)


def _longest_growing(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest part of `pairs` whose first members grow, as the second ones do already."""
    tails: list[int] = []  # the smallest first member that a line of each length can end with
    ends: list[int] = []  # and which pair that is
    before: list[int] = []  # the pair before each pair in its line
    for index, (old, _) in enumerate(pairs):
        length = bisect.bisect_left(tails, old)
        before.append(ends[length - 1] if length else -1)
        tails[length : length + 1] = [old]
        ends[length : length + 1] = [index]
    line = []
    index = ends[-1] if ends else -1
    while index >= 0:
        line.append(pairs[index])
        index = before[index]
    return line[::-1]
